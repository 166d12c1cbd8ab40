/** Any failure of the client. */
export declare class TokenhostError extends Error {
    /**
     * @param {string} message
     * @param {ErrorOptions} [options]
     */
    constructor(message: string, options?: ErrorOptions);
}
/** The daemon gave no complete answer. */
export declare class Unreachable extends TokenhostError {
    /** Whether the request may have reached it. */
    sent: boolean;
    /**
     * @param {string} message
     * @param {boolean} sent
     * @param {ErrorOptions} [options]
     */
    constructor(message: string, sent: boolean, options?: ErrorOptions);
}
/** Something answered that is no tokenhost daemon, or one of another age. */
export declare class BadAnswer extends TokenhostError {
}
export type Field = {
    /**
     * where, e.g. `fields.client_id`
     */
    field: string;
    /**
     * e.g. `missing`
     */
    code: string;
    /**
     * for people
     */
    message: string;
};
/**
 * What is wrong with one parameter or member.
 *
 * @typedef {object} Field
 * @property {string} field where, e.g. `fields.client_id`
 * @property {string} code e.g. `missing`
 * @property {string} message for people
 */
/** The daemon refused, or has no token. `code` never changes its meaning; the guide for automation lists them. */
export declare class Problem extends TokenhostError {
    /** The HTTP status. */
    status: number;
    /** The kind of problem, e.g. `person_needed`. Undefined where something else than a daemon answered. */
    code: string | undefined;
    /** A few words for people. */
    title: string;
    /** What is wrong in this case, and what to do. */
    detail: string | undefined;
    /** What is wrong, by parameter or member: all of them. */
    fields: Field[];
    /** By which the operator finds the exact reason. */
    supportId: string | undefined;
    /** Seconds after which the same call may succeed. */
    retryAfter: number | undefined;
    /** The whole object as it came. */
    document: Record<string, unknown>;
    /**
     * @param {number} status
     * @param {number | undefined} retryAfter
     * @param {Record<string, unknown>} document
     */
    constructor(status: number, retryAfter: number | undefined, document: Record<string, unknown>);
    /**
     * A problem out of an answer, whose body may be anything.
     *
     * @param {number} status
     * @param {string | null} retryAfter
     * @param {string} body
     */
    static of(status: number, retryAfter: string | null, body: string): Problem;
}
