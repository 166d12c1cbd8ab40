/**
 * What to say, and what can be done, where an answer holds no token. Messages repeat what a provider says of its error,
 * bounded; the host cleans them of secrets.
 * @module
 */
import type { Purpose, Response } from "../../types/contract.js";
import type { Context } from "../context.js";
import type { Answer, Unreadable } from "./answer.js";
/** @import { Purpose, Response } from "../../types/contract.js" */
/** @import { Context } from "../context.js" */
/** @import { Answer, Unreadable } from "./answer.js" */
import { Failure } from "../context.js";
/**
 * The failure of an answer whose status is not 2xx.
 * @param {Context} context @param {Purpose} purpose @param {Response} response @param {Answer | undefined} answer
 */
export declare function byStatus(context: Context, purpose: Purpose, response: Response, answer: Answer | undefined): Failure;
/**
 * The failure of a readable answer with status 2xx that has no access token.
 * @param {Context} context @param {Purpose} purpose @param {Response} response @param {Answer} answer
 */
export declare function withoutToken(context: Context, purpose: Purpose, response: Response, answer: Answer): Failure;
/**
 * The failure of an answer with status 2xx that can't be read.
 * @param {Purpose} purpose @param {Response} response @param {Unreadable} fault
 */
export declare function unreadable(purpose: Purpose, response: Response, fault: Unreadable): Failure;
/** The failure of a readable answer that is not what it must be. @param {Purpose} purpose @param {string} what */
export declare function invalid(purpose: Purpose, what: string): Failure;
