export type Token = {
    /**
     * the token itself
     */
    accessToken: string;
    /**
     * how it is used; mostly `Bearer`
     */
    tokenType: string;
    /**
     * its number within the integration; name it in a rejection
     */
    generation: number;
    /**
     * the scopes that the provider granted, space-separated
     */
    scope?: string;
    /**
     * seconds left, where that is known
     */
    expiresIn?: number;
    /**
     * when it ends (RFC 3339), where that is known
     */
    expiresAt?: string;
    /**
     * when the request for it left (RFC 3339)
     */
    createdAt?: string;
};
export type Rejection = {
    /**
     * `renewing`, or `not_current`: there is a newer token already
     */
    result: string;
    /**
     * the number of the newer one
     */
    generation?: number;
};
export type Authorization = {
    /**
     * the request's URL at the service
     */
    url: string;
    /**
     * headers to set
     */
    headers: Record<string, string>;
    /**
     * parameters to add to the query
     */
    query: Record<string, string>;
    /**
     * cookies to send
     */
    cookies: Record<string, string>;
    /**
     * the tokens that it came from, each with `scheme` and `generation`
     */
    tokens: Record<string, unknown>[];
    /**
     * of the first token: its number
     */
    generation?: number;
    /**
     * of the first token: seconds left
     */
    expiresIn?: number;
};
export type Answer = {
    /**
     * the service's status
     */
    status: number;
    /**
     * whether that is one of success
     */
    ok: boolean;
    /**
     * its headers, names in lower case
     */
    headers: Record<string, string>;
    /**
     * JSON, or text; a `Uint8Array` where it is neither
     */
    body: any;
    /**
     * the URL that was called
     */
    url?: string;
    /**
     * what the daemon did: `tokens`, `renewed`, `retried`, `attempts`
     */
    done: Record<string, unknown>;
};
/**
 * A valid token.
 *
 * @typedef {object} Token
 * @property {string} accessToken the token itself
 * @property {string} tokenType how it is used; mostly `Bearer`
 * @property {number} generation its number within the integration; name it in a rejection
 * @property {string} [scope] the scopes that the provider granted, space-separated
 * @property {number} [expiresIn] seconds left, where that is known
 * @property {string} [expiresAt] when it ends (RFC 3339), where that is known
 * @property {string} [createdAt] when the request for it left (RFC 3339)
 */
/**
 * What became of a rejection.
 *
 * @typedef {object} Rejection
 * @property {string} result `renewing`, or `not_current`: there is a newer token already
 * @property {number} [generation] the number of the newer one
 */
/**
 * What to add to a request so that the service lets it in.
 *
 * @typedef {object} Authorization
 * @property {string} url the request's URL at the service
 * @property {Record<string, string>} headers headers to set
 * @property {Record<string, string>} query parameters to add to the query
 * @property {Record<string, string>} cookies cookies to send
 * @property {Record<string, unknown>[]} tokens the tokens that it came from, each with `scheme` and `generation`
 * @property {number} [generation] of the first token: its number
 * @property {number} [expiresIn] of the first token: seconds left
 */
/**
 * What the service answered to a call, whatever its status.
 *
 * @typedef {object} Answer
 * @property {number} status the service's status
 * @property {boolean} ok whether that is one of success
 * @property {Record<string, string>} headers its headers, names in lower case
 * @property {any} body JSON, or text; a `Uint8Array` where it is neither
 * @property {string} [url] the URL that was called
 * @property {Record<string, unknown>} done what the daemon did: `tokens`, `renewed`, `retried`, `attempts`
 */
/**
 * @param {unknown} answer
 * @returns {Token}
 */
export declare function token(answer: unknown): Token;
/**
 * @param {unknown} answer
 * @returns {Rejection}
 */
export declare function rejection(answer: unknown): Rejection;
/**
 * @param {unknown} answer
 * @returns {Authorization}
 */
export declare function authorization(answer: unknown): Authorization;
/**
 * @param {unknown} answer
 * @returns {Answer}
 */
export declare function answer(answer: unknown): Answer;
/**
 * The members that have a value.
 *
 * @template {object} T
 * @param {T} members
 * @returns {T}
 */
export declare function given<T extends object>(members: T): T;
