//! Typed records over the store: one table per kind of record, keys made of parts, values in JSON.
//!
//! It gives records no meaning and keeps no cache. A room that has a kind of record has one `Table` constant for it.

use std::marker::PhantomData;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Batch, Entry, Revision, Scan, Store, StoreError};

/// Ends each part of a key, and stands nowhere else in it. Being the smallest byte, it makes keys sort part by part.
const END: u8 = 0;
/// Stands before a byte of a part that is no greater than itself, which is then raised by one: order stays as it was.
const ESCAPE: u8 = 1;

/// Records of one kind.
///
/// A record's key is the table's name and the parts given by the caller, each ended unambiguously: neither can one
/// table's key be another's, nor do `["a", "b"]` and `["ab"]` meet. Keys sort like the lists of their parts.
#[derive(Debug)]
pub struct Table<T> {
    /// The first part of each key.
    name: &'static str,
    /// What the records are.
    records: PhantomData<fn() -> T>,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The parts of its key, without the table's name.
    pub key: Vec<String>,
    /// The record.
    pub value: T,
    /// What to expect where a batch replaces it.
    pub revision: Revision,
}

/// Which part of a table to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// Only records beyond the one with these key parts (all of them), in the direction of the list.
    pub after: Option<&'a [&'a str]>,
    /// At most so many.
    pub limit: usize,
    /// From the last to the first.
    pub reverse: bool,
}

impl<T: Serialize + DeserializeOwned> Table<T> {
    /// The table of this name. Names of tables are unique in the daemon and never change.
    pub const fn new(name: &'static str) -> Self {
        Self { name, records: PhantomData }
    }

    /// The key of the record with these parts; also the prefix of all whose parts begin with them.
    pub fn key(&self, parts: &[&str]) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.name.len() + parts.iter().map(|part| part.len() + 1).sum::<usize>() + 1);
        for part in std::iter::once(&self.name).chain(parts) {
            for byte in part.bytes() {
                if byte <= ESCAPE {
                    key.extend([ESCAPE, byte + 1]);
                } else {
                    key.push(byte);
                }
            }
            key.push(END);
        }
        key
    }

    /// The record with these key parts.
    ///
    /// # Errors
    /// The storage failed, or holds what is no such record.
    pub async fn get(&self, store: &dyn Store, parts: &[&str]) -> Result<Option<Versioned<T>>, StoreError> {
        store.get(&self.key(parts)).await?.map(|entry| self.decode(&entry)).transpose()
    }

    /// The records whose key parts begin with `under`, in the order of their parts.
    ///
    /// # Errors
    /// As for [`Table::get`].
    pub async fn list(
        &self,
        store: &dyn Store,
        under: &[&str],
        page: Page<'_>,
    ) -> Result<Vec<Versioned<T>>, StoreError> {
        let scan = Scan {
            prefix: self.key(under),
            after: page.after.map(|parts| self.key(parts)),
            limit: page.limit,
            reverse: page.reverse,
        };
        store.scan(scan).await?.iter().map(|entry| self.decode(entry)).collect()
    }

    /// Goes through the records whose key parts begin with `under`, so many at a time.
    pub fn walk<'a>(&'a self, store: &'a dyn Store, under: &'a [&'a str], at_once: usize) -> Walk<'a, T> {
        Walk { table: self, store, under, at_once, after: None, is_over: false }
    }

    /// Adds the writing of a record to a batch.
    ///
    /// # Errors
    /// The record has no JSON form.
    pub fn put(&self, batch: &mut Batch, parts: &[&str], record: &T) -> Result<(), StoreError> {
        batch.put(self.key(parts), self.encode(parts, record)?);
        Ok(())
    }

    /// A record's value, as it is stored under these key parts.
    ///
    /// # Errors
    /// The record has no JSON form.
    pub fn encode<P: AsRef<str>>(&self, parts: &[P], record: &T) -> Result<Bytes, StoreError> {
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        serde_json::to_vec(record).map(Bytes::from).map_err(|error| self.fault(&parts, "written", &error))
    }

    /// Adds the removal of a record to a batch.
    pub fn remove(&self, batch: &mut Batch, parts: &[&str]) {
        batch.remove(self.key(parts));
    }

    /// Adds to a batch that the record must have this revision, or not exist.
    pub fn expect(&self, batch: &mut Batch, parts: &[&str], revision: Option<Revision>) {
        batch.expect(self.key(parts), revision);
    }

    /// The record in an entry.
    ///
    /// # Errors
    /// It is no such record.
    pub fn decode(&self, entry: &Entry) -> Result<Versioned<T>, StoreError> {
        let key = key_parts(&entry.key);
        match serde_json::from_slice(&entry.value) {
            Ok(value) => Ok(Versioned { key: key.into_iter().skip(1).collect(), value, revision: entry.revision }),
            Err(error) => {
                let parts: Vec<&str> = key.iter().skip(1).map(String::as_str).collect();
                Err(self.fault(&parts, "read", &error))
            }
        }
    }

    /// What is wrong with a record: where, and of what kind. The JSON error's own text would repeat values.
    fn fault(&self, parts: &[&str], verb: &str, error: &serde_json::Error) -> StoreError {
        let kind = match error.classify() {
            serde_json::error::Category::Io | serde_json::error::Category::Data => "it isn't such a record",
            serde_json::error::Category::Syntax => "it isn't JSON",
            serde_json::error::Category::Eof => "it is cut short",
        };
        StoreError::Storage(format!("the record {}/{} can't be {verb}: {kind}", self.name, parts.join("/")))
    }
}

/// A walk through the records of a table, in order. What comes or goes meanwhile is seen or not; nothing is seen twice.
pub struct Walk<'a, T> {
    table: &'a Table<T>,
    store: &'a dyn Store,
    /// What the key parts begin with.
    under: &'a [&'a str],
    /// Records read at once.
    at_once: usize,
    /// The key parts of the last record that was read.
    after: Option<Vec<String>>,
    /// Whether the last records were read.
    is_over: bool,
}

impl<T: Serialize + DeserializeOwned> Walk<'_, T> {
    /// The next records; none where there are no more.
    ///
    /// # Errors
    /// As for [`Table::get`].
    pub async fn next(&mut self) -> Result<Option<Vec<Versioned<T>>>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let after = self.after.as_ref().map(|parts| parts.iter().map(String::as_str).collect::<Vec<_>>());
        let page = Page { after: after.as_deref(), limit: self.at_once, reverse: false };
        let read = self.table.list(self.store, self.under, page).await?;
        self.is_over = read.len() < self.at_once;
        self.after = read.last().map(|last| last.key.clone());
        Ok((!read.is_empty()).then_some(read))
    }
}

/// A number as a key part that sorts by its value.
pub fn number(number: u64) -> String {
    format!("{number:020}")
}

/// The parts of a key, the table's name being the first.
pub fn key_parts(key: &[u8]) -> Vec<String> {
    let part = |encoded: &[u8]| {
        let mut bytes = encoded.iter().copied();
        let mut part = Vec::with_capacity(encoded.len());
        while let Some(byte) = bytes.next() {
            part.push(if byte == ESCAPE { bytes.next().unwrap_or_default().saturating_sub(1) } else { byte });
        }
        String::from_utf8_lossy(&part).into_owned()
    };
    key.strip_suffix(&[END]).map_or_else(Vec::new, |key| key.split(|byte| *byte == END).map(part).collect())
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryStore;
    use super::*;

    const NUMBERS: Table<u32> = Table::new("number");
    const OTHERS: Table<u32> = Table::new("number2");

    #[test]
    fn keys_sort_like_their_parts_and_never_meet() {
        let texts = [
            "",
            "a",
            "a\0",
            "a\0b",
            "a b",
            "a-b",
            "a/b",
            "ab",
            "b",
            "é",
            "\u{10ffff}",
            "\0",
            "\0\0",
            "\u{1}",
            "a\u{1}",
            "a\u{2}",
        ];
        let mut all: Vec<Vec<&str>> = vec![vec![]];
        for first in texts {
            all.push(vec![first]);
            all.extend(texts.iter().map(|second| vec![first, *second]));
        }
        for left in &all {
            assert_eq!(key_parts(&NUMBERS.key(left))[1..], left[..]);
            for right in &all {
                assert_eq!(NUMBERS.key(left).cmp(&NUMBERS.key(right)), left.cmp(right), "{left:?} and {right:?}");
                let begins = NUMBERS.key(left).starts_with(&NUMBERS.key(right));
                assert_eq!(begins, left.starts_with(right), "{left:?} begins with {right:?}");
            }
        }
        assert!(number(9) < number(10) && number(10) < number(u64::MAX));
    }

    #[tokio::test]
    async fn records_are_found_replaced_and_listed() {
        let store = MemoryStore::new();
        let mut batch = Batch::synced();
        for (index, parts) in [["a", "1"], ["a", "2"], ["a-b", "1"], ["ab", "1"]].iter().enumerate() {
            NUMBERS.put(&mut batch, parts, &(index as u32)).unwrap();
        }
        OTHERS.put(&mut batch, &["a", "1"], &7).unwrap();
        store.commit(batch).await.unwrap();

        let first = NUMBERS.get(&store, &["a", "1"]).await.unwrap().unwrap();
        assert_eq!((first.value, first.key.as_slice()), (0, &["a".to_owned(), "1".to_owned()][..]));
        assert_eq!(NUMBERS.get(&store, &["a"]).await.unwrap(), None);

        let list = async |under: &[&str], page| -> Vec<u32> {
            NUMBERS.list(&store, under, page).await.unwrap().into_iter().map(|record| record.value).collect()
        };
        let all = Page { limit: 9, ..Page::default() };
        assert_eq!(list(&[], all).await, [0, 1, 2, 3]);
        assert_eq!(list(&["a"], all).await, [0, 1]);
        assert_eq!(list(&[], Page { after: Some(&["a", "2"]), limit: 1, ..all }).await, [2]);
        assert_eq!(list(&[], Page { after: Some(&["ab", "1"]), reverse: true, ..all }).await, [2, 1, 0]);

        for (under, at_once, expected) in
            [(&[][..], 1, vec![0, 1, 2, 3]), (&[], 2, vec![0, 1, 2, 3]), (&["a"], 9, vec![0, 1])]
        {
            let (mut walk, mut seen) = (NUMBERS.walk(&store, under, at_once), Vec::new());
            while let Some(found) = walk.next().await.unwrap() {
                assert!((1..=at_once).contains(&found.len()));
                seen.extend(found.into_iter().map(|record| record.value));
            }
            assert_eq!(seen, expected, "{under:?} {at_once}");
        }

        let mut batch = Batch::synced();
        NUMBERS.expect(&mut batch, &["a", "1"], Some(first.revision));
        NUMBERS.remove(&mut batch, &["a", "1"]);
        store.commit(batch.clone()).await.unwrap();
        assert!(matches!(store.commit(batch).await, Err(StoreError::Conflict)));
        assert_eq!(list(&["a"], all).await, [1]);
    }

    #[tokio::test]
    async fn a_record_of_another_kind_is_named_and_not_shown() {
        let store = MemoryStore::new();
        for (value, part) in [("\"hunter2\"", "it isn't such a record"), ("", "cut short"), ("hunter2", "isn't JSON")] {
            let mut batch = Batch::synced();
            batch.put(NUMBERS.key(&["a", "1"]), value);
            store.commit(batch).await.unwrap();
            let error = NUMBERS.get(&store, &["a", "1"]).await.unwrap_err().to_string();
            assert!(error.contains("number/a/1") && error.contains(part) && !error.contains("hunter2"), "{error}");
        }
    }
}
