import assert from "node:assert/strict";
import test from "node:test";

import { Harness } from "tokenhost-flow/harness";

import { flow } from "../src/index.js";

const integration = () =>
  new Harness(flow).values({ url: "https://desk.example/", account: "robot" }).secret("key");

test("signs the nonce", () => {
  const asked = integration().acquire();
  assert.match(asked.request(), /^POST https:\/\/desk\.example\/challenge\n/);
  const proving = asked.answer(200, { nonce: "n1" });
  assert.equal(
    proving.request(),
    `POST https://desk.example/token
content-type: application/json

/account "robot"
/nonce "n1"
/proof "{proof}"
{proof} = hmac sha256 base64 {key} robot:n1
`,
  );
  const token = proving.answer(200, { session: { token: "t", seconds: 900 } }).token();
  assert.equal(token.accessToken, "t");
  assert.equal(token.expiresIn, 900);
});

test("says what went wrong", () => {
  assert.equal(integration().acquire().answer(503).failureLine(), "unavailable, retry: the service is busy");
  assert.match(integration().acquire().answer(200, {}).failureLine(), /no nonce/);
  assert.match(integration().acquire().answer(401).failureLine(), /^refused, reconfigure/);
  assert.match(integration().refresh().failureLine(), /^no_refresh, reacquire/);
});
