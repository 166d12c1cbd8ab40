/**
 * Helpers for answers that are no token responses of OAuth: headers, cookies, JSON pointers. For those of OAuth there is
 * `tokenResponse`.
 * @module
 */

/** @import { Response } from "../types/contract.js" */
import { tooDeep } from "./token-response/answer.js";
import { decode, encode } from "./token-response/text.js";
import { rfc3339 } from "./token-response/time.js";

export { encode as utf8 };

/** The text of the body. A byte order mark says which Unicode it is; without one it is UTF-8. @param {Response} response */
export const text = (response) => decode(response.body);

/**
 * The body as JSON; `undefined` if it is none, or nests more than 127 deep, for which QuickJS has no stack.
 * @param {Response} response
 * @returns {unknown}
 */
export function json(response) {
  const said = text(response).trim();
  if (tooDeep(said)) return undefined;
  try {
    return JSON.parse(said);
  } catch {
    return undefined;
  }
}

/**
 * The values of a header, in order.
 * @param {Response} response
 * @param {string} name
 * @returns {string[]}
 */
export function headers(response, name) {
  const wanted = name.toLowerCase();
  return response.headers.filter(([known]) => known.toLowerCase() === wanted).map(([, value]) => value);
}

/**
 * The first value of a header.
 * @param {Response} response
 * @param {string} name
 * @returns {string | undefined}
 */
export const header = (response, name) => headers(response, name)[0];

/**
 * The cookies that the answer sets and doesn't delete, by name (RFC 6265 section 5.2). Path and domain are not looked at.
 * @param {Response} response
 * @param {number} now Seconds since the Unix epoch.
 * @returns {Map<string, {value: string, maxAge: number | undefined}>} `maxAge`: seconds from now, where it is said.
 */
export function cookies(response, now) {
  const found = new Map();
  for (const line of headers(response, "set-cookie")) {
    const [pair, ...attributes] = line.split(";");
    const at = pair.indexOf("=");
    if (at < 1) continue;
    let maxAge;
    let expires;
    for (const attribute of attributes) {
      const [key, ...rest] = attribute.split("=");
      const value = rest.join("=").trim();
      if (/^\s*max-age\s*$/i.test(key) && /^-?\d+$/.test(value)) maxAge = Number(value);
      if (/^\s*expires\s*$/i.test(key)) expires = expiry(value);
    }
    if (maxAge === undefined && expires !== undefined) maxAge = Math.floor(expires - now);
    const name = pair.slice(0, at).trim();
    if (maxAge !== undefined && maxAge <= 0) found.delete(name);
    else found.set(name, { value: pair.slice(at + 1).trim(), maxAge });
  }
  return found;
}

/** A cookie's date, in the spellings that are seen. @param {string} text */
function expiry(text) {
  const found = /(\d{1,2})[ -]([a-z]{3})[a-z]*[ -](\d{4}|\d\d) (\d\d?):(\d\d?):(\d\d?)/i.exec(text);
  if (!found) return undefined;
  const month = "janfebmaraprmayjunjulaugsepoctnovdec".indexOf(found[2].toLowerCase()) / 3;
  if (!Number.isInteger(month) || month < 0) return undefined;
  let year = Number(found[3]);
  if (year < 100) year += year < 70 ? 2000 : 1900;
  return Date.UTC(year, month, Number(found[1]), Number(found[4]), Number(found[5]), Number(found[6])) / 1000;
}

/**
 * What a JSON pointer (RFC 6901) leads to, e.g. `/data/0/token`; `undefined` if nothing is there.
 * @param {unknown} document
 * @param {string} pointer
 * @returns {unknown}
 */
export function at(document, pointer) {
  if (pointer === "") return document;
  if (!pointer.startsWith("/")) return undefined;
  let value = document;
  for (const key of pointer.slice(1).split("/")) {
    const name = key.replace(/~1/g, "/").replace(/~0/g, "~");
    if (Array.isArray(value)) {
      value = /^(0|[1-9]\d*)$/.test(name) ? value[Number(name)] : undefined;
    } else if (typeof value === "object" && value !== null && Object.hasOwn(value, name)) {
      value = /** @type {Record<string, unknown>} */ (value)[name];
    } else {
      return undefined;
    }
  }
  return value;
}

/**
 * How long something is good, in whatever way a provider says it: seconds from now, or a moment in seconds, milliseconds or
 * RFC 3339. Nothing, if it says nothing of use.
 * @param {unknown} said
 * @returns {{expiresIn?: number, expiresAt?: number}}
 */
export function lifetime(said) {
  const number = typeof said === "string" && /^\s*\d+(\.\d+)?\s*$/.test(said) ? Number(said) : said;
  if (typeof number === "string") {
    const moment = rfc3339(number);
    return moment === undefined ? {} : { expiresAt: moment };
  }
  if (typeof number !== "number" || !(number >= 1)) return {};
  // As seconds from now the first would be 30 years, as a moment in milliseconds the second is in 1973.
  if (number < 1_000_000_000) return { expiresIn: Math.floor(number) };
  return { expiresAt: Math.floor(number < 100_000_000_000 ? number : number / 1000) };
}
