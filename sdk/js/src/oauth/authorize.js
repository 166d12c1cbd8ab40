/**
 * The authorization-code grant (RFC 6749 section 4.1) with PKCE (RFC 7636): where a person is sent, what is read of their
 * return (RFC 9207), and the request that redeems the code.
 * @module
 */

/** @import { Event, Field as Made, Returned, Step } from "../../types/contract.js" */
/** @import { Context } from "../context.js" */
/** @import { Request } from "../request.js" */
import { Failure } from "../context.js";
import { Field } from "../describe.js";
import { done, redirect, revoked, send } from "../flow.js";
import { form, sensitive } from "../request.js";
import { parse, revoked as heldRevoked } from "../token-response/index.js";
import { formPairs } from "../token-response/text.js";
import * as pkce from "./pkce.js";
import { ask, refresh, revoke, scope } from "./requests.js";

/** The states after the requests that redeem a code, refresh a token and revoke one. Before, the state is the code verifier. */
const REDEEMING = "redeeming";
const REFRESHING = "refreshing";
const REVOKING = "revoking";

/** Parameters that the flow sets itself. */
const OWN = ["response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method", "scope"];

/** `authorization_url`. */
export const authorizationUrl = () =>
  Field.url("authorization_url", "Authorization URL", {
    help: "The provider's page where the person signs in and consents.",
    required: true,
    source: "authorizationUrl",
  });

/** What else can be said where a person is sent away: `authorize_parameters` and `issuer`. @returns {Made[]} */
export const authorize = () => [
  parameters(),
  Field.text("issuer", "Issuer", {
    help:
      "The provider's issuer identifier. Set: a return must carry it as iss (RFC 9207), which keeps one provider's " +
      "code from being redeemed at another.",
  }),
];

/** `authorize_parameters`. */
export const parameters = () =>
  Field.words("authorize_parameters", "Further parameters", {
    help:
      "What the provider wants besides in the person's request, as name=value separated by spaces, e.g. " +
      "prompt=consent access_type=offline. A space within a value is written %20.",
  });

/**
 * The steps of the grant: the person is sent away, their code redeemed; then refresh and revocation as in every flow.
 * @param {Context} context
 * @param {Event} event
 * @returns {Step}
 * @throws {Failure} A field is not set or can't be used, the provider refused the person or the client, or its answer holds
 *   no token.
 */
export function advance(context, event) {
  switch (event.tag) {
    case "begin": {
      if (event.val === "refresh") return send(refresh(context), REFRESHING);
      if (event.val === "revoke") return send(revoke(context), REVOKING);
      const verifier = pkce.verifier(context);
      return redirect(url(context, verifier), verifier);
    }
    case "returned":
      return send(redeem(context, code(context, event.val), event.val.state), REDEEMING);
    case "answered": {
      const { state, response } = event.val;
      if (state !== REVOKING) return done(parse(context, state === REFRESHING ? "refresh" : "acquire", response));
      heldRevoked(context, response);
      return revoked();
    }
    case "unanswered":
      throw Failure.unanswered(event.val);
    default:
      throw Failure.retry("unexpected_event", "the flow never waits");
  }
}

/**
 * The URL to send a person to (RFC 6749 section 4.1.1, RFC 7636 section 4.3), with the challenge of this verifier.
 * @param {Context} context
 * @param {string} verifier
 * @throws {Failure} A field is not set or can't be used, or the host gave no callback.
 */
export function url(context, verifier) {
  const base = context.required("authorization_url");
  if (base.includes("#")) {
    throw Failure.reconfigure("invalid_field", "authorization_url has a fragment (#…), which can't be sent");
  }
  const [callback, state] = returning(context);
  /** @type {[string, string][]} */
  const query = [
    ["response_type", "code"],
    ["client_id", context.required("client_id")],
    ["redirect_uri", callback],
    ["state", state],
    ["code_challenge", pkce.challenge(verifier)],
    ["code_challenge_method", "S256"],
  ];
  const [wanted, audience] = [scope(context), context.value("audience")];
  if (wanted !== undefined) query.push(["scope", wanted]);
  if (audience !== undefined) query.push(["audience", audience]);
  for (const resource of context.words("resource")) query.push(["resource", resource]);
  for (const word of context.words("authorize_parameters")) {
    const [pair, ...more] = formPairs(word);
    if (!word.includes("=") || pair === undefined || more.length > 0 || pair[0] === "" || OWN.includes(pair[0])) {
      throw Failure.reconfigure(
        "invalid_field",
        "authorize_parameters must be name=value, separated by spaces, and none that the flow sets itself",
      );
    }
    query.push(pair);
  }
  const separator = base.endsWith("?") && base.indexOf("?") === base.length - 1 ? "" : base.includes("?") ? "&" : "?";
  return base + separator + query.map((pair) => pair.map(escapeForm).join("=")).join("&");
}

/** Text as the URL Standard writes it into a form. @param {string} text */
function escapeForm(text) {
  const hex = (/** @type {string} */ sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()~]/g, hex).replace(/%20/g, "+");
}

/**
 * The code that a person came back with (RFC 6749 section 4.1.2).
 * @param {Context} context
 * @param {Returned} returned
 * @throws {Failure} The provider sent them back with an error, or without a code, or it wasn't the provider that they were
 *   sent to.
 */
export function code(context, returned) {
  const parameter = (/** @type {string} */ name) => returned.query.find(([known]) => known === name)?.[1] || undefined;
  const [issuer, said] = [context.value("issuer"), parameter("iss")];
  if (issuer !== undefined && said !== issuer) {
    throw Failure.reconfigure(
      "issuer_mismatch",
      said === undefined
        ? "the person came back without iss, though the field issuer is set; unset it if this provider sends none"
        : "the person came back from another issuer than the field issuer says; the code is not used",
    );
  }
  const error = parameter("error");
  if (error !== undefined) throw refused(error, parameter("error_description"));
  const found = parameter("code");
  if (found === undefined) {
    throw Failure.reconfigure("invalid_response", "the provider sent the person back with neither a code nor an error");
  }
  return found;
}

/** What a person can do about an error. @type {Record<string, string>} */
const ADVICE = {
  access_denied: " (connect again, and consent)",
  invalid_scope: " (check scope)",
  unauthorized_client: " (the provider must allow this client to use this grant)",
  invalid_target: " (check resource and audience)",
};

/**
 * The failure of an error that a person came back with (RFC 6749 section 4.1.2.1).
 * @param {string} error
 * @param {string | undefined} description
 */
function refused(error, description) {
  const plain = (/** @type {string} */ text, /** @type {number} */ most) =>
    Array.from(text).slice(0, most).join("").replace(/[\x00-\x1f\x7f-\x9f]/g, " ");
  const known = /^[A-Za-z0-9_.:-]{1,64}$/.test(error) ? error : "provider_error";
  let message = `the provider sent the person back with ${plain(error, 64)}`;
  if (description !== undefined) message += `: ${plain(description, 300)}`;
  if (error === "server_error" || error === "temporarily_unavailable") return Failure.retry(known, message);
  return Failure.reconfigure(known, message + (Object.hasOwn(ADVICE, error) ? ADVICE[error] : ""));
}

/**
 * The request that redeems a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
 * @param {Context} context
 * @param {string} code
 * @param {string} verifier
 * @returns {Request}
 * @throws {Failure} A field is not set or can't be used, or the host gave no callback.
 */
export function redeem(context, code, verifier) {
  const parameters = form()
    .text("grant_type", "authorization_code")
    .add("code", sensitive(code))
    .text("redirect_uri", returning(context)[0])
    .add("code_verifier", sensitive(verifier));
  for (const resource of context.words("resource")) parameters.text("resource", resource);
  return ask(context, parameters);
}

/** Where the person is sent back to, and what the provider echoes. @param {Context} context @returns {[string, string]} */
function returning(context) {
  const { callbackUrl, returnKey } = context;
  if (callbackUrl !== undefined && returnKey !== undefined) return [callbackUrl, returnKey];
  throw Failure.reconfigure(
    "no_callback",
    "the host has nowhere to send a person back to; connect the integration",
  );
}
