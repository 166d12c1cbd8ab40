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

/** @import { Purpose, Response, Token } from "../../types/contract.js" */
/** @import { Context } from "../context.js" */
import { Answer, Unreadable } from "./answer.js";
import { byStatus, invalid, unreadable, withoutToken } from "./refusal.js";
import { rfc3339 } from "./time.js";

export { Answer, Unreadable };

/** Lifetimes beyond this count as this: 100 years, in seconds. */
const LONGEST = 100 * 365 * 86_400;

/** Numbers from here on are milliseconds since the epoch, not seconds: as seconds they'd be in the year 5138. */
const MILLISECONDS = 100_000_000_000;

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
export function parse(context, purpose, response) {
  const answer = read(response);
  const known = answer instanceof Answer ? answer : undefined;
  if (response.status < 200 || response.status > 299) throw byStatus(context, purpose, response, known);
  if (answer instanceof Unreadable) throw unreadable(purpose, response, answer);
  const accessToken = answer.text("access_token");
  if (accessToken === undefined) throw withoutToken(context, purpose, response, answer);
  // It ends up in a header (RFC 6749 appendix A.12 allows printable ASCII only).
  if (!/^[\x20-\x7e]*$/.test(accessToken)) {
    throw invalid(purpose, "an access_token with characters that can't stand in a header");
  }
  return {
    accessToken,
    refreshToken: answer.text("refresh_token"),
    tokenType: tokenType(answer.text("token_type")),
    expiresIn: lifetime(answer.number("expires_in")),
    expiresAt: expiresAt(answer),
    refreshExpiresIn: lifetime(answer.number("refresh_expires_in")),
    scope: answer.words("scope"),
  };
}

/**
 * Holds the answer to a revocation request (RFC 7009 section 2.2).
 * @param {Context} context
 * @param {Response} response
 * @throws {Failure} The provider refused, and what it said.
 */
export function revoked(context, response) {
  if (response.status >= 200 && response.status <= 299) return;
  const answer = read(response);
  throw byStatus(context, "revoke", response, answer instanceof Answer ? answer : undefined);
}

/** @param {Response} response */
function read(response) {
  try {
    return Answer.read(response);
  } catch (error) {
    if (error instanceof Unreadable) return error;
    throw error;
  }
}

/**
 * Scheme names are compared without case (RFC 9110 section 11.1), but services are seen that accept only `Bearer`. Apigee
 * says `BearerToken`, which is no scheme at all.
 * @param {string | undefined} said
 */
function tokenType(said) {
  return said !== undefined && /^bearer(token)?$/i.test(said) ? "Bearer" : said;
}

/** @param {number | undefined} seconds */
function lifetime(seconds) {
  return seconds === undefined ? undefined : Math.min(seconds, LONGEST);
}

/** Seconds since the epoch, of a number of seconds or milliseconds, or RFC 3339 text. @param {Answer} answer */
function expiresAt(answer) {
  const number = answer.number("expires_at");
  if (number === undefined) {
    const text = answer.text("expires_at");
    return text === undefined ? undefined : rfc3339(text);
  }
  return number >= MILLISECONDS ? Math.floor(number / 1000) : number;
}
