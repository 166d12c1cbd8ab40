//! The load: connections that are kept alive and ask the same question, one request at a time on each, with one token or
//! with one of many, drawn at random. As few cycles for
//! each request as can be, since it shares the machine with the server that is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// The largest answer of most questions; more is made room for.
const ANSWER: usize = 16 << 10;
/// Connections that are opened at once: fewer than wait to be accepted.
const OPENED_AT_ONCE: usize = 512;

/// What stands for the token in a request.
pub(crate) const TOKEN: &str = "{token}";

/// What is asked.
#[derive(Clone)]
pub(crate) struct Question {
    /// The request's bytes, with some token in it.
    request: Vec<u8>,
    /// Where the token begins.
    at: usize,
    /// The tokens, all equally long.
    tokens: Arc<[String]>,
}

impl Question {
    /// A request with [`TOKEN`] in it once, for each of these tokens.
    pub(crate) fn new(request: &str, tokens: Arc<[String]>) -> anyhow::Result<Self> {
        let at = request.find(TOKEN).context("the request has no place for a token")?;
        let token = tokens.first().context("there are no tokens")?;
        ensure!(tokens.iter().all(|one| one.len() == token.len()), "the tokens aren't equally long");
        Ok(Self { request: request.replacen(TOKEN, token, 1).into_bytes(), at, tokens })
    }

    /// A request for a path, with this token.
    pub(crate) fn get(path: &str, token: &str) -> anyhow::Result<Self> {
        Self::new(
            &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"),
            Arc::new([token.to_owned()]),
        )
    }

    /// The request with the token of this number.
    fn choose(&mut self, number: usize) {
        if let Some(token) = self.tokens.get(number)
            && let Some(place) = self.request.get_mut(self.at..self.at + token.len())
        {
            place.copy_from_slice(token.as_bytes());
        }
    }
}

/// Connections to one server, each of which was answered once.
pub(crate) struct Crowd {
    /// One thread.
    runtime: Runtime,
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    /// What it asks.
    question: Question,
    /// For drawing tokens.
    random: u64,
    /// For answers.
    buffer: Vec<u8>,
    /// How long each answer is.
    length: usize,
    /// How long some of the answers took.
    waits: Vec<Duration>,
}

impl Crowd {
    /// Opens so many connections, and has each of them answered once.
    pub(crate) fn gather(address: SocketAddr, question: &Question, size: usize) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut connections = Vec::with_capacity(size);
        while connections.len() < size {
            let more = OPENED_AT_ONCE.min(size - connections.len());
            let opening: Vec<_> =
                (0..more).map(|_| runtime.spawn(Connection::open(address, question.clone()))).collect();
            for connection in opening {
                let mut connection = runtime.block_on(connection)??;
                connection.random = connections.len() as u64;
                connections.push(connection);
            }
        }
        Ok(Self { runtime, connections })
    }

    /// Asks once with each token.
    pub(crate) fn ask_with_each(&mut self) -> anyhow::Result<()> {
        let next = Arc::new(AtomicUsize::new(0));
        self.each(move |mut connection| {
            let next = Arc::clone(&next);
            async move {
                let mut number = next.fetch_add(1, Ordering::Relaxed);
                while number < connection.question.tokens.len() {
                    connection.question.choose(number);
                    connection.ask().await?;
                    number = next.fetch_add(1, Ordering::Relaxed);
                }
                Ok((connection, 0))
            }
        })?;
        Ok(())
    }

    /// Keeps asking on all connections for so long. How many answers came a second.
    pub(crate) fn ask_for(&mut self, time: Duration) -> anyhow::Result<Asked> {
        let began = Instant::now();
        let answers = self.each(move |mut connection| async move {
            let mut answers = 0_u64;
            connection.waits.clear();
            let mut now = began.elapsed();
            while now < time {
                // The clock costs as much as a part of a request.
                for _ in 0..7 {
                    connection.draw();
                    connection.ask().await?;
                }
                let before = began.elapsed();
                connection.draw();
                connection.ask().await?;
                now = began.elapsed();
                connection.waits.push(now.saturating_sub(before));
                answers += 8;
            }
            Ok((connection, answers))
        })?;
        let seconds = began.elapsed().as_secs_f64();
        let waits = self.connections.iter().flat_map(|connection| &connection.waits).copied().collect();
        Ok(Asked { answers: answers as f64, seconds, waits })
    }

    /// Asks once on all connections at once. The time until the last has its answer.
    pub(crate) fn ask_once(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.each(|mut connection| async move {
            connection.ask().await?;
            Ok((connection, 1))
        })?;
        Ok(began.elapsed())
    }

    fn each<F: Future<Output = anyhow::Result<(Connection, u64)>> + Send + 'static>(
        &mut self,
        work: impl Fn(Connection) -> F,
    ) -> anyhow::Result<u64> {
        let connections = std::mem::take(&mut self.connections);
        let working: Vec<JoinHandle<_>> = connections.into_iter().map(|one| self.runtime.spawn(work(one))).collect();
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
    /// How long one of eight took, in no order.
    pub(crate) waits: Vec<Duration>,
}

impl Connection {
    /// Opens a connection and learns from a first answer how long they are.
    async fn open(address: SocketAddr, question: Question) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // Ends with a reset, so that ten thousand ports aren't kept waiting after each round.
        stream.set_zero_linger()?;
        stream.write_all(&question.request).await?;
        let mut buffer = vec![0; ANSWER];
        let mut filled = 0;
        loop {
            if filled == buffer.len() {
                buffer.resize(2 * filled, 0);
            }
            let more = stream.read(&mut buffer[filled..]).await?;
            ensure!(more > 0, "the server ended the connection");
            filled += more;
            let text = String::from_utf8_lossy(&buffer[..filled]);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            ensure!(head.starts_with("HTTP/1.1 200"), "the answer is {head} {body}");
            let length = head.lines().filter_map(|line| line.split_once(": ")).find_map(|(name, value)| {
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
            });
            let length = head.len() + 4 + length.context("the answer has no length")?;
            if filled == length {
                buffer.truncate(length);
                return Ok(Self { stream, question, random: 0, buffer, length, waits: Vec::new() });
            }
        }
    }

    /// Takes another token, where there are several. Knuth's generator; its upper half is random enough for this.
    fn draw(&mut self) {
        let tokens = self.question.tokens.len();
        if tokens > 1 {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.question.choose((self.random >> 33) as usize % tokens);
        }
    }

    async fn ask(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(&self.question.request).await?;
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
