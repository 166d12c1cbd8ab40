//! The client: tokens, kept until near their end; rejections; what to add to a request; calls that the daemon makes.
//!
//! Cheap to clone; clones share tokens and connections. Callers that need the same token at once cause one request.

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::Method;
use serde_json::{Map, Value, json};
use url::Url;

use crate::answers::{Answer, Authorization, Rejection, Token, read};
use crate::error::{Error, Problem, Unreachable};
use crate::pace::{SystemTime, Time, may_repeat, wait};
use crate::request::{Ask, Call, Key};

/// Where the daemon is where nobody says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8420";
/// How long an answer is waited for; the daemon itself waits up to 30 s for a token.
const TIMEOUT: Duration = Duration::from_secs(75);
/// What a call takes beside the service's own time.
const BESIDE: Duration = Duration::from_secs(45);
/// A kept token has at least so long left.
const MARGIN: Duration = Duration::from_secs(30);
/// A token whose end nobody knows is kept so long.
const UNKNOWN: Duration = Duration::from_secs(60);
/// The most tokens that are kept.
const MOST: usize = 1000;

/// A request for a token that its callers share.
type Flight = Shared<BoxFuture<'static, Result<Token, Error>>>;

/// How a client is made.
#[derive(Clone)]
pub struct Builder {
    /// Where the daemon is.
    url: String,
    /// The credential for it.
    token: String,
    /// How long an answer is waited for.
    timeout: Duration,
    /// How often a request is sent once more.
    retries: u32,
    /// The most that one call waits in between.
    max_wait: Duration,
    /// The clock.
    time: Option<Arc<dyn Time>>,
}

impl Builder {
    /// How long an answer is waited for; 75 s, since the daemon waits up to 30 for a token.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a request is sent once more after 429, 502, 503 or no answer, where it may be; 3.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The most that one call waits in between; 30 s.
    #[must_use]
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// Another clock, for tests.
    #[must_use]
    pub fn time(mut self, time: Arc<dyn Time>) -> Self {
        self.time = Some(time);
        self
    }

    /// The client.
    ///
    /// # Errors
    /// The URL is none of http or https, or the token has characters that no header holds.
    pub fn build(self) -> Result<Client, Error> {
        let unusable = |reason: &str| Error::Unusable(format!("the daemon's URL {reason}; set TOKENHOST_URL"));
        let mut base = Url::parse(&self.url).map_err(|error| unusable(&format!("is none: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(unusable("is not http or https"));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().or(base.fragment()).is_some() {
            return Err(unusable("has a user, a query or a fragment"));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let token = self.token.trim();
        if token.is_empty() {
            return Err(Error::Unusable("no token for the daemon: give one, or set TOKENHOST_TOKEN".to_owned()));
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
            Error::Unusable("the daemon's token has characters that no token has; set TOKENHOST_TOKEN".to_owned())
        })?;
        authorization.set_sensitive(true);
        let accept = HeaderValue::from_static("application/json, application/problem+json");
        // Fails only where a provider is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            // The credential goes with every call: to the daemon, and nowhere that an answer or the environment names.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, authorization), (ACCEPT, accept)]))
            .user_agent(concat!("tokenhost-rust/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Unusable(format!("the HTTP client can't be set up: {}", innermost(&error))))?;
        Ok(Client(Arc::new(Inner {
            base,
            http,
            timeout: self.timeout,
            retries: self.retries,
            max_wait: self.max_wait,
            time: self.time.unwrap_or_else(|| Arc::new(SystemTime(Instant::now()))),
            tokens: Mutex::default(),
        })))
    }
}

/// A client of the daemon.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

/// What clones share.
struct Inner {
    /// The daemon's own address; its path ends with a slash.
    base: Url,
    /// Adds the credential to every call.
    http: reqwest::Client,
    /// How long an answer is waited for.
    timeout: Duration,
    /// How often a request is sent once more.
    retries: u32,
    /// The most that one call waits in between.
    max_wait: Duration,
    /// The clock.
    time: Arc<dyn Time>,
    /// What is known of tokens.
    tokens: Mutex<Tokens>,
}

/// What is known of tokens.
#[derive(Default)]
struct Tokens {
    /// Those that are good for a while.
    kept: HashMap<Key, Kept>,
    /// Requests under way, by token and seconds that must be left.
    flights: HashMap<(Key, u64), Flight>,
}

/// A token that is good for a while.
struct Kept {
    /// The token as it came.
    token: Token,
    /// Until when it is served, by the clock.
    until: Duration,
    /// When it ends, by the clock, where that is known.
    end: Option<Duration>,
}

impl Debug for Client {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.0.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the daemon at this URL, with this application or personal token.
    pub fn builder(url: impl Into<String>, token: impl Into<String>) -> Builder {
        let (retries, max_wait) = (3, Duration::from_secs(30));
        Builder { url: url.into(), token: token.into(), timeout: TIMEOUT, retries, max_wait, time: None }
    }

    /// A client as `TOKENHOST_URL` (http://127.0.0.1:8420) and `TOKENHOST_TOKEN` say.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn from_env() -> Result<Self, Error> {
        let read = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let url = read("TOKENHOST_URL").unwrap_or_else(|| DEFAULT_URL.to_owned());
        Self::builder(url, read("TOKENHOST_TOKEN").unwrap_or_default()).build()
    }

    /// A valid token of the integration, with at least `min_ttl` left as far as its tokens last that long.
    ///
    /// # Errors
    /// The daemon doesn't answer, refuses, or has none.
    pub async fn token(&self, key: impl Into<Key>, min_ttl: Option<Duration>) -> Result<Token, Error> {
        let key = key.into();
        let least = min_ttl.unwrap_or_default();
        let flight = {
            let now = self.0.time.elapsed();
            let mut tokens = self.tokens();
            if let Some(token) = tokens.kept.get(&key).and_then(|kept| kept.good(now, least)) {
                return Ok(token);
            }
            let client = self.clone();
            let asked = (key.clone(), least.as_secs());
            // A task of its own: a caller that goes away cancels nothing.
            let fly = || {
                let task = tokio::spawn(async move { client.ask(key, min_ttl).await });
                task.map(|ended| ended.unwrap_or_else(|_| Err(Error::Unusable("the runtime ends".to_owned()))))
                    .boxed()
                    .shared()
            };
            tokens.flights.entry(asked).or_insert_with(fly).clone()
        };
        flight.await
    }

    /// Reports that the service refused the token of this generation; a newer one is got unless there is one.
    ///
    /// # Errors
    /// As for [`Client::token`]; `too_soon` where a token was renewed just now.
    pub async fn reject(&self, key: impl Into<Key>, generation: u64) -> Result<Rejection, Error> {
        let key = key.into();
        self.tokens().kept.retain(|other, kept| *other != key || kept.token.generation > generation);
        let query: Vec<_> = key.scope.iter().map(|scope| ("scope", scope.clone())).collect();
        let url = self.url(&key.name, &["token", "reject"], &query)?;
        read(self.send(Method::POST, url, Some(json!({"generation": generation})), true, self.0.timeout).await?)
    }

    /// What to add to a request so that the service lets it in.
    ///
    /// # Errors
    /// As for [`Client::token`]; `invalid` where there is no such operation.
    pub async fn authorize(&self, name: &str, ask: &Ask) -> Result<Authorization, Error> {
        let url = self.url(name, &["authorize"], &[])?;
        read(self.send(Method::POST, url, Some(json!(ask)), true, self.0.timeout).await?)
    }

    /// Has the daemon make a call; gives what the service answered, whatever its status.
    ///
    /// # Errors
    /// As for [`Client::token`]; `invalid` with all fields where parameters or body aren't what the operation takes;
    /// `service_unreachable`, `service_timeout`, `service_unavailable` or `too_many_calls`.
    pub async fn call(&self, name: &str, call: &Call) -> Result<Answer, Error> {
        let url = self.url(name, &["call"], &[])?;
        let patience =
            call.timeout.map_or(self.0.timeout, |timeout| self.0.timeout.max(timeout.saturating_add(BESIDE)));
        let body = Value::Object(Map::clone(&call.body));
        Answer::read(self.send(Method::POST, url, Some(body), call.repeatable, patience).await?)
    }

    /// What adapters do after a 401: rejects this token and gets the next; none where there is no newer one.
    ///
    /// # Errors
    /// As for [`Client::token`].
    pub async fn renewed(&self, key: impl Into<Key>, token: &Token) -> Result<Option<Token>, Error> {
        let key = key.into();
        match self.reject(&key, token.generation).await {
            Err(error) if error.code() != Some("too_soon") => return Err(error),
            _ => {}
        }
        let newer = self.token(&key, None).await?;
        Ok((newer.generation != token.generation).then_some(newer))
    }

    /// What is known of tokens.
    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the daemon for a token, and keeps it while it is good.
    async fn ask(&self, key: Key, min_ttl: Option<Duration>) -> Result<Token, Error> {
        let mut query: Vec<_> = min_ttl.iter().map(|least| ("min_ttl", least.as_secs().to_string())).collect();
        query.extend(key.scope.iter().map(|scope| ("scope", scope.clone())));
        let asked = self.0.time.elapsed();
        let outcome = match self.url(&key.name, &["token"], &query) {
            Ok(url) => self.send(Method::GET, url, None, true, self.0.timeout).await.and_then(read::<Token>),
            Err(error) => Err(error),
        };
        let mut tokens = self.tokens();
        tokens.flights.remove(&(key.clone(), min_ttl.unwrap_or_default().as_secs()));
        let token = outcome?;
        let end = token.expires_in.map(|left| asked.saturating_add(Duration::from_secs(left)));
        let until = end.map_or(asked + UNKNOWN, |end| end.saturating_sub(MARGIN));
        if until > asked {
            if tokens.kept.len() >= MOST {
                tokens.kept.clear();
            }
            tokens.kept.insert(key, Kept { token: token.clone(), until, end });
        } else {
            tokens.kept.remove(&key);
        }
        Ok(token)
    }

    /// The URL of a call on an integration.
    fn url(&self, name: &str, below: &[&str], query: &[(&str, String)]) -> Result<Url, Error> {
        if matches!(name, "" | "." | "..") {
            return Err(Error::Unusable(format!("{name:?} is no name of an integration")));
        }
        let mut url = self.0.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["v1", "integrations", name]).extend(below);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// One call of the API, repeated where that may be; the JSON that came.
    async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<Value>,
        repeatable: bool,
        patience: Duration,
    ) -> Result<Value, Error> {
        let body = body.map(|body| body.to_string());
        let mut waited = Duration::ZERO;
        let mut attempt = 1;
        loop {
            let error = match self.once(method.clone(), url.clone(), body.clone(), patience).await {
                Ok(document) => return Ok(document),
                Err(error) => error,
            };
            let wait = wait(attempt, &error);
            let again = attempt <= self.0.retries && may_repeat(&error, repeatable);
            if !again || waited.saturating_add(wait) > self.0.max_wait {
                return Err(error);
            }
            self.0.time.sleep(wait).await;
            waited += wait;
            attempt += 1;
        }
    }

    /// One request, and its answer sorted.
    async fn once(&self, method: Method, url: Url, body: Option<String>, patience: Duration) -> Result<Value, Error> {
        let mut request = self.0.http.request(method, url).timeout(patience);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok().map(str::to_owned));
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        if !status.is_success() {
            return Err(Error::Problem(Arc::new(Problem::new(status.as_u16(), retry_after.as_deref(), &body))));
        }
        serde_json::from_slice(&body).map_err(|_| Error::BadAnswer("the answer is no JSON".to_owned()))
    }

    /// The daemon gave no complete answer.
    fn unreachable(&self, error: &reqwest::Error) -> Error {
        let place = self.0.base.origin().ascii_serialization();
        Error::Unreachable(Unreachable { place, reason: innermost(error), sent: !error.is_connect() })
    }
}

impl Kept {
    /// The token, where it is still served, and has so long left.
    fn good(&self, now: Duration, least: Duration) -> Option<Token> {
        if now > self.until {
            return None;
        }
        let mut token = self.token.clone();
        match self.end {
            Some(end) => {
                let left = end.checked_sub(now).filter(|left| *left >= least)?;
                token.expires_in = Some(left.as_secs());
            }
            None if !least.is_zero() => return None,
            None => {}
        }
        Some(token)
    }
}

/// The innermost reason of an error, without the URL.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut reason = error;
    let mut depth = 0;
    while let Some(source) = reason.source().filter(|_| depth < 16) {
        reason = source;
        depth += 1;
    }
    reason.to_string()
}
