//! One request on one connection of its own: out, and the whole answer back, within the limits.
//!
//! A connection is never kept for a second request. So nothing is resent on one that has gone stale, and whether a request
//! has left is a plain fact: it has from the moment its connection stands, TLS and proxy included.

use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use http::HeaderMap;
use reqwest::{Client, Proxy, redirect, retry};
use rustls::{AlertDescription, ClientConfig};
use tower::util::MapResponseLayer;
use url::Url;

use super::policy::Limits;
use super::refusal::{Fault, Unsent};
use super::resolve::{Handle, Resolver, Watched};
use crate::clock::SharedClock;
use crate::flows::step::Response;

/// What the daemon calls itself where the flow sets no `User-Agent`.
const USER_AGENT: &str = concat!("tokenhost/", env!("CARGO_PKG_VERSION"));

/// A complete answer, and when its request left.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The answer.
    pub response: Response,
    /// The wall clock when the request left: lifetimes count from here.
    pub left_at: DateTime<Utc>,
    /// [`Clock::elapsed`](crate::clock::Clock::elapsed) at the same moment, for a wall clock that steps.
    pub left_elapsed: Duration,
    /// From the start of sending to the end of the answer, the name's resolution included.
    pub taken: Duration,
}

/// A request for the wire.
pub(super) struct Outgoing {
    /// The method.
    pub(super) method: http::Method,
    /// The URL.
    pub(super) url: Url,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body.
    pub(super) body: Bytes,
    /// The TLS settings.
    pub(super) tls: Arc<ClientConfig>,
    /// The proxy.
    pub(super) proxy: Option<Url>,
    /// From the start to the end of the answer.
    pub(super) total: Duration,
    /// The largest body of an answer.
    pub(super) answer_bytes: usize,
}

/// Sends a request and reads the answer.
pub(super) async fn send(
    outgoing: Outgoing,
    resolver: &Resolver,
    limits: &Limits,
    clock: &SharedClock,
) -> Result<Answer, Unsent> {
    let start = clock.elapsed();
    let sending = Sending {
        host: outgoing.url.origin().ascii_serialization(),
        proxied: outgoing.proxy.is_some(),
        left: Arc::new(OnceLock::new()),
        resolver: resolver.for_one(),
    };
    let total = outgoing.total;
    let response = match tokio::time::timeout(total, sending.exchange(outgoing, limits, clock)).await {
        Ok(outcome) => outcome?,
        Err(_) => return Err(sending.timed_out(total)),
    };
    let (left_at, left_elapsed) = sending.left.get().copied().unwrap_or_else(|| (clock.now(), clock.elapsed()));
    Ok(Answer { response, left_at, left_elapsed, taken: clock.elapsed().saturating_sub(start) })
}

/// A request on its way.
struct Sending {
    /// The origin, for messages.
    host: String,
    /// Whether it goes through a proxy.
    proxied: bool,
    /// When the connection stood.
    left: Arc<OnceLock<(DateTime<Utc>, Duration)>>,
    /// Resolves the name, and remembers why it can't.
    resolver: Arc<Watched>,
}

impl Sending {
    /// The whole exchange, without the limit on total time.
    async fn exchange(&self, outgoing: Outgoing, limits: &Limits, clock: &SharedClock) -> Result<Response, Unsent> {
        let client = self
            .client(&outgoing, limits, clock)
            .map_err(|error| self.unsent(Fault::Connect, format!("can't be set up: {}", root(&error))))?;
        let request = client.request(outgoing.method, outgoing.url).headers(outgoing.headers).body(outgoing.body);
        let mut response = request.send().await.map_err(|error| self.failed(&error, limits))?;

        let status = response.status().as_u16();
        let size: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if size > limits.answer_header_bytes {
            let limit = limits.answer_header_bytes;
            return Err(self.unsent(Fault::TooLarge, format!("answered headers of more than {limit} bytes")));
        }
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error, limits))? {
            if body.len() + chunk.len() > outgoing.answer_bytes {
                let limit = outgoing.answer_bytes;
                return Err(self.unsent(Fault::TooLarge, format!("answered more than {limit} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, headers, body: body.freeze() })
    }

    /// A client for this one connection.
    fn client(&self, outgoing: &Outgoing, limits: &Limits, clock: &SharedClock) -> reqwest::Result<Client> {
        let (left, clock) = (Arc::clone(&self.left), Arc::clone(clock));
        let mut builder = Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(&outgoing.tls))
            .http1_only()
            .no_proxy() // none from the environment
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never())
            .pool_max_idle_per_host(0)
            .user_agent(USER_AGENT)
            .connect_timeout(limits.connect)
            .read_timeout(limits.idle)
            .dns_resolver(Handle(Arc::clone(&self.resolver)))
            .connector_layer(MapResponseLayer::new(note(move || {
                left.get_or_init(|| (clock.now(), clock.elapsed()));
            })));
        if let Some(proxy) = &outgoing.proxy {
            builder = builder.proxy(Proxy::all(proxy.as_str())?);
        }
        builder.build()
    }

    /// A failure, with whether the request had left.
    fn unsent(&self, fault: Fault, what: String) -> Unsent {
        let via = if self.proxied { " (through the proxy)" } else { "" };
        Unsent { left: self.left.get().is_some(), fault, reason: format!("{}{via} {what}", self.host) }
    }

    /// The failure at the end of the total time.
    fn timed_out(&self, total: Duration) -> Unsent {
        let what = if self.left.get().is_some() { "gave no complete answer" } else { "could not be reached" };
        self.unsent(Fault::Timeout, format!("{what} within {total:?}"))
    }

    /// What an error of the HTTP client means.
    fn failed(&self, error: &reqwest::Error, limits: &Limits) -> Unsent {
        if let Some((fault, reason)) = self.resolver.failure() {
            return Unsent { left: false, fault: *fault, reason: reason.clone() };
        }
        if self.left.get().is_none() {
            if error.is_timeout() {
                return self.unsent(
                    Fault::Timeout,
                    format!("could not be reached within {:?}", limits.connect.min(limits.idle)),
                );
            }
            return match tls_error(error) {
                Some(error) => self.unsent(Fault::Tls, format!("failed the TLS handshake: {}", tls_text(error))),
                None => self.unsent(Fault::Connect, format!("could not be reached: {}", root(error))),
            };
        }
        if error.is_timeout() {
            return self.unsent(Fault::Timeout, format!("was silent for {:?}", limits.idle));
        }
        // With TLS 1.3 a provider judges our certificate after we have begun to send. Having refused it, it reads nothing.
        if let Some(rustls::Error::AlertReceived(alert)) = tls_error(error)
            && about_certificate(*alert)
        {
            let reason =
                format!("refused our TLS client certificate, or wants one (transport.client_certificate): {alert:?}");
            return Unsent { left: false, ..self.unsent(Fault::Tls, reason) };
        }
        let http_error = hyper_error(error);
        if error.is_decode() && http_error.is_none() {
            return self.unsent(Fault::Malformed, format!("answered what can't be decompressed: {}", root(error)));
        }
        match http_error {
            Some(parse) if parse.is_parse() => {
                self.unsent(Fault::Malformed, format!("answered no proper HTTP: {parse}"))
            }
            _ => self.unsent(Fault::Broken, format!("broke off before its answer was complete: {}", root(error))),
        }
    }
}

/// Notes that a connection stands, and hands it on.
fn note<C>(noted: impl Fn() + Clone) -> impl Fn(C) -> C + Clone {
    move |connection| {
        noted();
        connection
    }
}

/// The errors below an error, itself first, through the wrappers of `io::Error` too.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

/// The text of the innermost error: the outer ones name the URL with its query.
pub(super) fn root(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// The TLS error below an error.
pub(super) fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// The HTTP error below an error.
fn hyper_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a hyper::Error> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// A TLS error and what to do about it.
pub(super) fn tls_text(error: &rustls::Error) -> String {
    use rustls::CertificateError as C;
    let advice = match error {
        rustls::Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => {
            "; if a company's own authority issued the certificate, set transport.ca"
        }
        rustls::Error::AlertReceived(alert) if about_certificate(*alert) => {
            "; it may want transport.client_certificate"
        }
        _ => "",
    };
    format!("{error}{advice}")
}

/// Whether an alert is about the certificate that we showed or didn't (RFC 8446 section 6.2). None of these can come once a
/// provider has accepted our side of the handshake.
pub(super) fn about_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as A;
    matches!(
        alert,
        A::NoCertificate
            | A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::CertificateRequired
            | A::UnknownCA
            | A::AccessDenied
            | A::DecryptError
            | A::HandshakeFailure
    )
}
