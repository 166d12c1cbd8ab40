//! Webhooks over HTTP: made, listed, changed, tested, deleted. How they deliver is the business of `webhooks`.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::Json;
use super::caller::Caller;
use super::models::name;
use super::organizations::named;
use super::page::{Page, Wanted};
use super::problem::{Code, Fault, Problem};
use super::query::Query;
use super::revision::{expected, tagged};
use super::state::Api;
use super::time::Time;
use crate::name::Name;
use crate::webhooks::{self, LONGEST_GRACE, Progress, WebhookError};

/// How long the old secret signs beside the new one where nobody says.
const GRACE: Duration = Duration::from_secs(86_400);

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, change, delete))
        .routes(routes!(test))
        .routes(routes!(rotate))
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
struct Webhook {
    /// Its name, which is its id.
    name: String,
    /// Where events go.
    url: String,
    /// The kinds of events that it wants; empty: all.
    kinds: Vec<&'static str>,
    /// The integrations whose events it wants; empty: all.
    integrations: Vec<String>,
    /// The organizations whose events it wants, with all that is part of them; empty: all.
    organizations: Vec<String>,
    /// `working`; `failing`: nothing was delivered of late; `disabled`: nothing is.
    state: &'static str,
    /// Why it is disabled, or fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Since when it is disabled, or fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem_since: Option<Time>,
    /// When the next try is made of what failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_at: Option<Time>,
    /// Events that failed and are tried again. Further ones may wait behind them.
    waiting: usize,
    /// Events delivered since it was made.
    delivered: u64,
    /// Events given up since it was made, each after a day of tries.
    given_up: u64,
    /// When something was last delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    succeeded_at: Option<Time>,
    /// Until when the secret before the present one signs, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_secret_signs_until: Option<Time>,
    /// The last tries, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deliveries: Vec<Delivery>,
    /// What signs (`whsec_…`): shown where it is made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// When it was made.
    created_at: Time,
    /// When it was last changed.
    updated_at: Time,
    /// Grows with each change; the `ETag` has it too.
    revision: u64,
}

/// One try to deliver an event.
#[derive(Debug, Serialize, ToSchema)]
struct Delivery {
    /// The event's id, which the receiver gets as `webhook-id`.
    event: String,
    /// Its kind.
    kind: &'static str,
    /// When.
    at: Time,
    /// The try's number, from 1.
    tries: u32,
    /// Whether the receiver has taken it (status 200 to 299).
    delivered: bool,
    /// The HTTP status, where there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Why there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Milliseconds from the start to the end of the answer.
    milliseconds: u64,
}

/// What a new webhook is made from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// Its name, which is its id: 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`.
    name: String,
    /// Where events go: https, unless an operator allows otherwise.
    url: String,
    /// The kinds of events that it wants; left out or empty: all.
    kinds: Option<Vec<String>>,
    /// The integrations whose events it wants; left out or empty: all.
    integrations: Option<Vec<String>>,
    /// The organizations whose events it wants, with all that is part of them; left out or empty: all.
    organizations: Option<Vec<String>>,
    /// Whether it delivers. Default: true
    enabled: Option<bool>,
}

/// What of a webhook is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookChange {
    /// Where events go.
    url: Option<String>,
    /// The kinds of events that it wants; empty: all.
    kinds: Option<Vec<String>>,
    /// The integrations whose events it wants; empty: all.
    integrations: Option<Vec<String>>,
    /// The organizations whose events it wants, with all that is part of them; empty: all.
    organizations: Option<Vec<String>>,
    /// Whether it delivers. One that is enabled again goes on where it stopped, as far as events are kept.
    enabled: Option<bool>,
}

/// How a secret is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = KeyRotation)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// Seconds that the old secret signs beside the new one, so that the receiver can be told in its time: at most 30 days.
    /// Default: one day
    grace_seconds: Option<u64>,
}

impl From<webhooks::Delivery> for Delivery {
    fn from(delivery: webhooks::Delivery) -> Self {
        Self {
            event: delivery.event.to_string(),
            kind: delivery.kind.as_str(),
            at: delivery.at.into(),
            tries: delivery.tries,
            delivered: delivery.is_done(),
            status: delivery.status,
            error: delivery.error,
            milliseconds: delivery.milliseconds,
        }
    }
}

impl Webhook {
    /// A webhook as it is shown. Lists leave out the last deliveries.
    fn of(webhook: &webhooks::Webhook, progress: Progress, with_deliveries: bool) -> Self {
        let names = |names: &std::collections::BTreeSet<Name>| names.iter().map(ToString::to_string).collect();
        let failing = progress.failing_since.filter(|_| webhook.disabled.is_none());
        let last = progress.last.iter().find(|delivery| !delivery.is_done()).map(webhooks::Delivery::outcome);
        let (state, problem, since) = match (&webhook.disabled, failing) {
            (Some(disabled), _) => ("disabled", Some(disabled.reason.clone()), Some(disabled.at)),
            (None, Some(since)) => ("failing", last, Some(since)),
            (None, None) => ("working", None, None),
        };
        let next_try_at = progress.next_try_at().filter(|_| webhook.disabled.is_none());
        let deliveries = if with_deliveries { progress.last.clone() } else { Vec::new() };
        Self {
            name: webhook.name.to_string(),
            url: webhook.url.to_string(),
            kinds: webhook.wants.kinds.iter().map(|kind| kind.as_str()).collect(),
            integrations: names(&webhook.wants.integrations),
            organizations: names(&webhook.wants.organizations),
            state,
            problem,
            problem_since: since.map(Time::from),
            next_try_at: next_try_at.map(Time::from),
            waiting: progress.waiting(),
            delivered: progress.delivered,
            given_up: progress.given_up,
            succeeded_at: progress.succeeded_at.map(Time::from),
            old_secret_signs_until: webhook.former_until.map(Time::from),
            deliveries: deliveries.into_iter().map(Delivery::from).collect(),
            secret: None,
            created_at: webhook.created_at.into(),
            updated_at: webhook.updated_at.into(),
            revision: webhook.revision,
        }
    }

    fn with_secret(mut self, secret: &SecretString) -> Self {
        self.secret = Some(secret.expose_secret().to_owned());
        self
    }

    /// The answer, with the revision as its `ETag`.
    fn answer(&self, status: StatusCode) -> Response {
        tagged(status, self.revision, self)
    }
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::NotFound(name) => Self::not_found("webhook", name),
            WebhookError::Exists(_) => Self::new(Code::Exists, error.to_string()),
            WebhookError::Changed => Self::new(Code::Changed, error.to_string()),
            WebhookError::Invalid(faults) => Self::invalid(faults.into_iter().map(Fault::from).collect()),
            WebhookError::Seal(error) => Self::internal(error),
            WebhookError::Store(error) => error.into(),
        }
    }
}

/// What webhooks are about: all events there are.
const ALL: &str = "webhooks belong to the whole installation";

/// Lists the webhooks, by name
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks", params(super::Paging),
    responses((status = 200, description = "A page of webhooks", body = Page<Webhook>)))]
async fn list(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Page<Webhook>>, Problem> {
    caller.require_all(ALL).await?;
    let wanted = Wanted::<Name>::of(&uri)?;
    let all = api.webhooks.list().into_iter();
    let after = all.filter(|(webhook, _)| wanted.after.as_ref().is_none_or(|after| webhook.name > *after));
    let read = after.take(wanted.to_read()).collect();
    let view =
        |(webhook, progress): (std::sync::Arc<webhooks::Webhook>, Progress)| Webhook::of(&webhook, progress, false);
    Ok(axum::Json(wanted.page(read, |(webhook, _)| webhook.name.to_string(), view)))
}

/// Makes a webhook, which gets the events from now on
///
/// Deliveries are signed as Standard Webhooks says: `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over
/// `{webhook-id}.{webhook-timestamp}.{body}`. A receiver answers 200 to 299 within 15 seconds; anything else is tried again for about a
/// day. The same event has the same `webhook-id` each time, and may come more than once.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks", request_body = NewWebhook,
    responses((status = 201, description = "The webhook, with its secret, which is shown this once", body = Webhook, headers(("ETag" = String)))))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Json(new): Json<NewWebhook>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let mut faults = Vec::new();
    let Some(name) = named("name", &new.name, &mut faults) else { return Err(Problem::invalid(faults)) };
    let change = webhooks::WebhookChange {
        url: Some(new.url),
        kinds: new.kinds,
        integrations: new.integrations,
        organizations: new.organizations,
        enabled: new.enabled,
        expected: None,
    };
    let location = format!("/v1/webhooks/{name}");
    let (made, progress, secret) = api.webhooks.create(name, change).await?;
    caller.note_secret("secret", &secret);
    caller.note_detail("to", made.url.origin().ascii_serialization());
    let answer = Webhook::of(&made, progress, true).with_secret(&secret).answer(StatusCode::CREATED);
    Ok(([(header::LOCATION, location)], answer).into_response())
}

/// Shows a webhook and its last deliveries
#[utoipa::path(get, path = "/v1/webhooks/{webhook}", tag = "webhooks",
    params(("webhook" = String, Path, description = "Its name")),
    responses((status = 200, description = "The webhook", body = Webhook, headers(("ETag" = String)))))]
async fn get(State(api): State<Api>, Path(webhook): Path<String>, caller: Caller) -> Result<Response, Problem> {
    caller.require_all(ALL).await?;
    let (found, progress) = api.webhooks.read(&name(&webhook, "webhook")?)?;
    Ok(Webhook::of(&found, progress, true).answer(StatusCode::OK))
}

/// Changes a webhook; what failed is tried again at once
#[utoipa::path(patch, path = "/v1/webhooks/{webhook}", tag = "webhooks", request_body = WebhookChange,
    params(("webhook" = String, Path, description = "Its name"),
        ("If-Match" = Option<String>, Header, description = "The ETag that it must have")),
    responses((status = 200, description = "The webhook as it is now", body = Webhook, headers(("ETag" = String)))))]
async fn change(
    State(api): State<Api>,
    Path(webhook): Path<String>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    Json(change): Json<WebhookChange>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let expected = expected(&headers)?;
    let change = webhooks::WebhookChange {
        url: change.url,
        kinds: change.kinds,
        integrations: change.integrations,
        organizations: change.organizations,
        enabled: change.enabled,
        expected,
    };
    let name = name(&webhook, "webhook")?;
    let (before, _) = api.webhooks.read(&name)?;
    let changed = api.webhooks.change(&name, change).await.map_err(|error| match error {
        WebhookError::Changed if expected.is_some() => Problem::new(Code::PreconditionFailed, error.to_string()),
        error => error.into(),
    });
    let (webhook, progress) = changed?;
    caller.note_detail("to", webhook.url.origin().ascii_serialization());
    caller.note_changes(&configured(&before), &configured(&webhook));
    Ok(Webhook::of(&webhook, progress, true).answer(StatusCode::OK))
}

/// What operators set of a webhook.
fn configured(webhook: &webhooks::Webhook) -> Value {
    let webhooks::Wants { kinds, integrations, organizations } = &webhook.wants;
    json!({"url": webhook.url, "kinds": kinds, "integrations": integrations, "organizations": organizations,
        "enabled": webhook.disabled.is_none()})
}

/// Deletes a webhook; what wasn't delivered isn't any more
#[utoipa::path(delete, path = "/v1/webhooks/{webhook}", tag = "webhooks",
    params(("webhook" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is gone")))]
async fn delete(State(api): State<Api>, Path(webhook): Path<String>, caller: Caller) -> Result<StatusCode, Problem> {
    caller.require_all(ALL).await?;
    api.webhooks.delete(&name(&webhook, "webhook")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a webhook an event of kind `webhook.test`, disabled or not, and tells what became of it
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/test", tag = "webhooks",
    params(("webhook" = String, Path, description = "Its name")),
    responses((status = 200, description = "What became of it", body = Delivery)))]
async fn test(
    State(api): State<Api>,
    Path(webhook): Path<String>,
    caller: Caller,
) -> Result<axum::Json<Delivery>, Problem> {
    caller.require_all(ALL).await?;
    Ok(axum::Json(api.webhooks.test(&name(&webhook, "webhook")?).await?.into()))
}

/// Gives a webhook another secret, which is shown this once
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/secret", tag = "webhooks", request_body = Rotation,
    params(("webhook" = String, Path, description = "Its name")),
    responses((status = 200, description = "The webhook, with its new secret", body = Webhook, headers(("ETag" = String)))))]
async fn rotate(
    State(api): State<Api>,
    Path(webhook): Path<String>,
    caller: Caller,
    uri: Uri,
    Json(rotation): Json<Rotation>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let grace = rotation.grace_seconds.map_or(GRACE, Duration::from_secs);
    if grace > LONGEST_GRACE {
        let message = format!("must be at most {} (30 days)", LONGEST_GRACE.as_secs());
        return Err(Problem::invalid(vec![Fault::new("grace_seconds", "not_allowed", message)]));
    }
    let name = name(&webhook, "webhook")?;
    let (webhook, secret) = api.webhooks.rotate(&name, grace).await?;
    caller.note_secret("secret", &secret);
    let (_, progress) = api.webhooks.read(&name)?;
    Ok(Webhook::of(&webhook, progress, true).with_secret(&secret).answer(StatusCode::OK))
}
