//! Who is calling, resolved: what a token or a login stands for at this moment, with its rights and its reach.
//!
//! It decides from what it holds. It reads nothing, and is made anew when a user, profile or organization changes.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::operations::OperationPattern;
use super::profile::{ADMINISTRATOR, Profile, REST_SERVICES_USER};
use super::reason::Reason;
use super::rights::{Right, Rights};
use super::scopes::{ScopeId, ScopeSet, Scopes};
use super::standing::Standing;
use super::token::{self, TokenId, TokenKind};
use crate::config::{Access as Policy, LoginType};
use crate::name::Name;
use crate::organizations::Tree;
use crate::text::{Login, ProfileName, Scope};

/// What a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// A person, or what signs in as one.
    User,
    /// A program that is a principal of its own.
    Application,
}

impl PrincipalKind {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Application => "application",
        }
    }
}

/// The token that a principal came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRef {
    /// Of which kind.
    pub kind: TokenKind,
    /// Its public id.
    pub id: TokenId,
}

impl TokenRef {
    /// Its public id as text.
    pub fn id(&self) -> &str {
        token::id_text(&self.id)
    }
}

/// Who is calling.
#[derive(Clone, Debug)]
pub struct Principal {
    /// What it is.
    pub kind: PrincipalKind,
    /// A user's login, or an application's name.
    pub name: String,
    /// How it came in.
    pub login_type: LoginType,
    /// The token it came with, if it was one.
    pub token: Option<TokenRef>,
    /// Its profiles.
    pub profiles: Vec<ProfileName>,
    /// Its own organization.
    pub organization: Name,
    /// What limits what it sees; empty: nothing does.
    pub allowed_organizations: Vec<Name>,
    /// The scopes of its token; none: it isn't limited to any.
    pub scopes: Option<Vec<Scope>>,
    /// When its token ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it may open user interfaces.
    pub console: bool,
    /// Rights on all that it sees.
    rights: Rights,
    /// Rights on some of it.
    grants: Vec<Reached>,
    /// The organizations that it sees, with those below; none: all.
    reach: Option<BTreeSet<Name>>,
    /// The scopes in which it is let in.
    open: ScopeSet,
}

/// A grant with the organizations below those that it names.
#[derive(Clone, Debug)]
struct Reached {
    rights: Rights,
    organizations: BTreeSet<Name>,
    integrations: BTreeSet<Name>,
    /// Only these operations of theirs; empty: no such limit.
    operations: Vec<OperationPattern>,
}

impl Reached {
    /// Whether it gives the whole right.
    fn gives(&self, right: Right) -> bool {
        self.rights.contains(right) && self.operations.is_empty()
    }

    /// Whether it is for this integration, which belongs to that organization.
    fn covers(&self, integration: &Name, organization: &Name) -> bool {
        self.organizations.contains(organization) || self.integrations.contains(integration)
    }
}

/// Which operations of an integration's service a principal may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callable<'a> {
    /// Every one, and what is no operation of the document.
    All,
    /// Those that one of these stands for.
    Only(Vec<&'a OperationPattern>),
}

impl Callable<'_> {
    /// Whether this operation is among them.
    pub fn contains(&self, id: Option<&str>, method: &str, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(patterns) => patterns.iter().any(|pattern| pattern.fits(id, method, path)),
        }
    }
}

/// What a principal is resolved from, beside what it holds itself.
pub(super) struct Surroundings<'a> {
    pub(super) policy: &'a Policy,
    pub(super) scopes: &'a Scopes,
    pub(super) tree: &'a Tree,
}

/// What a principal is made of.
pub(super) struct Parts<'a> {
    pub(super) kind: PrincipalKind,
    pub(super) name: String,
    pub(super) login_type: LoginType,
    pub(super) token: Option<TokenRef>,
    pub(super) standing: &'a Standing,
    pub(super) scopes: Option<Vec<Scope>>,
    pub(super) expires_at: Option<DateTime<Utc>>,
    pub(super) console: bool,
}

impl Principal {
    /// The principal out of what was read. Profiles that aren't there any more give nothing.
    pub(super) fn resolve(parts: Parts<'_>, profiles: &[Profile], around: &Surroundings<'_>) -> Self {
        let rights = profiles.iter().fold(Rights::NONE, |set, profile| set.union(profile.rights));
        let grants = profiles.iter().flat_map(|profile| &profile.grants).map(|grant| Reached {
            rights: grant.rights.iter().copied().collect(),
            organizations: around.tree.expand(&grant.organizations),
            integrations: grant.integrations.iter().cloned().collect(),
            operations: grant.operations.clone(),
        });
        let allowed = &parts.standing.allowed_organizations;
        let opens_rest = |profile: &Profile| matches!(profile.name.as_str(), ADMINISTRATOR | REST_SERVICES_USER);
        let is_personal = parts.token.is_some_and(|token| token.kind == TokenKind::Personal);
        let rest = !around.policy.secure_rest_services
            || profiles.iter().any(opens_rest)
            || (around.policy.allow_rest_services_via_tokens && is_personal);
        let of_token = |scope: &Scope| parts.scopes.as_ref().is_none_or(|scopes| scopes.contains(scope));
        let needs_rest = |id: ScopeId| id == Scopes::REST || id == Scopes::SYNCHRO;
        let open = (around.scopes.iter())
            .filter(|(id, scope)| of_token(scope) && (rest || !needs_rest(*id)))
            .fold(ScopeSet::default(), |set, (id, _)| set.with(id));
        Self {
            kind: parts.kind,
            name: parts.name,
            login_type: parts.login_type,
            token: parts.token,
            profiles: parts.standing.profiles.clone(),
            organization: parts.standing.contact.organization.clone(),
            allowed_organizations: allowed.clone(),
            scopes: parts.scopes,
            expires_at: parts.expires_at,
            console: parts.console,
            rights,
            grants: grants.collect(),
            reach: (!allowed.is_empty()).then(|| around.tree.expand(allowed)),
            open,
        }
    }

    /// The daemon itself, as when it makes the first administrator.
    pub(crate) fn system() -> Self {
        Self {
            kind: PrincipalKind::Application,
            name: "tokenhost".to_owned(),
            login_type: LoginType::Token,
            token: None,
            profiles: Vec::new(),
            organization: crate::organizations::default_name(),
            allowed_organizations: Vec::new(),
            scopes: None,
            expires_at: None,
            console: false,
            rights: Rights::all(),
            grants: Vec::new(),
            reach: None,
            open: ScopeSet(u64::MAX),
        }
    }

    /// Somebody who may do everything, for tests that call no API.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self::system()
    }

    /// The public id of the token that it came with, or an empty text.
    pub fn token_id(&self) -> &str {
        self.token.as_ref().map_or("", TokenRef::id)
    }

    /// `user/ada` or `application/crm-sync`: what records call it.
    pub fn label(&self) -> String {
        format!("{}/{}", self.kind.as_str(), self.name)
    }

    /// Whether it is this user, by whatever credential.
    pub fn is_user(&self, login: &Login) -> bool {
        self.kind == PrincipalKind::User && self.name == login.as_str()
    }

    /// The scopes in which it is let in.
    pub(super) fn open(&self) -> ScopeSet {
        self.open
    }

    /// Whether it is let in, in this context.
    pub fn admitted(&self, scope: ScopeId, scopes: &Scopes) -> Result<(), Reason> {
        if self.open.contains(scope) {
            return Ok(());
        }
        let name = scopes.name(scope);
        let has = self.scopes.as_ref().is_none_or(|own| own.iter().any(|one| one.as_str() == name));
        Err(if has { Reason::RestProfileMissing } else { Reason::ScopeMismatch })
    }

    /// Whether it has the right on all that it sees.
    pub fn may(&self, right: Right) -> bool {
        self.rights.contains(right)
    }

    /// Whether it has the right on everything there is, so that nothing needs to be looked up.
    pub fn may_everywhere(&self, right: Right) -> bool {
        self.reach.is_none() && self.may(right)
    }

    /// Whether it has the right on anything at all.
    pub fn may_somewhere(&self, right: Right) -> bool {
        self.may(right) || self.grants.iter().any(|grant| grant.gives(right))
    }

    /// Whether it has the right on what belongs to this organization.
    pub fn may_in(&self, right: Right, organization: &Name) -> bool {
        self.sees(organization)
            && (self.may(right)
                || self.grants.iter().any(|grant| grant.gives(right) && grant.organizations.contains(organization)))
    }

    /// Whether it has the right on this integration, which belongs to that organization.
    pub fn may_on(&self, right: Right, integration: &Name, organization: &Name) -> bool {
        self.may_in(right, organization)
            || (self.sees(organization)
                && self.grants.iter().any(|grant| grant.gives(right) && grant.integrations.contains(integration)))
    }

    /// Which operations of this integration, which belongs to that organization, it may call; none: none at all.
    pub fn may_call(&self, integration: &Name, organization: &Name) -> Option<Callable<'_>> {
        let right = Right::UseTokens;
        if self.may_on(right, integration, organization) {
            return Some(Callable::All);
        }
        let grants = self.grants.iter().filter(|grant| grant.rights.contains(right));
        let grants = grants.filter(|grant| self.sees(organization) && grant.covers(integration, organization));
        let patterns: Vec<&OperationPattern> = grants.flat_map(|grant| &grant.operations).collect();
        (!patterns.is_empty()).then_some(Callable::Only(patterns))
    }

    /// Whether its allowed organizations include this one.
    pub fn sees(&self, organization: &Name) -> bool {
        self.reach.as_ref().is_none_or(|reach| reach.contains(organization))
    }

    /// The organizations that it sees; none: all.
    pub fn reach(&self) -> Option<&BTreeSet<Name>> {
        self.reach.as_ref()
    }

    /// Its rights on all that it sees.
    pub fn rights(&self) -> Rights {
        self.rights
    }
}
