/**
 * The token requests of RFC 6749 that most flows share: client authentication, scope, refresh. They read the fields that
 * `fields` declares, so a flow that uses them lists those.
 * @module
 */

/** @import { BasicEncoding, Purpose } from "../../types/contract.js" */
/** @import { Context } from "../context.js" */
/** @import { Form } from "../request.js" */
import { Failure } from "../context.js";
import { Derivation, form, Request, secret } from "../request.js";

export * as fields from "./fields.js";

/** The name of the derived value that holds the client's Basic credentials. */
const CLIENT_BASIC = "client_basic";

/** The encodings of the ways of client authentication by header. @type {Record<string, BasicEncoding | undefined>} */
const BASIC = { basic: "form", "basic-raw": "none", "basic-percent": "percent" };

/**
 * The request that acquires a token (RFC 6749 sections 4.3.2 and 4.4.2): `grant` and, where they are set, `scope`,
 * `audience` and `resource`, sent to `token_url` by the authenticated client.
 * @param {Context} context
 * @param {Form} grant
 * @throws {Failure} A field that the request needs is not set, or has a value that it can't have.
 */
export function acquire(context, grant) {
  grant.optional("scope", scope(context)).optional("audience", context.value("audience"));
  for (const resource of context.words("resource")) grant.text("resource", resource);
  return authenticated(context, context.required("token_url"), grant, "client_auth");
}

/**
 * The request that refreshes the token (RFC 6749 section 6), sent to `refresh_url`, else to `token_url`.
 *
 * It repeats `resource` (RFC 8707 section 2.2), `scope` only where `scope_on_refresh` is `send`, and no `audience`, to
 * which no standard gives a meaning there.
 * @param {Context} context
 * @throws {Failure} `refresh` is `never`, there is no refresh token, or a field has a value that it can't have.
 */
export function refresh(context) {
  if (context.value("refresh") === "never") {
    throw Failure.reacquire("refresh_disabled", "the field refresh is never");
  }
  if (!context.hasSecret("token.refresh_token")) {
    throw Failure.reacquire("no_refresh_token", "the present token has no refresh token");
  }
  const own = context.value("refresh_client_auth") ?? "same";
  const parameters = form().text("grant_type", "refresh_token").secret("refresh_token", "token.refresh_token");
  if (context.value("scope_on_refresh") === "send") parameters.optional("scope", scope(context));
  for (const resource of context.words("resource")) parameters.text("resource", resource);
  const url = context.value("refresh_url") ?? context.required("token_url");
  return authenticated(context, url, parameters, own === "same" ? "client_auth" : "refresh_client_auth");
}

/**
 * A standard flow's request: `acquire` with this grant, `refresh`, and no revocation.
 * @param {Context} context
 * @param {Purpose} purpose
 * @param {Form} grant
 * @throws {Failure} Those of the two, and `unsupported` for a revocation.
 */
export function request(context, purpose, grant) {
  if (purpose === "acquire") return acquire(context, grant);
  if (purpose === "refresh") return refresh(context);
  throw Failure.unsupported("this flow knows no address at which a token is revoked");
}

/**
 * A `POST` of these parameters by the client, which authenticates itself as the field says (RFC 6749 section 2.3).
 * @param {Context} context
 * @param {string} url
 * @param {Form} parameters
 * @param {string} field
 */
function authenticated(context, url, parameters, field) {
  const method = context.value(field) ?? "basic";
  const encoding = Object.hasOwn(BASIC, method) ? BASIC[method] : undefined;
  if (encoding === undefined && method !== "post" && method !== "none") {
    throw Failure.reconfigure("invalid_field", `the field ${field} can't be ${method}`);
  }
  const clientId = context.required("client_id");
  if (method !== "none") context.requiredSecret("client_secret");
  const request = Request.post(url).header("accept", "application/json");
  if (encoding !== undefined) {
    return request
      .header("authorization", ["Basic ", secret(CLIENT_BASIC)])
      .derive(CLIENT_BASIC, Derivation.basic(clientId, secret("client_secret"), encoding))
      .form(parameters);
  }
  parameters.text("client_id", clientId);
  if (method === "post") parameters.secret("client_secret", "client_secret");
  return request.form(parameters);
}

/** The wanted scope, its words separated by one space, if there is any. @param {Context} context */
function scope(context) {
  return context.words("scope").join(" ") || undefined;
}
