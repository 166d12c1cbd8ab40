//! The folder of scheduled backups: which files there are its own, and which of them may go.
//!
//! Nothing is touched that isn't named as the daemon names them and doesn't say in its header that it is of this installation.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::BackupError;
use super::archive::Header;
use super::read::header;
use crate::config;

/// How a backup's name begins.
const PREFIX: &str = "tokenhost-";
/// How it ends.
const SUFFIX: &str = ".backup";
/// What is added while it is written; a dot comes before the name.
const TEMPORARY: &str = ".tmp";

/// A backup in the folder.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its id.
    pub id: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// The version of the tokenhost that made it.
    pub made_by: String,
}

/// The name of a backup: sorted by name they are sorted by time.
pub(super) fn name_of(header: &Header) -> String {
    format!("{PREFIX}{}-{}{SUFFIX}", header.instance, header.made_at.format("%Y%m%dT%H%M%S%3fZ"))
}

/// The backups of an installation in this folder, the newest first. What else is there isn't looked at.
///
/// # Errors
/// The folder can't be read.
pub fn list(folder: &Path, instance: &str) -> Result<Vec<Kept>, BackupError> {
    let entries = match folder.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(BackupError::disk(folder))?,
    };
    let mut found = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !is_own(name, instance) {
            continue;
        }
        // One that can't be read is left where it is: somebody may want to know why.
        let Ok(header) = header(&path) else { continue };
        let bytes = path.metadata().map(|metadata| metadata.len()).unwrap_or_default();
        if header.instance == instance && name == name_of(&header) {
            found.push(Kept { path, bytes, id: header.id, made_at: header.made_at, made_by: header.tokenhost });
        }
    }
    found.sort_by_key(|kept| std::cmp::Reverse(kept.made_at));
    Ok(found)
}

/// Removes the backups that are over their time or number, but never the newest. Returns how many.
///
/// # Errors
/// The folder can't be read, or a file not removed.
pub(super) fn prune(settings: &config::Backup, instance: &str, now: DateTime<Utc>) -> Result<usize, BackupError> {
    let oldest = settings.keep_days.and_then(|days| TimeDelta::try_days(days.into())).map(|kept| now - kept);
    let mut removed = 0;
    for (index, kept) in list(&settings.folder, instance)?.into_iter().enumerate().skip(1) {
        if index >= settings.keep as usize || oldest.is_some_and(|oldest| kept.made_at < oldest) {
            std::fs::remove_file(&kept.path).map_err(BackupError::disk(&kept.path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes what a process left that was killed while it wrote.
pub(super) fn clear(folder: &Path, instance: &str) {
    let Ok(entries) = folder.read_dir() else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let written = name.strip_prefix('.').and_then(|name| name.strip_suffix(TEMPORARY));
        if written.is_some_and(|name| is_own(name, instance))
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "what a backup left can't be removed");
        }
    }
}

/// Whether a file of this name may be a backup of this installation.
fn is_own(name: &str, instance: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(instance));
    rest.and_then(|rest| rest.strip_prefix('-')).is_some_and(|rest| rest.ends_with(SUFFIX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn put(folder: &Path, instance: &str, day: u32) -> PathBuf {
        let header = Header {
            id: format!("id{day}"),
            made_at: format!("2026-11-{day:02}T10:00:00Z").parse().unwrap(),
            tokenhost: "0.1.0".into(),
            database: 1,
            instance: instance.into(),
            salt: String::new(),
            keys: Vec::new(),
        };
        let path = folder.join(name_of(&header));
        header.write(&mut std::fs::File::create(&path).unwrap()).unwrap();
        path
    }

    #[test]
    fn only_own_backups_go_and_never_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let own: Vec<PathBuf> = (10..16).map(|day| put(folder, "0123456789abcdef", day)).collect();
        let other = put(folder, "fedcba9876543210", 1);
        let named = folder.join("tokenhost-0123456789abcdef-notes.backup");
        std::fs::write(&named, "not one").unwrap();
        let renamed = folder.join("tokenhost-0123456789abcdef-kept-by-hand.backup");
        std::fs::copy(&own[0], &renamed).unwrap();
        let half = folder.join(".tokenhost-0123456789abcdef-20261101T100000000Z.backup.tmp");
        let others_half = folder.join(".tokenhost-fedcba9876543210-20261101T100000000Z.backup.tmp");
        for path in [&half, &others_half] {
            std::fs::write(path, "half").unwrap();
        }
        let there = |path: &PathBuf| path.exists();
        let settings = |keep, keep_days| config::Backup {
            folder: folder.to_owned(),
            every: Duration::from_secs(60),
            keep,
            keep_days,
        };
        let now = "2026-11-16T10:00:00Z".parse().unwrap();
        let left = || list(folder, "0123456789abcdef").unwrap().len();
        assert_eq!(left(), 6);
        assert_eq!(prune(&settings(4, None), "0123456789abcdef", now).unwrap(), 2);
        assert_eq!(own.iter().map(there).collect::<Vec<_>>(), [false, false, true, true, true, true]);
        assert_eq!(prune(&settings(9, Some(2)), "0123456789abcdef", now).unwrap(), 2);
        assert_eq!(own.iter().map(there).collect::<Vec<_>>(), [false, false, false, false, true, true]);
        let much_later = "2030-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(prune(&settings(9, Some(2)), "0123456789abcdef", much_later).unwrap(), 1);
        assert_eq!(prune(&settings(1, Some(2)), "0123456789abcdef", much_later).unwrap(), 0);
        assert!(there(&own[5]), "the newest stays");
        clear(folder, "0123456789abcdef");
        assert!(!there(&half));
        for path in [&other, &named, &renamed, &others_half] {
            assert!(there(path), "{}", path.display());
        }
        assert!(list(&folder.join("nowhere"), "x").unwrap().is_empty());
    }
}
