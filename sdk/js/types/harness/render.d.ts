/**
 * A request as text for tests, and the checks that the host would make of it.
 * @module
 */
import type { Context, Description, Request } from "../../types/contract.js";
/** @import { Context, Derivation, Description, Member, Request, Template } from "../../types/contract.js" */
/** The request as text; see `Run.request`. @param {Request} request */
export declare function render(request: Request): string;
/**
 * Holds a request against what the host would refuse.
 * @param {Request} request @param {Description} description @param {Context} context
 */
export declare function check(request: Request, description: Description, context: Context): void;
