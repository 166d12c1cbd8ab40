/**
 * The token requests of RFC 6749 that most flows share: client authentication, scope, refresh, revocation. They read the
 * fields that `fields` declares, so a flow that uses them lists those.
 *
 * `acquire` takes what is special to a grant (`grants` has some) and adds the rest; `refresh` and `revoke` need nothing from
 * the flow. How a client authenticates itself is in `client`. The pieces of the grants in which a person takes part are in
 * `authorize` (with `pkce`) and `device`; `discovery` stands in front of any of them.
 * @module
 */

export * as authorize from "./authorize.js";
export * as client from "./client.js";
export * as device from "./device.js";
export * as discovery from "./discovery.js";
export * as fields from "./fields.js";
export * as grants from "./grants.js";
export * as pkce from "./pkce.js";
export { acquire, ask, refresh, request, revoke, scope } from "./requests.js";
