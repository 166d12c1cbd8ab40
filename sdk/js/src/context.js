/**
 * Reading the context, and saying why a flow gives up.
 * @module
 */

/** @import { Context as Given, Failure as Told, Remedy, Scheme, Unanswered } from "../types/contract.js" */

/** What a flow is given at a step. */
export class Context {
  /** @type {Given} */
  #given;

  /** @param {Given} given What the host passed. */
  constructor(given) {
    this.#given = given;
  }

  /**
   * The security scheme: its name, and its object in OpenAPI 3 form as JSON text.
   * @returns {Scheme}
   */
  get scheme() {
    return this.#given.scheme;
  }

  /** Seconds since the Unix epoch. */
  get now() {
    return this.#given.now;
  }

  /** 32 random bytes, fresh for each step. What must last belongs in the state. */
  get entropy() {
    return this.#given.entropy;
  }

  /** Where to send a person back to; `undefined` in flows without a person. */
  get callbackUrl() {
    return this.#given.callbackUrl ?? undefined;
  }

  /** The value for the provider to echo (`state` in RFC 6749) by which the host knows the attempt. */
  get returnKey() {
    return this.#given.returnKey ?? undefined;
  }

  /**
   * The value of a field, or of the present token as `token.NAME`. An empty value counts as none.
   * @param {string} name
   * @returns {string | undefined}
   */
  value(name) {
    const found = this.#given.values.find(([known]) => known === name);
    return found?.[1].trim() || undefined;
  }

  /**
   * The value of a field that the flow can't do without.
   * @param {string} name
   * @returns {string}
   * @throws {Failure} It isn't set; the failure names it.
   */
  required(name) {
    const value = this.value(name);
    if (value === undefined) throw missing(name);
    return value;
  }

  /**
   * The words of a field of kind `words`.
   * @param {string} name
   * @returns {string[]}
   */
  words(name) {
    return this.value(name)?.split(/\s+/) ?? [];
  }

  /**
   * Whether a field of kind `flag` is `true`.
   * @param {string} name
   */
  flag(name) {
    return this.value(name) === "true";
  }

  /**
   * The same context, in which these values stand where nothing is set.
   * @param {Record<string, string>} values By name.
   * @returns {Context}
   */
  filled(values) {
    const unset = Object.entries(values).filter(([name]) => this.value(name) === undefined);
    // One that is set to nothing would be found first.
    const others = this.#given.values.filter(([known]) => !unset.some(([name]) => name === known));
    return new Context({ ...this.#given, values: [...others, ...unset] });
  }

  /**
   * Whether a secret of this name is set, e.g. `client_secret` or `token.refresh_token`.
   * @param {string} name
   */
  hasSecret(name) {
    return this.#given.secrets.includes(name);
  }

  /**
   * Holds that a secret is set that the flow can't do without.
   * @param {string} name
   * @throws {Failure} It isn't set; the failure names it.
   */
  requiredSecret(name) {
    if (!this.hasSecret(name)) throw missing(name);
  }

  /**
   * A secret that the operator lets this very component read; `undefined` unless granted.
   * @param {string} name
   * @returns {string | undefined}
   */
  revealed(name) {
    return this.#given.revealed.find(([known]) => known === name)?.[1];
  }
}

/** The failure of a field that must be set and isn't. @param {string} name */
function missing(name) {
  return Failure.reconfigure("missing_field", `the field ${name} is not set`);
}

/**
 * Why an attempt ends without a token, and what can be done. A flow throws it. Any other error that a flow throws is a
 * fault of the flow: the host stops the step, and keeps the provider's answer for a repaired version.
 */
export class Failure extends Error {
  /**
   * @param {string} code Of RFC 6749 where one fits, e.g. `invalid_grant`.
   * @param {string} message For people.
   * @param {Remedy} remedy What can be done.
   */
  constructor(code, message, remedy) {
    super(message);
    this.name = "Failure";
    /** @readonly */
    this.code = code;
    /** @readonly */
    this.remedy = remedy;
  }

  /**
   * The same request may work later, after `seconds` where the provider said so.
   * @param {string} code
   * @param {string} message
   * @param {number} [seconds]
   */
  static retry(code, message, seconds) {
    return new Failure(code, message, { tag: "retry", val: seconds });
  }

  /**
   * The refresh token is no use any more: acquire anew.
   * @param {string} code
   * @param {string} message
   */
  static reacquire(code, message) {
    return new Failure(code, message, { tag: "reacquire" });
  }

  /**
   * A person has to correct a field or consent again.
   * @param {string} code
   * @param {string} message
   */
  static reconfigure(code, message) {
    return new Failure(code, message, { tag: "reconfigure" });
  }

  /**
   * The flow doesn't do this, e.g. revoke.
   * @param {string} message
   */
  static unsupported(message) {
    return Failure.reconfigure("unsupported", message);
  }

  /**
   * What a standard flow answers where its request got no complete answer.
   * @param {Unanswered} what
   */
  static unanswered(what) {
    const howFar = what.left ? "got no complete answer" : "could not be sent";
    return Failure.retry("no_answer", `the request ${howFar}: ${what.reason}`);
  }

  /**
   * As the contract has it. The runtime takes nothing that is an `Error`.
   * @returns {Told}
   */
  toContract() {
    return { code: this.code, message: this.message, remedy: this.remedy };
  }
}
