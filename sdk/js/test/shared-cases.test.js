// The cases that all languages of the SDK share: what the parser makes of answers, and how standard requests look.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { Context, Failure, form, oauth, oauthFlow, tokenResponse } from "tokenhost-flow";
import { failureLine, Harness, response } from "tokenhost-flow/harness";

const cases = (name) => JSON.parse(readFileSync(new URL(`../../cases/${name}`, import.meta.url), "utf8"));

/** The outcome as one line: the token's members that are set, or code, remedy and message. */
function outcome(context, purpose, given) {
  try {
    if (purpose === "revoke") {
      tokenResponse.revoked(context, given);
      return "revoked";
    }
    const token = tokenResponse.parse(context, purpose, given);
    const named = {
      access: token.accessToken,
      refresh: token.refreshToken,
      type: token.tokenType,
      in: token.expiresIn,
      at: token.expiresAt,
      refresh_in: token.refreshExpiresIn,
      scope: token.scope,
    };
    const set = Object.entries(named).filter(([, value]) => value !== undefined);
    return set.map(([name, value]) => `${name}=${value}`).join(" | ");
  } catch (error) {
    if (error instanceof Failure) return failureLine(error);
    throw error;
  }
}

function body(one) {
  if (one.pieces) return one.pieces.map(([text, times]) => text.repeat(times)).join("");
  return one.base64 ? new Uint8Array(Buffer.from(one.base64, "base64")) : (one.body ?? "");
}

const shared = cases("token-responses.json");
const context = new Context({
  scheme: { name: "test", document: "{}" },
  values: [],
  secrets: [],
  revealed: [],
  now: shared.now,
  entropy: new Uint8Array(32),
});

for (const group of shared.groups) {
  test(`token responses: ${group.name}`, () => {
    for (const one of group.cases) {
      let count = 0;
      const variants = one.headers
        ? [Object.fromEntries(one.headers)]
        : [{}, ...shared.content_types.map((type) => ({ "content-type": type }))];
      for (const [key, purpose] of [
        ["both", "acquire"],
        ["both", "refresh"],
        ["acquire", "acquire"],
        ["refresh", "refresh"],
        ["revoke", "revoke"],
      ]) {
        if (one[key] === undefined) continue;
        for (const headers of variants) {
          const got = outcome(context, purpose, response(one.status ?? 200, headers, body(one)));
          assert.equal(got, one[key], `${purpose} of ${JSON.stringify(one).slice(0, 300)}`);
          count += 1;
        }
      }
      assert.ok(count > 0, `no outcome is named for ${JSON.stringify(one)}`);
    }
  });
}

test("damaged answers give some outcome", () => {
  const answer = Buffer.from('{"access_token":"a","expires_in":"3600","scope":["x"],"d":{"error":"é"}}');
  for (let end = 0; end < answer.length; end++) {
    outcome(context, "acquire", response(200, {}, new Uint8Array(answer.subarray(0, end))));
    for (const byte of [0, ...Buffer.from('"{}\\<='), 0xff]) {
      const changed = new Uint8Array(answer);
      changed[end] = byte;
      outcome(context, "refresh", response(200, {}, changed));
    }
  }
});

test("long answers", () => {
  const long = "t".repeat(1 << 20);
  assert.equal(outcome(context, "acquire", response(200, {}, { access_token: long })), `access=${long}`);
  const names = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [at + "n".repeat(100), 1]));
  assert.ok(outcome(context, "acquire", response(200, {}, names)).length < 400);
});

const standard = oauthFlow({
  describe: {
    name: "standard",
    version: "1.0.0",
    title: "Standard",
    fields: [
      ...oauth.fields.client(),
      oauth.fields.tokenUrl(),
      ...oauth.fields.target(),
      oauth.fields.clientAuth(),
      ...oauth.fields.refresh(),
    ],
  },
  request: (context, purpose) => oauth.request(context, purpose, form().text("grant_type", "client_credentials")),
});

test("standard requests", () => {
  for (const one of cases("oauth-requests.json").cases) {
    for (const purpose of ["acquire", "refresh", "revoke"]) {
      if (one[purpose] === undefined) continue;
      const harness = new Harness(standard).value("token_url", "https://id.example/token?tenant=7");
      const run = harness.values(one.values).secret(...one.secrets).begin(purpose);
      const got = run.outcome.tag === "failure" ? run.failureLine() : run.request();
      assert.equal(got, one[purpose], JSON.stringify(one));
    }
  }
});
