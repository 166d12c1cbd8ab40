export { Client } from "./client.js";
export { BadAnswer, Problem, TokenhostError, Unreachable } from "./errors.js";
export { tokenFetch } from "./fetch.js";
export type Token = import("./answers.js").Token;
export type Rejection = import("./answers.js").Rejection;
export type Authorization = import("./answers.js").Authorization;
export type Answer = import("./answers.js").Answer;
export type Field = import("./errors.js").Field;
export type Options = import("./client.js").Options;
/** @typedef {import("./answers.js").Token} Token */
/** @typedef {import("./answers.js").Rejection} Rejection */
/** @typedef {import("./answers.js").Authorization} Authorization */
/** @typedef {import("./answers.js").Answer} Answer */
/** @typedef {import("./errors.js").Field} Field */
/** @typedef {import("./client.js").Options} Options */
