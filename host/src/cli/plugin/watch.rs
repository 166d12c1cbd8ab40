//! Tells when the sources of a flow changed: by the operating system's notifications, and by what the files then are, so that what a
//! build itself writes causes no further build.
//!
//! It builds nothing, and reads no file's content.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::super::exit::Failure;

/// Folders in which there are no sources.
const IGNORED: &[&str] = &["target", "node_modules", "dist", "build", "__pycache__", "venv"];

/// How many files are looked at. A project has some dozens.
const MOST: usize = 20_000;

/// Editors write a file in several strokes; so long after the last of them it is whole.
const SETTLED: Duration = Duration::from_millis(200);

/// A watched folder, or a file.
pub(super) struct Watch {
    /// What is watched.
    root: PathBuf,
    /// Ends the notifications when it is dropped.
    _watcher: RecommendedWatcher,
    /// Something happened.
    events: mpsc::Receiver<()>,
    /// What the files were when they were last looked at.
    seen: Fingerprint,
}

/// What files are: size and time of the last change, by path.
type Fingerprint = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// The operating system doesn't watch that.
    pub(super) fn new(root: &Path) -> Result<Self, Failure> {
        let failed = |error: String| {
            Failure::failed(format!("{} can't be watched: {error}", root.display()))
                .hint("Is there a limit on watches (on Linux fs.inotify.max_user_watches)?")
        };
        let root = root.canonicalize().map_err(|error| failed(error.to_string()))?;
        // One place is enough: it only says that there is something to look at.
        let (sender, events) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // A full channel says it already.
                let _full = sender.try_send(());
            }
        })
        .map_err(|error| failed(error.to_string()))?;
        // A file is replaced by rename, and then it is another: its folder tells of that.
        let watched = if root.is_dir() { root.clone() } else { root.parent().unwrap_or(&root).to_owned() };
        let mode = if root.is_dir() { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        watcher.watch(&watched, mode).map_err(|error| failed(error.to_string()))?;
        let seen = fingerprint(&root);
        Ok(Self { root, _watcher: watcher, events, seen })
    }

    /// What is watched, as an absolute path.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Takes the files as they are: what changed so far is no change any more. Called before a build reads them.
    pub(super) fn look(&mut self) {
        self.seen = fingerprint(&self.root);
    }

    /// Waits until a source differs from what it was at the last look. Cancel safe.
    pub(super) async fn changed(&mut self) {
        while self.events.recv().await.is_some() {
            // More of the same stroke.
            while let Ok(Some(())) = tokio::time::timeout(SETTLED, self.events.recv()).await {}
            if fingerprint(&self.root) != self.seen {
                return;
            }
        }
        // The watcher is gone, which it isn't while this lives: nothing changes any more.
        std::future::pending::<()>().await;
    }
}

/// What the files are now. What can't be read isn't there.
fn fingerprint(root: &Path) -> Fingerprint {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        if found.len() >= MOST {
            break;
        }
        let Ok(data) = std::fs::symlink_metadata(&path) else { continue };
        if data.is_file() {
            found.insert(path, (data.len(), data.modified().ok()));
        } else if data.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(
                entries.filter(|entry| !is_ignored(&entry.file_name().to_string_lossy())).map(|entry| entry.path()),
            );
        }
    }
    found
}

/// Whether a file or folder of this name holds no sources.
fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~') || name.ends_with(".egg-info") || IGNORED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_of_sources_are_told_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("src")).unwrap();
        std::fs::create_dir_all(folder.path().join("target")).unwrap();
        let source = folder.path().join("src/lib.rs");
        std::fs::write(&source, "1").unwrap();
        let mut watch = Watch::new(folder.path()).unwrap();
        std::fs::write(folder.path().join("target/flow.wasm"), "x").unwrap();
        std::fs::write(folder.path().join(".lib.rs.swp"), "x").unwrap();
        assert_eq!(fingerprint(watch.root()), watch.seen);
        std::fs::write(&source, "22").unwrap();
        watch.changed().await;
        watch.look();
        assert_eq!(fingerprint(watch.root()), watch.seen);
        std::fs::write(folder.path().join("src/new.rs"), "x").unwrap();
        watch.changed().await;
    }

    #[tokio::test]
    async fn a_file_that_is_replaced_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flow.wasm");
        std::fs::write(&file, "1").unwrap();
        let mut watch = Watch::new(&file).unwrap();
        std::fs::write(folder.path().join("other"), "22").unwrap();
        std::fs::rename(folder.path().join("other"), &file).unwrap();
        watch.changed().await;
    }
}
