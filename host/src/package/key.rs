//! Publishers' keys: ed25519 (RFC 8032), the private one as PKCS #8 in PEM, the public one as a line of text.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// What a public key's line begins with.
const PREFIX: &str = "tokenhost-publisher:ed25519:";

/// Hexadecimal digits of a key's id.
const ID_LENGTH: usize = 16;

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No public key.
    #[error("is no publisher's key; one looks like `{PREFIX}…` (`tokenhost plugin key show FILE` prints it)")]
    Public,
    /// No private key.
    #[error("is no ed25519 private key in PEM (PKCS #8); `tokenhost plugin key new FILE` makes one")]
    Private,
    /// It can't be written.
    #[error("the key can't be written as PEM")]
    Write,
}

/// What a publisher signs with. Shows nothing of itself.
pub struct PrivateKey(SigningKey);

/// By which a publisher is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PrivateKey {
    /// A new one.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(&mut *seed);
        Self(SigningKey::from_bytes(&seed))
    }

    /// Out of PEM (RFC 8410).
    ///
    /// # Errors
    /// It is none.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        SigningKey::from_pkcs8_pem(text.trim()).map(Self).map_err(|_| KeyError::Private)
    }

    /// As PEM.
    ///
    /// # Errors
    /// It can't be encoded, which never happens.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        self.0.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Write)
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrivateKey").field(&self.public().id()).finish()
    }
}

impl PublicKey {
    /// A short name of it: the first 16 hexadecimal digits of its SHA-256.
    pub fn id(&self) -> String {
        let mut id = hex::encode(Sha256::digest(self.0.as_bytes()));
        id.truncate(ID_LENGTH);
        id
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.id()).finish()
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(KeyError::Public)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| KeyError::Public)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| KeyError::Public)?;
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| KeyError::Public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_to_text_and_back() {
        let key = PrivateKey::generate();
        let pem = key.to_pem().unwrap();
        assert_eq!(PrivateKey::from_pem(&pem).unwrap().public(), key.public());
        assert!(!format!("{key:?}").contains(pem.lines().nth(1).unwrap()));
        let line = key.public().to_string();
        assert_eq!(line.parse::<PublicKey>().unwrap(), key.public());
        assert_eq!(format!(" {line}\n").parse::<PublicKey>().unwrap().id().len(), 16);
        for text in
            ["", "tokenhost-publisher:ed25519:", "tokenhost-publisher:ed25519:AAAA", &line[..line.len() - 1], &pem]
        {
            assert_eq!(text.parse::<PublicKey>(), Err(KeyError::Public), "{text}");
        }
        assert_eq!(PrivateKey::from_pem(&line).unwrap_err(), KeyError::Private);
    }
}
