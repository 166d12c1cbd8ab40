//! The one task that appends: it takes all entries that wait and writes them as one synced batch, with the new head.
//!
//! So concurrent appends share a sync, and a caller that goes away leaves nothing half done. It never prunes.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::chain::{ANCHOR, BY_OBJECT, BY_TOKEN, Chain, ENDS, HEAD, Link, RECORDS, Stored, from_hex, seq_of};
use super::record::{Actor, Entry, Outcome, Record};
use crate::clock::SharedClock;
use crate::store::table::number;
use crate::store::{Batch, Revision, Scan, Store, StoreError};
use crate::telemetry;

/// Callers that may wait to be taken; more wait before they are heard.
pub(super) const WAITING: usize = 1024;
/// Entries written together at most. Bounds a batch, and the time that the first waits for the last.
const GROUP: usize = 512;
/// How often a write is tried again that met another writer. There is none while a daemon has the store for itself.
const TRIES: usize = 8;

/// What one caller wants appended, and where the number of its last record goes.
pub(super) struct Request {
    /// What to append, in this order, with nothing between.
    pub(super) entries: Vec<Entry>,
    /// Gets the outcome.
    pub(super) answer: oneshot::Sender<Result<u64, StoreError>>,
}

/// The end of the chain as the writer knows it.
#[derive(Clone, Copy, Debug)]
struct Position {
    /// The record to follow.
    link: Link,
    /// The revision of the stored head.
    head: Option<Revision>,
    /// What is wrong with the log's end as it was found.
    broken: Option<&'static str>,
}

/// The task's state.
pub(super) struct Writer {
    /// Where records are.
    store: Arc<dyn Store>,
    /// Makes hashes.
    chain: Chain,
    /// What time it is.
    clock: SharedClock,
    /// The end of the chain; `None` where it must be read, as after a failed write.
    position: Option<Position>,
}

impl Writer {
    /// A writer that goes on where the log in this store ends.
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn open(store: Arc<dyn Store>, chain: Chain, clock: SharedClock) -> Result<Self, StoreError> {
        let mut writer = Self { store, chain, clock, position: None };
        writer.position = Some(writer.find_end().await?);
        Ok(writer)
    }

    /// Works until nobody can ask any more and all that waited is written.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut next = None;
        loop {
            let Some(first) = (match next.take() {
                Some(request) => Some(request),
                None => requests.recv().await,
            }) else {
                return;
            };
            let mut size = first.entries.len();
            let mut group = vec![first];
            while let Ok(request) = requests.try_recv() {
                size += request.entries.len();
                if size > GROUP {
                    next = Some(request);
                    break;
                }
                group.push(request);
            }
            self.write(group).await;
        }
    }

    /// Writes a group and answers each.
    async fn write(&mut self, group: Vec<Request>) {
        let (entries, answers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|request| (request.entries, request.answer)).unzip();
        let mut outcome = self.commit(&entries).await;
        for _ in 0..TRIES {
            if matches!(outcome, Err(StoreError::Conflict)) {
                // Another writer of this store came first; the end has been forgotten and is read again.
                outcome = self.commit(&entries).await;
            }
        }
        if let Err(error) = &outcome {
            tracing::error!(%error, "the audit log can't be written");
        }
        let mut numbers = outcome.map(Vec::into_iter);
        for answer in answers {
            let outcome = match &mut numbers {
                Ok(numbers) => Ok(numbers.next().unwrap_or_default()),
                Err(error) => Err(error.clone()),
            };
            // A caller that went away needs no answer.
            drop(answer.send(outcome));
        }
    }

    /// Commits several callers' entries and returns the number of each one's last record.
    async fn commit(&mut self, group: &[Vec<Entry>]) -> Result<Vec<u64>, StoreError> {
        // While nothing is known of the outcome, nothing is known of the end.
        let position = match self.position.take() {
            Some(position) => position,
            None => self.find_end().await?,
        };
        let at = self.clock.now();
        let mut batch = Batch::synced();
        let mut link = position.link;
        if let Some(fault) = position.broken {
            tracing::error!(fault, "the end of the audit log was altered; it goes on after a gap");
            // A number is left out for good, so that every later verification says so.
            link.seq += 1;
            let broken = Entry::new(Actor::system(), "audit.broken").ended(Outcome::Failed, Some("altered"));
            link = self.add(&mut batch, link, at, broken.detail("fault", fault))?;
        }
        let mut numbers = Vec::with_capacity(group.len());
        for entries in group {
            for entry in entries {
                link = self.add(&mut batch, link, at, entry.clone())?;
            }
            numbers.push(link.seq);
        }
        ENDS.expect(&mut batch, &[HEAD], position.head);
        ENDS.put(&mut batch, &[HEAD], &self.chain.end(HEAD, &link))?;
        let revision = self.store.commit(batch).await?;
        self.position = Some(Position { link, head: Some(revision), broken: None });
        metrics::counter!(telemetry::AUDIT_RECORDS).increment(group.iter().map(|entries| entries.len() as u64).sum());
        Ok(numbers)
    }

    /// Adds one record to a batch.
    fn add(
        &self,
        batch: &mut Batch,
        after: Link,
        at: chrono::DateTime<chrono::Utc>,
        mut entry: Entry,
    ) -> Result<Link, StoreError> {
        entry.bound();
        self.chain.add(batch, &after, &Record { seq: after.seq + 1, at, entry })
    }

    /// Reads where the log ends.
    async fn find_end(&self) -> Result<Position, StoreError> {
        let store = &*self.store;
        let head = self.chain.read_end(store, HEAD).await?;
        let anchor = self.chain.read_end(store, ANCHOR).await?.map(|(_, anchor)| anchor);
        let prefix = RECORDS.key(&[]);
        let scan = Scan { reverse: true, ..Scan::prefix(prefix.clone(), 1) };
        let last = store.scan(scan).await?.pop().map(|last| Link {
            seq: seq_of(&prefix, &last.key).unwrap_or_default(),
            hash: Stored::of(&last).and_then(|stored| from_hex(&stored.hash)).unwrap_or_default(),
        });
        let revision = head.map(|(revision, _)| revision);
        if self.chain.read_end(store, HEAD).await?.map(|(revision, _)| revision) != revision {
            // Another writer came between these reads.
            return Err(StoreError::Conflict);
        }
        let head = head.map(|(_, head)| head);
        let (broken, link) = match (head, anchor, last) {
            (None, None, None) => (None, Link::START),
            (Some(Some(head)), _, Some(last)) if head == last => (None, head),
            (head, anchor, last) => {
                let fault = match (head, last) {
                    (None, _) => "the head is missing",
                    (Some(None), _) => "the head was altered",
                    (Some(Some(_)), None) => "all records are missing",
                    (Some(Some(head)), Some(last)) if head.seq > last.seq => "records are missing at the end",
                    _ => "there are records that the head doesn't know",
                };
                let known = [head.flatten(), anchor.flatten(), last];
                (Some(fault), known.into_iter().flatten().max_by_key(|link| link.seq).unwrap_or(Link::START))
            }
        };
        Ok(Position { link, head: revision, broken })
    }
}

/// Adds to a batch that a record goes, with what finds it.
pub(super) fn remove(batch: &mut Batch, record: &Record) {
    let seq = number(record.seq);
    RECORDS.remove(batch, &[&seq]);
    for id in record.entry.token_ids() {
        BY_TOKEN.remove(batch, &[id, &seq]);
    }
    if !record.entry.object.is_empty() {
        BY_OBJECT.remove(batch, &[&record.entry.object, &seq]);
    }
}
