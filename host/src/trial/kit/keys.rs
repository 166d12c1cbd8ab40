//! Keys for flows that have the host sign: made when a request asks for one, the same for the whole run.
//!
//! A flow's test needs no key of its own then. Never used outside of the kit.

use std::collections::BTreeMap;

use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use p256::pkcs8::LineEnding;
use secrecy::SecretString;

use crate::flows::request::{Derivation, Request};
use crate::secrets::Secrets;

/// Bits of an RSA key. Smaller ones are refused by providers; bigger ones take long to make.
const RSA_BITS: usize = 2048;

/// The keys made so far, by the family of their algorithms.
#[derive(Default)]
pub(super) struct Keys(BTreeMap<&'static str, SecretString>);

impl Keys {
    /// Puts a key in the place of each secret with which this request has something signed.
    pub(super) fn fill(&mut self, request: &Request, secrets: &mut Secrets) {
        for derived in &request.derived {
            if let Derivation::Jwt { algorithm, key, .. } = &derived.value
                && secrets.get(key).is_some()
                && let Some(made) = self.of(algorithm)
            {
                secrets.insert(key.clone(), made);
            }
        }
    }

    /// The key for an algorithm (RFC 7518 section 3.1); none where any text is one.
    fn of(&mut self, algorithm: &str) -> Option<SecretString> {
        let family = match algorithm {
            "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => "rsa",
            "ES256" => "p256",
            "ES384" => "p384",
            "EdDSA" => "ed25519",
            _ => return None,
        };
        if let Some(known) = self.0.get(family) {
            return Some(known.clone());
        }
        let pem = match family {
            "rsa" => {
                let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, RSA_BITS).ok()?;
                key.to_pkcs8_pem(LineEnding::LF).ok()?
            }
            // Any value below the curve's order is a key; these are.
            "p256" => p256::SecretKey::from_slice(&[7; 32]).ok()?.to_pkcs8_pem(LineEnding::LF).ok()?,
            "p384" => p384::SecretKey::from_slice(&[7; 48]).ok()?.to_pkcs8_pem(LineEnding::LF).ok()?,
            _ => ed25519_dalek::SigningKey::from_bytes(&[7; 32]).to_pkcs8_pem(LineEnding::LF).ok()?,
        };
        let key = SecretString::from(pem.as_str());
        self.0.insert(family, key.clone());
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn each_family_has_one_key() {
        let mut keys = Keys::default();
        for (one, other) in [("RS256", "PS512"), ("ES256", "ES256"), ("ES384", "ES384"), ("EdDSA", "EdDSA")] {
            let (first, second) = (keys.of(one).unwrap(), keys.of(other).unwrap());
            assert!(first.expose_secret().starts_with("-----BEGIN PRIVATE KEY-----"), "{one}");
            assert_eq!(first.expose_secret(), second.expose_secret(), "{one}");
        }
        assert!(keys.of("HS256").is_none());
    }
}
