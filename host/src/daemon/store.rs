//! The database of a data folder: found, upgraded where it is of an earlier format, opened.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;

use super::{STORE, notify};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::store::rocks::RocksStore;
use crate::upgrade::{self, Plan, Told, UpgradeError};

/// Opens the store of a data folder that was initialised, and upgrades one of an earlier format first; with a copy of it as
/// it was, where `copy`.
pub(super) async fn open_store(
    config: &Config,
    copy: bool,
    tell: &mut (dyn FnMut(Told) + Send),
) -> anyhow::Result<Arc<RocksStore>> {
    let folder = store_folder(config)?;
    Ok(Arc::new(upgrade::open(&folder, copy, &*SystemClock::shared(), tell).await?))
}

/// Where the database of a data folder is that was initialised.
fn store_folder(config: &Config) -> anyhow::Result<PathBuf> {
    let folder = config.data.join(STORE);
    if !folder.exists() {
        bail!("there is no data in {}; run `tokenhost init` first, or set `data`", config.data.display());
    }
    Ok(folder)
}

/// What an upgrade of the data folder would do. The daemon must be stopped.
///
/// # Errors
/// There is no data, it is in use, damaged or too new.
pub async fn upgrade_plan(config: &Config) -> anyhow::Result<Plan> {
    Ok(upgrade::check(&store_folder(config)?).await?)
}

/// Upgrades the data folder, as [`Daemon::start`](super::Daemon::start) does by itself. The daemon must be stopped.
///
/// # Errors
/// As for [`upgrade_plan`]; there isn't enough room on the disk.
pub async fn upgrade(config: &Config, copy: bool, tell: &mut (dyn FnMut(Told) + Send)) -> anyhow::Result<()> {
    let store = open_store(config, copy, tell).await?;
    Ok(store.close().await.map_err(UpgradeError::from)?)
}

/// Tells the log how far an upgrade came, and the service manager that the start takes longer for it.
pub(super) fn report_upgrade(told: &Told) {
    tracing::info!("upgrade: {told}");
    notify(sd_notify::NotifyState::ExtendTimeoutUsec(60_000_000));
    notify(sd_notify::NotifyState::Status(&format!("upgrade: {told}")));
}
