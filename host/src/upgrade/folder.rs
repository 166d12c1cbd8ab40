//! The database in a data folder: opened, and upgraded first where it has an earlier format, with a copy of it as it was.
//!
//! The copy lies beside it, in the data folder, as `store.before-format-N-TIME`. It takes hardly any room at first, since it
//! shares the tables that haven't changed. To go back, stop the daemon and put it in the place of `store`.

use std::path::{Path, PathBuf};

use super::{MIGRATIONS, Pending, Told, copy_of, migrate, note_copy, pending};
use crate::clock::Clock;
use crate::store::rocks::RocksStore;
use crate::store::{FORMAT, Store as _, StoreError};

/// Room that there must be on the disk beside what the steps may need.
const RESERVE_BYTES: u64 = 64 << 20;

/// What is to be done with a database.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its format.
    pub format: u64,
    /// Steps, in order. None: it has the present format.
    pub steps: Vec<Pending>,
    /// The copy that an earlier run, which was broken off, has made.
    pub copy: Option<PathBuf>,
    /// What it takes on the disk, in bytes.
    pub size: u64,
    /// Bytes that must be free, since the database may grow by as much as it is, and the copy keeps what it replaces.
    pub needed: u64,
    /// Bytes that are free.
    pub free: u64,
}

/// Why a database couldn't be upgraded.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There isn't enough room on the disk. Nothing was changed.
    #[error(
        "the database in {folder} needs an upgrade to format {FORMAT}, and that {needed} bytes are free on its disk; there are {free}"
    )]
    NoRoom {
        /// The database's folder.
        folder: String,
        /// Bytes that must be free.
        needed: u64,
        /// Bytes that are.
        free: u64,
    },
    /// The folder can't be looked at.
    #[error("{folder} can't be read: {error}")]
    Folder {
        /// The database's folder.
        folder: String,
        /// Why.
        error: std::io::Error,
    },
}

/// Opens the database in a folder, and upgrades it before where that is needed; with a copy beside it first, where `copy`.
///
/// # Errors
/// There isn't enough room, or the store failed. Begun again, it goes on where it was.
pub async fn open(
    folder: &Path,
    copy: bool,
    clock: &dyn Clock,
    tell: &mut (dyn FnMut(Told) + Send),
) -> Result<RocksStore, UpgradeError> {
    let store = RocksStore::open_any(folder)?;
    let plan = plan(&store, folder).await?;
    if plan.format == FORMAT {
        return Ok(store);
    }
    if plan.needed > plan.free {
        let folder = folder.display().to_string();
        return Err(UpgradeError::NoRoom { folder, needed: plan.needed, free: plan.free });
    }
    match plan.copy {
        Some(made) => tell(Told::Copied(made)),
        None if copy => tell(Told::Copied(make_copy(&store, folder, plan.format, clock).await?)),
        None => {}
    }
    migrate(&store, MIGRATIONS, clock, tell).await?;
    Ok(store)
}

/// What [`open`] would do. Nothing is changed.
///
/// # Errors
/// The folder is in use, or the store failed.
pub async fn check(folder: &Path) -> Result<Plan, UpgradeError> {
    let store = RocksStore::open_any(folder)?;
    let plan = plan(&store, folder).await?;
    store.close().await?;
    Ok(plan)
}

async fn plan(store: &RocksStore, folder: &Path) -> Result<Plan, UpgradeError> {
    let format = store.format().await?;
    if format == FORMAT {
        return Ok(Plan { format, steps: Vec::new(), copy: None, size: 0, needed: 0, free: 0 });
    }
    let fault = |error: std::io::Error| UpgradeError::Folder { folder: folder.display().to_string(), error };
    let size = size_of(folder).map_err(fault)?;
    let disk = rustix::fs::statvfs(folder).map_err(|error| fault(error.into()))?;
    Ok(Plan {
        format,
        steps: pending(store, MIGRATIONS).await?,
        copy: copy_of(store, format + 1).await?.map(|name| folder.with_file_name(name)),
        size,
        needed: size.saturating_add(RESERVE_BYTES),
        free: disk.f_bavail.saturating_mul(disk.f_frsize),
    })
}

/// Copies the database, and notes that it was: what a later run finds is half new already, and no copy to go back to.
async fn make_copy(store: &RocksStore, folder: &Path, format: u64, clock: &dyn Clock) -> Result<PathBuf, UpgradeError> {
    let leaf = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = format!("{leaf}.before-format-{}-{}", format + 1, clock.now().format("%Y%m%dT%H%M%S%3fZ"));
    let copy = folder.with_file_name(&name);
    store.copy_to(&copy)?;
    note_copy(store, format + 1, &name).await?;
    Ok(copy)
}

/// What the files of a folder take, in bytes.
fn size_of(folder: &Path) -> std::io::Result<u64> {
    let mut size = 0_u64;
    for entry in folder.read_dir()? {
        // One that goes away meanwhile takes nothing.
        size += entry?.metadata().map_or(0, |metadata| metadata.len());
    }
    Ok(size)
}
