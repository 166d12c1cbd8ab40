/**
 * The members of an answer, whatever it is written in. Knows nothing of what they mean.
 * @module
 */

/** @import { Response } from "../../types/contract.js" */
import { decode, formPairs } from "./text.js";

/** How many objects deep the token's members may lie: `{"a":{"b":{…}}}` is two deep. */
const DEEPEST = 3;

/** How deep any answer may nest. */
const NESTING = 127;

/** Further names under which providers send a member. @type {Record<string, string[] | undefined>} */
const ALIASES = {
  access_token: ["accessToken"],
  refresh_token: ["refreshToken"],
  token_type: ["tokenType"],
  expires_in: ["expiresIn"],
  expires_at: ["expiresAt", "expires_on", "expiresOn"],
  refresh_expires_in: ["refresh_token_expires_in", "refreshExpiresIn", "refreshTokenExpiresIn"],
  scope: ["scopes"],
};

/** @typedef {{[name: string]: unknown}} Members */

/** Why an answer has no members: `empty`, `html`, `ambiguous`, or `other` with the way in which it fails. */
export class Unreadable {
  /** @param {"empty" | "html" | "ambiguous" | "other"} kind @param {string} [what] */
  constructor(kind, what = "") {
    this.kind = kind;
    this.what = what;
  }
}

/** What an answer says, by member name. */
export class Answer {
  /** The object that holds the token or the error, then those around it. @type {Members[]} */
  #objects;
  /** The whole answer. @type {Members} */
  #root;
  /** Whether it was a form, whose keys may be anything that was sent. */
  #form;

  /** @param {Members} root @param {Members[]} objects @param {boolean} form */
  constructor(root, objects, form) {
    this.#root = root;
    this.#objects = objects;
    this.#form = form;
  }

  /**
   * Reads the body as JSON or as a form, whatever its content type says: providers say the wrong one.
   * @param {Response} response
   * @returns {Answer}
   * @throws {Unreadable} It is neither, or it holds several tokens side by side.
   */
  static read(response) {
    const text = decode(response.body).trim();
    if (text === "") throw new Unreadable("empty");
    if (text[0] === "<") throw new Unreadable("html");
    const form = text[0] !== "{" && text[0] !== "[";
    const root = form ? ofForm(text) : ofJson(text);
    return new Answer(root, find(root, hasToken) ?? errorPath(root), form);
  }

  /**
   * A member's text: a string that isn't empty, or a number. Looked for beside the token, then in the objects around it.
   * @param {string} name
   * @returns {string | undefined}
   */
  text(name) {
    return this.#find(name, scalar);
  }

  /**
   * A member's number, if it is above zero: an integer, a fraction (rounded down), or a string of one.
   * @param {string} name
   * @returns {number | undefined}
   */
  number(name) {
    return this.#find(name, number);
  }

  /**
   * A member's words, separated by one space: of an array, of a string, or of a string with commas and no spaces.
   * @param {string} name
   * @returns {string | undefined}
   */
  words(name) {
    return this.#find(name, words);
  }

  /** A member as it is. @param {string} name @returns {unknown} */
  value(name) {
    return this.#objects.find((object) => Object.hasOwn(object, name))?.[name];
  }

  /** The names of the members, if they are known to hold nothing that was sent: at most so many. @param {number} most */
  names(most) {
    return this.#form ? [] : Object.keys(this.#root).sort().slice(0, most);
  }

  /**
   * What `read` makes of the first member of this name, or of another name for it, of which it makes anything.
   * @template T
   * @param {string} name
   * @param {(value: unknown) => T | undefined} read
   * @returns {T | undefined}
   */
  #find(name, read) {
    const names = [name, ...(Object.hasOwn(ALIASES, name) ? ALIASES[name] ?? [] : [])];
    for (const object of this.#objects) {
      for (const known of names) {
        const made = Object.hasOwn(object, known) ? read(object[known]) : undefined;
        if (made !== undefined) return made;
      }
    }
    return undefined;
  }
}

/** The members of a JSON object, or of the only object of an array. @param {string} text @returns {Members} */
function ofJson(text) {
  if (tooDeep(text)) throw new Unreadable("other", "broken JSON");
  let value;
  try {
    value = JSON.parse(keepDigits(text));
  } catch {
    // Not the parser's own words, which may quote what was sent.
    throw new Unreadable("other", "broken JSON");
  }
  if (isObject(value)) return value;
  if (Array.isArray(value) && value.length === 1 && isObject(value[0])) return value[0];
  throw new Unreadable("other", "JSON, but no object");
}

/** Whether so much is open at once that no honest answer does it. @param {string} text */
export function tooDeep(text) {
  let depth = 0;
  for (const [sign] of text.matchAll(/"[^"\\]*(?:\\[^][^"\\]*)*"|[[\]{}]/g)) {
    if (sign === "{" || sign === "[") {
      if (++depth > NESTING) return true;
    } else if (sign === "}" || sign === "]") {
      depth--;
    }
  }
  return false;
}

/** Numbers of JavaScript have 15 digits; a token that is a number may have more, and is read as text. @param {string} text */
function keepDigits(text) {
  if (!/[[:,\s]-?\d{16}/.test(text)) return text;
  return text.replace(/"[^"\\]*(?:\\[^][^"\\]*)*"|-?\d[\d.eE+-]*/g, (found) =>
    /^-?[1-9]\d{15,}$/.test(found) ? `"${found}"` : found,
  );
}

/** The members of a form. Any text could be one, so it must have a member that matters. @param {string} text @returns {Members} */
function ofForm(text) {
  /** @type {Members} */
  const members = Object.create(null);
  for (const [name, value] of formPairs(text)) members[name] = value;
  if (hasToken(members) || hasError(members)) return members;
  throw new Unreadable("other", "neither JSON nor a form");
}

/** Whether this object holds a token. @param {Members} object */
function hasToken(object) {
  return ["access_token", "accessToken"].some(
    (name) => Object.hasOwn(object, name) && scalar(object[name]) !== undefined,
  );
}

/** Whether this object holds an error. @param {Members} object */
function hasError(object) {
  const error = Object.hasOwn(object, "error") ? object.error : undefined;
  return typeof error === "string" ? error.trim() !== "" : isObject(error) && Object.keys(error).length > 0;
}

/** The objects from the one with the error outwards; from the root where there is none. @param {Members} root */
function errorPath(root) {
  try {
    return find(root, hasError) ?? [root];
  } catch {
    return [root];
  }
}

/**
 * The one object that `wanted` holds for, the least deep first, and those around it. `undefined`: there is none.
 * @param {Members} root
 * @param {(object: Members) => boolean} wanted
 * @returns {Members[] | undefined}
 */
function find(root, wanted) {
  /** @typedef {{object: Members, around: Way | undefined}} Way */
  /** @type {Way[]} */
  let level = [{ object: root, around: undefined }];
  for (let depth = 0; depth <= DEEPEST; depth++) {
    const hits = level.filter(({ object }) => wanted(object));
    if (hits.length > 1) throw new Unreadable("ambiguous");
    if (hits.length === 1) {
      const objects = [];
      for (let way = /** @type {Way | undefined} */ (hits[0]); way; way = way.around) objects.push(way.object);
      return objects;
    }
    level = level.flatMap((around) =>
      Object.values(around.object).map(inner).filter((object) => object !== undefined).map((object) => ({ object, around })),
    );
  }
  return undefined;
}

/** The object that a member is, or that is the only item of the array that it is. @param {unknown} value */
function inner(value) {
  const only = Array.isArray(value) && value.length === 1 ? value[0] : value;
  return isObject(only) ? only : undefined;
}

/** @param {unknown} value @returns {value is Members} */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A string that isn't empty, or a number as it is written. @param {unknown} value @returns {string | undefined} */
export function scalar(value) {
  if (typeof value === "string") return value.trim() || undefined;
  return typeof value === "number" ? String(value) : undefined;
}

/** A number above zero, rounded down. @param {unknown} value */
function number(value) {
  const text = scalar(value);
  if (text === undefined) return undefined;
  if (/^\+?inf(inity)?$/i.test(text)) return Number.MAX_SAFE_INTEGER;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return undefined;
  const whole = Math.min(Math.floor(Number(text)), Number.MAX_SAFE_INTEGER);
  return whole > 0 ? whole : undefined;
}

/** Words separated by one space. @param {unknown} value */
function words(value) {
  let joined = "";
  if (Array.isArray(value)) joined = value.map(scalar).filter((item) => item !== undefined).join(" ");
  else if (typeof value === "string") joined = /\s/.test(value.trim()) ? value : value.replace(/,/g, " ");
  return joined.trim().split(/\s+/).join(" ") || undefined;
}
