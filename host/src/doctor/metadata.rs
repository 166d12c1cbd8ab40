//! What a provider says of itself (RFC 8414, OpenID Connect Discovery 1.0), held against an integration's fields.
//!
//! A document's word changes no setting and leads no request anywhere: it orders what is tried, and is told.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::finding::{Check, Grade};

/// Places that are looked at, at most. Each is a request.
pub(super) const PLACES: usize = 4;

/// Words of a list that are read.
const WORDS: usize = 200;
/// The longest text that is read, in characters.
const LONGEST: usize = 300;

/// What a provider says of itself, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// Who it is.
    issuer: String,
    /// Where it gives tokens.
    token_endpoint: Option<String>,
    /// How clients may authenticate themselves there; none: it doesn't say.
    pub(super) methods: Option<Vec<String>>,
    /// The grants that it knows.
    grants: Option<Vec<String>>,
    /// The scopes that it knows. It need not tell all.
    scopes: Option<Vec<String>>,
}

/// Where the metadata of the provider with this token endpoint may lie: below each folder of its path, the deepest first
/// (Keycloak, Okta), and where RFC 8414 section 3.1 has it.
pub(super) fn places(token_url: &Url) -> Vec<Url> {
    let folders: Vec<&str> = token_url.path().split('/').filter(|part| !part.is_empty()).collect();
    let mut paths: Vec<String> = Vec::new();
    for depth in (0..folders.len().min(4)).rev() {
        let folder: String = folders.iter().take(depth).map(|part| format!("/{part}")).collect();
        paths.push(format!("{folder}/.well-known/openid-configuration"));
    }
    if paths.is_empty() {
        paths.push("/.well-known/openid-configuration".to_owned());
    }
    // The root is likelier than what lies between.
    if paths.len() > PLACES - 1 {
        paths.drain(PLACES - 2..paths.len() - 1);
    }
    paths.push("/.well-known/oauth-authorization-server".to_owned());
    let place = |path: String| {
        let mut url = token_url.clone();
        url.set_path(&path);
        url.set_query(None);
        url.set_fragment(None);
        url
    };
    paths.into_iter().map(place).collect()
}

impl Metadata {
    /// Reads a document. None: it is none.
    pub(super) fn read(document: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(document).ok()?;
        let text = |name: &str| document.get(name).and_then(Value::as_str).map(|text| short(text, LONGEST));
        let words = |name: &str| {
            let words = document.get(name)?.as_array()?;
            Some(
                words.iter().filter_map(Value::as_str).take(WORDS).map(|word| short(word, LONGEST)).collect::<Vec<_>>(),
            )
        };
        Some(Self {
            issuer: text("issuer")?,
            token_endpoint: text("token_endpoint"),
            methods: words("token_endpoint_auth_methods_supported"),
            grants: words("grant_types_supported"),
            scopes: words("scopes_supported"),
        })
    }

    /// The values of `client_auth` that it names, as the shipped flows call them; none: it doesn't say.
    pub(super) fn client_auths(&self) -> Option<Vec<&'static str>> {
        let known = |method: &String| -> &[&'static str] {
            match method.as_str() {
                "client_secret_basic" => &["basic", "basic-raw", "basic-percent"],
                "client_secret_post" => &["post"],
                "client_secret_jwt" => &["client_secret_jwt"],
                "private_key_jwt" => &["private_key_jwt"],
                "tls_client_auth" | "self_signed_tls_client_auth" => &["tls_client_auth"],
                "none" => &["none"],
                _ => &[],
            }
        };
        Some(self.methods.as_ref()?.iter().flat_map(known).copied().collect())
    }

    /// Of these scopes those that it knows, where it tells any and doesn't know all.
    pub(super) fn known_scopes(&self, wanted: &str) -> Option<String> {
        let known = self.scopes.as_ref().filter(|known| !known.is_empty())?;
        let wanted: Vec<&str> = wanted.split_whitespace().collect();
        let kept: Vec<&str> = wanted.iter().copied().filter(|word| known.iter().any(|known| known == word)).collect();
        (kept.len() < wanted.len()).then(|| kept.join(" "))
    }

    /// What it says that the integration's fields don't go with.
    pub(super) fn checks(&self, values: &BTreeMap<String, String>, flow: &str) -> Vec<Check> {
        let mut checks =
            vec![Check::new("metadata", Grade::Good, format!("the provider calls itself {}", self.issuer))];
        let mut say = |text: String| checks.push(Check::new("metadata", Grade::Note, short(&text, 4 * LONGEST)));
        if let (Some(theirs), Some(ours)) = (&self.token_endpoint, values.get("token_url"))
            && without_query(theirs) != without_query(ours)
        {
            say(format!("its token endpoint is {theirs}, and token_url is {ours}"));
        }
        if let (Some(named), Some(ours)) = (self.client_auths(), values.get("client_auth"))
            && !named.contains(&ours.as_str())
        {
            let named = self.methods.iter().flatten().cloned().collect::<Vec<_>>().join(", ");
            say(format!("it takes clients by {named}, and client_auth is {ours}"));
        }
        let grant = match (flow, values.get("grant").map(String::as_str)) {
            (_, Some("device_code")) | ("device", _) => "urn:ietf:params:oauth:grant-type:device_code",
            (_, Some(grant)) => grant,
            ("client-credentials", _) => "client_credentials",
            ("password", _) => "password",
            ("authorization-code", _) => "authorization_code",
            ("jwt-bearer", _) => "urn:ietf:params:oauth:grant-type:jwt-bearer",
            ("token-exchange", _) => "urn:ietf:params:oauth:grant-type:token-exchange",
            _ => "",
        };
        if let Some(known) =
            self.grants.as_ref().filter(|known| !grant.is_empty() && !known.iter().any(|it| it == grant))
        {
            say(format!("it doesn't name the grant {grant} among those it knows: {}", known.join(", ")));
        }
        if let Some(scope) = values.get("scope")
            && let Some(kept) = self.known_scopes(scope)
        {
            let unknown: Vec<&str> =
                scope.split_whitespace().filter(|word| !kept.split(' ').any(|kept| kept == *word)).collect();
            say(format!("it doesn't name these of our scopes: {}", unknown.join(", ")));
        }
        checks
    }
}

/// Text of a provider's, bounded.
fn short(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// A URL as far as it says where something is.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url).trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_where_providers_have_it() {
        #[track_caller]
        fn check(token_url: &str, expected: &[&str]) {
            let places: Vec<String> =
                places(&Url::parse(token_url).unwrap()).iter().map(|url| url.path().to_owned()).collect();
            assert_eq!(places, expected, "{token_url}");
            assert!(places.len() <= PLACES);
        }
        let (oidc, oauth) = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server");
        check("https://id.example/token?x=1", &[oidc, oauth]);
        check("https://id.example/", &[oidc, oauth]);
        check("https://id.example/o/token/", &["/o/.well-known/openid-configuration", oidc, oauth]);
        check(
            "https://id.example/oauth2/default/v1/token",
            &[
                "/oauth2/default/v1/.well-known/openid-configuration",
                "/oauth2/default/.well-known/openid-configuration",
                oidc,
                oauth,
            ],
        );
    }

    #[test]
    fn what_a_document_says_is_held_against_the_fields() {
        let document = br#"{"issuer":"https://id.example","token_endpoint":"https://id.example/v2/token",
            "token_endpoint_auth_methods_supported":["client_secret_post","new_way"],
            "grant_types_supported":["authorization_code"],"scopes_supported":["a","c"]}"#;
        let metadata = Metadata::read(document).unwrap();
        let values = [("token_url", "https://id.example/token"), ("client_auth", "basic"), ("scope", "a b")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let told: Vec<String> =
            metadata.checks(&values, "client-credentials").into_iter().map(|check| check.text).collect();
        assert_eq!(
            told,
            [
                "the provider calls itself https://id.example",
                "its token endpoint is https://id.example/v2/token, and token_url is https://id.example/token",
                "it takes clients by client_secret_post, new_way, and client_auth is basic",
                "it doesn't name the grant client_credentials among those it knows: authorization_code",
                "it doesn't name these of our scopes: b",
            ]
        );
        assert_eq!(metadata.client_auths(), Some(vec!["post"]));
        assert_eq!(metadata.known_scopes("a c"), None);
        assert_eq!(metadata.known_scopes("b a").as_deref(), Some("a"));

        let values =
            [("token_url", "https://id.example/v2/token/"), ("client_auth", "post"), ("grant", "authorization_code")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(metadata.checks(&values, "openid-connect").len(), 1);
        assert_eq!(Metadata::read(br#"{"token_endpoint":"https://x"}"#), None);
        assert_eq!(Metadata::read(b"<html>"), None);
    }
}
