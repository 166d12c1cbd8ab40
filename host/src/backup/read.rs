//! An archive opened with the master key alone, and read to its end.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::BackupError;
use super::archive::{ArchiveError, FrameReader, Header, HeaderRead, Item, RecordReader, Summary};
use super::make::archive_key;
use crate::seal::{Keyring, MasterKey, SealError};
use crate::store::memory::MemoryStore;
use crate::store::{Batch, Store as _};

/// An archive that was opened. Of what it says nothing is proved until all of it was read.
pub struct Archive {
    /// The file.
    pub(super) path: PathBuf,
    /// Its size in bytes.
    pub(super) size: u64,
    /// What stands in the clear.
    pub(super) header: Header,
    /// The keys in it.
    pub(super) keyring: Keyring,
    /// What is sealed.
    pub(super) records: RecordReader<BufReader<File>>,
}

/// What an archive holds, all of it read.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What stands in the clear.
    pub header: Header,
    /// What is in it.
    pub summary: Summary,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Reads what stands in the clear, and proves nothing of it.
///
/// # Errors
/// It is no archive, a later one, or damaged there.
pub fn header(path: &Path) -> Result<Header, BackupError> {
    let mut file = File::open(path).map_err(BackupError::disk(path))?;
    let read = Header::read(&mut file).map_err(BackupError::archive(path))?;
    Ok(read.header)
}

/// The same, and sees that the archive goes on to its last frame, which takes no key.
pub(super) fn outline(path: &Path) -> Result<Header, BackupError> {
    let file = File::open(path).map_err(BackupError::disk(path))?;
    let mut from = BufReader::new(file);
    let outlined = Header::read(&mut from).and_then(|read| {
        super::archive::skip(&mut from, read.bytes)?;
        Ok(read.header)
    });
    outlined.map_err(BackupError::archive(path))
}

/// Reads an archive to its end and says what is in it, proved. It blocks; `progress` is told bytes read, and how many there
/// are.
///
/// # Errors
/// It isn't what was written, or it was made under another master key.
pub async fn check(
    path: &Path,
    master: &MasterKey,
    mut progress: impl FnMut(u64, u64),
) -> Result<Checked, BackupError> {
    let mut archive = Archive::open(path, master).await?;
    let (fault, size) = (BackupError::archive(path), archive.size);
    let summary = archive.read(&mut progress).map_err(fault)?;
    Ok(Checked { header: archive.header, summary, bytes: size })
}

impl Archive {
    /// Opens an archive.
    ///
    /// # Errors
    /// It is none, a later one, damaged at its beginning, or was made under another master key.
    pub async fn open(path: &Path, master: &MasterKey) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(BackupError::disk(path))?;
        let metadata = file.metadata().map_err(BackupError::disk(path))?;
        let mut from = BufReader::with_capacity(1 << 20, file);
        let HeaderRead { header, digest, bytes } = Header::read(&mut from).map_err(BackupError::archive(path))?;
        let keyring = keyring(path, &header, master).await?;
        let key = archive_key(&keyring, &header);
        let records = RecordReader::new(FrameReader::new(from, &key, digest, bytes));
        Ok(Self { path: path.to_owned(), size: metadata.len(), header, keyring, records })
    }

    /// Reads all, and keeps nothing.
    fn read(&mut self, progress: &mut impl FnMut(u64, u64)) -> Result<Summary, ArchiveError> {
        loop {
            progress(self.records.at(), self.size);
            match self.records.next()? {
                Item::Entry { .. } => {}
                Item::File { size, .. } => self.records.copy(size, &mut std::io::sink())?,
                Item::End(summary) => return Ok(summary),
            }
        }
    }
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("path", &self.path).field("header", &self.header).finish_non_exhaustive()
    }
}

/// The keys in a header.
async fn keyring(path: &Path, header: &Header, master: &MasterKey) -> Result<Keyring, BackupError> {
    let damaged =
        || BackupError::archive(path)(ArchiveError::Damaged { at: 0, what: "the keys in it aren't in their form" });
    // As they stand in a store: who reads them there knows all their forms.
    let store = MemoryStore::new();
    let mut batch = Batch::buffered();
    for key in &header.keys {
        let (key, record) = key.entry().ok_or_else(damaged)?;
        batch.put(key, record);
    }
    store.commit(batch).await?;
    match Keyring::load(&store, master).await {
        Ok(Some(keyring)) => Ok(keyring),
        Ok(None) | Err(SealError::Altered | SealError::Malformed(_) | SealError::UnknownKey(_)) => Err(damaged()),
        Err(SealError::WrongMasterKey { origin, found, needed }) => {
            Err(BackupError::WrongKey { path: path.to_owned(), origin, found, needed })
        }
        Err(error) => Err(error.into()),
    }
}
