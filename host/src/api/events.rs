//! Events over HTTP: a list in pages, and a stream. Who may see which is said here; what happened, in `notices`.

mod stream;

use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use ulid::Ulid;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use self::stream::Streams;
use super::caller::Caller;
use super::page::{Page, Wanted};
use super::problem::Problem;
use super::query::Query;
use super::state::Api;
use super::time::Time;
use crate::access::{Principal, PrincipalKind, Right};
use crate::name::Name;
use crate::notices::{self, Kind};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(kinds)).routes(routes!(stream::follow))
}

/// Something that happened. What doesn't concern it is absent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Event {
    /// Its id; those of later events are greater.
    id: String,
    /// When it happened.
    at: Time,
    /// What happened: `token.renewed`, `token.renewal_failing`, `token.recovered`, `token.expiring`, `token.person_needed`,
    /// `flow.quarantined`, `personal_token.expiring`, `service.unavailable`, `service.recovered`, `backup.failed`,
    /// `webhook.disabled`. Further kinds may follow.
    kind: &'static str,
    /// `info`, `warning` or `error`.
    severity: &'static str,
    /// What happened, for people.
    message: String,
    /// The command that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    /// The organization of what it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    /// The integration that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    integration: Option<String>,
    /// The flow that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    /// The public id of the personal token that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    personal_token: Option<String>,
    /// The login of the user that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// The webhook that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<String>,
    /// The scopes of the token, where they aren't the integration's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<String>,
    /// The generation of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
}

impl From<notices::Event> for Event {
    fn from(event: notices::Event) -> Self {
        Self {
            id: event.id.to_string(),
            at: event.at.into(),
            kind: event.kind.as_str(),
            severity: event.severity.as_str(),
            message: event.message,
            remedy: Some(event.remedy).filter(|remedy| !remedy.is_empty()),
            organization: event.organization.map(String::from),
            integration: event.integration.map(String::from),
            flow: event.flow,
            personal_token: event.personal_token,
            user: event.user,
            webhook: event.webhook.map(String::from),
            scopes: event.scopes,
            generation: event.generation,
        }
    }
}

/// The kinds of events.
#[derive(Serialize, ToSchema)]
struct EventKinds {
    /// All of them.
    items: Vec<EventKind>,
}

/// A kind of events.
#[derive(Serialize, ToSchema)]
struct EventKind {
    /// As events and webhooks name it.
    name: &'static str,
    /// When there is such an event.
    meaning: &'static str,
    /// `info`, `warning` or `error`, where an event doesn't say otherwise.
    severity: &'static str,
}

/// Whether somebody may see an event.
fn may_see(who: &Principal, event: &notices::Event) -> bool {
    if who.kind == PrincipalKind::User && event.user.as_ref() == Some(&who.name) {
        return true;
    }
    if event.webhook.is_some() || matches!(event.kind, Kind::BackupFailed | Kind::KeyRotated) {
        return who.may_everywhere(Right::Operate);
    }
    match (&event.personal_token, &event.organization, &event.integration, &event.flow) {
        (Some(_), Some(organization), ..) => who.may_in(Right::ReadPrincipals, organization),
        (None, Some(organization), Some(integration), _) => {
            who.may_on(Right::ReadIntegrations, integration, organization)
        }
        (None, None, None, Some(_)) => who.may(Right::ReadFlows),
        _ => false,
    }
}

/// Which events somebody wants to see.
#[derive(Clone, Debug, Default)]
struct Filter {
    kinds: Vec<Kind>,
    integration: Option<Name>,
}

impl Filter {
    /// Reads `kind` and `integration`.
    fn read(query: &mut Query) -> Self {
        let mut filter = Self::default();
        for word in query.text("kind").iter().flat_map(|text| text.split(',')).map(str::trim) {
            match Kind::of_name(word) {
                Some(kind) => filter.kinds.push(kind),
                None => {
                    let known: Vec<&str> = Kind::ALL.iter().map(|(kind, _)| kind.as_str()).collect();
                    query.fault("kind", &format!("must be one or several, with commas, of {}", known.join(", ")));
                }
            }
        }
        if let Some(text) = query.text("integration") {
            match text.parse() {
                Ok(name) => filter.integration = Some(name),
                Err(_) => query.fault("integration", "is no name of an integration"),
            }
        }
        filter
    }

    fn shows(&self, event: &notices::Event) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.integration.as_ref().is_none_or(|name| event.integration.as_ref() == Some(name))
    }
}

/// Reads `after`, an event's id.
fn read_after(query: &mut Query) -> Option<Ulid> {
    let text = query.text("after")?;
    let id = Ulid::from_string(&text).ok();
    if id.is_none() {
        query.fault("after", "is no event's id; it has 26 letters and digits");
    }
    id
}

/// Which events.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct Filtering {
    /// Only events of this kind, or of these, with commas
    kind: Option<String>,
    /// Only events about this integration
    integration: Option<String>,
    /// Only events after the one with this id
    after: Option<String>,
}

/// Lists the kinds of events, which webhooks choose among
#[utoipa::path(get, path = "/v1/events/kinds", tag = "events",
    responses((status = 200, description = "The kinds", body = EventKinds)))]
async fn kinds(uri: Uri) -> Result<axum::Json<EventKinds>, Problem> {
    Query::of(&uri).finish()?;
    let kind = |(kind, meaning): &(Kind, &'static str)| EventKind {
        name: kind.as_str(),
        meaning: meaning.trim(),
        severity: kind.severity().as_str(),
    };
    Ok(axum::Json(EventKinds { items: Kind::ALL.iter().map(kind).collect() }))
}

/// Lists the events that the caller may see, the newest first; with `after`, the oldest first
///
/// Those of integrations take the right to read these; of personal tokens, to read principals, but for one's own; of flows, to
/// read flows; of webhooks, to operate the daemon.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(Filtering, super::Paging),
    responses((status = 200, description = "A page of events", body = Page<Event>)))]
async fn list(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Page<Event>>, Problem> {
    let mut query = Query::of(&uri);
    let (filter, after) = (Filter::read(&mut query), read_after(&mut query));
    let wanted = Wanted::<Ulid>::read(&mut query);
    query.finish()?;
    let mut sieve = wanted.sieve();
    while sieve.is_open() {
        let last = sieve.after().copied();
        let read = match after {
            Some(after) => {
                let found = api.notices.after(last.unwrap_or(after), sieve.to_read()).await?;
                found.into_iter().map(|event| notices::Event::clone(&event)).collect()
            }
            None => api.notices.before(last, sieve.to_read()).await?,
        };
        sieve.add(read, |event| event.id, |event| filter.shows(event) && may_see(&caller, event));
    }
    Ok(axum::Json(sieve.page(|event| event.id, Event::from)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notices::Notice;

    #[test]
    fn an_event_looks_the_same_in_a_list_and_in_a_webhook() {
        let (name, now) = ("crm".parse().unwrap(), chrono::DateTime::UNIX_EPOCH);
        let notice = Notice::new(Kind::PersonNeeded, "m").on(&name, &name).token(3, Some("a b")).remedy("r");
        let others = Notice::new(Kind::PersonalTokenExpiring, "m").personal_token("id", "ada", Some(&name));
        for notice in [notice, others, Notice::new(Kind::FlowQuarantined, "m").flow("f").webhook(&name)] {
            let event = notice.into_event(Ulid::from_parts(1, 1), now);
            let data = crate::webhooks::data(&event);
            assert_eq!(serde_json::to_value(Event::from(event)).unwrap(), data);
        }
    }
}
