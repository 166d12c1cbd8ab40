//! `POST /v1/verify`: a service asks who presents a token. The answer says why a token isn't good, since the caller has the
//! right to know.
//!
//! A token that is in memory is verified without a lock, a disk or the gate.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::guarded;
use super::body::{self, JSON_BYTES, Json};
use super::caller::Caller;
use super::credentials;
use super::form::Form;
use super::identity::{self, Verified};
use super::peer;
use super::problem::{Fault, Problem};
use super::refusal::{self, Place};
use super::state::Api;
use crate::access::{Denial, Known, Principal, Reason, Refused, Right, ScopeId, Scopes, Visit};
use crate::name::Name;

/// The route.
pub(super) const ROUTE: &str = "/v1/verify";

/// The route, which goes around the gate and has one of its own.
pub(super) fn hot_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(verify))
}

/// A text that is borrowed from the request where it can be.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What is asked, borrowed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked<'a> {
    #[serde(borrow)]
    token: Text<'a>,
    #[serde(borrow, default)]
    scope: Option<Text<'a>>,
    #[serde(borrow, default)]
    organization: Option<Text<'a>>,
}

/// A token to verify.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Question {
    /// The token, as it was presented.
    token: String,
    /// The scope that it must have, e.g. `REST/JSON`; none: any will do.
    scope: Option<String>,
    /// The organization that its principal must see; none: any will do.
    organization: Option<String>,
}

/// A token that isn't good.
#[derive(Serialize, ToSchema)]
struct Inactive {
    /// `false`.
    active: bool,
    /// Why, e.g. `expired`.
    reason: &'static str,
    /// What the operator can explain.
    support_id: String,
}

/// What a token is verified for.
struct Wanted {
    scope: Option<ScopeId>,
    organization: Option<Name>,
}

impl Wanted {
    /// What the texts mean.
    fn read(api: &Api, scope: Option<&str>, organization: Option<&str>) -> Result<Self, Problem> {
        let mut faults = Vec::new();
        let scope = scope.and_then(|scope| {
            let found = api.access.scopes.find(scope);
            if found.is_none() {
                let message = format!("there is no such scope; there are {}", api.access.scopes.names());
                faults.push(Fault::new("scope", "unknown", message));
            }
            found
        });
        let organization = organization.and_then(|text| {
            text.parse()
                .inspect_err(|error| faults.push(Fault::new("organization", "malformed", format!("{error}"))))
                .ok()
        });
        if faults.is_empty() { Ok(Self { scope, organization }) } else { Err(Problem::invalid(faults)) }
    }
}

/// Whether a principal belongs to what the caller sees, and sees what was asked about. What isn't there is seen by nobody.
fn is_within(api: &Api, caller: &Principal, found: &Principal, organization: Option<&Name>) -> bool {
    let wanted = |organization: &Name| found.sees(organization) && api.organizations.tree().contains(organization);
    caller.sees(&found.organization) && organization.is_none_or(wanted)
}

/// Verifies a token
///
/// For services that are given tokens. It counts as a use of the token. Whoever is limited to some organizations verifies the
/// tokens of principals that belong to these.
#[utoipa::path(post, path = "/v1/verify", tag = "verification",
    request_body(content((Question = "application/json"), (Question = "application/x-www-form-urlencoded"))),
    responses((status = 200, description = "Who presents it; or `active` is false, with `reason` and `support_id`", body = Verified<'_>)))]
async fn verify(State(api): State<Api>, request: Request) -> Response {
    // Whoever isn't known isn't worth reading a body for.
    let Some(caller) = caller_in_memory(&api, &request) else { return slowly(&api, request).await };
    if request.headers().get(header::CONTENT_TYPE).is_none_or(|value| !is_plain_json(value)) {
        return slowly(&api, request).await;
    }
    let (parts, body) = request.into_parts();
    let body = match body::read(body, JSON_BYTES).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    match from_memory(&api, &caller, &body) {
        Some((known, answered)) => {
            let address = peer::of_parts(&parts, &api.access.policy().trusted_proxies);
            api.access.count(&caller, address);
            api.access.count(&known, address);
            api.hot_verified.increment(1);
            tracing::debug!(principal = %known.principal.name, caller = %caller.principal.name, "token verified from memory");
            answered
        }
        None => slowly(&api, Request::from_parts(parts, Body::from(body))).await,
    }
}

/// JSON, as clients write it. Other ways of writing it take longer.
fn is_plain_json(value: &HeaderValue) -> bool {
    value.as_bytes().starts_with(b"application/json") && matches!(value.as_bytes().get(16), None | Some(b';'))
}

/// Who is calling, where that is known in memory and they may verify tokens. It isn't counted yet. `None` says nothing.
pub(super) fn caller_in_memory(api: &Api, request: &Request) -> Option<Arc<Known>> {
    if request.uri().query().is_some() {
        return None;
    }
    let caller = api.access.peek(credentials::token(request.headers())?, Some(Scopes::REST))?;
    caller.principal.may(Right::VerifyTokens).then_some(caller)
}

/// The answer, where the token is known in memory and good. `None` says nothing.
fn from_memory(api: &Api, caller: &Known, body: &[u8]) -> Option<(Arc<Known>, Response)> {
    // serde would take an array for an object whose members come in order.
    let asked: Asked<'_> = serde_json::from_slice(body).ok().filter(|_| body.first() == Some(&b'{'))?;
    let text = |text: &Option<Text<'_>>| text.as_ref().map(|text| text.0.as_ref()).map(str::to_owned);
    let wanted = match (&asked.scope, &asked.organization) {
        (None, None) => Wanted { scope: None, organization: None },
        (Some(scope), None) => Wanted { scope: Some(api.access.scopes.find(&scope.0)?), organization: None },
        (scope, organization) => Wanted::read(api, text(scope).as_deref(), text(organization).as_deref()).ok()?,
    };
    let known = api.access.peek(&asked.token.0, wanted.scope)?;
    let within = is_within(api, &caller.principal, &known.principal, wanted.organization.as_ref());
    let answered = within.then(|| answer(identity::verified(&known, &api.access)))?;
    Some((known, answered))
}

/// JSON that nobody stores.
pub(super) fn answer(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    no_store(response.headers_mut());
    response
}

fn no_store(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Boxed, so that the hot path's future stays small.
async fn slowly(api: &Api, request: Request) -> Response {
    let handle = api.clone();
    let handle = move |request| async move {
        match verify_slowly(&handle, request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        }
    };
    Box::pin(guarded(api, ROUTE, request, handle)).await
}

/// The answer, with all that may have to be read first. The gate let the caller in.
async fn verify_slowly(api: &Api, mut request: Request) -> Result<Response, Problem> {
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return Err(Problem::internal("a token is verified for nobody"));
    };
    let question = match request.extensions_mut().remove::<Form>() {
        Some(form) => from_form(form)?,
        None => Json::<Question>::from_request(request, api).await?.0,
    };
    let wanted = Wanted::read(api, question.scope.as_deref(), question.organization.as_deref())?;
    let token = SecretString::from(question.token);
    match examine(api, &caller, token.expose_secret(), &wanted).await? {
        Ok(known) => Ok(answer(identity::verified(&known, &api.access))),
        Err(refused) => {
            let place = Place {
                door: ROUTE,
                scope: wanted.scope.map_or("", |scope| api.access.scopes.name(scope)),
                address: caller.address(),
            };
            let detail = wanted.organization.map(|organization| organization.to_string());
            let support_id = refusal::tell(api, &refused, place, detail);
            let mut response =
                axum::Json(Inactive { active: false, reason: refused.reason.code(), support_id }).into_response();
            no_store(response.headers_mut());
            Ok(response)
        }
    }
}

/// Who presents the token, or why it isn't good for that. It is counted as used.
async fn examine(
    api: &Api,
    caller: &Caller,
    token: &str,
    wanted: &Wanted,
) -> Result<Result<Arc<Known>, Refused>, Problem> {
    let visit = Visit { scope: wanted.scope, address: caller.address() };
    match api.access.enter(token, &visit).await {
        Ok(known) if is_within(api, caller, &known.principal, wanted.organization.as_ref()) => Ok(Ok(known)),
        Ok(known) => Ok(Err(Refused::of(&known.principal, Reason::OrganizationNotAllowed))),
        Err(Denial::Refused(refused)) => Ok(Err(refused)),
        Err(Denial::Unavailable(error)) => Err(error.into()),
    }
}

/// The question in a form. Each field once.
fn from_form(form: Form) -> Result<Question, Problem> {
    let [mut token, mut scope, mut organization] = [None, None, None];
    let mut faults = Vec::new();
    for (name, value) in form.fields {
        let place = match name.as_str() {
            "token" => &mut token,
            "scope" => &mut scope,
            "organization" => &mut organization,
            _ => {
                let name: String = name.chars().take(64).collect();
                faults.push(Fault::new(
                    name,
                    "unknown",
                    "there is no such field here; there are token, scope, organization",
                ));
                continue;
            }
        };
        if place.replace(value).is_some() {
            faults.push(Fault::new(name, "malformed", "is given twice"));
        }
    }
    match token {
        Some(token) if faults.is_empty() => Ok(Question { token, scope, organization }),
        token => {
            if token.is_none() {
                faults.push(Fault::new("token", "missing", "must be given"));
            }
            Err(Problem::invalid(faults))
        }
    }
}
