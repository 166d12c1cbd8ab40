//! The API for the pages of this process (room `console`): every call that they make goes through the same gate, is held
//! against the same table, and stands in the same audit log as one that comes over a socket.
//!
//! Who visits a page is found out once, when the page is entered. It hands out nothing that a caller of the API wouldn't get.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use chrono::{DateTime, Utc};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::auth::admit;
use super::problem::{Code, Problem};
use super::server;
use super::state::Api;
use super::table::{Need, Route};
use crate::access::{LoginType, Principal, Right, Scopes};
use crate::store::Revision;

/// Where the pages' style stands, which the API's own pages for browsers have too.
pub(crate) const STYLESHEET: &str = "/console/assets/console.css";
/// Where whoever has signed in is led.
pub(super) const HOME: &str = "/console/";

/// What a visit of any page needs: to be let in to user interfaces. What a page shows and does, each call decides.
static PAGES: Route = Route {
    method: "ANY",
    path: "/console",
    need: Need::Interface(|_| false),
    scope: Scopes::REST,
    action: "",
    form: false,
    dry_run: false,
};

/// The API, called from within.
#[derive(Clone)]
pub struct Inside {
    api: Api,
    router: Router,
}

/// Who entered, as the gate found out: stands in a request's extensions, where nobody outside can put it.
#[derive(Clone)]
pub(super) struct Entered {
    pub(super) principal: Arc<Principal>,
    pub(super) address: Option<IpAddr>,
}

/// Somebody who visits a page.
#[derive(Clone)]
pub struct Visitor {
    inside: Inside,
    entered: Entered,
}

/// What the API answered.
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The JSON of the body; null where there is none.
    pub value: Value,
}

impl Answer {
    async fn of(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        // Bounded by what the handlers answer: pages of lists, single things.
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let value = serde_json::from_slice(&bytes).unwrap_or_default();
        Self { status: parts.status, headers: parts.headers, value }
    }
}

impl Inside {
    /// The API behind these routes.
    pub fn new(api: Api, router: Router) -> Self {
        Self { api, router }
    }

    /// The present moment.
    pub fn now(&self) -> DateTime<Utc> {
        self.api.clock.now()
    }

    /// Grows with each change of anything that is stored.
    pub fn revision(&self) -> Revision {
        self.api.store.revision()
    }

    /// Whether people sign in with a form.
    pub fn has_form(&self) -> bool {
        self.api.access.policy().allowed_login_types.contains(&LoginType::Form)
    }

    /// Whether browsers may ask people for login and password themselves.
    pub fn has_basic(&self) -> bool {
        self.api.access.policy().allowed_login_types.contains(&LoginType::Basic)
    }

    /// Finds out who makes this request for a page, and refuses as the API does, in the same words.
    ///
    /// # Errors
    /// The API's answer to who isn't let in.
    pub async fn enter(&self, parts: Parts) -> Result<Visitor, Answer> {
        let address = self.api.address(&parts);
        match admit(&self.api, &PAGES, Request::from_parts(parts, Body::empty())).await {
            Ok((Some(caller), _)) => {
                let entered = Entered { principal: caller.principal(), address };
                Ok(Visitor { inside: self.clone(), entered })
            }
            Ok((None, _)) => Err(Answer::of(Problem::internal("the pages have no gate").into_response()).await),
            Err(problem) => Err(Answer::of(problem.into_response()).await),
        }
    }
}

impl Visitor {
    /// `user/ada` or `application/crm-sync`.
    pub fn label(&self) -> String {
        self.entered.principal.label()
    }

    /// Whether they have this right on anything at all, so that a page has something to offer.
    pub fn may(&self, right: Right) -> bool {
        self.entered.principal.may_somewhere(right)
    }

    /// Calls the API with a JSON body, or none.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(|body| ("application/json", Bytes::from(body.to_string())));
        self.send(method, path, body, &[]).await
    }

    /// Calls the API with a body of this content type, or none, and further headers.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Bytes)>,
        headers: &[(header::HeaderName, &str)],
    ) -> Answer {
        Answer::of(self.respond(method, path, body, headers).await).await
    }

    /// Asks for what comes bit by bit: its body, as it comes.
    ///
    /// # Errors
    /// The API's answer where it is none of success.
    pub async fn follow(&self, method: Method, path: &str) -> Result<Body, Answer> {
        let response = self.respond(method, path, None, &[]).await;
        if response.status().is_success() { Ok(response.into_body()) } else { Err(Answer::of(response).await) }
    }

    async fn respond(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Bytes)>,
        headers: &[(header::HeaderName, &str)],
    ) -> axum::response::Response {
        let Ok(uri) = path.parse::<Uri>() else {
            return Problem::new(Code::NotFound, "there is no such thing").into_response();
        };
        let (content_type, body) = body.unzip();
        let mut request = Request::new(body.map_or_else(Body::empty, Body::from));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        request.extensions_mut().insert(self.entered.clone());
        let content_type = content_type.into_iter().map(|value| (header::CONTENT_TYPE, value));
        for (name, value) in content_type.chain(headers.iter().cloned()) {
            if let Ok(value) = HeaderValue::from_str(value) {
                request.headers_mut().insert(name, value);
            }
        }
        match server::answer(self.inside.router.clone(), request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
