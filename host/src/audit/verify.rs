//! Proving the log: every record is what was written, none is missing, none was added, and it ends where it should.
//!
//! It reads in pages, changes nothing, and doesn't hinder appends.

use std::fmt;
use std::str::FromStr;

use super::chain::{ANCHOR, BY_OBJECT, BY_TOKEN, Chain, HEAD, Link, RECORDS, Stored, from_hex};
use super::record::Record;
use super::{Audit, AuditError};
use crate::store::table::number;
use crate::store::{Entry, Revision, Scan, Store};
use crate::telemetry;

/// Records read at once.
const PAGE: usize = 500;

/// The number and hash of a record, noted by an operator in a place that who can write to the database can't. As text:
/// the number, `:` and the hash in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The record's number.
    pub seq: u64,
    /// Its hash, in hex.
    pub hash: String,
}

impl From<Link> for Noted {
    fn from(link: Link) -> Self {
        Self { seq: link.seq, hash: hex::encode(link.hash) }
    }
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for Noted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = "a noted head is a number, ':' and 64 hexadecimal digits, as verify prints it";
        let (seq, hash) = text.trim().split_once(':').ok_or(fault)?;
        let hash = hash.to_ascii_lowercase();
        from_hex(&hash).ok_or(fault)?;
        Ok(Self { seq: seq.parse().map_err(|_| fault)?, hash })
    }
}

/// What was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The first record's number; older ones were pruned. One more than `last` where there is no record.
    pub first: u64,
    /// The last record's number; 0 where there never was one.
    pub last: u64,
    /// How many records.
    pub records: u64,
    /// The last record and its hash: worth noting elsewhere, to be given to a later verification.
    pub head: Noted,
    /// Whether a head was given and is in the log; false where its record has been pruned.
    pub noted: bool,
}

/// Where the log breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log is broken at record {seq}: {fault}")]
pub struct Broken {
    /// The first record that is wrong; where an end was altered, the first that couldn't be proved.
    pub seq: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It isn't what was written.
    #[error("it was altered")]
    Altered,
    /// It isn't there, and later ones are.
    #[error("it is missing")]
    Missing,
    /// It and all after it aren't there.
    #[error("it and all up to record {head} were cut off")]
    CutOff {
        /// The last record that there should be.
        head: u64,
    },
    /// The log doesn't know of it.
    #[error("it was added, or the log's head was altered or removed")]
    Unknown,
    /// What says where the log begins was altered.
    #[error("what says where the log begins was altered")]
    AnchorAltered,
    /// What says where the log ends was altered.
    #[error("what says where the log ends was altered")]
    HeadAltered,
    /// It is there, but isn't found by a token that it concerns, or by its object.
    #[error("it was hidden from the search by token or object")]
    NotIndexed,
    /// It is another one than that which was noted.
    #[error("it isn't the one that was noted; an older or another log was put in its place")]
    NotAsNoted,
}

impl Fault {
    /// Its stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Missing => "missing",
            Self::CutOff { .. } => "cut_off",
            Self::Unknown => "unknown",
            Self::AnchorAltered => "anchor_altered",
            Self::HeadAltered => "head_altered",
            Self::NotIndexed => "not_indexed",
            Self::NotAsNoted => "not_as_noted",
        }
    }
}

/// Goes along the chain, record by record.
pub(super) struct Walk<'a> {
    /// Where records are.
    store: &'a dyn Store,
    /// Checks hashes.
    chain: &'a Chain,
    /// Where it began.
    pub(super) anchor: Link,
    /// The revision of the anchor; `None` where it began at the first record.
    pub(super) revision: Option<Revision>,
    /// The last record that was proved.
    pub(super) link: Link,
    /// Where the log ended when last looked.
    pub(super) head: Link,
    /// Whether it has read anything; records before the beginning are seen then.
    begun: bool,
}

impl<'a> Walk<'a> {
    /// A walk from the beginning.
    pub(super) async fn begin(store: &'a dyn Store, chain: &'a Chain) -> Result<Self, AuditError> {
        let (revision, anchor) = match chain.read_end(store, ANCHOR).await? {
            None => (None, Link::START),
            Some((_, None)) => return Err(Broken { seq: 1, fault: Fault::AnchorAltered }.into()),
            Some((revision, Some(anchor))) => (Some(revision), anchor),
        };
        let mut walk = Self { store, chain, anchor, revision, link: anchor, head: anchor, begun: false };
        walk.look().await?;
        Ok(walk)
    }

    /// Reads where the log ends.
    async fn look(&mut self) -> Result<(), AuditError> {
        if let Some((_, head)) = self.chain.read_end(self.store, HEAD).await? {
            let broken = Broken { seq: self.link.seq + 1, fault: Fault::HeadAltered };
            self.head = head.ok_or(broken)?;
        }
        Ok(())
    }

    /// The next entries of the store, not proved yet; none at the end.
    pub(super) async fn page(&mut self) -> Result<Vec<Entry>, AuditError> {
        let after = self.begun.then(|| RECORDS.key(&[&number(self.link.seq)]));
        self.begun = true;
        tokio::task::yield_now().await;
        let scan = Scan { prefix: RECORDS.key(&[]), after, limit: PAGE, reverse: false };
        Ok(self.store.scan(scan).await?)
    }

    /// Proves that the entry is the record which follows, and steps onto it.
    pub(super) async fn step(&mut self, entry: &Entry) -> Result<Record, AuditError> {
        let seq = self.link.seq.saturating_add(1);
        let broken = |fault| AuditError::from(Broken { seq, fault });
        let expected = RECORDS.key(&[&number(seq)]);
        if seq > self.head.seq {
            // Appends went on meanwhile, or nobody knows of it.
            self.look().await?;
        }
        match entry.key.cmp(&expected) {
            _ if seq > self.head.seq => return Err(broken(Fault::Unknown)),
            std::cmp::Ordering::Less => return Err(broken(Fault::Unknown)),
            std::cmp::Ordering::Greater => return Err(broken(Fault::Missing)),
            std::cmp::Ordering::Equal => {}
        }
        let followed = Stored::of(entry).and_then(|stored| self.chain.follow(&self.link, &stored));
        let (link, record) = followed.ok_or_else(|| broken(Fault::Altered))?;
        self.link = link;
        Ok(record)
    }

    /// Proves that the log ends here.
    fn end(&self) -> Result<(), Broken> {
        if self.link.seq < self.head.seq {
            return Err(Broken { seq: self.link.seq + 1, fault: Fault::CutOff { head: self.head.seq } });
        }
        if self.link != self.head {
            return Err(Broken { seq: self.head.seq, fault: Fault::HeadAltered });
        }
        Ok(())
    }
}

impl Audit {
    /// Proves the log from its beginning to its end, and where a head was noted earlier, that it is still in the log.
    /// `progress` is told now and then how many records are proved, of how many.
    ///
    /// # Errors
    /// [`AuditError::Broken`] with the first record that is wrong; the store failed.
    pub async fn verify(
        &self,
        noted: Option<&Noted>,
        progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Verified, AuditError> {
        let outcome = self.prove(noted, progress).await;
        if let Ok(_) | Err(AuditError::Broken(_)) = &outcome {
            metrics::gauge!(telemetry::AUDIT_BROKEN).set(f64::from(u8::from(outcome.is_err())));
        }
        outcome
    }

    async fn prove(
        &self,
        noted: Option<&Noted>,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Verified, AuditError> {
        let _walking = self.walking.lock().await;
        let mut walk = Walk::begin(&*self.store, &self.chain).await?;
        let as_noted = |link: Link| match noted {
            Some(noted) if noted.seq == link.seq && *noted != Noted::from(link) => {
                Err(Broken { seq: link.seq, fault: Fault::NotAsNoted })
            }
            _ => Ok(()),
        };
        as_noted(walk.anchor)?;
        let mut records = 0;
        loop {
            let page = walk.page().await?;
            if page.is_empty() {
                break;
            }
            for entry in &page {
                let record = walk.step(entry).await?;
                as_noted(walk.link)?;
                self.is_indexed(&record).await?;
                records += 1;
            }
            progress(records, walk.head.seq.saturating_sub(walk.anchor.seq));
        }
        walk.end()?;
        let (first, last) = (walk.anchor.seq + 1, walk.link.seq);
        if let Some(noted) = noted.filter(|noted| noted.seq > last) {
            return Err(Broken { seq: last + 1, fault: Fault::CutOff { head: noted.seq } }.into());
        }
        let noted = noted.is_some_and(|noted| noted.seq >= walk.anchor.seq);
        Ok(Verified { first, last, records, head: walk.link.into(), noted })
    }

    /// Proves that a record is found by its tokens and its object.
    async fn is_indexed(&self, record: &Record) -> Result<(), AuditError> {
        let seq = number(record.seq);
        let by_token = record.entry.token_ids().into_iter().map(|id| BY_TOKEN.key(&[id, &seq]));
        let object = Some(&record.entry.object).filter(|object| !object.is_empty());
        for key in by_token.chain(object.map(|object| BY_OBJECT.key(&[object, &seq]))) {
            if self.store.get(&key).await?.is_none() {
                return Err(Broken { seq: record.seq, fault: Fault::NotIndexed }.into());
            }
        }
        Ok(())
    }
}
