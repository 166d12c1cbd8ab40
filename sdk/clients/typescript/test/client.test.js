// What belongs to JavaScript alone: where daemon and credential come from, streams as bodies, no connection.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import test from "node:test";

import { Client, tokenFetch, TokenhostError, Unreachable } from "../src/index.js";
import { scripted } from "./scripted.js";

const TOKEN = { access_token: "hunter2", token_type: "Bearer", expires_in: 900, generation: 1 };

test("daemon and credential come from the environment", async () => {
  const server = await scripted();
  try {
    process.env.TOKENHOST_URL = `${server.url}/below/`;
    process.env.TOKENHOST_TOKEN = "tha_env\n";
    const headers = { authorization: "Bearer tha_env" };
    server.exchanges = [
      { request: { method: "GET", path: "/below/v1/integrations/crm/token", headers }, answer: { status: 200, body: TOKEN } },
    ];
    assert.equal((await new Client().token("crm")).accessToken, "hunter2");
    assert.deepEqual(server.faults, []);
  } finally {
    delete process.env.TOKENHOST_URL;
    delete process.env.TOKENHOST_TOKEN;
    server.close();
  }
  assert.throws(() => new Client(), /TOKENHOST_TOKEN/);
});

test("what can't be used is refused, and no token repeated", async () => {
  for (const url of ["127.0.0.1:8420", "ftp://a", "http://me:pw@a", "http://a?x=y", "http://"]) {
    assert.throws(() => new Client({ url, token: "tha_x" }), /TOKENHOST_URL/, url);
  }
  assert.throws(() => new Client({ token: "tha_hunter\n2" }), (error) => !error.message.includes("hunter"));
  for (const name of ["", ".", ".."]) {
    await assert.rejects(new Client({ token: "tha_x" }).token(name), TokenhostError);
  }
});

test("where nobody listens nothing was sent, and it is tried again", async () => {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  let waits = 0;
  const client = new Client({ url: `http://127.0.0.1:${port}`, token: "tha_x", sleep: async () => void waits++ });
  const error = await client.call("crm", "create", undefined, new Uint8Array([1])).catch((error) => error);
  assert.ok(error instanceof Unreachable && !error.sent, String(error));
  assert.equal(waits, 3);
});

test("a stream can't be sent twice, and the 401 is the answer", async () => {
  const server = await scripted();
  try {
    server.exchanges = [
      { request: { method: "GET", path: "/v1/integrations/crm/token" }, answer: { status: 200, body: TOKEN } },
      { request: { method: "POST", path: "/service", text: "body" }, answer: { status: 401, text: "no" } },
    ];
    const service = tokenFetch(new Client({ url: server.url, token: "tha_x" }), "crm");
    const body = new Blob(["body"]).stream();
    assert.equal((await service(`${server.url}/service`, { method: "POST", body, duplex: "half" })).status, 401);
    assert.deepEqual(server.faults, []);
  } finally {
    server.close();
  }
});
