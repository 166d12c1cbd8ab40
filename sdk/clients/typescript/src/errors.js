// What can go wrong: the daemon's problems (RFC 9457), no answer, and answers that are no daemon's.
//
// No message repeats a token.

/** Any failure of the client. */
export class TokenhostError extends Error {
  /**
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The daemon gave no complete answer. */
export class Unreachable extends TokenhostError {
  /**
   * @param {string} message
   * @param {boolean} sent
   * @param {ErrorOptions} [options]
   */
  constructor(message, sent, options) {
    super(message, options);
    /** Whether the request may have reached it. */
    this.sent = sent;
  }
}

/** Something answered that is no tokenhost daemon, or one of another age. */
export class BadAnswer extends TokenhostError {}

/**
 * What is wrong with one parameter or member.
 *
 * @typedef {object} Field
 * @property {string} field where, e.g. `fields.client_id`
 * @property {string} code e.g. `missing`
 * @property {string} message for people
 */

/** The daemon refused, or has no token. `code` never changes its meaning; the guide for automation lists them. */
export class Problem extends TokenhostError {
  /**
   * @param {number} status
   * @param {number | undefined} retryAfter
   * @param {Record<string, unknown>} document
   */
  constructor(status, retryAfter, document) {
    const title = text(document.title) ?? `HTTP status ${status}`;
    const detail = text(document.detail);
    /** @type {Field[]} */
    const fields = (Array.isArray(document.errors) ? document.errors : [])
      .filter((one) => typeof one === "object" && one !== null)
      .map((one) => ({ field: text(one.field) ?? "", code: text(one.code) ?? "", message: text(one.message) ?? "" }));
    const code = text(document.code);
    const supportId = text(document.support_id);
    const lines = [`${title} (${code ?? status})`];
    if (detail !== undefined && detail !== title) lines.push(detail);
    lines.push(...fields.map((one) => `${one.field}: ${one.message}`));
    if (supportId !== undefined) lines.push(`support id ${supportId}`);
    super(lines.join("; "));
    /** The HTTP status. */
    this.status = status;
    /** The kind of problem, e.g. `person_needed`. Undefined where something else than a daemon answered. */
    this.code = code;
    /** A few words for people. */
    this.title = title;
    /** What is wrong in this case, and what to do. */
    this.detail = detail;
    /** What is wrong, by parameter or member: all of them. */
    this.fields = fields;
    /** By which the operator finds the exact reason. */
    this.supportId = supportId;
    /** Seconds after which the same call may succeed. */
    this.retryAfter = retryAfter;
    /** The whole object as it came. */
    this.document = document;
  }

  /**
   * A problem out of an answer, whose body may be anything.
   *
   * @param {number} status
   * @param {string | null} retryAfter
   * @param {string} body
   */
  static of(status, retryAfter, body) {
    /** @type {any} */
    let document;
    try {
      document = JSON.parse(body);
    } catch {
      document = undefined;
    }
    // Not the daemon's: the text itself is no help, and could be long.
    if (typeof document?.title !== "string") document = {};
    const seconds = retryAfter !== null && /^\s*\d{1,9}\s*$/.test(retryAfter) ? Number(retryAfter) : document.retry_after;
    return new Problem(status, typeof seconds === "number" && seconds >= 0 && seconds < 1e9 ? seconds : undefined, document);
  }
}

/** @param {unknown} value */
function text(value) {
  return typeof value === "string" ? value : undefined;
}
