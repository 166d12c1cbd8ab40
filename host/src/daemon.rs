//! The daemon: the one place that puts the parts together, starts them in order and stops them in order.
//!
//! It decides nothing itself. Whoever calls it has read the settings and turns its errors into an exit code.

mod accounts;
mod gauges;
mod given;
mod init;
mod keys;
mod store;

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::access::{self, Access};
use crate::api::{self, Api, Inside, Rooms};
use crate::audit::{Actor, Audit, Entry, Outcome, SupportIds, Tally};
use crate::backup::{self, Backups};
use crate::calls::Calls;
use crate::clock::SystemClock;
use crate::config::{Config, Live, Overrides};
use crate::console;
use crate::egress::{Egress, Limits, Policy};
use crate::flows::compile::Compiler;
use crate::flows::registry::Flows;
use crate::flows::{Catalog, Engine, EngineOptions};
use crate::integrations::{Integrations, Models};
use crate::notices::Notices;
use crate::organizations::Organizations;
use crate::seal::{Custody, Keyring, Resealer, SETTLING};
use crate::shelf::{self, Shelf};
use crate::store::Store;
use crate::store::rocks::RocksStore;
use crate::telemetry;
use crate::tokens::{Margin, Tokens};
use crate::webhooks::{self, Webhooks};

use self::accounts::Accounts;
use self::given::{audit_retention, event_retention, give_settings};
pub use self::init::{InitOutcome, init, rebuild};
pub(crate) use self::keys::master_key;
use self::keys::{Sources, master_key_for};
use self::store::{open_store, report_upgrade};
pub use self::store::{upgrade, upgrade_plan};

/// The database, within the data folder.
const STORE: &str = backup::STORE;
/// Installed flows, within the data folder.
const INSTALLED: &str = backup::FLOWS;
/// Compiled code of flows, within the data folder. Can be deleted at any time.
const COMPILED: &str = "compiled";
/// How often inbound tokens were used, within the data folder.
const COUNTS: &str = backup::COUNTS;

/// How often metrics are tidied and the store's own numbers are read.
const UPKEEP: Duration = Duration::from_secs(5);
/// Every so many of those looks, what costs as much as there is: every 5 minutes.
const COUNT_EVERY: u32 = 60;

/// A running daemon.
pub struct Daemon {
    /// Where it listens.
    address: SocketAddr,
    /// Its API.
    api: Api,
    /// Its tokens, whose attempts end before it does.
    tokens: Arc<Tokens>,
    /// Its events, of which the last are written before it ends.
    notices: Arc<Notices>,
    /// Its webhooks, whose deliveries under way end before it does.
    webhooks: Arc<Webhooks>,
    /// Its backups, of which one under way ends before it does.
    backups: Arc<Backups>,
    /// Its accounts of uses, written down once nobody comes any more.
    accounts: Arc<Accounts>,
    /// Its store, closed last.
    store: Arc<RocksStore>,
    /// Its settings.
    settings: Arc<Live>,
    /// Ends the server and the upkeep.
    stop: CancellationToken,
    /// The server.
    serving: JoinHandle<()>,
}

/// Runs the daemon until SIGTERM or SIGINT. Prints `listening on http://…` on standard output once it is ready.
///
/// # Errors
/// It can't start, or can't end in good order.
pub async fn run(overrides: Overrides, config: Config) -> anyhow::Result<()> {
    telemetry::start_log(&config.log)?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let daemon = tokio::select! {
        started = Daemon::start_with(Live::new(overrides, config)) => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    // Whoever started it may have closed its standard output; that is no reason not to serve.
    drop(
        writeln!(std::io::stdout(), "listening on http://{}", daemon.address).and_then(|()| std::io::stdout().flush()),
    );
    notify(sd_notify::NotifyState::Ready);
    notify(sd_notify::NotifyState::Status(&format!("listening on {}", daemon.address)));
    if let Some(patience) = sd_notify::watchdog_enabled() {
        tokio::spawn(tell_of_life(patience / 2));
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => daemon.reload().await,
        }
    }
    notify(sd_notify::NotifyState::Stopping);
    daemon.stop().await
}

impl Daemon {
    /// Starts a daemon. When it returns, calls are answered.
    ///
    /// # Errors
    /// No key or the wrong one, the data folder is in use, damaged or too new, the address is taken, …
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_with(Live::fixed(config)).await
    }

    /// The same with settings that can be read again.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub async fn start_with(settings: Arc<Live>) -> anyhow::Result<Self> {
        let config = settings.current();
        telemetry::trace::start(&config.telemetry)?;
        let metrics = telemetry::metrics()?;
        allow_many_files(config.connections);
        // Fails where a provider is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let clock = SystemClock::shared();
        let store = open_store(&config, true, &mut |told| report_upgrade(&told)).await?;
        let shared: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let master = master_key_for(&config, &*shared).await?;
        let keyring = Arc::new(Keyring::load_or_create(&*shared, &master).await?);
        let sources = Box::new(Sources(Arc::clone(&settings)));
        let custody =
            Custody::open(Arc::clone(&shared), Arc::clone(&keyring), master, sources, Arc::clone(&clock)).await?;
        let policy = Policy {
            allow_networks: config.egress.allow.clone(),
            allow_http: config.egress.http,
            limits: Limits::default(),
        };
        let egress = Arc::new(Egress::new(policy, Arc::clone(&clock)));
        let organizations = Arc::new(Organizations::open(Arc::clone(&shared), Arc::clone(&clock)).await?);
        let kept = audit_retention(&config);
        let audit = Audit::open(Arc::clone(&shared), &keyring, Arc::clone(&clock), kept).await?;
        let audit = Arc::new(audit);
        let flows = Arc::new(load_flows(&config).await?);
        let shelf = Shelf::open(shelf::Parts {
            store: Arc::clone(&shared),
            clock: Arc::clone(&clock),
            flows: Arc::clone(&flows),
            audit: Arc::clone(&audit),
            folder: config.data.join(INSTALLED),
        });
        let shelf = shelf.await.context("what was installed can't be read")?;
        let notices = Notices::open(Arc::clone(&shared), Arc::clone(&clock), event_retention(&config)).await?;
        shelf.tell_to(Arc::clone(&notices));
        let catalog = Arc::clone(&shelf) as Arc<dyn Catalog>;
        for flow in shelf.list() {
            if let Some(plugin) = flow.plugin {
                tracing::info!(flow = plugin.identity(), "flow served");
            }
        }
        let tally = Arc::new(Tally::new(Arc::clone(&clock)));
        let access = Access::open(access::Parts {
            store: Arc::clone(&shared),
            keyring: Arc::clone(&keyring),
            clock: Arc::clone(&clock),
            organizations: Arc::clone(&organizations),
            tally: Arc::clone(&tally),
            policy: config.access.clone(),
            counts: Some(config.data.join(COUNTS)),
        });
        let access = Arc::new(access.await?);
        let support = SupportIds::new(&keyring);
        backup::clear(&config.data);
        let backups = Backups::new(backup::Parts {
            store: Arc::clone(&shared),
            disk: Some(Arc::clone(&store)),
            keyring: Arc::clone(&keyring),
            access: Arc::clone(&access),
            notices: Arc::clone(&notices),
            audit: Arc::clone(&audit),
            clock: Arc::clone(&clock),
            data: config.data.clone(),
            schedule: config.backup.clone(),
        });
        let models = Arc::new(Models::new(Arc::clone(&shared), Arc::clone(&clock), Arc::clone(&organizations)));
        let integrations = Arc::new(Integrations::new(
            Arc::clone(&shared),
            Arc::clone(&keyring),
            Arc::clone(&clock),
            Arc::clone(&models),
            Arc::clone(&organizations),
            Arc::clone(&catalog),
            Arc::clone(&egress),
        ));
        let webhooks = Webhooks::open(webhooks::Parts {
            store: Arc::clone(&shared),
            keyring: Arc::clone(&keyring),
            clock: Arc::clone(&clock),
            organizations: Arc::clone(&organizations),
            notices: Arc::clone(&notices),
            egress: Arc::clone(&egress),
        });
        let webhooks = Arc::new(webhooks.await.context("webhooks can't be read")?);
        let tokens = Tokens::new(
            Arc::clone(&shared),
            keyring,
            Arc::clone(&integrations),
            catalog,
            Arc::clone(&egress),
            Arc::clone(&clock),
            Margin::default(),
        );
        let calls =
            Calls::new(Arc::clone(&integrations), Arc::clone(&models), Arc::clone(&tokens), Arc::clone(&egress));
        calls.tell_to(Arc::clone(&notices));

        let listener = api::listen(config.listen)?;
        let address = listener.local_addr().context("the address that was bound isn't known")?;
        let public_url = config.public_url.clone().unwrap_or_else(|| reachable(address));
        tokens.set_callback_url(format!("{public_url}{}", api::CALLBACK));
        let resumed = tokens.recover().await.context("the attempts that the last stop cut short can't be read")?;
        tokens.watch_over(Arc::clone(&notices));
        let accounts = Accounts {
            access: Arc::clone(&access),
            audit: Arc::clone(&audit),
            tally: Arc::clone(&tally),
            notices: Arc::clone(&notices),
            settings: Arc::clone(&settings),
        };
        let accounts = Arc::new(accounts);
        let mut kinds = crate::tokens::sealed_kinds();
        kinds.extend([crate::integrations::sealed_kind(), webhooks.sealed_kind()]);
        let resealer = Resealer::new(Arc::new(custody), Arc::clone(&shared), Arc::clone(&clock), kinds, SETTLING);
        let resealer = Arc::new(resealer);
        give_settings(&settings, &access, &audit, &notices, &egress, &calls);
        metrics::gauge!(telemetry::HTTP_CONNECTIONS_LIMIT).set(config.connections as f64);
        let gauges = gauges::Gauges {
            store: Arc::downgrade(&store),
            access: Arc::downgrade(&access),
            tokens: Arc::downgrade(&tokens),
            webhooks: Arc::downgrade(&webhooks),
            flows: Arc::clone(&flows),
            egress: Arc::clone(&egress),
            data: config.data.clone(),
        };
        let (api, router) = api::router(Rooms {
            keys: Arc::clone(&resealer),
            access,
            audit,
            tally,
            support,
            models,
            integrations,
            organizations,
            calls,
            tokens: Arc::clone(&tokens),
            flows,
            shelf,
            egress,
            notices: Arc::clone(&notices),
            webhooks: Arc::clone(&webhooks),
            backups: Arc::clone(&backups),
            store: shared,
            clock,
            metrics: metrics.clone(),
            settings: Arc::clone(&settings),
            public_url,
        });
        let router = router.clone().merge(console::router(Inside::new(api.clone(), router)));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(api::serve(listener, router, config.connections, stop.clone().cancelled_owned()));
        tokio::spawn(stop.clone().run_until_cancelled_owned(upkeep(metrics, gauges)));
        let keeping = Arc::clone(&backups);
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move { keeping.keep().await }));
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move { resealer.run().await }));
        let keeping = Arc::clone(&accounts);
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move { keeping.keep().await }));
        tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), data = %config.data.display(), resumed, "ready");
        Ok(Self { address, api, tokens, notices, webhooks, backups, accounts, store, settings, stop, serving })
    }

    /// Reads the settings again, as on SIGHUP: what can change without a restart does, and the audit log tells of it. Where one
    /// is wrong, nothing changes, and the log says what is.
    pub async fn reload(&self) {
        notify(sd_notify::NotifyState::Reloading);
        let entry = Entry::new(Actor::system(), "config.reload").on("config");
        let (word, entry) = match self.settings.reload() {
            Ok(reloaded) => {
                for one in &reloaded.taken {
                    tracing::info!(setting = one.setting.key, from = one.from, to = one.to, "a setting was changed");
                }
                for one in &reloaded.waiting {
                    tracing::warn!(setting = one.setting.key, "a setting was changed, and needs a restart");
                }
                ("taken", entry.details(reloaded.taken.iter().map(|one| (one.setting.key, one.to_string()))))
            }
            Err(error) => {
                tracing::error!("nothing is changed: {error}");
                ("refused", entry.ended(Outcome::Failed, Some("invalid")))
            }
        };
        metrics::counter!(telemetry::CONFIG_RELOADS, "outcome" => word).increment(1);
        if let Err(error) = self.accounts.audit.append(vec![entry]).await {
            tracing::error!("the reload can't be written to the audit log: {error}");
        }
        notify(sd_notify::NotifyState::Ready);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it: takes no more calls, lets those under way and their attempts end, and closes the store.
    ///
    /// # Errors
    /// The store can't be closed in good order; nothing acknowledged is lost by it.
    pub async fn stop(self) -> anyhow::Result<()> {
        tracing::info!("stopping");
        self.api.stop();
        self.stop.cancel();
        self.notices.stop();
        self.backups.stop();
        // Together: calls under way may be waiting for the attempts.
        let (served, (), ()) = tokio::join!(self.serving, self.tokens.shutdown(), self.webhooks.stop());
        served.context("the server failed")?;
        self.notices.settled().await;
        self.accounts.write().await;
        telemetry::trace::flush().await;
        self.store.close().await.context("the store can't be closed in good order")?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Where a browser on this machine reaches what listens here.
pub(crate) fn reachable(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

/// The flows that ship. One that can't be loaded is named in the log, and stops nothing.
async fn load_flows(config: &Config) -> anyhow::Result<Flows> {
    let engine = Engine::new(EngineOptions {
        cache: Some(config.data.join(COMPILED)),
        compiler: Compiler::this_executable()?,
        ..EngineOptions::default()
    })?;
    // Compiling all of them takes longer than service managers wait on a slow machine.
    let patience = tokio::spawn(async {
        loop {
            notify(sd_notify::NotifyState::ExtendTimeoutUsec(60_000_000));
            notify(sd_notify::NotifyState::Status("loading flows; those that are new here are compiled first"));
            tokio::time::sleep(PATIENCE).await;
        }
    });
    let (flows, problems) = Flows::load(engine, std::slice::from_ref(&config.flows)).await;
    patience.abort();
    notify(sd_notify::NotifyState::Status("starting"));
    problems.iter().for_each(|problem| tracing::error!("a flow isn't served: {problem}"));
    Ok(flows)
}

/// How often the service manager is told that the start goes on.
const PATIENCE: Duration = Duration::from_secs(20);

/// Raises the limit of open files as far as it may be: each connection is one.
fn allow_many_files(connections: usize) {
    const OWN_FILES: u64 = 1024;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < connections as u64 + OWN_FILES => tracing::warn!(
            limit,
            connections,
            "fewer open files are allowed than there may be connections; raise the limit (ulimit -n)"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!("the limit of open files can't be raised: {error}"),
    }
}

/// Keeps metrics tidy, and tells those that nobody counts as they change.
async fn upkeep(metrics: metrics_exporter_prometheus::PrometheusHandle, gauges: gauges::Gauges) {
    for round in 0_u32.. {
        if !gauges.collect() {
            return;
        }
        if round.is_multiple_of(COUNT_EVERY) {
            gauges.count().await;
        }
        telemetry::upkeep(&metrics);
        tokio::time::sleep(UPKEEP).await;
    }
}

/// Tells the service manager every so often that tasks go on here, until the process ends.
async fn tell_of_life(every: Duration) {
    loop {
        notify(sd_notify::NotifyState::Watchdog);
        tokio::time::sleep(every).await;
    }
}

/// Tells the service manager, if there is one.
fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("the service manager can't be told: {error}");
    }
}

#[cfg(test)]
mod tests;
