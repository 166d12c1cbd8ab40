//! The data folder made, and the first administrator: while no daemon runs on it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret as _, SecretString};

use super::STORE;
use super::keys::{master_key_for, needed_key};
use super::store::open_store;
use crate::access::{self, Access, AccessError};
use crate::audit::{Actor, Audit, Entry, Retention, Tally};
use crate::clock::{SharedClock, SystemClock};
use crate::config::{Config, KeySource};
use crate::organizations::Organizations;
use crate::seal::{Keyring, MasterKey};
use crate::store::Store;
use crate::store::rocks::RocksStore;

/// What `init` calls the first administrator.
const FIRST_ADMINISTRATOR: &str = "administrator";

/// What `init` made.
#[derive(Debug)]
pub struct InitOutcome {
    /// The first administrator's application token. Shown once and kept nowhere.
    pub token: SecretString,
    /// The file of the master key, if it was made now.
    pub key_file_made: Option<PathBuf>,
    /// The data folder.
    pub data: PathBuf,
}

/// Makes the data folder, the master key's file where there is none, and the first administrator.
///
/// # Errors
/// There is an administrator already, the key is missing or wrong, or a folder can't be made.
pub async fn init(config: &Config) -> anyhow::Result<InitOutcome> {
    make_private_folder(&config.data)?;
    let clock: SharedClock = SystemClock::shared();
    let store: Arc<dyn Store> = Arc::new(RocksStore::open(&config.data.join(STORE))?);
    let mut key_file_made = None;
    let master = match &config.key {
        KeySource::File(path) if !path.exists() && needed_key(&*store).await?.is_none() => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                make_private_folder(folder)?;
            }
            let made = MasterKey::create_file(path, &config.data)?;
            key_file_made = Some(path.clone());
            made
        }
        _ => master_key_for(config, &*store).await?,
    };
    let keyring = Keyring::load_or_create(&*store, &master).await?;
    let (access, audit) = open_access(store, keyring, clock).await?;
    let token = match access.create_first_administrator().await {
        Ok(token) => token,
        Err(error) => {
            audit.close().await;
            if !matches!(error, AccessError::AlreadyInitialised) {
                return Err(error.into());
            }
            bail!(
                "{} has an administrator already; if its token is lost, stop the daemon and run `tokenhost init --rebuild`",
                config.data.display()
            )
        }
    };
    record(audit, "application_token.create", &token).await?;
    Ok(InitOutcome { token, key_file_made, data: config.data.clone() })
}

/// Replaces the first administrator's token, for whoever has lost it and has data folder and master key. The daemon must be
/// stopped: the folder is open only once.
///
/// # Errors
/// The data folder was never initialised, is in use or damaged, or the key is missing or wrong.
pub async fn rebuild(config: &Config) -> anyhow::Result<InitOutcome> {
    let store: Arc<dyn Store> = open_store(config, true, &mut |told| super::report_upgrade(&told)).await?;
    let keyring = Keyring::load_or_create(&*store, &master_key_for(config, &*store).await?).await?;
    let (access, audit) = open_access(store, keyring, SystemClock::shared()).await?;
    let token = access.rebuild_named(&FIRST_ADMINISTRATOR.parse()?).await?;
    record(audit, "application_token.rebuild", &token).await?;
    Ok(InitOutcome { token, key_file_made: None, data: config.data.clone() })
}

/// Writes into the audit log that the first administrator got this token.
async fn record(audit: Audit, action: &str, token: &SecretString) -> anyhow::Result<()> {
    let token = token.expose_secret();
    let mut entry = Entry::new(Actor::system(), action).on(format!("application/{FIRST_ADMINISTRATOR}"));
    entry = entry.with_digest("token", audit.digest(token.as_bytes()));
    if let Some(id) = access::id_of(token) {
        entry = entry.about_token(id);
    }
    audit.append(vec![entry]).await?;
    // Whoever starts the daemon next needs the folder.
    audit.close().await;
    Ok(())
}

/// Inbound access where nothing is served, and the audit log.
async fn open_access(store: Arc<dyn Store>, keyring: Keyring, clock: SharedClock) -> anyhow::Result<(Access, Audit)> {
    let audit = Audit::open(Arc::clone(&store), &keyring, Arc::clone(&clock), Retention::default()).await?;
    let organizations = Arc::new(Organizations::open(Arc::clone(&store), Arc::clone(&clock)).await?);
    let tally = Arc::new(Tally::new(Arc::clone(&clock)));
    let policy = access::Policy::default();
    let keyring = Arc::new(keyring);
    let parts = access::Parts { store, keyring, clock, organizations, tally, policy, counts: None };
    Ok((Access::open(parts).await?, audit))
}

/// Makes a folder and those above it, readable by its owner only, where there is none.
fn make_private_folder(path: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("the folder {} can't be made", path.display()))
}
