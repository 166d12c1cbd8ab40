//! The load: connections that are kept alive and ask the same question, one request at a time on each. As few cycles for
//! each request as can be, since it shares the machine with the server that is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// The largest answer that is expected.
const ANSWER: usize = 16 << 10;
/// Connections that are opened at once: fewer than wait to be accepted.
const OPENED_AT_ONCE: usize = 512;

/// Connections to one server, each of which was answered once.
pub(crate) struct Crowd {
    /// One thread.
    runtime: Runtime,
    connections: Vec<Connection>,
    /// The request's bytes.
    request: Arc<[u8]>,
}

struct Connection {
    stream: TcpStream,
    /// For answers.
    buffer: Vec<u8>,
    /// How long each answer is.
    length: usize,
}

impl Crowd {
    /// Opens so many connections, and has each of them answered once.
    pub(crate) fn gather(address: SocketAddr, path: &str, token: &str, size: usize) -> anyhow::Result<Self> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
        let request: Arc<[u8]> = request.into_bytes().into();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut connections = Vec::with_capacity(size);
        while connections.len() < size {
            let more = OPENED_AT_ONCE.min(size - connections.len());
            let opening: Vec<_> =
                (0..more).map(|_| runtime.spawn(Connection::open(address, Arc::clone(&request)))).collect();
            for connection in opening {
                connections.push(runtime.block_on(connection)??);
            }
        }
        Ok(Self { runtime, connections, request })
    }

    /// Keeps asking on all connections for so long. How many answers came a second.
    pub(crate) fn ask_for(&mut self, time: Duration) -> anyhow::Result<Asked> {
        let began = Instant::now();
        let answers = self.each(move |mut connection, request| async move {
            let mut answers = 0_u64;
            while began.elapsed() < time {
                // The clock costs as much as a part of a request.
                for _ in 0..8 {
                    connection.ask(&request).await?;
                    answers += 1;
                }
            }
            Ok((connection, answers))
        })?;
        Ok(Asked { answers: answers as f64, seconds: began.elapsed().as_secs_f64() })
    }

    /// Asks once on all connections at once. The time until the last has its answer.
    pub(crate) fn ask_once(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.each(|mut connection, request| async move {
            connection.ask(&request).await?;
            Ok((connection, 1))
        })?;
        Ok(began.elapsed())
    }

    fn each<F: Future<Output = anyhow::Result<(Connection, u64)>> + Send + 'static>(
        &mut self,
        work: impl Fn(Connection, Arc<[u8]>) -> F,
    ) -> anyhow::Result<u64> {
        let connections = std::mem::take(&mut self.connections);
        let working: Vec<JoinHandle<_>> =
            connections.into_iter().map(|one| self.runtime.spawn(work(one, Arc::clone(&self.request)))).collect();
        let connections = &mut self.connections;
        self.runtime.block_on(async {
            let mut answers = 0;
            for worker in working {
                let (connection, more) = worker.await??;
                connections.push(connection);
                answers += more;
            }
            Ok(answers)
        })
    }
}

/// What a load came to.
pub(crate) struct Asked {
    /// Answers.
    pub(crate) answers: f64,
    /// In so many seconds.
    pub(crate) seconds: f64,
}

impl Connection {
    /// Opens a connection and learns from a first answer how long they are.
    async fn open(address: SocketAddr, request: Arc<[u8]>) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // Ends with a reset, so that ten thousand ports aren't kept waiting after each round.
        stream.set_zero_linger()?;
        stream.write_all(&request).await?;
        let mut buffer = vec![0; ANSWER];
        let mut filled = 0;
        loop {
            let more = stream.read(&mut buffer[filled..]).await?;
            ensure!(more > 0, "the server ended the connection");
            filled += more;
            let text = String::from_utf8_lossy(&buffer[..filled]);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            ensure!(head.starts_with("HTTP/1.1 200"), "the answer is {head} {body}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let length = head.len() + 4 + length.context("the answer has no length")?;
            if filled == length {
                buffer.truncate(length);
                return Ok(Self { stream, buffer, length });
            }
        }
    }

    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        while filled < self.length {
            let more = self.stream.read(&mut self.buffer[filled..]).await?;
            if more == 0 {
                bail!("the server ended the connection");
            }
            filled += more;
        }
        ensure!(self.buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.buffer));
        Ok(())
    }
}
