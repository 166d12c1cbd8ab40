//! What can be exported: the columns of each noun, and its rows in pages, narrowed to what the caller sees. No column holds a
//! secret.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::caller::Caller;
use super::super::problem::Problem;
use super::super::state::Api;
use super::super::time::Time;
use crate::access::application::ApplicationToken;
use crate::access::personal::PersonalToken;
use crate::access::user::User;
use crate::access::{AccessError, Reason, Right, Standing, UsageRecord, id_text, parse_id};
use crate::audit::{Filter, Record, Window};
use crate::integrations::{Integration, IntegrationError, ModelSummary, Visible};
use crate::name::Name;
use crate::organizations::Organization;
use crate::text::Login;
use crate::tokens::{Status as TokenStatus, TokenKey};

/// Rows read at once: what an export holds in memory.
const PAGE: usize = 200;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Integrations,
    Models,
    Users,
    Organizations,
    ApplicationTokens,
    PersonalTokens,
    Audit,
}

/// A part of what is exported.
#[derive(Debug)]
pub(super) struct Rows {
    /// Cells in the order of the columns that were asked for. There may be none, and more to come.
    pub(super) rows: Vec<Vec<Value>>,
    /// Where to go on; none: this was all.
    pub(super) next: Option<String>,
}

/// A column: its name, and what stands in it.
type Column<T> = (&'static str, fn(&T) -> Value);

/// A noun that can be exported.
trait Listing: Sized + Send + 'static {
    /// Its columns, in order.
    const COLUMNS: &'static [Column<Self>];

    /// The next ones that the caller sees, and where to go on if there may be more.
    fn page(
        api: &Api,
        caller: &Caller,
        after: Option<&str>,
    ) -> impl Future<Output = Result<(Vec<Self>, Option<String>), Problem>> + Send;
}

impl What {
    pub(super) const ALL: [Self; 7] = [
        Self::Integrations,
        Self::Models,
        Self::Users,
        Self::Organizations,
        Self::ApplicationTokens,
        Self::PersonalTokens,
        Self::Audit,
    ];

    /// Its name in parameters and files.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Integrations => "integrations",
            Self::Models => "models",
            Self::Users => "users",
            Self::Organizations => "organizations",
            Self::ApplicationTokens => "application-tokens",
            Self::PersonalTokens => "personal-tokens",
            Self::Audit => "audit",
        }
    }

    /// The one of this name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.as_str() == name)
    }

    /// The names of its columns, in order.
    pub(super) fn columns(self) -> Vec<&'static str> {
        fn names<T: Listing>() -> Vec<&'static str> {
            T::COLUMNS.iter().map(|(name, _)| *name).collect()
        }
        match self {
            Self::Integrations => names::<(Integration, TokenStatus)>(),
            Self::Models => names::<ModelSummary>(),
            Self::Users => names::<User>(),
            Self::Organizations => names::<Organization>(),
            Self::ApplicationTokens => names::<(ApplicationToken, UsageRecord)>(),
            Self::PersonalTokens => names::<(PersonalToken, UsageRecord)>(),
            Self::Audit => names::<Record>(),
        }
    }

    /// Refuses a caller who may see none of it.
    pub(super) async fn check(self, caller: &Caller) -> Result<(), Problem> {
        let somewhere = match self {
            Self::Integrations => Right::ReadIntegrations,
            Self::Models => Right::ReadModels,
            Self::Users | Self::Organizations | Self::ApplicationTokens | Self::PersonalTokens => {
                return caller.require(Right::ReadPrincipals).await;
            }
            Self::Audit => {
                caller.require(Right::ReadAudit).await?;
                return caller.require_all("the log is about all").await;
            }
        };
        match caller.may_somewhere(somewhere) {
            true => Ok(()),
            false => Err(caller.refuse(Reason::RightMissing, somewhere.as_str()).await),
        }
    }

    /// The rows after this place, or the first ones, with the columns of these numbers.
    pub(super) async fn rows(
        self,
        api: &Api,
        caller: &Caller,
        after: Option<&str>,
        columns: &[usize],
    ) -> Result<Rows, Problem> {
        match self {
            Self::Integrations => rows::<(Integration, TokenStatus)>(api, caller, after, columns).await,
            Self::Models => rows::<ModelSummary>(api, caller, after, columns).await,
            Self::Users => rows::<User>(api, caller, after, columns).await,
            Self::Organizations => rows::<Organization>(api, caller, after, columns).await,
            Self::ApplicationTokens => rows::<(ApplicationToken, UsageRecord)>(api, caller, after, columns).await,
            Self::PersonalTokens => rows::<(PersonalToken, UsageRecord)>(api, caller, after, columns).await,
            Self::Audit => rows::<Record>(api, caller, after, columns).await,
        }
    }
}

async fn rows<T: Listing>(api: &Api, caller: &Caller, after: Option<&str>, columns: &[usize]) -> Result<Rows, Problem> {
    let (page, next) = T::page(api, caller, after).await?;
    let cells =
        |one: &T| columns.iter().filter_map(|index| T::COLUMNS.get(*index)).map(|(_, cell)| cell(one)).collect();
    Ok(Rows { rows: page.iter().map(cells).collect(), next })
}

/// The place of the last one, where a page is full.
fn next<T>(page: &[T], id: impl Fn(&T) -> String) -> Option<String> {
    page.last().filter(|_| page.len() == PAGE).map(id)
}

fn list<T: ToString>(items: &[T]) -> Value {
    items.iter().map(T::to_string).collect()
}

fn cell(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn time(time: DateTime<Utc>) -> Value {
    cell(Time::from(time))
}

fn time_if(at: Option<DateTime<Utc>>) -> Value {
    at.map_or(Value::Null, time)
}

fn status(standing: &Standing) -> Value {
    json!(standing.status.as_str())
}

/// The further schemes of an integration, as an import takes them. Null where there are none.
fn schemes(integration: &Integration) -> Value {
    let further = integration.further.iter();
    let members = further.map(|(scheme, bound)| (scheme.clone(), json!({"flow": bound.flow, "fields": bound.values})));
    let members: serde_json::Map<_, _> = members.collect();
    if members.is_empty() { Value::Null } else { Value::Object(members) }
}

impl Listing for (Integration, TokenStatus) {
    const COLUMNS: &'static [Column<Self>] = &[
        ("name", |(one, _)| json!(one.name.as_str())),
        ("organization", |(one, _)| json!(one.organization.as_str())),
        ("model", |(one, _)| json!(one.model.as_str())),
        ("scheme", |(one, _)| json!(one.scheme)),
        ("detail", |(one, _)| json!(one.detail)),
        ("flow", |(one, _)| json!(one.flow)),
        ("server", |(one, _)| cell(&one.server)),
        ("fields", |(one, _)| json!(one.values)),
        ("schemes", |(one, _)| schemes(one)),
        ("secrets", |(one, _)| one.secrets.names().collect()),
        ("token.state", |(_, token)| cell(token.state)),
        ("token.generation", |(_, token)| json!(token.generation)),
        ("token.expires_at", |(_, token)| time_if(token.expires_at)),
        ("created_at", |(one, _)| time(one.created_at)),
        ("updated_at", |(one, _)| time(one.updated_at)),
        ("revision", |(one, _)| json!(one.revision)),
    ];

    async fn page(api: &Api, caller: &Caller, after: Option<&str>) -> Result<(Vec<Self>, Option<String>), Problem> {
        let after = after.and_then(|after| after.parse::<Name>().ok());
        let shown = |name: &Name, organization: &Name| caller.may_on(Right::ReadIntegrations, name, organization);
        let shown: Option<Visible<'_>> =
            if caller.may_everywhere(Right::ReadIntegrations) { None } else { Some(&shown) };
        let listed = api.integrations.list(after.as_ref(), PAGE, shown).await?;
        let next = next(&listed, |one| one.name.to_string());
        let mut page = Vec::with_capacity(listed.len());
        for one in listed {
            match api.integrations.read(&one.name).await {
                Ok(integration) => page.push((integration, api.tokens.status(&TokenKey::of(&one.name)).await?)),
                // Deleted since it was listed.
                Err(IntegrationError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok((page, next))
    }
}

impl Listing for ModelSummary {
    const COLUMNS: &'static [Column<Self>] = &[
        ("name", |one| json!(one.name.as_str())),
        ("organization", |one| json!(one.organization.as_str())),
        ("title", |one| json!(one.title)),
        ("version", |one| json!(one.version)),
        ("imported_at", |one| time(one.imported_at)),
    ];

    async fn page(api: &Api, caller: &Caller, after: Option<&str>) -> Result<(Vec<Self>, Option<String>), Problem> {
        let after = after.and_then(|after| after.parse::<Name>().ok());
        let shown = |_: &Name, organization: &Name| caller.may_in(Right::ReadModels, organization);
        let shown: Option<Visible<'_>> = if caller.may_everywhere(Right::ReadModels) { None } else { Some(&shown) };
        let page = api.models.list(after.as_ref(), PAGE, shown).await?;
        let next = next(&page, |one| one.name.to_string());
        Ok((page, next))
    }
}

impl Listing for User {
    const COLUMNS: &'static [Column<Self>] = &[
        ("login", |one| json!(one.login.as_str())),
        ("status", |one| status(&one.standing)),
        ("contact.first_name", |one| json!(one.standing.contact.first_name)),
        ("contact.name", |one| json!(one.standing.contact.name)),
        ("contact.email", |one| json!(one.standing.contact.email)),
        ("contact.organization", |one| json!(one.standing.contact.organization.as_str())),
        ("profiles", |one| list(&one.standing.profiles)),
        ("allowed_organizations", |one| list(&one.standing.allowed_organizations)),
        ("language", |one| json!(one.language)),
        ("external", |one| json!(one.external)),
        ("has_password", |one| json!(one.has_password)),
        ("source", |one| cell(&one.source)),
        ("created_by", |one| json!(one.created_by)),
        ("created_at", |one| time(one.created_at)),
        ("updated_at", |one| time(one.updated_at)),
        ("revision", |one| json!(one.revision)),
    ];

    async fn page(api: &Api, caller: &Caller, after: Option<&str>) -> Result<(Vec<Self>, Option<String>), Problem> {
        let after = after.and_then(|after| after.parse::<Login>().ok());
        let mut page = api.access.users(after.as_ref(), PAGE).await?;
        let next = next(&page, |one| one.login.to_string());
        page.retain(|one| caller.sees(&one.standing.contact.organization));
        Ok((page, next))
    }
}

impl Listing for Organization {
    const COLUMNS: &'static [Column<Self>] = &[
        ("name", |one| json!(one.name.as_str())),
        ("title", |one| json!(one.title)),
        ("parent", |one| cell(&one.parent)),
        ("source", |one| cell(&one.source)),
        ("created_at", |one| time(one.created_at)),
        ("updated_at", |one| time(one.updated_at)),
        ("revision", |one| json!(one.revision)),
    ];

    async fn page(api: &Api, caller: &Caller, after: Option<&str>) -> Result<(Vec<Self>, Option<String>), Problem> {
        let after = after.and_then(|after| after.parse::<Name>().ok());
        let mut page = api.organizations.list(after.as_ref(), PAGE).await?;
        let next = next(&page, |one| one.name.to_string());
        page.retain(|one| caller.sees(&one.name));
        Ok((page, next))
    }
}

impl Listing for (ApplicationToken, UsageRecord) {
    const COLUMNS: &'static [Column<Self>] = &[
        ("id", |(one, _)| json!(id_text(&one.id))),
        ("name", |(one, _)| json!(one.name.as_str())),
        ("state", |(one, _)| json!(one.state.as_str())),
        ("status", |(one, _)| status(&one.standing)),
        ("contact.first_name", |(one, _)| json!(one.standing.contact.first_name)),
        ("contact.name", |(one, _)| json!(one.standing.contact.name)),
        ("contact.email", |(one, _)| json!(one.standing.contact.email)),
        ("contact.organization", |(one, _)| json!(one.standing.contact.organization.as_str())),
        ("profiles", |(one, _)| list(&one.standing.profiles)),
        ("allowed_organizations", |(one, _)| list(&one.standing.allowed_organizations)),
        ("scopes", |(one, _)| list(&one.scopes)),
        ("expiration_date", |(one, _)| time_if(one.expires_at)),
        ("console", |(one, _)| json!(one.console)),
        ("use_count", |(_, usage)| json!(usage.count)),
        ("last_use", |(_, usage)| time_if(usage.last_use)),
        ("last_use_address", |(_, usage)| cell(usage.address)),
        ("rebuilt_at", |(one, _)| time_if(one.rebuilt_at)),
        ("deleted_at", |(one, _)| time_if(one.deleted.as_ref().map(|deletion| deletion.at))),
        ("deleted_by", |(one, _)| json!(one.deleted.as_ref().map(|deletion| &deletion.by))),
        ("source", |(one, _)| cell(&one.source)),
        ("created_by", |(one, _)| json!(one.created_by)),
        ("created_at", |(one, _)| time(one.created_at)),
        ("revision", |(one, _)| json!(one.revision)),
    ];

    async fn page(api: &Api, caller: &Caller, after: Option<&str>) -> Result<(Vec<Self>, Option<String>), Problem> {
        let after = after.and_then(parse_id);
        let read = api.access.applications(after.as_ref(), PAGE).await?;
        let next = next(&read, |one| id_text(&one.id).to_owned());
        let mut page = Vec::with_capacity(read.len());
        for one in read.into_iter().filter(|one| caller.sees(&one.standing.contact.organization)) {
            let usage = api.access.usage(&one.id).await?;
            page.push((one, usage));
        }
        Ok((page, next))
    }
}

impl Listing for (PersonalToken, UsageRecord) {
    const COLUMNS: &'static [Column<Self>] = &[
        ("id", |(one, _)| json!(id_text(&one.id))),
        ("user", |(one, _)| json!(one.user.as_str())),
        ("application", |(one, _)| json!(one.application.as_str())),
        ("state", |(one, _)| json!(one.state.as_str())),
        ("scopes", |(one, _)| list(&one.scopes)),
        ("expiration_date", |(one, _)| time(one.expires_at)),
        ("use_count", |(_, usage)| json!(usage.count)),
        ("last_use", |(_, usage)| time_if(usage.last_use)),
        ("last_use_address", |(_, usage)| cell(usage.address)),
        ("rebuilt_at", |(one, _)| time_if(one.rebuilt_at)),
        ("deleted_at", |(one, _)| time_if(one.deleted.as_ref().map(|deletion| deletion.at))),
        ("deleted_by", |(one, _)| json!(one.deleted.as_ref().map(|deletion| &deletion.by))),
        ("created_by", |(one, _)| json!(one.created_by)),
        ("created_at", |(one, _)| time(one.created_at)),
        ("revision", |(one, _)| json!(one.revision)),
    ];

    async fn page(api: &Api, caller: &Caller, after: Option<&str>) -> Result<(Vec<Self>, Option<String>), Problem> {
        let after = after.and_then(parse_id);
        let read = api.access.personals(after.as_ref(), PAGE).await?;
        let next = next(&read, |one| id_text(&one.id).to_owned());
        let mut seen: HashMap<Login, bool> = HashMap::new();
        let mut page = Vec::with_capacity(read.len());
        for one in read {
            if !sees_user(api, caller, &one.user, &mut seen).await? {
                continue;
            }
            let usage = api.access.usage(&one.id).await?;
            page.push((one, usage));
        }
        Ok((page, next))
    }
}

/// Whether the caller sees a user. Who doesn't see everything doesn't see those that are deleted.
async fn sees_user(
    api: &Api,
    caller: &Caller,
    login: &Login,
    seen: &mut HashMap<Login, bool>,
) -> Result<bool, Problem> {
    if caller.reach().is_none() {
        return Ok(true);
    }
    if let Some(sees) = seen.get(login) {
        return Ok(*sees);
    }
    let sees = match api.access.user(login).await {
        Ok(user) => caller.sees(&user.standing.contact.organization),
        Err(AccessError::NotFound { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    seen.insert(login.clone(), sees);
    Ok(sees)
}

impl Listing for Record {
    const COLUMNS: &'static [Column<Self>] = &[
        ("seq", |one| json!(one.seq)),
        ("at", |one| time(one.at)),
        ("actor.kind", |one| json!(one.entry.actor.kind.as_str())),
        ("actor.name", |one| json!(one.entry.actor.name)),
        ("actor.token_id", |one| json!(one.entry.actor.token_id)),
        ("action", |one| json!(one.entry.action)),
        ("object", |one| json!(one.entry.object)),
        ("address", |one| cell(one.entry.address)),
        ("outcome", |one| json!(one.entry.outcome.as_str())),
        ("reason", |one| json!(one.entry.reason)),
        ("tokens", |one| list(&one.entry.tokens)),
        ("details", |one| json!(one.entry.details)),
        ("digests", |one| cell(&one.entry.digests)),
        ("items", |one| cell(&one.entry.items)),
    ];

    /// From the first record to the one that was the last when the export began, so that a busy log has an end.
    async fn page(api: &Api, _: &Caller, after: Option<&str>) -> Result<(Vec<Self>, Option<String>), Problem> {
        let place = after.and_then(|after| after.split_once('/'));
        let (after, last) = match place {
            Some((after, last)) => (after.parse::<u64>().ok(), last.parse::<u64>().unwrap_or_default()),
            None => {
                let window = Window { after: None, limit: 1, newest_first: true };
                let newest = api.audit.list(&Filter::default(), window).await?;
                (None, newest.records.first().map_or(0, |record| record.seq))
            }
        };
        let window = Window { after, limit: PAGE, newest_first: false };
        let read = api.audit.list(&Filter::default(), window).await?;
        if let Some(altered) = read.unreadable.first() {
            // What is left of the log would look like all of it.
            return Err(Problem::internal(format!(
                "record {altered} of the audit log isn't one any more; verify the log"
            )));
        }
        let next = read.next.filter(|next| *next < last).map(|next| format!("{next}/{last}"));
        let page = read.records.into_iter().filter(|record| record.seq <= last).collect();
        Ok((page, next))
    }
}
