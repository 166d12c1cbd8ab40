/**
 * Helpers for answers that are no token responses of OAuth: headers, cookies, JSON pointers. For those of OAuth there is
 * `tokenResponse`.
 * @module
 */
import type { Response } from "../types/contract.js";
import { encode } from "./token-response/text.js";
export { encode as utf8 };
/** The text of the body. A byte order mark says which Unicode it is; without one it is UTF-8. @param {Response} response */
export declare const text: (response: Response) => string;
/**
 * The body as JSON; `undefined` if it is none, or nests more than 127 deep, for which QuickJS has no stack.
 * @param {Response} response
 * @returns {unknown}
 */
export declare function json(response: Response): unknown;
/**
 * The values of a header, in order.
 * @param {Response} response
 * @param {string} name
 * @returns {string[]}
 */
export declare function headers(response: Response, name: string): string[];
/**
 * The first value of a header.
 * @param {Response} response
 * @param {string} name
 * @returns {string | undefined}
 */
export declare const header: (response: Response, name: string) => string | undefined;
/**
 * The cookies that the answer sets and doesn't delete, by name (RFC 6265 section 5.2). Path and domain are not looked at.
 * @param {Response} response
 * @param {number} now Seconds since the Unix epoch.
 * @returns {Map<string, {value: string, maxAge: number | undefined}>} `maxAge`: seconds from now, where it is said.
 */
export declare function cookies(response: Response, now: number): Map<string, {
    value: string;
    maxAge: number | undefined;
}>;
/**
 * What a JSON pointer (RFC 6901) leads to, e.g. `/data/0/token`; `undefined` if nothing is there.
 * @param {unknown} document
 * @param {string} pointer
 * @returns {unknown}
 */
export declare function at(document: unknown, pointer: string): unknown;
/**
 * How long something is good, in whatever way a provider says it: seconds from now, or a moment in seconds, milliseconds or
 * RFC 3339. Nothing, if it says nothing of use.
 * @param {unknown} said
 * @returns {{expiresIn?: number, expiresAt?: number}}
 */
export declare function lifetime(said: unknown): {
    expiresIn?: number;
    expiresAt?: number;
};
