//! What the operator allows of outbound requests, and where an integration's requests may go.
//!
//! Addresses are judged in `address`; a name is held against the policy when it is resolved (`resolve`).

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;
use url::{Host, Origin, Url};

use super::address;
use super::refusal::Problem;

/// The operator's rules for all outbound connections.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Networks that may be dialled though they are private, loopback or otherwise special (`TOKENHOST_EGRESS_ALLOW`).
    pub allow_networks: Vec<IpNet>,
    /// Whether plain http is allowed (`TOKENHOST_EGRESS_HTTP`).
    pub allow_http: bool,
    /// Time, size and number.
    pub limits: Limits,
}

/// Limits on each request, and on all of them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the start to an open connection: name, TCP, proxy and TLS.
    pub connect: Duration,
    /// Without a byte from the provider.
    pub idle: Duration,
    /// From the start to the end of the answer. Callers wait at most 30 s for a token.
    pub total: Duration,
    /// The same for a model document, which may be large.
    pub document_total: Duration,
    /// The answer's body, decompressed. Providers are seen to answer 1 MiB.
    pub answer_bytes: usize,
    /// The answer's header names and values together.
    pub answer_header_bytes: usize,
    /// The request's URL, headers and body, each; and each computed value.
    pub request_bytes: usize,
    /// Values that a flow may have computed for one request.
    pub derived: usize,
    /// Requests under way at once; more wait for their turn, in their own time.
    pub at_once: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(15),
            total: Duration::from_secs(30),
            document_total: Duration::from_secs(120),
            answer_bytes: 3 << 19, // 1.5 MiB: an answer of 1 MiB with some wrapping
            answer_header_bytes: 64 << 10,
            request_bytes: 1 << 20,
            derived: 64,
            at_once: 512,
        }
    }
}

impl Policy {
    /// Whether a URL may be dialled, as far as it can be told without resolving its name.
    pub(super) fn check_url(&self, part: &str, url: &Url) -> Result<(), Problem> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => {
                return Err(Problem::operator(
                    part,
                    format!(
                        "{} is plain http; use https, or let an operator set TOKENHOST_EGRESS_HTTP=true",
                        url.origin().ascii_serialization()
                    ),
                ));
            }
            scheme => return Err(Problem::flow(part, format!("has the scheme `{scheme}`; https is wanted"))),
        }
        check_userinfo(part, url)?;
        self.check_literal(part, url)
    }

    /// Whether the address may be dialled, where a URL has one instead of a name.
    pub(super) fn check_literal(&self, part: &str, url: &Url) -> Result<(), Problem> {
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(Problem::flow(part, "has no host")),
        };
        address::check(literal, &self.allow_networks)
            .map_err(|forbidden| Problem::operator(part, forbidden.to_string()))
    }
}

/// Refuses credentials in a URL: there they'd be no secret.
pub(super) fn check_userinfo(part: &str, url: &Url) -> Result<(), Problem> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    Err(Problem::integration(part, "has a user or password before the host; remove it and use the secret fields"))
}

/// Where an integration's requests may go: the origins of its own URL fields, and those that its metadata names.
#[derive(Clone, Debug, Default)]
pub struct Destinations {
    /// The origins by their text, so that none counts twice.
    origins: BTreeMap<String, Origin>,
}

impl Destinations {
    /// The origins of these URLs. What is no absolute URL leads nowhere and is left out.
    pub fn of<'a>(urls: impl IntoIterator<Item = &'a str>) -> Self {
        let mut destinations = Self::default();
        for url in urls.into_iter().filter_map(|url| Url::parse(url.trim()).ok()) {
            destinations.allow(&url);
        }
        destinations
    }

    /// Adds the origin of a URL.
    pub fn allow(&mut self, url: &Url) {
        let origin = url.origin();
        if origin.is_tuple() {
            self.origins.insert(origin.ascii_serialization(), origin);
        }
    }

    /// The origins, as URLs.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.origins.keys().map(String::as_str)
    }

    /// Whether requests may go to this URL's origin.
    pub fn contain(&self, url: &Url) -> bool {
        self.origins.contains_key(&url.origin().ascii_serialization())
    }

    /// The same, as a refusal.
    pub(super) fn check(&self, url: &Url) -> Result<(), Problem> {
        if self.contain(url) {
            return Ok(());
        }
        let known: Vec<&str> = self.origins.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none is set".to_owned() } else { known.join(", ") };
        let asked = url.origin().ascii_serialization();
        Err(Problem::flow("url", format!("{asked} is none of this integration's own origins ({known})")))
    }

    /// Adds the endpoints of a metadata document that this attempt fetched from this URL.
    ///
    /// The document must have come over https, and its `issuer` must be the one to whom the URL belongs (RFC 8414
    /// section 3.3; OpenID Connect Discovery 1.0 section 4.3). Endpoints that are no https URLs are left out.
    ///
    /// # Errors
    /// What doesn't hold; nothing was added then.
    pub fn extend_from_metadata(&mut self, metadata_url: &Url, document: &[u8]) -> Result<(), Problem> {
        let part = "metadata document";
        if metadata_url.scheme() != "https" {
            return Err(Problem::integration(part, "came over plain http; its endpoints are used only over https"));
        }
        let document: Value = serde_json::from_slice(document)
            .map_err(|error| Problem::integration(part, format!("is no JSON (line {})", error.line())))?;
        let Some(issuer) = document.get("issuer").and_then(Value::as_str).and_then(|issuer| Url::parse(issuer).ok())
        else {
            return Err(Problem::integration(part, "has no `issuer` that is a URL"));
        };
        if !belongs(metadata_url, &issuer) {
            return Err(Problem::integration(
                part,
                format!("is for the issuer {}, to whom the URL it came from doesn't belong", shown(&issuer)),
            ));
        }
        let aliases = document.get("mtls_endpoint_aliases").and_then(Value::as_object);
        let members = document.as_object().into_iter().chain(aliases).flatten();
        members
            .filter(|(name, _)| name.ends_with("_endpoint") || name.as_str() == "jwks_uri")
            .filter_map(|(_, value)| Url::parse(value.as_str()?).ok())
            .filter(|endpoint| endpoint.scheme() == "https")
            .for_each(|endpoint| self.allow(&endpoint));
        Ok(())
    }
}

/// Whether a metadata URL is where this issuer's document lies.
fn belongs(metadata_url: &Url, issuer: &Url) -> bool {
    if metadata_url.origin() != issuer.origin() || issuer.query().is_some() || issuer.fragment().is_some() {
        return false;
    }
    let issuer_path = issuer.path().trim_end_matches('/');
    ["openid-configuration", "oauth-authorization-server"].iter().any(|name| {
        let path = metadata_url.path();
        path == format!("{issuer_path}/.well-known/{name}") || path == format!("/.well-known/{name}{issuer_path}")
    })
}

/// A URL for people: without user, query and fragment.
pub(super) fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn only_the_integrations_own_origins_are_destinations() {
        let to =
            Destinations::of(["https://idp.example/token?x=1", " https://b.example:8443/ ", "/relative", "data:x"]);
        for (text, expected) in [
            ("https://idp.example/other", true),
            ("https://idp.example:443/", true),
            ("https://IDP.example/", true),
            ("https://b.example:8443/x", true),
            ("https://b.example/x", false),
            ("http://idp.example/token", false),
            ("https://idp.example.evil.example/", false),
            ("https://sub.idp.example/", false),
            ("data:x", false),
        ] {
            assert_eq!(to.contain(&url(text)), expected, "{text}");
        }
        let refusal = to.check(&url("https://evil.example/?secret=1")).unwrap_err().to_string();
        assert!(refusal.contains("https://evil.example is none of"), "{refusal}");
        assert!(refusal.contains("(https://b.example:8443, https://idp.example)"), "{refusal}");
    }

    #[test]
    fn a_url_is_held_against_scheme_userinfo_and_literal_address() {
        #[track_caller]
        fn check(text: &str, allow_http: bool, expected: &str) {
            let policy =
                Policy { allow_http, allow_networks: vec!["10.0.0.0/8".parse().unwrap()], ..Policy::default() };
            match policy.check_url("url", &url(text)) {
                Ok(()) => assert_eq!(expected, "", "{text}"),
                Err(problem) => {
                    let text = problem.to_string();
                    assert!(!expected.is_empty() && text.contains(expected), "{text}");
                }
            }
        }
        check("https://a.example/", false, "");
        check("http://a.example/?secret", false, "http://a.example is plain http; use https, or let an operator set");
        check("http://a.example/", true, "");
        check("ftp://a.example/", true, "scheme `ftp`");
        check("file:///etc/passwd", true, "scheme `file`");
        check("https://user@a.example/", false, "user or password");
        check("https://:word@a.example/", false, "user or password");
        check("https://10.1.1.1/", false, "");
        check("https://127.0.0.1/", false, "TOKENHOST_EGRESS_ALLOW");
        check("https://0x7f.1/", false, "127.0.0.1 is in the loopback network");
        check("https://2130706433/", false, "127.0.0.1 is in the loopback network");
        check("https://[::1]/", false, "::1/128");
        check("https://[::ffff:7f00:1]/", false, "127.0.0.0/8");
        check("https://169.254.169.254/latest", false, "metadata");
        check("https://0/", false, "never dialled");
    }

    #[test]
    fn endpoints_of_a_metadata_document_count_if_its_issuer_matches() {
        #[track_caller]
        fn check(metadata_url: &str, issuer: &str, expected: &str) {
            let document = serde_json::json!({
                "issuer": issuer,
                "token_endpoint": "https://token.example/t",
                "revocation_endpoint": "http://plain.example/r",
                "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.example/t"},
                "service_documentation": "https://docs.example/",
                "authorization_endpoint": 5,
            });
            let mut to = Destinations::of(["https://idp.example/"]);
            let outcome = to.extend_from_metadata(&url(metadata_url), document.to_string().as_bytes());
            let origins: Vec<&str> = to.origins.keys().map(String::as_str).collect();
            match outcome {
                Ok(()) => {
                    assert_eq!(expected, "", "{metadata_url} {issuer}");
                    assert_eq!(origins, ["https://idp.example", "https://mtls.example", "https://token.example"]);
                }
                Err(problem) => {
                    assert!(!expected.is_empty() && problem.to_string().contains(expected), "{problem}");
                    assert_eq!(origins, ["https://idp.example"]);
                }
            }
        }
        let (oidc, oauth) = (".well-known/openid-configuration", ".well-known/oauth-authorization-server");
        check(&format!("https://idp.example/{oidc}"), "https://idp.example", "");
        check(&format!("https://idp.example/{oidc}"), "https://idp.example/", "");
        check(&format!("https://idp.example/t1/{oidc}"), "https://idp.example/t1", "");
        check(&format!("https://idp.example/{oauth}/t1"), "https://idp.example/t1", "");
        check(&format!("https://idp.example/{oauth}"), "https://idp.example/t1", "doesn't belong");
        check(&format!("https://idp.example/t2/{oidc}"), "https://idp.example/t1", "doesn't belong");
        check(&format!("https://idp.example/{oidc}"), "https://evil.example", "https://evil.example/, to whom");
        check(&format!("https://idp.example/{oidc}"), "nonsense", "no `issuer`");
        check(&format!("http://idp.example/{oidc}"), "http://idp.example", "plain http");
        check("https://idp.example/metadata.json", "https://idp.example", "doesn't belong");
    }

    #[test]
    fn a_metadata_document_that_is_no_json_adds_nothing() {
        let mut to = Destinations::default();
        let problem = to.extend_from_metadata(&url("https://a.example/"), b"<html>").unwrap_err();
        assert!(problem.to_string().contains("is no JSON"), "{problem}");
    }
}
