/**
 * Builders for requests, in which secrets stand by name. Nothing is encoded or sent here: the host does that when the
 * request leaves.
 * @module
 */

/**
 * @import {
 *   BasicEncoding, Body, Derivation as Computed, Derived, Encoding, Escape, Hash, Member, Method, Part, Template,
 *   Transformation
 * } from "../types/contract.js"
 */

/**
 * What becomes a template: literal text, a part, or parts joined.
 * @typedef {string | Part | (string | Part)[]} Templatable
 */

/** Literal text. @param {string} value @returns {Part} */
export const text = (value) => ({ tag: "text", val: value });

/** Text that no record shall show: a code, a verifier. @param {string} value @returns {Part} */
export const sensitive = (value) => ({ tag: "sensitive", val: value });

/** The value of the secret, or of the derived value, of this name. @param {string} name @returns {Part} */
export const secret = (name) => ({ tag: "secret", val: name });

/** The request's body as it will be sent; only inside a derivation. @returns {Part} */
export const body = () => ({ tag: "body" });

/**
 * Parts, joined.
 * @param {Templatable} value
 * @returns {Template}
 */
export function template(value) {
  const parts = Array.isArray(value) ? value : [value];
  return parts.map((part) => (typeof part === "string" ? text(part) : part));
}

/** A request that the host is asked to send. */
export class Request {
  /** @param {Method} method @param {string} url It may have a query of its own. */
  constructor(method, url) {
    this.method = method;
    this.url = url;
    /** @type {[string, Template][]} */
    this.query = [];
    /** @type {[string, Template][]} */
    this.headers = [];
    /** @type {Body} */
    this.body = { tag: "empty" };
    /** @type {Derived[]} */
    this.derived = [];
  }

  /** A `POST`. @param {string} url */
  static post(url) {
    return new Request("post", url);
  }

  /** A `GET`. @param {string} url */
  static get(url) {
    return new Request("get", url);
  }

  /** Adds a parameter to the URL's query. @param {string} name @param {Templatable} value */
  parameter(name, value) {
    this.query.push([name, template(value)]);
    return this;
  }

  /** Adds a header. @param {string} name @param {Templatable} value */
  header(name, value) {
    this.headers.push([name, template(value)]);
    return this;
  }

  /** Sends this form. @param {Form} form */
  form(form) {
    this.body = { tag: "form", val: form.parameters };
    return this;
  }

  /** Sends this JSON document. @param {Json} json */
  json(json) {
    this.body = { tag: "json", val: json.members };
    return this;
  }

  /**
   * Sends content of the flow's own making.
   * @param {string} contentType
   * @param {Templatable} content
   * @param {Escape} [escape] How secrets are written into it.
   */
  raw(contentType, content, escape = "none") {
    this.body = { tag: "raw", val: { contentType, content: template(content), escape } };
    return this;
  }

  /** Declares a value that the host computes; a template places it by `secret(name)`. @param {string} name @param {Computed} value */
  derive(name, value) {
    this.derived.push({ name, value });
    return this;
  }
}

/** Makes values that the host computes, since only it has the keys. */
export const Derivation = Object.freeze({
  /**
   * RFC 7617: base64 of `user:password`, both encoded first. RFC 6749 section 2.3.1 says `form`; providers differ.
   * @param {Templatable} user @param {Templatable} password @param {BasicEncoding} [encoding] @returns {Computed}
   */
  basic: (user, password, encoding = "form") => ({
    tag: "basic",
    val: { user: template(user), password: template(password), encoding },
  }),
  /**
   * RFC 7519: a signed JWT in compact form. `key` names the secret that holds the key.
   * @param {string} algorithm @param {string} key @param {Json} claims @param {Json} [header] @returns {Computed}
   */
  jwt: (algorithm, key, claims, header) => ({
    tag: "jwt",
    val: { algorithm, key, header: header?.members ?? [], claims: claims.members },
  }),
  /**
   * @param {Hash} hash @param {Templatable} key @param {Templatable} message @param {Encoding} encoding
   * @returns {Computed}
   */
  hmac: (hash, key, message, encoding) => ({
    tag: "hmac",
    val: { hash, key: template(key), message: template(message), encoding },
  }),
  /** @param {Hash} hash @param {Templatable} message @param {Encoding} encoding @returns {Computed} */
  digest: (hash, message, encoding) => ({ tag: "digest", val: { hash, message: template(message), encoding } }),
  /** @param {Templatable} value @param {Transformation[]} how @returns {Computed} */
  transform: (value, how) => ({ tag: "transform", val: { value: template(value), how } }),
});

/** The parameters of an `application/x-www-form-urlencoded` body. */
export class Form {
  /** @type {[string, Template][]} */
  parameters = [];

  /** Adds a value: text, a part, or parts. @param {string} name @param {Templatable} value */
  add(name, value) {
    this.parameters.push([name, template(value)]);
    return this;
  }

  /** Adds literal text. @param {string} name @param {string} value */
  text(name, value) {
    return this.add(name, text(value));
  }

  /** Adds literal text, if there is any. @param {string} name @param {string | undefined} value */
  optional(name, value) {
    return value ? this.text(name, value) : this;
  }

  /** Adds a secret by its name. @param {string} name @param {string} secretName */
  secret(name, secretName) {
    return this.add(name, secret(secretName));
  }

  /** The same parameters as members of a JSON object; one that is there several times is an array. */
  toJson() {
    const json = new Json();
    for (const [name, value] of this.parameters) {
      const repeated = this.parameters.filter(([other]) => other === name).length > 1;
      json.add(`/${name.replaceAll("~", "~0").replaceAll("/", "~1")}${repeated ? "/-" : ""}`, value);
    }
    return json;
  }
}

/** An empty form. */
export const form = () => new Form();

/** The members of an `application/json` body, each set by its JSON pointer (RFC 6901), e.g. `/user/name`. */
export class Json {
  /** @type {Member[]} */
  members = [];

  /** Sets a string: text, a part, or parts. @param {string} pointer @param {Templatable} value */
  add(pointer, value) {
    this.members.push({ pointer, value: { tag: "text", val: template(value) } });
    return this;
  }

  /** Sets a string. @param {string} pointer @param {string} value */
  text(pointer, value) {
    return this.add(pointer, text(value));
  }

  /** Sets a string to a secret, by its name. @param {string} pointer @param {string} secretName */
  secret(pointer, secretName) {
    return this.add(pointer, secret(secretName));
  }

  /** Sets any JSON value. @param {string} pointer @param {unknown} value */
  literal(pointer, value) {
    this.members.push({ pointer, value: { tag: "literal", val: JSON.stringify(value) } });
    return this;
  }
}

/** An empty document. */
export const json = () => new Json();
