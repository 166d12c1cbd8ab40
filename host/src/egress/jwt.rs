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
    if header.iter().any(|member| member.pointer.is_empty() || member.pointer == "/alg") {
        return Err(Problem::flow(part, "sets `alg` in the header, which the algorithm sets"));
    }
    let start = json!({"typ": "JWT", "alg": algorithm});
    let header = json::document(scope, &format!("{part} header"), start, header)?;
    let claims = json::document(scope, &format!("{part} claims"), Json::Object(Map::new()), claims)?;
    let encoded = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
    let message = Zeroizing::new(format!("{}.{}", encoded(&header.json), encoded(&claims.json)));
    let signature = signature(known, &secret.bytes, message.as_bytes()).map_err(|wanted| {
        Problem::integration(format!("secret `{key}`"), format!("can't sign {algorithm} for {part}: {wanted}"))
    })?;
    let mut value =
        Value { bytes: Zeroizing::new(format!("{}.{signature}", *message).into_bytes()), ..Value::default() };
    for part in [&secret, &header.about, &claims.about] {
        value.inherit(part);
    }
    if value.bytes.len() > scope.limit() {
        return Err(Problem::flow(part, format!("is longer than {} bytes", scope.limit())));
    }
    Ok(value)
}

/// A signature as a JWT has it; the error says what is wanted.
fn signature(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> Result<String, &'static str> {
    let key = signing_key(algorithm, secret)?;
    jsonwebtoken::crypto::sign(message, &key, algorithm).map_err(|_| "the key is refused")
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
                let key =
                    p256::SecretKey::from_pkcs8_pem(pem).ok().or_else(|| p256::SecretKey::from_sec1_pem(pem).ok());
                key.and_then(|key| key.to_pkcs8_der().ok())
            },
            "a P-256 private key is wanted, as unencrypted PEM or JWK",
        ),
        A::ES384 => ec_key(
            text,
            jwk.map(|jwk| jwk.curve("EC", "P-384")),
            |der| p384::SecretKey::from_slice(der).ok().and_then(|key| key.to_pkcs8_der().ok()),
            |pem| {
                let key =
                    p384::SecretKey::from_pkcs8_pem(pem).ok().or_else(|| p384::SecretKey::from_sec1_pem(pem).ok());
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

#[cfg(test)]
mod tests {
    use jsonwebtoken::DecodingKey;
    use p256::pkcs8::LineEnding;

    use super::*;
    use crate::flows::request::{JsonValue, Part};
    use crate::secrets::Secrets;

    /// RFC 7515 appendix A.1.
    const OCT: &str = r#"{"kty":"oct",
        "k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    /// RFC 7515 appendix A.2.
    const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-\
        SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2Ca\
        pHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyu\
        XpoQ";
    /// The same.
    const RSA_D: &str = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui39\
        5IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU\
        2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOop\
        znQ";
    /// The same.
    const RSA_P: &str = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQ\
        n7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc";
    /// The same.
    const RSA_Q: &str = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t6\
        2wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc";
    /// RFC 7515 appendix A.3.
    const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
    /// RFC 8037 appendix A.1.
    const ED: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    /// The claims of RFC 7515 appendix A, encoded.
    const CLAIMS: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    /// The RSA key of RFC 7515 as JWK.
    fn rsa_jwk() -> String {
        json!({"kty": "RSA", "n": RSA_N, "e": "AQAB", "d": RSA_D, "p": RSA_P, "q": RSA_Q}).to_string()
    }

    #[test]
    fn signatures_as_in_the_rfcs() {
        #[track_caller]
        fn check(algorithm: Algorithm, key: &str, message: &str, expected: &str) {
            assert_eq!(
                signature(algorithm, key.as_bytes(), message.as_bytes()).as_deref(),
                Ok(expected),
                "{algorithm:?}"
            );
        }
        let a1 = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS}");
        check(Algorithm::HS256, OCT, &a1, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let a2 = format!("eyJhbGciOiJSUzI1NiJ9.{CLAIMS}");
        check(
            Algorithm::RS256,
            &rsa_jwk(),
            &a2,
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1\
             dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzD\
             wusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe7\
             7Rw",
        );
        check(
            Algorithm::EdDSA,
            ED,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        );
    }

    #[test]
    fn keys_come_as_jwk_or_pem_in_the_usual_forms() {
        #[track_caller]
        fn check(algorithm: Algorithm, key: &str, public: &DecodingKey) {
            let signed = signature(algorithm, key.as_bytes(), b"message").unwrap();
            assert_eq!(jsonwebtoken::crypto::verify(&signed, b"message", public, algorithm), Ok(true), "{algorithm:?}");
        }
        let rsa = Jwk::of(&rsa_jwk()).unwrap().rsa().unwrap();
        let public = DecodingKey::from_rsa_components(RSA_N, "AQAB").unwrap();
        let pkcs8 = rsa.to_pkcs8_pem(LineEnding::LF).unwrap();
        use Algorithm as A;
        for algorithm in [A::RS256, A::RS384, A::RS512, A::PS256, A::PS384, A::PS512] {
            check(algorithm, &pkcs8, &public);
        }
        check(A::PS256, &rsa_jwk(), &public);
        check(A::RS256, &rsa.to_pkcs1_pem(LineEnding::CRLF).unwrap(), &public);
        check(A::RS256, &format!("  {}\n\n", pkcs8.trim()), &public);
        check(A::RS256, &pkcs8.replace('\n', "\\n"), &public);

        let bytes = Jwk::of(EC).unwrap().bytes("d").unwrap();
        let ec = p256::SecretKey::from_slice(&bytes).unwrap();
        let public = DecodingKey::from_ec_components(
            "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        )
        .unwrap();
        check(A::ES256, EC, &public);
        check(A::ES256, &ec.to_pkcs8_pem(LineEnding::LF).unwrap(), &public);
        check(A::ES256, &ec.to_sec1_pem(LineEnding::LF).unwrap(), &public);

        let ed = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let public = DecodingKey::from_ed_components(&URL_SAFE_NO_PAD.encode(ed.verifying_key().as_bytes())).unwrap();
        check(A::EdDSA, &ed.to_pkcs8_pem(LineEnding::LF).unwrap(), &public);

        let p384 = p384::SecretKey::from_slice(&[9; 48]).unwrap();
        let jwk = json!({"kty": "EC", "crv": "P-384", "d": URL_SAFE_NO_PAD.encode([9; 48])}).to_string();
        let public = DecodingKey::from_ec_der(p384.public_key().to_sec1_bytes().as_ref());
        check(A::ES384, &jwk, &public);
        check(A::ES384, &p384.to_sec1_pem(LineEnding::LF).unwrap(), &public);
        check(A::HS384, "any text", &DecodingKey::from_secret(b"any text"));
    }

    /// A JWT signed with the secret `key`, or the problem.
    fn run(algorithm: &str, key: &str, header: &[(&str, &str)], claims: &[(&str, &str)]) -> Result<Value, Problem> {
        let mut secrets = Secrets::default();
        secrets.insert("key", key.into());
        secrets.insert("user", "ada".into());
        let members = |pairs: &[(&str, &str)]| -> Vec<Member> {
            let value = |text: &str| match text.strip_prefix('$') {
                Some(name) => JsonValue::Text(vec![Part::Secret(name.to_owned())]),
                None => JsonValue::Literal(text.to_owned()),
            };
            pairs.iter().map(|(pointer, text)| Member { pointer: (*pointer).to_owned(), value: value(text) }).collect()
        };
        let scope = Scope::new(&secrets, 1000);
        compute(&scope, "derived `jwt`", algorithm, "key", &members(header), &members(claims))
    }

    #[test]
    fn a_jwt_has_the_flows_header_and_claims() {
        let claims = [("/sub", "$user"), ("/aud/-", "\"b\""), ("/exp", "1700000000")];
        let value = run("HS256", "k", &[("/kid", "\"1\""), ("/typ", "\"client-authentication+jwt\"")], &claims)
            .unwrap_or_default();
        let text = std::str::from_utf8(&value.bytes).unwrap();
        let parts: Vec<&str> = text.split('.').collect();
        let decoded = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(decoded(parts[0]), r#"{"typ":"client-authentication+jwt","alg":"HS256","kid":"1"}"#);
        assert_eq!(decoded(parts[1]), r#"{"sub":"ada","aud":["b"],"exp":1700000000}"#);
        let message = format!("{}.{}", parts[0], parts[1]);
        let key = DecodingKey::from_secret(b"k");
        assert_eq!(jsonwebtoken::crypto::verify(parts[2], message.as_bytes(), &key, Algorithm::HS256), Ok(true));
        assert_eq!(value.secrets.into_iter().collect::<Vec<_>>(), ["key", "user"]);
    }

    #[test]
    fn faults_name_the_field_and_what_is_wanted() {
        #[track_caller]
        fn check(algorithm: &str, key: &str, header: &[(&str, &str)], expected: &str) {
            let problem = run(algorithm, key, header, &[]).err().unwrap().to_string();
            assert!(problem.contains(expected), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        check("none", "hunter2", &[], "derived `jwt`: has the algorithm `none`; one of HS256,");
        check("ES512", "hunter2", &[], "derived `jwt`: has the algorithm `ES512`");
        check(
            "RS256",
            "hunter2",
            &[],
            "secret `key`: can't sign RS256 for derived `jwt`: an RSA private key is wanted",
        );
        check("RS256", EC, &[], "an RSA private key is wanted");
        check("ES256", &rsa_jwk(), &[], "a P-256 private key is wanted");
        check("ES384", EC, &[], "a P-384 private key is wanted");
        check("EdDSA", "-----BEGIN PRIVATE KEY-----\nhunter2\n", &[], "an Ed25519 private key is wanted");
        check("ES256", &"hunter2".repeat(3000), &[], "it is too long");
        check("HS256", "", &[], "it is empty");
        check("HS256", "k", &[("/alg", "\"none\"")], "sets `alg`");
        check("HS256", "k", &[("", "{}")], "sets `alg`");
    }
}
