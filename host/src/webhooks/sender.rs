//! The task of one webhook: takes the events in their order, sends those that are wanted, and keeps how far it is.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::delivery::{Delivery, Next};
use super::keeper::{Parts, Running, Shared};
use super::message;
use super::record::Webhook;
use super::signature::signatures;
use crate::notices::Event;
use crate::store::StoreError;
use crate::telemetry;

/// From the start of a delivery to the end of its answer: the standard's advice is 15 to 30 s.
const TOTAL: Duration = Duration::from_secs(15);
/// The largest answer, which nobody reads.
const ANSWER: usize = 1 << 20;
/// Events looked at together.
const AT_ONCE: usize = 64;
/// Events that weren't wanted, after which the place in the row is written down.
const SKIPPED: u32 = 1_000;
/// How long to wait where the store fails.
const PAUSE: Duration = Duration::from_secs(1);

/// Delivers until the webhook is deleted or the daemon stops.
pub(super) async fn run(shared: Weak<Shared>, running: Arc<Running>) {
    let Some(mut last) = shared.upgrade().map(|shared| shared.parts.notices.last()) else { return };
    let mut skipped = 0;
    while !running.stop.is_cancelled() {
        last.borrow_and_update();
        let worked = match shared.upgrade() {
            Some(shared) => work(&shared, &running, &mut skipped).await,
            None => return,
        };
        let wait = match worked {
            Ok(Work::Done) => continue,
            Ok(Work::Wait(wait)) => wait,
            Err(error) => {
                tracing::error!("events for a webhook can't be read or noted, which is tried again: {error}");
                Some(PAUSE)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)) => {}
            changed = last.changed(), if wants_new(&running) => {
                if changed.is_err() {
                    return;
                }
            }
            () = running.wake.notified() => {}
            () = running.stop.cancelled() => return,
        }
    }
}

/// Whether new events are any reason to look: not where it is disabled, or waits for its turn to try an old one.
fn wants_new(running: &Running) -> bool {
    running.webhook.load().disabled.is_none() && !running.progress().is_down()
}

/// What came of one look.
enum Work {
    /// There may be more to do at once.
    Done,
    /// Nothing to do until something happens, or for so long at most.
    Wait(Option<Duration>),
}

/// Does what is next, if anything is.
async fn work(shared: &Shared, running: &Running, skipped: &mut u32) -> Result<Work, StoreError> {
    let (parts, webhook) = (&shared.parts, running.webhook.load_full());
    if webhook.disabled.is_some() {
        return Ok(Work::Wait(None));
    }
    let next = running.progress().next(parts.clock.now());
    match next {
        Next::Wait(wait) => Ok(Work::Wait(Some(wait))),
        Next::Again(id, tries) => {
            match parts.notices.get(id).await? {
                Some(event) => deliver(shared, running, &webhook, &event, tries + 1).await?,
                None => {
                    running.progress().drop_aside(id);
                    shared.save(running).await?;
                }
            }
            Ok(Work::Done)
        }
        Next::Row(wait) => {
            let place = running.progress().place;
            let events = parts.notices.after(place, AT_ONCE).await?;
            if events.is_empty() {
                return Ok(Work::Wait(wait));
            }
            let tree = parts.organizations.tree();
            for event in events {
                if webhook.wants.include(&event, &tree) && event.webhook.as_ref() != Some(&webhook.name) {
                    *skipped = 0;
                    deliver(shared, running, &webhook, &event, 1).await?;
                    break;
                }
                running.progress().skip(event.id);
                *skipped += 1;
            }
            if *skipped >= SKIPPED {
                *skipped = 0;
                shared.save(running).await?;
            }
            Ok(Work::Done)
        }
    }
}

/// Sends an event and notes what became of it.
async fn deliver(
    shared: &Shared,
    running: &Running,
    webhook: &Webhook,
    event: &Event,
    tries: u32,
) -> Result<(), StoreError> {
    let (delivery, asked) = send(&shared.parts, webhook, event, tries).await;
    let word = if delivery.is_done() { "delivered" } else { "failed" };
    metrics::counter!(telemetry::WEBHOOK_DELIVERIES, "outcome" => word).increment(1);
    let outcome = delivery.outcome();
    if !delivery.is_done() {
        tracing::warn!(webhook = %webhook.name, event = %event.id, tries, outcome, "an event isn't delivered");
    }
    let (is_gone, now) = (delivery.is_gone(), delivery.at);
    let is_hopeless = {
        let mut progress = running.progress();
        progress.note(delivery, asked, rand::random());
        progress.is_hopeless(now)
    };
    shared.save(running).await?;
    let reason = match (is_gone, is_hopeless) {
        (true, _) => "its receiver says that it is gone for good (status 410)".to_owned(),
        (_, true) => format!("nothing could be delivered for two days; the last time: {outcome}"),
        _ => return Ok(()),
    };
    shared.disable(running, reason).await.map_err(|error| StoreError::Storage(error.to_string()))
}

/// Sends an event to a webhook once. Tells, too, how long the receiver wants to be left alone.
pub(super) async fn send(parts: &Parts, webhook: &Webhook, event: &Event, tries: u32) -> (Delivery, Option<Duration>) {
    let (at, started) = (parts.clock.now(), parts.clock.elapsed());
    let (id, body) = (event.id.to_string(), message::body(event));
    let is_former = webhook.former_until.is_some_and(|until| at < until);
    let secrets = webhook.secrets.get(..if is_former { 2 } else { 1 }).unwrap_or(&webhook.secrets);
    let signature = signatures(secrets, &id, at.timestamp(), &body);
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    for (name, value) in
        [("webhook-id", id), ("webhook-timestamp", at.timestamp().to_string()), ("webhook-signature", signature)]
    {
        // All of it is digits, letters and base64.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let outcome = parts.egress.post(&webhook.url, headers, body, TOTAL, ANSWER).await;
    let taken = parts.clock.elapsed().saturating_sub(started);
    let (status, error, asked) = match outcome {
        Ok(answer) => {
            let asked =
                answer.response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(RETRY_AFTER.as_str()));
            let asked = asked.and_then(|(_, value)| value.trim().parse().ok()).map(Duration::from_secs);
            (Some(answer.response.status), None, asked)
        }
        Err(error) => (None, Some(error.to_string()), None),
    };
    let milliseconds = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX);
    (Delivery { event: event.id, kind: event.kind, at, tries, milliseconds, status, error }, asked)
}
