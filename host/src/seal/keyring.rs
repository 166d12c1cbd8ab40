//! The data keys: made once, kept in the store wrapped by the master key, opened at the start and held in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::wrapped::{self, Bare, ROOT, WrappedKey};
use super::{KEY_BYTES, KeyId, MasterKey, SealError, Sealed, into_text, random_key};
use crate::clock::SystemClock;
use crate::store::{Batch, Store, StoreError};

/// All data keys, opened. Seals with the newest, opens with each.
pub struct Keyring {
    /// The data keys; replaced as a whole by a rotation.
    data: ArcSwap<DataKeys>,
    /// What subkeys are derived from.
    root: Bare,
}

/// Ciphers of the data keys. They clear their keys when dropped.
#[derive(Clone)]
struct DataKeys {
    /// The newest, which seals.
    current: KeyId,
    /// Those that are in the store.
    ciphers: BTreeMap<KeyId, XChaCha20Poly1305>,
    /// Those that were removed from it since the start. What somebody holds in memory may be sealed with one for as long as
    /// the daemon runs: it can be sealed anew, and nothing else.
    removed: BTreeMap<KeyId, XChaCha20Poly1305>,
}

impl DataKeys {
    fn cipher(&self, id: KeyId) -> Result<&XChaCha20Poly1305, SealError> {
        self.ciphers.get(&id).ok_or(SealError::UnknownKey(id))
    }
}

impl Keyring {
    /// Opens the keys in the store; in a new store, makes them.
    ///
    /// # Errors
    /// [`SealError::WrongMasterKey`], or the store failed.
    pub async fn load_or_create(store: &dyn Store, master: &MasterKey) -> Result<Self, SealError> {
        if let Some(keyring) = Self::load(store, master).await? {
            return Ok(keyring);
        }
        let (mut batch, now) = (Batch::synced(), SystemClock::shared().now());
        for id in [ROOT, "1"] {
            wrapped::add(&mut batch, id, &WrappedKey::new(id, &*random_key()?, master, now)?)?;
        }
        match store.commit(batch).await {
            // Another made them at the same moment.
            Ok(_) | Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        Self::load(store, master).await?.ok_or(SealError::UnknownKey(1))
    }

    /// Opens the keys in the store. `None`: it has none, so nothing was ever sealed in it.
    ///
    /// # Errors
    /// As for [`Keyring::load_or_create`].
    pub async fn load(store: &dyn Store, master: &MasterKey) -> Result<Option<Self>, SealError> {
        let records = wrapped::read(store).await?;
        if records.is_empty() {
            return Ok(None);
        }
        let mut root = None;
        let mut ciphers = BTreeMap::new();
        for (id, record) in records {
            let key = record.value.open(&id, master)?;
            match wrapped::number(&id)? {
                None => root = Some(key),
                Some(number) => drop(ciphers.insert(number, XChaCha20Poly1305::new((&*key).into()))),
            }
        }
        let current = ciphers.last_key_value().map(|(id, _)| *id).ok_or(SealError::UnknownKey(1))?;
        let root = root.ok_or(SealError::Malformed("the root key is missing"))?;
        Ok(Some(Self { data: ArcSwap::from_pointee(DataKeys { current, ciphers, removed: BTreeMap::new() }), root }))
    }

    /// Seals a value for the place that `bound` names; see [`super::bound_to`].
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn seal(&self, bound: &[u8], value: &[u8]) -> Result<Sealed, SealError> {
        let keys = self.data.load();
        Sealed::seal(keys.cipher(keys.current)?, keys.current, bound, value)
    }

    /// Opens a value that was sealed for this place.
    ///
    /// # Errors
    /// [`SealError::Altered`] where it wasn't, [`SealError::UnknownKey`].
    pub fn open(&self, bound: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let keys = self.data.load();
        sealed.open(keys.cipher(sealed.key_id())?, bound)
    }

    /// The same value sealed with the present key; also one whose key was removed from the store while it was held in memory.
    ///
    /// # Errors
    /// As for [`Keyring::open`] and [`Keyring::seal`].
    pub fn seal_anew(&self, bound: &[u8], sealed: &Sealed) -> Result<Sealed, SealError> {
        let keys = self.data.load();
        let value = match keys.removed.get(&sealed.key_id()) {
            Some(cipher) => sealed.open(cipher, bound)?,
            None => self.open(bound, sealed)?,
        };
        self.seal(bound, &value)
    }

    /// [`Keyring::seal`] for text.
    ///
    /// # Errors
    /// As for [`Keyring::seal`].
    pub fn seal_text(&self, bound: &[u8], text: &SecretString) -> Result<Sealed, SealError> {
        self.seal(bound, text.expose_secret().as_bytes())
    }

    /// [`Keyring::open`] for text.
    ///
    /// # Errors
    /// As for [`Keyring::open`]; [`SealError::Malformed`] where it isn't text.
    pub fn open_text(&self, bound: &[u8], sealed: &Sealed) -> Result<SecretString, SealError> {
        into_text(self.open(bound, sealed)?)
    }

    /// A key for this one purpose, the same at every start and after every rotation (RFC 5869). It is never stored.
    pub fn subkey(&self, purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let expanded =
            Hkdf::<Sha256>::new(Some(b"tokenhost subkey"), &*self.root).expand(purpose.as_bytes(), &mut *key);
        debug_assert!(expanded.is_ok(), "HKDF-SHA256 gives up to 8160 bytes");
        key
    }

    /// Has a new data key seal from now on. What older keys sealed stays readable.
    pub(super) fn add(&self, id: KeyId, key: &Bare) {
        let mut keys = DataKeys::clone(&self.data.load());
        keys.ciphers.insert(id, XChaCha20Poly1305::new((&**key).into()));
        keys.current = keys.current.max(id);
        self.data.store(Arc::new(keys));
    }

    /// Takes data keys for removed that seal nothing in the store any more. The one that seals now stays.
    pub(super) fn forget(&self, ids: &[KeyId]) {
        let mut keys = DataKeys::clone(&self.data.load());
        let current = keys.current;
        keys.removed.extend(keys.ciphers.extract_if(.., |id, _| *id != current && ids.contains(id)));
        self.data.store(Arc::new(keys));
    }

    /// Whether there was only one data key since the start, so that nothing can be sealed with another.
    pub fn is_single(&self) -> bool {
        let keys = self.data.load();
        keys.ciphers.len() == 1 && keys.removed.is_empty()
    }

    /// The data keys there are, the one that seals now being the last.
    pub fn ids(&self) -> Vec<KeyId> {
        self.data.load().ciphers.keys().copied().collect()
    }

    /// The key that seals now.
    pub fn current(&self) -> KeyId {
        self.data.load().current
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.data.load();
        write!(f, "Keyring({} data keys, current {})", keys.ciphers.len(), keys.current)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wrapped::KEYS;
    use super::*;
    use crate::seal::bound_to;
    use crate::store::memory::MemoryStore;

    const SECRET: &str = "s3cr3t-hunter2";

    fn master(name: &str) -> MasterKey {
        MasterKey::generate(name).unwrap()
    }

    #[tokio::test]
    async fn what_is_sealed_opens_only_in_its_place() {
        let keyring = Keyring::load_or_create(&MemoryStore::new(), &master("a file")).await.unwrap();
        let place = bound_to(b"integration\0crm\0", "client_secret");
        let sealed = keyring.seal_text(&place, &SECRET.into()).unwrap();
        assert_eq!(keyring.open_text(&place, &sealed).unwrap().expose_secret(), SECRET);
        assert_ne!(sealed, keyring.seal_text(&place, &SECRET.into()).unwrap(), "the nonce is fresh");
        assert_eq!(format!("{sealed:?}"), format!("Sealed(key 1, {} bytes)", 5 + 24 + SECRET.len() + 16));

        for (key, field) in [("integration\0crm\0", "password"), ("integration\0cr\0", "mclient_secret"), ("", "")] {
            let outcome = keyring.open(&bound_to(key.as_bytes(), field), &sealed);
            assert!(matches!(outcome, Err(SealError::Altered)), "{key:?} {field}");
        }
        // Every single bit counts: version, key id, nonce, ciphertext, tag.
        for bit in 0..sealed.as_bytes().len() * 8 {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let outcome = Sealed::from_bytes(bytes).and_then(|sealed| keyring.open(&place, &sealed));
            assert!(outcome.is_err(), "bit {bit}");
        }
        for length in 0..sealed.as_bytes().len() {
            let cut = Sealed::from_bytes(sealed.as_bytes()[..length].to_vec());
            assert!(cut.and_then(|sealed| keyring.open(&place, &sealed)).is_err(), "{length} bytes");
        }
        let bytes = keyring.seal(&place, &[0xff]).unwrap();
        assert!(matches!(keyring.open_text(&place, &bytes), Err(SealError::Malformed(_))));
    }

    #[tokio::test]
    async fn json_holds_base64_and_refuses_the_rest() {
        let keyring = Keyring::load_or_create(&MemoryStore::new(), &master("a file")).await.unwrap();
        let sealed = keyring.seal(b"place", SECRET.as_bytes()).unwrap();
        let json = serde_json::to_string(&sealed).unwrap();
        assert_eq!(serde_json::from_str::<Sealed>(&json).unwrap(), sealed);
        for (json, part) in [
            ("\"\"", "cut short"),
            ("\"%\"", "isn't base64"),
            ("\"AQAAAAE=\"", "cut short"),
            ("\"Av//\"", "a later version"),
        ] {
            let error = serde_json::from_str::<Sealed>(json).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }

    #[tokio::test]
    async fn the_store_holds_no_key_in_the_clear() {
        let (store, master) = (MemoryStore::new(), master("a file"));
        let keyring = Keyring::load_or_create(&store, &master).await.unwrap();
        let secrets = [*keyring.root, hex::decode(&*master.to_text()).unwrap().try_into().unwrap()];
        for (_, value) in store.dump() {
            let record: WrappedKey = serde_json::from_slice(&value).unwrap();
            let wrapped: serde_json::Value = serde_json::to_value(&record).unwrap();
            let wrapped: Sealed = serde_json::from_value(wrapped["wrapped"].clone()).unwrap();
            for secret in &secrets {
                assert!(!wrapped.as_bytes().windows(KEY_BYTES).any(|part| part == secret));
                assert!(!String::from_utf8_lossy(&value).contains(&hex::encode(secret)));
            }
        }
    }

    #[tokio::test]
    async fn keys_are_made_once_and_survive() {
        let (store, master) = (MemoryStore::new(), master("a file"));
        let keyring = Keyring::load_or_create(&store, &master).await.unwrap();
        let sealed = keyring.seal(b"place", b"value").unwrap();
        let store = store.crash();
        let again = Keyring::load_or_create(&store, &master).await.unwrap();
        assert_eq!(*again.open(b"place", &sealed).unwrap(), b"value");
        assert_eq!(again.subkey("pepper"), keyring.subkey("pepper"));
        assert_ne!(again.subkey("pepper"), keyring.subkey("other"));
        assert_eq!(store.commits(), 0);
    }

    #[tokio::test]
    async fn a_wrong_master_key_is_named_and_changes_nothing() {
        let (store, right, wrong) = (MemoryStore::new(), master("a file"), master("the variable TOKENHOST_KEY"));
        Keyring::load_or_create(&store, &right).await.unwrap();
        let commits = store.commits();
        let error = Keyring::load_or_create(&store, &wrong).await.unwrap_err();
        assert!(matches!(error, SealError::WrongMasterKey { .. }));
        for part in ["the variable TOKENHOST_KEY", &right.id(), &wrong.id()] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(store.commits(), commits);
    }

    #[tokio::test]
    async fn a_wrapped_key_in_anothers_place_is_refused() {
        let (store, master) = (MemoryStore::new(), master("a file"));
        Keyring::load_or_create(&store, &master).await.unwrap();
        let root = store.get(&KEYS.key(&[ROOT])).await.unwrap().unwrap();
        let mut batch = Batch::synced();
        batch.put(KEYS.key(&["1"]), root.value);
        store.commit(batch).await.unwrap();
        assert!(matches!(Keyring::load(&store, &master).await, Err(SealError::Altered)));
    }
}
