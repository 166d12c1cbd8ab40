//! What is done for one row of an import or of a source: the same as by the kind's own call, with the same checks, and an
//! audit record of its own.
//!
//! Rows are independent: one that fails undoes no other. What is so already isn't written again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::super::body;
use super::super::caller::Caller;
use super::super::changes;
use super::super::integrations::{self, Change, given};
use super::super::organizations::{check_reach, named};
use super::super::principals::changed;
use super::super::principals::input::{NewApplicationToken, NewUser, PersonalTokenInput};
use super::super::problem::{Code, Fault, Problem};
use super::super::state::Api;
use super::report::{Done, Line, Status};
use super::rows::{Kind, Row};
use crate::access::application::{ApplicationChange, ApplicationToken};
use crate::access::personal::PersonalChange;
use crate::access::user::{User, UserChange};
use crate::access::{self, AccessError, Right, TokenState, id_text, parse_id};
use crate::audit::Entry;
use crate::integrations::IntegrationError;
use crate::name::Name;
use crate::organizations::{self, OrganizationError};
use crate::text::Login;

/// Rows at work at once: their writes share syncs.
const AT_ONCE: usize = 32;
/// How often rows of organizations are gone through to find those whose parents are there by now.
const PASSES: usize = 32;

/// One run over many rows.
pub(super) struct Run {
    api: Api,
    caller: Caller,
    /// Whether nothing is to be changed.
    dry_run: bool,
    /// What the audit log calls the run: `import`, or `synchro/SOURCE`.
    via: String,
    /// The source that owns what the rows make. It changes nothing that isn't its own.
    source: Option<Name>,
    /// Organizations that a dry run would have made.
    planned: Mutex<BTreeSet<Name>>,
    /// Whether the store failed, so that nothing more is tried.
    broken: AtomicBool,
}

/// A row of an organization.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationRow {
    name: String,
    #[serde(default, deserialize_with = "given")]
    title: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    parent: Option<Option<String>>,
}

/// What of a personal token's row isn't a change.
#[derive(Deserialize)]
struct PersonalKey {
    id: String,
    user: Option<String>,
}

fn read<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, Problem> {
    body::of_value(Value::Object(members))
}

fn fault(field: &str, code: &'static str, message: impl Into<String>) -> Problem {
    Problem::invalid(vec![Fault::new(field, code, message)])
}

/// The key of a row, as far as it has one.
pub(super) fn key_of(kind: Kind, row: &Row) -> Option<&str> {
    row.members.as_ref().ok()?.get(kind.key())?.as_str()
}

impl Run {
    /// A run of this caller.
    pub(super) fn new(api: Api, caller: Caller, dry_run: bool, source: Option<Name>) -> Self {
        let via = source.as_ref().map_or_else(|| "import".to_owned(), |source| format!("synchro/{source}"));
        let (planned, broken) = (Mutex::default(), AtomicBool::new(false));
        Self { api, caller, dry_run, via, source, planned, broken }
    }

    /// Does what the rows say, and tells what became of each, in their order.
    pub(super) async fn rows(&self, kind: Kind, rows: Vec<Row>) -> Vec<Line> {
        let mut firsts: BTreeMap<String, usize> = BTreeMap::new();
        let mut lines = Vec::with_capacity(rows.len());
        let mut waiting = Vec::with_capacity(rows.len());
        for row in rows {
            let key = key_of(kind, &row).map(str::to_ascii_lowercase);
            match key.map(|key| (*firsts.entry(key).or_insert(row.number), row.number)) {
                Some((first, own)) if first != own => {
                    let message = format!("stands in row {first} already");
                    let line =
                        Line::new(Some(own), kind, key_of(kind, &row), Err(fault(kind.key(), "ambiguous", message)));
                    lines.push((own, line));
                }
                _ => waiting.push(row),
            }
        }
        if kind == Kind::Organizations {
            self.organizations(waiting, &mut lines).await;
        } else {
            let mut waiting = waiting.into_iter().peekable();
            while waiting.peek().is_some() {
                let some = waiting.by_ref().take(AT_ONCE).map(|row| self.row(kind, row));
                lines.extend(join_all(some).await);
            }
        }
        lines.sort_by_key(|(number, _)| *number);
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// Organizations one after the other, parents first.
    async fn organizations(&self, mut waiting: Vec<Row>, lines: &mut Vec<(usize, Line)>) {
        for _ in 0..PASSES {
            let names: BTreeSet<String> =
                waiting.iter().filter_map(|row| key_of(Kind::Organizations, row).map(str::to_owned)).collect();
            let parent = |row: &Row| Some(row.members.as_ref().ok()?.get("parent")?.as_str()?.to_owned());
            let (later, now): (Vec<Row>, Vec<Row>) =
                waiting.into_iter().partition(|row| parent(row).is_some_and(|parent| names.contains(&parent)));
            waiting = later;
            if now.is_empty() {
                break;
            }
            for row in now {
                lines.push(self.row(Kind::Organizations, row).await);
            }
        }
        // What is left forms a circle, or is deeper than is allowed, which is told by each.
        for row in waiting {
            lines.push(self.row(Kind::Organizations, row).await);
        }
    }

    async fn row(&self, kind: Kind, row: Row) -> (usize, Line) {
        let key = key_of(kind, &row).map(str::to_owned);
        let outcome = match row.members {
            _ if self.is_broken() => Err(Problem::new(Code::Unavailable, "not tried, since the storage failed before")),
            Ok(members) => self.one(kind, members).await,
            Err(faults) => Err(Problem::invalid(faults)),
        };
        if let Err(problem) = &outcome
            && problem.code().status().is_server_error()
        {
            self.broken.store(true, Ordering::Relaxed);
        }
        (row.number, Line::new(Some(row.number), kind, key.as_deref(), outcome))
    }

    async fn one(&self, kind: Kind, members: Map<String, Value>) -> Result<Done, Problem> {
        match kind {
            Kind::Users => self.user(members).await,
            Kind::Organizations => self.organization(members).await,
            Kind::ApplicationTokens => self.application(members).await,
            Kind::PersonalTokens => self.personal(members).await,
            Kind::Integrations => self.integration(members).await,
        }
    }

    async fn user(&self, members: Map<String, Value>) -> Result<Done, Problem> {
        let (login, input) = read::<NewUser>(members)?.split();
        let mut change = UserChange::from(input);
        let password = change.password.clone().flatten();
        if let Some(source) = &self.source {
            if change.password.is_some() {
                return Err(fault(
                    "password",
                    "not_allowed",
                    "a source sets no passwords; set it by the user's own call",
                ));
            }
            change.standing.status.get_or_insert_default();
            change.source = Some(Some(source.clone()));
        }
        let found = match login.parse::<Login>() {
            Ok(login) => found(self.api.access.user(&login).await)?,
            // Refused below, with what else is wrong.
            Err(_) => None,
        };
        let Some(found) = found else {
            let made = self.api.access.create_user(&self.caller, &login, change, self.dry_run).await?;
            self.record("user.create", &format!("users/{}", made.login), |entry| self.with_password(entry, password))
                .await;
            return Ok(Done::new(Status::Created));
        };
        self.check_owner("user", found.source.as_ref())?;
        let preview = self.api.access.change_user(&self.caller, &found.login, change.clone(), true).await?;
        if same_user(&found, &preview) && change.password.is_none() {
            return Ok(Done::new(Status::Unchanged));
        }
        if !self.dry_run {
            change.expected = Some(found.revision);
            self.api.access.change_user(&self.caller, &found.login, change, false).await?;
            let told = changed::of_user(&found, &preview);
            self.record("user.change", &format!("users/{}", found.login), |entry| {
                self.with_password(entry.detail(changes::CHANGED, told), password)
            })
            .await;
        }
        Ok(Done::new(Status::Updated))
    }

    async fn application(&self, members: Map<String, Value>) -> Result<Done, Problem> {
        let (name, input) = read::<NewApplicationToken>(members)?.split();
        let mut change = ApplicationChange::from(input);
        if let Some(source) = &self.source {
            change.standing.status.get_or_insert_default();
            change.source = Some(Some(source.clone()));
        }
        let access = &self.api.access;
        let found = match name.parse::<Name>() {
            Ok(name) => match found(access.application_named(&name).await)? {
                Some(id) => found_some(access.application(&id).await)?,
                None => None,
            },
            Err(_) => None,
        };
        let Some(found) = found else {
            let (made, token) = access.create_application(&self.caller, &name, change, self.dry_run).await?;
            let Some(token) = token else { return Ok(Done::new(Status::Created)) };
            let id = id_text(&made.id);
            self.record("application_token.create", &format!("application-tokens/{id}"), |entry| {
                self.with_secret(entry.about_token(id).detail("name", made.name.as_str()), "token", &token)
            })
            .await;
            return Ok(Done { token: Some(token), ..Done::of_token(Status::Created, id) });
        };
        let id = id_text(&found.id);
        self.check_owner("application token", found.source.as_ref())?;
        change.expires_at = change.expires_at.filter(|end| !same_second(*end, found.expires_at));
        let preview = access.change_application(&self.caller, &found.id, change.clone(), true).await?;
        if same_application(&found, &preview) {
            return Ok(Done::of_token(Status::Unchanged, id));
        }
        if !self.dry_run {
            change.expected = Some(found.revision);
            access.change_application(&self.caller, &found.id, change, false).await?;
            let told = changed::of_application(&found, &preview);
            let more = |entry: Entry| entry.about_token(id).detail(changes::CHANGED, told);
            self.record("application_token.change", &format!("application-tokens/{id}"), more).await;
        }
        Ok(Done::of_token(Status::Updated, id))
    }

    async fn personal(&self, mut members: Map<String, Value>) -> Result<Done, Problem> {
        let mut key = Map::new();
        for name in ["id", "user"] {
            if let Some(value) = members.remove(name) {
                key.insert(name.to_owned(), value);
            }
        }
        let key: PersonalKey = read(key)?;
        let mut change = PersonalChange::from(read::<PersonalTokenInput>(members)?);
        let access = &self.api.access;
        let found = match parse_id(&key.id) {
            Some(id) => found(access.personal(&id).await)?,
            None => None,
        };
        let Some(found) = found else {
            return Err(fault(
                "id",
                "unknown",
                "there is no such personal token, and an import makes none: only who is to use it may see its value",
            ));
        };
        if key.user.is_some_and(|user| !user.eq_ignore_ascii_case(found.user.as_str())) {
            return Err(fault("user", "not_allowed", "is another one; a token's user never changes"));
        }
        let id = id_text(&found.id);
        change.expires_at = change.expires_at.filter(|end| !same_second(Some(*end), Some(found.expires_at)));
        let preview = access.change_personal(&self.caller, &found.id, change.clone(), true).await?;
        let is_same = (&found.application, &found.scopes, found.expires_at)
            == (&preview.application, &preview.scopes, preview.expires_at);
        if is_same {
            return Ok(Done::of_token(Status::Unchanged, id));
        }
        if !self.dry_run {
            change.expected = Some(found.revision);
            access.change_personal(&self.caller, &found.id, change, false).await?;
            let told = changed::of_personal(&found, &preview);
            let more = |entry: Entry| entry.about_token(id).detail(changes::CHANGED, told);
            self.record("personal_token.change", &format!("personal-tokens/{id}"), more).await;
        }
        Ok(Done::of_token(Status::Updated, id))
    }

    async fn organization(&self, members: Map<String, Value>) -> Result<Done, Problem> {
        let row: OrganizationRow = read(members)?;
        let mut faults = Vec::new();
        let name = named("name", &row.name, &mut faults);
        let parent = row.parent.map(|parent| parent.and_then(|parent| named("parent", &parent, &mut faults)));
        let Some(name) = name.filter(|_| faults.is_empty()) else { return Err(Problem::invalid(faults)) };
        let organizations = &self.api.organizations;
        let found = match organizations.read(&name).await {
            Ok(found) => Some(found),
            Err(OrganizationError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(found) = found else {
            let parent = parent.flatten();
            let title = row.title.flatten();
            check_reach(&self.caller, None, Some(parent.as_ref()))?;
            if self.dry_run {
                let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
                let parent = parent.as_ref().filter(|parent| !planned.contains(*parent));
                organizations.check(&name, title.as_deref(), parent)?;
                planned.insert(name);
                return Ok(Done::new(Status::Created));
            }
            let new = organizations::NewOrganization { name, title, parent, source: self.source.clone() };
            let made = organizations.create(new).await?;
            self.record("organization.create", &format!("organizations/{}", made.name), |entry| entry).await;
            return Ok(Done::new(Status::Created));
        };
        self.check_owner("organization", found.source.as_ref())?;
        let is_same = row.title.as_ref().is_none_or(|title| *title == found.title)
            && parent.as_ref().is_none_or(|parent| *parent == found.parent);
        let moved = parent.as_ref().filter(|parent| **parent != found.parent).map(Option::as_ref);
        check_reach(&self.caller, Some(&name), moved)?;
        if is_same {
            return Ok(Done::new(Status::Unchanged));
        }
        if self.dry_run {
            let planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
            let parent = moved.flatten().filter(|parent| !planned.contains(*parent));
            organizations.check(&name, row.title.as_ref().and_then(Option::as_deref), parent)?;
        } else {
            let expected = Some(found.revision);
            let change = organizations::Change { title: row.title, parent, expected };
            organizations.change(&name, change).await?;
            self.record("organization.change", &format!("organizations/{name}"), |entry| entry).await;
        }
        Ok(Done::new(Status::Updated))
    }

    async fn integration(&self, mut members: Map<String, Value>) -> Result<Done, Problem> {
        let named = members.get("name").and_then(Value::as_str).and_then(|name| name.parse::<Name>().ok());
        let found = match &named {
            Some(name) => match self.api.integrations.read(name).await {
                Ok(found) => Some(found),
                Err(IntegrationError::NotFound(_)) => None,
                Err(error) => return Err(error.into()),
            },
            None => None,
        };
        let (api, caller, dry_run) = self.parts();
        let Some(found) = found else {
            let made = integrations::make(api, caller, read(members)?, dry_run).await?;
            let told = changes::of_new(&made);
            self.record("integration.create", &format!("integrations/{}", made.name), |entry| entry.details(told))
                .await;
            return Ok(Done::new(Status::Created));
        };
        caller.require_on(Right::WriteIntegrations, &found.name, &found.organization).await?;
        members.remove("name");
        for (name, now) in [("model", found.model.as_str()), ("scheme", &found.scheme), ("flow", &found.flow)] {
            if members.remove(name).is_some_and(|value| !value.is_null() && value != now) {
                return Err(fault(name, "not_allowed", "is another one; it never changes: make another integration"));
            }
        }
        // That it stays where it is needs no right there.
        if members.get("organization").is_some_and(|organization| organization == found.organization.as_str()) {
            members.remove("organization");
        }
        let change = Value::Object(members);
        let preview: Change = body::of_value(change.clone())?;
        let terms = integrations::Terms { expected: Some(found.revision), ..integrations::Terms::default() };
        if integrations::alter(api, caller, &found.name, preview, terms, true).await?.same {
            return Ok(Done::new(Status::Unchanged));
        }
        if !dry_run {
            let changed = integrations::alter(api, caller, &found.name, body::of_value(change)?, terms, false).await?;
            self.record("integration.change", &format!("integrations/{}", found.name), |entry| {
                let told = changes::of_integration(&changed.difference);
                entry.detail("dropped", changed.dropped.to_string()).details(told)
            })
            .await;
        }
        Ok(Done::new(Status::Updated))
    }

    /// Refuses a source what isn't its own.
    fn check_owner(&self, what: &str, owner: Option<&Name>) -> Result<(), Problem> {
        if self.source.is_none() || self.owns(owner) {
            return Ok(());
        }
        let whose = owner.map_or_else(|| "no source made it".to_owned(), |owner| format!("the source {owner} made it"));
        let detail = format!("there is a {what} of this name already, and {whose}; a source changes only what it made");
        Err(Problem::new(Code::Exists, detail))
    }

    /// Whether the source of this run made something.
    pub(super) fn owns(&self, owner: Option<&Name>) -> bool {
        self.source.is_some() && self.source.as_ref() == owner
    }

    /// Whether the store failed.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Records a change that was made.
    pub(super) async fn record(&self, action: &'static str, object: &str, more: impl FnOnce(Entry) -> Entry) {
        if self.dry_run {
            return;
        }
        let entry = more(self.caller.entry(action).on(object).detail("via", self.via.as_str()));
        if let Err(error) = self.api.audit.append(vec![entry]).await {
            // It is done, and that the run was begun stands in the log.
            tracing::error!(action, object, "a change isn't in the audit log: {error}");
        }
    }

    fn with_secret(&self, entry: Entry, name: &str, secret: &SecretString) -> Entry {
        entry.with_digest(name, self.api.audit.digest(secret.expose_secret().as_bytes()))
    }

    fn with_password(&self, entry: Entry, password: Option<SecretString>) -> Entry {
        match password {
            Some(password) => self.with_secret(entry, "password", &password),
            None => entry,
        }
    }
}

/// What was found, if anything was.
fn found<T>(outcome: Result<T, AccessError>) -> Result<Option<T>, Problem> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(AccessError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The same for an application's token, which may be deleted since its name was looked up.
fn found_some(outcome: Result<ApplicationToken, AccessError>) -> Result<Option<ApplicationToken>, Problem> {
    Ok(found(outcome)?.filter(|token| token.state != TokenState::Deleted))
}

fn same_user(one: &User, other: &User) -> bool {
    let parts = |user: &User| (user.standing.clone(), user.language.clone(), user.external, user.source.clone());
    parts(one) == parts(other)
}

fn same_application(one: &ApplicationToken, other: &ApplicationToken) -> bool {
    let parts = |token: &ApplicationToken| {
        (token.standing.clone(), token.scopes.clone(), token.expires_at, token.console, token.source.clone())
    };
    parts(one) == parts(other)
}

/// Whether two ends are the same as they are shown, which is in whole seconds.
fn same_second(one: Option<chrono::DateTime<chrono::Utc>>, other: Option<chrono::DateTime<chrono::Utc>>) -> bool {
    one.map(|end| end.timestamp()) == other.map(|end| end.timestamp())
}

impl Run {
    /// The room of principals, the caller, and whether this is a dry run: for what no row lists any more.
    pub(super) fn parts(&self) -> (&Api, &Caller, bool) {
        (&self.api, &self.caller, self.dry_run)
    }

    /// What a principal is to become that its source lists no longer.
    pub(super) fn disabled() -> access::StandingChange {
        access::StandingChange { status: Some(access::Status::Disabled), ..access::StandingChange::default() }
    }
}
