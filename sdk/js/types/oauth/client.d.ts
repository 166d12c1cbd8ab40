/**
 * How a client authenticates itself at an endpoint (RFC 6749 section 2.3, RFC 7523, RFC 8705). Reads the fields of
 * `fields.client` and `fields.clientAuth`. Which method a provider wants is the operator's to say; nothing is tried in turn
 * here.
 * @module
 */
import type { Derivation as Computed } from "../../types/contract.js";
import type { Context } from "../context.js";
import type { Form } from "../request.js";
import { Request } from "../request.js";
export type ClientAuth = "basic" | "basic-raw" | "basic-percent" | "post" | "client_secret_jwt" | "private_key_jwt" | "tls_client_auth" | *   "none";
/**
 * How a client authenticates itself, as the fields name it.
 * - `basic`, `basic-raw`, `basic-percent`: by the `Authorization` header, name and secret encoded first in this way.
 * - `post`: by `client_id` and `client_secret` among the parameters.
 * - `client_secret_jwt`: by an assertion that the client's secret signs (OpenID Connect Core section 9).
 * - `private_key_jwt`: by an assertion that the client's private key signs (RFC 7523 section 2.2).
 * - `tls_client_auth`: by the certificate of the connection (RFC 8705), which is a setting of the integration's transport;
 *   the parameters only say the `client_id`.
 * - `none`: not at all; a public client only says its `client_id` (RFC 6749 section 3.2.1).
 * @typedef {"basic" | "basic-raw" | "basic-percent" | "post" | "client_secret_jwt" | "private_key_jwt" | "tls_client_auth" |
 *   "none"} ClientAuth
 */
/** The methods, in the order in which a form shows them. @type {readonly ClientAuth[]} */
export declare const METHODS: readonly ClientAuth[];
/**
 * The method that a field names; RFC 6749's own where none is named.
 * @param {Context} context
 * @param {string} field
 * @returns {ClientAuth}
 * @throws {Failure} The field has a value that it can't have.
 */
export declare function clientAuth(context: Context, field: string): ClientAuth;
/**
 * A `POST` of these parameters to `url` by the authenticated client.
 * @param {Context} context
 * @param {string} url
 * @param {Form} parameters
 * @param {ClientAuth} method
 * @throws {Failure} A field that the method needs is not set, or has a value that it can't have.
 */
export declare function authenticated(context: Context, url: string, parameters: Form, method: ClientAuth): Request;
export type Assertion = {
    /**
     * The secret that signs it: PEM, JWK, or for `HS*` the bytes themselves.
     */
    key: string;
    /**
     * The algorithm of RFC 7518, e.g. `RS256`.
     */
    algorithm: string;
    /**
     * `iss`.
     */
    issuer: string;
    /**
     * `sub`; without one, the assertion has none.
     */
    subject?: string;
    /**
     * `aud`.
     */
    audience: string;
    /**
     * `scope`, where a provider wants it within the JWT.
     */
    scope?: string;
};
/**
 * A JWT that asserts who its issuer is, or for whom it acts (RFC 7523 section 3).
 * @typedef {object} Assertion
 * @property {string} key The secret that signs it: PEM, JWK, or for `HS*` the bytes themselves.
 * @property {string} algorithm The algorithm of RFC 7518, e.g. `RS256`.
 * @property {string} issuer `iss`.
 * @property {string} [subject] `sub`; without one, the assertion has none.
 * @property {string} audience `aud`.
 * @property {string} [scope] `scope`, where a provider wants it within the JWT.
 */
/**
 * The derived value: `iat` now, `exp` four minutes later, a fresh `jti`, and `kid` from the field `key_id`.
 *
 * The `jti` is made of the last 16 bytes of the step's entropy. A flow that needs something unguessable in the same step
 * takes the first 16.
 * @param {Context} context
 * @param {Assertion} assertion
 * @returns {Computed}
 */
export declare function assertion(context: Context, { key, algorithm, issuer, subject, audience, scope }: Assertion): Computed;
/**
 * The `aud` of assertions: the field `assertion_audience`, else the token URL without its query, for all endpoints alike.
 * @param {Context} context
 * @throws {Failure} Neither is set.
 */
export declare function audience(context: Context): string;
