//! The chain: each record's hash covers the record and the hash before it; both ends are sealed with a MAC of their own.
//!
//! All are HMAC-SHA256 (RFC 2104) under subkeys that aren't in the database, so who can write to the database can't mend
//! what he changed. It can't tell that somebody put back a whole earlier state of the database: for that, note the head
//! that [`super::Audit::verify`] returns, and have it held against a later state.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::AuditError;
use super::record::Record;
use crate::seal::Keyring;
use crate::store::table::{Table, number};
use crate::store::{Batch, Entry, Revision, Store, StoreError};

/// Records by their number.
pub(super) const RECORDS: Table<Stored> = Table::new("audit");
/// The two ends, under [`HEAD`] and [`ANCHOR`].
pub(super) const ENDS: Table<End> = Table::new("audit-end");
/// Numbers of records by the public id of a token and the number.
pub(super) const BY_TOKEN: Table<()> = Table::new("audit-token");
/// Numbers of records by their object and the number. Format 1 of the database had none; see `super::index`.
pub(super) const BY_OBJECT: Table<()> = Table::new("audit-object");
/// The last record's number and hash.
pub(super) const HEAD: &str = "head";
/// The number and hash of the last record that was pruned.
pub(super) const ANCHOR: &str = "anchor";

/// The hash of a record and all before it.
pub(super) type Hash = [u8; 32];

/// A record as it is stored. The hash is over the very bytes of the record, so that no other rendering of the same JSON
/// counts as the record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    /// The hash, in hex.
    pub(super) hash: String,
    /// The record.
    pub(super) record: Box<RawValue>,
}

impl Stored {
    /// What is stored in an entry. `None`: no such thing. Whoever altered it must not stop the log from being read, so
    /// this is no error of the store.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        serde_json::from_slice(&entry.value).ok()
    }

    /// The record. `None`: it is none.
    pub(super) fn parse(&self) -> Option<Record> {
        serde_json::from_str(self.record.get()).ok()
    }
}

/// One end of the chain: the number of a record and its hash. [`End::default`] stands before the first record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    /// The record's number; 0 where there is none.
    seq: u64,
    /// Its hash, in hex.
    hash: String,
    /// Over the end's name, number and hash, in hex.
    mac: String,
}

/// A number and the hash of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The record's number; 0 where there is none.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: Hash,
}

impl Link {
    /// What stands before the first record.
    pub(super) const START: Self = Self { seq: 0, hash: [0; 32] };
}

/// The keys of the chain.
#[derive(Clone)]
pub(super) struct Chain {
    /// For hashes of records.
    records: Hmac<Sha256>,
    /// For the ends.
    ends: Hmac<Sha256>,
    /// For digests of secrets.
    digests: Hmac<Sha256>,
}

impl Chain {
    /// The chain of this installation.
    ///
    /// # Errors
    /// [`AuditError::Key`].
    pub(super) fn new(keyring: &Keyring) -> Result<Self, AuditError> {
        let keyed = |purpose| Hmac::new_from_slice(&*keyring.subkey(purpose)).map_err(|_| AuditError::Key);
        Ok(Self { records: keyed("audit chain")?, ends: keyed("audit end")?, digests: keyed("audit digest")? })
    }

    /// The hash of a record that follows one with the hash `previous`.
    pub(super) fn next(&self, previous: &Hash, record: &[u8]) -> Hash {
        self.records.clone().chain_update(previous).chain_update(record).finalize().into_bytes().into()
    }

    /// The link after `previous`, where the stored record is what was written there.
    pub(super) fn follow(&self, previous: &Link, stored: &Stored) -> Option<(Link, Record)> {
        let hash = self.next(&previous.hash, stored.record.get().as_bytes());
        let same: bool = hash.ct_eq(&from_hex(&stored.hash)?).into();
        let record = stored.parse().filter(|record| same && Some(record.seq) == previous.seq.checked_add(1))?;
        Some((Link { seq: record.seq, hash }, record))
    }

    /// The keyed digest of a secret, in hex.
    pub(super) fn digest(&self, secret: &[u8]) -> String {
        hex::encode(self.digests.clone().chain_update(secret).finalize().into_bytes())
    }

    /// An end of this name.
    pub(super) fn end(&self, name: &str, link: &Link) -> End {
        End { seq: link.seq, hash: hex::encode(link.hash), mac: hex::encode(self.mac(name, link)) }
    }

    /// The stored end of this name: its revision, and what it says (`None`: it was altered).
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn read_end(
        &self,
        store: &dyn Store,
        name: &str,
    ) -> Result<Option<(Revision, Option<Link>)>, StoreError> {
        let entry = store.get(&ENDS.key(&[name])).await?;
        Ok(entry.map(|entry| (entry.revision, self.open_end(name, &entry.value))))
    }

    /// What an end of this name says. `None`: it was altered.
    fn open_end(&self, name: &str, stored: &[u8]) -> Option<Link> {
        let end: End = serde_json::from_slice(stored).ok()?;
        let link = Link { seq: end.seq, hash: from_hex(&end.hash)? };
        let same: bool = self.mac(name, &link).ct_eq(&from_hex(&end.mac)?).into();
        same.then_some(link)
    }

    /// The MAC of an end.
    fn mac(&self, name: &str, link: &Link) -> Hash {
        let mac = self.ends.clone().chain_update([name.len() as u8]).chain_update(name);
        mac.chain_update(link.seq.to_be_bytes()).chain_update(link.hash).finalize().into_bytes().into()
    }

    /// Adds a record to a batch, with what finds it by its tokens, and returns its link.
    pub(super) fn add(&self, batch: &mut Batch, previous: &Link, record: &Record) -> Result<Link, StoreError> {
        let seq = number(record.seq);
        let unfit = |_| StoreError::Storage(format!("the record audit/{seq} can't be written: it has no JSON form"));
        let text = serde_json::to_string(record).and_then(RawValue::from_string).map_err(unfit)?;
        let hash = self.next(&previous.hash, text.get().as_bytes());
        // Nothing is ever overwritten.
        RECORDS.expect(batch, &[&seq], None);
        RECORDS.put(batch, &[&seq], &Stored { hash: hex::encode(hash), record: text })?;
        for id in record.entry.token_ids() {
            BY_TOKEN.put(batch, &[id, &seq], &())?;
        }
        index_object(batch, record)?;
        Ok(Link { seq: record.seq, hash })
    }
}

/// Adds to a batch what finds a record by its object, where it has one.
pub(super) fn index_object(batch: &mut Batch, record: &Record) -> Result<(), StoreError> {
    match record.entry.object.as_str() {
        "" => Ok(()),
        object => BY_OBJECT.put(batch, &[object, &number(record.seq)], &()),
    }
}

/// The number at the end of a key below this prefix. `None`: the key is none that the log makes.
pub(super) fn seq_of(prefix: &[u8], key: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(key.strip_prefix(prefix)?.strip_suffix(&[0])?).ok()?;
    digits.parse().ok().filter(|seq| number(*seq) == digits)
}

/// A hash from hex.
pub(super) fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok().map(|()| hash)
}
