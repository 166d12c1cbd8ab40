//! Master keys from where the settings say: at the start, and anew whenever keys are to change.

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::{Config, KeySource, Live};
use crate::seal::{self, MasterKey, MasterKeys, SealError};

/// The master key in use.
///
/// # Errors
/// The file, the text or the command gives none.
pub(crate) async fn master_key(config: &Config) -> anyhow::Result<MasterKey> {
    Ok(read(config, &config.key, "key").await?)
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
        let missing = "nothing says where the next master key is: set `key_next_file` or `key_next_command`";
        let source = config.key_next.as_ref().ok_or_else(|| SealError::Settings(missing.to_owned()))?;
        read(&config, source, "key_next").await
    }
}
