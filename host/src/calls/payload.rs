//! Bodies of requests to services and of their answers, as far as they are kept: what is small can be sent twice, what
//! streams takes no memory.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;

use super::authorization::BodyDigest;
use super::guard::Pass;
use crate::egress::{AnswerBody, ServiceBody, Unsent};

/// The longest body that is kept to be sent again after a service has refused a token.
pub(super) const KEPT: usize = 64 << 10;

/// Whatever a stream fails with.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request.
pub enum Payload {
    /// All of it. Empty: there is none.
    Bytes(Bytes),
    /// What comes from the caller.
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

/// What is kept of a body for a second time.
pub(super) enum Again {
    /// All of it.
    Bytes(Bytes),
    /// What has gone by of a stream.
    Stream(Arc<Mutex<Seen>>),
    /// Nothing: it is too long.
    Nothing,
}

/// What has gone by of a stream.
#[derive(Default)]
pub(super) struct Seen {
    /// The pieces; `None` once they are too many.
    pieces: Option<BytesMut>,
    /// Whether it has ended.
    ended: bool,
}

impl Payload {
    /// A body out of a caller's: read whole where it announces few bytes, else a stream.
    ///
    /// # Errors
    /// It breaks off while it is read.
    pub async fn of<B>(body: B) -> Result<Self, BoxError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Ok(Self::Bytes(Bytes::new()));
        }
        match body.size_hint().exact() {
            Some(size) if size <= KEPT as u64 => Ok(Self::Bytes(body.collect().await.map_err(Into::into)?.to_bytes())),
            _ => Ok(Self::Stream(UnsyncBoxBody::new(body.map_err(Into::into)))),
        }
    }

    /// What signers can know of it.
    pub(super) fn digest(&self) -> BodyDigest {
        match self {
            Self::Bytes(bytes) if bytes.is_empty() => BodyDigest::Empty,
            Self::Bytes(bytes) => BodyDigest::Bytes(bytes.clone()),
            Self::Stream(_) => BodyDigest::Unsigned,
        }
    }

    /// The body to send, and what is kept of it.
    pub(super) fn split(self) -> (ServiceBody, Again) {
        match self {
            Self::Bytes(bytes) => (ServiceBody::bytes(bytes.clone()), Again::Bytes(bytes)),
            // One that announces its length is too long; else it would have been read.
            Self::Stream(body) if body.size_hint().exact().is_some() => (ServiceBody::stream(body), Again::Nothing),
            Self::Stream(body) => {
                let seen = Arc::new(Mutex::new(Seen { pieces: Some(BytesMut::new()), ended: false }));
                let kept = Arc::clone(&seen);
                (ServiceBody::stream(Kept { body, seen }), Again::Stream(kept))
            }
        }
    }
}

impl Again {
    /// The whole body once more, if it is at hand.
    pub(super) fn take(self) -> Option<Payload> {
        match self {
            Self::Bytes(bytes) => Some(Payload::Bytes(bytes)),
            Self::Stream(seen) => {
                let mut seen = lock(&seen);
                let pieces = seen.pieces.take().filter(|_| seen.ended)?;
                Some(Payload::Bytes(pieces.freeze()))
            }
            Self::Nothing => None,
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream of which the beginning is kept, until it proves too long.
struct Kept {
    body: UnsyncBoxBody<Bytes, BoxError>,
    seen: Arc<Mutex<Seen>>,
}

impl Body for Kept {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let mut seen = lock(&self.seen);
        match &frame {
            None => seen.ended = true,
            Some(Ok(frame)) => {
                if let (Some(data), Some(pieces)) = (frame.data_ref(), &mut seen.pieces) {
                    match pieces.len() + data.len() <= KEPT {
                        true => pieces.extend_from_slice(data),
                        false => seen.pieces = None,
                    }
                }
            }
            Some(Err(_)) => seen.pieces = None,
        }
        drop(seen);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        // Asked for its end, so that it is seen.
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer. It holds the request's share of what may be under way, until it ends or is dropped.
pub struct Inflow {
    /// What comes.
    content: Inward,
    /// Whether its length isn't told.
    is_vague: bool,
    /// The share.
    _pass: Pass,
}

/// What an answer's body is.
pub(super) enum Inward {
    /// It comes from the service.
    Stream(AnswerBody),
    /// It was read already.
    Bytes(Bytes),
}

impl Inflow {
    /// A body under this pass.
    pub(super) fn new(content: Inward, pass: Pass) -> Self {
        Self { content, is_vague: false, _pass: pass }
    }

    /// The same without its length: of the answer to a `HEAD`, which has no body to tell it by.
    #[must_use]
    pub fn without_length(self) -> Self {
        Self { is_vague: true, ..self }
    }
}

impl Body for Inflow {
    type Data = Bytes;
    type Error = Unsent;

    /// Data only: trailers are left out.
    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unsent>>> {
        match &mut self.content {
            Inward::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inward::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Inward::Stream(body) => loop {
                match ready!(Pin::new(&mut *body).poll_frame(context)) {
                    Some(Ok(frame)) if !frame.is_data() => {}
                    frame => return Poll::Ready(frame),
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            _ if self.is_vague => false,
            Inward::Bytes(bytes) => bytes.is_empty(),
            Inward::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            _ if self.is_vague => SizeHint::default(),
            Inward::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inward::Stream(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{Full, StreamBody};

    use super::*;

    /// A stream of unknown length, in pieces of 1 KiB.
    fn pieces(count: usize) -> impl Body<Data = Bytes, Error = std::io::Error> + Send + 'static {
        let piece = || Ok(Frame::data(Bytes::from(vec![b'x'; 1024])));
        StreamBody::new(stream::iter((0..count).map(move |_| piece()).collect::<Vec<_>>()))
    }

    #[tokio::test]
    async fn what_is_short_can_be_sent_again_and_what_is_long_passes_by() {
        let check = async |payload: Payload, again: Option<usize>| {
            let (body, kept) = payload.split();
            let sent = body.collect().await.unwrap().to_bytes().len();
            let length = match kept.take() {
                Some(Payload::Bytes(bytes)) => Some(bytes.len()),
                Some(Payload::Stream(_)) => panic!("a stream can't be repeated"),
                None => None,
            };
            assert_eq!(length, again);
            assert!(again.is_none_or(|again| again == sent));
        };
        let full = |size: usize| Full::new(Bytes::from(vec![b'x'; size]));
        check(Payload::of(full(0)).await.unwrap(), Some(0)).await;
        check(Payload::of(full(KEPT)).await.unwrap(), Some(KEPT)).await;
        check(Payload::of(full(KEPT + 1)).await.unwrap(), None).await;
        check(Payload::of(pieces(64)).await.unwrap(), Some(KEPT)).await;
        check(Payload::of(pieces(65)).await.unwrap(), None).await;
    }

    #[tokio::test]
    async fn what_has_not_ended_cannot_be_sent_again() {
        let (mut body, kept) = Payload::of(pieces(2)).await.unwrap().split();
        assert!(body.frame().await.is_some());
        assert!(kept.take().is_none());
    }
}
