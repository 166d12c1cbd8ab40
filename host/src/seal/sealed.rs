//! A sealed value and its form. Knows the cipher, but holds no key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{SealError, fill_random};

/// The number of a data key; grows by one with each new key. 0 is the master key.
pub type KeyId = u32;

/// The only form so far: version, key id, nonce, ciphertext with its tag.
const VERSION: u8 = 1;
/// Version and key id. They are authenticated with the value.
const HEADER_BYTES: usize = 1 + 4;
/// XChaCha20's nonce is long enough to be drawn at random for every value under one key.
const NONCE_BYTES: usize = 24;
/// Poly1305's tag.
const TAG_BYTES: usize = 16;

/// A value that only a keyring with its key can open, and only for the place it was sealed for.
///
/// In JSON it is base64 text (RFC 4648 section 4).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// The key it was sealed with.
    pub fn key_id(&self) -> KeyId {
        self.0.get(1..HEADER_BYTES).and_then(|id| id.try_into().ok()).map_or(0, KeyId::from_be_bytes)
    }

    /// Its bytes, for where JSON isn't used.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A sealed value from its bytes.
    ///
    /// # Errors
    /// [`SealError::Malformed`] where the bytes are not in this form.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SealError> {
        match bytes.first() {
            Some(&VERSION) if bytes.len() >= HEADER_BYTES + NONCE_BYTES + TAG_BYTES => Ok(Self(bytes)),
            Some(&VERSION) | None => Err(SealError::Malformed("it is cut short")),
            Some(_) => Err(SealError::Malformed("a later version sealed it, or it was altered")),
        }
    }

    /// Seals a value with this cipher, which is that of the key.
    pub(super) fn seal(cipher: &XChaCha20Poly1305, key: KeyId, bound: &[u8], value: &[u8]) -> Result<Self, SealError> {
        let mut sealed = Vec::with_capacity(HEADER_BYTES + NONCE_BYTES + value.len() + TAG_BYTES);
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.to_be_bytes());
        let aad = [&sealed, bound].concat();
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce)?;
        sealed.extend_from_slice(&nonce);
        let ciphertext = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: value, aad: &aad })
            .map_err(|_| SealError::Malformed("the value is too long to be sealed"))?;
        sealed.extend_from_slice(&ciphertext);
        Ok(Self(sealed))
    }

    /// Opens it with this cipher.
    pub(super) fn open(&self, cipher: &XChaCha20Poly1305, bound: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let cut_short = SealError::Malformed("it is cut short");
        let (header, rest) = self.0.split_at_checked(HEADER_BYTES).ok_or(cut_short.clone())?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(cut_short)?;
        let aad = [header, bound].concat();
        cipher
            .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| SealError::Altered)
    }
}

impl From<Sealed> for String {
    fn from(sealed: Sealed) -> Self {
        STANDARD.encode(sealed.0)
    }
}

impl TryFrom<String> for Sealed {
    type Error = SealError;

    fn try_from(text: String) -> Result<Self, SealError> {
        Self::from_bytes(STANDARD.decode(text).map_err(|_| SealError::Malformed("it isn't base64"))?)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(key {}, {} bytes)", self.key_id(), self.0.len())
    }
}
