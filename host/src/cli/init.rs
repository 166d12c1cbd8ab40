//! `tokenhost init`: keys, a data folder, and the first administrator's token, shown once.

use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::json;

use super::exit::Failure;
use super::output::{Output, Pairs, member};
use crate::access::Access;
use crate::clock::SystemClock;
use crate::config::{Config, KeySource, Overrides};
use crate::seal::{Keyring, MasterKey, SealError};
use crate::store::Store;
use crate::store::rocks::RocksStore;

/// Prepare this machine: make the master key, the data folder and the first token
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The token is shown once and kept nowhere: it may do everything on this daemon. The master key's file is as important as the data; back up both, apart from each other.\n\nExamples:\n  tokenhost init\n  export TOKENHOST_TOKEN=$(tokenhost init --json | jq -r .token)\n  tokenhost init --data /var/lib/tokenhost --key-file /etc/tokenhost/master.key"
)]
pub struct Init {
    /// The daemon's settings.
    #[command(flatten)]
    overrides: Overrides,
}

impl Init {
    /// Does it.
    ///
    /// # Errors
    /// The settings can't be used, the folder is in use or was prepared before, or the key doesn't fit it.
    pub async fn run(self, output: Output) -> Result<(), Failure> {
        let config = Config::load(&self.overrides).map_err(|error| Failure::usage(error.to_string()))?;
        let fail = |error: &dyn std::fmt::Display| Failure::failed(error.to_string());
        let store: Arc<dyn Store> = Arc::new(RocksStore::open(&config.data).map_err(|error| fail(&error))?);
        let (master, made) = master_key(&config, &*store).await.map_err(|error| fail(&error))?;
        let keyring = Keyring::load_or_create(&*store, &master).await.map_err(|error| fail(&error))?;
        let access = Access::open(store, &keyring, SystemClock::shared()).map_err(|error| fail(&error))?;
        let token = access.create_first_administrator().await.map_err(|error| fail(&error))?;
        let document = json!({
            "token": token.expose_secret(),
            "data": config.data.display().to_string(),
            "master_key": master.origin(),
        });
        output.show(&document, |document| {
            let mut pairs = Pairs::default();
            pairs.add("data folder", member(document, "data"));
            let made = if made { "new; back it up apart from the data" } else { "the one that there was" };
            pairs.add("master key", Some(format!("{} ({made})", master.origin())));
            pairs.add("token", member(document, "token"));
            pairs.to_text("") + NEXT
        })
    }
}

/// What to type next.
const NEXT: &str = "
The token is shown this once. It may do everything here: keep it as you keep a password.

Next:
  export TOKENHOST_TOKEN=...        # the token above
  tokenhost serve                   # in another terminal, or as a service
  tokenhost model import NAME FILE  # an OpenAPI document
  tokenhost integration create NAME --model MODEL --field client_id=... --secret client_secret=@FILE
  tokenhost token get NAME
";

/// The master key, and whether it was made just now. A key is made for a new data folder only: one that was used needs the
/// key that it was used with.
async fn master_key(config: &Config, store: &dyn Store) -> Result<(MasterKey, bool), SealError> {
    let path = match &config.key {
        KeySource::Given(text) => return Ok((MasterKey::from_text("TOKENHOST_KEY", text)?, false)),
        KeySource::File(path) => path,
    };
    // Any key tells whether there is something sealed; this one is thrown away.
    let anything_sealed = !matches!(Keyring::load(store, &MasterKey::generate("nowhere")?).await, Ok(None));
    if path.exists() || anything_sealed {
        return Ok((MasterKey::from_file(path, &config.data)?, false));
    }
    if let Some(folder) = path.parent() {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| SealError::MasterKey {
            origin: path.display().to_string(),
            fault: format!("its folder can't be made: {error}"),
        })?;
    }
    Ok((MasterKey::create_file(path, &config.data)?, true))
}
