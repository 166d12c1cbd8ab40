//! What to add to a request that the caller makes.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::body::Json;
use super::super::models::name;
use super::super::problem::{Fault, Problem};
use super::super::query::Query;
use super::super::state::Api;
use super::super::tokens::{MAX_TTL, MIN_TTL};
use super::{Operation, UsedToken, is_named};
use crate::calls::{Authorization, BodyDigest, CallError, Service, Wanted};
use crate::openapi;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(authorize))
}

/// The request that credentials are wanted for: an operation by its id, or a method and a path.
#[derive(Deserialize, ToSchema)]
#[schema(as = AuthorizeRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The operation's id.
    operation_id: Option<String>,
    /// The method, where no operation is named.
    method: Option<String>,
    /// The path below the server's, as it is in the request, or as the document's template.
    path: Option<String>,
    /// The query that the request will have, for signers.
    query: Option<String>,
    /// Headers that the request will have, for signers.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// SHA-256 of the request's body in hexadecimal, for signers; left out: there is no body.
    body_sha256: Option<String>,
    /// The service's challenge (`WWW-Authenticate`), for schemes that answer one.
    challenge: Option<String>,
    /// Seconds that tokens must still be good for. Default: 5
    min_ttl: Option<u64>,
}

/// What to add to the request.
#[derive(Serialize, ToSchema)]
struct Additions {
    /// The operation, where the request is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<Operation>,
    /// Where the request goes: the server and the path. Templated where the path was.
    url: String,
    /// Headers to set.
    headers: BTreeMap<String, String>,
    /// Query parameters to set, not yet encoded.
    query: BTreeMap<String, String>,
    /// Cookies to set.
    cookies: BTreeMap<String, String>,
    /// The tokens that it was made of; none where the operation needs no credentials.
    tokens: Vec<UsedToken>,
    /// The first token's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    /// Whole seconds that the first token has left, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
}

/// Says what to add to a request: headers, query parameters and cookies
///
/// For an operation, the document's security requirement is solved with the schemes that the integration is bound to. Tokens
/// are renewed first where they aren't good enough.
#[utoipa::path(post, path = "/v1/integrations/{integration}/authorize", tag = "calls", request_body = Request,
    params(("integration" = String, Path, description = "The integration")),
    responses((status = 200, description = "What to add", body = Additions)))]
async fn authorize(
    State(api): State<Api>,
    Path(integration): Path<String>,
    uri: Uri,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let service = api.calls.service(&name(&integration, "integration")?).await?;
    let (operation, wanted) = request.meant(&service)?;
    let authorization = api.calls.authorize(&service, operation, &wanted).await?;
    let mut url = wanted.url;
    url.set_query(None);
    let additions = Additions::of(operation, url.as_str(), &authorization);
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(additions)).into_response())
}

impl Request {
    /// The operation that is meant, if any, and what is wanted for it.
    fn meant(self, service: &Service) -> Result<(Option<&openapi::Operation>, Wanted), Problem> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, message: &str| faults.push(Fault::new(field, "malformed", message));
        let method = self.method.as_deref().map(|method| method.to_ascii_uppercase().parse::<Method>());
        let method = match method {
            Some(Err(_)) => {
                fault("method", "is no HTTP method");
                None
            }
            Some(Ok(method)) => Some(method),
            None => None,
        };
        if self.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            fault("path", "must begin with a slash: it is appended to the server's URL");
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
                _ => fault("headers", "holds something that can't be sent as a header"),
            }
        }
        let challenge = self.challenge.as_deref().map(HeaderValue::from_str);
        if matches!(challenge, Some(Err(_))) {
            fault("challenge", "is no header's value");
        }
        let body = match self.body_sha256.as_deref().map(|text| <[u8; 32]>::try_from(hex::decode(text).ok()?).ok()) {
            None => BodyDigest::Empty,
            Some(Some(digest)) => BodyDigest::Sha256(digest),
            Some(None) => {
                fault("body_sha256", "must be 64 hexadecimal digits");
                BodyDigest::Empty
            }
        };
        if self.min_ttl.is_some_and(|seconds| seconds > MAX_TTL) {
            fault("min_ttl", "must be at most ten years");
        }
        if let Err((field, _, message)) = is_named(&self.operation_id, &self.method, &self.path) {
            fault(field, message);
        }
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        let path = self.path.as_deref().unwrap_or_default();
        let path = path.split_once(['?', '#']).map_or(path, |(path, _)| path);
        let operation = match &self.operation_id {
            Some(id) => Some(service.operation_by_id(id).ok_or_else(|| CallError::NoOperation {
                model: service.integration.model.clone(),
                operation: id.chars().take(100).collect(),
            })?),
            None => method.as_ref().and_then(|method| {
                let by_template = service.operation_of(method.as_str(), path);
                by_template.or_else(|| service.operation_at(method, path))
            }),
        };
        let base = match operation {
            Some(operation) => service.base_of(operation)?,
            None => service.base()?.clone(),
        };
        let path = operation.filter(|_| self.operation_id.is_some()).map_or(path, |operation| operation.path.as_str());
        let mut url = base.clone();
        url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
        url.set_query(self.query.as_deref().filter(|query| !query.is_empty()));
        let method = method.or_else(|| operation?.method.parse().ok()).unwrap_or(Method::GET);
        let min_ttl = Duration::from_secs(self.min_ttl.unwrap_or(MIN_TTL));
        let challenge = challenge.and_then(Result::ok);
        Ok((operation, Wanted { method, url, headers, body, min_ttl, challenge }))
    }
}

impl Additions {
    fn of(operation: Option<&openapi::Operation>, url: &str, authorization: &Authorization) -> Self {
        let texts = |pairs: &[(String, secrecy::SecretString)]| {
            pairs.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect()
        };
        let first = authorization.tokens.first();
        Self {
            operation: operation.map(Operation::from),
            url: url.replace("%7B", "{").replace("%7D", "}"),
            headers: (authorization.headers.iter())
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            query: texts(&authorization.query),
            cookies: texts(&authorization.cookies),
            tokens: authorization.tokens.iter().map(UsedToken::from).collect(),
            generation: first.map(|used| used.generation),
            expires_in: first.and_then(|used| used.expires_in),
        }
    }
}
