/**
 * Builders for requests, in which secrets stand by name. Nothing is encoded or sent here: the host does that when the
 * request leaves.
 * @module
 */
import type { BasicEncoding, Body, Derivation as Computed, Derived, Encoding, Escape, Hash, Member, Method, Part, Template, Transformation } from "../types/contract.js";
export type Templatable = string | Part | (string | Part)[];
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
export declare const text: (value: string) => Part;
/** Text that no record shall show: a code, a verifier. @param {string} value @returns {Part} */
export declare const sensitive: (value: string) => Part;
/** The value of the secret, or of the derived value, of this name. @param {string} name @returns {Part} */
export declare const secret: (name: string) => Part;
/** The request's body as it will be sent; only inside a derivation. @returns {Part} */
export declare const body: () => Part;
/**
 * Parts, joined.
 * @param {Templatable} value
 * @returns {Template}
 */
export declare function template(value: Templatable): Template;
/** A request that the host is asked to send. */
export declare class Request {
    method: Method;
    url: string;
    /** @type {[string, Template][]} */
    query: [string, Template][];
    /** @type {[string, Template][]} */
    headers: [string, Template][];
    /** @type {Body} */
    body: Body;
    /** @type {Derived[]} */
    derived: Derived[];
    /** @param {Method} method @param {string} url It may have a query of its own. */
    constructor(method: Method, url: string);
    /** A `POST`. @param {string} url */
    static post(url: string): Request;
    /** A `GET`. @param {string} url */
    static get(url: string): Request;
    /** Adds a parameter to the URL's query. @param {string} name @param {Templatable} value */
    parameter(name: string, value: Templatable): this;
    /** Adds a header. @param {string} name @param {Templatable} value */
    header(name: string, value: Templatable): this;
    /** Sends this form. @param {Form} form */
    form(form: Form): this;
    /** Sends this JSON document. @param {Json} json */
    json(json: Json): this;
    /**
     * Sends content of the flow's own making.
     * @param {string} contentType
     * @param {Templatable} content
     * @param {Escape} [escape] How secrets are written into it.
     */
    raw(contentType: string, content: Templatable, escape?: Escape): this;
    /** Declares a value that the host computes; a template places it by `secret(name)`. @param {string} name @param {Computed} value */
    derive(name: string, value: Computed): this;
}
/** Makes values that the host computes, since only it has the keys. */
export declare const Derivation: Readonly<{
    /**
     * RFC 7617: base64 of `user:password`, both encoded first. RFC 6749 section 2.3.1 says `form`; providers differ.
     * @param {Templatable} user @param {Templatable} password @param {BasicEncoding} [encoding] @returns {Computed}
     */
    basic: (user: Templatable, password: Templatable, encoding?: BasicEncoding) => Computed;
    /**
     * RFC 7519: a signed JWT in compact form. `key` names the secret that holds the key.
     * @param {string} algorithm @param {string} key @param {Json} claims @param {Json} [header] @returns {Computed}
     */
    jwt: (algorithm: string, key: string, claims: Json, header?: Json) => Computed;
    /**
     * @param {Hash} hash @param {Templatable} key @param {Templatable} message @param {Encoding} encoding
     * @returns {Computed}
     */
    hmac: (hash: Hash, key: Templatable, message: Templatable, encoding: Encoding) => Computed;
    /** @param {Hash} hash @param {Templatable} message @param {Encoding} encoding @returns {Computed} */
    digest: (hash: Hash, message: Templatable, encoding: Encoding) => Computed;
    /** @param {Templatable} value @param {Transformation[]} how @returns {Computed} */
    transform: (value: Templatable, how: Transformation[]) => Computed;
}>;
/** The parameters of an `application/x-www-form-urlencoded` body. */
export declare class Form {
    /** @type {[string, Template][]} */
    parameters: [string, Template][];
    /** Adds a value: text, a part, or parts. @param {string} name @param {Templatable} value */
    add(name: string, value: Templatable): this;
    /** Adds literal text. @param {string} name @param {string} value */
    text(name: string, value: string): this;
    /** Adds literal text, if there is any. @param {string} name @param {string | undefined} value */
    optional(name: string, value: string | undefined): this;
    /** Adds a secret by its name. @param {string} name @param {string} secretName */
    secret(name: string, secretName: string): this;
    /** The same parameters as members of a JSON object; one that is there several times is an array. */
    toJson(): Json;
}
/** An empty form. */
export declare const form: () => Form;
/** The members of an `application/json` body, each set by its JSON pointer (RFC 6901), e.g. `/user/name`. */
export declare class Json {
    /** @type {Member[]} */
    members: Member[];
    /** Sets a string: text, a part, or parts. @param {string} pointer @param {Templatable} value */
    add(pointer: string, value: Templatable): this;
    /** Sets a string. @param {string} pointer @param {string} value */
    text(pointer: string, value: string): this;
    /** Sets a string to a secret, by its name. @param {string} pointer @param {string} secretName */
    secret(pointer: string, secretName: string): this;
    /** Sets any JSON value. @param {string} pointer @param {unknown} value */
    literal(pointer: string, value: unknown): this;
}
/** An empty document. */
export declare const json: () => Json;
