/**
 * What is special to the grants that several flows know: the parameters that `acquire` sends besides its own.
 * @module
 */
import type { Context } from "../context.js";
/** The client-credentials grant (RFC 6749 section 4.4.2). */
export declare const clientCredentials: () => import("../request.js").Form;
/**
 * The password grant (RFC 6749 section 4.3.2), of the fields `username` and `password`.
 * @param {Context} context
 * @throws {Failure} One of them is not set.
 */
export declare function password(context: Context): import("../request.js").Form;
