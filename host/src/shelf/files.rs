//! Installed components as files: written so that a crash leaves all or nothing, read only where they are what was pinned.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::flows::component::{SIZE_LIMIT, digest};
use crate::name::Name;

/// Digits of a digest in a file's name.
const IN_NAME: usize = 16;

/// The folder of installed components.
#[derive(Clone, Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

/// Why a component isn't read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// It isn't what was installed.
    #[error("{path} isn't the component that was installed: its SHA-256 is {found}, and {pinned} is pinned")]
    Changed {
        /// The file.
        path: String,
        /// What is there.
        found: String,
        /// What should be there.
        pinned: String,
    },
    /// There is no such file, or it can't be read.
    #[error("{path} can't be read: {error}")]
    Disk {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
}

impl Files {
    /// The files in this folder.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file of a component.
    pub(super) fn path(&self, name: &Name, sha256: &str) -> PathBuf {
        self.folder.join(format!("{name}-{}.wasm", sha256.get(..IN_NAME).unwrap_or(sha256)))
    }

    /// Reads a component, if it is the one that was pinned.
    pub(super) async fn read(&self, name: &Name, sha256: &str) -> Result<Bytes, Unread> {
        let (path, pinned) = (self.path(name, sha256), sha256.to_owned());
        let place = path.display().to_string();
        let failed = |error: io::Error| Unread::Disk { path: place.clone(), error };
        let read = tokio::task::spawn_blocking(move || {
            let size = fs::metadata(&path)?.len();
            if size > SIZE_LIMIT as u64 {
                return Err(io::Error::other(format!("it has {size} bytes, which no component has")));
            }
            let bytes = fs::read(&path)?;
            let found = digest(&bytes);
            Ok((bytes, found))
        });
        let (bytes, found) = read.await.map_err(|error| failed(io::Error::other(error)))?.map_err(failed)?;
        if found == pinned { Ok(bytes.into()) } else { Err(Unread::Changed { path: place, found, pinned }) }
    }

    /// Writes a component, so that a crash leaves no part of it under its name.
    pub(super) async fn write(&self, name: &Name, sha256: &str, bytes: Bytes) -> io::Result<()> {
        let path = self.path(name, sha256);
        blocking(move || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let new = path.with_added_extension("new");
            let mut file = File::create(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        })
        .await
    }

    /// Removes components that no record names any more. What can't be removed is only in the way.
    pub(super) async fn remove(&self, name: &Name, digests: Vec<String>) {
        let paths: Vec<PathBuf> = digests.iter().map(|sha256| self.path(name, sha256)).collect();
        let removed = blocking(move || {
            for path in paths {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        tracing::warn!(path = %path.display(), %error, "a component that is no longer needed stays");
                    }
                    _ => {}
                }
            }
            Ok(())
        });
        drop(removed.await);
    }

    /// The components in the folder, by their files' names.
    pub(super) fn list(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "wasm"))
            .collect();
        paths.sort();
        Ok(paths)
    }

    /// Where they are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Runs file operations where they block nobody.
async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_component_is_read_only_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path().join("flows"));
        let (name, sha256): (Name, _) = ("some.flow".parse().unwrap(), digest(b"component"));
        assert!(matches!(files.read(&name, &sha256).await, Err(Unread::Disk { .. })));
        assert!(files.list().unwrap().is_empty());
        files.write(&name, &sha256, Bytes::from_static(b"component")).await.unwrap();
        files.write(&name, &sha256, Bytes::from_static(b"component")).await.unwrap();
        assert_eq!(&files.read(&name, &sha256).await.unwrap()[..], b"component");
        assert_eq!(files.list().unwrap(), [files.path(&name, &sha256)]);

        fs::write(files.path(&name, &sha256), b"another").unwrap();
        let error = files.read(&name, &sha256).await.unwrap_err().to_string();
        for part in ["some.flow-", &sha256, &digest(b"another"), "is pinned"] {
            assert!(error.contains(part), "{error}\nshould contain {part}");
        }
        files.remove(&name, vec![sha256.clone(), digest(b"unknown")]).await;
        assert!(files.list().unwrap().is_empty());
    }
}
