/**
 * The members of an answer, whatever it is written in. Knows nothing of what they mean.
 * @module
 */
import type { Response } from "../../types/contract.js";
export type Members = {
    [name: string]: unknown;
};
/** @typedef {{[name: string]: unknown}} Members */
/** Why an answer has no members: `empty`, `html`, `ambiguous`, or `other` with the way in which it fails. */
export declare class Unreadable {
    kind: "ambiguous" | "empty" | "html" | "other";
    what: string;
    /** @param {"empty" | "html" | "ambiguous" | "other"} kind @param {string} [what] */
    constructor(kind: "empty" | "html" | "ambiguous" | "other", what?: string);
}
/** What an answer says, by member name. */
export declare class Answer {
    #private;
    /** @param {Members} root @param {Members[]} objects @param {boolean} form */
    constructor(root: Members, objects: Members[], form: boolean);
    /**
     * Reads the body as JSON or as a form, whatever its content type says: providers say the wrong one.
     * @param {Response} response
     * @returns {Answer}
     * @throws {Unreadable} It is neither, or it holds several tokens side by side.
     */
    static read(response: Response): Answer;
    /**
     * A member's text: a string that isn't empty, or a number. Looked for beside the token, then in the objects around it.
     * @param {string} name
     * @returns {string | undefined}
     */
    text(name: string): string | undefined;
    /**
     * A member's number, if it is above zero: an integer, a fraction (rounded down), or a string of one.
     * @param {string} name
     * @returns {number | undefined}
     */
    number(name: string): number | undefined;
    /**
     * A member's words, separated by one space: of an array, of a string, or of a string with commas and no spaces.
     * @param {string} name
     * @returns {string | undefined}
     */
    words(name: string): string | undefined;
    /** A member as it is. @param {string} name @returns {unknown} */
    value(name: string): unknown;
    /** The names of the members, if they are known to hold nothing that was sent: at most so many. @param {number} most */
    names(most: number): string[];
}
/** Whether so much is open at once that no honest answer does it. @param {string} text */
export declare function tooDeep(text: string): boolean;
/** @param {unknown} value @returns {value is Members} */
export declare function isObject(value: unknown): value is Members;
/** A string that isn't empty, or a number as it is written. @param {unknown} value @returns {string | undefined} */
export declare function scalar(value: unknown): string | undefined;
