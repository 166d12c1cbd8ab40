//! A router over real rooms, and one way to call it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::super::{Api, Rooms, router, server};
use crate::access::application::ApplicationChange;
use crate::access::{self, Access, ContactChange, Principal, StandingChange, Visit};
use crate::audit::{Audit, Retention, SupportIds, Tally};
use crate::backup::{self, Backups};
use crate::calls::Calls;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{Config, Live, Overrides, Public};
use crate::egress::{Egress, Policy};
use crate::flows::description::{Field, FieldKind, Requirement, SchemeMatch};
use crate::flows::step::{Context, Event, Failure, FlowToken, Remedy, Step};
use crate::flows::{Catalog, Description, Engine, EngineOptions, Flow, Flows, PluginError, StepRun};
use crate::integrations::{Integrations, Models};
use crate::notices::{self, Notices};
use crate::organizations::Organizations;
use crate::seal::{Custody, Keyring, MasterKey, MasterKeys, Resealer, SealError};
use crate::shelf::{self, Shelf};
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::telemetry;
use crate::tokens::{Margin, Tokens};
use crate::webhooks::{self, Webhooks};

/// A document whose only scheme the test's flow serves.
pub(crate) const DOCUMENT: &str = r#"{"openapi":"3.1.0","info":{"title":"CRM","version":"2"},"paths":{},
    "servers":[{"url":"https://crm.example"}],
    "components":{"securitySchemes":{"oauth2":{"type":"oauth2","flows":{"clientCredentials":{"tokenUrl":"https://idp.example/token","scopes":{}}}}}}}"#;

/// The API, its routes, and the first administrator's token.
pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) router: Router,
    pub(crate) token: SecretString,
    /// The shelf's folder.
    _folder: tempfile::TempDir,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl World {
    pub(crate) async fn new(public: Public) -> Self {
        Self::with_policy(public, access::Policy::default()).await
    }

    /// A world with other settings of `[access]`.
    pub(crate) async fn with_policy(public: Public, policy: access::Policy) -> Self {
        Self::with_clock(public, policy, SystemClock::shared()).await
    }

    /// A world with a clock of its own.
    pub(crate) async fn with_clock(public: Public, policy: access::Policy, clock: SharedClock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let master = MasterKey::generate("a test").unwrap();
        let keyring = Arc::new(Keyring::load_or_create(&*store, &master).await.unwrap());
        let keys = Custody::open(store.clone(), keyring.clone(), master, Box::new(NoKeys), clock.clone());
        let custody = Arc::new(keys.await.unwrap());
        let egress = Arc::new(Egress::new(Policy::default(), Arc::clone(&clock)));
        let organizations = Arc::new(Organizations::open(Arc::clone(&store), Arc::clone(&clock)).await.unwrap());
        let audit = Audit::open(Arc::clone(&store), &keyring, Arc::clone(&clock), Retention::default()).await;
        let tally = Arc::new(Tally::new(Arc::clone(&clock)));
        let access = Access::open(access::Parts {
            store: Arc::clone(&store),
            keyring: Arc::clone(&keyring),
            clock: Arc::clone(&clock),
            organizations: Arc::clone(&organizations),
            tally: Arc::clone(&tally),
            policy,
            counts: None,
        });
        let access = Arc::new(access.await.unwrap());
        let token = access.create_first_administrator().await.unwrap();
        let support = SupportIds::new(&keyring);
        let models = Arc::new(Models::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&organizations)));
        let catalog: Arc<dyn Catalog> = Arc::new(OnlyFlow(Arc::new(Unwilling::new())));
        let integrations = Arc::new(Integrations::new(
            Arc::clone(&store),
            Arc::clone(&keyring),
            Arc::clone(&clock),
            Arc::clone(&models),
            Arc::clone(&organizations),
            Arc::clone(&catalog),
            Arc::clone(&egress),
        ));
        let (hooks, sealing) = (Arc::clone(&keyring), Arc::clone(&keyring));
        let tokens = Tokens::new(
            Arc::clone(&store),
            keyring,
            Arc::clone(&integrations),
            catalog,
            Arc::clone(&egress),
            Arc::clone(&clock),
            Margin::default(),
        );
        let calls =
            Calls::new(Arc::clone(&integrations), Arc::clone(&models), Arc::clone(&tokens), Arc::clone(&egress));
        let audit = Arc::new(audit.unwrap());
        let flows = Arc::new(Flows::new(Engine::new(EngineOptions::default()).unwrap()));
        let shelf = Shelf::open(shelf::Parts {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            flows: Arc::clone(&flows),
            audit: Arc::clone(&audit),
            folder: folder.path().join("installed"),
        });
        let shelf = shelf.await.unwrap();
        let notices =
            Notices::open(Arc::clone(&store), Arc::clone(&clock), notices::Retention::default()).await.unwrap();
        shelf.tell_to(Arc::clone(&notices));
        tokens.watch_over(Arc::clone(&notices));
        let webhooks = webhooks::Parts {
            store: Arc::clone(&store),
            keyring: hooks,
            clock: Arc::clone(&clock),
            organizations: Arc::clone(&organizations),
            notices: Arc::clone(&notices),
            egress: Arc::clone(&egress),
        };
        let webhooks = Arc::new(Webhooks::open(webhooks).await.unwrap());
        let mut kinds = crate::tokens::sealed_kinds();
        kinds.extend([crate::integrations::sealed_kind(), webhooks.sealed_kind()]);
        let keys = Arc::new(Resealer::new(custody, store.clone(), clock.clone(), kinds, Duration::ZERO));
        let backups = Backups::new(backup::Parts {
            store: Arc::clone(&store),
            disk: None,
            keyring: sealing,
            access: Arc::clone(&access),
            notices: Arc::clone(&notices),
            audit: Arc::clone(&audit),
            clock: Arc::clone(&clock),
            data: folder.path().to_owned(),
            schedule: None,
        });
        let (api, router) = router(Rooms {
            backups,
            keys,
            access,
            audit,
            tally,
            support,
            models,
            integrations,
            organizations,
            calls,
            tokens,
            flows,
            shelf,
            egress,
            notices,
            webhooks,
            store,
            clock,
            metrics: telemetry::metrics().unwrap(),
            settings: settings(public),
            public_url: "http://127.0.0.1:8420".to_owned(),
        });
        Self { api, router, token, _folder: folder }
    }

    /// The first administrator.
    pub(crate) async fn principal(&self) -> Arc<Principal> {
        self.principal_of(&self.token).await
    }

    /// Who has this token.
    pub(crate) async fn principal_of(&self, token: &SecretString) -> Arc<Principal> {
        let visit = Visit { scope: None, address: None };
        Arc::clone(&self.api.access.enter(token.expose_secret(), &visit).await.unwrap().principal)
    }

    /// Makes an application token with these profiles, organizations and scopes.
    pub(crate) async fn application(
        &self,
        name: &str,
        profiles: &[&str],
        organizations: &[&str],
        scopes: &[&str],
    ) -> SecretString {
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        let contact = ContactChange {
            organization: organizations.first().map(|organization| (*organization).to_owned()),
            ..ContactChange::default()
        };
        let standing = StandingChange {
            contact,
            profiles: texts(profiles),
            allowed_organizations: texts(organizations),
            status: None,
        };
        let new = ApplicationChange { standing, scopes: texts(scopes), ..ApplicationChange::default() };
        self.api.access.create_application(&*self.principal().await, name, new, false).await.unwrap().1.unwrap()
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = server::answer(self.router.clone(), request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// Calls with the administrator's token. `body` is JSON, or nothing.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    /// [`World::call`] with further headers, the last of a name being the one that counts.
    pub(crate) async fn call_with(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let bearer = format!("Bearer {}", self.token.expose_secret());
        let json = [("content-type", "application/json")].into_iter().filter(|_| !body.is_empty());
        for (name, value) in [("authorization", bearer.as_str())].into_iter().chain(json).chain(headers.iter().copied())
        {
            request.headers_mut().insert(axum::http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        self.send(request).await
    }
}

/// Settings that name no next master key.
struct NoKeys;

#[async_trait]
impl MasterKeys for NoKeys {
    async fn present(&self) -> Result<MasterKey, SealError> {
        MasterKey::generate("the settings")
    }

    async fn next(&self) -> Result<MasterKey, SealError> {
        MasterKey::generate("the next setting")
    }
}

/// A flow that gives up at once, so that tokens are only those entered by hand.
struct Unwilling(Description);

impl Unwilling {
    fn new() -> Self {
        let field = |name: &str, kind, required, source: Option<&str>| Field {
            name: name.to_owned(),
            title: name.to_owned(),
            help: String::new(),
            kind,
            required,
            default: None,
            source: source.map(str::to_owned),
        };
        Self(Description {
            name: "unwilling".to_owned(),
            version: "1.0.0".to_owned(),
            title: "Unwilling".to_owned(),
            summary: String::new(),
            handles: vec![SchemeMatch { kind: "oauth2".to_owned(), detail: Some("clientCredentials".to_owned()) }],
            unattended: true,
            fields: vec![
                field("client_id", FieldKind::Text, Requirement::Always, None),
                field("client_secret", FieldKind::Secret, Requirement::Always, None),
                field("token_url", FieldKind::Url, Requirement::Always, Some("tokenUrl")),
                field("scope", FieldKind::Words, Requirement::Never, None),
            ],
        })
    }
}

#[async_trait]
impl Flow for Unwilling {
    fn description(&self) -> &Description {
        &self.0
    }

    fn digest(&self) -> &str {
        "0000000000000000000000000000000000000000000000000000000000000000"
    }

    async fn advance(&self, context: &Context, event: Event) -> Result<StepRun, PluginError> {
        let wants_a_person = context.values.iter().any(|(name, value)| name == "scope" && value == "person");
        if let (true, Some(key)) = (wants_a_person, &context.return_key) {
            return Ok(StepRun { outcome: with_a_person(key, event), printed: String::new() });
        }
        let failure = Failure {
            code: "invalid_client".to_owned(),
            message: "the provider doesn't know it".to_owned(),
            remedy: Remedy::Reconfigure,
        };
        Ok(StepRun { outcome: Err(failure), printed: String::new() })
    }
}

/// The same flow where the scope is `person`: whoever comes back with a code gets a token.
fn with_a_person(key: &str, event: Event) -> Result<Step, Failure> {
    let Event::Returned(_, query) = event else {
        return Ok(Step::Redirect(format!("https://idp.example/authorize?state={key}"), "".into()));
    };
    let find = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    match find("code") {
        Some(code) => Ok(Step::Done(Box::new(FlowToken { access_token: Some(code), ..FlowToken::default() }))),
        None => Err(Failure {
            code: "access_denied".to_owned(),
            message: find("error_description").unwrap_or_default().expose_secret().to_owned(),
            remedy: Remedy::Reconfigure,
        }),
    }
}

/// A catalog of one flow.
struct OnlyFlow(Arc<Unwilling>);

impl Catalog for OnlyFlow {
    fn get(&self, name: &str) -> Option<Arc<dyn Flow>> {
        (name == self.0.0.name).then(|| Arc::clone(&self.0) as Arc<dyn Flow>)
    }

    fn for_scheme(&self, kind: &str, detail: Option<&str>) -> Vec<Arc<dyn Flow>> {
        let serves = kind == "oauth2" && detail == Some("clientCredentials");
        serves.then(|| Arc::clone(&self.0) as Arc<dyn Flow>).into_iter().collect()
    }
}

/// Settings with nothing set but this.
fn settings(public: Public) -> Arc<Live> {
    let overrides = Overrides { data: Some("/d".into()), key_file: Some("/k".into()), ..Overrides::default() };
    Live::fixed(Config { public, ..Config::load(&overrides).unwrap() })
}
