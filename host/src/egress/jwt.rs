//! Signed JWTs (RFC 7519) in compact form, such as client assertions (RFC 7523). `jsonwebtoken` signs.
//!
//! The header and the claims are the flow's; nothing is added but `alg` and `typ`. Verifies nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use jsonwebtoken::{Algorithm, EncodingKey};
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use serde_json::{Map, Value as Json, json};
use zeroize::Zeroizing;

use super::json;
use super::refusal::Problem;
use super::template::{Scope, Value};
use crate::flows::request::Member;

/// The algorithms that can sign here (RFC 7518 section 3.1, RFC 8037).
const ALGORITHMS: &str = "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA";

/// The longest private key as text: RSA with 8192 bits and room to spare. Longer ones would take seconds to check.
const KEY_TEXT: usize = 16 << 10;

/// Computes a signed JWT. RSA takes some milliseconds.
pub(super) fn compute(
    scope: &Scope<'_>,
    part: &str,
    algorithm: &str,
    key: &str,
    header: &[Member],
    claims: &[Member],
) -> Result<Value, Problem> {
    let Ok(known) = algorithm.parse::<Algorithm>() else {
        return Err(Problem::flow(part, format!("has the algorithm `{algorithm}`; one of {ALGORITHMS} is wanted")));
    };
    let secret = scope.named(part, key)?;
    let signing_key = signing_key(known, &secret.bytes).map_err(|wanted| {
        Problem::integration(format!("secret `{key}`"), format!("can't sign {algorithm} for {part}: {wanted}"))
    })?;

    if header.iter().any(|member| member.pointer.is_empty() || member.pointer == "/alg") {
        return Err(Problem::flow(part, "sets `alg` in the header, which the algorithm sets"));
    }
    let start = json!({"typ": "JWT", "alg": algorithm});
    let header = json::document(scope, &format!("{part} header"), start, header)?;
    let claims = json::document(scope, &format!("{part} claims"), Json::Object(Map::new()), claims)?;
    let encoded = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
    let message = Zeroizing::new(format!("{}.{}", encoded(&header.json), encoded(&claims.json)));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &signing_key, known)
        .map_err(|_| Problem::integration(format!("secret `{key}`"), format!("can't sign {algorithm} for {part}")))?;
    let mut value = Value { bytes: Zeroizing::new(format!("{}.{signature}", *message).into_bytes()), ..Value::default() };
    for part in [&secret, &header.about, &claims.about] {
        value.inherit(part);
    }
    if value.bytes.len() > scope.limit() {
        return Err(Problem::flow(part, format!("is longer than {} bytes", scope.limit())));
    }
    Ok(value)
}

/// The key in the form that signs; the error says what is wanted.
fn signing_key(algorithm: Algorithm, secret: &[u8]) -> Result<EncodingKey, &'static str> {
    use Algorithm as A;
    let text = std::str::from_utf8(secret).unwrap_or_default().trim();
    let symmetric = matches!(algorithm, A::HS256 | A::HS384 | A::HS512);
    if !symmetric && text.len() > KEY_TEXT {
        return Err("it is too long for a private key");
    }
    let jwk = Jwk::of(text);
    match algorithm {
        A::HS256 | A::HS384 | A::HS512 => match jwk {
            Some(jwk) if jwk.is("oct") => Ok(EncodingKey::from_secret(&jwk.bytes("k").ok_or("its JWK has no `k`")?)),
            _ if secret.is_empty() => Err("it is empty"),
            _ => Ok(EncodingKey::from_secret(secret)),
        },
        A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512 => rsa_key(text, jwk),
        A::ES256 => ec_key(
            text,
            jwk.map(|jwk| jwk.curve("EC", "P-256")),
            |der| p256::SecretKey::from_slice(der).ok().and_then(|key| key.to_pkcs8_der().ok()),
            |pem| {
                let key = p256::SecretKey::from_pkcs8_pem(pem).ok().or_else(|| p256::SecretKey::from_sec1_pem(pem).ok());
                key.and_then(|key| key.to_pkcs8_der().ok())
            },
            "a P-256 private key is wanted, as unencrypted PEM or JWK",
        ),
        A::ES384 => ec_key(
            text,
            jwk.map(|jwk| jwk.curve("EC", "P-384")),
            |der| p384::SecretKey::from_slice(der).ok().and_then(|key| key.to_pkcs8_der().ok()),
            |pem| {
                let key = p384::SecretKey::from_pkcs8_pem(pem).ok().or_else(|| p384::SecretKey::from_sec1_pem(pem).ok());
                key.and_then(|key| key.to_pkcs8_der().ok())
            },
            "a P-384 private key is wanted, as unencrypted PEM or JWK",
        ),
        A::EdDSA => {
            let wanted = "an Ed25519 private key is wanted, as unencrypted PEM or JWK";
            let key = match jwk {
                Some(jwk) => jwk
                    .curve("OKP", "Ed25519")
                    .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok())
                    .map(|bytes| ed25519_dalek::SigningKey::from_bytes(&bytes)),
                None => ed25519_dalek::SigningKey::from_pkcs8_pem(&pem(text)).ok(),
            };
            let der = key.and_then(|key| key.to_pkcs8_der().ok()).ok_or(wanted)?;
            Ok(EncodingKey::from_ed_der(der.as_bytes()))
        }
        _ => Err("this algorithm is not known here"),
    }
}

/// A key on an elliptic curve, from the private value of a JWK or from PEM.
fn ec_key(
    text: &str,
    jwk: Option<Option<Zeroizing<Vec<u8>>>>,
    from_value: impl Fn(&[u8]) -> Option<p256::pkcs8::SecretDocument>,
    from_pem: impl Fn(&str) -> Option<p256::pkcs8::SecretDocument>,
    wanted: &'static str,
) -> Result<EncodingKey, &'static str> {
    let document = match jwk {
        Some(value) => value.and_then(|value| from_value(&value)),
        None => from_pem(&pem(text)),
    };
    document.map(|document| EncodingKey::from_ec_der(document.as_bytes())).ok_or(wanted)
}

/// An RSA key, from PEM (PKCS #8 or PKCS #1) or a JWK.
fn rsa_key(text: &str, jwk: Option<Jwk>) -> Result<EncodingKey, &'static str> {
    let wanted = "an RSA private key is wanted, as unencrypted PEM or JWK with `n`, `e`, `d`, `p` and `q`";
    let key = match jwk {
        Some(jwk) if jwk.is("RSA") => jwk.rsa(),
        Some(_) => None,
        None => {
            let pem = pem(text);
            rsa::RsaPrivateKey::from_pkcs8_pem(&pem).ok().or_else(|| rsa::RsaPrivateKey::from_pkcs1_pem(&pem).ok())
        }
    };
    let der = key.and_then(|key| key.to_pkcs1_der().ok()).ok_or(wanted)?;
    Ok(EncodingKey::from_rsa_der(der.as_bytes()))
}

/// PEM text as parsers want it: keys copied out of JSON have `\n` in two characters where a line ends.
fn pem(text: &str) -> Zeroizing<String> {
    Zeroizing::new(if text.contains('\n') { text.to_owned() } else { text.replace("\\n", "\n") })
}

/// A private key as JSON (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).
struct Jwk(Map<String, Json>);

impl Jwk {
    /// The JWK that this text is, if it is one.
    fn of(text: &str) -> Option<Self> {
        text.starts_with('{').then(|| serde_json::from_str(text).ok().map(Self))?
    }

    /// Whether it is of this key type.
    fn is(&self, kind: &str) -> bool {
        self.0.get("kty").and_then(Json::as_str) == Some(kind)
    }

    /// A member's bytes.
    fn bytes(&self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        let text = self.0.get(name)?.as_str()?.trim_end_matches('=');
        URL_SAFE_NO_PAD.decode(text).ok().map(Zeroizing::new)
    }

    /// The private value, if the key is on this curve.
    fn curve(&self, kind: &str, curve: &str) -> Option<Zeroizing<Vec<u8>>> {
        let fits = self.is(kind) && self.0.get("crv").and_then(Json::as_str) == Some(curve);
        if fits { self.bytes("d") } else { None }
    }

    /// The RSA key.
    fn rsa(&self) -> Option<rsa::RsaPrivateKey> {
        let number = |name| self.bytes(name).map(|bytes| rsa::BigUint::from_bytes_be(&bytes));
        let primes = vec![number("p")?, number("q")?];
        rsa::RsaPrivateKey::from_components(number("n")?, number("e")?, number("d")?, primes).ok()
    }
}
