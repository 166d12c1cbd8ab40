/**
 * A request as text for tests, and the checks that the host would make of it.
 * @module
 */

/** @import { Context, Derivation, Description, Member, Request, Template } from "../../types/contract.js" */
import { isObject } from "../token-response/answer.js";
import { utf8 } from "../token-response/text.js";

/** The request as text; see `Run.request`. @param {Request} request */
export function render(request) {
  const query = request.query.map(([name, value]) => `${name}=${template(value)}`).join("&");
  const url = query === "" ? request.url : `${request.url}${request.url.includes("?") ? "&" : "?"}${query}`;
  let text = `${request.method.toUpperCase()} ${url}\n`;
  for (const [name, value] of request.headers) text += `${name}: ${template(value)}\n`;
  const { body } = request;
  if (body.tag === "form") {
    const pairs = body.val.map(([name, value]) => `${name}=${template(value)}`);
    text += `content-type: application/x-www-form-urlencoded\n\n${pairs.join("&")}\n`;
  } else if (body.tag === "json") {
    text += `content-type: application/json\n\n${members(body.val, "\n")}\n`;
  } else if (body.tag === "raw") {
    text += `content-type: ${body.val.contentType}\n\n${template(body.val.content)}\n`;
  }
  for (const { name, value } of request.derived) text += `{${name}} = ${derivation(value)}\n`;
  return text;
}

/** A template, its secrets as names. @param {Template} parts */
function template(parts) {
  return parts
    .map((part) => {
      if (part.tag === "text") return part.val;
      return part.tag === "secret" ? `{${part.val}}` : `{${part.tag}}`;
    })
    .join("");
}

/** The members of a JSON document, a pointer each. @param {Member[]} list @param {string} between */
function members(list, between) {
  const line = (/** @type {Member} */ { pointer, value }) =>
    `${pointer} ${value.tag === "text" ? `"${template(value.val)}"` : value.val}`;
  return list.map(line).join(between);
}

/** What the host is to compute. @param {Derivation} derivation */
function derivation({ tag, val }) {
  switch (tag) {
    case "basic": {
      const encoding = val.encoding === "none" ? "" : `-${val.encoding}`;
      return `basic${encoding} ${template(val.user)}:${template(val.password)}`;
    }
    case "jwt":
      return `jwt ${val.algorithm} {${val.key}} [${members(val.header, "\n")}] [${members(val.claims, "\n")}]`;
    case "hmac":
      return `hmac ${val.hash} ${val.encoding} ${template(val.key)} ${template(val.message)}`;
    case "digest":
      return `digest ${val.hash} ${val.encoding} ${template(val.message)}`;
    default:
      return `transform [${val.how.join(", ")}] ${template(val.value)}`;
  }
}

/**
 * Holds a request against what the host would refuse.
 * @param {Request} request @param {Description} description @param {Context} context
 * @param {Uint8Array} metadata The provider's metadata document, if there was one.
 */
export function check(request, description, context, metadata) {
  const urls = description.fields.filter(({ kind }) => kind.tag === "url" || kind.tag === "metadata-url");
  const set = urls.flatMap(({ name }) => context.values.filter(([known]) => known === name));
  const allowed = [...set.map(([, url]) => url), ...endpoints(metadata)];
  if (!allowed.some((url) => origin(url).toLowerCase() === origin(request.url).toLowerCase())) {
    throw new Error(`the host would refuse this request: ${origin(request.url)} is the origin of no URL field`);
  }
  const known = new Set(context.secrets);
  for (const { name, value } of request.derived) {
    for (const used of inside(value)) {
      if (!known.has(used)) throw new Error(`the derived value ${name} uses ${used}, which is not set`);
    }
    if (known.has(name)) throw new Error(`the derived value ${name} has a secret's name`);
    known.add(name);
  }
  const { body } = request;
  const templates = [...request.query, ...request.headers].map(([, value]) => value);
  if (body.tag === "form") templates.push(...body.val.map(([, value]) => value));
  else if (body.tag === "json") templates.push(...body.val.map(ofMember));
  else if (body.tag === "raw") templates.push(body.val.content);
  for (const part of templates.flat()) {
    if (part.tag === "secret" && !known.has(part.val)) {
      throw new Error(`the request uses ${part.val}, which is not set`);
    }
    if (part.tag === "body") throw new Error("the body can stand only inside a derivation");
  }
}

/** The endpoints that a metadata document names. @param {Uint8Array} metadata @returns {string[]} */
function endpoints(metadata) {
  let document;
  try {
    document = JSON.parse(utf8(metadata));
  } catch {
    return [];
  }
  if (!isObject(document)) return [];
  const aliases = isObject(document.mtls_endpoint_aliases) ? document.mtls_endpoint_aliases : {};
  return [...Object.entries(document), ...Object.entries(aliases)].flatMap(([name, url]) =>
    name.endsWith("_endpoint") && typeof url === "string" ? [url] : [],
  );
}

/** The names of the secrets and derived values that a derivation uses. @param {Derivation} derivation */
function inside({ tag, val }) {
  /** @type {Template[]} */
  let templates;
  if (tag === "basic") templates = [val.user, val.password];
  else if (tag === "jwt") templates = [...val.header, ...val.claims].map(ofMember);
  else if (tag === "hmac") templates = [val.key, val.message];
  else if (tag === "digest") templates = [val.message];
  else templates = [val.value];
  const names = templates.flat().flatMap((part) => (part.tag === "secret" ? [part.val] : []));
  return tag === "jwt" ? [val.key, ...names] : names;
}

/** The template of a member, if it has one. @param {Member} member */
function ofMember({ value }) {
  return value.tag === "text" ? value.val : [];
}

/** Scheme and authority of a URL. @param {string} url */
function origin(url) {
  return /^[^/]*:\/\/[^/?#]*/.exec(url)?.[0] ?? url;
}
