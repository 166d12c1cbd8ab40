//! The body of an answer: what is read of it drives its connection, which is kept for the next request after its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::super::refusal::{Fault, Unsent};
use super::link::Link;
use super::way::Way;
use crate::clock::SharedClock;

/// A body on its way. It ends with an error where the service breaks off, or sends nothing for too long.
pub struct AnswerBody {
    /// What comes.
    incoming: Incoming,
    /// The connection; `None` after the end.
    link: Option<Link>,
    /// Where the connection goes afterwards.
    way: Arc<Way>,
    /// Tells when that was.
    clock: SharedClock,
    /// How long the service may be silent.
    idle: Duration,
    /// Runs while it is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether anything came since the timer was set.
    moved: bool,
}

impl AnswerBody {
    /// The body of an answer on this connection.
    pub(super) fn new(
        incoming: Incoming,
        link: Option<Link>,
        way: Arc<Way>,
        clock: SharedClock,
        idle: Duration,
    ) -> Self {
        let mut body = Self { incoming, link, way, clock, idle, timer: None, moved: false };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    /// The error for a body that is longer than whoever reads it takes.
    pub(super) fn too_large(&self, limit: usize) -> Unsent {
        self.way.unsent(Fault::TooLarge, format!("answered more than {limit} bytes"))
    }

    /// Keeps the connection for another request, if it takes one: it doesn't where the service says so, or where the request's
    /// body hasn't gone out whole.
    fn finish(&mut self) {
        self.timer = None;
        if let Some(mut link) = self.link.take()
            && link.is_open()
        {
            self.way.keep(link, &self.clock);
        }
    }

    /// The next frame, without looking at the time.
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let ready @ Poll::Ready(_) = Pin::new(&mut self.incoming).poll_frame(context) {
            return ready;
        }
        match &mut self.link {
            // Asking above has told the connection that more is wanted.
            Some(link) => {
                link.drive(context);
                Pin::new(&mut self.incoming).poll_frame(context)
            }
            None => Poll::Pending,
        }
    }

    /// Whether the service has been silent for too long.
    fn is_silent(&mut self, context: &mut Context<'_>) -> bool {
        let timer = self.timer.get_or_insert_with(|| {
            self.moved = false;
            Box::pin(tokio::time::sleep(self.idle))
        });
        while timer.as_mut().poll(context).is_ready() {
            if !std::mem::take(&mut self.moved) {
                return true;
            }
            let next = tokio::time::Instant::now() + self.idle;
            timer.as_mut().reset(next);
        }
        false
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Unsent;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unsent>>> {
        let this = self.get_mut();
        match this.next(context) {
            Poll::Ready(Some(Ok(frame))) => {
                this.moved = true;
                if this.incoming.is_end_stream() {
                    this.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.link = None;
                Poll::Ready(Some(Err(this.way.failed(&error))))
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Poll::Pending if this.is_silent(context) => {
                this.link = None;
                Poll::Ready(Some(Err(this.way.silent(this.idle))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
