/**
 * The two ways to write a flow: `oauthFlow`, which is a description and one function, and `flow`, which is the whole state
 * machine. A component exports what they return, as `flow`.
 * @module
 */

/** @import { Context as Given, Description, Event, Prompt, Purpose, Response, Step, Token } from "../types/contract.js" */
/** @import { Described } from "./describe.js" */
import { Context, Failure } from "./context.js";
import { describe } from "./describe.js";
import { Request } from "./request.js";
import { parse, revoked as heldRevoked } from "./token-response/index.js";

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
export function flow(definition) {
  return {
    describe: () => describe(definition.describe),
    advance(given, event) {
      try {
        return definition.advance(new Context(given), event);
      } catch (error) {
        if (error instanceof Failure) throw error.toContract();
        // Natively a test shall see the error itself.
        throw typeof process === "undefined" ? unforeseen(error).toContract() : error;
      }
    },
  };
}

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
export function oauthFlow(definition) {
  return flow({
    describe: definition.describe,
    advance: (context, event) => advance(context, event, definition),
  });
}

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
export function advance(context, event, definition) {
  switch (event.tag) {
    case "begin":
      return send(definition.request(context, event.val), event.val);
    case "answered": {
      const { state, response } = event.val;
      if (state === "revoke") {
        heldRevoked(context, response);
        return revoked();
      }
      if (state !== "acquire" && state !== "refresh") throw unexpected("an answer to a request that it did not send");
      return done((definition.token ?? parse)(context, state, response));
    }
    case "unanswered":
      throw Failure.unanswered(event.val);
    case "elapsed":
      throw unexpected("the end of a wait that it did not ask for");
    default:
      throw unexpected("a person back that it did not send away");
  }
}

/** Errors whose messages are made of names in the source, and not of what the flow was given. */
const TELLING = ["TypeError", "ReferenceError", "RangeError", "InternalError"];

/**
 * The failure of an error that the flow's author didn't expect: what it is and where, so that it can be found. The host
 * counts it as a fault of the flow, as it would the trap that the interpreter ends in.
 * @param {unknown} error @returns {Failure}
 */
export function unforeseen(error) {
  if (!(error instanceof Error)) return Failure.retry("flow_error", `something was thrown that is no Error: ${typeof error}`);
  const said = TELLING.includes(error.name) ? `: ${error.message}` : "";
  const where = (error.stack ?? "").split("\n").map((line) => line.trim()).find((line) => line.startsWith("at "));
  return Failure.retry("flow_error", `${error.name}${said}${where ? ` (${where})` : ""}`);
}

/** The failure of an event that the flow can't have caused. @param {string} what */
function unexpected(what) {
  return Failure.retry("unexpected_event", `the flow was given ${what}`);
}

/** The step that sends a request. @param {Request} request @param {string} [state] @returns {Step} */
export const send = (request, state = "") => ({ tag: "send", val: { request, state } });

/**
 * The step that waits.
 * @param {number} seconds @param {string} [state]
 * @param {Prompt} [prompt] What a person has to do meanwhile. @returns {Step}
 */
export const wait = (seconds, state = "", prompt) => ({ tag: "wait", val: { seconds, prompt, state } });

/** The step that sends a person away. @param {string} url @param {string} [state] @returns {Step} */
export const redirect = (url, state = "") => ({ tag: "redirect", val: { url, state } });

/** The step that ends an attempt with a token. @param {Partial<Token>} members @returns {Step} */
export const done = (members) => ({ tag: "done", val: token(members) });

/** The step that ends a revocation. @returns {Step} */
export const revoked = () => ({ tag: "revoked" });

/**
 * A token; what isn't given is not known, and after a refresh keeps its old value.
 * @param {Partial<Token>} members
 * @returns {Token}
 */
export const token = (members) => ({ values: [], secrets: [], placements: [], derived: [], ...members });
