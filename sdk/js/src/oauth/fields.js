/**
 * The fields that OAuth flows share, in groups, so that every flow names and explains them alike. A flow puts its own
 * between them: `client`, its own, `tokenUrl`, `target`, `clientAuth`, `refresh`.
 * @module
 */

import { Field } from "../describe.js";

/** The ways of client authentication in which a secret takes part. */
const WITH_SECRET = ["basic", "basic-raw", "basic-percent", "post"];

/** `client_id` and `client_secret`. */
export const client = () => [
  Field.text("client_id", "Client ID", {
    help: "The name under which the provider knows this client.",
    required: true,
  }),
  Field.secret("client_secret", "Client secret", {
    help: "The client's password. A public client has none: set client_auth to none.",
    required: { field: "client_auth", oneOf: WITH_SECRET },
  }),
];

/** `token_url`. */
export const tokenUrl = () =>
  Field.url("token_url", "Token URL", {
    help: "Where tokens are requested. Parameters in its query are kept.",
    required: true,
    source: "tokenUrl",
  });

/** What the token is for: `scope`, `audience` and `resource`. */
export const target = () => [
  Field.words("scope", "Scope", {
    help: "The scopes to ask for, separated by spaces. Empty: the provider's default.",
  }),
  Field.text("audience", "Audience", {
    help: "Sent as audience when a token is acquired; some providers want it.",
  }),
  Field.words("resource", "Resource", {
    help:
      "The URIs of the services that the token is for, separated by spaces (RFC 8707). Each is sent as resource.",
  }),
];

/** `client_auth`. */
export const clientAuth = () =>
  Field.choice("client_auth", "Client authentication", [...WITH_SECRET, "none"], {
    help:
      "How the client authenticates itself. basic: the Authorization header, ID and secret form-encoded first, " +
      "as RFC 6749 section 2.3.1 says; basic-raw: the same without encoding; basic-percent: the same with a " +
      "space as %20; post: ID and secret among the parameters; none: only the ID. Providers differ; where one " +
      "says invalid_client though ID and secret are right, try another.",
    default: "basic",
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
  Field.choice("refresh_client_auth", "Client authentication on refresh", ["same", ...WITH_SECRET, "none"], {
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
