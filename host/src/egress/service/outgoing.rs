//! The body of a request to a service: nothing, bytes, or a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;

/// Whatever a stream fails with.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request.
pub struct Outgoing(Content);

/// What is in it.
enum Content {
    /// Bytes at hand; none are left where it is empty.
    Bytes(Bytes),
    /// What comes from elsewhere, and how it goes.
    Stream(UnsyncBoxBody<Bytes, BoxError>, Arc<Progress>),
}

/// How a stream goes.
#[derive(Default)]
pub(super) struct Progress {
    /// Whether a piece was taken since somebody looked.
    pub(super) moved: AtomicBool,
    /// Whether the next piece is wanted, and hasn't come.
    pub(super) awaited: AtomicBool,
}

impl Outgoing {
    /// No body.
    pub const fn empty() -> Self {
        Self(Content::Bytes(Bytes::new()))
    }

    /// These bytes.
    pub const fn bytes(bytes: Bytes) -> Self {
        Self(Content::Bytes(bytes))
    }

    /// A stream. Its trailers aren't sent.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let body = UnsyncBoxBody::new(http_body_util::BodyExt::map_err(body, Into::into));
        Self(Content::Stream(body, Arc::default()))
    }

    /// How the stream goes, where it is one.
    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        match &self.0 {
            Content::Bytes(_) => None,
            Content::Stream(_, progress) => Some(Arc::clone(progress)),
        }
    }

    /// The same body again, where it is at hand.
    pub(super) fn repeated(&self) -> Option<Self> {
        match &self.0 {
            Content::Bytes(bytes) => Some(Self::bytes(bytes.clone())),
            Content::Stream(..) => None,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.0 {
            Content::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Stream(body, progress) => loop {
                let frame = Pin::new(&mut *body).poll_frame(context);
                progress.awaited.store(frame.is_pending(), Ordering::Relaxed);
                let frame = ready!(frame);
                progress.moved.store(true, Ordering::Relaxed);
                match frame {
                    Some(Ok(frame)) if !frame.is_data() => {}
                    frame => return Poll::Ready(frame),
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Bytes(bytes) => bytes.is_empty(),
            Content::Stream(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(body, _) => body.size_hint(),
        }
    }
}
