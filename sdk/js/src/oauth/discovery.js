/**
 * Discovery in front of other flows: the provider's metadata document says where its endpoints are (OpenID Connect
 * Discovery 1.0 section 4, RFC 8414).
 *
 * `advance` fetches the document first in every attempt, and then gives the flow behind it a context in which the endpoints
 * stand as if they had been set. A URL that is set by hand wins. Nothing is kept between attempts: the host lets requests go
 * to endpoints that were learned in this attempt only.
 * @module
 */

/** @import { Event, Purpose, Response, Step } from "../../types/contract.js" */
/** @import { Context } from "../context.js" */
import { Failure } from "../context.js";
import { Field } from "../describe.js";
import { send } from "../flow.js";
import { Request } from "../request.js";
import { isObject, tooDeep } from "../token-response/answer.js";
import { parse } from "../token-response/index.js";
import { encode, utf8 } from "../token-response/text.js";

/** The fields that the document can fill, and the members that fill them. */
const ENDPOINTS = [
  ["token_url", "token_endpoint"],
  ["authorization_url", "authorization_endpoint"],
  ["device_authorization_url", "device_authorization_endpoint"],
  ["revocation_url", "revocation_endpoint"],
  ["issuer", "issuer"],
];

/** The state while the document is fetched, before the purpose. */
const FETCHING = "metadata:";

/** What the document said, by field. @typedef {Record<string, string>} Found */

/** `metadata_url`. */
export const metadataUrl = () =>
  Field.metadataUrl("metadata_url", "Metadata URL", {
    help:
      "The provider's metadata document, such as https://id.example/.well-known/openid-configuration. It says " +
      "where tokens are requested.",
    required: true,
    source: "openIdConnectUrl",
  });

/**
 * One step: of the discovery, or of the flow behind it.
 * @param {Context} context
 * @param {Event} event
 * @param {(context: Context, event: Event) => Step} behind
 * @returns {Step}
 * @throws {Failure} The document can't be had or read, or the flow behind gives up.
 */
export function advance(context, event, behind) {
  if (event.tag === "begin") {
    const request = Request.get(context.required("metadata_url")).header("accept", "application/json");
    return send(request, FETCHING + event.val);
  }
  const state = event.tag === "elapsed" ? event.val : event.val.state;
  if (state.startsWith(FETCHING)) {
    if (event.tag === "unanswered") throw Failure.unanswered(event.val);
    if (event.tag !== "answered") throw lost();
    const found = read(context, event.val.response);
    return keeping(behind(context.filled(found), { tag: "begin", val: purpose(state.slice(FETCHING.length)) }), found);
  }
  const kept = split(state);
  return keeping(behind(context.filled(kept.found), withState(event, kept.state)), kept.found);
}

/** @param {string} name @returns {Purpose} */
function purpose(name) {
  return name === "refresh" || name === "revoke" ? name : "acquire";
}

/**
 * The endpoints in the document, by field.
 * @param {Context} context
 * @param {Response} response
 * @returns {Found}
 */
function read(context, response) {
  if (response.status === 429 || response.status >= 500) {
    // The provider may do better later, as with a token request.
    parse(context, "acquire", response);
    throw unreadable();
  }
  if (response.status !== 200) throw invalid(`the metadata URL answered HTTP ${response.status}`);
  const document = members(response.body);
  // Who shows a certificate does so at endpoints of their own, where there are any (RFC 8705 section 5).
  const aliases = context.value("client_auth") === "tls_client_auth" ? own(document, "mtls_endpoint_aliases") : undefined;
  /** @param {string} name */
  const member = (name) => own(isObject(aliases) && Object.hasOwn(aliases, name) ? aliases : document, name);
  if (typeof member("token_endpoint") !== "string") throw unreadable();
  // Who doesn't say that people come back with `iss` sends them back without (RFC 9207 section 3).
  const saysIssuer = member("authorization_response_iss_parameter_supported") === true;
  /** @type {Found} */
  const found = {};
  for (const [field, name] of ENDPOINTS) {
    const url = member(name);
    if (typeof url === "string" && url !== "" && (field !== "issuer" || saysIssuer)) found[field] = url;
  }
  return found;
}

/**
 * The members of the document, read as strictly as the host does, which lets no request go to the endpoints of one that it
 * can't read.
 * @param {Uint8Array} body
 */
function members(body) {
  const text = utf8(body);
  // What is no UTF-8 was read as U+FFFD, which a document may also have of its own.
  if (text.includes("\ufffd") && encode(text).some((byte, at) => byte !== body[at])) throw unreadable();
  if (tooDeep(text)) throw unreadable();
  let document;
  try {
    document = JSON.parse(text);
  } catch {
    throw unreadable();
  }
  if (!isObject(document)) throw unreadable();
  return document;
}

/** @param {{[name: string]: unknown}} object @param {string} name */
const own = (object, name) => (Object.hasOwn(object, name) ? object[name] : undefined);

const unreadable = () => invalid("what is at the metadata URL is no metadata document with a token_endpoint");

/** @param {string} what */
function invalid(what) {
  return Failure.reconfigure(
    "invalid_metadata",
    `${what}; the URL usually ends with /.well-known/openid-configuration`,
  );
}

function lost() {
  return Failure.retry("unexpected_event", "the flow was given an event that it has no notes on");
}

/** The event, as the flow behind would have been given it. @param {Event} event @param {string} state @returns {Event} */
function withState(event, state) {
  switch (event.tag) {
    case "answered":
      return { tag: "answered", val: { ...event.val, state } };
    case "unanswered":
      return { tag: "unanswered", val: { ...event.val, state } };
    case "returned":
      return { tag: "returned", val: { ...event.val, state } };
    case "elapsed":
      return { tag: "elapsed", val: state };
    default:
      return event;
  }
}

/** The step, its state kept together with what was found. @param {Step} step @param {Found} found @returns {Step} */
function keeping(step, found) {
  /** @param {string} state */
  const keep = (state) => JSON.stringify({ found, state });
  switch (step.tag) {
    case "send":
      return { tag: "send", val: { ...step.val, state: keep(step.val.state) } };
    case "wait":
      return { tag: "wait", val: { ...step.val, state: keep(step.val.state) } };
    case "redirect":
      return { tag: "redirect", val: { ...step.val, state: keep(step.val.state) } };
    default:
      return step;
  }
}

/** What was found, and the state of the flow behind. @param {string} state @returns {{found: Found, state: string}} */
function split(state) {
  let kept;
  try {
    kept = JSON.parse(state);
  } catch {
    throw lost();
  }
  if (!isObject(kept) || !isObject(kept.found) || typeof kept.state !== "string") throw lost();
  return { found: /** @type {Found} */ (kept.found), state: kept.state };
}
