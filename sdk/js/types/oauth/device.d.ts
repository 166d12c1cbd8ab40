/**
 * Device authorization (RFC 8628): a person enters a code elsewhere, and meanwhile the token endpoint is asked again and
 * again.
 * @module
 */
import type { Event, Response, Step } from "../../types/contract.js";
import type { Context } from "../context.js";
import type { Request } from "../request.js";
/** `device_authorization_url`. */
export declare const deviceAuthorizationUrl: () => import("../../types/contract.js").Field;
/**
 * The steps of the grant: a code for the person, then polling; refresh and revocation as in every flow.
 * @param {Context} context
 * @param {Event} event
 * @returns {Step}
 * @throws {Failure} A field is not set or can't be used, the person or the provider refused, or the code has expired.
 */
export declare function advance(context: Context, event: Event): Step;
/**
 * The request for a code (section 3.1).
 * @param {Context} context
 * @returns {Request}
 * @throws {Failure} A field is not set or can't be used.
 */
export declare function authorize(context: Context): Request;
/** A device authorization under way, kept in the flow's state. */
export declare class Device {
    #private;
    /** @readonly */
    deviceCode: string;
    /** @readonly */
    interval: number;
    /** @readonly */
    expiresAt: number;
    /**
     * @param {string} deviceCode What the token endpoint knows it by.
     * @param {number} interval Seconds between two requests.
     * @param {number} expiresAt When the code ends, in seconds since the Unix epoch.
     */
    constructor(deviceCode: string, interval: number, expiresAt: number);
    /**
     * What the provider's answer to the request for a code (section 3.2) leads to: a wait, in which the person has to do
     * something.
     * @param {Context} context
     * @param {Response} response
     * @returns {Step}
     * @throws {Failure} It refused, or a member is missing.
     */
    static begin(context: Context, response: Response): Step;
    /**
     * The request that asks whether the person is done (section 3.4).
     * @param {Context} context
     * @returns {Request}
     * @throws {Failure} The code has expired, or a field is not set or can't be used.
     */
    poll(context: Context): Request;
    /**
     * What the provider's answer leads to: the token, or another wait (section 3.5).
     * @param {Context} context
     * @param {Response} response
     * @returns {Step}
     * @throws {Failure} The person refused, the code has expired, or the provider refused the client.
     */
    polled(context: Context, response: Response): Step;
    /** Another wait after a request that got no answer: twice as long as the last (section 3.5). @returns {Step} */
    later(): Step;
    /** It as the flow's state. */
    state(): string;
    /** It out of the flow's state. `undefined`: the state is another. @param {string} state @returns {Device | undefined} */
    static ofState(state: string): Device | undefined;
}
