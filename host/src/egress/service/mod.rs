//! The client to services: requests of callers, streamed both ways over connections that are kept for the next one.
//!
//! A [`Way`] is an origin and how its connections are made; kept connections belong to one way, so integrations with
//! different certificates, authorities or proxies never share one. Addresses are checked as everywhere in this room, on the
//! address that is dialled. Nothing here follows a redirect, decompresses, reads a proxy from the environment, or knows
//! tokens; a request is sent again only where the service can't have seen it, or where HTTP says that it may be (RFC 9110
//! section 9.2.2).

mod answer;
mod dial;
mod link;
mod outgoing;
mod way;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use moka::sync::Cache;
use sha2::{Digest as _, Sha256};
use url::Url;

pub use self::answer::AnswerBody;
pub use self::outgoing::Outgoing;
pub use self::way::Way;

use self::dial::Dialer;
use self::link::Exchange;
use super::policy::Policy;
use super::refusal::{Fault, Refusal, Unsent};
use super::resolve::Resolver;
use super::transport::{Tls, Transport};
use crate::clock::SharedClock;

/// Ways that stay ready, each with its kept connections.
const WAYS: u64 = 1024;

/// How long an unused way stays.
const WAY_TIME: Duration = Duration::from_secs(600);

/// A kept connection that was used less than this ago is taken to be still open. One that was unused for longer may have
/// been closed by the service in this moment, and what can be repeated is kept for that.
const FRESH: Duration = Duration::from_millis(500);

/// How long to wait for a service.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the answer's head, from the last byte of the request that went out.
    pub head: Duration,
    /// For the next byte, once the head has come. Counted coarsely: it ends after this, and before twice this.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(60), idle: Duration::from_secs(300) }
    }
}

/// Sends requests to services.
pub struct ServiceClient {
    /// The operator's rules.
    policy: Arc<ArcSwap<Policy>>,
    /// Makes connections.
    dialer: Dialer,
    /// The ways, by digest of origin and transport.
    ways: Cache<[u8; 32], Arc<Way>>,
    /// Tells how long a connection was unused.
    clock: SharedClock,
}

impl ServiceClient {
    /// A client under this policy, without connections.
    pub(super) fn new(policy: Arc<ArcSwap<Policy>>, resolver: Resolver, clock: SharedClock, connect: Duration) -> Self {
        let dialer = Dialer::new(resolver, connect);
        let ways = Cache::builder().max_capacity(WAYS).time_to_idle(WAY_TIME).build();
        Self { policy, dialer, ways, clock }
    }

    /// Forgets all ways, and with them the connections that are kept, once nobody else holds them.
    pub(super) fn forget(&self) {
        self.ways.invalidate_all();
    }

    /// The way to a URL's origin. Keep it while URL and transport are the same: to find it again takes digests.
    pub(super) fn way(&self, url: &Url, transport: &Transport, tls: &Tls) -> Result<Arc<Way>, Refusal> {
        let mut hasher = Sha256::new();
        hasher.update(transport.digest());
        let proxy = transport.proxy.as_ref().map_or("", Url::as_str);
        hasher.update((proxy.len() as u64).to_be_bytes());
        hasher.update(proxy);
        hasher.update(url.origin().ascii_serialization());
        let digest: [u8; 32] = hasher.finalize().into();
        if let Some(way) = self.ways.get(&digest) {
            return Ok(way);
        }
        let policy = self.policy.load();
        policy.check_url("server", url).map_err(Refusal::from)?;
        let config = transport.check(&policy, tls)?;
        let way = Arc::new(Way::new(url, transport.proxy.as_ref(), config)?);
        // Whoever was first is the one: two ways to one place would keep twice the connections.
        Ok(self.ways.get_with(digest, || way))
    }

    /// Sends a request and waits for the answer's head; the body comes as it is read. Of the request's URI only path and
    /// query count; `Host` is set where it isn't.
    ///
    /// Cancel safe in that nothing goes on after it, or the answer's body, is dropped: the connection is closed then.
    ///
    /// # Errors
    /// There was no answer; says whether anything may have reached the service.
    pub async fn send(
        &self,
        way: &Arc<Way>,
        mut request: Request<Outgoing>,
        patience: Patience,
    ) -> Result<Response<AnswerBody>, Unsent> {
        way.address(&mut request)?;
        let progress = request.body().progress();
        let mut spare = None;
        loop {
            let (link, unused) = match way.take(self.clock.elapsed()) {
                Some((link, unused)) => (link, Some(unused)),
                None => (self.dialer.connect(way).await?, None),
            };
            if unused.is_some_and(|unused| unused >= FRESH) && spare.is_none() {
                spare = repeatable(&request);
            }
            let failed = match link.exchange(request, patience.head, progress.as_ref()).await {
                Exchange::Answered(response, link) => {
                    return Ok(response.map(|body| {
                        AnswerBody::new(body, link, Arc::clone(way), Arc::clone(&self.clock), patience.idle)
                    }));
                }
                // It was closed before it took anything: that is no failure of a new connection.
                Exchange::Returned(returned, _) if unused.is_some() => {
                    request = *returned;
                    continue;
                }
                Exchange::Returned(_, failed) => Unsent { left: false, ..way.failed(&failed) },
                Exchange::Silent => way.silent(patience.head),
                Exchange::Starved => {
                    let what = format!("got no whole request: its body stood still for {:?}", patience.head);
                    way.unsent(Fault::Body, what)
                }
                Exchange::Failed(failed) => way.failed(&failed),
            };
            match spare.take() {
                Some(again) if failed.fault == Fault::Broken => request = again,
                _ => return Err(failed),
            }
        }
    }
}

/// A copy of a request that may be sent twice: one of an idempotent method, whose body is at hand.
fn repeatable(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let body = request.body().repeated()?;
    if !request.method().is_idempotent() {
        return None;
    }
    let mut copy = Request::new(body);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Reads a whole body of at most so many bytes.
///
/// # Errors
/// It is longer, or breaks off.
pub async fn read_whole(mut body: AnswerBody, limit: usize) -> Result<Bytes, Unsent> {
    let mut whole = BytesMut::new();
    let mut first = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if whole.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > limit {
            return Err(body.too_large(limit));
        }
        // Most answers come in one piece, which needs no copy.
        match (first.take(), whole.is_empty()) {
            (None, true) => first = Some(data),
            (held, _) => {
                whole.extend_from_slice(&held.unwrap_or_default());
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}
