//! Where a service is and how it is reached, and the connections that are kept to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri, Version, header};
use http_body::Body as _;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::super::refusal::{Fault, Problem, Refusal, Unsent};
use super::super::send::{about_certificate, root, tls_error};
use super::link::Link;
use super::outgoing::Outgoing;
use crate::clock::SharedClock;

/// Connections that are kept for one way at most.
const KEPT: usize = 64;

/// How long an unused one is kept. Whatever is closed by the service before that is found out when it is next taken.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// An origin, and how its connections are made.
pub struct Way {
    /// The service.
    pub(super) service: Peer,
    /// TLS, where it is https.
    pub(super) https: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The proxy through which it is reached.
    pub(super) proxy: Option<Peer>,
    /// The origin, for messages.
    origin: String,
    /// What stands in `Host`.
    host: HeaderValue,
    /// Connections that wait for a request.
    kept: Mutex<Kept>,
}

/// A host and port.
pub(super) struct Peer {
    /// The name, or the address without brackets.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
}

/// Connections that wait for a request.
#[derive(Default)]
struct Kept {
    /// With when each was last used; the latest last.
    links: Vec<(Link, Duration)>,
    /// Whether somebody watches that they don't stay too long.
    watched: bool,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Way").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Peer {
    /// The host and port of a URL.
    fn of(url: &Url) -> Option<Self> {
        let host = match url.host()? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Some(Self { host, port: url.port_or_known_default()? })
    }

    /// As it stands in a request to a proxy.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Way {
    /// The way to a URL's origin.
    pub(super) fn new(url: &Url, proxy: Option<&Url>, tls: Arc<ClientConfig>) -> Result<Self, Refusal> {
        let no_host = || Refusal::from(Problem::integration("server", "has no host"));
        let service = Peer::of(url).ok_or_else(no_host)?;
        let https = match url.scheme() {
            "https" => Some((tls, ServerName::try_from(service.host.clone()).map_err(|_| no_host())?)),
            _ => None,
        };
        let authority = url.authority();
        Ok(Self {
            https,
            proxy: proxy.and_then(Peer::of),
            origin: url.origin().ascii_serialization(),
            host: HeaderValue::from_str(authority).map_err(|_| no_host())?,
            kept: Mutex::default(),
            service,
        })
    }

    /// Puts `Host` into a request, and its target into the form that this way wants (RFC 9112 section 3.2).
    pub(super) fn address(&self, request: &mut Request<Outgoing>) -> Result<(), Unsent> {
        *request.version_mut() = Version::HTTP_11;
        let target = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let uri = match (&self.proxy, &self.https) {
            (Some(_), None) => format!("{}{target}", self.origin).parse(),
            _ => Ok(Uri::from(target)),
        };
        *request.uri_mut() = uri.map_err(|_| Unsent {
            left: false,
            ..self.unsent(Fault::Refused, "has no such path: it is no part of a URL".to_owned())
        })?;
        // A body of unknown length is sent with any method; the HTTP library would leave it out where the method seldom has one.
        let body = request.body();
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, self.host.clone());
        }
        Ok(())
    }

    /// A kept connection that is still open, and for how long it was unused.
    pub(super) fn take(&self, now: Duration) -> Option<(Link, Duration)> {
        loop {
            // Taken out one by one: to ask a connection is work, for which nobody else need wait.
            let (mut link, used) = self.kept().links.pop()?;
            let unused = now.saturating_sub(used);
            if unused < KEPT_FOR && link.is_open() {
                return Some((link, unused));
            }
        }
    }

    /// Keeps a connection.
    pub(super) fn keep(self: &Arc<Self>, link: Link, clock: &SharedClock) {
        let mut kept = self.kept();
        if kept.links.len() >= KEPT {
            return;
        }
        kept.links.push((link, clock.elapsed()));
        if std::mem::replace(&mut kept.watched, true) {
            return;
        }
        drop(kept);
        let (way, clock) = (Arc::downgrade(self), Arc::clone(clock));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEPT_FOR).await;
                let Some(way) = way.upgrade() else { return };
                let now = clock.elapsed();
                let mut kept = way.kept();
                // What ends here is dropped after the lock.
                let stays = kept.links.iter().position(|(_, used)| now.saturating_sub(*used) < KEPT_FOR);
                let ended = match stays {
                    Some(first) => kept.links.drain(..first).collect::<Vec<_>>(),
                    None => std::mem::take(&mut kept.links),
                };
                kept.watched = !kept.links.is_empty();
                let goes_on = kept.watched;
                drop(kept);
                drop(ended);
                if !goes_on {
                    return;
                }
            }
        });
    }

    /// Whether a connection is kept that is still open.
    #[cfg(test)]
    pub(in super::super) fn holds_open(&self) -> bool {
        self.kept().links.iter_mut().any(|(link, _)| link.is_open())
    }

    /// The kept connections.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A failure after which the request may have reached the service.
    pub(super) fn unsent(&self, fault: Fault, what: String) -> Unsent {
        let via = if self.proxy.is_some() { " (through the proxy)" } else { "" };
        Unsent { left: true, fault, reason: format!("{}{via} {what}", self.origin) }
    }

    /// The failure of a service that sent nothing for this long.
    pub(super) fn silent(&self, limit: Duration) -> Unsent {
        self.unsent(Fault::Timeout, format!("was silent for {limit:?}"))
    }

    /// What an error on a connection means.
    pub(super) fn failed(&self, error: &hyper::Error) -> Unsent {
        // With TLS 1.3 a service judges our certificate after we have begun to send. Having refused it, it reads nothing.
        if let Some(rustls::Error::AlertReceived(alert)) = tls_error(error)
            && about_certificate(*alert)
        {
            let what =
                format!("refused our TLS client certificate, or wants one (transport.client_certificate): {alert:?}");
            return Unsent { left: false, ..self.unsent(Fault::Tls, what) };
        }
        if error.is_parse_too_large() {
            return self.unsent(Fault::TooLarge, "answered a head that is too large".to_owned());
        }
        if error.is_parse() {
            return self.unsent(Fault::Malformed, format!("answered no proper HTTP: {error}"));
        }
        if error.is_user() {
            return self.unsent(Fault::Body, "got no whole request: its body broke off".to_owned());
        }
        self.unsent(Fault::Broken, format!("broke off before its answer was complete: {}", root(error)))
    }
}
