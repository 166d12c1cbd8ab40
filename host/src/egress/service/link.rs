//! One connection to a service, and one exchange on it.
//!
//! A connection has no task of its own: whoever waits for its answer drives it, so that what arrives wakes the caller's own
//! connection and no other thread. While nobody does, nothing moves on it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::poll_fn;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::dial::Stream;
use super::outgoing::{Outgoing, Progress};

/// The most that is read at once, and so the largest head of an answer.
const BUFFER: usize = 128 << 10;

/// What drives a connection.
type Driver = dyn Future<Output = hyper::Result<()>> + Send;

/// A connection.
pub(super) struct Link {
    /// Takes requests.
    sender: SendRequest<Outgoing>,
    /// Moves the bytes; `None` once it has ended.
    driver: Option<Pin<Box<Driver>>>,
}

/// What became of a request.
pub(super) enum Exchange {
    /// The answer's head has come. The connection drives the body; there is none after an upgrade.
    Answered(Response<Incoming>, Option<Link>),
    /// The connection ended before it took any of the request.
    Returned(Box<Request<Outgoing>>, hyper::Error),
    /// No head came in time.
    Silent,
    /// The rest of the request's body didn't come in time.
    Starved,
    /// The connection failed, and some of the request may have gone out.
    Failed(hyper::Error),
}

impl Link {
    /// A connection over a stream that stands.
    pub(super) async fn over(stream: Stream) -> hyper::Result<Self> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, driver: Some(Box::pin(connection.with_upgrades())) })
    }

    /// Moves what can be moved. Whether the connection goes on.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(context).is_ready()
        {
            self.driver = None;
        }
        self.driver.is_some()
    }

    /// Whether it stands and takes another request. Asks without waiting: what has arrived meanwhile is read.
    pub(super) fn is_open(&mut self) -> bool {
        let asked = poll_fn(|context| Poll::Ready(self.drive(context)));
        // Whoever has used up their share of the thread's time would be told that there is nothing to read.
        let asked = std::pin::pin!(tokio::task::unconstrained(asked));
        let stands = asked.poll(&mut Context::from_waker(std::task::Waker::noop()));
        stands == Poll::Ready(true) && self.sender.is_ready()
    }

    /// Sends a request and waits for the answer's head: this long, from the last piece of its body that was taken.
    pub(super) async fn exchange(
        mut self,
        request: Request<Outgoing>,
        head: Duration,
        progress: Option<&Arc<Progress>>,
    ) -> Exchange {
        let mut answering = std::pin::pin!(self.sender.try_send_request(request));
        let mut timer = std::pin::pin!(tokio::time::sleep(head));
        let outcome = poll_fn(|context| {
            loop {
                // First the connection: only it can bring an answer.
                if let Some(driver) = &mut self.driver
                    && driver.as_mut().poll(context).is_ready()
                {
                    self.driver = None;
                }
                if let Poll::Ready(outcome) = answering.as_mut().poll(context) {
                    return Poll::Ready(Some(outcome));
                }
                if timer.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                if !progress.is_some_and(|progress| progress.moved.swap(false, Ordering::Relaxed)) {
                    return Poll::Ready(None);
                }
                let next = tokio::time::Instant::now() + head;
                timer.as_mut().reset(next);
            }
        });
        match outcome.await {
            None if progress.is_some_and(|progress| progress.awaited.load(Ordering::Relaxed)) => Exchange::Starved,
            None => Exchange::Silent,
            Some(Ok(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                // The connection hands its stream over, which takes no more of the service.
                poll_fn(|context| if self.drive(context) { Poll::Pending } else { Poll::Ready(()) }).await;
                Exchange::Answered(response, None)
            }
            Some(Ok(response)) => Exchange::Answered(response, Some(self)),
            Some(Err(mut error)) => match error.take_message() {
                Some(request) => Exchange::Returned(Box::new(request), error.into_error()),
                None => Exchange::Failed(error.into_error()),
            },
        }
    }
}
