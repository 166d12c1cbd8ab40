//! Secrets at rest: sealed with an AEAD under data keys, which are wrapped by a master key that is not in the database.
//! Keys rotate while the daemon runs (`custody`), and what older data keys sealed is sealed anew (`reseal`).
//!
//! A sealed value is bound to the record and field that it belongs to, so that it can't be moved to another. This room
//! decides no policy: what is secret, and where it is kept, is its callers' business.

mod command;
mod custody;
mod keyring;
mod kind;
mod master;
mod reseal;
mod sealed;
mod wrapped;

use secrecy::SecretString;
use zeroize::Zeroizing;

pub use self::command::PATIENCE;
pub use self::custody::{Custody, DataKeyStatus, Keep, KeyError, MasterKeys, MasterStatus, NextMaster};
pub use self::keyring::Keyring;
pub use self::kind::{Keeper, Kind, SealedTable, Sealing, Visit};
pub use self::master::MasterKey;
pub use self::reseal::{Counts, Progress, Resealer, SETTLING, Work};
pub use self::sealed::{KeyId, Sealed};
use crate::store::StoreError;

/// What the keys of the records of wrapped keys begin with in the store. Wrapped, they may stand in the clear.
pub const KEYS_PREFIX: &[u8] = b"key\0";

/// Bytes of every key here.
pub const KEY_BYTES: usize = 32;

/// The associated data that binds a sealed value to one field of one record.
///
/// The record's key is that in the store. Two different pairs never give the same bytes.
pub fn bound_to(record_key: &[u8], field: &str) -> Vec<u8> {
    let mut bound = Vec::with_capacity(8 + record_key.len() + field.len());
    bound.extend_from_slice(&(record_key.len() as u64).to_be_bytes());
    bound.extend_from_slice(record_key);
    bound.extend_from_slice(field.as_bytes());
    bound
}

/// Why something couldn't be sealed or opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SealError {
    /// The master key can't be had, or isn't fit for use.
    #[error("the master key in {origin} can't be used: {fault}")]
    MasterKey {
        /// The file or variable.
        origin: String,
        /// What is wrong, and what to do.
        fault: String,
    },
    /// A new key's file is there already.
    #[error(
        "there is a file {file} already, and a key is never overwritten: what it opens would be lost. {}",
        instead(file)
    )]
    Exists {
        /// The file.
        file: String,
    },
    /// The master key isn't the one that this data was sealed under.
    #[error(
        "the master key in {origin} is the wrong one: it is key {found}, but the data folder was sealed with key {needed}; \
         give that one, its values can't be opened without it"
    )]
    WrongMasterKey {
        /// The file or variable.
        origin: String,
        /// The id of the key given.
        found: String,
        /// The id of the key needed.
        needed: String,
    },
    /// The settings, which say where the master key is, can't be read anew.
    #[error("{0}")]
    Settings(String),
    /// The value names a key that the keyring hasn't.
    #[error("a sealed value names key {0}, which isn't in the data folder; was part of it restored from elsewhere?")]
    UnknownKey(KeyId),
    /// The value isn't what was sealed for this place.
    #[error("a sealed value was altered, or belongs to another record")]
    Altered,
    /// The value isn't in the form of sealed values.
    #[error("this is no sealed value: {0}")]
    Malformed(&'static str),
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(String),
    /// The keys couldn't be read or written.
    #[error("the data keys can't be read or written: {0}")]
    Store(#[from] StoreError),
}

/// What to do where a new key's file is there already.
fn instead(file: &str) -> String {
    match file.ends_with(".next") {
        true => {
            "Where it is the next key, `tokenhost key rotate --master` takes it; else move it away first".to_owned()
        }
        false => {
            format!("Name another file; for the key that is to take its place: `tokenhost key generate {file}.next`")
        }
    }
}

/// Fresh random bytes for a key.
fn random_key() -> Result<Zeroizing<[u8; KEY_BYTES]>, SealError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    fill_random(key.as_mut_slice())?;
    Ok(key)
}

/// Fills with random bytes of the operating system.
fn fill_random(bytes: &mut [u8]) -> Result<(), SealError> {
    getrandom::fill(bytes).map_err(|error| SealError::Random(error.to_string()))
}

/// Text out of opened bytes. The bytes move into the text, so that no copy is left behind.
fn into_text(mut bytes: Zeroizing<Vec<u8>>) -> Result<SecretString, SealError> {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(SecretString::from(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(SealError::Malformed("it was sealed as bytes and isn't text"))
        }
    }
}
