/**
 * What a flow says of itself: its description and fields. The fields that OAuth flows have in common are in `oauth.fields`.
 * @module
 */

/** @import { Description, Field as Made, FieldKind, Requirement, SchemeMatch } from "../types/contract.js" */

/**
 * What can be said of a field beside its name and title.
 * @typedef {object} FieldOptions
 * @property {string} [help] One or two sentences for people.
 * @property {boolean | {field: string, oneOf: string[]}} [required] Whether it must be set: in every integration, or while
 *   the other field has one of these values.
 * @property {string} [default] The value where none is given.
 * @property {string} [source] Where the scheme's flow object has the first value, e.g. `tokenUrl`.
 */

/**
 * A field of this kind.
 * @param {FieldKind} kind
 * @param {string} name In snake_case.
 * @param {string} title The label for people.
 * @param {FieldOptions} [options]
 * @returns {Made}
 */
function field(kind, name, title, options = {}) {
  /** @type {Requirement} */
  let required = { tag: options.required === true ? "always" : "never" };
  if (typeof options.required === "object") required = { tag: "when", val: options.required };
  return { name, title, help: options.help ?? "", kind, required, default: options.default, source: options.source };
}

/** Makes fields, one function for each kind. */
export const Field = Object.freeze({
  /**
   * Any text.
   * @param {string} name @param {string} title @param {FieldOptions} [options]
   */
  text: (name, title, options) => field({ tag: "text" }, name, title, options),
  /**
   * A value that is kept sealed: the flow places it by name and doesn't see it.
   * @param {string} name @param {string} title @param {FieldOptions} [options]
   */
  secret: (name, title, options) => field({ tag: "secret" }, name, title, options),
  /**
   * An absolute URL, to whose origin the flow's requests may go.
   * @param {string} name @param {string} title @param {FieldOptions} [options]
   */
  url: (name, title, options) => field({ tag: "url" }, name, title, options),
  /**
   * An absolute URL of a metadata document, whose endpoints requests may also go to.
   * @param {string} name @param {string} title @param {FieldOptions} [options]
   */
  metadataUrl: (name, title, options) => field({ tag: "metadata-url" }, name, title, options),
  /**
   * One of `choices`.
   * @param {string} name @param {string} title @param {string[]} choices @param {FieldOptions} [options]
   */
  choice: (name, title, choices, options) => field({ tag: "choice", val: choices }, name, title, options),
  /**
   * `true` or `false`; see `Context.flag`.
   * @param {string} name @param {string} title @param {FieldOptions} [options]
   */
  flag: (name, title, options) => field({ tag: "flag" }, name, title, options),
  /**
   * Words separated by spaces; see `Context.words`.
   * @param {string} name @param {string} title @param {FieldOptions} [options]
   */
  words: (name, title, options) => field({ tag: "words" }, name, title, options),
});

/**
 * What an author has to say of a flow; the rest has defaults.
 * @typedef {object} Described
 * @property {string} name Unique, kebab-case.
 * @property {string} version The flow's own semantic version.
 * @property {string} title For people.
 * @property {string} [summary] One paragraph for people: when to choose this flow.
 * @property {SchemeMatch[]} [handles] The schemes that it serves: `type`, and the key in `flows` or the `scheme` of `http`.
 *   Unless given: those that pick it by `x-tokenhost-flow`.
 * @property {boolean} [unattended] Whether it gets a token without a person. Unless given: it does.
 * @property {Made[]} [fields] In the order in which a form shows them.
 */

/**
 * A description with its defaults filled in.
 * @param {Described} described
 * @returns {Description}
 */
export function describe({ name, version, title, summary = "", handles, unattended = true, fields = [] }) {
  return { name, version, title, summary, handles: handles ?? [{ kind: "named" }], unattended, fields };
}
