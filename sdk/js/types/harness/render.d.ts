/**
 * A request as text for tests, and the checks that the host would make of it.
 * @module
 */
import type { Context, Description, Request } from "../../types/contract.js";
/** The request as text; see `Run.request`. @param {Request} request */
export declare function render(request: Request): string;
/**
 * Holds a request against what the host would refuse.
 * @param {Request} request @param {Description} description @param {Context} context
 * @param {Uint8Array} metadata The provider's metadata document, if there was one.
 */
export declare function check(request: Request, description: Description, context: Context, metadata: Uint8Array): void;
