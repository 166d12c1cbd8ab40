//! Native code is taken from a file and made runnable. It compiles nothing, and doesn't decide what is cached (`flows` does).
//!
//! `Component::deserialize` is unsafe because it runs whatever code the bytes hold. Here they are taken only from a file
//! that this module can show to be this user's own work: the folder and the file are no links, belong to the user that
//! this process runs as, and nobody else can write them; so only this user, who could replace the executable just as well,
//! can have put code there. The bytes are read once, into memory, and what is checked is what is run.
//!
//! A SHA-256 of the code stands before it. It holds against truncation and rotten disks, which ownership doesn't show; it
//! isn't keyed, since whoever could write the file could read the key.
#![expect(unsafe_code, reason = "the one place that may: see above")]

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

/// The length of the digest before the code.
const DIGEST: usize = 32;

/// How big a file of compiled code may be. The biggest known component (CPython) compiles to some 50 MiB.
const SIZE_LIMIT: u64 = 1 << 30;

/// Bits of a file's mode by which others could write it.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Bits of a folder's mode by which others could use it at all.
const OPEN_TO_OTHERS: u32 = 0o077;

/// Why a folder or file isn't trusted. The text goes behind its path.
pub(crate) fn private_folder(folder: &Path) -> Result<(), String> {
    let metadata = fs::symlink_metadata(folder).map_err(|error| format!("can't be looked at: {error}"))?;
    if !metadata.is_dir() {
        return Err("isn't a folder (links aren't followed)".to_owned());
    }
    if metadata.uid() != this_user() {
        return Err(format!("belongs to user {} and not to the user that runs this process", metadata.uid()));
    }
    if metadata.mode() & OPEN_TO_OTHERS != 0 {
        return Err(format!("is open to other users (mode {:o}); set its mode to 700", metadata.mode() & 0o7777));
    }
    Ok(())
}

/// What to write into a file for [`load`] to take.
pub(crate) fn sealed(code: &[u8]) -> Vec<u8> {
    [Sha256::digest(code).as_slice(), code].concat()
}

/// The compiled component in this file, which stands in a folder that [`private_folder`] accepts.
///
/// # Errors
/// The file isn't there, isn't private, isn't whole, or was made for another engine.
pub(crate) fn load(runtime: &wasmtime::Engine, folder: &Path, file: &str) -> Result<Component, String> {
    private_folder(folder)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(folder.join(file))
        .map_err(|error| format!("can't be opened: {error}"))?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.uid() != this_user() || metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err("isn't a file that only this user can have written".to_owned());
    }
    if metadata.len() > SIZE_LIMIT {
        return Err("is too big".to_owned());
    }
    let bytes = read(file, metadata.len()).map_err(|error| format!("can't be read: {error}"))?;
    let Some((digest, code)) = bytes.split_at_checked(DIGEST) else {
        return Err("is too short".to_owned());
    };
    if Sha256::digest(code).as_slice() != digest {
        return Err("isn't what was written".to_owned());
    }
    // SAFETY: the bytes are those that this user's own tokenhost wrote with `sealed`, as argued at the top. Whether they
    // were made by this version of the runtime with these settings is checked by the runtime itself, which then refuses.
    unsafe { Component::deserialize(runtime, code) }.map_err(|error| format!("was made for another engine: {error}"))
}

fn read(file: fs::File, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(SIZE_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The user that this process runs as.
pub(super) fn this_user() -> u32 {
    // SAFETY: `geteuid` has no arguments, touches no memory and always succeeds (POSIX.1-2017).
    unsafe { libc::geteuid() }
}
