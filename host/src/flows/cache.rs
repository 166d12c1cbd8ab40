//! Compiled code on disk, so that a start needn't compile: one file for each component and kind of engine.
//!
//! Any file that can't be loaded is a miss. Whether a file can be trusted is decided in `trusted`; what is compiled, and
//! by whom, in `compile`.

use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use wasmtime::component::Component;

use crate::trusted;

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

/// A new folder that only this user can use, gone when dropped.
///
/// # Errors
/// The folder for temporary files can't be written.
pub(super) fn passing_folder() -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir()
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

    /// Whether there is a file for the component of this digest; it may turn out to be a miss all the same.
    pub(super) fn has(&self, digest: &str) -> bool {
        self.folder.join(self.name(digest)).exists()
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::flows::component::digest;
    use crate::flows::tests::guest::Guest;
    use crate::flows::{Engine, EngineOptions, Flow as _, Plugin};

    fn engine(folder: &Path) -> Result<Engine, crate::flows::engine::EngineError> {
        Engine::new(EngineOptions { cache: Some(folder.to_owned()), slots: 1, ..EngineOptions::default() })
    }

    fn compiled(folder: &Path) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    #[tokio::test]
    async fn code_is_taken_from_the_cache_only_if_it_is_whole_and_ours() {
        let folder = passing_folder().unwrap();
        let engine = engine(folder.path()).unwrap();
        let (one, other) = (Guest::good("one").build(), Guest::good("other").build());
        Plugin::load(&engine, other.clone()).await.unwrap();
        let [of_other] = &compiled(folder.path())[..] else { panic!("one file") };
        let code = fs::read(of_other).unwrap();
        assert_eq!(fs::metadata(of_other).unwrap().permissions().mode() & 0o777, 0o600);

        // The other's code under the one's digest: whoever is described tells where the code came from.
        let of_one = folder.path().join(engine.cache().unwrap().name(&digest(&one)));
        let name = async || Plugin::load(&engine, one.clone()).await.unwrap().description().name.clone();
        fs::write(&of_one, &code).unwrap();
        assert_eq!(name().await, "other", "a hit");

        let flipped = |at: usize| {
            let mut code = code.clone();
            code[at] ^= 1;
            code
        };
        for bad in [vec![], code[..20].to_vec(), code[..code.len() - 1].to_vec(), flipped(0), flipped(code.len() / 2)] {
            fs::write(&of_one, bad).unwrap();
            assert_eq!(name().await, "one", "a miss");
            fs::write(&of_one, &code).unwrap();
            assert_eq!(name().await, "other");
        }
        // Whole, but nothing that the runtime made.
        fs::write(&of_one, trusted::sealed(b"no code")).unwrap();
        assert_eq!(name().await, "one", "a miss");
        // Written by others, perhaps.
        fs::write(&of_one, &code).unwrap();
        fs::set_permissions(&of_one, fs::Permissions::from_mode(0o620)).unwrap();
        assert_eq!(name().await, "one", "a miss");
        // A link to somewhere.
        fs::remove_file(&of_one).unwrap();
        symlink(of_other, &of_one).unwrap();
        assert_eq!(name().await, "one", "a miss");
        // The whole folder opened to others, while the engine runs.
        fs::write(&of_one, &code).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert_eq!(name().await, "one", "a miss");
    }

    #[test]
    fn a_folder_that_is_not_private_is_refused() {
        let parent = passing_folder().unwrap();
        let made = parent.path().join("some/where");
        engine(&made).unwrap();
        assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);

        let link = parent.path().join("link");
        symlink(&made, &link).unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        let open = parent.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        for (folder, reason) in [(link, "isn't a folder"), (file, "can't be made"), (open, "set its mode to 700")] {
            let error = engine(&folder).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(folder.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn files_of_other_engines_are_removed() {
        let folder = passing_folder().unwrap();
        let kept = ["notes.txt", "deadbeef.wasm"];
        for name in [kept[0], kept[1], "0123456789abcdef-00.cwasm"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let engine = engine(folder.path()).unwrap();
        let own = engine.cache().unwrap().name("00");
        fs::write(folder.path().join(&own), "").unwrap();
        drop(engine);
        self::engine(folder.path()).unwrap();
        let left = compiled(folder.path());
        let mut expected: Vec<PathBuf> = [kept[0], kept[1], &own].iter().map(|name| folder.path().join(name)).collect();
        expected.sort();
        assert_eq!(left, expected);
    }
}
