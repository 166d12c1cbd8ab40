// A flow of several steps, through the harness: what the contract allows, a test can say.
import assert from "node:assert/strict";
import test from "node:test";

import {
  answers, body, Derivation, done, Failure, Field, flow, form, json, oauthFlow, Request, revoked, secret, send, sensitive,
  tokenResponse, wait,
} from "tokenhost-flow";
import { Harness, response } from "tokenhost-flow/harness";

/** Asks for a ticket, waits for a person, then takes the token. */
const ticket = flow({
  describe: {
    name: "ticket",
    version: "1.0.0",
    title: "Ticket",
    unattended: false,
    fields: [
      Field.url("url", "URL", { required: true }),
      Field.secret("key", "Key", { required: { field: "mode", oneOf: ["keyed"] } }),
      Field.choice("mode", "Mode", ["keyed", "open"], { default: "open" }),
      Field.flag("slow", "Slow"),
    ],
  },
  advance(context, event) {
    const url = context.required("url");
    switch (event.tag) {
      case "begin":
        return send(
          Request.post(`${url}/tickets`)
            .parameter("v", "1")
            .header("x-key", ["k=", secret("signed")])
            .derive("signed", Derivation.basic("me", secret("key"), "none"))
            .json(json().text("/name", "me").literal("/count", 2).secret("/key", "key")),
          "asked",
        );
      case "answered": {
        if (event.val.state !== "asked") return done({ accessToken: "t" });
        const found = tokenResponse.Answer.read(event.val.response).text("ticket");
        if (found === undefined) throw Failure.retry("invalid_response", "no ticket");
        return wait(context.flag("slow") ? 60 : 5, found, { message: "Confirm", code: "42" });
      }
      case "elapsed":
        return send(Request.get(`${url}/token?x=1`).parameter("ticket", sensitive(event.val)), "taking");
      case "unanswered":
        throw Failure.unanswered(event.val);
      default:
        throw Failure.unsupported("no redirect was asked for");
    }
  },
});

const integration = () => new Harness(ticket).value("url", "https://id.example").secret("key");

test("several steps", () => {
  const asked = integration().value("slow", "true").acquire();
  assert.equal(
    asked.request(),
    `POST https://id.example/tickets?v=1
x-key: k={signed}
content-type: application/json

/name "me"
/count 2
/key "{key}"
{signed} = basic me:{key}
`,
  );
  const waiting = asked.answer(200, { error: "no", ticket: "T1" });
  assert.equal(waiting.state(), "T1");
  assert.equal(waiting.outcome.val.seconds, 60);
  const taking = waiting.elapsed();
  assert.equal(taking.request(), "GET https://id.example/token?x=1&ticket={sensitive}\n");
  assert.equal(taking.answerWith(response(200)).token().accessToken, "t");
});

test("what ends an attempt", () => {
  for (const [left, reason, expected] of [
    [true, "reset", "no_answer, retry: the request got no complete answer: reset"],
    [false, "no such host", "no_answer, retry: the request could not be sent: no such host"],
  ]) {
    assert.equal(integration().acquire().unanswered(left, reason).failureLine(), expected);
  }
  const returned = integration().acquire().returned([["code", "x"]]);
  assert.equal(returned.failureLine(), "unsupported, reconfigure: no redirect was asked for");
});

test("what the host would refuse is refused", () => {
  const sending = (request) =>
    oauthFlow({
      describe: { name: "x", version: "1.0.0", title: "X", fields: [Field.url("url", "URL"), Field.secret("key", "Key")] },
      request: () => request,
    });
  const runs = (request) => () => new Harness(sending(request)).value("url", "https://id.example/x").acquire();
  for (const [run, expected] of [
    [() => new Harness(ticket).acquire(), /required and not set: url$/],
    [() => new Harness(ticket).value("url", "https://id.example").value("mode", "keyed").acquire(), /not set: key$/],
    [() => new Harness(ticket).value("url", "https://id.example").acquire(), /uses key, which is not set/],
    [() => new Harness(ticket).value("key", "x"), /key is a secret/],
    [() => new Harness(ticket).secret("url"), /url is no secret/],
    [() => new Harness(ticket).value("other", "x"), /has no field other/],
    [runs(Request.get("https://evil.example?https://id.example")), /evil.example is the origin of no URL field/],
    [runs(Request.post("https://id.example").form(form().secret("a", "key"))), /uses key, which is not set/],
    [runs(Request.post("https://id.example").raw("text/plain", body())), /only inside a derivation/],
  ]) {
    assert.throws(run, expected);
  }
});

test("a fault of the flow is no failure", () => {
  const faulty = oauthFlow({
    describe: { name: "x", version: "1.0.0", title: "X" },
    request: () => undefined.x,
  });
  assert.throws(() => new Harness(faulty).acquire(), TypeError);
});

test("what standard flows make of other events", () => {
  const standard = oauthFlow({
    describe: { name: "x", version: "1.0.0", title: "X", fields: [Field.url("url", "URL")] },
    request: () => Request.post("https://id.example"),
  });
  const run = new Harness(standard).value("url", "https://id.example").revoke();
  assert.deepEqual(run.answer(200).outcome, revoked());
  assert.match(run.answer(503).failureLine(), /^http_503, retry/);
  assert.match(run.elapsed().failureLine(), /^unexpected_event, retry/);
});

test("requests of every kind as text", () => {
  const request = Request.post("https://id.example")
    .raw("text/xml", ["<a>", secret("key"), "</a>"], "xml")
    .derive("digest", Derivation.digest("sha256", body(), "base64"))
    .derive("mac", Derivation.hmac("sha1", secret("key"), ["POST\n", secret("digest")], "hex"))
    .derive("token", Derivation.jwt("RS256", "key", json().text("/iss", "me").literal("/exp", 5)))
    .derive("both", Derivation.transform(secret("mac"), ["base64-decode", "upper-case"]))
    .header("x", secret("both"));
  const standard = oauthFlow({
    describe: { name: "x", version: "1.0.0", title: "X", fields: [Field.url("url", "URL"), Field.secret("key", "Key")] },
    request: () => request,
  });
  assert.equal(
    new Harness(standard).value("url", "https://id.example").secret("key").acquire().request(),
    `POST https://id.example
x: {both}
content-type: text/xml

<a>{key}</a>
{digest} = digest sha256 base64 {body}
{mac} = hmac sha1 hex {key} POST
{digest}
{token} = jwt RS256 {key} [] [/iss "me"
/exp 5]
{both} = transform [base64-decode, upper-case] {mac}
`,
  );
});

test("answers of other kinds", () => {
  const given = response(200, {
    "Set-Cookie": ["sid=a=b; Path=/; Max-Age=60", " x = 1 ;Expires=Sun, 22 Nov 2026 10:01:40 GMT", "old=1; Max-Age=0", "bad"],
  }, { a: { "b/c": [null, { "~": 1 }] } });
  assert.deepEqual([...answers.cookies(given, 1_795_341_600)], [
    ["sid", { value: "a=b", maxAge: 60 }],
    ["x", { value: "1", maxAge: 100 }],
  ]);
  const document = answers.json(given);
  assert.equal(answers.at(document, "/a/b~1c/1/~0"), 1);
  for (const none of ["/a/b~1c/01", "/a/x", "/a/b~1c/9", "a", "/constructor"]) {
    assert.equal(answers.at(document, none), undefined, none);
  }
  for (const none of ["<html>", "", "[".repeat(1 << 20), "[".repeat(1000) + "]".repeat(1000)]) {
    assert.equal(answers.json(response(200, {}, none)), undefined);
  }
});

test("lifetimes of other kinds", () => {
  for (const [said, expected] of [
    [3600, { expiresIn: 3600 }],
    ["3600.9", { expiresIn: 3600 }],
    [1_795_345_200, { expiresAt: 1_795_345_200 }],
    ["1795345200000", { expiresAt: 1_795_345_200 }],
    ["2026-11-22T11:00:00Z", { expiresAt: 1_795_345_200 }],
    ["soon", {}],
    [0, {}],
    [-5, {}],
    [null, {}],
    [undefined, {}],
    [Number.NaN, {}],
  ]) {
    assert.deepEqual(answers.lifetime(said), expected, String(said));
  }
});
