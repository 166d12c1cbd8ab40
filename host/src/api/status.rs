//! What an operator looks at first: the daemon, what needs attention and what to do about it, and how much is well.
//!
//! It takes what the rooms keep in memory of what is wrong (`tokens::Attention`, …), so that a look costs as much as there is
//! wrong, and not as much as there is.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::Uri;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::backups::Restoration;
use super::caller::Caller;
use super::keys::finish_steps;
use super::problem::Problem;
use super::query::Query;
use super::state::Api;
use super::time::Time;
use crate::access::{Ending, PrincipalKind, Right};
use crate::backup;
use crate::calls::Outage;
use crate::name::Name;
use crate::seal::MasterStatus;
use crate::shelf::Standing;
use crate::tokens::{Concern, ConcernKind};
use crate::webhooks::{Progress, Webhook};

/// Things shown where nobody says how many.
const DEFAULT: u64 = 100;
/// Things shown at most.
const MOST: u64 = 1_000;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(show))
}

/// How things are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatusReport)]
struct Status {
    /// The daemon.
    daemon: DaemonStatus,
    /// What needs attention, the worst first.
    attention: Vec<Item>,
    /// How many further things need attention.
    more: usize,
    /// What needs none.
    healthy: Healthy,
    /// Whether all integrations have been looked at since the daemon started; until then, some that need attention may be missing.
    complete: bool,
}

/// The daemon.
#[derive(Debug, Serialize, ToSchema)]
struct DaemonStatus {
    /// Its version.
    version: &'static str,
    /// Seconds since it started.
    uptime_seconds: u64,
    /// Whether it takes calls: false while it stops.
    ready: bool,
    /// The backup that its data came from, for those who may operate the daemon; absent where it came from none.
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<Restoration>,
}

/// Something that needs attention.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Item {
    /// What is wrong: `person_needed`, `failing`, `service_unavailable`, `incomplete`, `flow_missing`, `flow_quarantined`, `flow_not_served`,
    /// `webhook_disabled`, `webhook_failing`, `expiring`, `personal_token_ending`, `restored`, `backup_failing`,
    /// `key_rotation_pending`, `resealing_stuck`. Further kinds may follow.
    kind: &'static str,
    /// `error`: something doesn't work; `warning`: something won't.
    severity: &'static str,
    /// What it is about, e.g. `integration/crm`.
    subject: String,
    /// The integration, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    integration: Option<String>,
    /// The organization that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    /// The scheme, where it isn't the integration's first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
    /// The scopes of the token, where they aren't the integration's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<String>,
    /// What is wrong, for people.
    message: String,
    /// The command that helps.
    remedy: String,
    /// The integration's field to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    /// When the next attempt may be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Time>,
    /// Until when it works all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    works_until: Option<Time>,
}

/// How much is well.
#[derive(Debug, Serialize, ToSchema)]
struct Healthy {
    /// Integrations that the caller may see.
    integrations: usize,
    /// Flows.
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<usize>,
    /// Webhooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<usize>,
}

/// How bad things are, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Person,
    Failing,
    Service,
    Incomplete,
    Flow,
    Webhook,
    Keys,
    Backup,
    Restored,
    Expiring,
    Personal,
}

impl Item {
    fn of_concern(concern: Concern) -> (Rank, Self) {
        let rank = match concern.kind {
            ConcernKind::PersonNeeded => Rank::Person,
            ConcernKind::Failing => Rank::Failing,
            ConcernKind::Incomplete => Rank::Incomplete,
            ConcernKind::FlowMissing => Rank::Flow,
            ConcernKind::Expiring => Rank::Expiring,
        };
        let still_works = concern.works_until.is_some() || concern.kind == ConcernKind::Expiring;
        let item = Self {
            kind: concern.kind.as_str(),
            severity: if still_works { "warning" } else { "error" },
            subject: format!("integration/{}", concern.integration),
            integration: Some(concern.integration.to_string()),
            organization: Some(concern.organization.to_string()),
            scheme: concern.scheme,
            scopes: concern.scopes,
            message: concern.message,
            remedy: concern.remedy,
            field: concern.field,
            since: concern.since.map(Time::from),
            retry_at: concern.retry_at.map(Time::from),
            works_until: concern.works_until.map(Time::from),
        };
        (rank, item)
    }

    /// What is wrong with something else than an integration.
    fn of(kind: &'static str, subject: String, message: String, remedy: String, since: Option<DateTime<Utc>>) -> Self {
        Self {
            kind,
            severity: "error",
            subject,
            integration: None,
            organization: None,
            scheme: None,
            scopes: None,
            message,
            remedy,
            field: None,
            since: since.map(Time::from),
            retry_at: None,
            works_until: None,
        }
    }

    /// A service that is given a rest.
    fn of_outage(outage: Outage, organization: &Name) -> (Rank, Self) {
        let (name, since) = (outage.integration, Some(outage.since));
        let message = "its service fails, and no calls are made for a while".to_owned();
        let remedy = format!("tokenhost integration show {name}");
        let item = Self::of("service_unavailable", format!("integration/{name}"), message, remedy, since);
        let (integration, organization) = (Some(name.to_string()), Some(organization.to_string()));
        let retry_at = outage.retry_at.map(Time::from);
        (Rank::Service, Self { integration, organization, retry_at, ..item })
    }

    /// What is wrong with a flow, if anything is.
    fn of_flow(flow: &Standing) -> Option<(Rank, Self)> {
        let subject = format!("flow/{}", flow.name);
        if let Some(problem) = &flow.problem {
            let remedy = format!("tokenhost flow show {}", flow.name);
            return Some((Rank::Flow, Self::of("flow_not_served", subject, problem.clone(), remedy, None)));
        }
        let quarantine = flow.record.as_ref()?.quarantine.as_ref()?;
        let remedy = format!("tokenhost flow release {}", flow.name);
        let item = Self::of("flow_quarantined", subject, quarantine.reason.clone(), remedy, Some(quarantine.since));
        Some((Rank::Flow, item))
    }

    /// What is wrong with a webhook, if anything is. That somebody disabled it is as they want it.
    fn of_webhook(webhook: &Webhook, progress: &Progress) -> Option<(Rank, Self)> {
        let subject = format!("webhook/{}", webhook.name);
        if let Some(disabled) = &webhook.disabled {
            let remedy = format!("tokenhost webhook change {} --enable", webhook.name);
            let reason = disabled.reason.clone();
            let item = Self::of("webhook_disabled", subject, reason, remedy, Some(disabled.at));
            return progress.is_down().then_some((Rank::Webhook, item));
        }
        let since = progress.failing_since.filter(|_| progress.is_down())?;
        let last = progress.last.iter().find(|delivery| !delivery.is_done());
        let message = last.map_or_else(|| "nothing is delivered".to_owned(), |delivery| delivery.outcome());
        let remedy = format!("tokenhost webhook test {}", webhook.name);
        let item = Self::of("webhook_failing", subject, message, remedy, Some(since));
        Some((Rank::Webhook, Self { retry_at: progress.next_try_at().map(Time::from), ..item }))
    }

    /// A rotation of the master key that isn't over, and values that can't be sealed anew.
    fn of_keys(master: MasterStatus, problem: Option<String>, finish: String) -> Vec<(Rank, Self)> {
        let subject = || "keys".to_owned();
        let pending = master.next.map(|next| {
            let message = format!("two master keys open the data, until the new one ({}) is the setting", next.id);
            Self::of("key_rotation_pending", subject(), message, finish, next.since)
        });
        let stuck = problem
            .map(|problem| Self::of("resealing_stuck", subject(), problem, "tokenhost key status".to_owned(), None));
        pending.into_iter().chain(stuck).map(|item| (Rank::Keys, Self { severity: "warning", ..item })).collect()
    }

    /// That no backups are made any more that should be.
    fn of_backups(standing: backup::Standing) -> Option<(Rank, Self)> {
        let failure = standing.failure?;
        let message = format!("no backup can be made: {}", failure.message);
        let remedy = "tokenhost backup list".to_owned();
        let item = Self::of("backup_failing", "backups".to_owned(), message, remedy, Some(failure.since));
        Some((Rank::Backup, Self { retry_at: Some(failure.retry_at.into()), ..item }))
    }

    /// That all data came from a backup.
    fn of_restoration(restoration: &backup::Restoration) -> (Rank, Self) {
        let made_at = restoration.made_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let message = format!(
            "the data came from the backup of {made_at}: what was changed since isn't here, inbound tokens that were deleted or \
             rebuilt since work as before, and {} refresh tokens are uncertain",
            restoration.uncertain
        );
        let remedy = "tokenhost restore acknowledge".to_owned();
        let item = Self::of("restored", "daemon".to_owned(), message, remedy, Some(restoration.restored_at));
        (Rank::Restored, Self { severity: "warning", ..item })
    }

    fn of_ending(ending: Ending) -> (Rank, Self) {
        let subject = format!("personal-token/{}", ending.id);
        let item = Self::of("personal_token_ending", subject, ending.message(), ending.remedy(), None);
        let organization = ending.organization.map(String::from);
        let item = Self { severity: "warning", organization, works_until: Some(ending.expires_at.into()), ..item };
        (Rank::Personal, item)
    }
}

/// How many things.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct Most {
    /// Things that need attention shown at most, 1 to 1000. Default: 100
    limit: Option<u64>,
}

/// Shows what needs attention, the worst first, with the command that helps
///
/// Only what the caller may see: integrations by the right to read these, flows by the right to read flows, webhooks by the right to
/// operate the daemon, personal tokens by the right to read principals, and one's own.
#[utoipa::path(get, path = "/v1/status", tag = "operations", params(Most),
    responses((status = 200, description = "How things are", body = Status)))]
async fn show(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Status>, Problem> {
    let mut query = Query::of(&uri);
    let limit = query.number("limit", 1..=MOST).unwrap_or(DEFAULT);
    query.finish()?;
    let limit = usize::try_from(limit).unwrap_or(1);
    let right = Right::ReadIntegrations;
    let (everything, nothing) = (caller.may_everywhere(right), !caller.may_somewhere(right));
    let sees = |name: &Name, organization: &Name| everything || (!nothing && caller.may_on(right, name, organization));
    let attention = api.tokens.attention(sees, limit).await?;
    let mut restored = None;
    let mut healthy = Healthy { integrations: attention.healthy, flows: None, webhooks: None };
    let mut items: Vec<(Rank, Item)> = attention.concerns.into_iter().map(Item::of_concern).collect();
    for outage in api.calls.outages() {
        let organization = api.integrations.organization_of(&outage.integration).await?;
        if let Some(organization) = organization.filter(|organization| sees(&outage.integration, organization)) {
            items.push(Item::of_outage(outage, &organization));
        }
    }
    if caller.may(Right::ReadFlows) {
        let flows = api.shelf.list();
        let ill: Vec<_> = flows.iter().filter_map(Item::of_flow).collect();
        healthy.flows = Some(flows.len().saturating_sub(ill.len()));
        items.extend(ill);
    }
    if caller.may_everywhere(Right::Operate) {
        let webhooks = api.webhooks.list();
        let ill: Vec<_> =
            webhooks.iter().filter_map(|(webhook, progress)| Item::of_webhook(webhook, progress)).collect();
        healthy.webhooks = Some(webhooks.len().saturating_sub(ill.len()));
        items.extend(ill);
        let (master, _) = api.keys.custody().status().await?;
        items.extend(Item::of_keys(master, api.keys.work().1, finish_steps(&api.settings.current())));
        items.extend(api.backups.standing().and_then(Item::of_backups));
        restored = api.backups.restoration().await?;
        let is_news = |restoration: &&backup::Restoration| restoration.is_news(api.clock.now());
        items.extend(restored.as_ref().filter(is_news).map(Item::of_restoration));
    }
    let may_see = |ending: &Ending| {
        let is_own = caller.kind == PrincipalKind::User && caller.name == ending.user.as_str();
        let organization = ending.organization.as_ref();
        is_own || organization.is_some_and(|organization| caller.may_in(Right::ReadPrincipals, organization))
    };
    items.extend(api.access.ending().await?.into_iter().filter(may_see).map(Item::of_ending));
    // What doesn't work comes before what won't. Within a rank, the rooms have said what comes first.
    items.sort_by_key(|(rank, item)| (item.severity == "warning", *rank));
    let more = attention.more + items.len().saturating_sub(limit);
    items.truncate(limit);
    let daemon = DaemonStatus {
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: api.clock.elapsed().saturating_sub(api.started).as_secs(),
        ready: !api.stopping.load(Ordering::Relaxed),
        restored: restored.map(Restoration::from),
    };
    let attention_items = items.into_iter().map(|(_, item)| item).collect();
    Ok(axum::Json(Status { daemon, attention: attention_items, more, healthy, complete: attention.is_complete }))
}
