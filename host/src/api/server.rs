//! Connections: accepted up to a limit, each bounded in time and size, HTTP/1.1 on them, and ended without cutting off an
//! answer. Knows nothing of routes.
//!
//! Whoever needs TLS or HTTP/2 in front puts a reverse proxy there.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt as _;
use hyper::body::Body as HttpBody;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service as _;

use super::peer::Peer;
use super::problem::Problem;
use crate::telemetry;

/// From the end of an answer, or of a new connection, to the end of the next request's head. Cuts off idle and trickling
/// clients; longer than the idle connections of common clients' pools are likely to be used again.
const HEAD_TIME: Duration = Duration::from_secs(75);

/// The largest request head.
const HEAD_BYTES: usize = 64 << 10;

/// Connections that the system holds ready to be accepted; Linux caps it at `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// How long to pause where the system has no more files or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long requests under way may take to end when the daemon stops: longer than a caller waits for a token.
const GRACE: Duration = Duration::from_secs(35);

/// A connection's share of those that may be open. Whoever goes on with a connection that has switched protocols keeps it.
#[derive(Clone)]
pub(super) struct Slot(#[expect(dead_code, reason = "it is only held")] Arc<Option<OwnedSemaphorePermit>>);

/// Listens on this address.
///
/// # Errors
/// The system refuses it; says which address.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| std::io::Error::new(error.kind(), format!("can't listen on {address}: {error}")))
}

/// Serves until `stop` is over, then ends connections as their requests end, and returns.
pub async fn serve(listener: TcpListener, router: Router, connections: usize, stop: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(connections));
    let open = metrics::gauge!(telemetry::HTTP_CONNECTIONS);
    let graceful = GracefulShutdown::new();
    let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_BYTES);
    let mut stop = std::pin::pin!(stop);
    loop {
        let accept = async {
            // Closed never: this is its only owner.
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, stream, peer) = tokio::select! {
            (slot, accepted) = accept => match accepted {
                Ok((stream, peer)) => (slot, stream, peer),
                Err(error) => {
                    tracing::warn!("a connection can't be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        // Answers are small and waited for. Fails only where the client is gone again.
        drop(stream.set_nodelay(true));
        let router = router.clone();
        let slot = Slot(Arc::new(slot.ok()));
        let held = slot.clone();
        let service = service_fn(move |mut request: Request<_>| {
            request.extensions_mut().insert(Peer(peer));
            request.extensions_mut().insert(held.clone());
            answer(router.clone(), request)
        });
        let connection =
            graceful.watch(http.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned());
        let open = open.clone();
        open.increment(1.0);
        tokio::spawn(async move {
            // How a connection ends is the client's business.
            drop(connection.await);
            open.decrement(1.0);
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests didn't end within {} s and are cut off", GRACE.as_secs());
    }
}

/// One answer. A handler that panics costs its own request only.
pub(super) async fn answer<B>(mut router: Router, request: Request<B>) -> Result<Response, Infallible>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let handled = AssertUnwindSafe(async move { router.call(request.map(Body::new)).await }).catch_unwind().await;
    let mut response = match handled {
        Ok(answered) => answered?,
        Err(_) => Problem::internal("a handler panicked").into_response(),
    };
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;

    /// A server with one slow and one broken route, its address, and what stops it.
    async fn server(
        connections: usize,
    ) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>, Arc<Semaphore>) {
        let go = Arc::new(Semaphore::new(0));
        let gate = Arc::clone(&go);
        let slow = get(|| async move {
            gate.acquire().await.unwrap().forget();
            "done"
        });
        async fn broken() -> &'static str {
            panic!("hunter2")
        }
        let router =
            Router::new().route("/", get(|| async { "ok" })).route("/slow", slow).route("/broken", get(broken));
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving =
            tokio::spawn(async move { serve(listener, router, connections, async { drop(stopped.await) }).await });
        (address, stop, serving, go)
    }

    async fn ask(address: SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn text(mut stream: TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer_and_shows_nothing() {
        let (address, _stop, _serving, _) = server(10).await;
        let broken = text(ask(address, "/broken").await).await;
        assert!(broken.starts_with("HTTP/1.1 500") && broken.contains("\"code\":\"internal\""), "{broken}");
        assert!(broken.contains("x-content-type-options: nosniff") && broken.contains("support_id"), "{broken}");
        assert!(!broken.contains("hunter2"), "{broken}");
        assert!(text(ask(address, "/").await).await.ends_with("ok"));
    }

    #[tokio::test]
    async fn a_stop_lets_requests_end() {
        let (address, stop, serving, go) = server(10).await;
        let slow = ask(address, "/slow").await;
        // Answered only once the server has taken the slow one's connection too: they are accepted in order.
        assert!(text(ask(address, "/").await).await.ends_with("ok"));
        stop.send(()).unwrap();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go.add_permits(1);
        assert!(text(slow).await.ends_with("done"));
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_wait_for_their_turn() {
        let (address, _stop, _serving, go) = server(1).await;
        let first = ask(address, "/slow").await;
        let second = tokio::spawn(async move { text(ask(address, "/").await).await });
        go.add_permits(1);
        assert!(text(first).await.ends_with("done"));
        assert!(second.await.unwrap().ends_with("ok"));
    }
}
