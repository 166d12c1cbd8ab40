/**
 * Whether the same request may be sent once more after this failure.
 *
 * @param {unknown} error
 * @param {boolean} repeatable
 */
export declare function mayRepeat(error: unknown, repeatable: boolean): boolean;
/**
 * Seconds to wait after so many attempts (1 or more). Part of it is random, so that callers don't return in step.
 *
 * @param {number} attempt
 * @param {unknown} error
 */
export declare function wait(attempt: number, error: unknown): number;
