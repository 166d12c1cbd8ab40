// A thin client of the tokenhost daemon: tokens that work, authorized calls, and typed errors.
//
// It holds no credential but the caller's own, and knows nothing of how tokens are got. Needs only `fetch`.

export { Client } from "./client.js";
export { BadAnswer, Problem, TokenhostError, Unreachable } from "./errors.js";
export { tokenFetch } from "./fetch.js";

/** @typedef {import("./answers.js").Token} Token */
/** @typedef {import("./answers.js").Rejection} Rejection */
/** @typedef {import("./answers.js").Authorization} Authorization */
/** @typedef {import("./answers.js").Answer} Answer */
/** @typedef {import("./errors.js").Field} Field */
/** @typedef {import("./client.js").Options} Options */
