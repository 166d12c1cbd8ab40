/**
 * The requests that most flows share: acquire with a grant, refresh, revoke. They read the fields that `fields` declares.
 * @module
 */
import type { Purpose } from "../../types/contract.js";
import type { Context } from "../context.js";
import type { Form, Request } from "../request.js";
/**
 * The request that acquires a token (RFC 6749 sections 4.3.2 and 4.4.2): `grant` and, where they are set, `scope`,
 * `audience` and `resource`, sent to `token_url` by the authenticated client.
 * @param {Context} context
 * @param {Form} grant
 * @returns {Request}
 * @throws {Failure} A field that the request needs is not set, or has a value that it can't have.
 */
export declare function acquire(context: Context, grant: Form): Request;
/**
 * A request of exactly these parameters, sent to `token_url` by the authenticated client: for grants that write scope and
 * audience in their own way.
 * @param {Context} context
 * @param {Form} parameters
 * @returns {Request}
 * @throws {Failure} As `acquire`.
 */
export declare function ask(context: Context, parameters: Form): Request;
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
export declare function refresh(context: Context): Request;
/**
 * The request that revokes the token (RFC 7009 section 2.1), sent to `revocation_url`: the refresh token where there is one,
 * since its end is the end of the access tokens got with it, else the access token.
 * @param {Context} context
 * @returns {Request}
 * @throws {Failure} `unsupported` where `revocation_url` is not set; there is no token, or a field is not set or has a value
 *   that it can't have.
 */
export declare function revoke(context: Context): Request;
/**
 * A standard flow's request: `acquire` with this grant, `refresh`, or `revoke`.
 * @param {Context} context
 * @param {Purpose} purpose
 * @param {Form} grant
 * @returns {Request}
 * @throws {Failure} Those of the three.
 */
export declare function request(context: Context, purpose: Purpose, grant: Form): Request;
/**
 * The wanted scope, its words separated as the field `scope_separator` says, if there is any.
 * @param {Context} context
 * @returns {string | undefined}
 */
export declare function scope(context: Context): string | undefined;
