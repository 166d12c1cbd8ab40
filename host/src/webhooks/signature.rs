//! The signature of a delivery, and the secret that it is made with: Standard Webhooks 1.0.0, "Signature scheme", symmetric.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret; 24 to 64 are wanted.
const BYTES: usize = 32;

/// A new secret.
pub(super) fn new_secret() -> SecretString {
    let mut bytes = Zeroizing::new([0_u8; BYTES]);
    rand::fill(bytes.as_mut_slice());
    let encoded = Zeroizing::new(STANDARD.encode(*bytes));
    SecretString::from(format!("{PREFIX}{}", &*encoded))
}

/// The value of the header `webhook-signature`: one signature by each secret, so that a receiver may know any of them.
///
/// `timestamp`: seconds since 1970. A secret that is none signs nothing.
pub(super) fn signatures(secrets: &[SecretString], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed = secrets.iter().filter_map(|secret| {
        let key = secret.expose_secret().strip_prefix(PREFIX)?;
        let key = Zeroizing::new(STANDARD.decode(key).ok()?);
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // The example of the standard's own libraries.
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signatures(std::slice::from_ref(&secret), id, 1_614_265_330, body), expected);
        let both = signatures(&[secret, new_secret(), "none".into()], id, 1_614_265_330, body);
        let each: Vec<&str> = both.split(' ').collect();
        assert!(each.len() == 2 && each[0] == expected && each[1].starts_with("v1,") && each[1] != expected, "{both}");
    }

    #[test]
    fn secrets_are_of_the_standards_form_and_differ() {
        let (one, other) = (new_secret(), new_secret());
        let bytes = STANDARD.decode(one.expose_secret().strip_prefix(PREFIX).unwrap()).unwrap();
        assert_eq!(bytes.len(), BYTES);
        assert_ne!(one.expose_secret(), other.expose_secret());
    }
}
