// The grants in which a person takes part: the cases that all languages of the SDK share, and what they are made of.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";

import { flow, oauth } from "tokenhost-flow";
import { Harness, response } from "tokenhost-flow/harness";
import { sha256 } from "../src/oauth/sha256.js";

const { cases } = JSON.parse(readFileSync(new URL("../../cases/oauth-person.json", import.meta.url), "utf8"));

const standard = [
  ...oauth.fields.client(),
  oauth.fields.tokenUrl(),
  ...oauth.fields.target(),
  ...oauth.fields.clientAuth(),
  ...oauth.fields.refresh(),
  oauth.fields.revocationUrl(),
];
const describe = (fields) => ({ name: "x", version: "1.0.0", title: "X", fields: [...fields, ...standard] });
const { authorize, device } = oauth;
const flows = {
  code: flow({ describe: describe([authorize.authorizationUrl(), ...authorize.authorize()]), advance: authorize.advance }),
  device: flow({ describe: describe([device.deviceAuthorizationUrl()]), advance: device.advance }),
};

/** What a step came to, as text. */
function shown(run) {
  const { tag, val } = run.outcome;
  if (tag === "send") return run.request();
  if (tag === "redirect") return `redirect ${val.url}`;
  if (tag === "done") return `token ${val.accessToken}`;
  if (tag === "revoked") return "revoked";
  if (tag === "failure") return run.failureLine();
  const { seconds, prompt } = val;
  return prompt ? `wait ${seconds} | ${prompt.message} | ${prompt.url} | ${prompt.code}` : `wait ${seconds}`;
}

/** The event that a case names. */
function event(named, state) {
  if (named.status) return { tag: "answered", val: { state, response: response(named.status, {}, named.body) } };
  if (named.unanswered) return { tag: "unanswered", val: { state, left: true, reason: named.unanswered } };
  if (named.returned) return { tag: "returned", val: { state, query: named.returned } };
  return { tag: "elapsed", val: state };
}

test("shared cases", () => {
  assert.ok(cases.length > 50);
  for (const one of cases) {
    const harness = new Harness(flows[one.flow])
      .context((context) => {
        context.entropy = Uint8Array.from({ length: 32 }, (_, at) => at);
        if (one.flow === "code" && !one.no_callback) {
          context.callbackUrl = "https://host.example/v1/callback";
          context.returnKey = "key 1";
        }
      })
      .values(one.values)
      .secret(...one.secrets);
    let run = harness.begin(one.purpose ?? "acquire");
    const steps = [shown(run)];
    for (const named of one.events) {
      const then = harness.context((context) => {
        context.now += named.later ?? 0;
      });
      run = then.step(event(named, run.state()));
      steps.push(shown(run));
    }
    assert.deepEqual(steps, one.steps, JSON.stringify(one));
  }
});

test("the example of RFC 7636 appendix B", () => {
  const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  assert.equal(oauth.pkce.challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
});

test("SHA-256 of every length around the blocks", () => {
  for (let length = 0; length < 200; length++) {
    const message = Uint8Array.from({ length }, (_, at) => (at * 7 + length) & 255);
    assert.deepEqual(sha256(message), new Uint8Array(createHash("sha256").update(message).digest()), String(length));
  }
});
