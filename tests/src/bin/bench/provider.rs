//! A provider on loopback that grants what it is asked, counts, and says how much time it took itself. It runs on a thread of
//! its own and is no more than the measured side needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// The largest request.
const REQUEST: usize = 16 << 10;

/// The provider. Ends when dropped.
pub(crate) struct Provider {
    /// Where it takes token requests.
    pub(crate) token_url: String,
    counts: Arc<Counts>,
    /// Its thread.
    _runtime: Runtime,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    /// From a request's last byte to the answer's, in all.
    nanoseconds: AtomicU64,
}

impl Provider {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let token_url = format!("http://{}/token", listener.local_addr()?);
        let counts: Arc<Counts> = Arc::default();
        let shared = Arc::clone(&counts);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counts = Arc::clone(&shared);
                tokio::spawn(async move {
                    // How a connection ends is the client's business.
                    drop(serve(stream, &counts).await);
                });
            }
        });
        Ok(Self { token_url, counts, _runtime: runtime })
    }

    /// Token requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::Relaxed)
    }

    /// Its own time so far.
    pub(crate) fn own_time(&self) -> Duration {
        Duration::from_nanos(self.counts.nanoseconds.load(Ordering::Relaxed))
    }
}

async fn serve(mut stream: TcpStream, counts: &Counts) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::with_capacity(REQUEST);
    loop {
        if stream.read_buf(&mut request).await? == 0 || request.len() > REQUEST {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        let began = Instant::now();
        let number = counts.requests.fetch_add(1, Ordering::Relaxed);
        let body = format!(r#"{{"access_token":"{number:0800}","token_type":"Bearer","expires_in":3600}}"#);
        let length = body.len();
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await?;
        let taken = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counts.nanoseconds.fetch_add(taken, Ordering::Relaxed);
        request.clear();
    }
}
