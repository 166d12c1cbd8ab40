//! A data folder of its own, the daemon on it, and the same rooms in this process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokenhost::access::{self, Access};
use tokenhost::audit::Tally;
use tokenhost::clock::SystemClock;
use tokenhost::config::{Config, Egress as EgressConfig, KeySource, Log, Public};
use tokenhost::daemon;
use tokenhost::egress::{Egress, Limits, Policy};
use tokenhost::flows::compile::Compiler;
use tokenhost::flows::registry::Flows;
use tokenhost::flows::{Catalog, Engine, EngineOptions};
use tokenhost::integrations::{Integrations, Models, NewIntegration, SettingsChange, TransportChange};
use tokenhost::name::Name;
use tokenhost::organizations::Organizations;
use tokenhost::seal::{Keyring, MasterKey};
use tokenhost::store::Store;
use tokenhost::store::rocks::RocksStore;
use tokenhost::tokens::{Margin, Tokens};

use crate::process::{Server, built};

/// Connections at once: the daemon's default.
const CONNECTIONS: usize = 16_384;
/// The model from which all integrations are made.
const MODEL: &str = "service";

/// A data folder, deleted when dropped.
pub(crate) struct Home {
    folder: TempDir,
    config: Config,
    /// The administrator's token.
    pub(crate) token: String,
}

/// The rooms of a daemon, in this process.
pub(crate) struct Rooms {
    pub(crate) store: Arc<RocksStore>,
    pub(crate) integrations: Arc<Integrations>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) access: Arc<Access>,
    models: Arc<Models>,
}

impl Home {
    /// Makes a data folder beside what was built: on a disk, which a folder for temporary files may not be.
    pub(crate) async fn make() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("bench-data-").tempdir_in(built()?)?;
        let config = Config {
            data: folder.path().join("data"),
            listen: ([127, 0, 0, 1], 0).into(),
            key: KeySource::File(folder.path().join("key/master.key")),
            key_next: None,
            flows: built()?.join("flows"),
            public: Public::default(),
            public_url: None,
            connections: CONNECTIONS,
            egress: EgressConfig { allow: vec!["127.0.0.0/8".parse()?], http: true },
            access: tokenhost::access::Policy::default(),
            audit: tokenhost::config::Audit::default(),
            events: tokenhost::config::Events::default(),
            backup: None,
            log: Log::default(),
            telemetry: tokenhost::config::Telemetry::default(),
            resolved: Vec::new(),
        };
        let token = daemon::init(&config).await?.token.expose_secret().to_owned();
        Ok(Self { folder, config, token })
    }

    /// Where the data is.
    pub(crate) fn data(&self) -> &Path {
        &self.config.data
    }

    /// Starts the daemon, as it ships.
    pub(crate) fn daemon(&self) -> anyhow::Result<Server> {
        let path = |name: &str| self.folder.path().join(name).into_os_string();
        let environment = [
            ("TOKENHOST_DATA", path("data")),
            ("TOKENHOST_KEY_FILE", path("key/master.key")),
            ("TOKENHOST_LISTEN", "127.0.0.1:0".into()),
            ("TOKENHOST_EGRESS_ALLOW", "127.0.0.0/8".into()),
            ("TOKENHOST_EGRESS_HTTP", "true".into()),
        ];
        Server::start(built()?.join("tokenhost"), &["serve"], environment, "")
    }

    /// Makes a data folder with one integration, whose provider is never asked: its token is to be entered by hand.
    pub(crate) async fn with_integration(name: Name) -> anyhow::Result<Self> {
        let home = Self::make().await?;
        let rooms = home.rooms().await?;
        rooms.import("https://login.example.com/token").await?;
        rooms.integrate(name).await?;
        rooms.close().await?;
        Ok(home)
    }

    /// Opens the rooms in this process, on the same settings as the daemon's. Not while the daemon runs.
    pub(crate) async fn rooms(&self) -> anyhow::Result<Rooms> {
        let clock = SystemClock::shared();
        let KeySource::File(key) = &self.config.key else { bail!("the key is in a file") };
        let store = Arc::new(RocksStore::open(&self.data().join("store"))?);
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let master = MasterKey::from_file(key, self.data())?;
        let keyring = Arc::new(Keyring::load_or_create(&*shared, &master).await?);
        let flows = Arc::new(flows(Some(self.data())).await?) as Arc<dyn Catalog>;
        let policy = Policy {
            allow_networks: self.config.egress.allow.clone(),
            allow_http: self.config.egress.http,
            limits: Limits::default(),
        };
        let egress = Arc::new(Egress::new(policy, Arc::clone(&clock)));
        let organizations = Arc::new(Organizations::open(Arc::clone(&shared), Arc::clone(&clock)).await?);
        let models = Arc::new(Models::new(Arc::clone(&shared), Arc::clone(&clock), Arc::clone(&organizations)));
        let integrations = Arc::new(Integrations::new(
            Arc::clone(&shared),
            Arc::clone(&keyring),
            Arc::clone(&clock),
            Arc::clone(&models),
            Arc::clone(&organizations),
            Arc::clone(&flows),
            Arc::clone(&egress),
        ));
        let access = Access::open(access::Parts {
            store: Arc::clone(&shared),
            keyring: Arc::clone(&keyring),
            clock: Arc::clone(&clock),
            organizations,
            tally: Arc::new(Tally::new(Arc::clone(&clock))),
            policy: self.config.access.clone(),
            counts: None,
        });
        let access = Arc::new(access.await?);
        let tokens = Tokens::new(shared, keyring, Arc::clone(&integrations), flows, egress, clock, Margin::default());
        Ok(Rooms { store, integrations, tokens, access, models })
    }
}

impl Rooms {
    /// Imports the model, whose token requests go to this URL.
    pub(crate) async fn import(&self, token_url: &str) -> anyhow::Result<()> {
        let document = serde_json::json!({
            "openapi": "3.0.3", "info": {"title": "A service", "version": "1"},
            "servers": [{"url": "https://api.example.com/v1"}], "paths": {},
            "components": {"securitySchemes": {"oauth2": {"type": "oauth2", "flows": {
                "clientCredentials": {"tokenUrl": token_url, "scopes": {"read": "Reads", "write": "Writes"}}}}}}
        });
        self.models.import(MODEL.parse()?, None, document.to_string().as_bytes(), false).await?;
        Ok(())
    }

    /// Makes an integration of the model.
    pub(crate) async fn integrate(&self, name: Name) -> anyhow::Result<()> {
        let fields = [
            ("client_id", "automation"),
            ("client_secret", "k7c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5"),
            ("scope", "read write"),
        ];
        let fields: BTreeMap<_, _> = fields.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))).into();
        let new = NewIntegration {
            name,
            organization: None,
            model: MODEL.parse()?,
            scheme: None,
            flow: None,
            server: None,
            fields,
            further: BTreeMap::new(),
            transport: TransportChange::default(),
            settings: SettingsChange::default(),
        };
        self.integrations.create(new).await?;
        Ok(())
    }

    /// Closes the folder, so that a daemon can open it.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.tokens.shutdown().await;
        self.store.close().await.context("the store can't be closed")
    }
}

/// The flows that ship, their compiled code kept in this data folder.
pub(crate) async fn flows(data: Option<&Path>) -> anyhow::Result<Flows> {
    let engine = Engine::new(EngineOptions {
        cache: data.map(|data| data.join("compiled")),
        compiler: Compiler::InProcess,
        ..EngineOptions::default()
    })?;
    let (flows, problems) = Flows::load(engine, &[built()?.join("flows")]).await;
    match problems.first() {
        Some(problem) => bail!("{problem}"),
        None => Ok(flows),
    }
}
