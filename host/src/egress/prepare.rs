//! From a flow's request to one that can be sent: everything that can be refused is refused here, before a byte leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::body;
use super::derive;
use super::extras::{Extra, merge};
use super::policy::{Destinations, Policy, shown};
use super::record::{Pair, RequestRecord};
use super::refusal::{Problem, Problems, Refusal};
use super::template::{Scope, Value, percent_encoded};
use super::transport::{Tls, Transport};
use crate::flows::request::{Body, Escape, Method, Request};
use crate::secrets::{Cleaner, Secrets};

/// Parameters, headers or members that a request may have, each.
const PARTS: usize = 1000;

/// Headers that the host or the connection sets.
const RESERVED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request that may be sent, once. Its `Debug` shows the record.
pub struct Prepared {
    /// The method.
    pub(super) method: http::Method,
    /// The URL with its query.
    pub(super) url: Url,
    /// The headers that were set.
    pub(super) headers: HeaderMap,
    /// The body's bytes.
    pub(super) body: Bytes,
    /// The TLS settings.
    pub(super) tls: Arc<ClientConfig>,
    /// The proxy.
    pub(super) proxy: Option<Url>,
    /// What may be kept and shown.
    record: RequestRecord,
    /// The secrets that are in it.
    secret_names: BTreeSet<String>,
    /// The computed values that hold a secret, by name.
    derived: BTreeMap<String, Value>,
    /// The sensitive texts of the request.
    sensitive: Vec<SecretString>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.record.fmt(f)
    }
}

impl Prepared {
    /// What may be kept and shown. Text that the flow wrote out plainly is as it was: clean it with a [`Cleaner`] that knows
    /// this integration's secrets before anyone sees it.
    pub fn record(&self) -> &RequestRecord {
        &self.record
    }

    /// The names of all secrets that leave with it, in computed values too. One that is not sent is not among them.
    pub fn secret_names(&self) -> &BTreeSet<String> {
        &self.secret_names
    }

    /// The SHA-256 of all that would go over the wire: two requests with the same are one to the provider.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        part(self.method.as_str().as_bytes());
        part(self.url.as_str().as_bytes());
        for (name, value) in &self.headers {
            part(name.as_str().as_bytes());
            part(value.as_bytes());
        }
        part(&self.body);
        hasher.finalize().into()
    }

    /// The computed values that hold secrets, such as the Basic credentials. Bytes that are no text are left out.
    pub fn derived_secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        for (name, value) in &self.derived {
            if let Ok(text) = std::str::from_utf8(&value.bytes) {
                secrets.insert(name.clone(), text.into());
            }
        }
        secrets
    }

    /// Lets a cleaner know the computed values and the sensitive texts, since a provider may echo them too.
    pub fn teach(&self, cleaner: &mut Cleaner) {
        for (name, value) in &self.derived {
            cleaner.add_bytes(name, &value.bytes);
        }
        for text in &self.sensitive {
            cleaner.add("sensitive", text);
        }
    }
}

/// Prepares a request.
pub(super) fn prepare(
    policy: &Policy,
    tls: &Tls,
    request: &Request,
    secrets: &Secrets,
    extras: &[Extra],
    to: &Destinations,
    transport: &Transport,
) -> Result<Prepared, Refusal> {
    let mut request = request.clone();
    let mut problems = Problems::default();
    for extra in extras {
        if let Err(problem) = merge(&mut request, extra) {
            problems.push(problem);
        }
    }
    for (part, count) in
        [("query", request.query.len()), ("headers", request.headers.len()), ("body", members(&request.body))]
    {
        if count > PARTS {
            return Err(Problem::flow(part, format!("has {count} parts; at most {PARTS} are sent")).into());
        }
    }
    if request.derived.len() > policy.limits.derived {
        let limit = policy.limits.derived;
        return Err(Problem::flow(
            "derived",
            format!("has {} values; at most {limit} are computed", request.derived.len()),
        )
        .into());
    }

    let mut scope = Scope::new(secrets, policy.limits.request_bytes);
    let body = compute(&mut scope, &request, &mut problems);
    let mut used = Value::default();
    let mut record = RequestRecord { method: method(request.method).to_string(), ..RequestRecord::default() };
    let url = url(policy, &scope, &request, to, &mut used, &mut record, &mut problems);
    let mut headers = headers(&scope, &request, &mut used, &mut record, &mut problems);
    let tls = match transport.check(policy, tls) {
        Ok(config) => Some(config),
        Err(refusal) => {
            refusal.problems.into_iter().for_each(|problem| problems.push(problem));
            None
        }
    };
    if let Some(body) = &body {
        content_type(&mut headers, &request.body, body.content_type.as_deref(), &mut problems);
    }
    problems.outcome()?;
    let (Some(body), Some(url), Some(tls)) = (body, url, tls) else {
        return Err(Problem::flow("request", "can't be rendered").into());
    };

    used.inherit(&body.value);
    record.body = body.record;
    let derived = scope.into_derived().into_iter().filter(|(_, value)| value.hidden).collect();
    Ok(Prepared {
        method: method(request.method),
        url,
        headers,
        body: Bytes::copy_from_slice(&body.value.bytes),
        tls,
        proxy: transport.proxy.clone(),
        record,
        secret_names: used.secrets,
        derived,
        sensitive: sensitive(&request),
    })
}

/// Computes the derived values in order, and renders the body: before the first value that needs it, else after all.
fn compute(scope: &mut Scope<'_>, request: &Request, problems: &mut Problems) -> Option<body::Rendered> {
    let mut body = None;
    let mut failed = false;
    for derived in &request.derived {
        if body.is_none() && derive::uses_body(&derived.value) {
            body = Some(body::render(scope, &request.body, problems)?);
            if let Some(rendered) = &body {
                scope.set_body(rendered.value.clone());
            }
        }
        // The first value that fails takes along those that use it: their problems would only repeat it.
        if failed {
            continue;
        }
        match derive::compute(scope, derived).and_then(|value| scope.define(&derived.name, value)) {
            Ok(()) => {}
            Err(problem) => {
                problems.push(problem);
                failed = true;
            }
        }
    }
    if failed {
        return None;
    }
    match body {
        Some(body) => Some(body),
        None => body::render(scope, &request.body, problems),
    }
}

/// The URL with its query, held against destinations and policy.
fn url(
    policy: &Policy,
    scope: &Scope<'_>,
    request: &Request,
    to: &Destinations,
    used: &mut Value,
    record: &mut RequestRecord,
    problems: &mut Problems,
) -> Option<Url> {
    let mut url = match Url::parse(&request.url) {
        Ok(url) => url,
        Err(error) => {
            problems.push(Problem::flow("url", format!("is no absolute URL ({error})")));
            return None;
        }
    };
    url.set_fragment(None);
    problems.take(policy.check_url("url", &url).and_then(|()| to.check(&url)));
    record.url = shown(&url);
    record.query = url.query_pairs().map(|(name, _)| Pair::new(&name, "…")).collect();

    let mut query = zeroize::Zeroizing::new(url.query().unwrap_or_default().to_owned());
    for (name, template) in &request.query {
        let part = format!("query parameter `{name}`");
        let encode = |bytes: &[u8]| {
            if bytes.contains(&0) { Err("has a NUL byte") } else { Ok(percent_encoded(bytes)) }
        };
        let Some((value, pair)) = problems.take(body::parameter(scope, &part, name, template, encode)) else {
            continue;
        };
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&pair);
        record.query.push(Pair::new(name, &value.shown));
        used.inherit(&value);
    }
    if !query.is_empty() {
        url.set_query(Some(&query));
    }
    // The HTTP client can't hold longer ones either (RFC 9110 section 4.1 asks for 8000 at least).
    let limit = policy.limits.request_bytes.min(usize::from(u16::MAX) - 1);
    if url.as_str().len() > limit {
        problems.push(Problem::flow("url", format!("is longer than {limit} bytes")));
    }
    Some(url)
}

/// The headers that the flow and the integration set, and the host's own.
fn headers(
    scope: &Scope<'_>,
    request: &Request,
    used: &mut Value,
    record: &mut RequestRecord,
    problems: &mut Problems,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut size = 0;
    for (name, template) in &request.headers {
        let part = format!("header `{name}`");
        let Some(known) = problems.take(header_name(&part, name)) else { continue };
        let Some(value) = problems.take(scope.render(&part, template, Escape::None)) else { continue };
        size += name.len() + value.bytes.len();
        let Ok(mut sent) = HeaderValue::from_bytes(&value.bytes) else {
            problems.push(Problem::integration(
                &part,
                "has a line break or another control character in its value; has one come along with a secret?",
            ));
            continue;
        };
        sent.set_sensitive(value.hidden);
        headers.append(known, sent);
        record.headers.push(Pair::new(name, &value.shown));
        used.inherit(&value);
    }
    if size > scope.limit() {
        problems.push(Problem::flow("headers", format!("are longer than {} bytes", scope.limit())));
    }
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
    headers
}

/// Whether a header is set by the host or the connection, and so by nobody else.
pub fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(&name.as_str()) || name.as_str().starts_with("proxy-")
}

/// A header's name, if a flow may set it.
pub(super) fn header_name(part: &str, name: &str) -> Result<HeaderName, Problem> {
    let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Problem::flow(part, "is no header name"))?;
    if is_reserved(&known) {
        return Err(Problem::flow(part, "is set by the host; leave it out"));
    }
    Ok(known)
}

/// Sets the body's content type, unless a header says it more exactly.
fn content_type(headers: &mut HeaderMap, body: &Body, content_type: Option<&str>, problems: &mut Problems) {
    let Some(content_type) = content_type else { return };
    if headers.contains_key(CONTENT_TYPE) {
        if matches!(body, Body::Raw(_)) {
            problems.push(Problem::flow("header `content-type`", "is set twice, in the raw body too; leave one out"));
        }
        return;
    }
    match HeaderValue::from_str(content_type) {
        Ok(value) => drop(headers.insert(CONTENT_TYPE, value)),
        Err(_) => problems.push(Problem::flow("body", "has a content type that is no header value")),
    }
}

/// How many parts a body has.
fn members(body: &Body) -> usize {
    match body {
        Body::Empty | Body::Raw(_) => 0,
        Body::Form(pairs) => pairs.len(),
        Body::Json(members) => members.len(),
    }
}

/// All sensitive texts of a request, each once.
fn sensitive(request: &Request) -> Vec<SecretString> {
    let texts: BTreeSet<&str> = request.sensitive().map(ExposeSecret::expose_secret).collect();
    texts.into_iter().map(SecretString::from).collect()
}

/// The method as HTTP writes it.
fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    }
}
