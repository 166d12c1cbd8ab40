//! What operators set about inbound access: the table `[access]` of the configuration, and the scopes there are.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use super::text::{ProfileName, Scope};

/// Scopes at most, the shipped ones included: each is one bit of a set.
pub const MOST_SCOPES: usize = 64;

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
pub struct Policy {
    /// The ways of signing in that are allowed.
    pub allowed_login_types: BTreeSet<LoginType>,
    /// Whether personal tokens open `REST/JSON` and `Synchro` without the profile REST Services User.
    pub allow_rest_services_via_tokens: bool,
    /// Whether `REST/JSON` and `Synchro` need that profile at all.
    pub secure_rest_services: bool,
    /// Profiles whose users may have and use personal tokens.
    pub personal_tokens_allowed_profiles: Vec<ProfileName>,
    /// Whether users manage their own tokens under `/v1/me`.
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

impl Default for Policy {
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

/// The scopes that ship, each with a door of the host's API behind it.
pub mod shipped_scope {
    /// Calls of the API.
    pub const REST: &str = "REST/JSON";
    /// `/v1/export`.
    pub const EXPORT: &str = "Export";
    /// `/v1/import`.
    pub const IMPORT: &str = "Import";
    /// `/v1/synchro`.
    pub const SYNCHRO: &str = "Synchro";
    /// All of them.
    pub const ALL: [&str; 4] = [REST, EXPORT, IMPORT, SYNCHRO];
}

/// A set of scopes, by their place in [`Scopes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(pub(super) u64);

/// The place of a scope in [`Scopes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeId(u32);

impl ScopeSet {
    /// Whether the scope is in it.
    pub fn contains(self, scope: ScopeId) -> bool {
        self.0 >> scope.0 & 1 == 1
    }

    /// With this scope.
    #[must_use]
    pub(super) fn with(self, scope: ScopeId) -> Self {
        Self(self.0 | 1 << scope.0)
    }
}

/// The scopes that tokens can have: those that ship, then those that operators add.
#[derive(Clone, Debug)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Calls of the API.
    pub const REST: ScopeId = ScopeId(0);
    /// `/v1/export`.
    pub const EXPORT: ScopeId = ScopeId(1);
    /// `/v1/import`.
    pub const IMPORT: ScopeId = ScopeId(2);
    /// `/v1/synchro`.
    pub const SYNCHRO: ScopeId = ScopeId(3);

    /// The shipped ones and these. Those that are there twice, or too many, are left out: `config` refuses them by name.
    pub fn new(added: &[Scope]) -> Self {
        let mut all: Vec<Scope> = shipped_scope::ALL.iter().filter_map(|name| name.parse().ok()).collect();
        for scope in added {
            if all.len() < MOST_SCOPES && all.iter().all(|known| known.in_url() != scope.in_url()) {
                all.push(scope.clone());
            }
        }
        Self(all)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (ScopeId, &Scope)> {
        (0..).map(ScopeId).zip(&self.0)
    }

    /// The scope of this name.
    pub fn find(&self, name: &str) -> Option<ScopeId> {
        self.iter().find(|(_, scope)| scope.as_str() == name).map(|(id, _)| id)
    }

    /// The scope of this form in a URL.
    pub fn in_url(&self, text: &str) -> Option<ScopeId> {
        self.iter().find(|(_, scope)| scope.in_url() == text).map(|(id, _)| id)
    }

    /// What a scope is called.
    pub fn name(&self, id: ScopeId) -> &str {
        self.0.get(id.0 as usize).map_or("", Scope::as_str)
    }

    /// Their names, for messages.
    pub fn names(&self) -> String {
        self.0.iter().map(Scope::as_str).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_scopes_have_their_places() {
        let scopes = Scopes::new(&["Grafana".parse().unwrap(), "grafana".parse().unwrap(), "REST/JSON".parse().unwrap()]);
        for (id, name) in [
            (Scopes::REST, shipped_scope::REST),
            (Scopes::EXPORT, shipped_scope::EXPORT),
            (Scopes::IMPORT, shipped_scope::IMPORT),
            (Scopes::SYNCHRO, shipped_scope::SYNCHRO),
            (ScopeId(4), "Grafana"),
        ] {
            assert_eq!((scopes.name(id), scopes.find(name)), (name, Some(id)));
            assert_eq!(scopes.in_url(&name.to_lowercase().replace('/', "-")), Some(id));
        }
        assert_eq!(scopes.iter().count(), 5);
        let set = ScopeSet::default().with(Scopes::EXPORT);
        assert!(set.contains(Scopes::EXPORT) && !set.contains(Scopes::REST));
    }

    #[test]
    fn login_types_have_the_names_that_operators_know() {
        assert_eq!(LoginType::of_name("rest-token"), Some(LoginType::Token));
        assert!(LoginType::ALL.into_iter().all(|one| LoginType::of_name(one.as_str()) == Some(one)));
        assert_eq!(LoginType::of_name("Form"), None);
    }
}
