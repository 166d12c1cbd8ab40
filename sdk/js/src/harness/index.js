/**
 * Runs a flow natively, as the host would, so that it is tested by `node --test` without WebAssembly.
 *
 * It sends nothing: a test looks at the request, secrets shown as names, and gives the answer itself. What the host would
 * refuse, it refuses by an error that says so: values without a field, required fields that are not set, secrets that are
 * not set, and requests to an origin of none of the URL fields and of no endpoint in the metadata that was answered. It
 * computes no derived values.
 * @module
 */

/** @import { Context, Description, Event, Failure, Field, Purpose, Response, Step, Token } from "../../types/contract.js" */
/** @import { Exported } from "../flow.js" */
import { encode } from "../token-response/text.js";
import { check, render } from "./render.js";

/** An integration as a flow sees it, for tests. Each method that sets something returns another integration. */
export class Harness {
  /** @type {Exported} */
  #flow;
  /** What the flow says of itself. @type {Description} */
  description;
  /** What the flow is given at the next step. @type {Context} */
  #context;
  /** What the provider's metadata document said, to whose endpoints further requests may go. @type {Uint8Array} */
  #metadata = new Uint8Array();

  /**
   * An integration of this flow in which only the fields' defaults are set. It is 2026-11-22T10:00:00Z.
   * @param {Exported} flow What the component exports as `flow`.
   */
  constructor(flow) {
    this.#flow = flow;
    this.description = flow.describe();
    if (JSON.stringify(this.description) !== JSON.stringify(flow.describe())) {
      throw new Error("describe must always give the same answer");
    }
    /** @type {[string, string][]} */
    const defaults = [];
    for (const field of this.description.fields) if (field.default != null) defaults.push([field.name, field.default]);
    this.#context = {
      scheme: { name: "test", document: "{}" },
      values: defaults,
      secrets: [],
      revealed: [],
      now: 1_795_341_600,
      entropy: new Uint8Array(32).fill(7),
    };
  }

  /** Sets a field that is no secret, or `token.NAME`. @param {string} name @param {string} value */
  value(name, value) {
    if (!name.startsWith("token.") && this.#field(name).kind.tag === "secret") {
      throw new Error(`${name} is a secret: set it by secret("${name}")`);
    }
    return this.context((context) => {
      context.values = [...context.values.filter(([known]) => known !== name), [name, value]];
    });
  }

  /** Sets several fields that are no secrets. @param {Record<string, string>} values */
  values(values) {
    return Object.entries(values).reduce((harness, [name, value]) => harness.value(name, value), /** @type {Harness} */ (this));
  }

  /** Says that secrets are set: fields, or of the present token `token.NAME`. @param {string[]} names */
  secret(...names) {
    for (const name of names) {
      if (!name.startsWith("token.") && this.#field(name).kind.tag !== "secret") {
        throw new Error(`${name} is no secret: set it by value("${name}", …)`);
      }
    }
    return this.context((context) => {
      context.secrets = [...context.secrets, ...names];
    });
  }

  /**
   * Changes anything else of the context: the scheme, the time, the callback.
   * @param {(context: Context) => void} change
   */
  context(change) {
    const other = new Harness(this.#flow);
    other.#context = { ...this.#context };
    other.#metadata = this.#metadata;
    change(other.#context);
    return other;
  }

  /** Starts an attempt that acquires a token. */
  acquire() {
    return this.begin("acquire");
  }

  /** Starts an attempt that refreshes a token; it has a refresh token. */
  refresh() {
    return this.secret("token.refresh_token").begin("refresh");
  }

  /** Starts an attempt that revokes a token. */
  revoke() {
    return this.secret("token.access_token").begin("revoke");
  }

  /** Starts an attempt, after the host's check that each required field is set. @param {Purpose} purpose */
  begin(purpose) {
    const missing = this.description.fields.filter((field) => this.#lacks(field)).map((field) => field.name);
    if (missing.length > 0) {
      throw new Error(`the host would refuse this integration: required and not set: ${missing.join(", ")}`);
    }
    return this.step({ tag: "begin", val: purpose });
  }

  /** One step, from any event. @param {Event} event */
  step(event) {
    /** @type {Step | {tag: "failure", val: Failure}} */
    let outcome;
    try {
      outcome = this.#flow.advance({ ...this.#context }, event);
    } catch (error) {
      // A failure comes as the contract has it; anything else is a fault of the flow, for its author to see.
      if (error instanceof Error || typeof error !== "object" || error === null || !("remedy" in error)) throw error;
      outcome = { tag: "failure", val: /** @type {Failure} */ (error) };
    }
    if (outcome.tag === "send") check(outcome.val.request, this.description, this.#context, this.#metadata);
    return new Run(this, outcome);
  }

  /**
   * The same after an answer: where the request was for the provider's metadata, further ones may go where that says.
   * @param {string} url Where the request went.
   * @param {Response} response
   */
  told(url, response) {
    const told = this.context(() => {});
    const fields = this.description.fields.filter(({ kind }) => kind.tag === "metadata-url");
    const isMetadata = fields.some((field) =>
      this.#context.values.some(([known, value]) => known === field.name && value.trim() === url),
    );
    if (isMetadata) told.#metadata = response.body;
    return told;
  }

  /** The field of this name. @param {string} name @returns {Field} */
  #field(name) {
    const field = this.description.fields.find((field) => field.name === name);
    if (!field) throw new Error(`flow ${this.description.name} has no field ${name}`);
    return field;
  }

  /** Whether a field must be set and isn't. @param {Field} field */
  #lacks({ name, required }) {
    const value = (/** @type {string} */ of) => this.#context.values.find(([known]) => known === of)?.[1].trim() ?? "";
    const wanted =
      required.tag === "always" || (required.tag === "when" && required.val.oneOf.includes(value(required.val.field)));
    return wanted && value(name) === "" && !this.#context.secrets.includes(name);
  }
}

/** An attempt after one of its steps. */
export class Run {
  #harness;
  /** What the step came to: a step of the contract, or `failure`. */
  outcome;

  /** @param {Harness} harness @param {Step | {tag: "failure", val: Failure}} outcome */
  constructor(harness, outcome) {
    this.#harness = harness;
    this.outcome = outcome;
  }

  /**
   * The request that the flow wants sent, as text: method and URL, headers, body, then what the host computes. Secrets and
   * derived values stand as `{name}`, sensitive text as `{sensitive}`. Nothing is encoded.
   */
  request() {
    if (this.outcome.tag !== "send") throw this.#unexpected("a request");
    return render(this.outcome.val.request);
  }

  /** The flow's notes after this step. */
  state() {
    const { outcome } = this;
    if (outcome.tag === "send" || outcome.tag === "wait" || outcome.tag === "redirect") return outcome.val.state;
    throw this.#unexpected("a step with a state");
  }

  /**
   * The provider answers with JSON.
   * @param {number} status
   * @param {unknown} [body] Text as it is, anything else as JSON.
   * @param {Record<string, string | string[]>} [headers]
   */
  answer(status, body = "", headers = {}) {
    return this.answerWith(response(status, { "content-type": "application/json", ...headers }, body));
  }

  /** The provider answers with anything; `response` makes it. @param {Response} response */
  answerWith(response) {
    const { outcome } = this;
    const harness = outcome.tag === "send" ? this.#harness.told(outcome.val.request.url, response) : this.#harness;
    return harness.step({ tag: "answered", val: { state: this.state(), response } });
  }

  /**
   * The request gets no complete answer.
   * @param {boolean} left Whether any of it may have reached the provider.
   * @param {string} reason
   */
  unanswered(left, reason) {
    return this.#harness.step({ tag: "unanswered", val: { state: this.state(), left, reason } });
  }

  /** The wait is over. */
  elapsed() {
    return this.#harness.step({ tag: "elapsed", val: this.state() });
  }

  /** The person comes back with these query parameters. @param {[string, string][]} query */
  returned(query) {
    return this.#harness.step({ tag: "returned", val: { state: this.state(), query } });
  }

  /** The token that the attempt ended with. @returns {Token} */
  token() {
    if (this.outcome.tag !== "done") throw this.#unexpected("a token");
    return this.outcome.val;
  }

  /** The failure that the attempt ended with. @returns {Failure} */
  failure() {
    if (this.outcome.tag !== "failure") throw this.#unexpected("a failure");
    return this.outcome.val;
  }

  /** The failure that the attempt ended with, as one line: code, remedy, message. */
  failureLine() {
    return failureLine(this.failure());
  }

  /** @param {string} what */
  #unexpected(what) {
    return new Error(`expected ${what}, got ${JSON.stringify(this.outcome)}`);
  }
}

/** A failure as one line: code, remedy, message. @param {Failure} failure */
export function failureLine({ code, message, remedy }) {
  const after = remedy.tag === "retry" && remedy.val != null ? ` after ${remedy.val}` : "";
  return `${code}, ${remedy.tag}${after}: ${message}`;
}

/**
 * An answer of a provider, for tests.
 * @param {number} status
 * @param {Record<string, string | string[]>} [headers] A list: the header stands there so often.
 * @param {unknown} [body] Bytes and text as they are, anything else as JSON.
 * @returns {Response}
 */
export function response(status, headers = {}, body = "") {
  const pairs = Object.entries(headers).flatMap(([name, value]) =>
    [value].flat().map((one) => /** @type {[string, string]} */ ([name.toLowerCase(), one])),
  );
  const bytes = body instanceof Uint8Array ? body : encode(typeof body === "string" ? body : JSON.stringify(body));
  return { status, headers: pairs, body: bytes };
}
