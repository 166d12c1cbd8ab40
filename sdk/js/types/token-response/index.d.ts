/**
 * The one reader of token responses (RFC 6749 sections 5.1 and 5.2), for what providers really send.
 *
 * It takes: JSON or a form under any content type, a byte order mark, the members up to three objects deeper, their names
 * in camelCase, numbers as strings, `expires_in` missing, null, zero or negative (then the lifetime is unknown),
 * `expires_at` in seconds, milliseconds or RFC 3339, scope as an array or with commas, errors with status 200. Of duplicate
 * members the last counts. It doesn't guess where two objects could be the token, and it never puts any part of an answer
 * that it can't read into a message: that may hold a token.
 *
 * What it makes of an answer is what the parsers of the other languages make of it: they share a file of cases.
 * @module
 */
import type { Purpose, Response, Token } from "../../types/contract.js";
import type { Context } from "../context.js";
/** @import { Purpose, Response, Token } from "../../types/contract.js" */
/** @import { Context } from "../context.js" */
import { Answer, Unreadable } from "./answer.js";
export { Answer, Unreadable };
/**
 * The token in the answer to a token request.
 * @param {Context} context
 * @param {Purpose} purpose
 * @param {Response} response
 * @returns {Partial<Token>}
 * @throws {Failure} The answer holds no token: what the provider said, with a remedy that depends on what was asked for.
 *   After 429 and 5xx it is *retry*, with the provider's `Retry-After`. Else a complete refusal means *reacquire* on
 *   refresh and *reconfigure* on acquire. An answer that no token endpoint gives (a redirect, an HTML page) leaves the
 *   refresh token unjudged: *retry* on refresh, *reconfigure* on acquire.
 */
export declare function parse(context: Context, purpose: Purpose, response: Response): Partial<Token>;
/**
 * Holds the answer to a revocation request (RFC 7009 section 2.2).
 * @param {Context} context
 * @param {Response} response
 * @throws {Failure} The provider refused, and what it said.
 */
export declare function revoked(context: Context, response: Response): void;
