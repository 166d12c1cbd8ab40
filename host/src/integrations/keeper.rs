//! Makes, changes, reads and deletes integrations.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use ulid::Ulid;
use url::Url;

use super::belonging::{self, Belonging, Visible};
use super::binding::{Binding, BindingChange};
use super::choice::{Choice, Wish, choose};
use super::error::{FaultCode, FieldFault, IntegrationError, ModelError};
use super::extras::input_name;
use super::fields::{Form, Values, absolute_url};
use super::integration::{
    Change, Changed, INTEGRATIONS, Integration, IntegrationRecord, IntegrationSummary, NewIntegration, Settings,
    SettingsChange, TransportChange,
};
use super::model::{Model, Models, USES};
use super::parameters;
use super::target::Target;
use crate::clock::SharedClock;
use crate::egress::{Egress, Transport};
use crate::flows::{Catalog, Flow};
use crate::name::Name;
use crate::openapi::ExtraParameter;
use crate::organizations::Organizations;
use crate::seal::Keyring;
use crate::secrets::Secrets;
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
    models: Arc<Models>,
    belonging: Belonging,
    flows: Arc<dyn Catalog>,
    /// Says what may be dialled.
    egress: Arc<Egress>,
    /// Who keeps something of integrations in memory.
    listeners: RwLock<Vec<Listener>>,
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

    /// The names of an integration's secret inputs, and whether each is set; none where its flow isn't installed.
    pub fn secret_inputs(&self, integration: &Integration) -> BTreeMap<String, bool> {
        let flow = self.flows.get(&integration.flow);
        let fields = flow.iter().flat_map(|flow| flow.description().fields.iter().filter(|field| field.is_secret()));
        let parameters = integration.parameters.iter().chain(&integration.settings.parameters).map(input_name);
        let names = fields.map(|field| field.name.clone()).chain(parameters);
        let set = integration.secrets.names().map(str::to_owned);
        names.chain(set).map(|name| (name.clone(), integration.secrets.get(&name).is_some())).collect()
    }

    /// What must be set before a token can be got; empty unless a change of target dropped secrets.
    pub fn missing(&self, integration: &Integration) -> Vec<FieldFault> {
        self.flows.get(&integration.flow).map(|flow| self.missing_for(integration, &*flow)).unwrap_or_default()
    }

    /// What would have to be set if this were the integration's flow.
    pub fn missing_for(&self, integration: &Integration, flow: &dyn Flow) -> Vec<FieldFault> {
        let form = self.form(flow, integration);
        form.missing(&values_of(integration), &BTreeMap::new())
    }

    fn form<'a>(&self, flow: &'a dyn Flow, integration: &'a Integration) -> Form<'a> {
        Form {
            flow: flow.description(),
            parameters: &integration.parameters,
            added: &integration.settings.parameters,
            allow_http: self.egress.allows_http(),
        }
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
        let mut integration = self.assemble(&new, &model, organization, faults)?;
        let parts = [new.name.as_str()];
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

    /// A further scheme, bound.
    fn bind_further(
        &self,
        scheme: &str,
        wanted: &BindingChange,
        is_twice: bool,
        ground: &Ground<'_>,
        faults: &mut Vec<FieldFault>,
    ) -> Option<(String, Binding)> {
        let place = place_of(scheme);
        if is_twice {
            let message = "is the integration's own scheme already";
            faults.push(FieldFault::new(place.trim_end_matches('.'), FaultCode::Ambiguous, message));
            return None;
        }
        let wish = Wish { scheme: Some(scheme), flow: wanted.flow.as_deref(), place: &place };
        self.bind(&wish, &wanted.fields, ground, faults)
    }

    /// A scheme of a model, bound to a flow with first values and these inputs.
    fn bind(
        &self,
        wish: &Wish<'_>,
        inputs: &BTreeMap<String, Option<String>>,
        ground: &Ground<'_>,
        faults: &mut Vec<FieldFault>,
    ) -> Option<(String, Binding)> {
        let Choice { scheme, detail, flow } = choose(&*self.flows, wish, ground.model, faults)?;
        let of_flow = |of: &Option<String>| of.is_none() || *of == detail;
        let parameters: Vec<_> = scheme.parameters.iter().filter(|one| of_flow(&one.detail)).cloned().collect();
        let form = Form {
            flow: flow.description(),
            parameters: &parameters,
            added: ground.added,
            allow_http: self.egress.allows_http(),
        };
        let (plain, hints) = form.first_values(scheme, detail.as_deref(), ground.server);
        let mut values = Values::default();
        // The document's values go through the same checks as those that people give.
        let plain = plain.into_iter().map(|(name, value)| (name, Some(value)));
        let inputs: BTreeMap<_, _> = plain.chain(inputs.clone()).collect();
        let mut found = Vec::new();
        form.apply(&mut values, &inputs, &mut found);
        let missing = form.missing(&values, &hints);
        // One that was given and is malformed isn't missing too.
        let missing: Vec<_> =
            missing.into_iter().filter(|missing| found.iter().all(|fault| fault.field != missing.field)).collect();
        faults.extend(found.into_iter().chain(missing).map(|fault| fault.within(wish.place)));
        let binding = Binding {
            detail,
            scheme_document: scheme.document.clone(),
            flow: flow.description().name.clone(),
            values: values.plain,
            secrets: values.secret,
            parameters,
            target: Ulid::new(),
        };
        Some((scheme.name.clone(), binding))
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
        if let Some(organization) = change.organization.filter(|wanted| *wanted != integration.organization) {
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
        let mut dropped = false;
        let mut further = BTreeMap::new();
        for before in original.bindings().skip(1) {
            let scheme = before.scheme.clone();
            let inputs = match change.further.get(&scheme) {
                Some(None) => continue,
                // Another flow is another beginning, below.
                Some(Some(wanted)) if wanted.flow.as_ref().is_some_and(|flow| *flow != before.flow) => continue,
                Some(Some(wanted)) => &wanted.fields,
                None => &BTreeMap::new(),
            };
            let after = Integration { scheme: scheme.clone(), ..with_binding(&integration, before.binding()) };
            let (after, retargeted) = self.rebind(&before, after, inputs, &place_of(&scheme), &mut faults)?;
            dropped |= retargeted;
            further.insert(scheme, after.binding());
        }
        let after = integration.clone();
        let (mut integration, retargeted) = self.rebind(&original, after, &change.fields, "", &mut faults)?;
        dropped |= retargeted;
        let added = change.further.iter().filter_map(|(scheme, wanted)| Some((scheme, wanted.as_ref()?)));
        let added: Vec<_> = added.filter(|(scheme, _)| !further.contains_key(*scheme)).collect();
        if !added.is_empty() {
            match self.models.get(&integration.model).await {
                Ok(model) => {
                    for (scheme, wanted) in added {
                        let (is_twice, server) = (*scheme == integration.scheme, integration.server.as_ref());
                        let ground = Ground { model: &model, server, added: &integration.settings.parameters };
                        further.extend(self.bind_further(scheme, wanted, is_twice, &ground, &mut faults));
                    }
                }
                Err(ModelError::Store(error)) => return Err(error.into()),
                Err(_) => return Err(IntegrationError::ModelNotFound(integration.model)),
            }
        }
        for scheme in change.further.iter().filter(|(_, wanted)| wanted.is_none()).map(|(scheme, _)| scheme) {
            if !original.further.contains_key(scheme) {
                let message = "isn't bound, so that it can't be unbound";
                faults.push(FieldFault::new(place_of(scheme).trim_end_matches('.'), FaultCode::Unknown, message));
            }
        }
        integration.further = further;
        if !faults.is_empty() {
            return Err(IntegrationError::Invalid(faults));
        }
        if dropped && !matches!(change.transport.client_key, Some(Some(_))) {
            integration.transport.client_key = None;
        }
        let same = !dropped && integration.is_configured_like(&original);
        if dry_run {
            return Ok(Changed { integration, dropped, same });
        }
        integration.updated_at = self.clock.now();
        INTEGRATIONS.put(&mut batch, &[name.as_str()], &IntegrationRecord::seal(&integration, &self.keyring)?)?;
        match self.store.commit(batch).await {
            Ok(revision) => {
                integration.revision = revision;
                self.tell(name);
                Ok(Changed { integration, dropped, same })
            }
            Err(StoreError::Conflict) => Err(IntegrationError::Changed),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts inputs over the values of one binding. Where its secrets would go elsewhere, those that aren't given anew go, and
    /// it has another target; says whether that is so.
    fn rebind(
        &self,
        before: &Integration,
        mut after: Integration,
        inputs: &BTreeMap<String, Option<String>>,
        place: &str,
        faults: &mut Vec<FieldFault>,
    ) -> Result<(Integration, bool), IntegrationError> {
        let flow = self.flows.get(&before.flow).ok_or_else(|| {
            let message = format!("the flow {} isn't installed, so that no input can be checked", before.flow);
            IntegrationError::Invalid(vec![FieldFault::new(format!("{place}flow"), FaultCode::NotAllowed, message)])
        })?;
        let was_complete = self.missing(before).is_empty();
        let mut found = Vec::new();
        let mut values = values_of(&after);
        self.form(&*flow, &after).apply(&mut values, inputs, &mut found);
        (after.values, after.secrets) = (values.plain, values.secret);
        after.forget_removed_parameters(before);
        let dropped = Target::of(&after, flow.description()) != Target::of(before, flow.description());
        if !dropped && was_complete {
            let missing = self.missing(&after);
            let is_new = |missing: &FieldFault| found.iter().all(|fault| fault.field != missing.field);
            let missing: Vec<_> = missing.into_iter().filter(is_new).collect();
            found.extend(missing);
        }
        faults.extend(found.into_iter().map(|fault| fault.within(place)));
        if dropped {
            after.target = Ulid::new();
            let given = |name: &str| matches!(inputs.get(name), Some(Some(_)));
            let mut kept = Secrets::default();
            for (name, value) in after.secrets.iter().filter(|(name, _)| given(name)) {
                kept.insert(name, value.clone());
            }
            after.secrets = kept;
        }
        Ok((after, dropped))
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

/// What schemes of one integration are bound on.
struct Ground<'a> {
    /// The integration's model.
    model: &'a Model,
    /// Its server.
    server: Option<&'a Url>,
    /// The extra parameters that were added to the document's.
    added: &'a [ExtraParameter],
}

/// What stands before the names of a further scheme's fields in faults.
fn place_of(scheme: &str) -> String {
    let shown: String = scheme.chars().take(64).collect();
    format!("schemes.{shown}.")
}

/// An integration with another binding in the place of its own.
fn with_binding(integration: &Integration, binding: Binding) -> Integration {
    let mut bound = integration.clone();
    bound.bind(binding);
    bound
}

fn values_of(integration: &Integration) -> Values {
    Values { plain: integration.values.clone(), secret: integration.secrets.clone() }
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
