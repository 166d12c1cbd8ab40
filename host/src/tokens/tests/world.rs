//! A daemon's worth of rooms over a store that can crash.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use secrecy::ExposeSecret;

use super::flow::{OneFlow, PlainFlow};
use super::provider::Provider;
use crate::clock::TestClock;
use crate::egress::{Egress, Policy};
use crate::integrations::{Change, Integrations, Models, NewIntegration, SettingsChange, TransportChange};
use crate::name::Name;
use crate::organizations::Organizations;
use crate::seal::{Keyring, MasterKey};
use crate::store::memory::MemoryStore;
use crate::tokens::{Margin, TokenError, TokenKey, Tokens};

/// The rooms, and what they stand on.
pub(super) struct World {
    pub(super) store: Arc<MemoryStore>,
    pub(super) clock: Arc<TestClock>,
    pub(super) provider: Provider,
    pub(super) flows: Arc<OneFlow>,
    models: Arc<Models>,
    pub(super) integrations: Arc<Integrations>,
    pub(super) tokens: Arc<Tokens>,
    master: Arc<MasterKey>,
}

pub(super) fn name() -> Name {
    "crm".parse().unwrap()
}

pub(super) fn key() -> TokenKey {
    TokenKey::of(&name())
}

impl World {
    /// An integration whose flow needs no person, with tokens that live 100 s.
    pub(super) async fn new() -> Self {
        Self::with(true, Some(100)).await
    }

    pub(super) async fn with(unattended: bool, expires_in: Option<u64>) -> Self {
        let provider = Provider::start(expires_in).await;
        let clock = TestClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let master = Arc::new(MasterKey::generate("a test").unwrap());
        let flows = Arc::new(OneFlow(Mutex::new(PlainFlow::new(unattended, "1.0.0"))));
        let world = Self::on(Arc::new(MemoryStore::new()), clock, provider, flows, master).await;
        world.integrate().await;
        world
    }

    async fn on(
        store: Arc<MemoryStore>,
        clock: Arc<TestClock>,
        provider: Provider,
        flows: Arc<OneFlow>,
        master: Arc<MasterKey>,
    ) -> Self {
        let keyring = Arc::new(Keyring::load_or_create(&*store, &master).await.unwrap());
        let policy =
            Policy { allow_networks: vec!["127.0.0.0/8".parse().unwrap()], allow_http: true, ..Policy::default() };
        let egress = Arc::new(Egress::new(policy, clock.clone()));
        let organizations = Arc::new(Organizations::open(store.clone(), clock.clone()).await.unwrap());
        let models = Arc::new(Models::new(store.clone(), clock.clone(), organizations.clone()));
        let integrations = Arc::new(Integrations::new(
            store.clone(),
            keyring.clone(),
            clock.clone(),
            models.clone(),
            organizations,
            flows.clone(),
            egress.clone(),
        ));
        let margin = Margin::default();
        let tokens =
            Tokens::new(store.clone(), keyring, integrations.clone(), flows.clone(), egress, clock.clone(), margin);
        Self { store, clock, provider, flows, models, integrations, tokens, master }
    }

    async fn integrate(&self) {
        let document = serde_json::json!({
            "openapi": "3.0.0", "info": {"title": "CRM", "version": "1"}, "paths": {},
            "components": {"securitySchemes": {"oauth2": {"type": "oauth2", "flows": {
                "clientCredentials": {"tokenUrl": self.provider.token_url, "scopes": {}}}}}}
        });
        self.models.import(name(), None, document.to_string().as_bytes(), false).await.unwrap();
        let new = NewIntegration {
            name: name(),
            organization: None,
            model: name(),
            scheme: None,
            flow: None,
            server: None,
            fields: BTreeMap::from([("client_secret".to_owned(), Some("the-client-secret".to_owned()))]),
            further: BTreeMap::new(),
            transport: TransportChange::default(),
            settings: SettingsChange::default(),
        };
        self.integrations.create(new).await.unwrap();
    }

    /// What a new daemon finds after a power cut.
    pub(super) async fn after_power_cut(&self) -> Self {
        self.tokens.shutdown().await;
        self.restarted(Arc::new(self.store.crash())).await
    }

    /// What a new daemon finds after `kill -9`.
    pub(super) async fn after_kill(&self) -> Self {
        self.restarted(Arc::new(self.store.kill())).await
    }

    async fn restarted(&self, store: Arc<MemoryStore>) -> Self {
        let world =
            Self::on(store, self.clock.clone(), self.provider.clone(), self.flows.clone(), self.master.clone()).await;
        world.tokens.recover().await.unwrap();
        world
    }

    /// The access token, for a caller that is content with any.
    pub(super) async fn token(&self) -> Result<String, TokenError> {
        let served = self.tokens.get(&key(), Duration::ZERO).await?;
        Ok(served.token.access_token.as_ref().unwrap().expose_secret().to_owned())
    }

    /// Lets so many seconds pass.
    pub(super) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(super) async fn set(&self, settings: SettingsChange) {
        self.integrations.change(&name(), Change { settings, ..Change::default() }).await.unwrap();
    }
}
