/**
 * The authorization-code grant (RFC 6749 section 4.1) with PKCE (RFC 7636): where a person is sent, what is read of their
 * return (RFC 9207), and the request that redeems the code.
 * @module
 */
import type { Event, Field as Made, Returned, Step } from "../../types/contract.js";
import type { Context } from "../context.js";
import type { Request } from "../request.js";
/** `authorization_url`. */
export declare const authorizationUrl: () => Made;
/** What else can be said where a person is sent away: `authorize_parameters` and `issuer`. @returns {Made[]} */
export declare const authorize: () => Made[];
/** `authorize_parameters`. */
export declare const parameters: () => Made;
/**
 * The steps of the grant: the person is sent away, their code redeemed; then refresh and revocation as in every flow.
 * @param {Context} context
 * @param {Event} event
 * @returns {Step}
 * @throws {Failure} A field is not set or can't be used, the provider refused the person or the client, or its answer holds
 *   no token.
 */
export declare function advance(context: Context, event: Event): Step;
/**
 * The URL to send a person to (RFC 6749 section 4.1.1, RFC 7636 section 4.3), with the challenge of this verifier.
 * @param {Context} context
 * @param {string} verifier
 * @throws {Failure} A field is not set or can't be used, or the host gave no callback.
 */
export declare function url(context: Context, verifier: string): string;
/**
 * The code that a person came back with (RFC 6749 section 4.1.2).
 * @param {Context} context
 * @param {Returned} returned
 * @throws {Failure} The provider sent them back with an error, or without a code, or it wasn't the provider that they were
 *   sent to.
 */
export declare function code(context: Context, returned: Returned): string;
/**
 * The request that redeems a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
 * @param {Context} context
 * @param {string} code
 * @param {string} verifier
 * @returns {Request}
 * @throws {Failure} A field is not set or can't be used, or the host gave no callback.
 */
export declare function redeem(context: Context, code: string, verifier: string): Request;
