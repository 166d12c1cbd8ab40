//! A provider that does what a test tells it, byte by byte: what no real one can be made to do on command.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A request that it got.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How many came before it.
    pub number: usize,
    /// Path and query.
    pub target: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body's parameters.
    pub form: BTreeMap<String, String>,
}

/// One thing that it does on a connection. The connection is closed after the last.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends bytes.
    Write(Vec<u8>),
    /// Sends bytes one by one, with so much time between.
    Trickle(Vec<u8>, Duration),
    /// Waits until the test opens the gate.
    Gate(watch::Receiver<bool>),
    /// Says nothing more until the other side goes away.
    Hang,
    /// Resets the connection.
    Reset,
}

/// An answer as it goes over the wire.
pub fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<Act> {
    let body = body.as_ref();
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    vec![Act::Write([head.as_bytes(), b"\r\n", body].concat())]
}

/// A JSON answer as it goes over the wire.
pub fn json(status: u16, body: &Value) -> Vec<Act> {
    answer(status, &[("content-type", "application/json")], body.to_string())
}

type Script = dyn Fn(&Seen) -> Vec<Act> + Send + Sync;

/// A running mock. It ends when it is dropped.
pub struct Mock {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mock {
    /// A mock that does with each request what this says.
    ///
    /// # Panics
    /// There is no port.
    pub async fn start(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (seen, script): (Arc<Mutex<Vec<Seen>>>, Arc<Script>) = (Arc::default(), Arc::new(script));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&script)));
            }
        });
        Self { url, seen, task }
    }

    /// The requests so far.
    ///
    /// # Panics
    /// Never.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Seen>>>, script: Arc<Script>) {
    let Some(mut request) = read(&mut stream).await else { return };
    {
        let mut log = log.lock().unwrap();
        request.number = log.len();
        log.push(request.clone());
    }
    for act in script(&request) {
        match act {
            Act::Reset => {
                // What was written arrives before the reset does.
                drop(stream.flush().await);
                drop(stream.set_zero_linger());
                return;
            }
            act => {
                if perform(&mut stream, act).await.is_err() {
                    return;
                }
            }
        }
    }
    drop(stream.shutdown().await);
    // The daemon closes first, so that nothing that it still has to read is lost.
    drop(stream.read(&mut [0; 1]).await);
}

/// Does one thing on a connection; resetting it is only for who owns its socket.
///
/// # Errors
/// The other side has gone away.
pub async fn perform(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), act: Act) -> std::io::Result<()> {
    match act {
        Act::Write(bytes) => stream.write_all(&bytes).await,
        Act::Trickle(bytes, pause) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(pause).await;
            }
            Ok(())
        }
        Act::Gate(mut gate) => gate.wait_for(|open| *open).await.map(drop).map_err(std::io::Error::other),
        Act::Hang => stream.read(&mut [0; 1]).await.map(drop),
        Act::Reset => Ok(()),
    }
}

/// Reads one request.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    while bytes.len() < end + 4 + length {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
    let form = form_urlencoded::parse(&bytes[end + 4..]).into_owned().collect();
    Some(Seen { number: 0, target, headers, form })
}
