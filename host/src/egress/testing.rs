//! What the tests of this room share: authorities that issue certificates, and providers on loopback.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{Answer, Destinations, Egress, Limits, Policy, Transport, Unsent};
use crate::clock::SystemClock;
use crate::flows::request::{Body, Method, Part, Request};
use crate::secrets::Secrets;

/// An authority that issues certificates.
pub(super) struct Authority {
    /// Its certificate and key.
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority.
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // Each has a name of its own, as in life: by the name a verifier looks for the issuer.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        params.distinguished_name.push(DnType::CommonName, format!("authority {number} for tests"));
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// Its certificate as PEM.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server's certificate and key as PEM.
    pub(super) fn issue_server(&self, name: &str, expired: bool) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        self.issue(params)
    }

    /// A client's certificate and key as PEM.
    pub(super) fn issue_client(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    /// A certificate and key as PEM.
    fn issue(&self, params: CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A connection, with or without TLS.
pub(super) type Stream = Box<dyn Duplex>;

/// What a connection can do.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A provider on loopback that ends with the test.
pub(super) struct Server {
    /// Where it listens.
    pub(super) port: u16,
    /// The requests that it has read, whole.
    requests: Arc<Mutex<Vec<String>>>,
    /// Connections so far.
    accepted: Arc<AtomicUsize>,
    /// Serves until it is dropped.
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Reads a request from each connection and writes these bytes; then closes.
    pub(super) async fn answering(tls: Option<ServerConfig>, answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::start(tls, move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                // A client that has seen enough hangs up.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// Reads a request from each connection and hands the connection on.
    pub(super) async fn start<F, R>(tls: Option<ServerConfig>, handle: F) -> Self
    where
        F: Fn(Stream) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let handle = Arc::new(handle);
        Self::raw(requests, move |tcp| {
            let (tls, kept, handle) = (tls.clone(), Arc::clone(&kept), Arc::clone(&handle));
            async move {
                let mut stream: Stream = match tls {
                    None => Box::new(tcp),
                    Some(config) => match TlsAcceptor::from(Arc::new(config)).accept(tcp).into_fallible().await {
                        Ok(stream) => Box::new(stream),
                        Err((_, mut tcp)) => {
                            // Closing with unread bytes would reset the connection, and the alert might be lost.
                            let _ = tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await;
                            return;
                        }
                    },
                };
                let Some(request) = read_request(&mut stream).await else { return };
                kept.lock().unwrap().push(request);
                handle(stream).await;
            }
        })
        .await
    }

    /// Hands each TCP connection on.
    pub(super) async fn raw<F, R>(requests: Arc<Mutex<Vec<String>>>, handle: F) -> Self
    where
        F: Fn(TcpStream) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                connections.spawn(handle(tcp));
            }
        });
        Self { port, requests, accepted, task }
    }

    /// A URL of it by this name.
    pub(super) fn url(&self, scheme_and_name: &str, path: &str) -> String {
        format!("{scheme_and_name}:{}{path}", self.port)
    }

    /// The requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections there were.
    pub(super) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// A whole request: its head and as much body as it announces.
pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        text.extend_from_slice(&chunk[..read]);
        let seen = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = seen.split_once("\r\n\r\n") else { continue };
        let announced = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .map_or(0, |length| length.parse().unwrap());
        if body.len() >= announced {
            return Some(seen);
        }
    }
}

/// A server's TLS settings; clients need a certificate where an authority for them is given.
pub(super) fn tls(identity: &(String, String), clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(identity.0.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.1.as_bytes()).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder.with_single_cert(chain, key).unwrap()
}

/// An egress that may dial loopback by plain http.
pub(super) fn egress(limits: Limits) -> Egress {
    let allow_networks = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    Egress::new(Policy { allow_networks, allow_http: true, limits }, SystemClock::shared())
}

/// A `POST` of a small form with the secret `key`.
pub(super) fn post(url: &str) -> Request {
    Request {
        method: Method::Post,
        url: url.to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        body: Body::Form(vec![("key".to_owned(), vec![Part::Secret("key".to_owned())])]),
        derived: Vec::new(),
    }
}

/// Prepares and sends [`post`] to a URL, which is the integration's own.
pub(super) async fn send(egress: &Egress, url: &str, transport: &Transport) -> Result<Answer, Unsent> {
    let mut secrets = Secrets::default();
    secrets.insert("key", "hunter2".into());
    let prepared = egress.prepare(&post(url), &secrets, &[], &Destinations::of([url]), transport).unwrap();
    egress.send(prepared).await
}
