//! `tokenhost serve`: the daemon in this process.

use super::exit::Failure;
use crate::config::{Config, Overrides};

/// Run the daemon until it is told to stop
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Stops in good order on SIGTERM and SIGINT. Each setting can stand in the configuration file, in the environment, or here; the last of these wins.\n\nExamples:\n  tokenhost init && tokenhost serve\n  tokenhost serve --config /etc/tokenhost.toml\n  TOKENHOST_DATA=/var/lib/tokenhost tokenhost serve --listen 127.0.0.1:9000"
)]
pub(super) struct Serve {
    /// The daemon's settings.
    #[command(flatten)]
    overrides: Overrides,
}

impl Serve {
    /// Runs it.
    ///
    /// # Errors
    /// The settings can't be used, or the daemon can't start.
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = Config::load(&self.overrides).map_err(|error| Failure::usage(error.to_string()))?;
        crate::daemon::run(self.overrides, config).await.map_err(|error| Failure::failed(format!("{error:#}")))
    }
}
