//! Authorizes requests: solves what an operation requires, has tokens kept good, and puts together what they add.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use moka::sync::Cache;

use super::authorization::{Authorization, BodyDigest, Used, Wanted};
use super::error::CallError;
use super::guard::Guards;
use super::outages::Outages;
use super::requirement::Alternative;
use super::service::{Operations, Service};
use super::signing::Asked;
use crate::clock::SharedClock;
use crate::egress::sign::Challenges;
use crate::egress::{Carried, Egress};
use crate::integrations::{Integration, Integrations, Models, ScopePolicy};
use crate::name::Name;
use crate::openapi::Operation;
use crate::secrets::Secrets;
use crate::tokens::{Rejection, Served, TokenKey, Tokens};

/// Services that are kept in memory.
const SERVICES: u64 = 10_000;
/// Operations that are kept in memory, of all documents together.
const OPERATIONS: u64 = 200_000;
/// How long what isn't used is kept.
const UNUSED: Duration = Duration::from_secs(3600);

/// Calls of all integrations' services.
pub struct Calls {
    pub(super) integrations: Arc<Integrations>,
    pub(super) models: Arc<Models>,
    tokens: Arc<Tokens>,
    pub(super) egress: Arc<Egress>,
    /// What stands before each service.
    pub guards: Guards,
    pub(super) clock: SharedClock,
    /// By integration.
    services: Cache<Name, Arc<Service>>,
    /// By the digest of the document.
    operations: Cache<String, Arc<Operations>>,
    /// What services have asked for, of those that ask.
    pub(super) challenges: Challenges,
    /// Counts changes, so that what was read before one isn't kept after it.
    changes: AtomicU64,
    /// Services that are given a rest.
    pub(super) outages: Outages,
}

impl Calls {
    /// Calls with these tokens.
    pub fn new(
        integrations: Arc<Integrations>,
        models: Arc<Models>,
        tokens: Arc<Tokens>,
        egress: Arc<Egress>,
    ) -> Arc<Self> {
        let weigh = |_: &String, operations: &Arc<Operations>| u32::try_from(operations.count()).unwrap_or(u32::MAX);
        let operations = Cache::builder().weigher(weigh).max_capacity(OPERATIONS).time_to_idle(UNUSED).build();
        let services = Cache::builder().max_capacity(SERVICES).time_to_idle(UNUSED).build();
        let (challenges, changes) = (Challenges::default(), AtomicU64::new(0));
        let clock = Arc::clone(egress.clock());
        let guards = Guards::new(Arc::clone(&clock));
        let calls = Arc::new(Self {
            integrations,
            models,
            tokens,
            egress,
            guards,
            clock,
            services,
            operations,
            challenges,
            changes,
            outages: Outages::default(),
        });
        let me: Weak<Self> = Arc::downgrade(&calls);
        calls.integrations.subscribe(Box::new(move |name| {
            if let Some(calls) = me.upgrade() {
                calls.changes.fetch_add(1, Ordering::AcqRel);
                calls.services.invalidate(name);
                // Another service may be behind the name now.
                calls.guards.forget(name);
                calls.forget_outage(name);
            }
        }));
        let me: Weak<Self> = Arc::downgrade(&calls);
        calls.models.subscribe(Box::new(move |_| {
            if let Some(calls) = me.upgrade() {
                calls.changes.fetch_add(1, Ordering::AcqRel);
                calls.services.invalidate_all();
            }
        }));
        calls
    }

    /// Has services looked at anew, as after a change of what may be dialled.
    pub fn forget_ways(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.services.invalidate_all();
    }

    /// An integration with its model's operations, most often from memory.
    ///
    /// # Errors
    /// There is no such integration, or the storage failed.
    pub async fn service(&self, name: &Name) -> Result<Arc<Service>, CallError> {
        if let Some(service) = self.services.get(name) {
            return Ok(service);
        }
        let changes = self.changes.load(Ordering::Acquire);
        let integration = self.integrations.read(name).await?;
        let model = self.models.get(&integration.model).await?;
        let operations = match self.operations.get(&model.digest) {
            Some(operations) => operations,
            None => {
                let operations = Arc::new(Operations::of(model));
                self.operations.insert(operations.digest.clone(), Arc::clone(&operations));
                operations
            }
        };
        let service = Arc::new(Service::new(integration, operations));
        self.services.insert(name.clone(), Arc::clone(&service));
        if self.changes.load(Ordering::Acquire) != changes {
            self.services.invalidate(name);
        }
        Ok(service)
    }

    /// The credentials for a request, by what its operation requires. Tokens are renewed first where they aren't good enough.
    /// For a request that is no operation's, what the document asks of all.
    ///
    /// # Errors
    /// The integration can't serve what is required, there is no token, or it can't be put into this request.
    pub async fn authorize(
        &self,
        service: &Service,
        operation: Option<&Operation>,
        wanted: &Wanted,
    ) -> Result<Authorization, CallError> {
        let own = &service.integration;
        let mut authorization = Authorization::default();
        let mut signers = Vec::new();
        match service.alternative(operation)? {
            Alternative::Nothing => {}
            Alternative::Own => signers.extend(self.add(service, own, "", wanted, &mut authorization).await?),
            Alternative::Schemes(requirement) => {
                for (scheme, scopes) in &requirement.0 {
                    let Some(bound) = service.bindings.get(scheme) else { continue };
                    let takes_scopes = matches!(kind(bound), "oauth2" | "openIdConnect");
                    let is_least = own.settings.calls.scopes == ScopePolicy::Operation && takes_scopes;
                    let scopes = if is_least { scopes.join(" ") } else { String::new() };
                    signers.extend(self.add(service, bound, &scopes, wanted, &mut authorization).await?);
                }
            }
        }
        // A signature covers what the others have added.
        for asked in &signers {
            self.sign(asked, wanted, &mut authorization)?;
        }
        Ok(authorization)
    }

    /// Adds what the token of one scheme adds; the signer that it asks for, if any, is left to do.
    async fn add(
        &self,
        service: &Service,
        bound: &Integration,
        scopes: &str,
        wanted: &Wanted,
        authorization: &mut Authorization,
    ) -> Result<Option<Asked>, CallError> {
        let key = key(service, bound, scopes);
        let Served { token, expires_in } = self.tokens.get(&key, wanted.min_ttl).await?;
        let mut secrets = Secrets::default();
        if !token.placing.is_default() {
            secrets = bound.secrets.clone();
            for (name, value) in token.secrets() {
                secrets.insert(name, value.clone());
            }
        }
        let body: Option<&[u8]> = match &wanted.body {
            BodyDigest::Empty => Some(b""),
            BodyDigest::Bytes(bytes) => Some(bytes),
            BodyDigest::Sha256(_) | BodyDigest::Unsigned => None,
        };
        let carried = Carried {
            placing: &token.placing,
            token_type: &token.token_type,
            access_token: token.access_token.as_ref(),
            secrets: &secrets,
            body,
        };
        let scheme = || bound.scheme.clone();
        let mut placed = self
            .egress
            .place(&carried)
            .map_err(|refusal| CallError::Unplaced { scheme: scheme(), refusal: Box::new(refusal) })?;
        let asked = placed.signing.take().map(|signing| Asked { scheme: scheme(), key: key.clone(), signing });
        let (generation, created_at) = (token.generation, token.created_at);
        let used = Used { scheme: scheme(), key, generation, expires_in, created_at, local: token.local };
        authorization.add(used, placed);
        Ok(asked)
    }

    /// A service refused these credentials: their tokens are taken out of use, and new ones are being got. False: there are no
    /// others to be had, so that trying again is of no use.
    pub async fn refused(&self, authorization: &Authorization) -> bool {
        let mut renewing = false;
        for used in authorization.tokens.iter().filter(|used| !used.local) {
            match self.tokens.reject(&used.key, used.generation).await {
                Ok(Rejection::Renewing | Rejection::NotCurrent { .. }) => renewing = true,
                Ok(Rejection::TooSoon { .. }) => {}
                Err(error) => tracing::warn!(key = %used.key, %error, "a refused token can't be taken out of use"),
            }
        }
        renewing
    }
}

/// What a token of this scheme is kept under. Who asks for the scopes that the integration has anyway gets its token.
fn key(service: &Service, bound: &Integration, scopes: &str) -> TokenKey {
    let set = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect::<BTreeSet<String>>();
    let own = bound.values.get("scope").map(String::as_str).unwrap_or_default();
    let scopes = if set(own) == set(scopes) { "" } else { scopes };
    TokenKey::for_scheme(&service.integration, &bound.scheme, scopes)
}

/// The `type` of a scheme.
fn kind(bound: &Integration) -> &str {
    bound.scheme_document.get("type").and_then(serde_json::Value::as_str).unwrap_or_default()
}
