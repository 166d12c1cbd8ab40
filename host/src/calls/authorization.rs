//! The credentials for one request: what is wanted, and what is to be added.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use url::form_urlencoded::{byte_serialize, parse};

use crate::egress::Placed;
use crate::tokens::TokenKey;

/// What credentials are wanted for. Signers sign what is in it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The request's method.
    pub method: Method,
    /// Its URL, with its query.
    pub url: Url,
    /// Its headers, as far as they are to be signed.
    pub headers: HeaderMap,
    /// Its body.
    pub body: BodyDigest,
    /// For how long the token must be good.
    pub min_ttl: Duration,
    /// The service's challenge (`WWW-Authenticate`), where it has made one.
    pub challenge: Option<HeaderValue>,
}

/// A request's body, as far as it is known before it is sent.
#[derive(Clone, Debug)]
pub enum BodyDigest {
    /// There is none.
    Empty,
    /// All of it.
    Bytes(Bytes),
    /// Its SHA-256.
    Sha256([u8; 32]),
    /// Nothing: it streams.
    Unsigned,
}

/// What to add to a request. Its `Debug` shows names.
#[derive(Clone, Default)]
pub struct Authorization {
    /// Headers; their values are marked as sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Query parameters, not yet encoded.
    pub query: Vec<(String, SecretString)>,
    /// Cookies.
    pub cookies: Vec<(String, SecretString)>,
    /// The tokens that it was made of, in the order of their schemes' names.
    pub tokens: Vec<Used>,
    /// The token whose signer answers a service's challenge; see [`Calls::challenged`](super::Calls::challenged).
    pub answers_challenges: Option<TokenKey>,
}

/// A token that a request's credentials were made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Its security scheme.
    pub scheme: String,
    /// What it is kept under.
    pub key: TokenKey,
    /// Its number.
    pub generation: u64,
    /// Whole seconds left; none where the end isn't known.
    pub expires_in: Option<u64>,
    /// When it was got.
    pub created_at: DateTime<Utc>,
    /// Whether it was made of the integration's settings alone, so that another one would be the same.
    pub local: bool,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, SecretString)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("Authorization")
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("query", &names(&self.query))
            .field("cookies", &names(&self.cookies))
            .field("tokens", &self.tokens)
            .finish()
    }
}

impl Authorization {
    /// Takes on what one more token adds.
    pub(super) fn add(&mut self, used: Used, placed: Placed) {
        self.headers.extend(placed.headers);
        self.query.extend(placed.query);
        self.cookies.extend(placed.cookies);
        self.tokens.push(used);
    }

    /// Puts it into a request. What the request had in the same places is replaced; all else stays as it was written.
    pub fn apply(&self, url: &mut Url, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        if !self.query.is_empty() {
            let is_other = |pair: &&str| {
                let name = parse(pair.as_bytes()).next().map(|(name, _)| name);
                !pair.is_empty() && !self.query.iter().any(|(known, _)| name.as_deref() == Some(known))
            };
            let kept = url.query().unwrap_or_default().split('&').filter(is_other).map(str::to_owned);
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
            let added =
                self.query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value.expose_secret())));
            let query = kept.chain(added).collect::<Vec<_>>().join("&");
            url.set_query(Some(&query));
        }
        if !self.cookies.is_empty() {
            let had: Vec<String> =
                headers.get_all(COOKIE).iter().filter_map(|value| Some(value.to_str().ok()?.to_owned())).collect();
            let had = had.iter().flat_map(|value| value.split(';')).map(str::trim).filter(|pair| !pair.is_empty());
            let is_other = |pair: &&str| {
                let name = pair.split('=').next().map(str::trim);
                !self.cookies.iter().any(|(known, _)| name == Some(known))
            };
            let added = self.cookies.iter().map(|(name, value)| format!("{name}={}", value.expose_secret()));
            let pairs: Vec<String> = had.filter(is_other).map(str::to_owned).chain(added).collect();
            if let Ok(mut value) = HeaderValue::from_str(&pairs.join("; ")) {
                value.set_sensitive(true);
                headers.insert(COOKIE, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_the_place_of_what_the_caller_had_there() {
        let mut url: Url = "https://api.example/a?x=%2f&api%5Fkey=theirs&y&&z=a+b".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Basic theirs".parse().unwrap());
        headers.insert("cookie", "a=1; session=theirs;b=2".parse().unwrap());
        headers.append("cookie", "c=3".parse().unwrap());
        let authorization = Authorization {
            headers: vec![("authorization".parse().unwrap(), "Bearer ours".parse().unwrap())],
            query: vec![("api_key".to_owned(), "o u&rs".into())],
            cookies: vec![("session".to_owned(), "ours".into())],
            ..Authorization::default()
        };
        authorization.apply(&mut url, &mut headers);
        assert_eq!(url.as_str(), "https://api.example/a?x=%2f&y&z=a+b&api_key=o%20u%26rs");
        assert_eq!(headers["authorization"], "Bearer ours");
        assert_eq!(headers["cookie"], "a=1; b=2; c=3; session=ours");
        assert_eq!(headers.get_all("cookie").iter().count(), 1);
        assert!(!format!("{authorization:?}").contains("ours"));
    }

    #[test]
    fn where_nothing_is_added_nothing_changes() {
        let mut url: Url = "https://api.example/a?b=%7e".parse().unwrap();
        let mut headers = HeaderMap::new();
        Authorization::default().apply(&mut url, &mut headers);
        assert_eq!((url.as_str(), headers.len()), ("https://api.example/a?b=%7e", 0));
    }
}
