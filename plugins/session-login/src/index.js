/**
 * Session login: a request with user name and password, made as the service wants it, whose answer has a token, a session
 * cookie or both. Where everything stands is said by fields.
 *
 * There is no refresh: a session that ended takes another login. What is fetched for the login (CSRF token, first cookies)
 * lives in the state of the attempt.
 * @module
 */

import { answers, done, Failure, flow as make, form, json, Request, secret, send, sensitive, tokenResponse } from "tokenhost-flow";

import { fields } from "./fields.js";

/** The first step's state. */
const CSRF = "csrf";

/** The longest CSRF token that is taken. */
const LONGEST = 4096;

export const flow = make({
  describe: {
    name: "session-login",
    version: "0.1.0",
    title: "Session login",
    summary:
      "For services without OAuth, where a program logs in as a person does: by a request with user name and password, whose " +
      "answer has a token or a cookie. Choose an OAuth flow where the service offers one.",
    handles: [{ kind: "apiKey" }, { kind: "http", detail: "bearer" }, { kind: "named" }],
    fields,
  },

  advance(context, event) {
    switch (event.tag) {
      case "begin": {
        if (event.val === "refresh") throw Failure.reacquire("no_refresh", "a session that ended takes another login");
        if (event.val === "revoke") throw Failure.unsupported("this flow knows no address at which a session is ended");
        const csrf = context.value("csrf_url");
        if (csrf === undefined) return send(login(context, undefined, []), "login");
        return send(withHeaders(context, Request.get(csrf)), CSRF);
      }
      case "answered": {
        const { state, response } = event.val;
        if (response.status >= 400) throw refused(context, response);
        if (state !== CSRF) return done(tokenOf(context, response));
        const cookies = [...answers.cookies(response, context.now)].map(([name, { value }]) => [name, value]);
        return send(login(context, csrfOf(context, response), cookies), "login");
      }
      case "unanswered":
        throw Failure.unanswered(event.val);
      default:
        throw Failure.retry("unexpected_event", "the flow neither waits nor sends a person away");
    }
  },
});

/** The failure of a refusal: what the service said, and the fields that may be wrong. */
function refused(context, response) {
  try {
    tokenResponse.parse(context, "acquire", response);
  } catch (error) {
    const { status } = response;
    if (!(error instanceof Failure) || error.remedy.tag === "retry") return error;
    const hint = status === 401 || status === 403 ? "username and password" : "login_url, method, content_type and the names";
    return Failure.reconfigure(error.code, `${error.message.replace(" (check token_url)", "")} (check ${hint})`);
  }
  return Failure.reconfigure(`http_${response.status}`, `the service answered HTTP ${response.status}`);
}

/** The login request. */
function login(context, csrf, cookies) {
  const method = (context.value("method") ?? "POST").toLowerCase();
  const request = withHeaders(context, new Request(method, context.required("login_url")));
  context.requiredSecret("password");
  /** @type {[string, import("tokenhost-flow").Templatable][]} */
  const members = [
    [context.value("username_field") ?? "username", context.required("username")],
    [context.value("password_field") ?? "password", secret("password")],
    ...pairs(context, "parameters"),
  ];
  if (csrf !== undefined) {
    const name = context.value("csrf_to_name") ?? "X-CSRFToken";
    if (context.value("csrf_to") === "parameter") members.push([name, sensitive(csrf)]);
    else request.header(name, sensitive(csrf));
  }
  if (cookies.length > 0) {
    request.header("cookie", sensitive(cookies.map(([name, value]) => `${name}=${value}`).join("; ")));
  }
  if (method === "get") {
    for (const [name, value] of members) request.parameter(name, value);
    return request;
  }
  if (context.value("content_type") === "json") {
    const document = json();
    for (const [name, value] of members) document.add(name.startsWith("/") ? name : pointer(name), value);
    return request.json(document);
  }
  const body = form();
  for (const [name, value] of members) body.add(name, value);
  return request.form(body);
}

/** A request with the headers that the integration adds. */
function withHeaders(context, request) {
  request.header("accept", context.value("csrf_from") === "html" ? "*/*" : "application/json, */*");
  for (const [name, value] of pairs(context, "headers")) request.header(name, value);
  return request;
}

/** The CSRF token in the answer to the first request. */
function csrfOf(context, response) {
  const name = context.value("csrf_name") ?? "csrftoken";
  const from = context.value("csrf_from") ?? "cookie";
  const found =
    from === "cookie" ? answers.cookies(response, context.now).get(name)?.value
    : from === "header" ? answers.header(response, name)
    : from === "json" ? answers.at(answers.json(response), name)
    : ofPage(answers.text(response), name);
  if (typeof found !== "string" || found === "" || found.length > LONGEST || /[\u0000-\u001f\u007f]/.test(found)) {
    throw Failure.reconfigure("no_csrf_token", `the answer has no CSRF token ${name} (check csrf_url, csrf_from and csrf_name)`);
  }
  return found;
}

/** The value of an input, or the content of a meta, of this name in a page. */
function ofPage(page, name) {
  for (const [tag] of page.matchAll(/<(?:input|meta)\b[^>]*>/gi)) {
    const attributes = new Map();
    for (const [, key, , double, single, bare] of tag.matchAll(/([a-z-]+)\s*=\s*("([^"]*)"|'([^']*)'|([^\s"'>]+))/gi)) {
      attributes.set(key.toLowerCase(), double ?? single ?? bare);
    }
    if (attributes.get("name") === name) return unescapeHtml(attributes.get("value") ?? attributes.get("content") ?? "");
  }
  return undefined;
}

/** Text of an attribute. */
function unescapeHtml(text) {
  const named = { amp: "&", lt: "<", gt: ">", quot: '"' };
  return text.replace(/&(?:(amp|lt|gt|quot)|#(\d{1,6})|#x([0-9a-f]{1,5}));/gi, (_, name, decimal, hex) =>
    name ? named[name.toLowerCase()] : String.fromCodePoint(Math.min(decimal ? Number(decimal) : Number.parseInt(hex, 16), 0x10ffff)),
  );
}

/** The token of a login's answer. */
function tokenOf(context, response) {
  const from = context.value("token_from") ?? "json";
  const name = context.value("token_name") ?? "/token";
  const document = answers.json(response);
  const cookies = answers.cookies(response, context.now);
  let found =
    from === "json" ? answers.at(document, name) : from === "header" ? answers.header(response, name) : cookies.get(name)?.value;
  if (typeof found === "number") found = String(found);
  if (typeof found !== "string" || found.trim() === "") {
    // Of a page or a redirect after a refused login too: services say so with any status.
    throw Failure.reconfigure(
      "no_token",
      `the service answered HTTP ${response.status} without a token at ${name} (check username, password, token_from and token_name)`,
    );
  }
  const accessToken = found.trim().replace(from === "header" ? /^bearer\s+/i : /^$/, "");
  const pointer = context.value("lifetime_pointer");
  const maxAge = from === "cookie" ? cookies.get(name)?.maxAge : undefined;
  const lifetime = pointer === undefined ? { expiresIn: maxAge } : answers.lifetime(answers.at(document, pointer));
  const values = pairs(context, "value_pointers").flatMap(([key, at]) => {
    const value = answers.at(document, at);
    return ["string", "number", "boolean"].includes(typeof value) ? [[key, String(value)]] : [];
  });
  const token = { accessToken, ...lifetime, values, secrets: [], placements: [place(context)] };
  if (context.flag("keep_cookies")) {
    for (const [cookie, { value }] of cookies) {
      if (from === "cookie" && cookie === name) continue;
      token.secrets.push([`cookie_${cookie}`, value]);
      token.placements.push({ location: "cookie", name: cookie, value: [secret(`token.cookie_${cookie}`)] });
    }
  }
  return token;
}

/** Where the token goes in requests to the service. */
function place(context) {
  const where = context.value("place") ?? "authorization";
  const name = context.value("place_name") ?? "Bearer";
  const token = secret("token.access_token");
  if (where === "authorization") {
    return { location: "header", name: "Authorization", value: [{ tag: "text", val: `${name} ` }, token] };
  }
  return { location: where, name, value: [token] };
}

/** A field of words, each `name=value`. */
function pairs(context, field) {
  return context.words(field).map((word) => {
    const at = word.indexOf("=");
    if (at < 1) throw Failure.reconfigure("invalid_field", `the field ${field} has a word that isn't name=value`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
}

/** The pointer of a member. */
function pointer(name) {
  return `/${name.replace(/~/g, "~0").replace(/\//g, "~1")}`;
}
