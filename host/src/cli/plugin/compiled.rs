//! Components loaded for a command of an author: compiled code is kept in a folder of the user's own, since an interpreter takes
//! seconds each time, and a line says so where it takes long.
//!
//! The folder is a cache: it can be deleted at any time, and holds the last few components only. Where it can't be used, all is
//! compiled anew.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::super::exit::Failure;
use super::super::output::Output;
use crate::flows::plugin::LoadError;
use crate::flows::{Engine, EngineOptions, Plugin};

/// Compiled components that are kept: one of Python takes some 60 MB.
const KEPT: usize = 8;
/// How long compiling takes before a line says so.
const PATIENCE: Duration = Duration::from_secs(2);

/// An engine for this process alone, which ends soon.
///
/// # Errors
/// This machine runs none.
pub(super) fn engine() -> Result<Engine, Failure> {
    let cache = folder(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    if let Some(cache) = &cache {
        prune(cache);
    }
    let with = |cache| Engine::new(EngineOptions { cache, ..EngineOptions::default() });
    // A folder that isn't private to this user is no place for code.
    let engine = if cache.is_some() { with(cache).or_else(|_| with(None)) } else { with(None) };
    engine.map_err(|error| Failure::failed(error.to_string()))
}

/// Loads a component, and says so where it takes long.
///
/// # Errors
/// It is no flow that can run.
pub(super) async fn load(engine: &Engine, bytes: Vec<u8>, output: Output) -> Result<Plugin, LoadError> {
    let megabytes = bytes.len() >> 20;
    let mut loading = std::pin::pin!(Plugin::load(engine, bytes));
    tokio::select! {
        loaded = &mut loading => return loaded,
        () = tokio::time::sleep(PATIENCE) => {}
    }
    let kept = if engine.has_cache() { "; the next time it needn't be" } else { "" };
    output.note(&format!("compiling the component ({megabytes} MB), which takes seconds{kept}"));
    loading.await
}

/// Where a user's caches are (XDG Base Directory Specification): an absolute folder, or none.
fn folder(cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let given = cache_home.map(PathBuf::from).filter(|folder| folder.is_absolute());
    let base = given.or_else(|| home.map(|home| PathBuf::from(home).join(".cache")).filter(|it| it.is_absolute()))?;
    // The folder above belongs to the user; it isn't made where there is no home.
    base.parent().filter(|above| above.is_dir())?;
    Some(base.join("tokenhost").join("compiled"))
}

/// Removes all but the newest files. Best effort: one that stays costs its space.
fn prune(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            Some((entry.metadata().ok().filter(std::fs::Metadata::is_file)?.modified().ok()?, entry.path()))
        })
        .filter(|(_, path)| path.extension().is_some_and(|ending| ending == "cwasm"))
        .collect();
    files.sort();
    for (_, path) in files.iter().rev().skip(KEPT) {
        drop(std::fs::remove_file(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_in_the_users_own_folder() {
        let home = tempfile::tempdir().unwrap();
        let (home, text) = (home.path(), |path: &Path| Some(path.as_os_str().to_owned()));
        let expected = |base: PathBuf| Some(base.join("tokenhost/compiled"));
        assert_eq!(folder(None, text(home)), expected(home.join(".cache")));
        assert_eq!(folder(text(&home.join("x")), None), expected(home.join("x")));
        assert_eq!(folder(Some("relative".into()), text(home)), expected(home.join(".cache")));
        assert_eq!(folder(None, Some("/nowhere/at/all".into())), None);
        assert_eq!(folder(None, None), None);
    }

    #[test]
    fn only_the_newest_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..KEPT + 3 {
            let path = folder.path().join(format!("{number}.cwasm"));
            std::fs::write(&path, "x").unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + number as u64);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        }
        std::fs::write(folder.path().join("note.txt"), "x").unwrap();
        prune(folder.path());
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, KEPT + 1);
        assert!(folder.path().join(format!("{}.cwasm", KEPT + 2)).exists() && !folder.path().join("2.cwasm").exists());
    }

    #[tokio::test]
    async fn a_component_is_compiled_once() {
        let folder = tempfile::tempdir().unwrap();
        let options = || EngineOptions { cache: Some(folder.path().join("compiled")), ..EngineOptions::default() };
        let component = crate::flows::tests::guest::Guest::good("cached").build();
        let engine = Engine::new(options()).unwrap();
        let first = load(&engine, component.clone(), Output::new(true)).await.unwrap();
        assert!(engine.has_compiled(crate::flows::Flow::digest(&first)));
        let again = Engine::new(options()).unwrap();
        assert!(again.has_compiled(crate::flows::Flow::digest(&first)));
        load(&again, component, Output::new(true)).await.unwrap();
    }
}
