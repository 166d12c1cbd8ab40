//! Where a data folder is made, and how it takes the place where it is to be.
//!
//! Beside that place, so that one rename puts it there. Where the place is a mount point, as a container's volume is, or
//! where nothing may be made beside it, within it: then its entries are moved one by one, the database last, and a daemon
//! finds none until all else is there.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};

use super::{BackupError, STORE};

/// What the folder is called in which a data folder is made.
const RESTORING: &str = "restoring";
/// What the former data folder is called.
const BEFORE: &str = "before-restore";
/// What file systems have at their root.
const LOST_AND_FOUND: &str = "lost+found";

/// What is where the data folder is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Former {
    Nothing,
    Empty,
    Full,
}

impl Former {
    /// Looks.
    ///
    /// # Errors
    /// It is no folder, or can't be read.
    pub(super) fn of(data: &Path) -> Result<Self, BackupError> {
        match entries(data) {
            Ok(entries) => Ok(if entries.is_empty() { Self::Empty } else { Self::Full }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Nothing),
            Err(error) => Err(BackupError::disk(data)(error)),
        }
    }
}

/// A folder that is to become the data folder, and goes if it doesn't.
pub(super) struct Staging {
    folder: PathBuf,
    /// Whether it is in the data folder, and not beside it.
    is_within: bool,
    at: DateTime<Utc>,
    is_placed: bool,
}

impl Staging {
    /// A new folder for its owner alone.
    ///
    /// # Errors
    /// It can't be made.
    pub(super) fn new(data: &Path, at: DateTime<Utc>) -> Result<Self, BackupError> {
        if is_mount_point(data) {
            return Self::within(data, at);
        }
        match Self::beside(data, at) {
            Err(BackupError::Disk { error, .. }) if data.is_dir() && is_forbidden(&error) => Self::within(data, at),
            beside => beside,
        }
    }

    fn beside(data: &Path, at: DateTime<Utc>) -> Result<Self, BackupError> {
        let folder = beside(data, RESTORING, at);
        if let Some(parent) = folder.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(BackupError::disk(parent))?;
        }
        Self::make(folder, false, at)
    }

    fn within(data: &Path, at: DateTime<Utc>) -> Result<Self, BackupError> {
        Self::make(data.join(named(RESTORING, at)), true, at)
    }

    fn make(folder: PathBuf, is_within: bool, at: DateTime<Utc>) -> Result<Self, BackupError> {
        DirBuilder::new().mode(0o700).create(&folder).map_err(BackupError::disk(&folder))?;
        Ok(Self { folder, is_within, at, is_placed: false })
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts it where the data folder is to be. Gives the place of what was there.
    ///
    /// # Errors
    /// The disk refused; what was there is there again.
    pub(super) fn take_place(mut self, data: &Path, former: Former) -> Result<Option<PathBuf>, BackupError> {
        if let Ok(owned) = data.metadata() {
            give(&self.folder, owned.uid(), owned.gid())?;
            let mode = Permissions::from_mode(owned.mode() & 0o700);
            std::fs::set_permissions(&self.folder, mode).map_err(BackupError::disk(&self.folder))?;
        }
        let moved_to = if self.is_within { self.move_in(data, former)? } else { self.take_over(data, former)? };
        self.is_placed = true;
        let changed = if self.is_within { Some(data) } else { data.parent() };
        if let Some(changed) = changed {
            File::open(changed).and_then(|folder| folder.sync_all()).map_err(BackupError::disk(changed))?;
        }
        Ok(moved_to)
    }

    /// By one rename.
    fn take_over(&self, data: &Path, former: Former) -> Result<Option<PathBuf>, BackupError> {
        let moved_to = match former {
            Former::Nothing => None,
            Former::Empty => {
                std::fs::remove_dir(data).map_err(BackupError::disk(data))?;
                None
            }
            Former::Full => {
                let aside = beside(data, BEFORE, self.at);
                std::fs::rename(data, &aside).map_err(BackupError::disk(data))?;
                Some(aside)
            }
        };
        if let Err(error) = std::fs::rename(&self.folder, data) {
            // What was there comes back.
            match &moved_to {
                Some(aside) => drop(std::fs::rename(aside, data)),
                None if former == Former::Empty => drop(DirBuilder::new().mode(0o700).create(data)),
                None => {}
            }
            return Err(BackupError::disk(data)(error));
        }
        Ok(moved_to)
    }

    /// Entry by entry: the former database goes first, the new one comes last.
    fn move_in(&self, data: &Path, former: Former) -> Result<Option<PathBuf>, BackupError> {
        let moved_to = (former == Former::Full).then(|| data.join(named(BEFORE, self.at)));
        let mut moves = Vec::new();
        if let Some(aside) = &moved_to {
            DirBuilder::new().mode(0o700).create(aside).map_err(BackupError::disk(aside))?;
            let mut old = entries(data).map_err(BackupError::disk(data))?;
            old.sort_by_key(|entry| entry.file_name() != Some(OsStr::new(STORE)));
            moves.extend(old.into_iter().filter_map(|entry| Some((entry.clone(), aside.join(entry.file_name()?)))));
        }
        let mut new = entries(&self.folder).map_err(BackupError::disk(&self.folder))?;
        new.sort_by_key(|entry| entry.file_name() == Some(OsStr::new(STORE)));
        moves.extend(new.into_iter().filter_map(|entry| Some((entry.clone(), data.join(entry.file_name()?)))));
        for (number, (from, to)) in moves.iter().enumerate() {
            if let Err(error) = std::fs::rename(from, to) {
                // What was there comes back.
                moves.iter().take(number).rev().for_each(|(from, to)| drop(std::fs::rename(to, from)));
                moved_to.iter().for_each(|aside| drop(std::fs::remove_dir(aside)));
                return Err(BackupError::disk(from)(error));
            }
        }
        std::fs::remove_dir(&self.folder).map_err(BackupError::disk(&self.folder))?;
        Ok(moved_to)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_placed
            && let Err(error) = std::fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(folder = %self.folder.display(), %error, "what a restore left can't be removed");
        }
    }
}

/// What a data folder has, but for what other restores left there and what belongs to the file system.
fn entries(data: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in data.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| {
            name == LOST_AND_FOUND || [RESTORING, BEFORE].iter().any(|ours| name.starts_with(&format!("{ours}-")))
        });
        if !is_ours {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Whether something is mounted there: nothing else can take its place.
fn is_mount_point(data: &Path) -> bool {
    rustix::fs::statx(CWD, data, AtFlags::empty(), StatxFlags::BASIC_STATS)
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Whether nothing may be made in a folder.
fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// A name with a time.
fn named(what: &str, at: DateTime<Utc>) -> String {
    format!("{what}-{}", at.format("%Y%m%dT%H%M%S%3fZ"))
}

/// A folder beside the data folder, named after it.
fn beside(data: &Path, what: &str, at: DateTime<Utc>) -> PathBuf {
    let name = data.file_name().and_then(|name| name.to_str()).unwrap_or("tokenhost");
    data.with_file_name(format!("{name}.{}", named(what, at)))
}

/// Gives a folder and all in it to the owner of the one whose place it takes, as where root restores what a service has.
fn give(folder: &Path, user: u32, group: u32) -> Result<(), BackupError> {
    let own = folder.metadata().map_err(BackupError::disk(folder))?;
    if (own.uid(), own.gid()) == (user, group) {
        return Ok(());
    }
    std::os::unix::fs::chown(folder, Some(user), Some(group)).map_err(BackupError::disk(folder))?;
    for entry in folder.read_dir().map_err(BackupError::disk(folder))? {
        let entry = entry.map_err(BackupError::disk(folder))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(BackupError::disk(folder))?);
        if kind.is_dir() {
            give(&path, user, group)?;
        } else {
            std::os::unix::fs::lchown(&path, Some(user), Some(group)).map_err(BackupError::disk(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> DateTime<Utc> {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn fill(folder: &Path, text: &str) {
        std::fs::create_dir_all(folder.join(STORE)).unwrap();
        std::fs::write(folder.join(STORE).join("table"), text).unwrap();
        std::fs::write(folder.join("usage"), text).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_there_is_kept_aside() {
        let check = |make: fn(&Path, DateTime<Utc>) -> Result<Staging, BackupError>, expected: &str| {
            let folder = tempfile::tempdir().unwrap();
            let data = folder.path().join("data");
            fill(&data, "old");
            std::fs::create_dir(data.join(LOST_AND_FOUND)).unwrap();
            let staging = make(&data, at()).unwrap();
            fill(staging.folder(), "new");
            let moved_to = staging.take_place(&data, Former::of(&data).unwrap()).unwrap().unwrap();
            assert_eq!(moved_to, folder.path().join(expected));
            for (place, text) in [(&data, "new"), (&moved_to, "old")] {
                assert_eq!(std::fs::read_to_string(place.join("store/table")).unwrap(), text);
                assert_eq!(std::fs::read_to_string(place.join("usage")).unwrap(), text);
            }
            (names(&data), Former::of(&data).unwrap())
        };
        let (beside, _) = check(Staging::beside, "data.before-restore-20261122T100000000Z");
        assert_eq!(beside, ["store", "usage"]);
        let (within, former) = check(Staging::within, "data/before-restore-20261122T100000000Z");
        assert_eq!(within, ["before-restore-20261122T100000000Z", LOST_AND_FOUND, "store", "usage"]);
        assert_eq!(former, Former::Full);
    }

    #[test]
    fn within_what_fails_leaves_all_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(data.join("store/in-the-way")).unwrap();
        let staging = Staging::within(&data, at()).unwrap();
        fill(staging.folder(), "new");
        assert!(staging.take_place(&data, Former::Empty).is_err());
        assert_eq!(names(&data), ["store"], "its counts were there already");
        assert_eq!(names(&data.join("store")), ["in-the-way"]);
    }

    #[test]
    fn only_what_is_somebodys_fills_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Former::of(&folder.path().join("none")).unwrap(), Former::Nothing);
        for left in [LOST_AND_FOUND, "restoring-20261122T100000000Z", "before-restore-20261122T100000000Z"] {
            std::fs::create_dir(folder.path().join(left)).unwrap();
            assert_eq!(Former::of(folder.path()).unwrap(), Former::Empty, "{left}");
        }
        std::fs::write(folder.path().join("something"), "").unwrap();
        assert_eq!(Former::of(folder.path()).unwrap(), Former::Full);
    }
}
