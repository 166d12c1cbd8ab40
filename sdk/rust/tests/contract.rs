//! The frozen versions of the contract don't change, and the current one is frozen as it is.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::{fs, iter};

use sha2::{Digest, Sha256};

/// Each frozen version, and the SHA-256 of its `flow.wit`. A line is added with a release, and never changed.
const FROZEN: [(&str, &str); 1] = [("0.1.0", "4d9d3e04b4e1b917e2380cb0565d315c2e2d43e5691d8cc64862e804bab12b9e")];

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

#[test]
fn frozen_versions_stay_as_they_are() {
    for (version, expected) in FROZEN {
        let text = fs::read(wit().join("frozen").join(version).join("flow.wit")).unwrap();
        assert_eq!(
            hex::encode(Sha256::digest(text)),
            expected,
            "contract version {version} is frozen: see wit/README.md"
        );
    }
}

#[test]
fn every_frozen_folder_is_listed() {
    let entries = iter::from_fn({
        let mut entries = fs::read_dir(wit().join("frozen")).unwrap();
        move || entries.next()
    });
    let mut folders: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort();
    assert_eq!(folders, FROZEN.map(|(version, _)| version));
}

/// A change of the contract is a new version: its number is not that of a frozen one.
#[test]
fn the_current_version_is_as_it_was_frozen() {
    let current = fs::read_to_string(wit().join("flow.wit")).unwrap();
    let version = current.split_once("package tokenhost:flow@").unwrap().1.split_once(';').unwrap().0;
    let frozen = wit().join("frozen").join(version).join("flow.wit");
    if frozen.exists() {
        assert!(fs::read_to_string(frozen).unwrap() == current, "flow.wit differs from the frozen version {version}");
    }
}
