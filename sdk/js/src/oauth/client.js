/**
 * How a client authenticates itself at an endpoint (RFC 6749 section 2.3, RFC 7523, RFC 8705). Reads the fields of
 * `fields.client` and `fields.clientAuth`. Which method a provider wants is the operator's to say; nothing is tried in turn
 * here.
 * @module
 */

/** @import { BasicEncoding, Derivation as Computed } from "../../types/contract.js" */
/** @import { Context } from "../context.js" */
/** @import { Form } from "../request.js" */
import { Failure } from "../context.js";
import { Derivation, json, Request, secret } from "../request.js";

/** The name of the derived value that holds the client's Basic credentials. */
const CLIENT_BASIC = "client_basic";

/** The name of the derived value that holds the client's assertion. */
const CLIENT_ASSERTION = "client_assertion";

/** What says that a client's assertion is a JWT (RFC 7523 section 2.2). */
const JWT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/**
 * How long an assertion is good, in seconds. Long enough for clocks that differ by minutes, short enough for the providers
 * that allow five minutes at most.
 */
const ASSERTION_LIFETIME = 240;

/**
 * How a client authenticates itself, as the fields name it.
 * - `basic`, `basic-raw`, `basic-percent`: by the `Authorization` header, name and secret encoded first in this way.
 * - `post`: by `client_id` and `client_secret` among the parameters.
 * - `client_secret_jwt`: by an assertion that the client's secret signs (OpenID Connect Core section 9).
 * - `private_key_jwt`: by an assertion that the client's private key signs (RFC 7523 section 2.2).
 * - `tls_client_auth`: by the certificate of the connection (RFC 8705), which is a setting of the integration's transport;
 *   the parameters only say the `client_id`.
 * - `none`: not at all; a public client only says its `client_id` (RFC 6749 section 3.2.1).
 * @typedef {"basic" | "basic-raw" | "basic-percent" | "post" | "client_secret_jwt" | "private_key_jwt" | "tls_client_auth" |
 *   "none"} ClientAuth
 */

/** The methods, in the order in which a form shows them. @type {readonly ClientAuth[]} */
export const METHODS = Object.freeze([
  "basic", "basic-raw", "basic-percent", "post", "client_secret_jwt", "private_key_jwt", "tls_client_auth", "none",
]);

/** @type {Partial<Record<ClientAuth, BasicEncoding>>} */
const BASIC = { basic: "form", "basic-raw": "none", "basic-percent": "percent" };

/**
 * The method that a field names; RFC 6749's own where none is named.
 * @param {Context} context
 * @param {string} field
 * @returns {ClientAuth}
 * @throws {Failure} The field has a value that it can't have.
 */
export function clientAuth(context, field) {
  const wanted = context.value(field) ?? "basic";
  const method = METHODS.find((known) => known === wanted);
  if (method === undefined) throw Failure.reconfigure("invalid_field", `the field ${field} can't be ${wanted}`);
  return method;
}

/**
 * A `POST` of these parameters to `url` by the authenticated client.
 * @param {Context} context
 * @param {string} url
 * @param {Form} parameters
 * @param {ClientAuth} method
 * @throws {Failure} A field that the method needs is not set, or has a value that it can't have.
 */
export function authenticated(context, url, parameters, method) {
  // Grants that say by themselves who is asking need no client.
  const clientId = method === "none" ? (context.value("client_id") ?? "") : context.required("client_id");
  const request = Request.post(url).header("accept", "application/json");
  switch (method) {
    case "private_key_jwt":
      context.requiredSecret("private_key");
      return asserted(context, request, parameters, clientId, "private_key", "RS256");
    case "client_secret_jwt":
      context.requiredSecret("client_secret");
      return asserted(context, request, parameters, clientId, "client_secret", "HS256");
    case "post":
      context.requiredSecret("client_secret");
      parameters.text("client_id", clientId).secret("client_secret", "client_secret");
      return written(context, request, parameters);
    case "tls_client_auth":
    case "none":
      return written(context, request, parameters.optional("client_id", clientId));
    default:
      context.requiredSecret("client_secret");
      request
        .header("authorization", ["Basic ", secret(CLIENT_BASIC)])
        .derive(CLIENT_BASIC, Derivation.basic(clientId, secret("client_secret"), BASIC[method]));
      return written(context, request, parameters);
  }
}

/**
 * The request with these parameters, written as the field `request_body` says.
 * @param {Context} context
 * @param {Request} request
 * @param {Form} parameters
 */
function written(context, request, parameters) {
  const how = context.value("request_body") ?? "form";
  if (how === "form") return request.form(parameters);
  if (how === "json") return request.json(parameters.toJson());
  throw Failure.reconfigure("invalid_field", `the field request_body can't be ${how}`);
}

/**
 * The same with an assertion that `key` signs, by `usual` where no algorithm is set.
 *
 * `client_id` is sent too, though the assertion holds it: RFC 7521 section 4.2 allows that, and many providers find the
 * client by it.
 * @param {Context} context
 * @param {Request} request
 * @param {Form} parameters
 * @param {string} clientId
 * @param {"client_secret" | "private_key"} key
 * @param {string} usual
 */
function asserted(context, request, parameters, clientId, key, usual) {
  const aud = audience(context);
  const algorithm = context.value("signing_algorithm") ?? usual;
  if (algorithm.startsWith("HS") !== (key === "client_secret")) {
    const message = `the field signing_algorithm is ${algorithm}, which doesn't go with ${key}`;
    throw Failure.reconfigure("invalid_field", message);
  }
  const claims = { key, algorithm, issuer: clientId, subject: clientId, audience: aud };
  parameters
    .text("client_id", clientId)
    .text("client_assertion_type", JWT_ASSERTION)
    .secret("client_assertion", CLIENT_ASSERTION);
  return written(context, request.derive(CLIENT_ASSERTION, assertion(context, claims)), parameters);
}

/**
 * A JWT that asserts who its issuer is, or for whom it acts (RFC 7523 section 3).
 * @typedef {object} Assertion
 * @property {string} key The secret that signs it: PEM, JWK, or for `HS*` the bytes themselves.
 * @property {string} algorithm The algorithm of RFC 7518, e.g. `RS256`.
 * @property {string} issuer `iss`.
 * @property {string} [subject] `sub`; without one, the assertion has none.
 * @property {string} audience `aud`.
 * @property {string} [scope] `scope`, where a provider wants it within the JWT.
 */

/**
 * The derived value: `iat` now, `exp` four minutes later, a fresh `jti`, and `kid` from the field `key_id`.
 *
 * The `jti` is made of the last 16 bytes of the step's entropy. A flow that needs something unguessable in the same step
 * takes the first 16.
 * @param {Context} context
 * @param {Assertion} assertion
 * @returns {Computed}
 */
export function assertion(context, { key, algorithm, issuer, subject, audience, scope }) {
  const claims = json().text("/iss", issuer);
  if (subject !== undefined) claims.text("/sub", subject);
  claims.text("/aud", audience);
  if (scope !== undefined) claims.text("/scope", scope);
  const last = Array.from(context.entropy).slice(-16).reverse();
  claims
    .text("/jti", last.map((byte) => byte.toString(16).padStart(2, "0")).join(""))
    .literal("/iat", context.now)
    .literal("/exp", context.now + ASSERTION_LIFETIME);
  const keyId = context.value("key_id");
  return Derivation.jwt(algorithm, key, claims, keyId === undefined ? undefined : json().text("/kid", keyId));
}

/**
 * The `aud` of assertions: the field `assertion_audience`, else the token URL without its query, for all endpoints alike.
 * @param {Context} context
 * @throws {Failure} Neither is set.
 */
export function audience(context) {
  return context.value("assertion_audience") ?? context.required("token_url").split(/[?#]/, 1)[0];
}
