//! Makes, changes, reads and deletes integrations.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use url::Url;

use super::belonging::{self, Belonging, Visible};
use super::bind::{Ground, place_of};
use super::binding::Binding;
use super::choice::Wish;
use super::error::{FaultCode, FieldFault, IntegrationError, ModelError};
use super::fields::absolute_url;
use super::integration::{
    Change, Changed, INTEGRATIONS, Integration, IntegrationRecord, IntegrationSummary, NewIntegration, Settings,
    SettingsChange, TransportChange,
};
use super::model::{Model, Models, USES};
use super::parameters;
use crate::clock::SharedClock;
use crate::egress::{Egress, Transport};
use crate::flows::Catalog;
use crate::name::Name;
use crate::organizations::Organizations;
use crate::seal::{Keyring, Kind, SealedTable};
use crate::store::{Batch, Store, StoreError};

/// The longest lifetime that can be set for tokens, in seconds: ten years.
const MAX_LIFETIME: u64 = 10 * 365 * 24 * 60 * 60;

/// Called with the name of an integration that was changed or deleted, before the change is acknowledged.
type Listener = Box<dyn Fn(&Name) + Send + Sync>;

/// The integrations there are.
pub struct Integrations {
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
    clock: SharedClock,
    pub(super) models: Arc<Models>,
    belonging: Belonging,
    pub(super) flows: Arc<dyn Catalog>,
    /// Says what may be dialled.
    pub(super) egress: Arc<Egress>,
    /// Who keeps something of integrations in memory.
    listeners: RwLock<Vec<Listener>>,
}

/// The kind of records here that hold sealed values.
pub fn sealed_kind() -> Arc<dyn Kind> {
    Arc::new(SealedTable::new("integrations", INTEGRATIONS))
}

impl Integrations {
    /// The integrations in this store.
    pub fn new(
        store: Arc<dyn Store>,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        models: Arc<Models>,
        organizations: Arc<Organizations>,
        flows: Arc<dyn Catalog>,
        egress: Arc<Egress>,
    ) -> Self {
        let belonging = Belonging::new(organizations);
        Self { store, keyring, clock, models, belonging, flows, egress, listeners: RwLock::default() }
    }

    /// Has the name of each integration that is changed or deleted told to someone who keeps something of it in memory.
    pub fn subscribe(&self, listener: Listener) {
        self.listeners.write().unwrap_or_else(std::sync::PoisonError::into_inner).push(listener);
    }

    fn tell(&self, name: &Name) {
        self.belonging.forget(name);
        for listener in &*self.listeners.read().unwrap_or_else(std::sync::PoisonError::into_inner) {
            listener(name);
        }
    }

    /// Reads an integration.
    ///
    /// # Errors
    /// There is none of this name, or the storage failed.
    pub async fn read(&self, name: &Name) -> Result<Integration, IntegrationError> {
        let found = INTEGRATIONS.get(&*self.store, &[name.as_str()]).await?;
        let found = found.ok_or_else(|| IntegrationError::NotFound(name.clone()))?;
        Ok(found.value.open(found.revision, &self.keyring)?)
    }

    /// The organization that an integration belongs to; none where there is no such integration. Most often from memory.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn organization_of(&self, name: &Name) -> Result<Option<Name>, StoreError> {
        let read = async || {
            let found = INTEGRATIONS.get(&*self.store, &[name.as_str()]).await?;
            Ok(found.map(|found| found.value.organization().clone()))
        };
        self.belonging.of(name, read).await
    }

    /// Integrations in the order of their names, from the first after the given one; only those that are to be shown,
    /// where that is said.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn list(
        &self,
        after: Option<&Name>,
        limit: usize,
        shown: Option<Visible<'_>>,
    ) -> Result<Vec<IntegrationSummary>, IntegrationError> {
        let view = IntegrationRecord::summary;
        Ok(belonging::list(&INTEGRATIONS, &*self.store, after, limit, shown, view).await?)
    }

    /// Makes an integration.
    ///
    /// # Errors
    /// Inputs are wrong (all that are, at once), the name is taken, there is no such model, or the storage failed.
    pub async fn create(&self, new: NewIntegration) -> Result<Integration, IntegrationError> {
        self.make(new, false).await
    }

    /// The integration that would be made, without making it.
    ///
    /// # Errors
    /// As for [`Integrations::create`].
    pub async fn try_create(&self, new: NewIntegration) -> Result<Integration, IntegrationError> {
        self.make(new, true).await
    }

    async fn make(&self, new: NewIntegration, dry_run: bool) -> Result<Integration, IntegrationError> {
        let mut batch = Batch::synced();
        let model = match self.models.use_in(&mut batch, &new.model, &new.name).await {
            Ok(model) => model,
            Err(ModelError::Store(error)) => return Err(error.into()),
            Err(_) => return Err(IntegrationError::ModelNotFound(new.model)),
        };
        let organization = new.organization.as_ref().unwrap_or(&model.organization);
        let mut faults = Vec::new();
        self.belonging.join(&mut batch, organization, &new.name, &mut faults).await?;
        let parts = [new.name.as_str()];
        let mut integration = match self.assemble(&new, &model, organization, faults) {
            Err(IntegrationError::Invalid(mut faults)) => {
                if INTEGRATIONS.get(&*self.store, &parts).await?.is_some() {
                    let taken = IntegrationError::Exists(new.name).to_string();
                    faults.insert(0, FieldFault::new("name", FaultCode::NotAllowed, taken));
                }
                return Err(IntegrationError::Invalid(faults));
            }
            assembled => assembled?,
        };
        if dry_run {
            return match INTEGRATIONS.get(&*self.store, &parts).await? {
                Some(_) => Err(IntegrationError::Exists(new.name)),
                None => Ok(integration),
            };
        }
        INTEGRATIONS.expect(&mut batch, &parts, None);
        INTEGRATIONS.put(&mut batch, &parts, &IntegrationRecord::seal(&integration, &self.keyring)?)?;
        match self.store.commit(batch).await {
            Ok(revision) => {
                integration.revision = revision;
                self.tell(&new.name);
                Ok(integration)
            }
            Err(StoreError::Conflict) => match self.read(&new.name).await {
                Ok(_) => Err(IntegrationError::Exists(new.name)),
                Err(_) => Err(IntegrationError::Changed),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// A new integration out of its inputs, in which these faults were found already.
    fn assemble(
        &self,
        new: &NewIntegration,
        model: &Model,
        organization: &Name,
        mut faults: Vec<FieldFault>,
    ) -> Result<Integration, IntegrationError> {
        let server = self.choose_server(new.server.as_deref(), model, &mut faults);
        let mut settings = Settings::default();
        apply_settings(&mut settings, &new.settings, &mut faults);
        let ground = Ground { model, server: server.as_ref(), added: &settings.parameters };
        let wish = Wish { scheme: new.scheme.as_deref(), flow: new.flow.as_deref(), place: "" };
        let first = self.bind(&wish, &new.fields, &ground, &mut faults);
        let mut further = BTreeMap::new();
        for (scheme, wanted) in &new.further {
            let is_twice = first.as_ref().is_some_and(|(first, _)| first == scheme);
            further.extend(self.bind_further(scheme, wanted, is_twice, &ground, &mut faults));
        }
        let mut transport = Transport::default();
        apply_transport(&self.egress, &mut transport, &new.transport, &mut faults);
        let (Some((scheme, binding)), []) = (first, faults.as_slice()) else {
            return Err(IntegrationError::Invalid(faults));
        };
        let now = self.clock.now();
        let Binding { detail, scheme_document, flow, values, secrets, parameters, target } = binding;
        Ok(Integration {
            name: new.name.clone(),
            organization: organization.clone(),
            model: model.name.clone(),
            scheme,
            detail,
            scheme_document,
            flow,
            server,
            values,
            secrets,
            transport,
            settings,
            parameters,
            further,
            target,
            created_at: now,
            updated_at: now,
            revision: 0,
        })
    }

    fn choose_server(&self, given: Option<&str>, model: &Model, faults: &mut Vec<FieldFault>) -> Option<Url> {
        if let Some(given) = given {
            return match absolute_url(given, self.egress.allows_http()) {
                Ok(url) => Some(url),
                Err((code, message)) => {
                    faults.push(FieldFault::new("server", code, message));
                    None
                }
            };
        }
        model.document.servers.iter().find_map(|server| Url::parse(&server.url).ok())
    }

    /// Changes an integration. Where its secrets would go elsewhere, those that aren't given anew are dropped, and its token.
    ///
    /// # Errors
    /// Inputs are wrong (all that are, at once), somebody else changed it, or the storage failed.
    pub async fn change(&self, name: &Name, change: Change) -> Result<Changed, IntegrationError> {
        self.alter(name, change, false).await
    }

    /// What a change would come to, without making it.
    ///
    /// # Errors
    /// As for [`Integrations::change`].
    pub async fn try_change(&self, name: &Name, change: Change) -> Result<Changed, IntegrationError> {
        self.alter(name, change, true).await
    }

    async fn alter(&self, name: &Name, change: Change, dry_run: bool) -> Result<Changed, IntegrationError> {
        let mut integration = self.read(name).await?;
        let original = integration.clone();
        if change.expected.is_some_and(|expected| expected != integration.revision) {
            return Err(IntegrationError::Changed);
        }
        let mut faults = Vec::new();
        let mut batch = Batch::synced();
        integration.expect(&mut batch);
        if let Some(organization) = change.organization.clone().filter(|wanted| *wanted != integration.organization) {
            self.belonging.join(&mut batch, &organization, name, &mut faults).await?;
            self.belonging.leave(&mut batch, &integration.organization, name);
            integration.organization = organization;
        }
        match &change.server {
            Some(Some(server)) => match absolute_url(server, self.egress.allows_http()) {
                Ok(url) => integration.server = Some(url),
                Err((code, message)) => faults.push(FieldFault::new("server", code, message)),
            },
            Some(None) => integration.server = None,
            None => {}
        }
        apply_transport(&self.egress, &mut integration.transport, &change.transport, &mut faults);
        apply_settings(&mut integration.settings, &change.settings, &mut faults);
        let (further, further_dropped) = self.rebind_further(&original, &integration, &change, &mut faults).await?;
        let (mut integration, dropped) = self.rebind(&original, integration, &change.fields, "", &mut faults)?;
        let dropped = dropped || further_dropped;
        integration.further = further;
        if !faults.is_empty() {
            return Err(IntegrationError::Invalid(faults));
        }
        if dropped && !matches!(change.transport.client_key, Some(Some(_))) {
            integration.transport.client_key = None;
        }
        if dropped && change.keeps_target {
            return Err(IntegrationError::Retargets(lost(&original, &integration)));
        }
        let same = !dropped && integration.is_configured_like(&original);
        let difference = Integration::difference(Some(&original), &integration);
        if dry_run {
            return Ok(Changed { integration, dropped, same, difference });
        }
        integration.updated_at = self.clock.now();
        INTEGRATIONS.put(&mut batch, &[name.as_str()], &IntegrationRecord::seal(&integration, &self.keyring)?)?;
        match self.store.commit(batch).await {
            Ok(revision) => {
                integration.revision = revision;
                self.tell(name);
                Ok(Changed { integration, dropped, same, difference })
            }
            Err(StoreError::Conflict) => Err(IntegrationError::Changed),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes an integration; its token is void from then on.
    ///
    /// # Errors
    /// There is none of this name, or the storage failed.
    pub async fn delete(&self, name: &Name) -> Result<(), IntegrationError> {
        loop {
            let found = INTEGRATIONS.get(&*self.store, &[name.as_str()]).await?;
            let found = found.ok_or_else(|| IntegrationError::NotFound(name.clone()))?;
            let mut batch = Batch::synced();
            INTEGRATIONS.expect(&mut batch, &[name.as_str()], Some(found.revision));
            INTEGRATIONS.remove(&mut batch, &[name.as_str()]);
            self.belonging.leave(&mut batch, found.value.organization(), name);
            USES.remove(&mut batch, &[found.value.summary().model.as_str(), name.as_str()]);
            match self.store.commit(batch).await {
                Ok(_) => {
                    self.tell(name);
                    return Ok(());
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The secrets of an integration that a change drops.
fn lost(before: &Integration, after: &Integration) -> Vec<FieldFault> {
    let message = "would be dropped, since it would go elsewhere; give it anew in the same change";
    let fault = |field: String| FieldFault::new(field, FaultCode::Dropped, message);
    let mut lost = Vec::new();
    for (index, former) in before.bindings().enumerate() {
        // A scheme that is unbound isn't asked for.
        let Some(present) = after.bindings().find(|present| present.scheme == former.scheme) else { continue };
        let gone = former.secrets.names().filter(|name| present.secrets.get(name).is_none());
        let place = if index == 0 { String::new() } else { place_of(&former.scheme) };
        lost.extend(gone.map(|name| fault(format!("{place}fields.{name}"))));
    }
    if before.transport.client_key.is_some() && after.transport.client_key.is_none() {
        lost.push(fault("transport.client_key".to_owned()));
    }
    lost
}

fn apply_transport(egress: &Egress, transport: &mut Transport, change: &TransportChange, faults: &mut Vec<FieldFault>) {
    if let Some(ca) = &change.ca {
        transport.ca.clone_from(ca);
    }
    if let Some(proxy) = &change.proxy {
        match proxy.as_deref().map(Url::parse).transpose() {
            Ok(proxy) => transport.proxy = proxy,
            Err(_) => {
                let message = "is no URL; http://host:port is wanted";
                faults.push(FieldFault::new("transport.proxy", FaultCode::Malformed, message));
            }
        }
    }
    if let Some(certificate) = &change.client_certificate {
        transport.client_certificate.clone_from(certificate);
    }
    if let Some(key) = &change.client_key {
        transport.client_key.clone_from(key);
    }
    for problem in egress.check_transport(transport).err().into_iter().flat_map(|refusal| refusal.problems) {
        faults.push(FieldFault::new(problem.part, FaultCode::Malformed, problem.message));
    }
}

fn apply_settings(settings: &mut Settings, change: &SettingsChange, faults: &mut Vec<FieldFault>) {
    match change.default_lifetime {
        Some(Some(seconds)) if !(1..=MAX_LIFETIME).contains(&seconds) => {
            let message = format!("is {seconds} s; 1 to {MAX_LIFETIME} is wanted");
            faults.push(FieldFault::new("settings.default_lifetime", FaultCode::Malformed, message));
        }
        Some(lifetime) => settings.default_lifetime = lifetime,
        None => {}
    }
    if let Some(uncertain) = change.uncertain {
        settings.uncertain = uncertain;
    }
    if let Some(calls) = &change.calls {
        settings.calls = calls.clone().unwrap_or_default();
        faults.extend(settings.calls.faults());
    }
    if let Some(parameters) = &change.parameters {
        let (kept, wrong) = parameters::check(parameters);
        settings.parameters = kept;
        faults.extend(wrong);
    }
}
