//! The fields that OAuth flows share, in groups, so that every flow names and explains them alike.
//!
//! A flow puts its own between them: [`client`], its own, [`token_url`], [`target`], [`client_auth`], [`refresh`],
//! [`revocation_url`].

use super::client::METHODS;
use crate::types::Field;

/// The algorithms that can sign (RFC 7518 section 3.1, RFC 8037).
const ALGORITHMS: [&str; 12] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256", "HS384", "HS512"];

/// The ways of client authentication that need a `client_id`: all but `none`, with grants that say by themselves who asks.
pub const WITH_CLIENT: [&str; 7] =
    ["basic", "basic-raw", "basic-percent", "post", "client_secret_jwt", "private_key_jwt", "tls_client_auth"];

/// The ways of client authentication in which `client_secret` takes part.
pub const WITH_SECRET: [&str; 5] = ["basic", "basic-raw", "basic-percent", "post", "client_secret_jwt"];

/// `client_id` and `client_secret`.
pub fn client() -> [Field; 2] {
    [
        Field::text("client_id", "Client ID").help("The name under which the provider knows this client.").required(),
        Field::secret("client_secret", "Client secret")
            .help(
                "The client's password, for the ways of client_auth that need one. During a rotation, give the one to \
                 fall back to as client_secret.2.",
            )
            .required_when("client_auth", &WITH_SECRET),
    ]
}

/// The same for grants that say by themselves who asks: needed only for the ways of `client_auth` that show a client.
pub fn client_where_wanted() -> [Field; 2] {
    [
        Field::text("client_id", "Client ID")
            .help("The name under which the provider knows this client, where it wants to know it.")
            .required_when("client_auth", &WITH_CLIENT),
        Field::secret("client_secret", "Client secret")
            .help("The client's password, for the ways of client_auth that need one.")
            .required_when("client_auth", &WITH_SECRET),
    ]
}

/// `token_url`.
pub fn token_url() -> Field {
    Field::url("token_url", "Token URL")
        .help("Where tokens are requested. Parameters in its query are kept.")
        .required()
        .source("tokenUrl")
}

/// What the token is for, and how that is written: `scope`, `scope_separator`, `audience`, `resource` and `request_body`.
pub fn target() -> [Field; 5] {
    [
        Field::words("scope", "Scope")
            .help("The scopes to ask for, separated by spaces. Empty: the provider's default."),
        scope_separator(),
        Field::text("audience", "Audience").help("Sent as audience when a token is acquired; some providers want it."),
        Field::words("resource", "Resource").help(
            "The URIs of the services that the token is for, separated by spaces (RFC 8707). Each is sent as resource.",
        ),
        request_body(),
    ]
}

/// `scope_separator`.
pub fn scope_separator() -> Field {
    Field::choice("scope_separator", "Scope separator", &["space", "comma", "plus"])
        .help(
            "What stands between scopes. space: as RFC 6749 section 3.3 says; comma and plus: as some providers want it.",
        )
        .default_value("space")
}

/// `request_body`.
pub fn request_body() -> Field {
    Field::choice("request_body", "Request body", &["form", "json"])
        .help(
            "How the parameters of requests are written. form: as RFC 6749 says; json: as a JSON object, which some \
             providers want instead.",
        )
        .default_value("form")
}

/// How the client authenticates itself: `client_auth`, and for assertions `private_key`, `key_id`, `signing_algorithm`
/// and `assertion_audience`.
pub fn client_auth() -> [Field; 5] {
    [
        client_auth_method("basic"),
        private_key().required_when("client_auth", &["private_key_jwt"]),
        key_id(),
        signing_algorithm().help(
            "The algorithm that signs the JWT by which the client authenticates itself (RFC 7518). Unset: HS256 with \
             client_secret_jwt, RS256 with private_key_jwt. It has to go with the key.",
        ),
        assertion_audience(),
    ]
}

/// `client_auth`, with its default.
pub fn client_auth_method(default: &str) -> Field {
    Field::choice("client_auth", "Client authentication", &METHODS.map(|(name, _)| name))
        .help(
            "How the client authenticates itself. basic: the Authorization header, ID and secret form-encoded first, \
             as RFC 6749 section 2.3.1 says; basic-raw: the same without encoding; basic-percent: the same with a \
             space as %20; post: ID and secret among the parameters; client_secret_jwt and private_key_jwt: a JWT \
             signed with the secret or the private key (RFC 7523); tls_client_auth: the client certificate of the \
             integration's transport (RFC 8705); none: only the ID. Providers differ; where one says invalid_client \
             though ID and secret are right, try another.",
        )
        .default_value(default)
}

/// `private_key`, which nothing requires yet.
pub fn private_key() -> Field {
    Field::secret("private_key", "Private key").help("The key that signs JWTs, as PEM (unencrypted) or as JWK.")
}

/// `key_id`.
pub fn key_id() -> Field {
    Field::text("key_id", "Key ID").help("The kid of signed JWTs: how the provider finds the key. Unset: none is sent.")
}

/// `signing_algorithm`.
pub fn signing_algorithm() -> Field {
    Field::choice("signing_algorithm", "Signing algorithm", &ALGORITHMS)
        .help("The algorithm that signs JWTs (RFC 7518). It has to go with the key.")
}

/// `assertion_audience`.
pub fn assertion_audience() -> Field {
    Field::text("assertion_audience", "Audience of assertions")
        .help("The aud of signed JWTs. Unset: the token URL; some providers want their issuer.")
}

/// `revocation_url`.
pub fn revocation_url() -> Field {
    Field::url("revocation_url", "Revocation URL").help(
        "Where the token is revoked when the integration is deleted (RFC 7009). Unset: it is only forgotten here.",
    )
}

/// How the token is refreshed: `refresh`, `refresh_url`, `refresh_client_auth` and `scope_on_refresh`.
pub fn refresh() -> [Field; 4] {
    [
        Field::choice("refresh", "Refresh", &["auto", "never"])
            .help("auto: use the refresh token where the provider gives one. never: always acquire a new token.")
            .default_value("auto"),
        Field::url("refresh_url", "Refresh URL")
            .help("Where tokens are refreshed, if not at the token URL.")
            .source("refreshUrl"),
        Field::choice(
            "refresh_client_auth",
            "Client authentication on refresh",
            &["same"].into_iter().chain(METHODS.map(|(name, _)| name)).collect::<Vec<_>>(),
        )
        .help("How the client authenticates itself when it refreshes. same: as client_auth says.")
        .default_value("same"),
        Field::choice("scope_on_refresh", "Scope on refresh", &["auto", "send", "omit"])
            .help(
                "Whether the scope is sent again on refresh. auto: as RFC 6749 section 6 allows, it is omitted, which \
                 asks for the same scope as before; send: always; omit: never.",
            )
            .default_value("auto"),
    ]
}
