//! Bytes both ways between two connections that have switched protocols, until one ends or both fall silent.
//!
//! It doesn't look at them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long neither end may send anything: it ends after this, and before twice this. Ends that live send pings more often.
const SILENCE: Duration = Duration::from_secs(300);

/// Passes bytes on until one end is done.
pub(super) async fn tunnel(ours: Upgraded, theirs: Upgraded) {
    pass(TokioIo::new(ours), TokioIo::new(theirs), SILENCE).await;
}

async fn pass<A, B>(ours: A, theirs: B, silence: Duration)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let moved = Arc::new(AtomicBool::new(false));
    let mut ours = Watched { end: ours, moved: Arc::clone(&moved) };
    let mut theirs = Watched { end: theirs, moved: Arc::clone(&moved) };
    let silent = async {
        loop {
            tokio::time::sleep(silence).await;
            if !moved.swap(false, Ordering::Relaxed) {
                return;
            }
        }
    };
    tokio::select! {
        // How it ends is the business of the ends.
        ended = tokio::io::copy_bidirectional(&mut ours, &mut theirs) => drop(ended),
        () = silent => tracing::debug!("a WebSocket was silent for {} s, and is closed", silence.as_secs()),
    }
}

/// An end, and whether anything came from it.
struct Watched<T> {
    end: T,
    moved: Arc<AtomicBool>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.end).poll_read(context, buf);
        if read.is_ready() {
            self.moved.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.end).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn bytes_pass_both_ways_until_an_end_is_done_or_both_are_silent() {
        let ((mut caller, ours), (theirs, mut service)) = (duplex(64), duplex(64));
        let passing = tokio::spawn(pass(ours, theirs, Duration::from_secs(60)));
        caller.write_all(b"ping").await.unwrap();
        let mut word = [0; 4];
        service.read_exact(&mut word).await.unwrap();
        service.write_all(b"pong").await.unwrap();
        caller.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"pong");
        drop((caller, service));
        passing.await.unwrap();

        let ((mut caller, ours), (theirs, _service)) = (duplex(64), duplex(64));
        tokio::spawn(pass(ours, theirs, Duration::from_millis(10)));
        assert_eq!(caller.read(&mut word).await.unwrap(), 0, "closed");
    }
}
