//! The daemon's HTTP API, called: one client, one place that adds the token, one that reads problems.
//!
//! Talks to the daemon only. It takes no proxy from the environment and follows no redirect, since the token goes with
//! every call.

mod meant;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::exit::{Exit, Failure};
use super::problem::Problem;
use super::values::{SecretReader, Source};
use crate::daemon::reachable;

/// Where the daemon is where nobody says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8420";

/// A daemon that is there accepts a connection in less.
const CONNECT: Duration = Duration::from_secs(10);

/// Longer than any call makes the daemon silent: it waits at most 30 s for a token.
const SILENCE: Duration = Duration::from_secs(90);

/// The longest line of an answer of lines, in bytes.
const LINE: usize = 4 << 20;

/// How many items a page of a list has.
const PAGE: &str = "200";

/// How to reach the daemon.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Daemon")]
pub(super) struct Connection {
    /// Where the daemon is [default: where TOKENHOST_LISTEN lets one listen, else
    /// http://127.0.0.1:8420]
    #[arg(long, value_name = "URL", env = "TOKENHOST_URL", hide_env_values = true, global = true)]
    daemon: Option<String>,

    /// A file with the application token to use; without it, the environment variable TOKENHOST_TOKEN
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
}

impl Connection {
    /// Whether somebody said which daemon.
    pub(super) fn is_given(&self) -> bool {
        self.daemon.as_deref().is_some_and(|url| !url.is_empty())
    }

    /// A client for the daemon.
    ///
    /// # Errors
    /// The URL is none, or there is no token.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let token = match (&self.token_file, std::env::var("TOKENHOST_TOKEN")) {
            (Some(path), _) => SecretReader::default().read(&Source::File(path.clone()))?,
            (None, Ok(token)) if !token.trim().is_empty() => SecretString::from(token.trim()),
            _ => {
                return Err(Failure::of(Exit::Refused, "no token for the daemon").hint(
                    "Set TOKENHOST_TOKEN, or --token-file, to an application token (`tokenhost init` makes the first).",
                ));
            }
        };
        Client::new(&self.url(), &token)
    }

    /// Whether the daemon answers calls, which may be asked without a token.
    ///
    /// # Errors
    /// It doesn't answer, is starting or stopping, or can't write; or the URL is none.
    pub(super) async fn ready(&self) -> Result<(), Failure> {
        let client = Client::new(&self.url(), &SecretString::from("none"))?;
        let url = client.base.join("readyz").map_err(|error| Failure::usage(format!("{}: {error}", self.url())))?;
        let answer = client.http.get(url).send().await.map_err(|error| client.unreachable(&error))?;
        let (status, retry_after) = (answer.status(), retry_after(&answer));
        let body = answer.bytes().await.map_err(|error| client.unreachable(&error))?;
        if status.is_success() { Ok(()) } else { Err(Problem::new(status.as_u16(), retry_after, &body).into()) }
    }

    /// The daemon's URL.
    fn url(&self) -> String {
        let given = self.daemon.clone().filter(|url| !url.is_empty());
        let here = || std::env::var("TOKENHOST_LISTEN").ok().and_then(|address| local(&address));
        given.or_else(here).unwrap_or_else(|| DEFAULT_URL.to_owned())
    }
}

/// The URL of a daemon that shares this environment, as in a container: where its settings let it listen.
fn local(listen: &str) -> Option<String> {
    let address: SocketAddr = listen.parse().ok()?;
    (address.port() != 0).then(|| reachable(address))
}

/// A connection to the daemon's API.
pub(super) struct Client {
    /// The daemon's own address; its path ends with a slash.
    base: Url,
    /// Adds the token to every call.
    http: reqwest::Client,
}

impl Client {
    /// A client for the daemon at this URL, with this token.
    ///
    /// # Errors
    /// The URL is none of http or https, the token has characters that no header can hold, or TLS can't be set up.
    pub(super) fn new(url: &str, token: &SecretString) -> Result<Self, Failure> {
        let bad_url = |reason: String| {
            Failure::usage(format!("the daemon's URL {url:?} {reason}"))
                .hint("Set TOKENHOST_URL, or --daemon, to something like http://127.0.0.1:8420.")
        };
        let mut base = Url::parse(url).map_err(|error| bad_url(format!("is none: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(bad_url("is not http or https".to_owned()));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(bad_url("has a user or a query".to_owned()));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| Failure::of(Exit::Refused, "the daemon's token has characters that no token has"))?;
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, authorization),
            (ACCEPT, HeaderValue::from_static("application/json, application/problem+json")),
        ]);
        // Fails only where a provider is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .default_headers(headers)
            .user_agent(concat!("tokenhost/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::failed(format!("the HTTP client can't be set up: {}", chain(&error))))?;
        Ok(Self { base, http })
    }

    /// The URL of an API path, e.g. `["integrations", "crm", "token"]`, each segment encoded.
    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        if let Some(dots) = path.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
            return Err(Failure::usage(format!("{dots:?} is no name")));
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// `GET`.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.call(Method::GET, path, query, None).await
    }

    /// A page of a list.
    ///
    /// # Errors
    /// As [`Client::call`].
    async fn page(&self, path: &[&str], cursor: Option<&str>) -> Result<Value, Failure> {
        let mut query = vec![("limit", PAGE)];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        self.call_once(Method::GET, path, &query, None).await
    }

    /// The description of the daemon's own API.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(super) async fn document(&self) -> Result<Value, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("openapi.json");
        }
        self.send(self.http.get(url)).await
    }

    /// A call with a JSON body, or none. Gives the answer's document; null where there is none.
    ///
    /// # Errors
    /// The daemon doesn't answer, or answers with a problem; of what there isn't, with the name that was perhaps meant.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        match self.call_once(method, path, query, body).await {
            Err(Failure::Problem(problem))
                if problem.exit() == Exit::NotFound || problem.faults().iter().any(|(field, ..)| field == "model") =>
            {
                let meant = meant::of(self, path, body).await;
                Err(problem.meaning(meant).into())
            }
            answered => answered,
        }
    }

    async fn call_once(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut request = self.http.request(method, self.url(path, query)?);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        self.send(request).await
    }

    /// A call that carries a document of `bytes` bytes.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(super) async fn upload(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        content_type: &str,
        bytes: usize,
        body: reqwest::Body,
    ) -> Result<Value, Failure> {
        let request = self.http.request(method, self.url(path, query)?);
        self.send(request.header(CONTENT_TYPE, content_type).header(CONTENT_LENGTH, bytes).body(body)).await
    }

    /// All items of a list, page after page.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(super) async fn list(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", PAGE));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                all.extend(items);
            }
            match page.get("next").and_then(Value::as_str) {
                // A daemon that gives the same cursor again would have us go round for ever.
                Some(next) if cursor.as_deref() != Some(next) => cursor = Some(next.to_owned()),
                _ => return Ok(all),
            }
        }
    }

    /// A `GET` whose answer is read as it comes.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(super) async fn stream(&self, path: &[&str], query: &[(&str, &str)]) -> Result<reqwest::Response, Failure> {
        self.begin(Method::GET, path, query).await
    }

    /// The next piece of such an answer; none at its end.
    ///
    /// # Errors
    /// The connection broke.
    pub(super) async fn piece(&self, answer: &mut reqwest::Response) -> Result<Option<bytes::Bytes>, Failure> {
        let broken = |error: reqwest::Error| {
            Failure::of(Exit::Unreachable, format!("the answer of {} broke off: {}", self.base, chain(&error)))
                .hint("The daemon's log may say why.")
        };
        answer.chunk().await.map_err(broken)
    }

    /// A call without a body whose answer is JSON documents, one a line, each given as soon as it comes.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(super) async fn lines(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Lines<'_>, Failure> {
        Ok(Lines { client: self, answer: self.begin(method, path, query).await?, read: Vec::new() })
    }

    /// A call without a body, up to the head of a good answer.
    async fn begin(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> Result<reqwest::Response, Failure> {
        let request = self.http.request(method, self.url(path, query)?);
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, retry_after) = (answer.status().as_u16(), retry_after(&answer));
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        Err(Problem::new(status, retry_after, &body).into())
    }

    /// Sends it, and sorts the answer.
    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let retry_after = retry_after(&answer);
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        if !status.is_success() {
            return Err(Problem::new(status.as_u16(), retry_after, &body).into());
        }
        if body.is_empty() || status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_| {
            Failure::failed(format!("{} answered with something that is no JSON", self.base))
                .hint("Is TOKENHOST_URL (or --daemon) right?")
        })
    }

    /// The daemon gave no complete answer.
    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        Failure::of(Exit::Unreachable, format!("the daemon at {} can't be reached: {}", self.base, chain(error)))
            .hint("Is it running (`tokenhost serve`), and is TOKENHOST_URL (or --daemon) right?")
    }
}

/// What the header `Retry-After` says.
fn retry_after(answer: &reqwest::Response) -> Option<u64> {
    answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// An answer of JSON documents, one a line.
pub(super) struct Lines<'a> {
    client: &'a Client,
    answer: reqwest::Response,
    /// What came of the next line so far.
    read: Vec<u8>,
}

impl Lines<'_> {
    /// The next document; none at the end.
    ///
    /// # Errors
    /// The connection broke, or a line is no JSON.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                let document = serde_json::from_slice(&line);
                return document.map(Some).map_err(|_| Failure::failed("the daemon sent a line that is no JSON"));
            }
            if self.read.len() > LINE {
                return Err(Failure::failed("the daemon sent a line without an end"));
            }
            match self.answer.chunk().await.map_err(|error| self.client.unreachable(&error))? {
                Some(chunk) => self.read.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// The innermost reasons of an error, without the URL.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut reason = error;
    let mut depth = 0;
    while let Some(source) = reason.source().filter(|_| depth < 16) {
        reason = source;
        depth += 1;
    }
    reason.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Result<Client, Failure> {
        Client::new(url, &SecretString::from("tha_x"))
    }

    #[test]
    fn a_daemon_of_the_same_environment_is_found() {
        let check = |listen: &str, expected: Option<&str>| assert_eq!(local(listen).as_deref(), expected, "{listen}");
        check("127.0.0.1:9000", Some("http://127.0.0.1:9000"));
        check("0.0.0.0:80", Some("http://127.0.0.1:80"));
        check("[::]:9000", Some("http://[::1]:9000"));
        check("127.0.0.1:0", None);
        check("nonsense", None);
    }

    #[test]
    fn urls_are_checked_and_segments_encoded() {
        let check = |base: &str, path: &[&str], query: &[(&str, &str)], expected: Option<&str>| {
            let got = client(base).and_then(|client| client.url(path, query));
            assert_eq!(got.ok().as_ref().map(Url::as_str), expected, "{base} {path:?}");
        };
        check("http://127.0.0.1:8420", &["models"], &[], Some("http://127.0.0.1:8420/v1/models"));
        check("https://a.example/th", &["models", "a/b"], &[], Some("https://a.example/th/v1/models/a%2Fb"));
        check("https://a.example/th/", &["x"], &[("scope", "a b&c")], Some("https://a.example/th/v1/x?scope=a+b%26c"));
        check("http://a", &["models", ".."], &[], None);
        check("http://a", &["models", ""], &[], None);
        check("127.0.0.1:8420", &["models"], &[], None);
        check("ftp://a", &["models"], &[], None);
        check("http://me:pw@a", &["models"], &[], None);
        check("http://a?x=y", &["models"], &[], None);
    }

    #[test]
    fn a_token_that_no_header_holds_is_not_repeated() {
        let failure = Client::new("http://a", &SecretString::from("tha_\nx")).err().map(|failure| failure.text());
        assert!(failure.is_some_and(|text| !text.contains("tha_")));
    }
}
