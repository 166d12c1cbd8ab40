//! Connections to services: name, TCP, the proxy's tunnel and TLS, within one limit of time.
//!
//! Names are resolved under the policy; addresses in URLs were judged when the way was made.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::refusal::{Fault, Unsent};
use super::super::resolve::Resolver;
use super::super::send::{root, tls_error, tls_text};
use super::link::Link;
use super::way::{Peer, Way};

/// The largest head of a proxy's answer to CONNECT.
const TUNNEL_HEAD: usize = 8 << 10;

/// Makes connections.
pub(super) struct Dialer {
    /// Names to allowed addresses.
    resolver: Resolver,
    /// From the name to a connection that stands.
    limit: Duration,
}

impl Dialer {
    /// Makes connections, each within this time.
    pub(super) fn new(resolver: Resolver, limit: Duration) -> Self {
        Self { resolver, limit }
    }

    /// A new connection. Nothing of a request has left whatever happens.
    pub(super) async fn connect(&self, way: &Way) -> Result<Link, Unsent> {
        let connected = tokio::time::timeout(self.limit, self.stream(way)).await;
        let (fault, what) = match connected {
            Ok(Ok(stream)) => match Link::over(stream).await {
                Ok(link) => return Ok(link),
                Err(error) => (Fault::Connect, format!("could not be reached: {}", root(&error))),
            },
            Ok(Err(Failure::Name(fault, reason))) => return Err(Unsent { left: false, fault, reason }),
            Ok(Err(Failure::Io(error))) => match tls_error(&error) {
                Some(error) => (Fault::Tls, format!("failed the TLS handshake: {}", tls_text(error))),
                None => (Fault::Connect, format!("could not be reached: {}", root(&error))),
            },
            Err(_) => (Fault::Timeout, format!("could not be reached within {:?}", self.limit)),
        };
        Err(Unsent { left: false, ..way.unsent(fault, what) })
    }

    /// A stream to the service, through its proxy where there is one, with TLS where it is https.
    async fn stream(&self, way: &Way) -> Result<Stream, Failure> {
        let tcp = match &way.proxy {
            None => self.tcp(&way.service).await?,
            Some(proxy) => {
                let mut tcp = self.tcp(proxy).await?;
                if way.https.is_some() {
                    tunnel(&mut tcp, &way.service.authority()).await?;
                }
                tcp
            }
        };
        let Some((config, name)) = &way.https else { return Ok(Stream::Plain(tcp)) };
        let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), tcp).await?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// A TCP connection to the first of its addresses that answers.
    async fn tcp(&self, peer: &Peer) -> Result<TcpStream, Failure> {
        let addresses = match peer.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, peer.port)],
            Err(_) => {
                let found = self.resolver.resolve(peer.host.clone()).await;
                found.map_err(|(fault, reason)| Failure::Name(fault, reason))?
            }
        };
        // Each has its share of the time, so that one that swallows everything doesn't hide the next.
        let share = self.limit / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
        for mut address in addresses {
            address.set_port(peer.port);
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    tcp.set_nodelay(true)?;
                    return Ok(tcp);
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {share:?}")),
            }
        }
        Err(last.into())
    }
}

/// Asks a proxy for a tunnel (RFC 9110 section 9.3.6).
async fn tunnel(tcp: &mut TcpStream, authority: &str) -> io::Result<()> {
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    tcp.write_all(request.as_bytes()).await?;
    let mut head = Vec::with_capacity(256);
    // Byte by byte up to the end of the head: what follows it belongs to the service.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= TUNNEL_HEAD {
            return Err(io::Error::other("the proxy's answer to CONNECT has no end"));
        }
        match tcp.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Err(io::Error::other("the proxy broke off while asked for a tunnel")),
        }
    }
    let status = head.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
    let status = status.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|text| text.parse::<u16>().ok());
    match status {
        Some(200..=299) => Ok(()),
        Some(status) => Err(io::Error::other(format!("the proxy refuses the tunnel with status {status}"))),
        None => Err(io::Error::other("the proxy answers no HTTP to CONNECT")),
    }
}

/// Why there is no stream.
enum Failure {
    /// The name leads nowhere that may be dialled.
    Name(Fault, String),
    /// Anything below.
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A stream to a service.
pub(super) enum Stream {
    /// Plain http.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(context, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(context, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(context, bufs),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(context, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(context),
        }
    }
}
