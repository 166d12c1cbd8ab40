//! What finds a record by its object, made for records of a time that had no such index: a step of an upgrade of the database.

use super::chain::{RECORDS, Stored, index_object, seq_of};
use crate::store::{Batch, Scan, Store, StoreError};

/// Adds the index of the next `limit` records after the key `after` to a batch, and returns the last one's key, and how many
/// they were. No key: there are no more. What is no record any more can't be found by anything, and is passed over; proving
/// the log tells of it.
///
/// # Errors
/// The store failed.
pub async fn index_objects(
    store: &dyn Store,
    after: Option<Vec<u8>>,
    limit: usize,
    batch: &mut Batch,
) -> Result<(Option<Vec<u8>>, u64), StoreError> {
    let entries = store.scan(Scan { after, ..Scan::prefix(RECORDS.key(&[]), limit) }).await?;
    for entry in &entries {
        if let Some(record) = Stored::of(entry).and_then(|stored| stored.parse()) {
            index_object(batch, &record)?;
        }
    }
    let last = entries.last().filter(|_| entries.len() == limit).map(|last| last.key.clone());
    Ok((last, entries.len() as u64))
}

/// About how many records there are: told from the numbers of the first and the last.
///
/// # Errors
/// The store failed.
pub async fn count_about(store: &dyn Store) -> Result<u64, StoreError> {
    let prefix = RECORDS.key(&[]);
    let mut ends = [None, None];
    for (end, reverse) in ends.iter_mut().zip([false, true]) {
        let found = store.scan(Scan { reverse, ..Scan::prefix(prefix.clone(), 1) }).await?;
        *end = found.first().and_then(|entry| seq_of(&prefix, &entry.key));
    }
    Ok(match ends {
        [Some(first), Some(last)] => last.saturating_sub(first).saturating_add(1),
        _ => 0,
    })
}
