//! What clients see of principals and their tokens: never a password, and a token's value only where it was just made.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::time::Time;
use super::input::{GrantMember, Status};
use crate::access::application;
use crate::access::{self, Right, Scopes, UsageRecord, id_text, personal, user};

/// Who stands behind a principal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Contact {
    /// A person's first name.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    /// A person's or a team's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Where to write to.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// The organization that the principal belongs to.
    organization: String,
}

/// A user, without the password.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    /// What the user signs in as, which is the id.
    login: String,
    /// Whether the user is let in at all.
    status: Status,
    /// Who it is.
    contact: Contact,
    /// Names of profiles.
    profiles: Vec<String>,
    /// What limits what the user sees, with what is part of them; empty: nothing does.
    allowed_organizations: Vec<String>,
    /// The language for texts (BCP 47).
    language: String,
    /// Whether the user is authenticated elsewhere, and has no password here.
    external: bool,
    /// Whether there is a password.
    has_password: bool,
    /// The source that keeps this user in step.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Who made it.
    created_by: String,
    /// When it was made.
    created_at: Time,
    /// When it was last changed.
    updated_at: Time,
    /// Why the user can do nothing but what is their own, and what helps; absent: they can. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warning: Option<String>,
    /// Grows with each change; the `ETag` has it too.
    pub(super) revision: u64,
}

/// How often and when a token was used.
#[derive(Default)]
pub(super) struct Extras {
    /// Its uses.
    pub(super) usage: Option<UsageRecord>,
    /// Its value, where it was just made.
    pub(super) value: Option<SecretString>,
    /// Until when the value before works, too.
    pub(super) old_value_valid_until: Option<Time>,
}

/// An application token. Its value is in the answer that makes it, and in no other.
#[derive(Serialize, ToSchema)]
pub(super) struct ApplicationToken {
    /// Its public id.
    id: String,
    /// Its value, where it was just made; a secret that is shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// The remote application's name.
    name: String,
    /// Whether it is let in at all.
    status: Status,
    /// Who stands behind it.
    contact: Contact,
    /// Names of profiles.
    profiles: Vec<String>,
    /// What limits what it sees, with what is part of them; empty: nothing does.
    allowed_organizations: Vec<String>,
    /// The scopes that it is limited to; empty: none.
    scopes: Vec<String>,
    /// When it ends; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_date: Option<Time>,
    /// Whether it may open user interfaces.
    console: bool,
    /// Whether it works: `valid`, `expired`, `disabled` or `deleted`.
    state: &'static str,
    /// Successful authentications, all of them. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    use_count: Option<u64>,
    /// When the last one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_use: Option<Time>,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_use_address: Option<String>,
    /// When the value was last replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuilt_at: Option<Time>,
    /// Until when the value before works, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_value_valid_until: Option<Time>,
    /// When it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Time>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_by: Option<String>,
    /// The source that keeps it in step.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Who made it.
    created_by: String,
    /// When it was made.
    created_at: Time,
    /// Grows with each change; the `ETag` has it too.
    pub(super) revision: u64,
}

/// A personal token. Its value is in the answer that makes it, and in no other.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonalToken {
    /// Its public id.
    id: String,
    /// Its value, where it was just made; a secret that is shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// The login of the user as whom it acts.
    user: String,
    /// What people call the application that uses it.
    application: String,
    /// The scopes that it works in.
    scopes: Vec<String>,
    /// When it ends.
    expiration_date: Time,
    /// Whether it works: `valid`, `expired`, `disabled` (its user is), `profile_not_allowed` or `deleted`.
    state: &'static str,
    /// Successful authentications, all of them. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    use_count: Option<u64>,
    /// When the last one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_use: Option<Time>,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_use_address: Option<String>,
    /// When the value was last replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuilt_at: Option<Time>,
    /// Until when the value before works, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_value_valid_until: Option<Time>,
    /// When it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Time>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_by: Option<String>,
    /// Who made it.
    created_by: String,
    /// When it was made.
    created_at: Time,
    /// Grows with each change; the `ETag` has it too.
    pub(super) revision: u64,
}

/// A named set of rights.
#[derive(Serialize, ToSchema)]
pub(super) struct Profile {
    /// Its name, which is its id.
    pub(super) name: String,
    /// What it is for.
    description: String,
    /// Rights on everything that the principal's organizations hold.
    rights: Vec<&'static str>,
    /// Rights on some things only.
    grants: Vec<GrantMember>,
    /// Whether it ships, and so never changes.
    shipped: bool,
    /// When it was last changed; absent where it ships.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Time>,
    /// Grows with each change; the `ETag` has it too.
    pub(super) revision: u64,
}

/// Something that a profile lets its holders do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Right)]
pub(super) struct RightShown {
    /// Its name, as profiles have it.
    name: &'static str,
    /// What it lets one do.
    meaning: &'static str,
}

impl RightShown {
    /// All of them.
    pub(super) fn all() -> Vec<Self> {
        Right::ALL.into_iter().map(|right| Self { name: right.as_str(), meaning: right.meaning() }).collect()
    }
}

/// A context in which tokens work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Scope {
    /// Its name.
    name: String,
    /// Its form in URLs, as of `/v1/forward-auth/{scope}`.
    url: String,
    /// Whether it ships; others were added by `access.scopes`.
    shipped: bool,
}

/// Names as texts.
pub(super) fn texts<'a, T: ToString + 'a>(names: impl IntoIterator<Item = &'a T>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}

impl From<access::Contact> for Contact {
    fn from(contact: access::Contact) -> Self {
        let access::Contact { first_name, name, email, organization } = contact;
        Self { first_name, name, email, organization: organization.to_string() }
    }
}

impl From<user::User> for User {
    fn from(user: user::User) -> Self {
        Self {
            login: user.login.to_string(),
            status: user.standing.status.into(),
            contact: user.standing.contact.into(),
            profiles: texts(&user.standing.profiles),
            allowed_organizations: texts(&user.standing.allowed_organizations),
            language: user.language,
            external: user.external,
            has_password: user.has_password,
            source: user.source.map(String::from),
            created_by: user.created_by,
            created_at: user.created_at.into(),
            updated_at: user.updated_at.into(),
            warning: None,
            revision: user.revision,
        }
    }
}

/// The text that goes into the one answer that shows it.
fn shown(value: Option<SecretString>) -> Option<String> {
    value.map(|value| value.expose_secret().to_owned())
}

impl ApplicationToken {
    pub(super) fn of(token: application::ApplicationToken, extras: Extras) -> Self {
        let (deleted_at, deleted_by) = token.deleted.map(|deletion| (deletion.at.into(), deletion.by)).unzip();
        let usage = extras.usage.as_ref();
        Self {
            id: id_text(&token.id).to_owned(),
            token: shown(extras.value),
            name: token.name.to_string(),
            status: token.standing.status.into(),
            contact: token.standing.contact.into(),
            profiles: texts(&token.standing.profiles),
            allowed_organizations: texts(&token.standing.allowed_organizations),
            scopes: texts(&token.scopes),
            expiration_date: token.expires_at.map(Time::from),
            console: token.console,
            state: token.state.as_str(),
            use_count: usage.map(|usage| usage.count),
            last_use: usage.and_then(|usage| usage.last_use).map(Time::from),
            last_use_address: usage.and_then(|usage| usage.address).map(|address| address.to_string()),
            rebuilt_at: token.rebuilt_at.map(Time::from),
            old_value_valid_until: extras.old_value_valid_until,
            deleted_at,
            deleted_by,
            source: token.source.map(String::from),
            created_by: token.created_by,
            created_at: token.created_at.into(),
            revision: token.revision,
        }
    }
}

impl PersonalToken {
    pub(super) fn of(token: personal::PersonalToken, extras: Extras) -> Self {
        let (deleted_at, deleted_by) = token.deleted.map(|deletion| (deletion.at.into(), deletion.by)).unzip();
        let usage = extras.usage.as_ref();
        Self {
            id: id_text(&token.id).to_owned(),
            token: shown(extras.value),
            user: token.user.to_string(),
            application: token.application.to_string(),
            scopes: texts(&token.scopes),
            expiration_date: token.expires_at.into(),
            state: token.state.as_str(),
            use_count: usage.map(|usage| usage.count),
            last_use: usage.and_then(|usage| usage.last_use).map(Time::from),
            last_use_address: usage.and_then(|usage| usage.address).map(|address| address.to_string()),
            rebuilt_at: token.rebuilt_at.map(Time::from),
            old_value_valid_until: extras.old_value_valid_until,
            deleted_at,
            deleted_by,
            created_by: token.created_by,
            created_at: token.created_at.into(),
            revision: token.revision,
        }
    }
}

impl From<access::Profile> for Profile {
    fn from(profile: access::Profile) -> Self {
        let grant = |grant: access::Grant| GrantMember {
            rights: grant.rights.iter().map(|right| right.as_str().to_owned()).collect(),
            organizations: texts(&grant.organizations),
            integrations: texts(&grant.integrations),
            operations: texts(&grant.operations),
        };
        Self {
            name: profile.name.to_string(),
            description: profile.description,
            rights: profile.rights.iter().map(Right::as_str).collect(),
            grants: profile.grants.into_iter().map(grant).collect(),
            shipped: profile.shipped,
            updated_at: profile.updated_at.map(Time::from),
            revision: profile.revision,
        }
    }
}

impl Scope {
    /// All of them, those that ship first.
    pub(super) fn all(scopes: &Scopes) -> Vec<Self> {
        let shipped = |name: &str| crate::config::SHIPPED_SCOPES.contains(&name);
        let view = |(_, scope): (_, &access::Scope)| Self {
            name: scope.to_string(),
            url: scope.in_url(),
            shipped: shipped(scope.as_str()),
        };
        scopes.iter().map(view).collect()
    }
}
