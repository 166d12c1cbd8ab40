//! The HTTP API: routes, their request and response types, who is calling, problems. One file per noun.
//!
//! Everything that comes in is bounded and refused by name; everything that goes out is JSON of a type of this room. It
//! decides nothing about tokens, integrations or flows, and knows no store record.

mod attempts;
mod audit;
mod auth;
mod backups;
mod body;
mod bulk;
mod caller;
mod calls;
mod changes;
mod connect;
mod credentials;
mod docs;
mod doctor;
mod events;
mod flows;
mod form;
mod forward_auth;
mod frame;
mod identity;
mod inside;
mod integrations;
mod introspect;
mod keys;
mod login;
mod models;
mod operations;
mod organizations;
mod page;
mod peer;
mod pepper;
mod principals;
mod problem;
mod query;
mod refusal;
mod revision;
mod server;
mod settings;
mod state;
mod status;
mod table;
mod time;
mod tokens;
mod verify;
mod webhooks;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{Method, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response as AnyResponse;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, RefOr, Response, ResponseBuilder, schema};
use utoipa::{IntoParams, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;

pub use self::connect::CALLBACK;
pub use self::inside::{Answer, Inside, Visitor};
use self::problem::{Code, Problem};
pub use self::server::{listen, serve};
pub use self::state::{Api, Rooms};
use crate::telemetry::{self, trace};

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used; `page` reads the parameters")]
struct Paging {
    /// Items on the page, 1 to 1000. Default: 100
    limit: Option<u64>,
    /// The `next` of the page before
    cursor: Option<String>,
}

/// How the schemas of pages begin, before the name of what is on them.
const PAGE_OF: &str = "Page_";

/// The frame of the API's description.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "tokenhost",
        description = "Gets, keeps and renews API tokens.\n\nEvery call but health needs an application token: `Authorization: Bearer …`, or the header `Auth-Token`. \
            Errors are problems (RFC 9457) with a stable `code`. Lists come in pages: give a page's `next` as `cursor` to get the one after it.",
    ),
    tags(
        (name = "models", description = "Imported OpenAPI documents."),
        (name = "integrations", description = "Configured instances of a model. Their secrets can be set and replaced, never read."),
        (name = "tokens", description = "The token of an integration: valid whenever it is asked for."),
        (name = "calls", description = "Requests to an integration's service, with the credentials that they need."),
        (name = "attempts", description = "What was done to get a token, step by step, secrets as names."),
        (name = "flows", description = "Plugins that turn credentials into tokens."),
        (name = "publishers", description = "Whose signatures on flows are trusted."),
        (name = "organizations", description = "What models, integrations and principals belong to; each may be part of another."),
        (name = "verification", description = "For services and reverse proxies: who presents a token, and whether it is good."),
        (name = "bulk", description = "Much at once: out, in, and kept in step with a source."),
        (name = "events", description = "What happened that somebody may have to act on: listed, and as it happens."),
        (name = "webhooks", description = "Where events are sent, signed."),
        (name = "keys", description = "The master key, data keys, and what is sealed with which."),
        (name = "audit", description = "What happened: append-only, and provably so. Refusals explained."),
        (name = "login", description = "Signing in with a password, for browsers: a session cookie. No part of the JSON API."),
        (name = "users", description = "Users, the profiles that give them and applications rights, and the scopes that tokens can have."),
        (name = "application-tokens", description = "Principals of their own for programs, each known by its token."),
        (name = "personal-tokens", description = "Tokens for programs that act as a user."),
        (name = "me", description = "Everyone's own data, and users' own personal tokens."),
        (name = "backups", description = "The whole daemon in one sealed file, made while it serves."),
        (name = "config", description = "The daemon's settings: what they are, where each was given, read again without a restart."),
        (name = "operations", description = "Health, metrics, and this description."),
    ),
    components(schemas(problem::Body)),
    security(("bearer" = []), ("auth_token" = [])),
)]
struct Frame;

/// The API over these rooms, and its routes.
pub fn router(rooms: Rooms) -> (Api, Router) {
    let (gated, hot, document) = routes();
    let value = serde_json::to_value(&document).unwrap_or_default();
    let api = Api::new(rooms, value.to_string().into_bytes(), docs::page(&value));
    connect::audit_ends(&api);
    let router = gated
        .layer(from_fn_with_state(api.clone(), auth::gate))
        .merge(hot)
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(api.clone());
    (api, within_spans(router))
}

/// These routes, each answer within a span where anything is traced.
pub(crate) fn within_spans(router: Router) -> Router {
    // Only where it is wanted: a layer costs each request something, the hottest ones too.
    if trace::is_on() { router.layer(from_fn(traced)) } else { router }
}

/// Answers within a span. Its name is the route, and not the path, which may hold a ticket.
async fn traced(request: Request, next: Next) -> AnyResponse {
    let span = trace::request(request.headers());
    let path = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    span.set("http.request.method", telemetry::labels::method(request.method().as_str()));
    span.set("http.route", path);
    let response = span.within(next.run(request)).await;
    let status = response.status();
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.failed(|| status.as_u16().to_string());
    }
    response
}

/// The routes behind the gate, the hottest ones, and the description of both.
fn routes() -> (Router<Api>, Router<Api>, OpenApi) {
    let gated = OpenApiRouter::with_openapi(Frame::openapi())
        .merge(models::routes())
        .merge(integrations::routes())
        .merge(tokens::routes())
        .merge(attempts::routes())
        .merge(doctor::routes())
        .merge(connect::routes())
        .merge(calls::routes())
        .merge(flows::routes())
        .merge(organizations::routes())
        .merge(bulk::routes())
        .merge(audit::routes())
        .merge(pepper::routes())
        .merge(keys::routes())
        .merge(settings::routes())
        .merge(backups::routes())
        .merge(login::routes())
        .merge(principals::routes())
        .merge(events::routes())
        .merge(webhooks::routes())
        .merge(status::routes())
        .merge(operations::routes());
    let (gated, mut document) = gated.split_for_parts();
    let hot = tokens::hot_routes()
        .merge(verify::hot_routes())
        .merge(introspect::hot_routes())
        .merge(forward_auth::hot_routes())
        .merge(calls::proxy::hot_routes());
    let (hot, hot_document) = hot.split_for_parts();
    document.merge(hot_document);
    complete(&mut document);
    (gated, hot, document)
}

/// Adds what all operations have in common.
fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components
        .add_security_scheme("auth_token", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("Auth-Token"))));
    if let Some(RefOr::T(schema::Schema::Object(codes))) = components.schemas.get_mut("Code") {
        let line =
            |(code, meaning): &(Code, &str)| format!("- `{}` ({}):{meaning}", code.as_str(), code.status().as_u16());
        let lines: Vec<String> = Code::ALL.iter().map(line).collect();
        codes.description = Some(format!("What kind of problem it is.\n\n{}", lines.join("\n")));
        // The names that are sent: utoipa sees the variants' own.
        codes.enum_values = Some(Code::ALL.iter().map(|(code, _)| code.as_str().into()).collect());
    }
    // Of a list, a client is to get the same type as of the single thing; utoipa copies it into each page instead.
    let pages: Vec<String> = components.schemas.keys().filter(|name| name.starts_with(PAGE_OF)).cloned().collect();
    for page in pages {
        let item = page.trim_start_matches(PAGE_OF);
        if components.schemas.contains_key(item)
            && let Some(RefOr::T(schema::Schema::Object(page))) = components.schemas.get_mut(&page)
            && let Some(RefOr::T(schema::Schema::Array(items))) = page.properties.get_mut("items")
        {
            items.items = schema::ArrayItems::RefOrSchema(Box::new(schema::Ref::from_schema_name(item).into()));
        }
    }
    let content = ContentBuilder::new().schema(Some(schema::Ref::from_schema_name("Problem"))).build();
    let problem: RefOr<Response> =
        ResponseBuilder::new().description("A problem").content(problem::MEDIA_TYPE, content).build().into();
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            // Handlers are named within their noun; clients' generators want names that are unique.
            let tag = operation.tags.iter().flatten().next().cloned().unwrap_or_default().replace('-', "_");
            operation.operation_id = operation.operation_id.take().map(|name| format!("{tag}_{name}"));
            operation.responses.responses.insert("default".to_owned(), problem.clone());
        }
    }
}

impl Api {
    /// Says by `/readyz` from now on that the daemon is stopping.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

/// The description of the API (OpenAPI 3.1), as pretty JSON.
pub fn openapi_json() -> String {
    // Keys and texts of known types always serialise.
    serde_json::to_string_pretty(&routes().2).unwrap_or_default() + "\n"
}

async fn not_found(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(100).collect();
    Problem::new(Code::NotFound, format!("there is no {path}; /openapi.json lists what there is"))
}

async fn method_not_allowed(method: Method) -> Problem {
    let method: String = method.as_str().chars().take(20).collect();
    Problem::new(Code::MethodNotAllowed, format!("{method} isn't possible here; the header Allow lists what is"))
}
