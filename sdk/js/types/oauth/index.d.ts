/**
 * The token requests of RFC 6749 that most flows share: client authentication, scope, refresh. They read the fields that
 * `fields` declares, so a flow that uses them lists those.
 * @module
 */
import type { Purpose } from "../../types/contract.js";
import type { Context } from "../context.js";
import type { Form } from "../request.js";
import { Request } from "../request.js";
export * as fields from "./fields.js";
/**
 * The request that acquires a token (RFC 6749 sections 4.3.2 and 4.4.2): `grant` and, where they are set, `scope`,
 * `audience` and `resource`, sent to `token_url` by the authenticated client.
 * @param {Context} context
 * @param {Form} grant
 * @throws {Failure} A field that the request needs is not set, or has a value that it can't have.
 */
export declare function acquire(context: Context, grant: Form): Request;
/**
 * The request that refreshes the token (RFC 6749 section 6), sent to `refresh_url`, else to `token_url`.
 *
 * It repeats `resource` (RFC 8707 section 2.2), `scope` only where `scope_on_refresh` is `send`, and no `audience`, to
 * which no standard gives a meaning there.
 * @param {Context} context
 * @throws {Failure} `refresh` is `never`, there is no refresh token, or a field has a value that it can't have.
 */
export declare function refresh(context: Context): Request;
/**
 * A standard flow's request: `acquire` with this grant, `refresh`, and no revocation.
 * @param {Context} context
 * @param {Purpose} purpose
 * @param {Form} grant
 * @throws {Failure} Those of the two, and `unsupported` for a revocation.
 */
export declare function request(context: Context, purpose: Purpose, grant: Form): Request;
