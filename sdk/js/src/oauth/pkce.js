/**
 * Proof Key for Code Exchange (RFC 7636), method `S256`: what ties a code to the attempt that asked for it.
 * @module
 */

/** @import { Context } from "../context.js" */
import { encode } from "../token-response/text.js";
import { sha256 } from "./sha256.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** A new code verifier (section 4.1), made of the step's random bytes: 43 characters. It belongs in the flow's state. @param {Context} context */
export const verifier = (context) => base64url(context.entropy);

/** The code challenge of a verifier (section 4.2, `S256`). @param {string} verifier */
export const challenge = (verifier) => base64url(sha256(encode(verifier)));

/** RFC 4648 section 5, without padding. @param {Uint8Array} bytes */
function base64url(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const three = (bytes[at] << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    const signs = [18, 12, 6, 0].map((by) => ALPHABET[(three >> by) & 63]);
    text += signs.slice(0, Math.min(bytes.length - at, 3) + 1).join("");
  }
  return text;
}
