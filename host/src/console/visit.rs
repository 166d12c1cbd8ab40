//! A visit of a page: who visits, what they ask the API for, and what they are shown.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use bytes::Bytes;
use minijinja::{Value as Context, context};
use serde_json::Value;

use super::Console;
use super::fields::Fields;
use super::page::{Failure, Page};
use crate::api::{Answer, Visitor};

/// Sent by htmx with what it asks for: a part of a page is enough.
const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
/// Tells htmx to load another page.
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// Somebody's visit of a page.
pub(super) struct Visit {
    pub(super) console: Console,
    pub(super) visitor: Visitor,
    /// Who they are and what they may do: the answer of `/v1/me`.
    pub(super) me: Value,
    /// The page's path and query.
    uri: Uri,
    /// Whether only a part of the page is asked for.
    pub(super) is_part: bool,
}

/// Somebody who was let in, where nothing else is known of them yet.
pub(super) struct Entry {
    pub(super) console: Console,
    pub(super) visitor: Visitor,
    uri: Uri,
    pub(super) is_part: bool,
}

/// Whether only a part of a page is asked for.
fn is_part(headers: &HeaderMap) -> bool {
    headers.contains_key(&HX_REQUEST)
}

/// Leads to another page, by `GET`.
fn lead(to: &str, is_part: bool) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) if is_part => (StatusCode::NO_CONTENT, [(HX_REDIRECT, to)]).into_response(),
        _ => Redirect::to(to).into_response(),
    }
}

impl FromRequestParts<Console> for Entry {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Failure> {
        let (uri, is_part) = (parts.uri.clone(), is_part(&parts.headers));
        match console.inside.enter(parts.clone()).await {
            Ok(visitor) => Ok(Self { console: console.clone(), visitor, uri, is_part }),
            // Whoever comes back here afterwards finds the page, and not what a form sent.
            Err(answer) if answer.status == StatusCode::UNAUTHORIZED && console.inside.has_form() => {
                let next = if parts.method.is_safe() && !is_part { uri.to_string() } else { "/console/".to_owned() };
                let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
                Err(lead(&format!("/login?next={next}"), is_part).into())
            }
            Err(answer) => {
                let failure = console.problem(&answer, None, uri.path());
                let asks = answer.status == StatusCode::UNAUTHORIZED && console.inside.has_basic();
                Err(if asks { failure.asking() } else { failure })
            }
        }
    }
}

impl FromRequestParts<Console> for Visit {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Failure> {
        Entry::from_request_parts(parts, console).await?.look_around().await
    }
}

impl Entry {
    /// The page's path and query.
    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Finds out what a page's frame shows of who visits it.
    pub(super) async fn look_around(self) -> Result<Visit, Failure> {
        let Self { console, visitor, uri, is_part } = self;
        let me = visitor.call(Method::GET, "/v1/me", None).await;
        if !me.status.is_success() {
            return Err(console.problem(&me, None, uri.path()));
        }
        Ok(Visit { console, visitor, me: me.value, uri, is_part })
    }
}

impl Visit {
    /// A parameter of the page's address.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let query = self.uri.query().unwrap_or_default();
        let found = form_urlencoded::parse(query.as_bytes()).find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.into_owned())
    }

    /// What the API shows under this path.
    ///
    /// # Errors
    /// The page of the API's problem.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.visitor.call(Method::GET, path, None).await;
        self.taken(answer)
    }

    /// The same where the visitor may lack the right to it, or it may not be there: null then.
    ///
    /// # Errors
    /// The page of any other problem.
    pub(super) async fn get_if_allowed(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.visitor.call(Method::GET, path, None).await;
        match answer.status {
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(Value::Null),
            _ => self.taken(answer),
        }
    }

    /// Asks the API to do something. What comes of it, for whoever shows problems beside a form.
    pub(super) async fn ask(&self, method: Method, path: &str, body: &Value) -> Answer {
        let body = (!body.is_null()).then_some(body);
        self.visitor.call(method, path, body).await
    }

    /// Asks the API to do something.
    ///
    /// # Errors
    /// The page of the API's problem.
    pub(super) async fn tell(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
        let answer = self.ask(method, path, body).await;
        self.taken(answer)
    }

    /// Asks the API to change something that must have this revision still; without one, whatever it is by now.
    pub(super) async fn change(&self, path: &str, revision: Option<&str>, body: &Value) -> Answer {
        let body = Bytes::from(body.to_string());
        let tag = revision.map(|revision| format!("\"{revision}\""));
        let headers: Vec<_> = tag.iter().map(|tag| (header::IF_MATCH, tag.as_str())).collect();
        self.visitor.send(Method::PATCH, path, Some(("application/json", body)), &headers).await
    }

    /// Uploads something.
    pub(super) async fn upload(&self, method: Method, path: &str, content_type: &str, content: Bytes) -> Answer {
        self.visitor.send(method, path, Some((content_type, content)), &[]).await
    }

    /// Uploads something in the place of what must have this mark still.
    pub(super) async fn replace(&self, path: &str, content_type: &str, content: Bytes, mark: Option<&str>) -> Answer {
        let tag = mark.map(|mark| format!("\"{mark}\""));
        let headers: Vec<_> = tag.iter().map(|tag| (header::IF_MATCH, tag.as_str())).collect();
        self.visitor.send(Method::PUT, path, Some((content_type, content)), &headers).await
    }

    /// What was answered.
    ///
    /// # Errors
    /// The page of the API's problem.
    pub(super) fn taken(&self, answer: Answer) -> Result<Value, Failure> {
        if answer.status.is_success() { Ok(answer.value) } else { Err(self.problem(&answer)) }
    }

    /// The page of a problem.
    pub(super) fn problem(&self, answer: &Answer) -> Failure {
        self.console.problem(answer, Some(&self.me), self.uri.path())
    }

    /// A page with these values beside those that every page has.
    pub(super) fn show(&self, template: &str, values: Context) -> Page {
        self.show_as(StatusCode::OK, template, values)
    }

    /// A form again, with what was typed (`form`) and what was wrong with it (`problem`).
    pub(super) fn again(&self, template: &str, fields: &Fields, answer: &Answer, values: Context) -> Page {
        let values = context! { form => fields.shown(), problem => answer.value.clone(), ..values };
        self.show_as(answer.status, template, values)
    }

    fn show_as(&self, status: StatusCode, template: &str, values: Context) -> Page {
        self.console.render(status, template, self.framed(values))
    }

    /// A part of a page that is sent bit by bit.
    ///
    /// # Errors
    /// It can't be made.
    pub(super) fn render(&self, template: &str, values: Context) -> Result<String, Failure> {
        self.console.text(template, self.framed(values))
    }

    /// Values beside those that every page has.
    fn framed(&self, values: Context) -> Context {
        let frame = context! {
            me => self.me.clone(),
            path => self.uri.path(),
            query => self.uri.query(),
            now => self.console.inside.now().to_rfc3339(),
            done => self.query("done"),
            is_part => self.is_part,
        };
        context! { ..values, ..frame }
    }

    /// Leads on to a page, which says in a word of `messages.html` what was done.
    pub(super) fn done(&self, to: &str, what: &str) -> Page {
        let (to, place) = to.split_once('#').map_or((to, String::new()), |(to, place)| (to, format!("#{place}")));
        let to = match what {
            "" => format!("{to}{place}"),
            what => format!("{to}{}done={what}{place}", if to.contains('?') { '&' } else { '?' }),
        };
        Ok(lead(&to, self.is_part))
    }
}

/// A header that says when a part of a page is asked for again, or not kept by anyone.
pub(super) const VARY_ON_PART: (HeaderName, HeaderValue) = (header::VARY, HeaderValue::from_static("hx-request"));
