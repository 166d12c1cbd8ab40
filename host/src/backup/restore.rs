//! A data folder made of an archive: in a folder of its own first, and put where it is to be once all of it is right.
//!
//! Until then nothing that is there is touched, and whatever fails leaves nothing behind. What the folder then knows of
//! itself is said in `mark`.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::{Header, Item, Summary};
use super::mark::{Restoration, mark};
use super::read::Archive;
use super::staging::{Former, Staging};
use super::{BackupError, COUNTS, FLOWS, STORE};
use crate::clock::SharedClock;
use crate::seal::MasterKey;
use crate::store::rocks::RocksStore;
use crate::store::{Filling, Store, StoreError};
use crate::upgrade::{self, UpgradeError};

/// Characters of a component's file name at most.
const MOST_NAME: usize = 200;

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What stands in the clear in the archive.
    pub header: Header,
    /// What is in it.
    pub summary: Summary,
    /// What the daemon will know of it.
    pub restoration: Restoration,
    /// Sessions of browsers that have ended.
    pub sessions: u64,
    /// The data folder.
    pub data: PathBuf,
    /// Where the former data folder is now.
    pub moved_to: Option<PathBuf>,
}

/// Makes a data folder of an archive. `force`: one that is there is moved aside. It blocks; `progress` is told bytes read,
/// and how many there are.
///
/// # Errors
/// The archive isn't what was written, was made under another master key or by a later version; there is a data folder, or a
/// daemon runs on it; or the disk refused. Nothing is changed or left behind then.
pub async fn restore(
    path: &Path,
    master: &MasterKey,
    data: &Path,
    force: bool,
    clock: SharedClock,
    mut progress: impl FnMut(u64, u64),
) -> Result<Restored, BackupError> {
    let mut archive = Archive::open(path, master).await?;
    let data = std::path::absolute(data).map_err(BackupError::disk(data))?;
    let former = Former::of(&data)?;
    if former == Former::Full && !force {
        return Err(BackupError::NotEmpty(data.display().to_string()));
    }
    refuse_if_served(&data)?;
    let staging = Staging::new(&data, clock.now())?;
    let store = staging.folder().join(STORE);
    let summary = unpack(&mut archive, staging.folder(), &mut progress)?;
    // From here on as the daemon itself opens it.
    // An earlier format is brought to the present one; the archive itself is the copy of how it was.
    let opened = upgrade::open(&store, false, &*clock, &mut |_| {}).await.map_err(|error| match error {
        UpgradeError::Store(StoreError::TooNew { found, known }) => {
            BackupError::DatabaseTooNew { path: path.to_owned(), found, known }
        }
        UpgradeError::Store(error) => error.into(),
        error => StoreError::Storage(error.to_string()).into(),
    })?;
    let opened = Arc::new(opened);
    let shared = Arc::clone(&opened) as Arc<dyn Store>;
    let marked = mark(shared, &archive.keyring, clock, &archive.header).await?;
    opened.close().await?;
    let moved_to = staging.take_place(&data, former)?;
    let Archive { header, .. } = archive;
    Ok(Restored { header, summary, restoration: marked.restoration, sessions: marked.sessions, data, moved_to })
}

/// Writes what is in an archive into a folder.
fn unpack(archive: &mut Archive, folder: &Path, progress: &mut impl FnMut(u64, u64)) -> Result<Summary, BackupError> {
    let path = archive.path.clone();
    let mut filling = Filling::begin(&folder.join(STORE))?;
    loop {
        progress(archive.records.at(), archive.size);
        match archive.records.next().map_err(BackupError::archive(&path))? {
            Item::Entry { key, revision, value } => filling.put(&key, revision, &value)?,
            Item::File { name, size } => {
                let place = place_of(&name).ok_or_else(|| BackupError::StrangeFile { path: path.clone(), name })?;
                let place = folder.join(place);
                let mut file = create(&place).map_err(BackupError::disk(&place))?;
                archive.records.copy(size, &mut file).map_err(BackupError::archive(&path))?;
                file.sync_all().map_err(BackupError::disk(&place))?;
            }
            Item::End(summary) => {
                filling.finish(archive.header.database, summary.revision)?;
                return Ok(summary);
            }
        }
    }
}

/// Where a file of an archive belongs; none: it is no file that a backup has. An archive is only as good as who has the
/// master key, and not even they write elsewhere.
fn place_of(name: &str) -> Option<PathBuf> {
    if name == COUNTS {
        return Some(name.into());
    }
    let component = name.strip_prefix(FLOWS)?.strip_prefix('/')?;
    let stem = component.strip_suffix(".wasm")?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = stem.bytes().all(is_plain) && !stem.is_empty() && !stem.starts_with('.') && stem.len() <= MOST_NAME;
    is_name.then(|| Path::new(FLOWS).join(component))
}

/// A new file for its owner alone, with the folder that it is in.
fn create(place: &Path) -> io::Result<File> {
    if let Some(folder) = place.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(place)
}

/// Refuses a folder that a daemon has open: it would go on writing into it, wherever it is moved.
fn refuse_if_served(data: &Path) -> Result<(), BackupError> {
    let store = data.join(STORE);
    if !store.exists() {
        return Ok(());
    }
    match RocksStore::open(&store) {
        Err(error @ StoreError::InUse { .. }) => Err(error.into()),
        // Damaged, perhaps: that is why something else takes its place.
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_where_they_belong_and_nowhere_else() {
        let check =
            |name: &str, expected: Option<&str>| assert_eq!(place_of(name), expected.map(PathBuf::from), "{name}");
        check("usage", Some("usage"));
        check("flows/password-0123456789abcdef.wasm", Some("flows/password-0123456789abcdef.wasm"));
        for strange in [
            "",
            "store",
            "flows",
            "flows/",
            "flows/.wasm",
            "flows/a.txt",
            "flows/../a.wasm",
            "../usage",
            "/usage",
            "flows/a/b.wasm",
            "flows//a.wasm",
            "flows/..wasm",
            "flowsx/a.wasm",
            "flows/\0.wasm",
            "usage/x",
        ] {
            check(strange, None);
        }
    }
}
