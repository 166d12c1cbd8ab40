//! What operators set about inbound access and its audit: the tables `[access]` and `[audit]`, with the names that operators
//! of the ITSM product know from its token extension.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use super::layers::Layers;
use super::{networks, words};
use crate::text::{ProfileName, Scope};

/// A way of signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoginType {
    /// A personal or application token. `rest-token` is another name for it.
    Token,
    /// A password given once in a form, and a session cookie from then on.
    Form,
    /// A password with every request (RFC 7617).
    Basic,
    /// A header of a trusted proxy that names the user.
    External,
}

impl LoginType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Token, Self::Form, Self::Basic, Self::External];

    /// Its name in the configuration and the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Form => "form",
            Self::Basic => "basic",
            Self::External => "external",
        }
    }

    /// The login type of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "rest-token" => Some(Self::Token),
            name => Self::ALL.into_iter().find(|one| one.as_str() == name),
        }
    }
}

/// What operators set about inbound access.
#[derive(Clone, Debug)]
pub struct Access {
    /// The ways of signing in that are allowed.
    pub allowed_login_types: BTreeSet<LoginType>,
    /// Whether personal tokens open `REST/JSON` and `Synchro` without the profile REST Services User.
    pub allow_rest_services_via_tokens: bool,
    /// Whether `REST/JSON` and `Synchro` need that profile at all.
    pub secure_rest_services: bool,
    /// Profiles whose users may have and use personal tokens.
    pub personal_tokens_allowed_profiles: Vec<ProfileName>,
    /// Whether users manage what is their own under `/v1/me`: contact, password and, with an allowed profile, personal tokens.
    pub enable_myaccount_menu: bool,
    /// Whether digests made under a retired pepper are accepted, until the date stated when it was retired.
    pub allow_fallback_token: bool,
    /// Whether the log tells each login and refusal with its exact reason.
    pub login_debug: bool,
    /// Scopes for services behind the proxy, beside the shipped ones.
    pub scopes: Vec<Scope>,
    /// Whether `auth_token` may stand in the query, from where it gets into the logs of proxies.
    pub token_in_query: bool,
    /// Personal tokens end at most so long after they are made or rebuilt.
    pub max_lifetime: Duration,
    /// And so long after, where the caller doesn't say.
    pub default_lifetime: Duration,
    /// Personal tokens that a user may have, expired and deleted ones not counted.
    pub tokens_per_user: usize,
    /// Proxies whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How proxies name users.
    pub external: External,
}

/// How a trusted proxy names the user that it has authenticated.
#[derive(Clone, Debug)]
pub struct External {
    /// The header with the login.
    pub header: String,
    /// The header by which the proxy proves itself, beside its address.
    pub secret_header: String,
    /// What must stand in that header. None: nobody can be named.
    pub secret: Option<SecretString>,
    /// The proxy's addresses.
    pub proxies: Vec<IpNet>,
}

/// A day.
const DAY: Duration = Duration::from_secs(86_400);
/// The longest time that can be set, in days: ten years.
const MOST_DAYS: u32 = 3660;
/// Scopes that operators may add: with the shipped ones, each is one bit of a set.
const MOST_SCOPES: usize = 60;
/// The scopes that ship.
pub const SHIPPED_SCOPES: [&str; 4] = ["REST/JSON", "Export", "Import", "Synchro"];

impl Default for Access {
    fn default() -> Self {
        Self {
            allowed_login_types: [LoginType::Token, LoginType::Form].into(),
            allow_rest_services_via_tokens: false,
            secure_rest_services: true,
            personal_tokens_allowed_profiles: Vec::new(),
            enable_myaccount_menu: true,
            allow_fallback_token: false,
            login_debug: false,
            scopes: Vec::new(),
            token_in_query: false,
            max_lifetime: 366 * DAY,
            default_lifetime: 90 * DAY,
            tokens_per_user: 20,
            trusted_proxies: Vec::new(),
            external: External {
                header: "x-remote-user".to_owned(),
                secret_header: "x-proxy-secret".to_owned(),
                secret: None,
                proxies: Vec::new(),
            },
        }
    }
}

/// The form of a header's name (RFC 9110 section 5.1).
fn header(text: &str) -> Result<String, String> {
    let name = http::HeaderName::try_from(text).map_err(|_| "is no name of a header".to_owned())?;
    Ok(name.as_str().to_owned())
}

fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

fn days(text: &str) -> Result<Duration, String> {
    let days = text.parse::<u32>().ok().filter(|days| (1..=MOST_DAYS).contains(days));
    days.map(|days| days * DAY).ok_or_else(|| format!("must be a number of days from 1 to {MOST_DAYS}"))
}

fn login_types(text: &str) -> Result<BTreeSet<LoginType>, String> {
    let known = || LoginType::ALL.map(LoginType::as_str).join(", ");
    words(text)
        .map(|word| LoginType::of_name(word).ok_or_else(|| format!("{word} is no login type; there are {}", known())))
        .collect()
}

fn profiles(text: &str) -> Result<Vec<ProfileName>, String> {
    words(text).map(|word| word.parse().map_err(|error| format!("{word} {error}"))).collect()
}

/// Scopes of operators. Each has a URL form of its own, since there it is found by that.
fn scopes(text: &str) -> Result<Vec<Scope>, String> {
    let scopes: Vec<Scope> = words(text)
        .map(|word| word.parse().map_err(|error| format!("{word} {error}")))
        .collect::<Result<_, String>>()?;
    if scopes.len() > MOST_SCOPES {
        return Err(format!("has {} scopes; at most {MOST_SCOPES} can be added", scopes.len()));
    }
    let mut forms: Vec<String> = SHIPPED_SCOPES.map(|name| name.to_ascii_lowercase().replace('/', "-")).to_vec();
    for scope in &scopes {
        if forms.contains(&scope.in_url()) {
            return Err(format!("{scope} is {} in URLs, as another scope is already", scope.in_url()));
        }
        forms.push(scope.in_url());
    }
    Ok(scopes)
}

impl Access {
    /// The table `[access]`.
    pub(super) fn read(layers: &mut Layers) -> Self {
        let default = Self::default();
        let external = default.external;
        Self {
            allowed_login_types: layers.read("access.allowed_login_types", default.allowed_login_types, login_types),
            allow_rest_services_via_tokens: layers.read("access.allow_rest_services_via_tokens", false, flag),
            secure_rest_services: layers.read("access.secure_rest_services", true, flag),
            personal_tokens_allowed_profiles: layers.read(
                "access.personal_tokens_allowed_profiles",
                Vec::new(),
                profiles,
            ),
            enable_myaccount_menu: layers.read("access.enable_myaccount_menu", true, flag),
            allow_fallback_token: layers.read("access.application_token.allow_fallback_token", false, flag),
            login_debug: layers.read("access.login_debug", false, flag),
            scopes: layers.read("access.scopes", Vec::new(), scopes),
            token_in_query: layers.read("access.token_in_query", false, flag),
            max_lifetime: layers.read("access.personal_token.max_lifetime", default.max_lifetime, days),
            default_lifetime: layers.read("access.personal_token.default_lifetime", default.default_lifetime, days),
            tokens_per_user: layers.read("access.personal_token.per_user", default.tokens_per_user, |text| {
                let number = text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
                number.ok_or_else(|| "must be a number from 1 to 1000000".to_owned())
            }),
            trusted_proxies: layers.read("access.trusted_proxies", Vec::new(), networks),
            external: External {
                header: layers.read("access.external.header", external.header, header),
                secret_header: layers.read("access.external.secret_header", external.secret_header, header),
                secret: layers.read("access.external.secret", None, |text| {
                    let secret = Some(SecretString::from(text));
                    (text.len() >= 16).then_some(secret).ok_or_else(|| "must have at least 16 characters".to_owned())
                }),
                proxies: layers.read("access.external.proxies", Vec::new(), networks),
            },
        }
    }
}

/// How long the audit log is kept. Whatever goes first over either bound is pruned first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Days that a record is kept.
    pub retention_days: u32,
    /// Records kept at most.
    pub retention_records: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { retention_days: 400, retention_records: 10_000_000 }
    }
}

impl Audit {
    /// The table `[audit]`.
    pub(super) fn read(layers: &mut Layers) -> Self {
        let default = Self::default();
        Self {
            retention_days: layers.read("audit.retention_days", default.retention_days, |text| {
                let days = text.parse().ok().filter(|days| (1..=MOST_DAYS).contains(days));
                days.ok_or_else(|| format!("must be a number of days from 1 to {MOST_DAYS}"))
            }),
            retention_records: layers.read("audit.retention_records", default.retention_records, |text| {
                let number = text.parse().ok().filter(|number| (1000..=1_000_000_000).contains(number));
                number.ok_or_else(|| "must be a number from 1000 to 1000000000".to_owned())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_types_have_the_names_that_operators_know() {
        assert_eq!(LoginType::of_name("rest-token"), Some(LoginType::Token));
        assert!(LoginType::ALL.into_iter().all(|one| LoginType::of_name(one.as_str()) == Some(one)));
        assert_eq!(LoginType::of_name("Form"), None);
    }

    #[test]
    fn scopes_meet_in_no_url() {
        assert_eq!(scopes("Grafana, billing/read").unwrap().len(), 2);
        for (text, part) in [("rest-json", "REST"), ("a/b, a-b", "a-b is a-b in URLs"), ("a b", "' '"), ("é", "é")] {
            let message = scopes(text).unwrap_err();
            assert!(message.contains(part) || message.contains("in URLs"), "{text}: {message}");
        }
        let many = (0..=MOST_SCOPES).map(|index| format!("s{index}")).collect::<Vec<_>>().join(",");
        assert!(scopes(&many).unwrap_err().contains("at most"));
    }

    #[test]
    fn login_types_come_as_list_or_with_bars() {
        assert_eq!(login_types("form,rest-token").unwrap(), [LoginType::Form, LoginType::Token].into());
        assert!(login_types("form,cas").unwrap_err().contains("cas is no login type"));
    }
}
