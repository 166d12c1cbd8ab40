// When a request is sent once more, and after how long.

import { Problem, Unreachable } from "./errors.js";

/** The first wait of our own making, in seconds; it doubles. */
const FIRST = 0.25;
/** The longest. */
const LONGEST = 5;

/** What the daemon answers where it has sent nothing to the service. */
const NOTHING_SENT = new Set(["too_many_calls", "service_unavailable", "token_failed", "token_pending", "unavailable"]);

/**
 * Whether the same request may be sent once more after this failure.
 *
 * @param {unknown} error
 * @param {boolean} repeatable
 */
export function mayRepeat(error, repeatable) {
  if (error instanceof Problem) {
    if (![429, 502, 503].includes(error.status) || error.code === "too_soon") return false;
    return repeatable || NOTHING_SENT.has(error.code ?? "");
  }
  return error instanceof Unreachable && (repeatable || !error.sent);
}

/**
 * Seconds to wait after so many attempts (1 or more). Part of it is random, so that callers don't return in step.
 *
 * @param {number} attempt
 * @param {unknown} error
 */
export function wait(attempt, error) {
  if (error instanceof Problem && error.retryAfter) return error.retryAfter * (1 + Math.random() / 10);
  return Math.min(FIRST * 2 ** (attempt - 1), LONGEST) * (1 - Math.random() / 2);
}
