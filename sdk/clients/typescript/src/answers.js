// What the daemon answers, typed. Reads loosely: a later daemon may add members.

import { BadAnswer } from "./errors.js";

/**
 * A valid token.
 *
 * @typedef {object} Token
 * @property {string} accessToken the token itself
 * @property {string} tokenType how it is used; mostly `Bearer`
 * @property {number} generation its number within the integration; name it in a rejection
 * @property {string} [scope] the scopes that the provider granted, space-separated
 * @property {number} [expiresIn] seconds left, where that is known
 * @property {string} [expiresAt] when it ends (RFC 3339), where that is known
 * @property {string} [createdAt] when the request for it left (RFC 3339)
 */

/**
 * What became of a rejection.
 *
 * @typedef {object} Rejection
 * @property {string} result `renewing`, or `not_current`: there is a newer token already
 * @property {number} [generation] the number of the newer one
 */

/**
 * What to add to a request so that the service lets it in.
 *
 * @typedef {object} Authorization
 * @property {string} url the request's URL at the service
 * @property {Record<string, string>} headers headers to set
 * @property {Record<string, string>} query parameters to add to the query
 * @property {Record<string, string>} cookies cookies to send
 * @property {Record<string, unknown>[]} tokens the tokens that it came from, each with `scheme` and `generation`
 * @property {number} [generation] of the first token: its number
 * @property {number} [expiresIn] of the first token: seconds left
 */

/**
 * What the service answered to a call, whatever its status.
 *
 * @typedef {object} Answer
 * @property {number} status the service's status
 * @property {boolean} ok whether that is one of success
 * @property {Record<string, string>} headers its headers, names in lower case
 * @property {any} body JSON, or text; a `Uint8Array` where it is neither
 * @property {string} [url] the URL that was called
 * @property {Record<string, unknown>} done what the daemon did: `tokens`, `renewed`, `retried`, `attempts`
 */

/**
 * @param {unknown} answer
 * @returns {Token}
 */
export function token(answer) {
  const document = object(answer);
  return {
    accessToken: /** @type {string} */ (member(document, "access_token", "string")),
    tokenType: optional(document, "token_type", "string") ?? "Bearer",
    generation: /** @type {number} */ (member(document, "generation", "number")),
    ...given({
      scope: optional(document, "scope", "string"),
      expiresIn: optional(document, "expires_in", "number"),
      expiresAt: optional(document, "expires_at", "string"),
      createdAt: optional(document, "created_at", "string"),
    }),
  };
}

/**
 * @param {unknown} answer
 * @returns {Rejection}
 */
export function rejection(answer) {
  const document = object(answer);
  return {
    result: /** @type {string} */ (member(document, "result", "string")),
    ...given({ generation: optional(document, "generation", "number") }),
  };
}

/**
 * @param {unknown} answer
 * @returns {Authorization}
 */
export function authorization(answer) {
  const document = object(answer);
  return {
    url: /** @type {string} */ (member(document, "url", "string")),
    headers: object(document.headers ?? {}),
    query: object(document.query ?? {}),
    cookies: object(document.cookies ?? {}),
    tokens: Array.isArray(document.tokens) ? document.tokens : [],
    ...given({
      generation: optional(document, "generation", "number"),
      expiresIn: optional(document, "expires_in", "number"),
    }),
  };
}

/**
 * @param {unknown} answer
 * @returns {Answer}
 */
export function answer(answer) {
  const document = object(answer);
  const status = /** @type {number} */ (member(document, "status", "number"));
  const encoded = optional(document, "body_base64", "string");
  return {
    status,
    ok: status >= 200 && status < 300,
    headers: object(document.headers ?? {}),
    body: encoded === undefined ? document.body : bytes(encoded),
    done: object(document.done ?? {}),
    ...given({ url: optional(document, "url", "string") }),
  };
}

/** @param {string} encoded */
function bytes(encoded) {
  try {
    return Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  } catch {
    throw new BadAnswer("the daemon's answer has a body_base64 that is none");
  }
}

/**
 * @param {unknown} value
 * @returns {any}
 */
function object(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new BadAnswer("something that is no tokenhost daemon answered; is TOKENHOST_URL right?");
  }
  return value;
}

/**
 * @param {any} document
 * @param {string} name
 * @param {"string" | "number"} type
 */
function optional(document, name, type) {
  return typeof document[name] === type ? document[name] : undefined;
}

/**
 * @param {any} document
 * @param {string} name
 * @param {"string" | "number"} type
 */
function member(document, name, type) {
  const value = optional(document, name, type);
  if (value === undefined) throw new BadAnswer(`the daemon's answer holds no ${name}; is TOKENHOST_URL right?`);
  return value;
}

/**
 * The members that have a value.
 *
 * @template {object} T
 * @param {T} members
 * @returns {T}
 */
export function given(members) {
  return /** @type {T} */ (Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)));
}
