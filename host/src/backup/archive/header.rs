//! The plain header: what can be known of an archive without a key, and the wrapped keys, so that the master key alone opens it.
//!
//! Its own digest tells damage from a wrong key; that it is the one that was written, only the first frame proves.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ArchiveError;

/// How every archive begins.
const MAGIC: &[u8; 16] = b"tokenhost backup";
/// The version written here, and the newest that is read.
const VERSION: u32 = 1;
/// Bytes of a header's JSON at most: ten thousand wrapped keys, and more.
const MOST_BYTES: u32 = 16 << 20;
/// Bytes of its digest.
const DIGEST_BYTES: usize = 32;

/// What stands in the clear at the beginning of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The archive's own id (a ULID).
    pub id: String,
    /// When it was made: all that was acknowledged before is in it.
    pub made_at: DateTime<Utc>,
    /// The version of the tokenhost that made it.
    pub tokenhost: String,
    /// The format of the database in it.
    pub database: u64,
    /// Which installation it is of: a digest that stays the same for its life, and says nothing else.
    pub instance: String,
    /// 256 random bits in hexadecimal, which the archive's key is derived from, besides the root key.
    pub(in super::super) salt: String,
    /// The wrapped keys.
    pub(in super::super) keys: Vec<WrappedKey>,
}

/// A wrapped key as the store has it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct WrappedKey {
    /// Its key in the store, in base64.
    key: String,
    /// Its record, in base64.
    value: String,
}

/// A header, with what binds the frames to it.
pub(in super::super) struct HeaderRead {
    /// The header.
    pub(in super::super) header: Header,
    /// Its digest.
    pub(in super::super) digest: [u8; DIGEST_BYTES],
    /// Its length in bytes.
    pub(in super::super) bytes: u64,
}

impl WrappedKey {
    /// A record of a key.
    pub(in super::super) fn new(key: &[u8], value: &[u8]) -> Self {
        Self { key: STANDARD.encode(key), value: STANDARD.encode(value) }
    }

    /// Its key in the store and its record.
    pub(in super::super) fn entry(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        Some((STANDARD.decode(&self.key).ok()?, STANDARD.decode(&self.value).ok()?))
    }
}

impl std::fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WrappedKey")
    }
}

impl Header {
    /// Writes it, and returns what the frames are bound to, and how many bytes it has.
    ///
    /// # Errors
    /// The file failed.
    pub(in super::super) fn write(&self, out: &mut impl Write) -> Result<([u8; DIGEST_BYTES], u64), ArchiveError> {
        self.write_as(VERSION, out)
    }

    /// The same with another version, for tests.
    pub(super) fn write_as(
        &self,
        version: u32,
        out: &mut impl Write,
    ) -> Result<([u8; DIGEST_BYTES], u64), ArchiveError> {
        let json = serde_json::to_vec(self).map_err(std::io::Error::other)?;
        let length = u32::try_from(json.len()).ok().filter(|length| *length <= MOST_BYTES);
        let length = length.ok_or(ArchiveError::TooLarge)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(version.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(json);
        let digest: [u8; DIGEST_BYTES] = Sha256::digest(&bytes).into();
        bytes.extend(digest);
        out.write_all(&bytes)?;
        Ok((digest, bytes.len() as u64))
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is none, a later one, damaged or cut short; or the file failed.
    pub(in super::super) fn read(from: &mut impl Read) -> Result<HeaderRead, ArchiveError> {
        let mut bytes = Vec::with_capacity(1 << 12);
        read_more(from, &mut bytes, MAGIC.len())?;
        if !MAGIC.starts_with(bytes.get(..MAGIC.len().min(bytes.len())).unwrap_or_default()) || bytes.is_empty() {
            return Err(ArchiveError::NotAnArchive);
        }
        read_more(from, &mut bytes, 8)?;
        let number = |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
        let cut_short = |bytes: &[u8]| ArchiveError::CutShort { at: bytes.len() as u64 };
        let (Some(version), Some(length)) = (number(MAGIC.len()), number(MAGIC.len() + 4)) else {
            return Err(cut_short(&bytes));
        };
        let damaged = |what| ArchiveError::Damaged { at: MAGIC.len() as u64, what };
        if length > MOST_BYTES {
            return Err(damaged("the header's length can't be right"));
        }
        let end = bytes.len() + length as usize;
        read_more(from, &mut bytes, length as usize + DIGEST_BYTES)?;
        let Some((head, digest)) = bytes.split_at_checked(end).filter(|(_, digest)| digest.len() == DIGEST_BYTES)
        else {
            return Err(cut_short(&bytes));
        };
        let found: [u8; DIGEST_BYTES] = Sha256::digest(head).into();
        if found != digest {
            return Err(damaged("the header was altered"));
        }
        // Only now: a flipped bit is no later version.
        if version > VERSION {
            return Err(ArchiveError::TooNew { found: version, known: VERSION });
        }
        let json = head.get(MAGIC.len() + 8..).unwrap_or_default();
        let header = serde_json::from_slice(json).map_err(|_| damaged("the header isn't in its form"))?;
        Ok(HeaderRead { header, digest: found, bytes: bytes.len() as u64 })
    }
}

/// Reads up to so many bytes more; fewer where the file ends.
fn read_more(from: &mut impl Read, bytes: &mut Vec<u8>, more: usize) -> Result<(), ArchiveError> {
    from.take(more as u64).read_to_end(bytes)?;
    Ok(())
}
