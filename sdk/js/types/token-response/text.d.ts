/**
 * Bytes to text, and form-encoded text to members: what the language itself doesn't have outside of Node.js and browsers.
 * Anything can be decoded; what is no text becomes U+FFFD.
 * @module
 */
/**
 * The text of a body. A byte order mark says which Unicode it is; without one it is UTF-8.
 * @param {Uint8Array} body
 * @returns {string}
 */
export declare function decode(body: Uint8Array): string;
/** UTF-8. @param {Uint8Array} bytes */
export declare function utf8(bytes: Uint8Array): string;
/** The bytes of a text in UTF-8. @param {string} text @returns {Uint8Array} */
export declare function encode(text: string): Uint8Array;
/**
 * The pairs of `application/x-www-form-urlencoded` text, in order, as the URL Standard has it.
 * @param {string} text
 * @returns {[string, string][]}
 */
export declare function formPairs(text: string): [string, string][];
