//! A package's file: three parts in a gzipped tar, bounded while they are read. Knows nothing of what is in them.

use std::io::{Read as _, Write as _};

use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};

use super::{MANIFEST_LIMIT, PackageError, SIZE_LIMIT};

/// The parts' names.
const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";
const COMPONENT: &str = "flow.wasm";

/// An ed25519 signature has 64 bytes.
const SIGNATURE_LIMIT: usize = 64;

/// Headers and padding of three files.
const OVERHEAD: usize = 64 << 10;

/// What a package consists of.
pub(super) struct Parts {
    pub(super) manifest: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) component: Vec<u8>,
}

/// Whether a file begins as a package does (RFC 1952 section 2.3.1): no component does.
pub fn is_package(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Takes a package apart.
pub(super) fn read(bytes: &[u8]) -> Result<Parts, PackageError> {
    let broken = |error: std::io::Error| PackageError::Form(format!("it can't be unpacked: {error}"));
    let most = SIZE_LIMIT + MANIFEST_LIMIT + OVERHEAD;
    // What is packed well may be very large: never more is unpacked than a package may have.
    let mut archive = tar::Archive::new(GzDecoder::new(bytes).take(most as u64));
    let (mut manifest, mut signature, mut component) = (None, None, None);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let (place, limit) = match name.as_str() {
            MANIFEST => (&mut manifest, MANIFEST_LIMIT),
            SIGNATURE => (&mut signature, SIGNATURE_LIMIT),
            COMPONENT => (&mut component, SIZE_LIMIT),
            other => {
                return Err(PackageError::Form(format!(
                    "it has a file {:?}, which no package has",
                    super::shown(other)
                )));
            }
        };
        if !entry.header().entry_type().is_file() || entry.size() > limit as u64 {
            return Err(PackageError::Form(format!("{name} is no file, or larger than {limit} bytes")));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(broken)?;
        if place.replace(content).is_some() {
            return Err(PackageError::Form(format!("{name} is in it twice")));
        }
    }
    let there = |part: Option<Vec<u8>>, name: &str| part.ok_or_else(|| PackageError::Form(format!("it has no {name}")));
    Ok(Parts {
        manifest: there(manifest, MANIFEST)?,
        signature: there(signature, SIGNATURE)?,
        component: there(component, COMPONENT)?,
    })
}

/// Puts a package together: the same parts always give the same bytes.
pub(super) fn write(parts: &Parts) -> Result<Vec<u8>, PackageError> {
    if parts.component.len() > SIZE_LIMIT {
        return Err(PackageError::Form(format!("a component may have {} MiB", SIZE_LIMIT >> 20)));
    }
    let broken = |error: std::io::Error| PackageError::Form(format!("it can't be packed: {error}"));
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in [(MANIFEST, &parts.manifest), (SIGNATURE, &parts.signature), (COMPONENT, &parts.component)] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        builder.append_data(&mut header, name, content.as_slice()).map_err(broken)?;
    }
    let tar = builder.into_inner().map_err(broken)?;
    let mut packed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    packed.write_all(&tar).map_err(broken)?;
    packed.finish().map_err(broken)
}
