//! Master keys from where the settings say: at the start, and anew whenever keys are to change.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use async_trait::async_trait;

use crate::config::{Config, KeySource, Live, Origin};
use crate::seal::{self, Keyring, MasterKey, MasterKeys, SealError};
use crate::store::Store;
use crate::text::shell_word;

/// The master key in use.
///
/// # Errors
/// The file, the text or the command gives none.
pub(crate) async fn master_key(config: &Config) -> anyhow::Result<MasterKey> {
    Ok(read(config, &config.key, "key").await?)
}

/// The same for data that may need a certain one, which is named where there is none to be had.
///
/// # Errors
/// As for [`master_key`].
pub(super) async fn master_key_for(config: &Config, store: &dyn Store) -> anyhow::Result<MasterKey> {
    let error = match master_key(config).await {
        Ok(master) => return Ok(master),
        Err(error) => error,
    };
    match needed_key(store).await {
        Ok(Some(needed)) => {
            bail!("{error:#}. What is in {} was sealed with master key {needed}", config.data.display())
        }
        Ok(None) | Err(_) => Err(error),
    }
}

/// The id of the master key that opens a store; none where nothing was ever sealed in it, so that any key may.
pub(super) async fn needed_key(store: &dyn Store) -> anyhow::Result<Option<String>> {
    match Keyring::load(store, &MasterKey::generate("a try")?).await {
        Err(SealError::WrongMasterKey { needed, .. }) => Ok(Some(needed)),
        Ok(_) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The key of a source; `setting` is what the setting is called that has the key itself.
async fn read(config: &Config, source: &KeySource, setting: &str) -> Result<MasterKey, SealError> {
    match source {
        KeySource::File(path) => MasterKey::from_file(path, &config.data),
        KeySource::Given(text) => {
            MasterKey::from_text(format!("the setting `{setting}` (TOKENHOST_{})", setting.to_uppercase()), text)
        }
        KeySource::Command(command) => {
            let setting = format!("`{setting}_command`");
            MasterKey::from_command(&setting, command, seal::PATIENCE).await
        }
    }
}

/// What is said where nothing names the next master key: the one in use is given by the settings themselves, or by a command.
const NO_NEXT: &str = "nothing says where the next master key is. Have the present key's service make one and set \
                       `key_next_command`; or type `tokenhost key generate FILE` and set `key_next_file` to that file. Then \
                       `tokenhost key rotate --master` again, which reads the settings anew";

/// What is said where its file isn't there.
fn no_next_file(config: &Config, path: &Path) -> String {
    let shown = path.display().to_string();
    let typed = shell_word(&shown);
    let is_said = config.resolved.iter().any(|one| one.setting.key == "key_next_file" && one.origin != Origin::Default);
    let setting = if is_said {
        "as the setting `key_next_file` says"
    } else {
        "beside the present one; `key_next_file` sets another place"
    };
    format!(
        "there is no next master key yet: its file would be {shown} ({setting}). As the user that the daemon runs as, type \
         `tokenhost key generate {typed}`, then `tokenhost key rotate --master` again"
    )
}

/// The settings of a running daemon, read anew each time: what the operator changed in the file counts.
pub(super) struct Sources(pub(super) Arc<Live>);

impl Sources {
    fn now(&self) -> Result<Config, SealError> {
        self.0.read().map_err(|error| SealError::Settings(error.to_string()))
    }
}

#[async_trait]
impl MasterKeys for Sources {
    async fn present(&self) -> Result<MasterKey, SealError> {
        let config = self.now()?;
        read(&config, &config.key, "key").await
    }

    async fn next(&self) -> Result<MasterKey, SealError> {
        let config = self.now()?;
        let source = config.key_next.as_ref().ok_or_else(|| SealError::Settings(NO_NEXT.to_owned()))?;
        if let KeySource::File(path) = source
            && !path.exists()
        {
            return Err(SealError::Settings(no_next_file(&config, path)));
        }
        read(&config, source, "key_next").await
    }
}
