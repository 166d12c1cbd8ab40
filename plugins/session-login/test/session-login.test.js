import assert from "node:assert/strict";
import test from "node:test";

import { Harness, response } from "tokenhost-flow/harness";

import { flow } from "../src/index.js";

const integration = (values = {}) =>
  new Harness(flow).values({ login_url: "https://desk.example/login", username: "robot", ...values }).secret("password");

test("the login request", () => {
  for (const [values, expected] of [
    [
      {},
      `POST https://desk.example/login
accept: application/json, */*
content-type: application/x-www-form-urlencoded

username=robot&password={password}
`,
    ],
    [
      {
        content_type: "json",
        method: "PUT",
        username_field: "/user/name",
        password_field: "pass/word",
        parameters: "tenant=7 a=b=c",
        headers: "x-app=1",
      },
      `PUT https://desk.example/login
accept: application/json, */*
x-app: 1
content-type: application/json

/user/name "robot"
/pass~1word "{password}"
/tenant "7"
/a "b=c"
`,
    ],
    [
      { method: "GET", username_field: "u", password_field: "p" },
      "GET https://desk.example/login?u=robot&p={password}\naccept: application/json, */*\n",
    ],
  ]) {
    assert.equal(integration(values).acquire().request(), expected);
  }
});

test("a token at a JSON pointer", () => {
  const run = integration({
    token_name: "/data/0/session",
    lifetime_pointer: "/data/0/until",
    value_pointers: "region=/data/0/region none=/x",
    place: "header",
    place_name: "X-Session",
  }).acquire();
  const token = run.answer(201, { data: [{ session: "s1", until: "2026-11-22T11:00:00Z", region: "eu" }] }).token();
  assert.equal(token.accessToken, "s1");
  assert.equal(token.expiresAt, 1_795_345_200);
  assert.deepEqual(token.values, [["region", "eu"]]);
  assert.deepEqual(token.placements, [
    { location: "header", name: "X-Session", value: [{ tag: "secret", val: "token.access_token" }] },
  ]);
});

test("a session cookie, after a redirect, and the other cookies", () => {
  const run = integration({ token_from: "cookie", token_name: "sid", place: "cookie", place_name: "sid", keep_cookies: "true" });
  const token = run
    .acquire()
    .answerWith(response(302, { "set-cookie": ["sid=abc; Max-Age=600; HttpOnly", "lb=7; Path=/", "old=; Max-Age=0"] }))
    .token();
  assert.equal(token.accessToken, "abc");
  assert.equal(token.expiresIn, 600);
  assert.deepEqual(token.secrets, [["cookie_lb", "7"]]);
  assert.deepEqual(
    token.placements.map(({ location, name }) => [location, name]),
    [["cookie", "sid"], ["cookie", "lb"]],
  );
});

test("a token in a header", () => {
  const run = integration({ token_from: "header", token_name: "Authorization" }).acquire();
  const token = run.answerWith(response(200, { authorization: "Bearer t1" })).token();
  assert.equal(token.accessToken, "t1");
  assert.equal(token.placements[0].value[0].val, "Bearer ");
});

test("a CSRF token first, wherever it stands", () => {
  for (const [values, answer, sent] of [
    [{}, response(200, { "set-cookie": "csrftoken=c1; Path=/" }), "X-CSRFToken: {sensitive}\ncookie: {sensitive}\n"],
    [{ csrf_from: "header", csrf_name: "x-csrf" }, response(204, { "X-CSRF": "c1" }), "X-CSRFToken: {sensitive}\n"],
    [{ csrf_from: "json", csrf_name: "/c" }, response(200, {}, { c: "c1" }), "X-CSRFToken: {sensitive}\n"],
    [
      { csrf_from: "html", csrf_name: "_csrf", csrf_to: "parameter", csrf_to_name: "_csrf" },
      response(200, {}, `<form><input type=hidden name='other' value=x><input value="a&amp;b" name="_csrf"></form>`),
      "password={password}&_csrf={sensitive}\n",
    ],
    [
      { csrf_from: "html", csrf_name: "csrf-token" },
      response(200, {}, `<meta name="csrf-token" content="c1">`),
      "X-CSRFToken: {sensitive}\n",
    ],
  ]) {
    const first = integration({ csrf_url: "https://desk.example/", ...values }).acquire();
    assert.match(first.request(), /^GET https:\/\/desk\.example\/\n/);
    const login = first.answerWith(answer);
    assert.ok(login.request().startsWith("POST https://desk.example/login\n"), login.request());
    assert.ok(login.request().includes(sent), login.request());
    assert.equal(login.answer(200, { token: "t" }).token().accessToken, "t");
  }
});

test("what goes wrong", () => {
  for (const [values, answer, expected] of [
    [{}, response(401), "http_401, reconfigure: the provider answered HTTP 401 (check username and password)"],
    [{}, response(404), /^http_404, reconfigure: the provider answered HTTP 404 \(check login_url, method/],
    [{}, response(429, { "retry-after": "7" }), "http_429, retry after 7: the provider answered HTTP 429"],
    [{}, response(200, {}, "<html>wrong password"), /^no_token, reconfigure: .* HTTP 200 without a token at \/token/],
    [{}, response(200, {}, { token: null }), /^no_token/],
    [{ csrf_url: "https://desk.example/" }, response(200), /^no_csrf_token, reconfigure/],
    [
      { csrf_url: "https://desk.example/", csrf_from: "json", csrf_name: "/c" },
      response(200, {}, { c: "a\r\nb" }),
      /^no_csrf_token/,
    ],
  ]) {
    const line = integration(values).acquire().answerWith(answer).failureLine();
    if (typeof expected === "string") assert.equal(line, expected);
    else assert.match(line, expected);
  }
  assert.match(integration().refresh().failureLine(), /^no_refresh, reacquire/);
  assert.match(integration().revoke().failureLine(), /^unsupported, reconfigure/);
  assert.match(integration({ parameters: "x" }).acquire().failureLine(), /^invalid_field, .* parameters/);
});
