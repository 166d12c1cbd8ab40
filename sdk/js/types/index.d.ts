/**
 * What the author of a tokenhost flow writes against, in JavaScript.
 *
 * A flow turns a security scheme and the names of some secrets into a token request, and the answer into a token. It sees
 * no clock, no network and no secret: the host sends what the flow asks for, and fills the secrets in. So nothing here
 * needs Node.js, a browser or anything else but the language itself, and a flow mustn't either.
 *
 * Layout: `flow.js` the two ways to write a flow, `describe.js`, `request.js` and `context.js` the builders, `oauth/` what
 * OAuth flows share, `token-response/` the parser, `response.js` helpers for answers of other kinds. The test bench is
 * `tokenhost-flow/harness`, which no component contains.
 * @module
 */
export { Context, Failure } from "./context.js";
export { describe, Field } from "./describe.js";
export { advance, done, flow, oauthFlow, redirect, revoked, send, token, wait } from "./flow.js";
export * as oauth from "./oauth/index.js";
export { body, Derivation, Form, form, Json, json, Request, secret, sensitive, template, text } from "./request.js";
export * as answers from "./response.js";
export * as tokenResponse from "./token-response/index.js";
