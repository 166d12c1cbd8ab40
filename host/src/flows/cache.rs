//! Compiled code on disk, so that a start needn't compile: one file for each component and kind of engine.
//!
//! Any file that can't be loaded is a miss. Whether a file can be trusted is decided in `trusted`; what is compiled, and
//! by whom, in `compile`.

use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use wasmtime::component::Component;

use super::trusted;

/// How the names of compiled files end.
const ENDING: &str = "cwasm";

/// Why the cache can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the folder for compiled flows {} {reason}", folder.display())]
pub struct CacheError {
    /// The folder.
    folder: PathBuf,
    /// What is wrong with it.
    reason: String,
}

/// A private folder of compiled components.
pub(super) struct Cache {
    /// The folder.
    folder: PathBuf,
    /// What tells engines with different code apart.
    engine: u64,
}

impl Cache {
    /// The cache in this folder, which is made if need be. Files of other engines are removed: after an upgrade nothing
    /// reads them any more.
    ///
    /// # Errors
    /// The folder can't be made, or isn't private to this user.
    pub(super) fn open(folder: &Path, runtime: &wasmtime::Engine) -> Result<Self, CacheError> {
        let refused = |reason: String| CacheError { folder: folder.to_owned(), reason };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| refused(format!("can't be made: {error}")))?;
        trusted::private_folder(folder).map_err(refused)?;
        let mut hasher = DefaultHasher::new();
        runtime.precompile_compatibility_hash().hash(&mut hasher);
        let cache = Self { folder: folder.to_owned(), engine: hasher.finish() };
        cache.remove_foreign();
        Ok(cache)
    }

    /// The compiled component of this digest, if it is here and whole.
    pub(super) fn load(&self, runtime: &wasmtime::Engine, digest: &str) -> Option<Component> {
        let name = self.name(digest);
        if !self.folder.join(&name).exists() {
            return None;
        }
        trusted::load(runtime, &self.folder, &name)
            .inspect_err(|reason| tracing::warn!(file = name, reason, "compiled flow not used; it is compiled anew"))
            .ok()
    }

    /// Keeps the code of a component.
    ///
    /// # Errors
    /// The folder can't be written.
    pub(super) fn keep(&self, digest: &str, code: &[u8]) -> io::Result<()> {
        // Of mode 0600, in the same folder, and with its name only once it is whole. Not synced: a torn file is a miss.
        let mut file = tempfile::Builder::new().suffix(".tmp").tempfile_in(&self.folder)?;
        file.write_all(&trusted::sealed(code))?;
        file.persist(self.folder.join(self.name(digest)))?;
        Ok(())
    }

    /// A component's file.
    fn name(&self, digest: &str) -> String {
        format!("{:016x}-{digest}.{ENDING}", self.engine)
    }

    /// Removes what other engines left. Best effort: a file that stays costs its space.
    fn remove_foreign(&self) {
        let ours = format!("{:016x}-", self.engine);
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let foreign = path.extension().is_some_and(|ending| ending == ENDING)
                && path.file_name().and_then(|name| name.to_str()).is_some_and(|name| !name.starts_with(&ours));
            if foreign && let Err(error) = fs::remove_file(&path) {
                tracing::warn!(file = %path.display(), %error, "a compiled flow of another version can't be removed");
            }
        }
    }
}
