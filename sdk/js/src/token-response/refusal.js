/**
 * What to say, and what can be done, where an answer holds no token. Messages repeat what a provider says of its error,
 * bounded; the host cleans them of secrets.
 * @module
 */

/** @import { Purpose, Response } from "../../types/contract.js" */
/** @import { Context } from "../context.js" */
/** @import { Answer, Unreadable } from "./answer.js" */
import { Failure } from "../context.js";
import { isObject, scalar } from "./answer.js";
import { retryAfter } from "./time.js";

/** The longest part of a message that a provider wrote, in characters. */
const LONGEST = 300;

/** How many member names of an answer without a token are named. */
const NAMES = 12;

/** Errors that pass by themselves, whatever the status. */
const PASSING = ["temporarily_unavailable", "server_error", "slow_down", "rate_limit_exceeded", "too_many_requests"];

/** Which fields to look at, by error. */
const HINTS = new Map([
  ["invalid_client", "check client_id, client_secret and client_auth"],
  ["invalid_grant", "check the credentials"],
  ["invalid_scope", "check scope"],
  ["invalid_target", "check resource and audience"],
  ["unauthorized_client", "the provider must allow this client to use this grant"],
  ["unsupported_grant_type", "the provider doesn't offer this grant at this address; check token_url"],
  ["http_404", "check token_url"],
]);

/**
 * The failure of an answer whose status is not 2xx.
 * @param {Context} context @param {Purpose} purpose @param {Response} response @param {Answer | undefined} answer
 */
export function byStatus(context, purpose, response, answer) {
  const said = answer ? whatItSaid(answer) : {};
  const { status } = response;
  const code = said.code ?? `http_${status}`;
  if (status >= 300 && status < 400) {
    return unjudged(
      purpose,
      "redirected",
      `the answer was HTTP ${status}: redirects are not followed; check token_url`,
    );
  }
  const plain = refused(response, code, said.description, false);
  const later = status === 408 || status === 425 || (status >= 400 && PASSING.includes(code));
  if (status === 429 || status >= 500 || (later && purpose !== "refresh")) {
    return Failure.retry(code, plain, after(context, response));
  }
  if (status >= 400) return judged(purpose, code, refused(response, code, said.description, purpose === "acquire"));
  // Nothing that HTTP knows as a final answer.
  return unjudged(purpose, code, plain);
}

/**
 * The failure of a readable answer with status 2xx that has no access token.
 * @param {Context} context @param {Purpose} purpose @param {Response} response @param {Answer} answer
 */
export function withoutToken(context, purpose, response, answer) {
  const said = whatItSaid(answer);
  if (said.code === undefined && said.description === undefined) {
    const names = answer.names(NAMES);
    return invalid(purpose, `no access_token${names.length === 0 ? "" : `; it has ${clean(names.join(", "))}`}`);
  }
  const code = said.code ?? "provider_error";
  const passing = PASSING.includes(code);
  const message = refused(response, code, said.description, purpose === "acquire" && !passing);
  return passing ? Failure.retry(code, message, after(context, response)) : judged(purpose, code, message);
}

/**
 * The failure of an answer with status 2xx that can't be read.
 * @param {Purpose} purpose @param {Response} response @param {Unreadable} fault
 */
export function unreadable(purpose, response, fault) {
  if (fault.kind === "ambiguous") return invalid(purpose, "several objects with an access_token");
  const what = fault.kind === "empty" ? "an empty body" : fault.kind === "html" ? "a web page" : fault.what;
  const message = `the answer was HTTP ${response.status} with ${what} instead of a token; check token_url`;
  return unjudged(purpose, "invalid_response", message);
}

/** The failure of a readable answer that is not what it must be. @param {Purpose} purpose @param {string} what */
export function invalid(purpose, what) {
  return judged(purpose, "invalid_response", `the answer has ${what}`);
}

/** A failure after the provider judged the request. @param {Purpose} purpose @param {string} code @param {string} message */
function judged(purpose, code, message) {
  return purpose === "refresh" ? Failure.reacquire(code, message) : Failure.reconfigure(code, message);
}

/**
 * A failure after which nobody knows whether the provider saw the request.
 * @param {Purpose} purpose @param {string} code @param {string} message
 */
function unjudged(purpose, code, message) {
  return purpose === "refresh" ? Failure.retry(code, message) : Failure.reconfigure(code, message);
}

/** When the provider wants to be asked again. @param {Context} context @param {Response} response */
function after(context, response) {
  const found = response.headers.find(([name]) => name.toLowerCase() === "retry-after");
  return found && retryAfter(found[1], context.now);
}

/**
 * The message for people.
 * @param {Response} response @param {string} code @param {string | undefined} description @param {boolean} hint
 */
function refused(response, code, description, hint) {
  let message = `the provider answered HTTP ${response.status}`;
  if (!code.startsWith("http_")) message += `, ${code}`;
  if (description !== undefined) message += `: ${clean(description)}`;
  if (hint && HINTS.has(code)) message += ` (${HINTS.get(code)})`;
  return message;
}

/**
 * What the provider says of its error: as RFC 6749 section 5.2 has it, else as others are seen to write it.
 * @param {Answer} answer
 * @returns {{code?: string, description?: string}}
 */
function whatItSaid(answer) {
  /** @param {(name: string) => unknown} of @param {string[]} names */
  const firstOf = (of, names) => names.map((name) => scalar(of(name))).find((value) => value !== undefined);
  const first = (/** @type {string[]} */ ...names) => firstOf((name) => answer.value(name), names);
  let code = first("error", "error_code", "errorCode");
  let description =
    first("error_description", "errorDescription", "error_message", "errorMessage", "errorSummary") ??
    first("message", "msg", "detail", "title", "faultstring");
  let inner = ["error", "errors", "fault"].map((name) => answer.value(name)).find((value) => value !== undefined);
  if (Array.isArray(inner)) inner = inner[0];
  if (isObject(inner)) {
    const object = inner;
    const within = (/** @type {string[]} */ ...names) =>
      firstOf((name) => (Object.hasOwn(object, name) ? object[name] : undefined), names);
    code ??= within("error", "status", "type", "code", "errorCode");
    description =
      within("error_description", "message", "description", "detail", "faultstring") ??
      within("title", "msg") ??
      description;
  } else if (typeof inner === "string" && code === undefined && inner.trim() !== "") {
    code = inner;
  }
  // A sentence where a code should be is a description.
  if (code !== undefined && !/^[A-Za-z0-9_.:-]{0,64}$/.test(code)) {
    description = description === undefined ? code : `${code}: ${description}`;
    code = undefined;
  }
  return { code, description };
}

/** One line of bounded length. @param {string} text */
function clean(text) {
  // No more is looked at than could be shown.
  const characters = Array.from(text.trim().slice(0, 2 * LONGEST + 2));
  const line = characters.slice(0, LONGEST).join("").replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");
  return characters.length > LONGEST ? `${line}…` : line;
}
