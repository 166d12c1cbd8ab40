/**
 * The fields that OAuth flows share, in groups, so that every flow names and explains them alike. A flow puts its own
 * between them: `client`, its own, `tokenUrl`, `target`, `clientAuth`, `refresh`, `revocationUrl`.
 * @module
 */

/** @import { FieldOptions } from "../describe.js" */
import { Field } from "../describe.js";
import { METHODS } from "./client.js";

/** The algorithms that can sign (RFC 7518 section 3.1, RFC 8037). */
const ALGORITHMS = [
  "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256", "HS384", "HS512",
];

/**
 * The ways of client authentication that need a `client_id`: all but `none`, with grants that say by themselves who asks.
 */
export const WITH_CLIENT = Object.freeze(METHODS.filter((method) => method !== "none"));

/** The ways of client authentication in which `client_secret` takes part. */
export const WITH_SECRET = Object.freeze(["basic", "basic-raw", "basic-percent", "post", "client_secret_jwt"]);

/** `client_id` and `client_secret`. */
export const client = () => [
  Field.text("client_id", "Client ID", {
    help: "The name under which the provider knows this client.",
    required: true,
  }),
  Field.secret("client_secret", "Client secret", {
    help:
      "The client's password, for the ways of client_auth that need one. During a rotation, give the one to fall back " +
      "to as client_secret.2.",
    required: { field: "client_auth", oneOf: [...WITH_SECRET] },
  }),
];

/** `token_url`. */
export const tokenUrl = () =>
  Field.url("token_url", "Token URL", {
    help: "Where tokens are requested. Parameters in its query are kept.",
    required: true,
    source: "tokenUrl",
  });

/** What the token is for, and how that is written: `scope`, `scope_separator`, `audience`, `resource` and `request_body`. */
export const target = () => [
  Field.words("scope", "Scope", {
    help: "The scopes to ask for, separated by spaces. Empty: the provider's default.",
  }),
  scopeSeparator(),
  Field.text("audience", "Audience", {
    help: "Sent as audience when a token is acquired; some providers want it.",
  }),
  Field.words("resource", "Resource", {
    help:
      "The URIs of the services that the token is for, separated by spaces (RFC 8707). Each is sent as resource.",
  }),
  requestBody(),
];

/** `scope_separator`. */
export const scopeSeparator = () =>
  Field.choice("scope_separator", "Scope separator", ["space", "comma", "plus"], {
    help:
      "What stands between scopes. space: as RFC 6749 section 3.3 says; comma and plus: as some providers want it.",
    default: "space",
  });

/** `request_body`. */
export const requestBody = () =>
  Field.choice("request_body", "Request body", ["form", "json"], {
    help:
      "How the parameters of requests are written. form: as RFC 6749 says; json: as a JSON object, which some " +
      "providers want instead.",
    default: "form",
  });

/**
 * How the client authenticates itself: `client_auth`, and for assertions `private_key`, `key_id`, `signing_algorithm` and
 * `assertion_audience`.
 */
export const clientAuth = () => [
  clientAuthMethod("basic"),
  privateKey({ required: { field: "client_auth", oneOf: ["private_key_jwt"] } }),
  keyId(),
  signingAlgorithm({
    help:
      "The algorithm that signs the JWT by which the client authenticates itself (RFC 7518). Unset: HS256 with " +
      "client_secret_jwt, RS256 with private_key_jwt. It has to go with the key.",
  }),
  assertionAudience(),
];

/** `client_auth`, with its default. @param {string} usual */
export const clientAuthMethod = (usual) =>
  Field.choice("client_auth", "Client authentication", [...METHODS], {
    help:
      "How the client authenticates itself. basic: the Authorization header, ID and secret form-encoded first, " +
      "as RFC 6749 section 2.3.1 says; basic-raw: the same without encoding; basic-percent: the same with a " +
      "space as %20; post: ID and secret among the parameters; client_secret_jwt and private_key_jwt: a JWT " +
      "signed with the secret or the private key (RFC 7523); tls_client_auth: the client certificate of the " +
      "integration's transport (RFC 8705); none: only the ID. Providers differ; where one says invalid_client " +
      "though ID and secret are right, try another.",
    default: usual,
  });

/** `private_key`, which nothing requires unless the options say so. @param {FieldOptions} [options] */
export const privateKey = (options) =>
  Field.secret("private_key", "Private key", {
    help: "The key that signs JWTs, as PEM (unencrypted) or as JWK.",
    ...options,
  });

/** `key_id`. */
export const keyId = () =>
  Field.text("key_id", "Key ID", {
    help: "The kid of signed JWTs: how the provider finds the key. Unset: none is sent.",
  });

/** `signing_algorithm`. @param {FieldOptions} [options] */
export const signingAlgorithm = (options) =>
  Field.choice("signing_algorithm", "Signing algorithm", ALGORITHMS, {
    help: "The algorithm that signs JWTs (RFC 7518). It has to go with the key.",
    ...options,
  });

/** `assertion_audience`. */
export const assertionAudience = () =>
  Field.text("assertion_audience", "Audience of assertions", {
    help: "The aud of signed JWTs. Unset: the token URL; some providers want their issuer.",
  });

/** `revocation_url`. */
export const revocationUrl = () =>
  Field.url("revocation_url", "Revocation URL", {
    help: "Where the token is revoked when the integration is deleted (RFC 7009). Unset: it is only forgotten here.",
  });

/** How the token is refreshed: `refresh`, `refresh_url`, `refresh_client_auth` and `scope_on_refresh`. */
export const refresh = () => [
  Field.choice("refresh", "Refresh", ["auto", "never"], {
    help: "auto: use the refresh token where the provider gives one. never: always acquire a new token.",
    default: "auto",
  }),
  Field.url("refresh_url", "Refresh URL", {
    help: "Where tokens are refreshed, if not at the token URL.",
    source: "refreshUrl",
  }),
  Field.choice("refresh_client_auth", "Client authentication on refresh", ["same", ...METHODS], {
    help: "How the client authenticates itself when it refreshes. same: as client_auth says.",
    default: "same",
  }),
  Field.choice("scope_on_refresh", "Scope on refresh", ["auto", "send", "omit"], {
    help:
      "Whether the scope is sent again on refresh. auto: as RFC 6749 section 6 allows, it is omitted, which " +
      "asks for the same scope as before; send: always; omit: never.",
    default: "auto",
  }),
];
