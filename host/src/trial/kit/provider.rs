//! The kit's provider: a listener on loopback that answers each request as a script says, byte for byte.
//!
//! It knows nothing of tokens. It ends when it is dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The largest request that is read, in bytes. `egress` sends at most about as much.
const LARGEST: usize = 4 << 20;

/// The pause between the pieces of a slow answer: short, since the kit's user waits for it.
const PAUSE: Duration = Duration::from_millis(20);

/// A request as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// `GET`, `POST`, …
    pub(super) method: String,
    /// The path, as it was written.
    pub(super) path: String,
    /// The query's parameters, decoded.
    pub(super) query: Vec<(String, String)>,
    /// Headers, names in lower case.
    pub(super) headers: Vec<(String, String)>,
    /// The body.
    pub(super) body: Vec<u8>,
}

impl Seen {
    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The parameters of a form body.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// A parameter of the form body.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.form().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// What the provider does with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Writes these bytes and closes.
    Bytes(Vec<u8>),
    /// Writes them in pieces, with pauses.
    Pieces(Vec<u8>),
    /// Says nothing until the other side goes away.
    Silence,
}

/// What decides about replies.
pub(super) type Script = Box<dyn FnMut(&Seen) -> Reply + Send>;

/// What connections share.
struct Shared {
    /// Decides about replies.
    script: Script,
    /// The requests since the script began.
    seen: Vec<Seen>,
}

/// A listening provider.
pub(super) struct Provider {
    /// `http://127.0.0.1:PORT`
    url: String,
    /// What connections share.
    shared: Arc<Mutex<Shared>>,
    /// Accepts connections until this is dropped.
    task: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Provider {
    /// Begins to listen, on a port that the system chooses.
    ///
    /// # Errors
    /// There is no port.
    pub(super) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let script: Script = Box::new(|_| Reply::Silence);
        let shared = Arc::new(Mutex::new(Shared { script, seen: Vec::new() }));
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                connections.spawn(serve(stream, shared));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { url, shared, task })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Answers as this says from now on, and forgets what it has seen.
    pub(super) fn play(&self, script: Script) {
        *lock(&self.shared) = Shared { script, seen: Vec::new() };
    }

    /// The requests since the script began.
    pub(super) fn seen(&self) -> Vec<Seen> {
        lock(&self.shared).seen.clone()
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request on one connection. Whoever goes away early is no fault of anyone.
async fn serve(mut stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    let Some(seen) = read(&mut stream).await else { return };
    let reply = {
        let mut shared = lock(&shared);
        let reply = (shared.script)(&seen);
        shared.seen.push(seen);
        reply
    };
    match &reply {
        Reply::Bytes(bytes) => drop(stream.write_all(bytes).await),
        Reply::Pieces(bytes) => {
            for piece in bytes.chunks((bytes.len() / 4).max(1)) {
                if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Reply::Silence => {}
    }
    if !matches!(reply, Reply::Silence) {
        drop(stream.shutdown().await);
    }
    // The other side closes first, so that nothing that it still has to read is lost.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}

/// Reads one request; none if it isn't whole.
async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 8192]);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 && bytes.len() < LARGEST => bytes.extend_from_slice(chunk.get(..read)?),
            _ => return None,
        }
    };
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or_default();
    if length > LARGEST {
        return None;
    }
    let begin = end + 4;
    while bytes.len() < begin + length {
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(chunk.get(..read)?),
            _ => return None,
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Seen {
        method,
        path: path.to_owned(),
        query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers,
        body: bytes.get(begin..begin + length)?.to_vec(),
    })
}
