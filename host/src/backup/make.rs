//! An archive made: the moment held, then all of it written, however long that takes.
//!
//! It knows no HTTP and no schedule. What is written is given piece by piece, so that memory doesn't grow with the data.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use ulid::Ulid;
use zeroize::Zeroizing;

use super::archive::{ArchiveError, FrameWriter, Header, RecordWriter, Summary, WrappedKey};
use super::{BackupError, COUNTS, FLOWS};
use crate::clock::SharedClock;
use crate::seal::{KEYS_PREFIX, Keyring, SealError};
use crate::store::rocks::RocksStore;
use crate::store::{Frozen, StoreError};

/// How the folder begins and ends that holds the moment while an archive is written, within the data folder.
const COPY: (&str, &str) = ("copy-", ".tmp");
/// How the name of a component's file ends.
const COMPONENT: &str = ".wasm";

/// What backups are made of.
pub struct Source {
    /// The store.
    pub store: Arc<RocksStore>,
    /// Its keys.
    pub keyring: Arc<Keyring>,
    /// What time it is.
    pub clock: SharedClock,
    /// The data folder.
    pub data: PathBuf,
}

/// An archive that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its id.
    pub id: String,
    /// When: all that was acknowledged before is in it.
    pub made_at: DateTime<Utc>,
    /// What is in it.
    pub summary: Summary,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Makes an archive of a store that no daemon serves, as before its records are rewritten. The file has its name only once
/// all of it is on disk; one of that name must not exist.
///
/// # Errors
/// The file exists, or it or the store failed; nothing is left behind then.
pub async fn write(source: &Source, file: &Path) -> Result<Made, BackupError> {
    // What a daemon counted that was killed isn't in the store yet.
    let cut = Cut::at_once(source, Some(COUNTS)).await?;
    let file = file.to_owned();
    blocking(move || cut.write_file(&file, |_| Ok(()))).await
}

/// Runs what blocks where it blocks nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| StoreError::Storage(format!("a backup was broken off: {error}")))?
}

/// Removes what a killed process left in the data folder.
pub fn clear(data: &Path) {
    let Ok(entries) = data.read_dir() else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(COPY.0)
            && name.ends_with(COPY.1)
            && let Err(error) = std::fs::remove_dir_all(&path)
        {
            tracing::warn!(path = %path.display(), %error, "what a backup left can't be removed");
        }
    }
}

/// The moment that an archive is of.
pub(super) struct Cut {
    frozen: Frozen,
    /// Files of the data folder, open: who removes one doesn't take it from here.
    files: Vec<(String, File)>,
    header: Header,
    key: Zeroizing<[u8; 32]>,
}

impl Cut {
    /// Holds this moment. `counts`: the file of counts too, where nobody has taken them into the store.
    pub(super) async fn at_once(source: &Source, counts: Option<&str>) -> Result<Self, BackupError> {
        let (id, mut salt) = (Ulid::from_datetime(source.clock.now().into()), [0; 32]);
        getrandom::fill(&mut salt).map_err(|error| SealError::Random(error.to_string()))?;
        let salt = hex::encode(salt);
        let mut files = open_files(&source.data)?;
        let made_at = source.clock.now();
        let frozen = source.store.freeze(&source.data.join(format!("{}{id}{}", COPY.0, COPY.1))).await?;
        // A component is on disk before the record that names it, and gone after: one of the two looks finds it.
        for (name, file) in open_files(&source.data)? {
            if !files.iter().any(|(known, _)| *known == name) {
                files.push((name, file));
            }
        }
        if let Some(name) = counts
            && let Some(file) = open(&source.data.join(name))?
        {
            files.push((name.to_owned(), file));
        }
        let mut keys = Vec::new();
        frozen.each::<StoreError>(KEYS_PREFIX, |key, _, value| {
            keys.push(WrappedKey::new(key, value));
            Ok(())
        })?;
        let header = Header {
            id: id.to_string(),
            made_at,
            tokenhost: env!("CARGO_PKG_VERSION").to_owned(),
            database: frozen.format(),
            instance: instance(&source.keyring),
            keys,
            salt,
        };
        let key = archive_key(&source.keyring, &header);
        Ok(Self { frozen, files, header, key })
    }

    /// What stands in the clear.
    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Writes all of it, and tells the bytes written now and then; an error ends it. It blocks.
    pub(super) fn write<W: Write>(
        self,
        mut out: W,
        mut progress: impl FnMut(u64) -> io::Result<()>,
    ) -> Result<(W, Made), ArchiveError> {
        let (bound, written) = self.header.write(&mut out)?;
        let mut records = RecordWriter::new(FrameWriter::new(out, &self.key, bound, written));
        self.frozen.each::<EntryError>(b"", |key, revision, value| {
            progress(records.written()).map_err(ArchiveError::from)?;
            Ok(records.entry(key, revision, value)?)
        })?;
        for (name, mut file) in self.files {
            let size = file.metadata()?.len();
            records.file(&name, size, &mut file)?;
        }
        let (out, summary, bytes) = records.finish(self.frozen.revision())?;
        progress(bytes)?;
        Ok((out, Made { id: self.header.id, made_at: self.header.made_at, summary, bytes }))
    }

    /// The same into a file, which has its name only once all of it is on disk. One of that name must not exist.
    pub(super) fn write_file(
        self,
        path: &Path,
        progress: impl FnMut(u64) -> io::Result<()>,
    ) -> Result<Made, BackupError> {
        if path.exists() {
            return Err(BackupError::Exists(path.display().to_string()));
        }
        let temporary = Temporary::beside(path)?;
        let file = temporary.file().map_err(BackupError::disk(path))?;
        let (file, made) = self.write(file, progress).map_err(BackupError::archive(path))?;
        file.sync_all().map_err(BackupError::disk(path))?;
        temporary.keep(path).map_err(BackupError::disk(path))?;
        Ok(made)
    }
}

/// A file that goes unless it is kept.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    file: File,
    is_kept: bool,
}

impl Temporary {
    /// A new file for its owner alone, in the folder of the one that it is to become.
    ///
    /// # Errors
    /// It can't be made.
    pub fn beside(path: &Path) -> Result<Self, BackupError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("backup");
        let temporary = path.with_file_name(format!(".{name}.tmp"));
        // Left by a process that was killed.
        drop(std::fs::remove_file(&temporary));
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        Ok(Self { file: made.map_err(BackupError::disk(path))?, path: temporary, is_kept: false })
    }

    /// To write to.
    ///
    /// # Errors
    /// The system has no more files.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Sees that it begins and ends as an archive does, without a key, and gives what stands in the clear.
    ///
    /// # Errors
    /// It is no archive, or cut short.
    pub fn outline(&self) -> Result<Header, BackupError> {
        super::read::outline(&self.path)
    }

    /// Gives it its name, over what has it, once what was written is synced.
    ///
    /// # Errors
    /// The disk refused.
    pub fn keep(mut self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, path)?;
        self.is_kept = true;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_kept {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Which installation these keys are of.
pub(super) fn instance(keyring: &Keyring) -> String {
    hex::encode(keyring.subkey("backup instance").get(..8).unwrap_or_default())
}

/// The key of one archive alone.
pub(super) fn archive_key(keyring: &Keyring, header: &Header) -> Zeroizing<[u8; 32]> {
    keyring.subkey(&format!("backup archive {}", header.salt))
}

/// The components in the data folder.
fn open_files(data: &Path) -> Result<Vec<(String, File)>, BackupError> {
    let folder = data.join(FLOWS);
    let entries = match folder.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(BackupError::disk(&folder))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(BackupError::disk(&folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(COMPONENT)
            && let Some(file) = open(&path)?
        {
            files.push((format!("{FLOWS}/{name}"), file));
        }
    }
    Ok(files)
}

/// A file, where there is one.
fn open(path: &Path) -> Result<Option<File>, BackupError> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(BackupError::disk(path)),
    }
}

/// Why an entry can't be read from the store or written to the archive.
enum EntryError {
    Store(StoreError),
    Archive(ArchiveError),
}

impl From<StoreError> for EntryError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ArchiveError> for EntryError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl From<EntryError> for ArchiveError {
    fn from(error: EntryError) -> Self {
        match error {
            EntryError::Store(error) => io::Error::other(error).into(),
            EntryError::Archive(error) => error,
        }
    }
}
