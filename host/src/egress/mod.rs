//! The only outbound connections of the daemon: a flow's request is rendered, held against the policy, and sent.
//!
//! `prepare` refuses what may not go, before a byte leaves; `send` knows afterwards whether anything did. Both know nothing of
//! integrations, tokens or storage. Nothing here follows a redirect or reads a proxy from the environment, and no flow's request
//! finds a kept connection or is tried twice: what happens next is the caller's decision. Callers' own requests to services are
//! another matter, and go through `service`.

mod address;
mod body;
mod derive;
mod extras;
mod json;
mod jwt;
mod place;
mod policy;
mod prepare;
mod record;
mod refusal;
mod resolve;
mod send;
mod service;
pub mod sign;
mod template;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use tokio::sync::Semaphore;
use url::Url;

pub use self::extras::{Extra, ExtraLocation};
pub use self::place::{Carried, Placed, Signing};
pub use self::policy::{Destinations, Limits, Policy};
pub use self::prepare::{Prepared, is_reserved};
pub use self::record::{BodyRecord, Pair, RequestRecord};
pub use self::refusal::{Blame, Fault, Problem, Refusal, Unsent};
pub use self::send::Answer;
pub use self::service::{AnswerBody, Outgoing as ServiceBody, Patience, ServiceClient, Way, read_whole};
pub use self::transport::Transport;

use self::resolve::Resolver;
use self::send::{Outgoing, send};
use self::transport::Tls;
use crate::clock::SharedClock;
use crate::flows::request::Request;
use crate::secrets::Secrets;
use crate::telemetry;

/// What goes out goes through this.
pub struct Egress {
    /// The operator's rules.
    policy: Arc<ArcSwap<Policy>>,
    /// The limits, which stay.
    limits: Limits,
    /// Tells when a request left.
    clock: SharedClock,
    /// Names to allowed addresses.
    resolver: Resolver,
    /// TLS settings.
    tls: Tls,
    /// Permits for requests under way.
    permits: Semaphore,
    /// Callers' requests to services.
    services: ServiceClient,
}

impl Egress {
    /// An egress under this policy.
    pub fn new(policy: Policy, clock: SharedClock) -> Self {
        let (limits, policy) = (policy.limits.clone(), Arc::new(ArcSwap::from_pointee(policy)));
        let permits = Semaphore::new(limits.at_once.min(Semaphore::MAX_PERMITS));
        let resolver = Resolver::new(Arc::clone(&policy));
        let services = ServiceClient::new(Arc::clone(&policy), resolver.clone(), Arc::clone(&clock), limits.connect);
        Self { resolver, tls: Tls::new(), policy, limits, clock, permits, services }
    }

    /// Exchanges what may be dialled. Connections that are kept are given up, since the new policy may forbid them; what is
    /// under way ends as it began. The limits stay.
    pub fn allow(&self, networks: Vec<IpNet>, http: bool) {
        self.policy.store(Arc::new(Policy { allow_networks: networks, allow_http: http, limits: self.limits.clone() }));
        self.services.forget();
    }

    /// Whether the operator allows plain http.
    pub fn allows_http(&self) -> bool {
        self.policy.load().allow_http
    }

    /// Holds a transport against the policy, and reads its certificates and key. The parts of its problems are
    /// `transport.ca`, `transport.proxy`, `transport.client_certificate` and `transport.client_key`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn check_transport(&self, transport: &Transport) -> Result<(), Refusal> {
        transport.check(&self.policy.load(), &self.tls).map(drop)
    }

    /// Whether a person may be sent to this URL: https, unless the operator allows otherwise, and at one of these origins
    /// where they are given. Says what may be shown of it.
    ///
    /// A person's browser dials it, not the daemon: so its address isn't held against the allowed networks.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_link(&self, url: &str, to: Option<&Destinations>) -> Result<String, Problem> {
        let url = Url::parse(url).map_err(|_| Problem::flow("url", "is no absolute URL"))?;
        let is_allowed = url.scheme() == "https" || (url.scheme() == "http" && self.policy.load().allow_http);
        if !is_allowed {
            let origin = url.origin().ascii_serialization();
            let message =
                format!("{origin} isn't https; let an operator set TOKENHOST_EGRESS_HTTP=true where that is right");
            return Err(Problem::operator("url", message));
        }
        policy::check_userinfo("url", &url)?;
        if let Some(to) = to {
            to.check(&url)?;
        }
        Ok(policy::shown(&url))
    }

    /// The clock that tells when a request left.
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// The client for callers' requests to services.
    pub fn services(&self) -> &ServiceClient {
        &self.services
    }

    /// The way to a service at this URL's origin, held against the policy. Keep it while URL and transport are the same: to
    /// find it again takes digests of both.
    ///
    /// # Errors
    /// All that is wrong with the URL (as `server`) and the transport.
    pub fn way(&self, url: &Url, transport: &Transport) -> Result<Arc<Way>, Refusal> {
        self.services.way(url, transport, &self.tls)
    }

    /// Renders a flow's request, computes its derived values, and holds it against policy and destinations.
    ///
    /// `extras` are merged in first. The caller decides which apply. Signing with an RSA key takes some milliseconds.
    ///
    /// # Errors
    /// All that is wrong with it; nothing has left.
    pub fn prepare(
        &self,
        request: &Request,
        secrets: &Secrets,
        extras: &[Extra],
        to: &Destinations,
        transport: &Transport,
    ) -> Result<Prepared, Refusal> {
        prepare::prepare(&self.policy.load(), &self.tls, request, secrets, extras, to, transport)
    }

    /// What a token adds to a request to the service.
    ///
    /// # Errors
    /// All that is wrong with it: a secret isn't set, or can't stand where it is to go.
    pub fn place(&self, carried: &Carried<'_>) -> Result<Placed, Refusal> {
        place::place(&self.policy.load(), carried)
    }

    /// Signs a request to a service, as of now. `challenge` is what the service asked for, where it did.
    ///
    /// # Errors
    /// There is no such signer, or it can't sign this; nothing of the request's own text is repeated.
    pub fn sign(
        &self,
        signing: &Signing,
        outline: &sign::Outline<'_>,
        challenge: Option<&sign::Challenge>,
    ) -> Result<sign::Signed, sign::SignError> {
        sign::sign(&signing.name, &signing.parameters, outline, self.clock.now(), challenge)
    }

    /// Sends a request once, and reads the whole answer. An answer is one whatever its status; a redirect is not followed.
    ///
    /// Cancel safe in that nothing goes on after it is dropped; whether the request had left is lost then.
    ///
    /// # Errors
    /// There was no complete answer; says whether anything may have reached the provider.
    pub async fn send(&self, prepared: Prepared) -> Result<Answer, Unsent> {
        let limits = &self.limits;
        self.dispatch(Outgoing {
            method: prepared.method,
            url: prepared.url,
            headers: prepared.headers,
            body: prepared.body,
            tls: prepared.tls,
            proxy: prepared.proxy,
            total: limits.total,
            answer_bytes: limits.answer_bytes,
        })
        .await
    }

    /// Fetches a document for an operator, under the same policy, from any origin.
    ///
    /// # Errors
    /// The URL is refused, there was no complete answer, or its status isn't 200.
    pub async fn fetch(&self, url: &Url, limit: usize) -> Result<Bytes, FetchError> {
        self.check_url(url)?;
        let accept = HeaderValue::from_static("application/json, application/yaml, text/yaml, */*;q=0.5");
        let mut url = url.clone();
        url.set_fragment(None);
        let answer = self
            .dispatch(Outgoing {
                method: http::Method::GET,
                headers: HeaderMap::from_iter([(ACCEPT, accept)]),
                body: Bytes::new(),
                tls: self.tls.config(&Transport::default())?,
                proxy: None,
                total: self.limits.document_total,
                answer_bytes: limit,
                url,
            })
            .await?;
        match answer.response.status {
            200 => Ok(answer.response.body),
            status => Err(FetchError::Status(status)),
        }
    }

    /// Whether the daemon may send to this URL on an operator's behalf, as far as it can be told without resolving its name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_url(&self, url: &Url) -> Result<(), Refusal> {
        self.policy.load().check_url("url", url).map_err(Refusal::from)
    }

    /// Posts to a URL that an operator has named, under the same policy. An answer is one whatever its status; a redirect is
    /// not followed. `total`: from the start to the end of the answer, of at most `limit` bytes.
    ///
    /// # Errors
    /// The URL is refused, or there was no complete answer.
    pub async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        total: Duration,
        limit: usize,
    ) -> Result<Answer, FetchError> {
        self.check_url(url)?;
        let mut url = url.clone();
        url.set_fragment(None);
        let tls = self.tls.config(&Transport::default())?;
        let method = http::Method::POST;
        Ok(self.dispatch(Outgoing { method, url, headers, body, tls, proxy: None, total, answer_bytes: limit }).await?)
    }

    /// Waits for a permit and sends.
    async fn dispatch(&self, outgoing: Outgoing) -> Result<Answer, Unsent> {
        let began = self.clock.elapsed();
        let outcome = self.dispatch_now(outgoing).await;
        let word = outcome.as_ref().map_or_else(|unsent| unsent.fault.as_str(), |_| "answered");
        metrics::counter!(telemetry::PROVIDER_REQUESTS, "outcome" => word).increment(1);
        metrics::histogram!(telemetry::PROVIDER_SECONDS).record(self.clock.elapsed().saturating_sub(began));
        outcome
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.limits.at_once.saturating_sub(self.permits.available_permits())
    }

    async fn dispatch_now(&self, outgoing: Outgoing) -> Result<Answer, Unsent> {
        let limits = &self.limits;
        let Ok(Ok(_permit)) = tokio::time::timeout(outgoing.total, self.permits.acquire()).await else {
            let reason = format!("{} requests were under way all the time; try again later", limits.at_once);
            return Err(Unsent { left: false, fault: Fault::Timeout, reason });
        };
        send(outgoing, &self.resolver, limits, &self.clock).await
    }
}

/// Why a document could not be fetched. Its text holds nothing of what was fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The policy forbids the URL.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There was no complete answer.
    #[error(transparent)]
    Unsent(#[from] Unsent),
    /// Another status than 200 came back.
    #[error("the answer has status {0}; 200 is wanted, and redirects are not followed")]
    Status(u16),
}
