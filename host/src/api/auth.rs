//! The gate: finds out who is calling and whether they may, holding each call against the table of routes, and writes the
//! access log.
//!
//! It is the one place where a call is let in. What a right means is said in `access`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret as _, SecretString};

use super::bulk::FILE_BYTES;
use super::caller::{Caller, audited};
use super::credentials::{self, Credential, PARAMETER};
use super::form::{self, AROUND_FILE, FORM_BYTES, Form};
use super::inside::Entered;
use super::login;
use super::peer;
use super::problem::{Code, Problem};
use super::query::LOGIN_MODE;
use super::refusal::{self, Place};
use super::state::Api;
use super::table::{Need, Route, route};
use crate::access::{Denial, LoginType, Principal, PrincipalKind, Reason, Refused, Right, Scopes, TokenKind, Visit};
use crate::name::Name;
use crate::telemetry;
use crate::telemetry::trace;

impl Api {
    /// Where a refusal on this route happens.
    pub(super) fn place(&self, route: &'static Route, address: Option<IpAddr>) -> Place<'_> {
        Place { door: route.path, scope: self.access.scopes.name(route.scope), address }
    }

    /// From where a request comes.
    pub(super) fn address(&self, parts: &Parts) -> Option<IpAddr> {
        match parts.extensions.get() {
            Some(Entered { address, .. }) => *address,
            None => peer::of_parts(parts, &self.access.policy().trusted_proxies),
        }
    }
}

/// Whether the caller says that a token is what they sign in with, and nothing else.
fn wants_token(parts: &Parts, form: Option<&Form>) -> bool {
    let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let in_query = query.filter(|(name, _)| name == LOGIN_MODE).any(|(_, value)| is_token_mode(&value));
    let mut in_form = form.into_iter().flat_map(|form| &form.fields);
    in_query || in_form.any(|(name, value)| name == LOGIN_MODE && is_token_mode(value))
}

fn is_token_mode(mode: &str) -> bool {
    LoginType::of_name(mode) == Some(LoginType::Token)
}

/// What a caller is told who wants to sign in with a token and sends none.
const TOKEN_WANTED: &str = "login_mode=token asks for a token, and there is none that counts here: send it as `Authorization: Bearer …`, \
    as the header `Auth-Token`, or, where forms are read, as the form field `auth_token`";

/// Finds out who is calling.
async fn identify(
    api: &Api,
    route: &'static Route,
    parts: &Parts,
    form: Option<&Form>,
    address: Option<IpAddr>,
) -> Result<Arc<Principal>, Denial> {
    if let Some(Entered { principal, .. }) = parts.extensions.get() {
        // Let in at the page already, in another scope than this route's, perhaps.
        return match principal.token.map(|_| principal.admitted(route.scope, &api.access.scopes)) {
            Some(Err(reason)) => Err(Refused::of(principal, reason).into()),
            _ => Ok(Arc::clone(principal)),
        };
    }
    let policy = api.access.policy();
    let policy = &**policy;
    let query = parts.uri.query().unwrap_or_default();
    let mut in_query: Vec<String> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == PARAMETER && policy.token_in_query)
        .map(|(_, value)| value.into_owned())
        .collect();
    let token_only = wants_token(parts, form);
    let peer = peer::of_connection(&parts.extensions);
    let refuse = |reason| Denial::from(Refused::unknown(reason));
    let mut credential = credentials::in_headers(&parts.headers, peer, policy, token_only).map_err(refuse)?;
    // The header wins; among parameters there is one at most.
    if credential.as_ref().is_none_or(|credential| matches!(credential, Credential::Session(_))) {
        let in_form = form.and_then(Form::token);
        if form.is_some_and(Form::is_ambiguous) || in_query.len() > 1 || (in_form.is_some() && !in_query.is_empty()) {
            return Err(refuse(Reason::Malformed));
        }
        let parameter = in_form.cloned().or_else(|| in_query.pop().map(SecretString::from));
        credential = parameter.map(Credential::Token).or(credential);
    }
    let Some(credential) = credential else { return Err(refuse(Reason::NoCredentials)) };
    let is_safe = parts.method.is_safe();
    if credential.is_ambient() && !is_safe && credentials::is_cross_site(&parts.headers) {
        return Err(refuse(Reason::CrossSite));
    }
    match credential {
        Credential::Token(token) => {
            let scope = Some(route.scope);
            let known = api.access.enter(token.expose_secret(), &Visit { scope, address }).await?;
            Ok(Arc::clone(&known.principal))
        }
        Credential::Password(login, password) => api.access.sign_in(LoginType::Basic, &login, password, address).await,
        Credential::Named(login) => api.access.take_word(&login).await,
        Credential::Session(id) => api.access.resume_session(&id).await,
    }
}

/// Whether the caller is let in, beside who they are.
async fn check(api: &Api, route: &'static Route, caller: &Caller, params: &RawPathParams) -> Result<(), Problem> {
    // Tokens were held against the scope. Users who sign in otherwise have none, and need the profile for REST services,
    // but for what is their own.
    if caller.token.is_none()
        && !matches!(route.need, Need::Known(_) | Need::Interface(_) | Need::User)
        && let Err(reason) = caller.admitted(route.scope, &api.access.scopes)
    {
        return Err(caller.refuse(reason, "").await);
    }
    let param = |name: &str| {
        let value = params.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
        value.and_then(|value| value.parse::<Name>().ok())
    };
    match route.need {
        Need::Nothing | Need::Known(_) | Need::Bulk => Ok(()),
        Need::Interface(_) => match caller.token {
            Some(token) if token.kind == TokenKind::Personal || !caller.console => {
                Err(caller.refuse(Reason::NotForThis, "a user interface").await)
            }
            _ => Ok(()),
        },
        Need::User if caller.kind != PrincipalKind::User => {
            Err(caller.refuse(Reason::NotForThis, "for users only").await)
        }
        Need::User => Ok(()),
        Need::Right(right) | Need::RightUnless(right, _) => caller.require(right).await,
        Need::Somewhere(right) if caller.may_somewhere(right) => Ok(()),
        Need::Somewhere(right) => Err(caller.refuse(Reason::RightMissing, right.as_str()).await),
        Need::OnIntegration(right) | Need::OnModel(right) if caller.may_everywhere(right) => Ok(()),
        Need::ToCall if caller.may_everywhere(Right::UseTokens) => Ok(()),
        // What isn't there, and what isn't to be seen, look the same to whoever doesn't see everything.
        Need::OnIntegration(_) | Need::ToCall => {
            let right = if let Need::OnIntegration(right) = route.need { right } else { Right::UseTokens };
            let name = param("integration");
            let organization = match &name {
                Some(name) => api.integrations.organization_of(name).await?,
                None => None,
            };
            match name.zip(organization) {
                Some((name, organization)) if matches!(route.need, Need::ToCall) => {
                    caller.require_callable(&name, &organization).await.map(drop)
                }
                Some((name, organization)) => caller.require_on(right, &name, &organization).await,
                None => Err(caller.refuse(Reason::OrganizationNotAllowed, "not there").await),
            }
        }
        Need::OnModel(right) => {
            let organization = match param("model") {
                Some(name) => api.models.organization_of(&name).await?,
                None => None,
            };
            match organization {
                Some(organization) => caller.require_in(right, &organization).await,
                None => Err(caller.refuse(Reason::OrganizationNotAllowed, "not there").await),
            }
        }
    }
}

/// Lets a call in, or says why not.
pub(super) async fn admit(
    api: &Api,
    route: &'static Route,
    request: Request,
) -> Result<(Option<Caller>, Request), Problem> {
    let is_public = match route.need {
        Need::Nothing => true,
        Need::Known(public) | Need::Interface(public) | Need::RightUnless(_, public) => {
            public(api.settings.current().public)
        }
        _ => false,
    };
    if is_public {
        return Ok((None, request));
    }
    let (mut parts, mut body) = request.into_parts();
    let mut form = None;
    if route.form && form::is_form(&parts.headers) {
        let limit = if route.scope == Scopes::IMPORT { FILE_BYTES + AROUND_FILE } else { FORM_BYTES };
        form = Some(form::read(&parts.headers, std::mem::take(&mut body), limit).await?);
    }
    let address = api.address(&parts);
    let principal = match identify(api, route, &parts, form.as_ref(), address).await {
        Ok(principal) => principal,
        Err(Denial::Unavailable(error)) => return Err(error.into()),
        Err(Denial::Refused(refused)) => {
            let problem = refusal::problem(api, &refused, api.place(route, address), None).await;
            // Says nothing but what the caller knows: what they asked for, and what they sent.
            let misses_token = refused.reason == Reason::NoCredentials && wants_token(&parts, form.as_ref());
            return Err(if misses_token { problem.with_detail(TOKEN_WANTED) } else { problem });
        }
    };
    if api.access.policy().login_debug {
        let (principal, login_type, token) = (principal.label(), principal.login_type.as_str(), principal.token_id());
        tracing::info!(principal, login_type, token, door = route.path, ?address, "let in");
    }
    let caller = Caller::new(api.clone(), principal, route, address);
    let params = RawPathParams::from_request_parts(&mut parts, api).await;
    let params = params.map_err(|_| Problem::new(Code::NotFound, "the path isn't in the form of one"))?;
    check(api, route, &caller, &params).await?;
    parts.extensions.insert(caller.clone());
    if let Some(form) = form {
        parts.extensions.insert(form);
    }
    Ok((Some(caller), Request::from_parts(parts, body)))
}

/// The gate in front of all routes but the hottest, which have ones of their own.
pub(super) async fn gate(State(api): State<Api>, path: MatchedPath, request: Request, next: Next) -> Response {
    guarded(&api, path.as_str(), request, move |request| next.run(request)).await
}

/// Lets an admitted request through, counts it and writes the access log: never the query, which may hold anything.
///
/// A call that changes something goes on where its caller goes away, and stands in the audit log before and after.
pub(super) async fn guarded<F>(
    api: &Api,
    path: &str,
    request: Request,
    handle: impl FnOnce(Request) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = Response> + Send + 'static,
{
    let started = api.clock.elapsed();
    let method = request.method().clone();
    // A ticket is a secret in a path: it stands in no log.
    let target = if path.ends_with("/{ticket}") { path } else { request.uri().path() }.to_owned();
    let Some(route) = route(method.as_str(), path) else {
        return Problem::internal(format!("{method} {path} isn't in the table of routes")).into_response();
    };
    let mut principal = None;
    let way_in = login::way_in(api, route, request.headers());
    let response = match admit(api, route, request).await {
        Ok((caller, request)) => {
            principal = caller.as_ref().map(|caller| caller.name.clone());
            match caller {
                Some(caller) if route.changes() => {
                    let target = target.clone();
                    let context = trace::carried();
                    let changing =
                        trace::carry(context, async move { audited(caller, &target, request, handle).await });
                    let changing = tokio::spawn(changing);
                    changing.await.unwrap_or_else(|_| Problem::internal("a handler panicked").into_response())
                }
                _ => handle(request).await,
            }
        }
        Err(problem) => match way_in.filter(|_| problem.code() == Code::Unauthenticated) {
            Some(way_in) => way_in,
            None => problem.into_response(),
        },
    };
    let taken = api.clock.elapsed().saturating_sub(started);
    let status = response.status();
    // From the table, so that there are no more series than routes.
    let (method_label, class) = (telemetry::labels::method(method.as_str()), telemetry::labels::class(status.as_u16()));
    metrics::counter!(telemetry::HTTP_REQUESTS, "route" => route.path, "method" => method_label, "status" => class)
        .increment(1);
    metrics::histogram!(telemetry::HTTP_SECONDS, "route" => route.path).record(taken);
    tracing::info!(
        %method, path = target, status = status.as_u16(), ms = taken.as_millis() as u64,
        principal = principal.as_ref().map(tracing::field::display), "request"
    );
    response
}

#[cfg(test)]
pub(super) fn routes() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    super::table::TABLE.iter().map(|route| (route.method, route.path, !matches!(route.need, Need::Nothing)))
}
