/**
 * Reading the context, and saying why a flow gives up.
 * @module
 */
import type { Context as Given, Failure as Told, Remedy, Scheme, Unanswered } from "../types/contract.js";
/** @import { Context as Given, Failure as Told, Remedy, Scheme, Unanswered } from "../types/contract.js" */
/** What a flow is given at a step. */
export declare class Context {
    #private;
    /** @param {Given} given What the host passed. */
    constructor(given: Given);
    /**
     * The security scheme: its name, and its object in OpenAPI 3 form as JSON text.
     * @returns {Scheme}
     */
    get scheme(): Scheme;
    /** Seconds since the Unix epoch. */
    get now(): number;
    /** 32 random bytes, fresh for each step. What must last belongs in the state. */
    get entropy(): Uint8Array<ArrayBufferLike>;
    /** Where to send a person back to; `undefined` in flows without a person. */
    get callbackUrl(): string | undefined;
    /** The value for the provider to echo (`state` in RFC 6749) by which the host knows the attempt. */
    get returnKey(): string | undefined;
    /**
     * The value of a field, or of the present token as `token.NAME`. An empty value counts as none.
     * @param {string} name
     * @returns {string | undefined}
     */
    value(name: string): string | undefined;
    /**
     * The value of a field that the flow can't do without.
     * @param {string} name
     * @returns {string}
     * @throws {Failure} It isn't set; the failure names it.
     */
    required(name: string): string;
    /**
     * The words of a field of kind `words`.
     * @param {string} name
     * @returns {string[]}
     */
    words(name: string): string[];
    /**
     * Whether a field of kind `flag` is `true`.
     * @param {string} name
     */
    flag(name: string): boolean;
    /**
     * The same context, in which these values stand where nothing is set.
     * @param {Record<string, string>} values By name.
     * @returns {Context}
     */
    filled(values: Record<string, string>): Context;
    /**
     * Whether a secret of this name is set, e.g. `client_secret` or `token.refresh_token`.
     * @param {string} name
     */
    hasSecret(name: string): boolean;
    /**
     * Holds that a secret is set that the flow can't do without.
     * @param {string} name
     * @throws {Failure} It isn't set; the failure names it.
     */
    requiredSecret(name: string): void;
    /**
     * A secret that the operator lets this very component read; `undefined` unless granted.
     * @param {string} name
     * @returns {string | undefined}
     */
    revealed(name: string): string | undefined;
}
/**
 * Why an attempt ends without a token, and what can be done. A flow throws it. Any other error that a flow throws is a
 * fault of the flow: the host stops the step, and keeps the provider's answer for a repaired version.
 */
export declare class Failure extends Error {
    /** @readonly */
    code: string;
    /** @readonly */
    remedy: Remedy;
    /**
     * @param {string} code Of RFC 6749 where one fits, e.g. `invalid_grant`.
     * @param {string} message For people.
     * @param {Remedy} remedy What can be done.
     */
    constructor(code: string, message: string, remedy: Remedy);
    /**
     * The same request may work later, after `seconds` where the provider said so.
     * @param {string} code
     * @param {string} message
     * @param {number} [seconds]
     */
    static retry(code: string, message: string, seconds?: number): Failure;
    /**
     * The refresh token is no use any more: acquire anew.
     * @param {string} code
     * @param {string} message
     */
    static reacquire(code: string, message: string): Failure;
    /**
     * A person has to correct a field or consent again.
     * @param {string} code
     * @param {string} message
     */
    static reconfigure(code: string, message: string): Failure;
    /**
     * The flow doesn't do this, e.g. revoke.
     * @param {string} message
     */
    static unsupported(message: string): Failure;
    /**
     * What a standard flow answers where its request got no complete answer.
     * @param {Unanswered} what
     */
    static unanswered(what: Unanswered): Failure;
    /**
     * As the contract has it. The runtime takes nothing that is an `Error`.
     * @returns {Told}
     */
    toContract(): Told;
}
