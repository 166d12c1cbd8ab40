/**
 * Device authorization (RFC 8628): a person enters a code elsewhere, and meanwhile the token endpoint is asked again and
 * again.
 * @module
 */

/** @import { Event, Response, Step } from "../../types/contract.js" */
/** @import { Context } from "../context.js" */
/** @import { Request } from "../request.js" */
import { Failure } from "../context.js";
import { Field } from "../describe.js";
import { done, revoked, send, wait } from "../flow.js";
import { form, sensitive } from "../request.js";
import { Answer, isObject, Unreadable } from "../token-response/answer.js";
import { parse, revoked as heldRevoked } from "../token-response/index.js";
import { authenticated, clientAuth } from "./client.js";
import { ask, refresh, revoke, scope } from "./requests.js";

/** Seconds between two requests where the provider doesn't say (section 3.2). */
const INTERVAL = 5;
/** Seconds that are added at each `slow_down` (section 3.5). */
const SLOWER = 5;
/** The longest pause, in seconds: a provider that wants more would have its codes expire. */
const LONGEST = 300;
/** Seconds that a code counts for where the provider, against section 3.2, doesn't say. */
const LIFETIME = 900;

/** The states after the request for a code, a refresh and a revocation. In between, the state is the `Device`. */
const AUTHORIZING = "authorizing";
const REFRESHING = "refreshing";
const REVOKING = "revoking";

/** `device_authorization_url`. */
export const deviceAuthorizationUrl = () =>
  Field.url("device_authorization_url", "Device authorization URL", {
    help: "Where the code for the person is requested (RFC 8628 section 3.1).",
    required: true,
    source: "deviceAuthorizationUrl",
  });

/**
 * The steps of the grant: a code for the person, then polling; refresh and revocation as in every flow.
 * @param {Context} context
 * @param {Event} event
 * @returns {Step}
 * @throws {Failure} A field is not set or can't be used, the person or the provider refused, or the code has expired.
 */
export function advance(context, event) {
  switch (event.tag) {
    case "begin":
      if (event.val === "refresh") return send(refresh(context), REFRESHING);
      if (event.val === "revoke") return send(revoke(context), REVOKING);
      return send(authorize(context), AUTHORIZING);
    case "answered":
      return answered(context, event.val.state, event.val.response);
    case "elapsed": {
      const device = Device.ofState(event.val);
      if (device === undefined) throw unexpected();
      return send(device.poll(context), event.val);
    }
    case "unanswered": {
      const device = Device.ofState(event.val.state);
      if (device === undefined) throw Failure.unanswered(event.val);
      return device.later();
    }
    default:
      throw unexpected();
  }
}

/** What an answer leads to. @param {Context} context @param {string} state @param {Response} response @returns {Step} */
function answered(context, state, response) {
  if (state === AUTHORIZING) return Device.begin(context, response);
  if (state === REFRESHING) return done(parse(context, "refresh", response));
  if (state === REVOKING) {
    heldRevoked(context, response);
    return revoked();
  }
  const device = Device.ofState(state);
  if (device === undefined) throw unexpected();
  return device.polled(context, response);
}

function unexpected() {
  return Failure.retry("unexpected_event", "the flow was given what it did not ask for");
}

function expired() {
  return Failure.reconfigure("expired_token", "the code has expired before it was entered; connect again");
}

/**
 * The request for a code (section 3.1).
 * @param {Context} context
 * @returns {Request}
 * @throws {Failure} A field is not set or can't be used.
 */
export function authorize(context) {
  const parameters = form().optional("scope", scope(context)).optional("audience", context.value("audience"));
  for (const resource of context.words("resource")) parameters.text("resource", resource);
  const url = context.required("device_authorization_url");
  return authenticated(context, url, parameters, clientAuth(context, "client_auth"));
}

/** A device authorization under way, kept in the flow's state. */
export class Device {
  /**
   * @param {string} deviceCode What the token endpoint knows it by.
   * @param {number} interval Seconds between two requests.
   * @param {number} expiresAt When the code ends, in seconds since the Unix epoch.
   */
  constructor(deviceCode, interval, expiresAt) {
    /** @readonly */
    this.deviceCode = deviceCode;
    /** @readonly */
    this.interval = interval;
    /** @readonly */
    this.expiresAt = expiresAt;
  }

  /**
   * What the provider's answer to the request for a code (section 3.2) leads to: a wait, in which the person has to do
   * something.
   * @param {Context} context
   * @param {Response} response
   * @returns {Step}
   * @throws {Failure} It refused, or a member is missing.
   */
  static begin(context, response) {
    // Refused: says why.
    if (response.status < 200 || response.status > 299) parse(context, "acquire", response);
    const answer = read(response);
    const code = answer.text("device_code");
    const userCode = answer.text("user_code");
    const page = answer.text("verification_uri") ?? answer.text("verification_url");
    if (code === undefined || userCode === undefined || page === undefined) throw incomplete();
    const lifetime = answer.number("expires_in") ?? LIFETIME;
    const interval = Math.min(answer.number("interval") ?? INTERVAL, LONGEST);
    const device = new Device(code, interval, Math.min(context.now + lifetime, Number.MAX_SAFE_INTEGER));
    const minutes = Math.max(Math.floor(lifetime / 60), 1);
    const message = `Open the page, sign in, and enter the code. It counts for ${minutes} min.`;
    const url = answer.text("verification_uri_complete") ?? answer.text("verification_url_complete") ?? page;
    return wait(interval, device.state(), { message, url, code: userCode });
  }

  /**
   * The request that asks whether the person is done (section 3.4).
   * @param {Context} context
   * @returns {Request}
   * @throws {Failure} The code has expired, or a field is not set or can't be used.
   */
  poll(context) {
    if (context.now >= this.expiresAt) throw expired();
    const parameters = form()
      .text("grant_type", "urn:ietf:params:oauth:grant-type:device_code")
      .add("device_code", sensitive(this.deviceCode));
    return ask(context, parameters);
  }

  /**
   * What the provider's answer leads to: the token, or another wait (section 3.5).
   * @param {Context} context
   * @param {Response} response
   * @returns {Step}
   * @throws {Failure} The person refused, the code has expired, or the provider refused the client.
   */
  polled(context, response) {
    try {
      return done(parse(context, "acquire", response));
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      switch (failure.code) {
        case "authorization_pending":
          return this.#wait();
        case "slow_down":
          return this.#after(this.interval + SLOWER);
        case "expired_token":
          throw expired();
        case "access_denied":
          throw Failure.reconfigure(
            "access_denied",
            "the person, or the provider, denied it; connect again, and consent",
          );
        default:
          if (response.status === 429 || response.status >= 500) return this.later();
          throw failure;
      }
    }
  }

  /** Another wait after a request that got no answer: twice as long as the last (section 3.5). @returns {Step} */
  later() {
    return this.#after(this.interval * 2);
  }

  /** The wait from now on. @param {number} seconds */
  #after(seconds) {
    return new Device(this.deviceCode, Math.min(seconds, LONGEST), this.expiresAt).#wait();
  }

  /** The wait until the next request. */
  #wait() {
    return wait(this.interval, this.state());
  }

  /** It as the flow's state. */
  state() {
    const { deviceCode, interval, expiresAt } = this;
    return JSON.stringify({ device_code: deviceCode, interval, expires_at: expiresAt });
  }

  /** It out of the flow's state. `undefined`: the state is another. @param {string} state @returns {Device | undefined} */
  static ofState(state) {
    let kept;
    try {
      kept = JSON.parse(state);
    } catch {
      return undefined;
    }
    if (!isObject(kept)) return undefined;
    const { device_code: code, interval, expires_at: expiresAt } = kept;
    if (typeof code !== "string" || typeof interval !== "number" || typeof expiresAt !== "number") return undefined;
    return new Device(code, Math.max(interval, 1), expiresAt);
  }
}

/** @param {Response} response */
function read(response) {
  // Refused by a status, but with a token in the answer: no answer to this request either.
  if (response.status < 200 || response.status > 299) throw incomplete();
  try {
    return Answer.read(response);
  } catch (error) {
    throw error instanceof Unreadable ? incomplete() : error;
  }
}

function incomplete() {
  return Failure.reconfigure(
    "invalid_response",
    "the answer has no device_code, user_code or verification_uri; check device_authorization_url",
  );
}
