import * as answers from "./answers.js";
export type Options = {
    /**
     * where the daemon is; else `TOKENHOST_URL`, else http://127.0.0.1:8420
     */
    url?: string;
    /**
     * the application or personal token to use; else `TOKENHOST_TOKEN`
     */
    token?: string;
    /**
     * seconds after which an answer isn't waited for; 75 (the daemon waits up to 30 for a token)
     */
    timeout?: number;
    /**
     * how often a request is sent once more after 429, 502, 503 or no answer, where it may be; 3
     */
    retries?: number;
    /**
     * the most seconds that one call waits in between; 30
     */
    maxWait?: number;
    /**
     * seconds that never step back
     */
    clock?: () => number;
    /**
     * how to wait
     */
    sleep?: (seconds: number) => Promise<void>;
};
/**
 * @typedef {object} Options
 * @property {string} [url] where the daemon is; else `TOKENHOST_URL`, else http://127.0.0.1:8420
 * @property {string} [token] the application or personal token to use; else `TOKENHOST_TOKEN`
 * @property {number} [timeout] seconds after which an answer isn't waited for; 75 (the daemon waits up to 30 for a token)
 * @property {number} [retries] how often a request is sent once more after 429, 502, 503 or no answer, where it may be; 3
 * @property {number} [maxWait] the most seconds that one call waits in between; 30
 * @property {() => number} [clock] seconds that never step back
 * @property {(seconds: number) => Promise<void>} [sleep] how to wait
 */
/** A client of the daemon. */
export declare class Client {
    #private;
    /** @param {Options} [options] */
    constructor(options?: Options);
    /**
     * A valid token of the integration, with at least `minTtl` seconds left as far as its tokens last that long.
     *
     * @param {string} name
     * @param {{ minTtl?: number, scope?: string }} [options]
     * @returns {Promise<answers.Token>}
     */
    token(name: string, options?: {
        minTtl?: number;
        scope?: string;
    }): Promise<answers.Token>;
    /**
     * Reports that the service refused the token of this generation; a newer one is got unless there is one.
     *
     * @param {string} name
     * @param {number} generation
     * @param {{ scope?: string }} [options]
     * @returns {Promise<answers.Rejection>}
     */
    reject(name: string, generation: number, options?: {
        scope?: string;
    }): Promise<answers.Rejection>;
    /**
     * What to add to a request for `operation`: an operation id, or `"GET /contacts"`. `bodySha256` (hex), `headers`, `query` (as
     * in the URL) and `challenge` are what signatures need of the request.
     *
     * @param {string} name
     * @param {string} operation
     * @param {{ minTtl?: number, bodySha256?: string, headers?: Record<string, string>, query?: string,
     *   challenge?: string }} [options]
     * @returns {Promise<answers.Authorization>}
     */
    authorize(name: string, operation: string, options?: {
        minTtl?: number;
        bodySha256?: string;
        headers?: Record<string, string>;
        query?: string;
        challenge?: string;
    }): Promise<answers.Authorization>;
    /**
     * Has the daemon call `operation` (an operation id, or `"GET /contacts/{id}"`); gives what the service answered.
     *
     * `body`: what JSON can hold, or a `Uint8Array`. `timeout`: seconds that the service has, rounded up. `repeatable`: whether the call may
     * reach the service twice, so that it is made once more where nobody knows whether it did.
     *
     * @param {string} name
     * @param {string} operation
     * @param {Record<string, unknown>} [parameters]
     * @param {unknown} [body]
     * @param {{ contentType?: string, headers?: Record<string, string>, timeout?: number, minTtl?: number,
     *   repeatable?: boolean }} [options]
     * @returns {Promise<answers.Answer>}
     */
    call(name: string, operation: string, parameters?: Record<string, unknown>, body?: unknown, options?: {
        contentType?: string;
        headers?: Record<string, string>;
        timeout?: number;
        minTtl?: number;
        repeatable?: boolean;
    }): Promise<answers.Answer>;
    /**
     * What adapters do after a 401: rejects this token and gets the next; undefined where there is no newer one.
     *
     * @param {string} name
     * @param {answers.Token} token
     * @param {{ scope?: string }} [options]
     * @returns {Promise<answers.Token | undefined>}
     */
    renewed(name: string, token: answers.Token, options?: {
        scope?: string;
    }): Promise<answers.Token | undefined>;
}
