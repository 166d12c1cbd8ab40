//! What the kit's provider answers: HTTP as it goes over the wire, and the token answers that most cases vary.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::provider::{Reply, Seen};

/// The access token that ordinary answers hold.
pub(super) const ACCESS: &str = "kit-access-token";

/// The refresh token that the flow has before a refresh.
pub(super) const REFRESH_BEFORE: &str = "kit-refresh-before";

/// The refresh token that ordinary answers hold.
pub(super) const REFRESH: &str = "kit-refresh-token";

/// The code that a person brings back from an authorization.
pub(super) const CODE: &str = "kit-code";

/// The device code of a device authorization.
const DEVICE_CODE: &str = "kit-device-code";

/// How often a device flow may ask, in seconds.
pub(super) const INTERVAL: u32 = 5;

/// How long a device code is good, in seconds. Short, so that a flow that asks again and again ends soon.
const DEVICE_LIFETIME: u32 = 60;

/// An answer as it goes over the wire.
pub(super) fn bytes(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Kit\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// A whole answer.
pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
    Reply::Bytes(bytes(status, headers, body.as_ref()))
}

/// A JSON answer.
pub(super) fn json_answer(status: u16, body: &Value) -> Reply {
    answer(status, &[("content-type", "application/json")], body.to_string())
}

/// The ordinary token response (RFC 6749 section 5.1).
pub(super) fn ordinary() -> Value {
    json!({
        "access_token": ACCESS, "token_type": "Bearer", "expires_in": 3600, "refresh_token": REFRESH,
        "scope": "read write",
    })
}

/// The ordinary token response with one member changed, or without it where that is null's absence (`None`).
pub(super) fn with(name: &str, value: Option<Value>) -> Reply {
    let mut body = ordinary();
    if let Value::Object(members) = &mut body {
        match value {
            Some(value) => drop(members.insert(name.to_owned(), value)),
            None => drop(members.remove(name)),
        }
    }
    json_answer(200, &body)
}

/// An error response (RFC 6749 section 5.2).
pub(super) fn error(status: u16, code: &str) -> Reply {
    json_answer(status, &json!({"error": code, "error_description": "The kit says no."}))
}

/// The ordinary token response as a form.
pub(super) fn as_form() -> String {
    let pairs = [
        ("access_token", ACCESS),
        ("token_type", "Bearer"),
        ("expires_in", "3600"),
        ("refresh_token", REFRESH),
        ("scope", "read write"),
    ];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Compressed by gzip (RFC 1952). Writing to memory can't fail.
pub(super) fn gzip(body: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    drop(encoder.write_all(body.as_bytes()));
    encoder.finish().unwrap_or_default()
}

/// The answer to a device authorization request (RFC 8628 section 3.2).
pub(super) fn device(base: &str) -> Reply {
    json_answer(
        200,
        &json!({
            "device_code": DEVICE_CODE, "user_code": "KIT-CODE", "verification_uri": format!("{base}/device"),
            "verification_uri_complete": format!("{base}/device?user_code=KIT-CODE"),
            "expires_in": DEVICE_LIFETIME, "interval": INTERVAL,
        }),
    )
}

/// A metadata document (RFC 8414 section 2; OpenID Connect Discovery 1.0 section 3), all of whose endpoints are the kit's own.
pub(super) fn metadata(base: &str) -> Reply {
    json_answer(
        200,
        &json!({
            "issuer": base,
            "token_endpoint": format!("{base}/token_endpoint"),
            "authorization_endpoint": format!("{base}/authorization_endpoint"),
            "device_authorization_endpoint": format!("{base}/device_authorization_endpoint"),
            "revocation_endpoint": format!("{base}/revocation_endpoint"),
            "jwks_uri": format!("{base}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "grant_types_supported": [
                "authorization_code", "client_credentials", "refresh_token", "password",
                "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:jwt-bearer",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none",
            ],
            "code_challenge_methods_supported": ["S256"],
        }),
    )
}

/// What a request is for, by its path: each URL field has the path `/NAME_OF_THE_FIELD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A token request, or one of which nothing else is known.
    Token,
    /// A device authorization request.
    Device,
    /// A metadata document.
    Metadata,
    /// A revocation request.
    Revocation,
}

impl Role {
    /// The role of a request.
    pub(super) fn of(seen: &Seen) -> Self {
        let path = seen.path.to_ascii_lowercase();
        let has = |word: &str| path.contains(word);
        if has("/.well-known/") {
            Self::Metadata
        } else if has("device") && !has("token") {
            Self::Device
        } else if has("revo") {
            Self::Revocation
        } else {
            Self::Token
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_by_path() {
        let check = |path: &str, expected: Role| {
            assert_eq!(Role::of(&Seen { path: path.to_owned(), ..Seen::default() }), expected, "{path}");
        };
        check("/token_url", Role::Token);
        check("/refresh_url", Role::Token);
        check("/login_url", Role::Token);
        check("/device_authorization_url", Role::Device);
        check("/device_authorization_endpoint", Role::Device);
        check("/device_url", Role::Device);
        check("/.well-known/openid-configuration", Role::Metadata);
        check("/revocation_endpoint", Role::Revocation);
        check("/revoke_url", Role::Revocation);
    }
}
