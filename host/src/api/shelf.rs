//! The shelf: components that were installed at run time, as files in the data folder, each with its forerunner.
//!
//! A change is on disk before it is served, and a crash leaves either the old file or the new one. What a component is,
//! and whether it is any good, is `flows`' business.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use crate::flows::Flow as _;
use crate::flows::plugin::{LoadError, Plugin};
use crate::flows::registry::Flows;
use crate::name::Name;

/// Installed components.
#[derive(Debug)]
pub struct Shelf {
    /// Where they are: `NAME.wasm`, and `NAME.previous` to go back to.
    folder: PathBuf,
    /// The flows that ship, which an installed one of the same name stands in for.
    shipped: PathBuf,
    /// Held while a file is changed, so that disk and registry change together.
    changing: Mutex<()>,
}

/// Why an installed component couldn't be changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShelfError {
    /// The component is no good.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Nothing of this name was installed.
    #[error("flow {0} wasn't installed here; flows that ship are changed with the daemon")]
    NotInstalled(Name),
    /// There is nothing to go back to.
    #[error("flow {0} has no earlier component to go back to")]
    NoForerunner(Name),
    /// The component's own name can't be a file's.
    #[error("the component's name is none that a flow can have here: {0}")]
    Name(#[from] crate::name::NameError),
    /// The folder can't be read or written.
    #[error("the folder of installed flows can't be changed: {0}")]
    Disk(#[from] io::Error),
}

impl Shelf {
    /// The shelf in this folder.
    pub fn new(folder: PathBuf, shipped: PathBuf) -> Self {
        Self { folder, shipped, changing: Mutex::new(()) }
    }

    /// Serves what was installed before the daemon's start. Returns what can't be, and why.
    pub async fn load(&self, flows: &Flows) -> Vec<String> {
        let mut problems = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return problems,
            Err(error) => return vec![format!("{}: {error}", self.folder.display())],
        };
        for path in entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "wasm"))
        {
            let served = match fs::read(&path) {
                Ok(bytes) => flows.install(bytes).await.map(drop).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(reason) = served {
                problems.push(format!("{}: {reason}", path.display()));
            }
        }
        problems
    }

    /// Keeps a component and serves it from now on. The one of the same name that was installed before can be gone back to.
    pub(super) async fn install(&self, flows: &Flows, bytes: Bytes) -> Result<Arc<Plugin>, ShelfError> {
        let plugin = Arc::new(Plugin::load(flows.engine(), bytes.clone()).await?);
        let name: Name = plugin.description().name.parse()?;
        let _changing = self.changing.lock().await;
        let (current, previous) = self.files(&name);
        blocking(move || {
            if let Some(folder) = current.parent() {
                fs::create_dir_all(folder)?;
            }
            if current.exists() {
                let link = current.with_extension("link");
                forgive_absence(fs::remove_file(&link))?;
                fs::hard_link(&current, &link)?;
                fs::rename(&link, &previous)?;
            }
            write_synced(&current, &bytes)
        })
        .await?;
        flows.serve(Arc::clone(&plugin));
        Ok(plugin)
    }

    /// Serves the component again that the installed one replaced.
    pub(super) async fn roll_back(&self, flows: &Flows, name: &Name) -> Result<Arc<Plugin>, ShelfError> {
        let _changing = self.changing.lock().await;
        let (current, previous) = self.files(name);
        if !current.exists() {
            return Err(ShelfError::NotInstalled(name.clone()));
        }
        let bytes = match fs::read(&previous) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ShelfError::NoForerunner(name.clone()));
            }
            Err(error) => return Err(error.into()),
        };
        let plugin = Arc::new(Plugin::load(flows.engine(), bytes).await?);
        blocking(move || {
            fs::rename(&previous, &current)?;
            sync_folder(&current)
        })
        .await?;
        flows.serve(Arc::clone(&plugin));
        Ok(plugin)
    }

    /// Removes what was installed under this name. A flow of the same name that ships is served again.
    pub(super) async fn remove(&self, flows: &Flows, name: &Name) -> Result<(), ShelfError> {
        let _changing = self.changing.lock().await;
        let (current, previous) = self.files(name);
        if !current.exists() {
            return Err(ShelfError::NotInstalled(name.clone()));
        }
        blocking(move || {
            forgive_absence(fs::remove_file(&previous))?;
            fs::remove_file(&current)?;
            sync_folder(&current)
        })
        .await?;
        match self.shipped(flows, name).await {
            Some(plugin) => drop(flows.serve(plugin)),
            None => drop(flows.remove(name.as_str())),
        }
        Ok(())
    }

    /// The flow of this name that ships.
    pub(super) async fn shipped(&self, flows: &Flows, name: &Name) -> Option<Arc<Plugin>> {
        let (shipped, _) = Flows::load(flows.engine().clone(), std::slice::from_ref(&self.shipped)).await;
        shipped.plugin(name.as_str())
    }

    /// The component's file, and its forerunner's.
    fn files(&self, name: &Name) -> (PathBuf, PathBuf) {
        // Not `with_extension`: names have dots of their own.
        (self.folder.join(format!("{name}.wasm")), self.folder.join(format!("{name}.previous")))
    }
}

/// Writes a file so that a crash leaves the old one or the new one.
fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(path)
}

/// Makes a file's appearance or end last.
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// What isn't there needn't be removed.
fn forgive_absence(outcome: io::Result<()>) -> io::Result<()> {
    outcome.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Runs file operations where they block nobody.
async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::{Engine, EngineOptions};

    /// What can be said without a component; what needs one is tested end to end.
    #[tokio::test]
    async fn what_was_not_installed_is_neither_removed_nor_rolled_back() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(folder.path().join("installed"), folder.path().join("shipped"));
        let flows = Flows::new(Engine::new(EngineOptions::default()).unwrap());
        let name: Name = "some-flow".parse().unwrap();
        assert!(shelf.load(&flows).await.is_empty());
        assert!(matches!(shelf.remove(&flows, &name).await, Err(ShelfError::NotInstalled(_))));
        assert!(matches!(shelf.roll_back(&flows, &name).await, Err(ShelfError::NotInstalled(_))));
        assert!(matches!(shelf.install(&flows, Bytes::from_static(b"no component")).await, Err(ShelfError::Load(_))));
        assert!(!folder.path().join("installed").exists());

        fs::create_dir(folder.path().join("installed")).unwrap();
        fs::write(folder.path().join("installed/some-flow.wasm"), b"damaged").unwrap();
        let problems = shelf.load(&flows).await;
        assert!(problems.len() == 1 && problems[0].contains("some-flow.wasm"), "{problems:?}");
        assert!(matches!(shelf.roll_back(&flows, &name).await, Err(ShelfError::NoForerunner(_))));
        shelf.remove(&flows, &name).await.unwrap();
        assert!(shelf.load(&flows).await.is_empty());
    }

    #[test]
    fn a_file_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        write_synced(&path, b"1").unwrap();
        write_synced(&path, b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
