//! Events as they happen: server-sent events (WHATWG HTML, section 9.2), which browsers and `curl -N` read alike.
//!
//! A stream goes on where its reader left off, while what came since is kept. Who reads is held against what holds at each
//! moment: a token that was revoked sees nothing more. Streams are few and each holds a bounded amount of memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;
use ulid::Ulid;

use super::super::caller::Caller;
use super::super::credentials;
use super::super::problem::{Code, Problem};
use super::super::query::Query;
use super::super::state::Api;
use super::{Event, Filter, Filtering, may_see, read_after};
use crate::access::{Principal, Scopes, Visit};

/// Streams at once.
const MOST: usize = 256;
/// Streams of one principal at once.
const MOST_OF_ONE: usize = 8;
/// After so long without an event, a line says that the stream is alive. Proxies give up after 30 to 60 s.
const BEAT: Duration = Duration::from_secs(15);
/// The longest stream; its reader comes back.
const LONGEST: Duration = Duration::from_secs(3_600);
/// The same where who reads can't be held against what holds now: sessions and passwords.
const LONGEST_UNCHECKED: Duration = Duration::from_secs(60);
/// Events read at once.
const AT_ONCE: usize = 64;
/// The header with which a reader says what it got last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The streams that are open.
#[derive(Clone, Default)]
pub(in super::super) struct Streams(Arc<Mutex<HashMap<String, usize>>>);

/// A stream's place among them.
struct Place {
    streams: Streams,
    who: String,
}

impl Streams {
    /// A place for one more, if there is room.
    fn enter(&self, who: String) -> Result<Place, String> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (open.values().sum::<usize>(), open.get(&who).copied().unwrap_or(0));
        if own >= MOST_OF_ONE {
            return Err(format!("you have {own} streams open already, which is the most; close one first"));
        }
        if all >= MOST {
            return Err(format!("{all} streams are open already, which is the most; try again later, or list events"));
        }
        *open.entry(who.clone()).or_insert(0) += 1;
        Ok(Place { streams: self.clone(), who })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.who);
            }
        }
    }
}

/// Who follows, and how far.
struct Follower {
    api: Api,
    /// Who, as they were when last looked at.
    who: Arc<Principal>,
    /// The token they came with.
    token: Option<SecretString>,
    filter: Filter,
    /// The last event that was looked at.
    at: Ulid,
    /// Changes with each new event.
    last: watch::Receiver<Ulid>,
    /// When the stream ends, on the monotonic clock.
    ends: Duration,
    /// What is to be said before anything else.
    first: Option<Bytes>,
    _place: Place,
}

/// Follows the events that the caller may see, as they happen
///
/// Each has the `id` and the kind (`event`) of its event, and that event as JSON (`data`). A comment every 15 seconds says that the
/// stream is alive. A stream ends after an hour, or a minute for sessions and passwords; readers come back with `Last-Event-ID`, as
/// browsers do by themselves, and miss nothing. Where what came after that is no longer kept, an event `gap` says so.
#[utoipa::path(get, path = "/v1/events/stream", tag = "events",
    params(Filtering, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was read; wins over `after`. Without either, the stream begins now")),
    responses((status = 200, description = "The stream", body = String, content_type = "text/event-stream")))]
pub(super) async fn follow(State(api): State<Api>, caller: Caller, parts: Parts) -> Result<Response, Problem> {
    let mut query = Query::of(&parts.uri);
    let (filter, after) = (Filter::read(&mut query), read_after(&mut query));
    let given = parts.headers.get(&LAST_EVENT_ID).and_then(|value| value.to_str().ok()).map(str::trim);
    let given = given.filter(|text| !text.is_empty());
    let seen = given.and_then(|text| Ulid::from_string(text).ok());
    if given.is_some() && seen.is_none() {
        query.fault("Last-Event-ID", "is no event's id; it has 26 letters and digits");
    }
    query.finish()?;
    let place = api.streams.enter(caller.label());
    let place = place.map_err(|detail| Problem::new(Code::TooManyStreams, detail).retry_after(LONGEST_UNCHECKED))?;
    let mut last = api.notices.last();
    let newest = *last.borrow_and_update();
    let at = seen.or(after).unwrap_or(newest);
    let token = credentials::token(&parts.headers).map(SecretString::from);
    let longest = if token.is_some() { LONGEST } else { LONGEST_UNCHECKED };
    let mut first = "retry: 3000\n\n".to_owned();
    if api.notices.has_gap_after(at) {
        first += "event: gap\ndata: {\"message\":\"some events after the one you read last are no longer kept; `tokenhost status` (GET /v1/status) shows what needs attention now\"}\n\n";
    }
    let follower = Follower {
        who: Arc::new(Principal::clone(&caller)),
        token,
        filter,
        at,
        last,
        ends: api.clock.elapsed() + longest,
        first: Some(first.into()),
        _place: place,
        api,
    };
    let body = futures_util::stream::unfold(follower, |mut follower| async move {
        let chunk = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), follower))
    });
    const HEADERS: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx would hold events back otherwise.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((HEADERS, Body::from_stream(body)).into_response())
}

impl Follower {
    /// What is sent next; none at the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let mut waited = std::pin::pin!(tokio::time::sleep(BEAT));
        loop {
            self.last.borrow_and_update();
            let events = match self.api.notices.after(self.at, AT_ONCE).await {
                Ok(events) => events,
                Err(error) => {
                    tracing::error!("a stream of events ends, since they can't be read: {error}");
                    return None;
                }
            };
            if let Some(newest) = events.last().map(|event| event.id) {
                self.look_again().await?;
                self.at = newest;
                let seen = events.iter().filter(|event| self.filter.shows(event) && may_see(&self.who, event));
                let text: String = seen.map(|event| render(Event::from(crate::notices::Event::clone(event)))).collect();
                if !text.is_empty() {
                    return Some(text.into());
                }
                continue;
            }
            let stopped = self.api.clone();
            tokio::select! {
                changed = self.last.changed() => changed.ok()?,
                () = stopped.notices.stopped() => return None,
                () = &mut waited => {
                    self.look_again().await?;
                    // The reader is told how far it is, though it saw nothing of it.
                    return Some(format!("id: {}\n: still here\n\n", self.at).into());
                }
            }
        }
    }

    /// Finds out who reads, as they are now; none where they may read no more, or the stream has lasted long enough.
    async fn look_again(&mut self) -> Option<()> {
        if self.api.clock.elapsed() >= self.ends {
            return None;
        }
        let Some(token) = &self.token else { return Some(()) };
        let access = &self.api.access;
        let known = match access.peek(token.expose_secret(), Some(Scopes::REST)) {
            Some(known) => known,
            None => {
                access.enter(token.expose_secret(), &Visit { scope: Some(Scopes::REST), address: None }).await.ok()?
            }
        };
        self.who = Arc::clone(&known.principal);
        Some(())
    }
}

/// An event on the wire.
fn render(event: Event) -> String {
    // Of known types, which always serialise; JSON has no line breaks in it.
    let data = serde_json::to_string(&event).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {data}\n\n", event.id, event.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_few_for_each_and_in_all() {
        let streams = Streams::default();
        let own: Vec<_> = (0..MOST_OF_ONE).map(|_| streams.enter("user/ada".to_owned()).ok()).collect();
        assert!(own.iter().all(Option::is_some));
        assert!(streams.enter("user/ada".to_owned()).err().unwrap().contains("you have 8 streams"));
        let others: Vec<_> = (MOST_OF_ONE..MOST).map(|number| streams.enter(format!("user/{number}")).ok()).collect();
        assert!(others.iter().all(Option::is_some));
        assert!(streams.enter("user/eve".to_owned()).err().unwrap().contains("256 streams"));
        drop((own, others));
        assert!(streams.enter("user/ada".to_owned()).is_ok());
        assert!(streams.0.lock().unwrap().is_empty());
    }
}
