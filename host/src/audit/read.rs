//! Reading the log: filtered pages, and all that concerns one token. Each call reads a bounded number of records.
//!
//! It trusts what it reads; [`super::Audit::verify`] is what proves it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::chain::{BY_OBJECT, BY_TOKEN, RECORDS, Stored, seq_of};
use super::record::{Item, Record};
use super::{Audit, tally};
use crate::store::table::{Table, number};
use crate::store::{Entry, Scan, StoreError};

/// Records read by one call at most, whatever it finds.
const READ: usize = 5_000;
/// Records read from the store at once.
const PAGE: usize = 250;
/// The most records that a page may have.
const MAX_PAGE: usize = 1_000;
/// Changes and different uses of one token that [`Audit::find`] shows at most.
const MAX_FOUND: usize = 1_000;
/// Pages of a token's records that [`Audit::find`] reads at most.
const FIND_PAGES: usize = 20;

/// Which records to show; what is `None` is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// This action; with a `.` at the end, all that begin with it (`personal_token.`).
    pub action: Option<String>,
    /// An actor of this name.
    pub actor: Option<String>,
    /// This object; with a `/` at the end, all that begin with it (`integration/`).
    pub object: Option<String>,
    /// Concerns the token with this public id.
    pub token_id: Option<String>,
    /// A secret with this [`Audit::digest`] was involved.
    pub digest: Option<String>,
    /// Written at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Written before this time.
    pub until: Option<DateTime<Utc>>,
}

impl Filter {
    /// The index that finds what it shows, and under what, where there is one.
    fn index(&self) -> Option<(&'static Table<()>, &str)> {
        let object = || self.object.as_deref().filter(|object| !object.is_empty() && !object.ends_with('/'));
        match &self.token_id {
            Some(id) => Some((&BY_TOKEN, id)),
            None => object().map(|object| (&BY_OBJECT, object)),
        }
    }

    /// Whether it shows the record.
    pub fn shows(&self, record: &Record) -> bool {
        let entry = &record.entry;
        let like = |wanted: &Option<String>, found: &str, end: char| match wanted.as_deref() {
            None => true,
            Some(wanted) if wanted.ends_with(end) => found.starts_with(wanted),
            Some(wanted) => found == wanted,
        };
        like(&self.action, &entry.action, '.')
            && like(&self.object, &entry.object, '/')
            && self.actor.as_ref().is_none_or(|name| *name == entry.actor.name)
            && self.token_id.as_deref().is_none_or(|id| entry.token_ids().contains(&id))
            && self.digest.as_ref().is_none_or(|sought| entry.digests.iter().any(|digest| digest.digest == *sought))
            && self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
    }
}

/// Which part of the log to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Only records beyond this number, in the direction of reading.
    pub after: Option<u64>,
    /// At most so many, and never more than 1000.
    pub limit: usize,
    /// From the last to the first.
    pub newest_first: bool,
}

/// A part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordPage {
    /// The records.
    pub records: Vec<Record>,
    /// Numbers of records among those that were read which are no records any more: somebody altered them.
    pub unreadable: Vec<u64>,
    /// Where to go on ([`Window::after`]). `None`: there is no more. A page may have few records or none, and go on.
    pub next: Option<u64>,
}

/// All that is known of one token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Authentications and refusals, summed by address, door and reason; the latest first.
    pub uses: Vec<Item>,
    /// Other records that concern it, the latest first.
    pub changes: Vec<Record>,
    /// Whether there is more than is shown.
    pub more: bool,
}

impl Audit {
    /// The records that the filter shows. A filter by token or by one object reads only their records.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, filter: &Filter, window: Window) -> Result<RecordPage, StoreError> {
        let limit = window.limit.clamp(1, MAX_PAGE);
        let mut page = RecordPage { next: window.after, ..RecordPage::default() };
        for _ in 0..READ / PAGE {
            let (records, next) = self.read(filter.index(), page.next, window.newest_first).await?;
            for (seq, record) in records {
                match record {
                    Some(record) if filter.shows(&record) => page.records.push(record),
                    Some(_) => {}
                    None => page.unreadable.push(seq),
                }
                if page.records.len() == limit {
                    page.next = Some(seq);
                    return Ok(page);
                }
            }
            page.next = next;
            if next.is_none() {
                break;
            }
            // Reading records of many items takes milliseconds; others get their turn.
            tokio::task::yield_now().await;
        }
        Ok(page)
    }

    /// The records that concern a token, in a page; of items only its own.
    ///
    /// # Errors
    /// The store failed.
    pub async fn of_token(&self, id: &str, window: Window) -> Result<RecordPage, StoreError> {
        let filter = Filter { token_id: Some(id.to_owned()), ..Filter::default() };
        let mut page = self.list(&filter, window).await?;
        for record in &mut page.records {
            record.entry.items.retain(|item| item.token_id.as_deref() == Some(id));
        }
        Ok(page)
    }

    /// All that is known of a token: where it was used or refused, and what was done with it and to it.
    ///
    /// What a [`tally::Tally`] hasn't flushed yet isn't in the log; flush it first. It reads the last 20,000 records of
    /// the token at most; [`Audit::of_token`] goes back further.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, id: &str) -> Result<Found, StoreError> {
        let mut uses: BTreeMap<(Option<IpAddr>, String, Option<String>), Item> = BTreeMap::new();
        let mut found = Found::default();
        let mut window = Window { after: None, limit: MAX_PAGE, newest_first: true };
        for _ in 0..FIND_PAGES {
            let page = self.of_token(id, window).await?;
            for record in page.records {
                if !tally::is_sum(&record.entry) {
                    if found.changes.len() < MAX_FOUND {
                        found.changes.push(record)
                    } else {
                        found.more = true
                    }
                    continue;
                }
                for item in record.entry.items {
                    let full = uses.len() >= MAX_FOUND;
                    match uses.entry((item.address, item.door.clone(), item.reason.clone())) {
                        Slot::Occupied(mut slot) => tally::merge(slot.get_mut(), &item),
                        Slot::Vacant(_) if full => found.more = true,
                        Slot::Vacant(slot) => drop(slot.insert(item)),
                    }
                }
            }
            window.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        found.more |= window.after.is_some();
        found.uses = uses.into_values().collect();
        found.uses.sort_by_key(|item| std::cmp::Reverse(item.last));
        Ok(found)
    }

    /// The next records of the log or of an index, and where to go on where there may be more.
    async fn read(
        &self,
        index: Option<(&Table<()>, &str)>,
        after: Option<u64>,
        reverse: bool,
    ) -> Result<(Vec<(u64, Option<Record>)>, Option<u64>), StoreError> {
        let store = &*self.store;
        let page = async |prefix: &[u8], after| {
            let scan = Scan { prefix: prefix.to_vec(), after, limit: PAGE, reverse };
            let entries = store.scan(scan).await?;
            let full = entries.len() == PAGE;
            let last = entries.iter().rev().filter(|_| full).find_map(|entry| seq_of(prefix, &entry.key));
            Ok::<_, StoreError>((entries, last))
        };
        let records = RECORDS.key(&[]);
        let (entries, last) = if let Some((index, sought)) = index {
            let prefix = index.key(&[sought]);
            let (found, last) = page(&prefix, after.map(|after| index.key(&[sought, &number(after)]))).await?;
            let mut entries = Vec::with_capacity(found.len());
            for seq in found.iter().filter_map(|found| seq_of(&prefix, &found.key)) {
                // One that is missing was pruned meanwhile, or `verify` says so.
                entries.extend(store.get(&RECORDS.key(&[&number(seq)])).await?);
            }
            (entries, last)
        } else {
            page(&records, after.map(|after| RECORDS.key(&[&number(after)]))).await?
        };
        // What has no number isn't the log's.
        let record =
            |entry: &Entry| Some((seq_of(&records, &entry.key)?, Stored::of(entry).and_then(|stored| stored.parse())));
        Ok((entries.iter().filter_map(record).collect(), last))
    }
}
