/**
 * What a flow says of itself: its description and fields. The fields that OAuth flows have in common are in `oauth.fields`.
 * @module
 */
import type { Description, Field as Made, SchemeMatch } from "../types/contract.js";
export type FieldOptions = {
    /**
     * One or two sentences for people.
     */
    help?: string;
    /**
     * Whether it must be set: in every integration, or while
     * the other field has one of these values.
     */
    required?: boolean | {
        field: string;
        oneOf: string[];
    };
    /**
     * The value where none is given.
     */
    default?: string;
    /**
     * Where the scheme's flow object has the first value, e.g. `tokenUrl`.
     */
    source?: string;
};
/** Makes fields, one function for each kind. */
export declare const Field: Readonly<{
    /**
     * Any text.
     * @param {string} name @param {string} title @param {FieldOptions} [options]
     */
    text: (name: string, title: string, options?: FieldOptions) => Made;
    /**
     * A value that is kept sealed: the flow places it by name and doesn't see it.
     * @param {string} name @param {string} title @param {FieldOptions} [options]
     */
    secret: (name: string, title: string, options?: FieldOptions) => Made;
    /**
     * An absolute URL, to whose origin the flow's requests may go.
     * @param {string} name @param {string} title @param {FieldOptions} [options]
     */
    url: (name: string, title: string, options?: FieldOptions) => Made;
    /**
     * An absolute URL of a metadata document, whose endpoints requests may also go to.
     * @param {string} name @param {string} title @param {FieldOptions} [options]
     */
    metadataUrl: (name: string, title: string, options?: FieldOptions) => Made;
    /**
     * One of `choices`.
     * @param {string} name @param {string} title @param {string[]} choices @param {FieldOptions} [options]
     */
    choice: (name: string, title: string, choices: string[], options?: FieldOptions) => Made;
    /**
     * `true` or `false`; see `Context.flag`.
     * @param {string} name @param {string} title @param {FieldOptions} [options]
     */
    flag: (name: string, title: string, options?: FieldOptions) => Made;
    /**
     * Words separated by spaces; see `Context.words`.
     * @param {string} name @param {string} title @param {FieldOptions} [options]
     */
    words: (name: string, title: string, options?: FieldOptions) => Made;
}>;
export type Described = {
    /**
     * Unique, kebab-case.
     */
    name: string;
    /**
     * The flow's own semantic version.
     */
    version: string;
    /**
     * For people.
     */
    title: string;
    /**
     * One paragraph for people: when to choose this flow.
     */
    summary?: string;
    /**
     * The schemes that it serves: `type`, and the key in `flows` or the `scheme` of `http`.
     * Unless given: those that pick it by `x-tokenhost-flow`.
     */
    handles?: SchemeMatch[];
    /**
     * Whether it gets a token without a person. Unless given: it does.
     */
    unattended?: boolean;
    /**
     * In the order in which a form shows them.
     */
    fields?: Made[];
};
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
export declare function describe({ name, version, title, summary, handles, unattended, fields }: Described): Description;
