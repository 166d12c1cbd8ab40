// The client: tokens, kept until near their end; rejections; what to add to a request; calls that the daemon makes.
//
// Callers that need the same token at once cause one request.

import * as answers from "./answers.js";
import { BadAnswer, Problem, TokenhostError, Unreachable } from "./errors.js";
import { mayRepeat, wait } from "./pace.js";

const given = answers.given;

/** Where the daemon is where nobody says otherwise. */
const DEFAULT_URL = "http://127.0.0.1:8420";
/** A kept token has at least so many seconds left. */
const MARGIN = 30;
/** A token whose end nobody knows is kept for so many seconds. */
const UNKNOWN = 60;
/** The most tokens that are kept. */
const MOST = 1000;
/** Failures of a connection that was never made: nothing was sent. */
const NOT_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"]);

/**
 * @typedef {object} Options
 * @property {string} [url] where the daemon is; else `TOKENHOST_URL`, else http://127.0.0.1:8420
 * @property {string} [token] the application or personal token to use; else `TOKENHOST_TOKEN`
 * @property {number} [timeout] seconds after which an answer isn't waited for; 75 (the daemon waits up to 30 for a token)
 * @property {number} [retries] how often a request is sent once more after 429, 502, 503 or no answer, where it may be; 3
 * @property {number} [maxWait] the most seconds that one call waits in between; 30
 * @property {() => number} [clock] seconds that never step back
 * @property {(seconds: number) => Promise<void>} [sleep] how to wait
 */

/** A client of the daemon. */
export class Client {
  #base;
  #credential;
  #timeout;
  #retries;
  #maxWait;
  #clock;
  #sleep;
  /** By integration and scope: the token, until when it is kept, and its end where that is known (by the clock).
   * @type {Map<string, { token: answers.Token, until: number, end: number | undefined }>} */
  #kept = new Map();
  /** Requests for tokens under way. @type {Map<string, Promise<answers.Token>>} */
  #flights = new Map();

  /** @param {Options} [options] */
  constructor(options = {}) {
    /** @type {Record<string, string | undefined>} */
    const environment = /** @type {any} */ (globalThis).process?.env ?? {};
    this.#base = base(options.url || environment.TOKENHOST_URL || DEFAULT_URL);
    this.#credential = (options.token || environment.TOKENHOST_TOKEN || "").trim();
    if (!this.#credential) throw new TokenhostError("no token for the daemon: give one, or set TOKENHOST_TOKEN");
    if (!/^[\x21-\x7e]+$/.test(this.#credential)) {
      throw new TokenhostError("the daemon's token has characters that no token has; set TOKENHOST_TOKEN");
    }
    this.#timeout = options.timeout ?? 75;
    this.#retries = options.retries ?? 3;
    this.#maxWait = options.maxWait ?? 30;
    this.#clock = options.clock ?? (() => performance.now() / 1000);
    this.#sleep = options.sleep ?? ((seconds) => new Promise((done) => setTimeout(done, seconds * 1000)));
  }

  /**
   * A valid token of the integration, with at least `minTtl` seconds left as far as its tokens last that long.
   *
   * @param {string} name
   * @param {{ minTtl?: number, scope?: string }} [options]
   * @returns {Promise<answers.Token>}
   */
  async token(name, options = {}) {
    const { minTtl, scope } = options;
    const key = JSON.stringify([name, scope ?? ""]);
    const kept = this.#good(key, minTtl ?? 0);
    if (kept !== undefined) return kept;
    const flightKey = JSON.stringify([key, minTtl ?? 0]);
    let flight = this.#flights.get(flightKey);
    if (flight === undefined) {
      flight = this.#ask(key, name, minTtl, scope).finally(() => this.#flights.delete(flightKey));
      this.#flights.set(flightKey, flight);
    }
    return flight;
  }

  /**
   * Reports that the service refused the token of this generation; a newer one is got unless there is one.
   *
   * @param {string} name
   * @param {number} generation
   * @param {{ scope?: string }} [options]
   * @returns {Promise<answers.Rejection>}
   */
  async reject(name, generation, options = {}) {
    const key = JSON.stringify([name, options.scope ?? ""]);
    if ((this.#kept.get(key)?.token.generation ?? Infinity) <= generation) this.#kept.delete(key);
    const query = given({ scope: options.scope || undefined });
    return answers.rejection(await this.#call("POST", path(name, "token", "reject"), query, { generation }, true));
  }

  /**
   * What to add to a request for `operation`: an operation id, or `"GET /contacts"`. `bodySha256` (hex), `headers`, `query` (as
   * in the URL) and `challenge` are what signatures need of the request.
   *
   * @param {string} name
   * @param {string} operation
   * @param {{ minTtl?: number, bodySha256?: string, headers?: Record<string, string>, query?: string,
   *   challenge?: string }} [options]
   * @returns {Promise<answers.Authorization>}
   */
  async authorize(name, operation, options = {}) {
    const { minTtl, bodySha256, headers, query, challenge } = options;
    const body = {
      ...named(operation),
      ...given({ min_ttl: minTtl, body_sha256: bodySha256, headers, query, challenge }),
    };
    return answers.authorization(await this.#call("POST", path(name, "authorize"), {}, body, true));
  }

  /**
   * Has the daemon call `operation` (an operation id, or `"GET /contacts/{id}"`); gives what the service answered.
   *
   * `body`: what JSON can hold, or a `Uint8Array`. `timeout`: seconds that the service has, rounded up. `repeatable`: whether the call may
   * reach the service twice, so that it is made once more where nobody knows whether it did.
   *
   * @param {string} name
   * @param {string} operation
   * @param {Record<string, unknown>} [parameters]
   * @param {unknown} [body]
   * @param {{ contentType?: string, headers?: Record<string, string>, timeout?: number, minTtl?: number,
   *   repeatable?: boolean }} [options]
   * @returns {Promise<answers.Answer>}
   */
  async call(name, operation, parameters, body, options = {}) {
    const { contentType, headers, timeout, minTtl, repeatable = false } = options;
    const document = {
      ...named(operation),
      ...given({
        parameters,
        body: body instanceof Uint8Array ? { base64: base64(body) } : body,
        content_type: contentType,
        headers,
        timeout: timeout === undefined ? undefined : Math.ceil(timeout),
        min_ttl: minTtl,
      }),
    };
    const patience = timeout === undefined ? this.#timeout : Math.max(this.#timeout, timeout + 45);
    return answers.answer(await this.#call("POST", path(name, "call"), {}, document, repeatable, patience));
  }

  /**
   * What adapters do after a 401: rejects this token and gets the next; undefined where there is no newer one.
   *
   * @param {string} name
   * @param {answers.Token} token
   * @param {{ scope?: string }} [options]
   * @returns {Promise<answers.Token | undefined>}
   */
  async renewed(name, token, options = {}) {
    try {
      await this.reject(name, token.generation, options);
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "too_soon") throw error;
    }
    const newer = await this.token(name, options);
    return newer.generation === token.generation ? undefined : newer;
  }

  /**
   * The kept token, where it is good enough.
   *
   * @param {string} key
   * @param {number} minTtl
   * @returns {answers.Token | undefined}
   */
  #good(key, minTtl) {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    const now = this.#clock();
    if (kept.end === undefined) return now > kept.until || minTtl > 0 ? undefined : kept.token;
    const left = kept.end - now;
    return now > kept.until || left < minTtl ? undefined : { ...kept.token, expiresIn: Math.floor(left) };
  }

  /**
   * @param {string} key
   * @param {string} name
   * @param {number | undefined} minTtl
   * @param {string | undefined} scope
   */
  async #ask(key, name, minTtl, scope) {
    const query = given({ min_ttl: minTtl?.toString(), scope: scope || undefined });
    const asked = this.#clock();
    const token = answers.token(await this.#call("GET", path(name, "token"), query, undefined, true));
    const end = token.expiresIn === undefined ? undefined : asked + token.expiresIn;
    const until = end === undefined ? asked + UNKNOWN : end - MARGIN;
    if (until > asked) {
      if (this.#kept.size >= MOST) this.#kept.clear();
      this.#kept.set(key, { token, until, end });
    } else {
      this.#kept.delete(key);
    }
    return token;
  }

  /**
   * One call of the API, repeated where that may be; the JSON that came.
   *
   * @param {string} method
   * @param {string} path
   * @param {Record<string, string | undefined>} query
   * @param {unknown} body
   * @param {boolean} repeatable
   * @param {number} patience
   */
  async #call(method, path, query, body, repeatable, patience = this.#timeout) {
    const content = body === undefined ? undefined : JSON.stringify(body);
    for (let attempt = 1, waited = 0; ; attempt++) {
      try {
        return await this.#once(method, path, query, content, patience);
      } catch (error) {
        const seconds = wait(attempt, error);
        const again = attempt <= this.#retries && mayRepeat(error, repeatable);
        if (!again || waited + seconds > this.#maxWait) throw error;
        await this.#sleep(seconds);
        waited += seconds;
      }
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {Record<string, string | undefined>} query
   * @param {string | undefined} content
   * @param {number} patience
   */
  async #once(method, path, query, content, patience) {
    const pairs = new URLSearchParams(/** @type {Record<string, string>} */ (query)).toString();
    let response;
    let text;
    try {
      response = await fetch(this.#base + path + (pairs && `?${pairs}`), {
        method,
        headers: {
          accept: "application/json, application/problem+json",
          authorization: `Bearer ${this.#credential}`,
          ...(content === undefined ? {} : { "content-type": "application/json" }),
        },
        body: content,
        // The credential goes with every call: to the daemon, and nowhere that an answer names.
        redirect: "manual",
        signal: AbortSignal.timeout(patience * 1000),
      });
      text = await response.text();
    } catch (error) {
      const cause = /** @type {any} */ (error)?.cause ?? error;
      const reason = cause?.message || cause?.code || cause?.name || "no answer";
      throw new Unreachable(
        `the daemon at ${new URL(this.#base).origin} can't be reached: ${reason}`,
        !NOT_CONNECTED.has(cause?.code),
        { cause: error },
      );
    }
    if (!response.ok) throw Problem.of(response.status, response.headers.get("retry-after"), text);
    try {
      return JSON.parse(text);
    } catch {
      throw new BadAnswer("the answer is no JSON; is TOKENHOST_URL right?");
    }
  }
}

/**
 * The daemon's own address, without a slash at its end.
 *
 * @param {string} text
 */
function base(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
    url = undefined;
  }
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    throw new TokenhostError(`the daemon's URL ${JSON.stringify(text)} is no http or https URL; set TOKENHOST_URL`);
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new TokenhostError("the daemon's URL has a user, a query or a fragment; set TOKENHOST_URL");
  }
  return url.href.replace(/\/+$/, "");
}

/**
 * @param {string} name
 * @param {...string} below
 */
function path(name, ...below) {
  if (["", ".", ".."].includes(name)) throw new TokenhostError(`${JSON.stringify(name)} is no name of an integration`);
  return ["/v1/integrations", encodeURIComponent(name), ...below].join("/");
}

/**
 * An operation id, or method and path.
 *
 * @param {string} operation
 */
function named(operation) {
  const [, method, path] = /^(\S+) (\/.*)$/s.exec(operation) ?? [];
  return method === undefined ? { operation_id: operation } : { method, path };
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
