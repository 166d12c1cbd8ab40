//! Why a backup can't be made, read or restored.

use std::io;
use std::path::{Path, PathBuf};

use super::archive::ArchiveError;
use crate::audit::AuditError;
use crate::seal::SealError;
use crate::store::StoreError;

/// Why a backup can't be made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The archive can't be read or written.
    #[error("{path}: {error}", path = path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        error: ArchiveError,
    },
    /// The master key isn't the one that the archive was made under.
    #[error(
        "{path} was made under another master key: {needed} is needed, and the one in {origin} is {found}",
        path = path.display()
    )]
    WrongKey {
        /// The archive.
        path: PathBuf,
        /// The file or variable.
        origin: String,
        /// The id of the key given.
        found: String,
        /// The id of the key needed.
        needed: String,
    },
    /// A later version's database is in it.
    #[error(
        "{path} holds a database of format {found}, and this tokenhost knows up to {known}; restore it with a later version",
        path = path.display()
    )]
    DatabaseTooNew {
        /// The archive.
        path: PathBuf,
        /// The format found.
        found: u64,
        /// The newest format known here.
        known: u64,
    },
    /// It has a file that no backup has.
    #[error("{path} holds a file with the name {name:?}, which no backup has", path = path.display())]
    StrangeFile {
        /// The archive.
        path: PathBuf,
        /// The file's name.
        name: String,
    },
    /// The data folder has something in it.
    #[error(
        "the data folder {0} isn't empty; name another one (--data), or have it moved aside (--force): nothing is deleted"
    )]
    NotEmpty(String),
    /// There is such a file.
    #[error("{0} exists; name another file, or have it replaced (--force)")]
    Exists(String),
    /// Another backup is being made.
    #[error("another backup is being made; wait until it is done")]
    Busy,
    /// What was to be copied is no store on disk.
    #[error("this daemon's store isn't on a disk, and can't be copied")]
    NotOnDisk,
    /// A file or folder can't be read or written.
    #[error("{path}: {error}", path = path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Keys can't be used.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log can't be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl BackupError {
    /// That this file or folder can't be read or written.
    pub(super) fn disk(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Disk { path, error }
    }

    /// That this archive can't be read or written.
    pub(super) fn archive(path: &Path) -> impl FnOnce(ArchiveError) -> Self {
        let path = path.to_owned();
        move |error| Self::Archive { path, error }
    }
}
