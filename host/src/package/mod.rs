//! Packages: one file with a flow's component, what is said of it, and its publisher's signature over that.
//!
//! A package (`NAME-VERSION.flow`) is a gzipped tar of `manifest.json`, `manifest.sig` and `flow.wasm`. The signature is over the
//! bytes of the manifest, and the manifest has the component's SHA-256. This room reads, writes and verifies; whom to trust, and
//! whether the component is any good, is not decided here.

mod archive;
mod key;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use self::archive::is_package;
pub use self::key::{KeyError, PrivateKey, PublicKey};
use crate::flows::component::SIZE_LIMIT;

/// The largest manifest, in bytes.
const MANIFEST_LIMIT: usize = 64 << 10;

/// What is said of a component. What it says of itself must agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The flow's name.
    pub name: String,
    /// The flow's own version.
    pub version: String,
    /// The version of the contract that it implements.
    pub contract: String,
    /// Lower-case hexadecimal SHA-256 of the component.
    pub sha256: String,
    /// The component's size in bytes.
    pub size: u64,
    /// The id of the key that signed this.
    pub publisher: String,
    /// Where people read about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Its licence, as an SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}

/// A package whose parts fit together. Whether its signature holds is a question of its own.
#[derive(Clone, Debug)]
pub struct Package {
    /// What is said of the component.
    pub manifest: Manifest,
    /// The component.
    pub component: Bytes,
    /// The manifest's bytes, which were signed.
    signed: Vec<u8>,
    /// The signature over them.
    signature: Vec<u8>,
}

/// Why a package can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// It isn't a package, or not a whole one.
    #[error("this is no package of a flow: {0}; make one with `tokenhost plugin pack`")]
    Form(String),
    /// The component isn't the one that was signed.
    #[error(
        "the component has the SHA-256 {found}, and its package was signed for {signed}: it was changed after it was signed; \
         get the package again from its publisher"
    )]
    Digest {
        /// What the manifest says.
        signed: String,
        /// What it is.
        found: String,
    },
    /// The signature isn't one of this key.
    #[error(
        "the signature of the package isn't one of the key {0}: it was changed after it was signed; get it again from its publisher"
    )]
    Signature(String),
    /// The key to sign with isn't the one that the manifest names.
    #[error("the manifest names the key {0}, and this is another one")]
    OtherKey(String),
}

impl Package {
    /// Reads a package: its parts are there, none is too big, and the component is the manifest's.
    ///
    /// # Errors
    /// As [`PackageError`] says.
    pub fn read(bytes: &[u8]) -> Result<Self, PackageError> {
        let archive::Parts { manifest: signed, signature, component } = archive::read(bytes)?;
        let manifest: Manifest = serde_json::from_slice(&signed)
            .map_err(|error| PackageError::Form(format!("its manifest.json can't be read ({:?})", error.classify())))?;
        let found = hex::encode(Sha256::digest(&component));
        if found != manifest.sha256 || manifest.size != component.len() as u64 {
            return Err(PackageError::Digest { signed: shown(&manifest.sha256), found });
        }
        Ok(Self { manifest, component: component.into(), signed, signature })
    }

    /// Whether this key signed it.
    ///
    /// # Errors
    /// It didn't.
    pub fn verify(&self, key: &PublicKey) -> Result<(), PackageError> {
        if key.id() == self.manifest.publisher && key.verifies(&self.signed, &self.signature) {
            return Ok(());
        }
        Err(PackageError::Signature(key.id()))
    }

    /// Makes a package of a component, signed with this key.
    ///
    /// # Errors
    /// The manifest names another key or component, or the component is too big.
    pub fn write(manifest: &Manifest, component: &[u8], key: &PrivateKey) -> Result<Vec<u8>, PackageError> {
        if manifest.publisher != key.public().id() {
            return Err(PackageError::OtherKey(shown(&manifest.publisher)));
        }
        let found = hex::encode(Sha256::digest(component));
        if manifest.sha256 != found || manifest.size != component.len() as u64 {
            return Err(PackageError::Digest { signed: shown(&manifest.sha256), found });
        }
        let signed = serde_json::to_vec_pretty(manifest)
            .map_err(|error| PackageError::Form(format!("its manifest can't be written: {error}")))?;
        let signature = key.sign(&signed);
        archive::write(&archive::Parts { manifest: signed, signature, component: component.to_vec() })
    }
}

/// A text of a package as people may see it.
fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(component: &[u8], key: &PrivateKey) -> Manifest {
        Manifest {
            name: "robot".to_owned(),
            version: "1.0.0".to_owned(),
            contract: "0.1.0".to_owned(),
            sha256: hex::encode(Sha256::digest(component)),
            size: component.len() as u64,
            publisher: key.public().id(),
            homepage: Some("https://robot.example".to_owned()),
            license: None,
        }
    }

    #[test]
    fn what_was_written_is_read_and_verified() {
        let (key, other) = (PrivateKey::generate(), PrivateKey::generate());
        let bytes = Package::write(&manifest(b"component", &key), b"component", &key).unwrap();
        assert!(is_package(&bytes) && !is_package(b"\0asm\x0d\0\x01\0"));
        let package = Package::read(&bytes).unwrap();
        assert_eq!((&package.component[..], package.manifest.name.as_str()), (&b"component"[..], "robot"));
        package.verify(&key.public()).unwrap();
        assert_eq!(package.verify(&other.public()), Err(PackageError::Signature(other.public().id())));
        // The same parts make the same file.
        assert_eq!(Package::write(&manifest(b"component", &key), b"component", &key).unwrap(), bytes);
        Package::write(&manifest(b"component", &key), b"component", &other).unwrap_err();
        Package::write(&manifest(b"component", &key), b"another", &key).unwrap_err();
    }

    #[test]
    fn what_was_changed_is_told() {
        let key = PrivateKey::generate();
        let honest = Package::read(&Package::write(&manifest(b"good", &key), b"good", &key).unwrap()).unwrap();
        let pack = |manifest: &Manifest, component: &[u8]| {
            let parts = archive::Parts {
                manifest: serde_json::to_vec(manifest).unwrap(),
                signature: honest.signature.clone(),
                component: component.to_vec(),
            };
            Package::read(&archive::write(&parts).unwrap())
        };
        // Another component under the same manifest; and another manifest under the same signature.
        assert!(matches!(pack(&honest.manifest, b"evil"), Err(PackageError::Digest { .. })));
        let forged = pack(&manifest(b"evil", &key), b"evil").unwrap();
        assert_eq!(forged.verify(&key.public()), Err(PackageError::Signature(key.public().id())));
        // A manifest that names another key than the one that is asked.
        let mut renamed = honest.manifest.clone();
        renamed.publisher = "0000000000000000".to_owned();
        pack(&renamed, b"good").unwrap().verify(&key.public()).unwrap_err();
    }

    #[test]
    fn what_is_no_package_is_refused() {
        let whole = {
            let key = PrivateKey::generate();
            Package::write(&manifest(b"component", &key), b"component", &key).unwrap()
        };
        for bytes in [&b""[..], b"\x1f\x8b", b"\x1f\x8bhello", &whole[..whole.len() / 2]] {
            assert!(matches!(Package::read(bytes), Err(PackageError::Form(_))), "{bytes:?}");
        }
    }
}
