/**
 * What is special to the grants that several flows know: the parameters that `acquire` sends besides its own.
 * @module
 */

/** @import { Context } from "../context.js" */
import { form } from "../request.js";

/** The client-credentials grant (RFC 6749 section 4.4.2). */
export const clientCredentials = () => form().text("grant_type", "client_credentials");

/**
 * The password grant (RFC 6749 section 4.3.2), of the fields `username` and `password`.
 * @param {Context} context
 * @throws {Failure} One of them is not set.
 */
export function password(context) {
  context.requiredSecret("password");
  return form()
    .text("grant_type", "password")
    .text("username", context.required("username"))
    .secret("password", "password");
}
