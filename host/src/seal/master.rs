//! The master key: where it comes from, and what is refused. It wraps data keys and seals nothing else.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::{KEY_BYTES, SealError, random_key};

/// No form of a key is longer; a file that is, is something else.
pub(super) const MAX_TEXT_BYTES: u64 = 1024;

/// 256 random bits that stand outside the database, and where they were found.
pub struct MasterKey {
    /// The key.
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    /// The file or variable, for messages.
    origin: String,
}

impl MasterKey {
    /// A new random key. `origin` says in messages where it will be kept.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn generate(origin: impl Into<String>) -> Result<Self, SealError> {
        Ok(Self { bytes: random_key()?, origin: origin.into() })
    }

    /// Makes a new key and its file, with mode 0600, in a folder that exists.
    ///
    /// # Errors
    /// The file exists (a key is never overwritten), can't be written, or would lie in the data folder.
    pub fn create_file(path: &Path, data_folder: &Path) -> Result<Self, SealError> {
        let key = Self::generate(describe_file(path))?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        key.refuse_inside(parent, data_folder)?;
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(path).map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => SealError::Exists { file: path.display().to_string() },
                _ => key.fault(error.to_string()),
            })?;
        let text = Zeroizing::new(format!("{}\n", *key.to_text()));
        // Synced with its folder before anything is sealed under it: without the key, that would be lost.
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.and_then(|()| File::open(parent)?.sync_all()).map_err(|error| key.fault(error.to_string()))?;
        Ok(key)
    }

    /// Reads the key's file.
    ///
    /// # Errors
    /// There is none, others than its owner have rights on it, it lies in the data folder, or holds no key.
    pub fn from_file(path: &Path, data_folder: &Path) -> Result<Self, SealError> {
        let mut key = Self { bytes: Zeroizing::default(), origin: describe_file(path) };
        let read = || -> std::io::Result<(u32, bool, Zeroizing<String>)> {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            // Reserved at once: text that grew would leave copies of the key behind.
            let mut text = Zeroizing::new(String::with_capacity(2 * MAX_TEXT_BYTES as usize));
            if metadata.is_file() {
                file.take(MAX_TEXT_BYTES + 1).read_to_string(&mut text)?;
            }
            Ok((metadata.mode(), metadata.is_file(), text))
        };
        let (mode, is_file, text) = read().map_err(|error| {
            key.fault(match error.kind() {
                std::io::ErrorKind::NotFound => {
                    "there is none. Of data that was used put its own key back there, from where you keep it, or say by \
                     `key_file` where it is; for a new data folder `tokenhost init` makes one"
                        .into()
                }
                std::io::ErrorKind::InvalidData => "it isn't text".into(),
                _ => error.to_string(),
            })
        })?;
        if !is_file {
            return Err(key.fault("it is no file".into()));
        }
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
        if mode & foreign_rights(path, credentials.as_deref().map(Path::new)) != 0 {
            let fault = format!("others than its owner have rights on it (mode {:04o}); chmod 600 it", mode & 0o7777);
            return Err(key.fault(fault));
        }
        key.refuse_inside(path, data_folder)?;
        key.bytes = parse(&text).map_err(|fault| key.fault(fault.into()))?;
        Ok(key)
    }

    /// The key from an environment variable's value, or from wherever `origin` says.
    ///
    /// # Errors
    /// The text is no key.
    pub fn from_text(origin: impl Into<String>, text: &SecretString) -> Result<Self, SealError> {
        let mut key = Self { bytes: Zeroizing::default(), origin: origin.into() };
        key.bytes = parse(text.expose_secret()).map_err(|fault| key.fault(fault.into()))?;
        Ok(key)
    }

    /// Says which key this is without saying what it is: 16 hexadecimal digits of a hash.
    pub fn id(&self) -> String {
        let hash = Sha256::new().chain_update(b"tokenhost master key id\0").chain_update(*self.bytes).finalize();
        hex::encode(&hash[..8])
    }

    /// The file or variable it came from, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The key as text that [`MasterKey::from_text`] reads: 64 hexadecimal digits.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(*self.bytes))
    }

    /// The cipher that wraps data keys.
    pub(super) fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }

    /// Refuses a file in the data folder: whoever copies that folder would have key and data.
    fn refuse_inside(&self, path: &Path, data_folder: &Path) -> Result<(), SealError> {
        let path = path.canonicalize().map_err(|error| self.fault(error.to_string()))?;
        // A data folder that can't be resolved doesn't exist yet; what exists doesn't lie in it.
        match data_folder.canonicalize() {
            Ok(folder) if path.starts_with(&folder) => {
                Err(self.fault(format!("it lies in the data folder {}; keep it elsewhere", folder.display())))
            }
            _ => Ok(()),
        }
    }

    /// An error about this key.
    fn fault(&self, fault: String) -> SealError {
        SealError::MasterKey { origin: self.origin.clone(), fault }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({} from {})", self.id(), self.origin)
    }
}

/// How messages call a file.
fn describe_file(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    format!("the file {}", absolute.display())
}

/// 256 bits from hexadecimal or base64 text, with or without padding, standard or URL-safe.
fn parse(text: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, &'static str> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = text.trim();
    if text.is_empty() {
        return Err("it is empty");
    }
    let decoded = if text.len() == 2 * KEY_BYTES {
        hex::decode(text).ok()
    } else {
        let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
        GeneralPurpose::new(alphabet, LENIENT).decode(text).ok()
    };
    let mut decoded = decoded.ok_or("it is neither 64 hexadecimal digits nor 256 bits in base64")?;
    let key = <[u8; KEY_BYTES]>::try_from(decoded.as_slice()).map(Zeroizing::new);
    decoded.zeroize();
    let key = key.map_err(|_| "it hasn't 256 bits: 64 hexadecimal digits, or 32 bytes in base64, are needed")?;
    // A constant is what a forgotten template or an empty secret looks like.
    if key.iter().all(|byte| *byte == key[0]) { Err("all its bytes are the same; take random ones") } else { Ok(key) }
}

/// The rights that nobody but a key file's owner may have. systemd gives its service a credential by an access control list,
/// whose mask shows as a right of the group that isn't one (systemd.exec(5), acl(5)).
fn foreign_rights(path: &Path, credentials: Option<&Path>) -> u32 {
    if credentials.is_some_and(|folder| path.starts_with(folder)) { 0o037 } else { 0o077 }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[track_caller]
    fn check(outcome: Result<MasterKey, SealError>, expected: Result<&str, &str>) {
        match (outcome, expected) {
            (Ok(key), Ok(text)) => assert_eq!(key.to_text().as_str(), text),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (outcome, expected) => panic!("{outcome:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn forms_of_the_text() {
        let bytes: Vec<u8> = (0..32).map(|index| 0xff - index).collect();
        let hex = hex::encode(&bytes);
        let standard = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes);
        for (text, expected) in [
            (hex.clone(), Ok(hex.as_str())),
            (format!(" {}\n", hex.to_uppercase()), Ok(hex.as_str())),
            (standard.clone(), Ok(hex.as_str())),
            (standard.trim_end_matches('=').into(), Ok(hex.as_str())),
            (url_safe, Ok(hex.as_str())),
            (String::new(), Err("it is empty")),
            ("correct horse battery staple".into(), Err("neither 64 hexadecimal digits nor")),
            (hex[..60].into(), Err("it hasn't 256 bits")),
            ("c2hvcnQ=".into(), Err("it hasn't 256 bits")),
            (format!("{}xy", &hex[..62]), Err("neither 64")),
            ("00".repeat(32), Err("all its bytes are the same")),
            ("é".repeat(32), Err("neither 64")),
        ] {
            let outcome = MasterKey::from_text("the variable TOKENHOST_KEY", &text.clone().into());
            if let Err(error) = &outcome {
                assert!(error.to_string().contains("the variable TOKENHOST_KEY"), "{error}");
                assert!(text.is_empty() || !error.to_string().contains(&text), "{error}");
            }
            check(outcome, expected);
        }
    }

    #[test]
    fn a_credential_of_systemd_may_show_a_right_of_the_group() {
        let folder = Path::new("/run/credentials/tokenhost.service");
        let check = |path: &str, folder: Option<&Path>, expected: u32| {
            assert_eq!(foreign_rights(Path::new(path), folder), expected, "{path} {folder:?}");
        };
        check("/run/credentials/tokenhost.service/master.key", Some(folder), 0o037);
        check("/run/credentials/tokenhost.service.other/master.key", Some(folder), 0o077);
        check("/etc/tokenhost/master.key", Some(folder), 0o077);
        check("/etc/tokenhost/master.key", None, 0o077);
    }

    #[test]
    fn files_that_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let file = folder.path().join("key");

        check(MasterKey::from_file(&file, &data), Err("`tokenhost init` makes one"));
        let text = MasterKey::create_file(&file, &data).unwrap().to_text();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        check(MasterKey::from_file(&file, &data), Ok(text.as_str()));
        check(MasterKey::create_file(&file, &data), Err("never overwritten"));

        for (mode, expected) in [(0o640, Err("mode 0640")), (0o604, Err("chmod 600")), (0o400, Ok(text.as_str()))] {
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            check(MasterKey::from_file(&file, &data), expected);
        }

        let inside = data.join("key");
        check(MasterKey::create_file(&inside, &data), Err("lies in the data folder"));
        std::fs::copy(&file, &inside).unwrap();
        check(MasterKey::from_file(&inside, &data), Err("lies in the data folder"));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&inside, &link).unwrap();
        check(MasterKey::from_file(&link, &data), Err("lies in the data folder"));

        check(MasterKey::from_file(folder.path(), &data), Err("it is no file"));
        std::fs::write(&inside, vec![b'a'; 1 << 20]).unwrap();
        check(MasterKey::from_file(&inside, &folder.path().join("nowhere")), Err("neither 64"));
    }
}
