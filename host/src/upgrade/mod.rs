//! Databases of earlier formats, brought to the present one: which steps there are, in which order, and how one is gone on
//! with that was broken off.
//!
//! It works below the rooms, before they are opened, on a folder that nobody else has open. Each part of a step is one batch
//! with the record of how far it came, so whenever the process ends, the next one goes on there. What a step does belongs
//! to the room whose records it is about; this room only calls it. Nothing here goes back: that is what the copy is for,
//! which `folder` makes first.

mod folder;
mod two;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::folder::{Plan, UpgradeError, check, open};
use crate::clock::Clock;
use crate::store::table::{Table, number};
use crate::store::{Batch, FORMAT, Store, StoreError};

/// How far each step came, and where the copy is, by the format it leads to and the step's name. Gone once that is reached.
const PROGRESS: Table<Progress> = Table::new("upgrade");
/// Records that one batch deals with at most. Few enough that a batch is a matter of milliseconds.
const PART: usize = 500;
/// How often it is told how far a step came, at least.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// What brings a database from the format before to this one.
struct Migration {
    /// The format that it leads to.
    to: u64,
    /// What it does, in order.
    steps: &'static [&'static dyn Step],
}

/// All of them, in order. What a migration does is never changed once it was released: databases stopped in it exist.
const MIGRATIONS: &[Migration] = &[two::MIGRATION];

/// One thing that a migration does to a kind of records.
#[async_trait]
trait Step: Send + Sync {
    /// Its name, under which its progress is kept. Unique within its migration.
    fn name(&self) -> &'static str;

    /// What it does, for people.
    fn what(&self) -> &'static str;

    /// About how many records there are for it.
    async fn total(&self, store: &dyn Store) -> Result<u64, StoreError>;

    /// Adds to a batch what is to be written for the next `limit` records at most after this key, and returns the key of the
    /// last one, and how many they were. Without a key it is done. What it adds is written together with that key, or not at all.
    async fn part(
        &self,
        store: &dyn Store,
        after: Option<Vec<u8>>,
        limit: usize,
        batch: &mut Batch,
    ) -> Result<(Option<Vec<u8>>, u64), StoreError>;
}

/// How far a step came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    /// The last key it dealt with, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// Records so far.
    done: u64,
    /// Whether there is nothing left.
    finished: bool,
    /// Of the copy: its folder's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    copy: Option<String>,
}

/// What is told while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A copy of the database as it was is in this folder.
    Copied(std::path::PathBuf),
    /// A step has come so far.
    Step {
        /// The format that it leads to.
        to: u64,
        /// What it does.
        what: &'static str,
        /// Records so far, those of an earlier run with them.
        done: u64,
        /// About how many there are.
        total: u64,
    },
    /// The database has this format now.
    Reached(u64),
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Copied(folder) => write!(f, "the database as it was is kept in {}", folder.display()),
            Self::Step { to, what, done, total } => write!(f, "format {to}: {what}: {done} of {total} records"),
            Self::Reached(format) => write!(f, "the database has format {format}"),
        }
    }
}

/// A step that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The format that it leads to.
    pub to: u64,
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Records that an earlier run has dealt with.
    pub done: u64,
    /// About how many there are.
    pub total: u64,
}

/// The steps that a store still needs.
async fn pending(store: &dyn Store, migrations: &[Migration]) -> Result<Vec<Pending>, StoreError> {
    let format = store.format().await?;
    let mut steps = Vec::new();
    for migration in migrations.iter().filter(|migration| migration.to > format) {
        for step in migration.steps {
            let progress = PROGRESS.get(store, &[&number(migration.to), step.name()]).await?;
            let progress = progress.map(|progress| progress.value).unwrap_or_default();
            if !progress.finished {
                let total = step.total(store).await?;
                let (name, what, done) = (step.name(), step.what(), progress.done);
                steps.push(Pending { to: migration.to, name, what, done, total });
            }
        }
    }
    Ok(steps)
}

/// Does what is still to be done.
async fn migrate(
    store: &dyn Store,
    migrations: &[Migration],
    clock: &dyn Clock,
    tell: &mut (dyn FnMut(Told) + Send),
) -> Result<(), StoreError> {
    for migration in migrations {
        if migration.to <= store.format().await? {
            continue;
        }
        for step in migration.steps {
            take(store, migration.to, *step, clock, tell).await?;
        }
        let mut batch = Batch::synced();
        let mut walk = PROGRESS.walk(store, &[], PART);
        while let Some(records) = walk.next().await? {
            for record in records {
                PROGRESS.remove(&mut batch, &record.key.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
        batch.format = Some(migration.to);
        store.commit(batch).await?;
        tell(Told::Reached(migration.to));
    }
    Ok(())
}

/// Takes a step, from where an earlier run came to.
async fn take(
    store: &dyn Store,
    to: u64,
    step: &dyn Step,
    clock: &dyn Clock,
    tell: &mut (dyn FnMut(Told) + Send),
) -> Result<(), StoreError> {
    let format = number(to);
    let key = [format.as_str(), step.name()];
    let found = PROGRESS.get(store, &key).await?;
    let mut revision = found.as_ref().map(|found| found.revision);
    let mut progress = found.map(|found| found.value).unwrap_or_default();
    if progress.finished {
        return Ok(());
    }
    let total = step.total(store).await?;
    let what = step.what();
    tell(Told::Step { to, what, done: progress.done, total });
    let (mut told_at, mut told) = (clock.elapsed(), progress.done);
    while !progress.finished {
        // The last batch of a migration is synced, and with it all of them; each holds its own progress.
        let mut batch = Batch::buffered();
        let after = match &progress.after {
            Some(after) => Some(hex::decode(after).map_err(|_| damaged(&key))?),
            None => None,
        };
        let (last, done) = step.part(store, after, PART, &mut batch).await?;
        progress.done += done;
        progress.finished = last.is_none();
        progress.after = last.map(hex::encode);
        PROGRESS.expect(&mut batch, &key, revision);
        PROGRESS.put(&mut batch, &key, &progress)?;
        revision = Some(store.commit(batch).await?);
        let is_time = clock.elapsed().saturating_sub(told_at) >= TELL_EVERY;
        if progress.finished || is_time || (progress.done - told).saturating_mul(10) >= total {
            tell(Told::Step { to, what, done: progress.done, total: total.max(progress.done) });
            (told_at, told) = (clock.elapsed(), progress.done);
        }
    }
    Ok(())
}

/// What was kept of a step can't be read.
fn damaged(key: &[&str]) -> StoreError {
    StoreError::Storage(format!("the record upgrade/{} is damaged", key.join("/")))
}

/// The folder's name of the copy that an earlier run made before it began with a migration to this format.
async fn copy_of(store: &dyn Store, to: u64) -> Result<Option<String>, StoreError> {
    let found = PROGRESS.get(store, &[&number(to), COPY]).await?;
    Ok(found.and_then(|found| found.value.copy))
}

/// Notes that a copy was made before the migration to this format.
async fn note_copy(store: &dyn Store, to: u64, folder: &str) -> Result<(), StoreError> {
    let mut batch = Batch::synced();
    let note = Progress { copy: Some(folder.to_owned()), finished: true, ..Progress::default() };
    PROGRESS.put(&mut batch, &[&number(to), COPY], &note)?;
    store.commit(batch).await.map(drop)
}

/// Under which name it is noted; no step has it.
const COPY: &str = "copy";

/// Whether the last migration leads to the present format: nothing was forgotten.
const _: () = {
    let mut index = 0;
    while index < MIGRATIONS.len() {
        assert!(MIGRATIONS[index].to == index as u64 + 2, "migrations lead from each format to the next");
        index += 1;
    }
    assert!(MIGRATIONS.len() as u64 + 1 == FORMAT, "the last one leads to the present format");
};

#[cfg(test)]
mod tests;
