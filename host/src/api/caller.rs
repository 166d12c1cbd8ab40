//! Who is calling, as handlers see them: their rights asked for, refusals in one shape, and what the audit log is to be told
//! of the call.
//!
//! Who they are was found out by the gate, in `auth`.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::changes;
use super::problem::Problem;
use super::query::Query;
use super::refusal;
use super::state::Api;
use super::table::Route;
use crate::access::{Callable, Principal, PrincipalKind, Reason, Refused, Right};
use crate::audit::{Actor, ActorKind, Entry, Outcome};
use crate::integrations::Integration;
use crate::name::Name;
use crate::openapi::Operation;

/// Who is calling. There is none where a route is public.
#[derive(Clone)]
pub(super) struct Caller(Arc<Inner>);

/// What is behind a [`Caller`].
struct Inner {
    api: Api,
    principal: Arc<Principal>,
    route: &'static Route,
    /// From where.
    address: Option<IpAddr>,
    /// What the audit record of this call is to hold besides.
    notes: Mutex<Vec<Note>>,
}

/// What an audit record is to hold.
enum Note {
    /// What was changed, where the path doesn't say.
    Object(String),
    /// A token that it is about.
    Token(String),
    /// It is only tried.
    DryRun,
    /// Something worth knowing.
    Detail(&'static str, String),
    /// The keyed digest of a secret.
    Digest(&'static str, String),
}

impl Deref for Caller {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0.principal
    }
}

impl Caller {
    /// The caller of this route.
    pub(super) fn new(api: Api, principal: Arc<Principal>, route: &'static Route, address: Option<IpAddr>) -> Self {
        Self(Arc::new(Inner { api, principal, route, address, notes: Mutex::default() }))
    }

    /// Who it is.
    pub(super) fn principal(&self) -> Arc<Principal> {
        Arc::clone(&self.0.principal)
    }

    /// From where the call came.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// Refuses a caller without this right on all that they see.
    pub(super) async fn require(&self, right: Right) -> Result<(), Problem> {
        if self.may(right) { Ok(()) } else { Err(self.refuse(Reason::RightMissing, right.as_str()).await) }
    }

    /// Refuses a caller without this right on what belongs to an organization.
    pub(super) async fn require_in(&self, right: Right, organization: &Name) -> Result<(), Problem> {
        match self.may_in(right, organization) {
            true => Ok(()),
            false if !self.sees(organization) => {
                Err(self.refuse(Reason::OrganizationNotAllowed, organization.as_str()).await)
            }
            false => Err(self.refuse(Reason::RightMissing, right.as_str()).await),
        }
    }

    /// Refuses a caller without this right on an integration of an organization.
    pub(super) async fn require_on(
        &self,
        right: Right,
        integration: &Name,
        organization: &Name,
    ) -> Result<(), Problem> {
        match self.may_on(right, integration, organization) {
            true => Ok(()),
            false if !self.sees(organization) => {
                Err(self.refuse(Reason::OrganizationNotAllowed, organization.as_str()).await)
            }
            false => Err(self.refuse(Reason::RightMissing, right.as_str()).await),
        }
    }

    /// Which operations of an integration of an organization the caller may call; refuses one who may call none.
    pub(super) async fn require_callable(
        &self,
        integration: &Name,
        organization: &Name,
    ) -> Result<Callable<'_>, Problem> {
        match self.may_call(integration, organization) {
            Some(callable) => Ok(callable),
            None if !self.sees(organization) => {
                Err(self.refuse(Reason::OrganizationNotAllowed, organization.as_str()).await)
            }
            None => Err(self.refuse(Reason::RightMissing, Right::UseTokens.as_str()).await),
        }
    }

    /// Refuses a caller who may not call this operation; none: a request that is no operation of the document.
    pub(super) async fn require_operation(
        &self,
        integration: &Integration,
        operation: Option<&Operation>,
    ) -> Result<(), Problem> {
        let callable = match self.may_everywhere(Right::UseTokens) {
            true => Callable::All,
            false => self.require_callable(&integration.name, &integration.organization).await?,
        };
        let is_among = match operation {
            None => callable == Callable::All,
            Some(Operation { operation_id, method, path, .. }) => {
                callable.contains(operation_id.as_deref(), method, path)
            }
        };
        if is_among {
            return Ok(());
        }
        let what = operation.map_or("what is no operation".to_owned(), |one| format!("{} {}", one.method, one.path));
        Err(self.refuse(Reason::OperationNotAllowed, &what).await)
    }

    /// Refuses a caller who is limited to organizations, for what belongs to the whole installation.
    pub(super) async fn require_all(&self, what: &str) -> Result<(), Problem> {
        match self.reach() {
            None => Ok(()),
            Some(_) => Err(self.refuse(Reason::OrganizationNotAllowed, what).await),
        }
    }

    /// The one 403, for this reason.
    pub(super) async fn refuse(&self, reason: Reason, detail: &str) -> Problem {
        let refused = Refused::of(&self.0.principal, reason);
        let place = self.0.api.place(self.0.route, self.0.address);
        refusal::problem(&self.0.api, &refused, place, Some(detail.to_owned())).await
    }

    /// Says what the call changes, where the path doesn't.
    pub(super) fn note_object(&self, object: impl Into<String>) {
        self.note(Note::Object(object.into()));
    }

    /// Says which token the call is about.
    pub(super) fn note_token(&self, id: &str) {
        self.note(Note::Token(id.to_owned()));
    }

    /// Says that the call only tries what it would come to, and changes nothing.
    pub(super) fn note_dry_run(&self) {
        self.note(Note::DryRun);
    }

    /// Says what else is worth knowing.
    pub(super) fn note_detail(&self, name: &'static str, value: impl Into<String>) {
        self.note(Note::Detail(name, value.into()));
    }

    /// Says which of these members, as callers see them, another state differs in: by name, never by value.
    pub(super) fn note_changes(&self, before: &impl Serialize, after: &impl Serialize) {
        self.note_detail(changes::CHANGED, changes::listed(&changes::between(before, after)));
    }

    /// Says more that is worth knowing.
    pub(super) fn note_details(&self, details: impl IntoIterator<Item = (&'static str, String)>) {
        details.into_iter().for_each(|(name, value)| self.note_detail(name, value));
    }

    /// Says which secret was set, by its keyed digest.
    pub(super) fn note_secret(&self, name: &'static str, secret: &SecretString) {
        let digest = self.0.api.audit.digest(secret.expose_secret().as_bytes());
        self.note(Note::Digest(name, digest));
    }

    fn note(&self, note: Note) {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    /// The audit record of this call, so far.
    pub(super) fn entry(&self, action: &'static str) -> Entry {
        Entry::new(self.actor(), action).coming_from(self.0.address)
    }

    /// As the audit log names the caller.
    pub(super) fn actor(&self) -> Actor {
        let kind = match self.kind {
            PrincipalKind::User => ActorKind::User,
            PrincipalKind::Application => ActorKind::Application,
        };
        let token_id = self.token.as_ref().map(|token| token.id().to_owned());
        Actor { kind, name: self.name.clone(), token_id }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get().cloned();
        caller.ok_or_else(|| Problem::internal("a handler asks for the caller of a public route"))
    }
}

/// Does what changes something, between two records of it.
pub(super) async fn audited<F: Future<Output = Response>>(
    caller: Caller,
    target: &str,
    request: Request,
    handle: impl FnOnce(Request) -> F,
) -> Response {
    let (api, action) = (caller.0.api.clone(), caller.0.route.action);
    let object = target.trim_start_matches("/v1/").to_owned();
    // The record before goes by what is asked for, the one after by what the handler did.
    let asked = caller.0.route.dry_run && Query::of_door(&request).flag("dry_run");
    let begun = caller.entry(action).on(object.clone()).ended(Outcome::Begun, None).only_tried(asked);
    if let Err(error) = api.audit.append(vec![begun]).await {
        return Problem::from(error).into_response();
    }
    let response = handle(request).await;
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let object = location.map_or(object, |made| made.trim_start_matches("/v1/").to_owned());
    let status = response.status();
    let outcome = match status.as_u16() {
        200..=399 => Outcome::Done,
        401 | 403 => Outcome::Refused,
        _ => Outcome::Failed,
    };
    let reason = (outcome != Outcome::Done).then(|| status.as_u16().to_string());
    let mut ended = caller.entry(action).on(object).ended(outcome, reason.as_deref());
    // What came to nothing before the handler could say so is none the less no change.
    ended.dry_run = asked && outcome != Outcome::Done;
    for note in caller.0.notes.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        ended = match note {
            Note::Object(object) => ended.on(object),
            Note::Token(id) => ended.about_token(id),
            Note::DryRun => ended.only_tried(true),
            Note::Detail(name, value) => ended.detail(name, value),
            Note::Digest(name, digest) => ended.with_digest(name, digest),
        };
    }
    if let Err(error) = api.audit.append(vec![ended]).await {
        // It is done, and that it was begun stands in the log.
        tracing::error!(action, "the end of a change isn't in the audit log: {error}");
    }
    response
}
