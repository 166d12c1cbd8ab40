//! What callers see of integrations: never a secret, only whether it is set.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::attempts::AttemptSummary;
use super::super::caller::Caller;
use super::super::problem::{Fault, Problem};
use super::super::revision::tagged;
use super::super::state::Api;
use super::super::time::Time;
use super::super::tokens::TokenStatus;
use super::calls::CallSettings;
use super::input::Uncertain;
use super::parameters::Parameter;
use crate::access::Right;
use crate::calls::guard;
use crate::integrations;
use crate::name::Name;
use crate::tokens::TokenKey;

/// Attempts that a list shows of each integration.
const HISTORY: usize = 20;

/// An integration, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Integration {
    /// Its name, which is its id.
    name: String,
    /// The organization that it belongs to.
    organization: String,
    /// The model that it was made from.
    model: String,
    /// The security scheme.
    scheme: String,
    /// The key in the scheme's `flows`, or its `scheme`, that the flow serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The flow.
    flow: String,
    /// The server's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// Values by field name; of secrets, whether they are set.
    fields: BTreeMap<String, Shown>,
    /// What must be set before a token can be got.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Fault>,
    /// Further security schemes that it serves, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    schemes: BTreeMap<String, Scheme>,
    /// What connections need below HTTP.
    transport: Transport,
    /// How its tokens are handled.
    settings: Settings,
    /// Extra parameters of its token requests beside those that the document declares.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<Parameter>,
    /// How its token is, without the token.
    token: TokenStatus,
    /// How its service is, as the last calls have found it.
    service: ServiceState,
    /// When it was made.
    created_at: Time,
    /// When it was last changed.
    updated_at: Time,
    /// Grows with each change; the `ETag` has it too.
    revision: u64,
    /// What the caller may do about it, of `write_integrations`, `use_tokens` and `read_token_values`.
    rights: Vec<&'static str>,
    /// Of a change: whether the token, and the secrets that weren't given anew, were dropped since they'd go elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<bool>,
}

/// How a service is. Kept in memory: forgotten with a start of the daemon, and with a change of the integration.
#[derive(Debug, Serialize, ToSchema)]
struct ServiceState {
    /// Of its circuit breaker: `closed` (it is called), `open` (it isn't) or `half_open` (the next call tries).
    state: &'static str,
    /// Failures in a row: no answer, or 5xx.
    failures: u32,
    /// When it is called again, where it isn't now: it failed too often, or said so itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Time>,
    /// Calls under way.
    in_flight: u32,
}

impl From<guard::ServiceState> for ServiceState {
    fn from(state: guard::ServiceState) -> Self {
        let guard::ServiceState { state, failures, retry_at, in_flight } = state;
        Self { state, failures, retry_at: retry_at.map(Time::from), in_flight }
    }
}

/// A further security scheme of an integration.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BoundScheme)]
struct Scheme {
    /// The key in the scheme's `flows`, or its `scheme`, that the flow serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The flow.
    flow: String,
    /// Values by field name; of secrets, whether they are set.
    fields: BTreeMap<String, Shown>,
    /// What must be set before it can be used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Fault>,
    /// How its token is, without the token.
    token: TokenStatus,
}

/// A field's value as it is shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Shown {
    /// The value.
    Value(String),
    /// Of a secret, never the value.
    Secret {
        /// Whether there is one.
        set: bool,
    },
}

/// What connections need below HTTP.
#[derive(Debug, Serialize, ToSchema)]
struct Transport {
    /// PEM certificates of the authorities to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    /// The HTTP proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<String>,
    /// PEM certificate to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<String>,
    /// Whether the private key of that certificate is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key: Option<Shown>,
}

/// How an integration's tokens are handled.
#[derive(Debug, Serialize, ToSchema)]
struct Settings {
    /// Seconds that a token lives where the provider doesn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_lifetime: Option<u64>,
    /// What to do with a refresh token that was sent and got no complete answer.
    uncertain: Uncertain,
    /// How its service is called.
    calls: CallSettings,
}

/// An integration in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IntegrationSummary {
    /// Its name, which is its id.
    name: String,
    /// The organization that it belongs to.
    organization: String,
    /// The model that it was made from.
    model: String,
    /// The security scheme.
    scheme: String,
    /// The flow.
    flow: String,
    /// When it was last changed.
    updated_at: Time,
    /// How its token is, where that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<TokenStatus>,
    /// What must be set before a token can be got, where how its token is is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Fault>,
    /// Its last attempts, the newest first, where these are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptSummary>>,
}

/// What a list of integrations is to show besides.
#[derive(Clone, Copy, Default)]
pub(super) struct With {
    pub(super) token: bool,
    pub(super) attempts: bool,
}

impl With {
    /// The names that it has in a query.
    pub(super) const NAMES: &[&str] = &["token", "attempts"];

    /// What a list of names, separated by commas, asks for.
    pub(super) fn of_names(names: &str) -> Option<Self> {
        names.split(',').try_fold(Self::default(), |with, name| match name {
            "token" => Some(Self { token: true, ..with }),
            "attempts" => Some(Self { attempts: true, ..with }),
            _ => None,
        })
    }
}

impl IntegrationSummary {
    /// With what was asked for besides.
    pub(super) async fn with(mut self, api: &Api, name: &Name, with: With) -> Result<Self, Problem> {
        // One that was deleted meanwhile is listed as it was read.
        if with.token
            && let Ok(integration) = api.integrations.read(name).await
        {
            self.token = Some(api.tokens.status(&TokenKey::of(name)).await?.into());
            self.missing = missing(api, &integration);
        }
        if with.attempts {
            let stories = api.tokens.attempts(name, None, HISTORY).await?;
            self.attempts = Some(stories.into_iter().map(AttemptSummary::from).collect());
        }
        Ok(self)
    }
}

impl From<integrations::IntegrationSummary> for IntegrationSummary {
    fn from(integration: integrations::IntegrationSummary) -> Self {
        Self {
            name: integration.name.to_string(),
            organization: integration.organization.to_string(),
            model: integration.model.to_string(),
            scheme: integration.scheme,
            flow: integration.flow,
            updated_at: integration.updated_at.into(),
            token: None,
            missing: Vec::new(),
            attempts: None,
        }
    }
}

impl Integration {
    pub(super) async fn of(
        api: &Api,
        integration: integrations::Integration,
        dropped: Option<bool>,
    ) -> Result<Self, Problem> {
        let token = api.tokens.status(&TokenKey::of(&integration.name)).await?.into();
        let missing = missing(api, &integration);
        let fields = shown(api, &integration);
        let mut schemes = BTreeMap::new();
        for bound in integration.bindings().skip(1) {
            let token = api.tokens.status(&TokenKey::for_scheme(&integration, &bound.scheme, "")).await?.into();
            let (fields, missing) = (shown(api, &bound), self::missing(api, &bound));
            schemes.insert(bound.scheme, Scheme { detail: bound.detail, flow: bound.flow, fields, missing, token });
        }
        let transport = integration.transport;
        let parameters = integration.settings.parameters.iter().map(Parameter::from).collect();
        Ok(Self {
            parameters,
            name: integration.name.to_string(),
            organization: integration.organization.to_string(),
            model: integration.model.to_string(),
            scheme: integration.scheme,
            detail: integration.detail,
            flow: integration.flow,
            server: integration.server.map(String::from),
            fields,
            missing,
            schemes,
            transport: Transport {
                ca: transport.ca,
                proxy: transport.proxy.map(String::from),
                client_certificate: transport.client_certificate,
                client_key: transport.client_key.map(|_| Shown::Secret { set: true }),
            },
            settings: Settings {
                default_lifetime: integration.settings.default_lifetime,
                uncertain: integration.settings.uncertain.into(),
                calls: integration.settings.calls.into(),
            },
            token,
            service: api.calls.guards.state(&integration.name).into(),
            created_at: integration.created_at.into(),
            updated_at: integration.updated_at.into(),
            revision: integration.revision,
            rights: Vec::new(),
            dropped,
        })
    }

    /// With what this caller may do about it.
    pub(super) fn seen_by(mut self, caller: &Caller) -> Self {
        let (Ok(name), Ok(organization)) = (self.name.parse::<Name>(), self.organization.parse::<Name>()) else {
            return self;
        };
        let rights = [Right::WriteIntegrations, Right::UseTokens, Right::ReadTokenValues];
        let held = rights.into_iter().filter(|right| caller.may_on(*right, &name, &organization));
        self.rights = held.map(Right::as_str).collect();
        self
    }

    /// The answer, with the revision as its `ETag`.
    pub(super) fn answer(self, status: StatusCode) -> Response {
        tagged(status, self.revision, &self)
    }
}

/// The fields of an integration's first scheme, as they are shown.
fn shown(api: &Api, integration: &integrations::Integration) -> BTreeMap<String, Shown> {
    let values = integration.values.iter().map(|(name, value)| (name.clone(), Shown::Value(value.clone())));
    let secrets = api.integrations.secret_inputs(integration).into_iter();
    values.chain(secrets.map(|(name, set)| (name, Shown::Secret { set }))).collect()
}

/// What must be set before a token can be got.
fn missing(api: &Api, integration: &integrations::Integration) -> Vec<Fault> {
    api.integrations.missing(integration).into_iter().map(Fault::from).collect()
}
