//! Who is calling, and may they: the table of all routes with the right that each needs, and the two refusals.
//!
//! Refusals are uniform outside: one 401, one 403, each with a support id under which the log has the exact reason. What
//! isn't in the table is refused. What a right means is said in `access`.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::{Code, Problem};
use super::state::Api;
use crate::access::{Principal, Refusal, Right};
use crate::config::Public;
use crate::telemetry;

/// What a call needs.
#[derive(Clone, Copy)]
enum Need {
    /// Nothing: health.
    Nothing,
    /// Any valid token, unless the settings say that it is public.
    Token(fn(Public) -> bool),
    /// A right, unless the settings say that it is public.
    RightUnless(Right, fn(Public) -> bool),
    /// A right.
    Right(Right),
}

/// Every route, and what a call of it needs. Some need a further right for a part of what they do; their handlers ask
/// [`Caller::require`].
const TABLE: &[(Method, &str, Need)] = {
    use Need::{Nothing, RightUnless, Token};
    use Right::{
        ManageFlows, ManagePrincipals, Operate, ReadFlows, ReadIntegrations, ReadModels, ReadPrincipals,
        ReadTokenValues, UseTokens, WriteIntegrations, WriteModels,
    };
    const fn right(right: Right) -> Need {
        Need::Right(right)
    }
    &[
        (Method::GET, "/healthz", Nothing),
        (Method::GET, "/readyz", Nothing),
        (Method::GET, "/metrics", RightUnless(Operate, |public| public.metrics)),
        (Method::GET, "/openapi.json", Token(|public| public.docs)),
        (Method::GET, "/docs", Token(|public| public.docs)),
        (Method::GET, "/v1/models", right(ReadModels)),
        (Method::POST, "/v1/models", right(WriteModels)),
        (Method::GET, "/v1/models/{model}", right(ReadModels)),
        (Method::PUT, "/v1/models/{model}", right(WriteModels)),
        (Method::DELETE, "/v1/models/{model}", right(WriteModels)),
        (Method::GET, "/v1/integrations", right(ReadIntegrations)),
        (Method::POST, "/v1/integrations", right(WriteIntegrations)),
        (Method::GET, "/v1/integrations/{integration}", right(ReadIntegrations)),
        (Method::PATCH, "/v1/integrations/{integration}", right(WriteIntegrations)),
        (Method::DELETE, "/v1/integrations/{integration}", right(WriteIntegrations)),
        (Method::POST, "/v1/integrations/{integration}/test", right(UseTokens)),
        (Method::GET, "/v1/integrations/{integration}/token", right(ReadTokenValues)),
        (Method::PUT, "/v1/integrations/{integration}/token", right(WriteIntegrations)),
        (Method::DELETE, "/v1/integrations/{integration}/token", right(WriteIntegrations)),
        (Method::GET, "/v1/integrations/{integration}/token/status", right(ReadIntegrations)),
        (Method::POST, "/v1/integrations/{integration}/token/refresh", right(UseTokens)),
        (Method::POST, "/v1/integrations/{integration}/token/reject", right(UseTokens)),
        (Method::GET, "/v1/integrations/{integration}/attempts", right(ReadIntegrations)),
        (Method::GET, "/v1/integrations/{integration}/attempts/{attempt}", right(ReadIntegrations)),
        (Method::GET, "/v1/flows", right(ReadFlows)),
        (Method::POST, "/v1/flows", right(ManageFlows)),
        (Method::GET, "/v1/flows/{flow}", right(ReadFlows)),
        (Method::DELETE, "/v1/flows/{flow}", right(ManageFlows)),
        (Method::POST, "/v1/flows/{flow}/rollback", right(ManageFlows)),
        (Method::GET, "/v1/organizations", right(ReadPrincipals)),
        (Method::POST, "/v1/organizations", right(ManagePrincipals)),
        (Method::GET, "/v1/organizations/{organization}", right(ReadPrincipals)),
        (Method::PATCH, "/v1/organizations/{organization}", right(ManagePrincipals)),
        (Method::DELETE, "/v1/organizations/{organization}", right(ManagePrincipals)),
    ]
};

/// What a call of this route needs. `HEAD` is a `GET` without its body.
fn need(method: &Method, route: &str) -> Option<Need> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    TABLE.iter().find(|(known, path, _)| known == method && *path == route).map(|(_, _, need)| *need)
}

/// The token that a request presents: `Authorization: Bearer`, else `Auth-Token`.
pub(super) fn presented(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
        && let Some((scheme, token)) = value.split_once(' ')
        && scheme.eq_ignore_ascii_case("bearer")
    {
        return Some(token.trim());
    }
    headers.get("auth-token")?.to_str().ok().map(str::trim)
}

/// Who is calling. There is none where a route is public.
#[derive(Clone)]
pub(super) struct Caller(pub(super) Arc<Principal>);

impl Caller {
    /// Refuses a caller without this right.
    pub(super) fn require(&self, right: Right) -> Result<(), Problem> {
        if self.0.may(right) {
            return Ok(());
        }
        metrics::counter!(telemetry::REFUSALS, "reason" => "forbidden").increment(1);
        let problem = Problem::new(Code::Forbidden, "the token lacks the right for this").with_support_id();
        tracing::info!(
            support_id = problem.support_id(), principal = %self.0.name, token = self.0.token_id(), ?right, "forbidden"
        );
        Err(problem)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get()
            .cloned()
            .ok_or_else(|| Problem::internal("a handler asks for the caller of a public route"))
    }
}

/// Finds out who is calling, and whether they may.
async fn admit(api: &Api, method: &Method, route: &str, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    let Some(need) = need(method, route) else {
        return Err(Problem::internal(format!("{method} {route} isn't in the table of routes")));
    };
    let right = match need {
        Need::Nothing => return Ok(None),
        Need::Token(public) | Need::RightUnless(_, public) if public(api.public) => return Ok(None),
        Need::Token(_) => None,
        Need::RightUnless(right, _) | Need::Right(right) => Some(right),
    };
    let refused = |reason: &str| {
        metrics::counter!(telemetry::REFUSALS, "reason" => "unauthenticated").increment(1);
        let detail = "give a valid token: `Authorization: Bearer …`, or the header `Auth-Token`";
        let problem = Problem::new(Code::Unauthenticated, detail).with_support_id();
        tracing::info!(support_id = problem.support_id(), reason, "unauthenticated");
        problem
    };
    let token = presented(headers).ok_or_else(|| refused("no token"))?;
    let caller = match api.access.authenticate(token).await {
        Ok(principal) => Caller(principal),
        Err(Refusal::Unavailable(error)) => return Err(error.into()),
        Err(refusal) => return Err(refused(refusal.code())),
    };
    if let Some(right) = right {
        caller.require(right)?;
    }
    Ok(Some(caller))
}

/// The gate in front of all routes but the hottest, which has one of its own.
pub(super) async fn gate(State(api): State<Api>, route: MatchedPath, request: Request, next: Next) -> Response {
    guarded(&api, route.as_str(), request, async |request| next.run(request).await).await
}

/// Lets an admitted request through, counts it and writes the access log: never the query, which may hold anything.
pub(super) async fn guarded(
    api: &Api,
    route: &str,
    mut request: Request,
    handle: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let started = api.clock.elapsed();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut principal = None;
    let response = match admit(api, &method, route, request.headers()).await {
        Ok(caller) => {
            if let Some(caller) = caller {
                principal = Some(caller.0.name.clone());
                request.extensions_mut().insert(caller);
            }
            handle(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let taken = api.clock.elapsed().saturating_sub(started);
    let status = response.status();
    let labels = [("route", route.to_owned()), ("method", method.to_string()), ("status", status.as_str().to_owned())];
    metrics::counter!(telemetry::HTTP_REQUESTS, &labels).increment(1);
    metrics::histogram!(telemetry::HTTP_SECONDS, "route" => route.to_owned()).record(taken);
    tracing::info!(
        %method, path, status = status.as_u16(), ms = taken.as_millis() as u64,
        principal = principal.as_ref().map(tracing::field::display), "request"
    );
    response
}

#[cfg(test)]
pub(super) fn routes() -> impl Iterator<Item = (&'static Method, &'static str, bool)> {
    TABLE.iter().map(|(method, path, need)| (method, *path, !matches!(need, Need::Nothing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_in_either_header() {
        let check = |headers: &[(&'static str, &str)], expected: Option<&str>| {
            let headers: HeaderMap =
                headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(presented(&headers), expected, "{headers:?}");
        };
        check(&[("authorization", "Bearer tha_1")], Some("tha_1"));
        check(&[("authorization", "bearer  tha_1 ")], Some("tha_1"));
        check(&[("authorization", "Basic tha_1")], None);
        check(&[("authorization", "Bearer")], None);
        check(&[("auth-token", "tha_2")], Some("tha_2"));
        check(&[("authorization", "Basic x"), ("auth-token", "tha_2")], Some("tha_2"));
        check(&[("authorization", "Bearer tha_1"), ("auth-token", "tha_2")], Some("tha_1"));
        check(&[], None);
    }
}
