/**
 * The two ways to write a flow: `oauthFlow`, which is a description and one function, and `flow`, which is the whole state
 * machine. A component exports what they return, as `flow`.
 * @module
 */
import type { Context as Given, Description, Event, Prompt, Purpose, Response, Step, Token } from "../types/contract.js";
import type { Described } from "./describe.js";
/** @import { Context as Given, Description, Event, Prompt, Purpose, Response, Step, Token } from "../types/contract.js" */
/** @import { Described } from "./describe.js" */
import { Context } from "./context.js";
import { Request } from "./request.js";
export type Exported = {
    describe: () => Description;
    advance: (context: Given, event: Event) => Step;
};
/**
 * What a component exports.
 * @typedef {object} Exported
 * @property {() => Description} describe
 * @property {(context: Given, event: Event) => Step} advance
 */
/**
 * A flow as the contract has it: a pure function from context and event to the next step.
 * @param {object} definition
 * @param {Described} definition.describe What the flow is.
 * @param {(context: Context, event: Event) => Step} definition.advance The next step of an attempt. It throws a `Failure`
 *   where the attempt ends without a token.
 * @returns {Exported}
 */
export declare function flow(definition: {
    describe: Described;
    advance: (context: Context, event: Event) => Step;
}): Exported;
/**
 * An ordinary OAuth flow: one request, and its answer holds the token.
 * @param {object} definition
 * @param {Described} definition.describe What the flow is.
 * @param {(context: Context, purpose: Purpose) => Request} definition.request The request that acquires, refreshes or
 *   revokes a token; `oauth` makes the standard ones.
 * @param {(context: Context, purpose: Purpose, response: Response) => Partial<Token>} [definition.token] The token in the
 *   answer. Unless given: what `tokenResponse.parse` finds.
 * @returns {Exported}
 */
export declare function oauthFlow(definition: {
    describe: Described;
    request: (context: Context, purpose: Purpose) => Request;
    token?: (context: Context, purpose: Purpose, response: Response) => Partial<Token>;
}): Exported;
/**
 * The steps of an ordinary flow: what an `oauthFlow` does, for flows that have something in front of it.
 * @param {Context} context
 * @param {Event} event
 * @param {object} definition As for `oauthFlow`.
 * @param {(context: Context, purpose: Purpose) => Request} definition.request
 * @param {(context: Context, purpose: Purpose, response: Response) => Partial<Token>} [definition.token]
 * @returns {Step}
 * @throws {Failure} Those of the two functions, and what the answer says.
 */
export declare function advance(context: Context, event: Event, definition: {
    request: (context: Context, purpose: Purpose) => Request;
    token?: (context: Context, purpose: Purpose, response: Response) => Partial<Token>;
}): Step;
/** The step that sends a request. @param {Request} request @param {string} [state] @returns {Step} */
export declare const send: (request: Request, state?: string) => Step;
/**
 * The step that waits.
 * @param {number} seconds @param {string} [state]
 * @param {Prompt} [prompt] What a person has to do meanwhile. @returns {Step}
 */
export declare const wait: (seconds: number, state?: string, prompt?: Prompt) => Step;
/** The step that sends a person away. @param {string} url @param {string} [state] @returns {Step} */
export declare const redirect: (url: string, state?: string) => Step;
/** The step that ends an attempt with a token. @param {Partial<Token>} members @returns {Step} */
export declare const done: (members: Partial<Token>) => Step;
/** The step that ends a revocation. @returns {Step} */
export declare const revoked: () => Step;
/**
 * A token; what isn't given is not known, and after a refresh keeps its old value.
 * @param {Partial<Token>} members
 * @returns {Token}
 */
export declare const token: (members: Partial<Token>) => Token;
