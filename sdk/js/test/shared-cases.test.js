// The cases that all languages of the SDK share: what the parser makes of answers, and how standard requests look.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { advance, Context, Failure, Field, flow, oauth, oauthFlow, tokenResponse } from "tokenhost-flow";
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

const fields = (tokenUrl) => [
  ...oauth.fields.client(),
  Field.text("username", "User name"),
  Field.secret("password", "Password"),
  tokenUrl,
  ...oauth.fields.target(),
  ...oauth.fields.clientAuth(),
  ...oauth.fields.refresh(),
  oauth.fields.revocationUrl(),
];

const request = (context, purpose) => {
  const withUser = purpose === "acquire" && context.value("username") !== undefined;
  return oauth.request(context, purpose, withUser ? oauth.grants.password(context) : oauth.grants.clientCredentials());
};

const standard = oauthFlow({
  describe: { name: "standard", version: "1.0.0", title: "Standard", fields: fields(oauth.fields.tokenUrl()) },
  request,
});

const discovered = flow({
  describe: {
    name: "discovered",
    version: "1.0.0",
    title: "Discovered",
    fields: [oauth.discovery.metadataUrl(), ...fields(Field.url("token_url", "Token URL"))],
  },
  advance: (context, event) =>
    oauth.discovery.advance(context, event, (context, event) => advance(context, event, { request })),
});

/** An attempt with what a case sets. */
function begin(of, values, secrets, purpose) {
  const harness = new Harness(of).context((context) => {
    context.entropy = Uint8Array.from({ length: 32 }, (_, at) => at);
  });
  return harness.values(values).secret(...secrets).begin(purpose);
}

const shown = (run) => (run.outcome.tag === "failure" ? run.failureLine() : run.request());

/** Runs each purpose that a case names; there must be one. */
function eachPurpose(one, check) {
  const named = ["acquire", "refresh", "revoke"].filter((purpose) => one[purpose] !== undefined);
  assert.ok(named.length > 0, `no outcome is named for ${JSON.stringify(one)}`);
  for (const purpose of named) check(purpose, one[purpose]);
}

test("standard requests", () => {
  for (const one of cases("oauth-requests.json").cases) {
    eachPurpose(one, (purpose, expected) => {
      const values = { token_url: "https://id.example/token?tenant=7", ...one.values };
      assert.equal(shown(begin(standard, values, one.secrets, purpose)), expected, JSON.stringify(one));
    });
  }
});

test("discovery", () => {
  for (const one of cases("oauth-requests.json").discovery) {
    eachPurpose(one, (purpose, expected) => {
      const { status = 200, unanswered, document } = one.metadata;
      const first = begin(discovered, one.values, one.secrets, purpose);
      const second =
        unanswered === undefined
          ? first.answerWith(response(status, {}, document === undefined ? body(one.metadata) : JSON.stringify(document)))
          : first.unanswered(true, unanswered);
      assert.deepEqual([shown(first), shown(second)], expected, JSON.stringify(one));
    });
  }
});

test("the fields are those of the other languages", () => {
  const { authorize, device } = oauth;
  const withPerson = [authorize.authorizationUrl(), ...authorize.authorize(), device.deviceAuthorizationUrl()];
  const got = [...discovered.describe().fields, ...withPerson].map(({ name, title, help, kind, required, default: usual, source }) => ({
    choices: kind.val ?? null,
    default: usual ?? null,
    help,
    kind: kind.tag,
    name,
    required:
      required.tag === "when" ? { field: required.val.field, one_of: required.val.oneOf } : required.tag === "always",
    source: source ?? null,
    title,
  }));
  assert.deepEqual(got, cases("oauth-requests.json").fields);
  assert.deepEqual(oauth.fields.WITH_CLIENT, [
    "basic", "basic-raw", "basic-percent", "post", "client_secret_jwt", "private_key_jwt", "tls_client_auth",
  ]);
});
