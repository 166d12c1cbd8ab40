/**
 * Proof Key for Code Exchange (RFC 7636), method `S256`: what ties a code to the attempt that asked for it.
 * @module
 */
import type { Context } from "../context.js";
/** A new code verifier (section 4.1), made of the step's random bytes: 43 characters. It belongs in the flow's state. @param {Context} context */
export declare const verifier: (context: Context) => string;
/** The code challenge of a verifier (section 4.2, `S256`). @param {string} verifier */
export declare const challenge: (verifier: string) => string;
