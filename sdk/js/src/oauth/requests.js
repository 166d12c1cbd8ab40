/**
 * The requests that most flows share: acquire with a grant, refresh, revoke. They read the fields that `fields` declares.
 * @module
 */

/** @import { Purpose } from "../../types/contract.js" */
/** @import { Context } from "../context.js" */
/** @import { Form, Request } from "../request.js" */
import { Failure } from "../context.js";
import { form } from "../request.js";
import { authenticated, clientAuth } from "./client.js";

/**
 * The request that acquires a token (RFC 6749 sections 4.3.2 and 4.4.2): `grant` and, where they are set, `scope`,
 * `audience` and `resource`, sent to `token_url` by the authenticated client.
 * @param {Context} context
 * @param {Form} grant
 * @returns {Request}
 * @throws {Failure} A field that the request needs is not set, or has a value that it can't have.
 */
export function acquire(context, grant) {
  grant.optional("scope", scope(context)).optional("audience", context.value("audience"));
  for (const resource of context.words("resource")) grant.text("resource", resource);
  return ask(context, grant);
}

/**
 * A request of exactly these parameters, sent to `token_url` by the authenticated client: for grants that write scope and
 * audience in their own way.
 * @param {Context} context
 * @param {Form} parameters
 * @returns {Request}
 * @throws {Failure} As `acquire`.
 */
export function ask(context, parameters) {
  return authenticated(context, context.required("token_url"), parameters, clientAuth(context, "client_auth"));
}

/**
 * The request that refreshes the token (RFC 6749 section 6), sent to `refresh_url`, else to `token_url`.
 *
 * It repeats `resource` (RFC 8707 section 2.2), `scope` only where `scope_on_refresh` is `send`, and no `audience`, to
 * which no standard gives a meaning there.
 * @param {Context} context
 * @returns {Request}
 * @throws {Failure} `refresh` is `never`, there is no refresh token, or a field is not set or has a value that it
 *   can't have.
 */
export function refresh(context) {
  if (context.value("refresh") === "never") {
    throw Failure.reacquire("refresh_disabled", "the field refresh is never");
  }
  if (!context.hasSecret("token.refresh_token")) {
    throw Failure.reacquire("no_refresh_token", "the present token has no refresh token");
  }
  const same = (context.value("refresh_client_auth") ?? "same") === "same";
  const method = clientAuth(context, same ? "client_auth" : "refresh_client_auth");
  const url = context.value("refresh_url") ?? context.required("token_url");
  const parameters = form().text("grant_type", "refresh_token").secret("refresh_token", "token.refresh_token");
  if (context.value("scope_on_refresh") === "send") parameters.optional("scope", scope(context));
  for (const resource of context.words("resource")) parameters.text("resource", resource);
  return authenticated(context, url, parameters, method);
}

/**
 * The request that revokes the token (RFC 7009 section 2.1), sent to `revocation_url`: the refresh token where there is one,
 * since its end is the end of the access tokens got with it, else the access token.
 * @param {Context} context
 * @returns {Request}
 * @throws {Failure} `unsupported` where `revocation_url` is not set; there is no token, or a field is not set or has a value
 *   that it can't have.
 */
export function revoke(context) {
  const url = context.value("revocation_url");
  if (url === undefined) {
    throw Failure.unsupported("the field revocation_url is not set, so that no token can be revoked");
  }
  const hint = context.hasSecret("token.refresh_token") ? "refresh_token" : "access_token";
  context.requiredSecret(`token.${hint}`);
  const parameters = form().secret("token", `token.${hint}`).text("token_type_hint", hint);
  return authenticated(context, url, parameters, clientAuth(context, "client_auth"));
}

/**
 * A standard flow's request: `acquire` with this grant, `refresh`, or `revoke`.
 * @param {Context} context
 * @param {Purpose} purpose
 * @param {Form} grant
 * @returns {Request}
 * @throws {Failure} Those of the three.
 */
export function request(context, purpose, grant) {
  if (purpose === "acquire") return acquire(context, grant);
  return purpose === "refresh" ? refresh(context) : revoke(context);
}

/**
 * The wanted scope, its words separated as the field `scope_separator` says, if there is any.
 * @param {Context} context
 * @returns {string | undefined}
 */
export function scope(context) {
  const separator = { comma: ",", plus: "+" }[context.value("scope_separator") ?? ""] ?? " ";
  return context.words("scope").join(separator) || undefined;
}
