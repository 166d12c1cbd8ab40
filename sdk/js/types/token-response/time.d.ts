/**
 * Moments in the spellings that providers use, as seconds since the Unix epoch. Asks no clock.
 * @module
 */
/** RFC 3339, e.g. `2026-11-22T10:00:00Z`. Moments before the epoch are none. @param {string} text */
export declare function rfc3339(text: string): number | undefined;
/**
 * `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date, here counted from `now`. A date that is over is 0.
 * @param {string} text
 * @param {number} now
 * @returns {number | undefined}
 */
export declare function retryAfter(text: string, now: number): number | undefined;
