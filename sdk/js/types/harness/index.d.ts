/**
 * Runs a flow natively, as the host would, so that it is tested by `node --test` without WebAssembly.
 *
 * It sends nothing: a test looks at the request, secrets shown as names, and gives the answer itself. What the host would
 * refuse, it refuses by an error that says so: values without a field, required fields that are not set, secrets that are
 * not set, and requests to an origin of none of the URL fields and of no endpoint in the metadata that was answered. It
 * computes no derived values.
 * @module
 */
import type { Context, Description, Event, Failure, Purpose, Response, Step, Token } from "../../types/contract.js";
import type { Exported } from "../flow.js";
/** An integration as a flow sees it, for tests. Each method that sets something returns another integration. */
export declare class Harness {
    #private;
    /** What the flow says of itself. @type {Description} */
    description: Description;
    /**
     * An integration of this flow in which only the fields' defaults are set. It is 2026-11-22T10:00:00Z.
     * @param {Exported} flow What the component exports as `flow`.
     */
    constructor(flow: Exported);
    /** Sets a field that is no secret, or `token.NAME`. @param {string} name @param {string} value */
    value(name: string, value: string): Harness;
    /** Sets several fields that are no secrets. @param {Record<string, string>} values */
    values(values: Record<string, string>): Harness;
    /** Says that secrets are set: fields, or of the present token `token.NAME`. @param {string[]} names */
    secret(...names: string[]): Harness;
    /**
     * Changes anything else of the context: the scheme, the time, the callback.
     * @param {(context: Context) => void} change
     */
    context(change: (context: Context) => void): Harness;
    /** Starts an attempt that acquires a token. */
    acquire(): Run;
    /** Starts an attempt that refreshes a token; it has a refresh token. */
    refresh(): Run;
    /** Starts an attempt that revokes a token. */
    revoke(): Run;
    /** Starts an attempt, after the host's check that each required field is set. @param {Purpose} purpose */
    begin(purpose: Purpose): Run;
    /** One step, from any event. @param {Event} event */
    step(event: Event): Run;
    /**
     * The same after an answer: where the request was for the provider's metadata, further ones may go where that says.
     * @param {string} url Where the request went.
     * @param {Response} response
     */
    told(url: string, response: Response): Harness;
}
/** An attempt after one of its steps. */
export declare class Run {
    #private;
    /** What the step came to: a step of the contract, or `failure`. */
    outcome: {
        tag: "failure";
        val: Failure;
    } | Step;
    /** @param {Harness} harness @param {Step | {tag: "failure", val: Failure}} outcome */
    constructor(harness: Harness, outcome: Step | {
        tag: "failure";
        val: Failure;
    });
    /**
     * The request that the flow wants sent, as text: method and URL, headers, body, then what the host computes. Secrets and
     * derived values stand as `{name}`, sensitive text as `{sensitive}`. Nothing is encoded.
     */
    request(): string;
    /** The flow's notes after this step. */
    state(): string;
    /**
     * The provider answers with JSON.
     * @param {number} status
     * @param {unknown} [body] Text as it is, anything else as JSON.
     * @param {Record<string, string | string[]>} [headers]
     */
    answer(status: number, body?: unknown, headers?: Record<string, string | string[]>): Run;
    /** The provider answers with anything; `response` makes it. @param {Response} response */
    answerWith(response: Response): Run;
    /**
     * The request gets no complete answer.
     * @param {boolean} left Whether any of it may have reached the provider.
     * @param {string} reason
     */
    unanswered(left: boolean, reason: string): Run;
    /** The wait is over. */
    elapsed(): Run;
    /** The person comes back with these query parameters. @param {[string, string][]} query */
    returned(query: [string, string][]): Run;
    /** The token that the attempt ended with. @returns {Token} */
    token(): Token;
    /** The failure that the attempt ended with. @returns {Failure} */
    failure(): Failure;
    /** The failure that the attempt ended with, as one line: code, remedy, message. */
    failureLine(): string;
}
/** A failure as one line: code, remedy, message. @param {Failure} failure */
export declare function failureLine({ code, message, remedy }: Failure): string;
/**
 * An answer of a provider, for tests.
 * @param {number} status
 * @param {Record<string, string | string[]>} [headers] A list: the header stands there so often.
 * @param {unknown} [body] Bytes and text as they are, anything else as JSON.
 * @returns {Response}
 */
export declare function response(status: number, headers?: Record<string, string | string[]>, body?: unknown): Response;
