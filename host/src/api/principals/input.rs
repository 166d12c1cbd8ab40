//! What clients send to make and change principals and their tokens, and what the rooms below take. Routes and bulk imports
//! read the same types.
//!
//! What is left out stays or gets its default, null unsets. Passwords have no `Debug` and are never repeated.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::integrations::given;
use super::super::time::{self, OfDay};
use crate::access::application::ApplicationChange;
use crate::access::personal::PersonalChange;
use crate::access::user::UserChange;
use crate::access::{self, GrantInput, OwnChange, ProfileChange, StandingChange};
use crate::fault::{FaultCode, FieldFault};

/// Whether a principal is let in at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum Status {
    /// It is.
    Enabled,
    /// It isn't, and neither are its tokens.
    Disabled,
}

/// Who stands behind a principal; null unsets.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactChange)]
pub(in crate::api) struct ContactInput {
    /// A person's first name.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(in crate::api) first_name: Option<Option<String>>,
    /// A person's or a team's name.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(in crate::api) name: Option<Option<String>>,
    /// Where to write to.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(in crate::api) email: Option<Option<String>>,
    /// The organization that the principal belongs to. Default: `default`.
    pub(in crate::api) organization: Option<String>,
}

/// What a new user is made from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewUser {
    /// What the user signs in as: 1 to 128 of `a-z`, `0-9` and `. _ - @ +`; upper case is folded.
    pub(in crate::api) login: String,
    /// Whether the user is let in at all. Default: `enabled`.
    status: Option<Status>,
    /// Who it is.
    #[serde(default)]
    contact: ContactInput,
    /// Names of profiles.
    profiles: Option<Vec<String>>,
    /// What limits what the user sees, with what is part of them; empty: nothing does.
    allowed_organizations: Option<Vec<String>>,
    /// The language for texts (BCP 47). Default: `en`.
    language: Option<String>,
    /// Whether the user is authenticated elsewhere, and has no password here.
    external: Option<bool>,
    /// The password, 12 to 256 bytes; a secret.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    password: Option<Option<String>>,
}

/// What of a user is to change; what is left out stays, and null unsets.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserChange)]
pub(in crate::api) struct UserInput {
    /// Whether the user is let in at all.
    status: Option<Status>,
    /// Who it is.
    #[serde(default)]
    contact: ContactInput,
    /// Names of profiles: all that the user is to have.
    profiles: Option<Vec<String>>,
    /// What limits what the user sees, with what is part of them; empty: nothing does.
    allowed_organizations: Option<Vec<String>>,
    /// The language for texts (BCP 47).
    language: Option<String>,
    /// Whether the user is authenticated elsewhere, and has no password here.
    external: Option<bool>,
    /// The password, 12 to 256 bytes; a secret. Another one ends the user's sessions.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    password: Option<Option<String>>,
}

/// What a new application token is made from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewApplicationToken {
    /// The remote application's name: 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`.
    pub(in crate::api) name: String,
    /// Whether it is let in at all. Default: `enabled`.
    status: Option<Status>,
    /// Who stands behind it.
    #[serde(default)]
    contact: ContactInput,
    /// Names of profiles.
    profiles: Option<Vec<String>>,
    /// What limits what it sees, with what is part of them; empty: nothing does.
    allowed_organizations: Option<Vec<String>>,
    /// The scopes that it is limited to; empty: none.
    scopes: Option<Vec<String>>,
    /// When it ends, as a time (RFC 3339) or a date, of which it is the end in UTC; null: never.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    expiration_date: Option<Option<String>>,
    /// Whether it may open user interfaces. Default: true.
    console: Option<bool>,
}

/// What of an application token is to change; what is left out stays, and null unsets.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApplicationTokenChange)]
pub(in crate::api) struct ApplicationTokenInput {
    /// Whether it is let in at all.
    status: Option<Status>,
    /// Who stands behind it.
    #[serde(default)]
    contact: ContactInput,
    /// Names of profiles: all that it is to have.
    profiles: Option<Vec<String>>,
    /// What limits what it sees, with what is part of them; empty: nothing does.
    allowed_organizations: Option<Vec<String>>,
    /// The scopes that it is limited to; empty: none.
    scopes: Option<Vec<String>>,
    /// When it ends, as a time (RFC 3339) or a date, of which it is the end in UTC; null: never.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    expiration_date: Option<Option<String>>,
    /// Whether it may open user interfaces.
    console: Option<bool>,
}

/// What a new personal token is made from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewPersonalToken {
    /// The login of the user as whom it acts.
    pub(in crate::api) user: String,
    /// What people call the application that uses it.
    application: Option<String>,
    /// The scopes that it works in, at least one.
    scopes: Option<Vec<String>>,
    /// When it ends, as a time (RFC 3339) or a date, of which it is the end in UTC. Default: as the policy says.
    expiration_date: Option<String>,
}

/// What of a personal token is to change, or what a new one of one's own is made from. What is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PersonalTokenChange)]
pub(in crate::api) struct PersonalTokenInput {
    /// What people call the application that uses it; a new one needs it.
    application: Option<String>,
    /// The scopes that it works in, at least one; a new one needs them.
    scopes: Option<Vec<String>>,
    /// When it ends, as a time (RFC 3339) or a date, of which it is the end in UTC. Default: as the policy says.
    expiration_date: Option<String>,
}

/// How a token's value is to be replaced.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Rebuild {
    /// Seconds that the old value works beside the new one, at most 604800. Default: 0
    #[serde(default)]
    pub(in crate::api) grace_seconds: u64,
}

impl Rebuild {
    /// How long the old value works beside the new one.
    pub(in crate::api) fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }
}

/// What a new profile is made from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewProfile {
    /// Its name: 1 to 64 letters, digits, spaces and `- _ . /`.
    pub(in crate::api) name: String,
    /// What it is for.
    description: Option<String>,
    /// Rights on everything that the principal's organizations hold.
    rights: Option<Vec<String>>,
    /// Rights on some things only.
    grants: Option<Vec<GrantMember>>,
}

/// What of a profile is to change; what is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProfileChange)]
pub(in crate::api) struct ProfileInput {
    /// What it is for.
    description: Option<String>,
    /// Rights on everything that the principal's organizations hold.
    rights: Option<Vec<String>>,
    /// Rights on some things only.
    grants: Option<Vec<GrantMember>>,
}

/// Rights on the integrations of some organizations, with what is part of them, or on some integrations.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Grant)]
pub(in crate::api) struct GrantMember {
    /// Which rights.
    pub(in crate::api) rights: Vec<String>,
    /// On all that these organizations hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::api) organizations: Vec<String>,
    /// On these integrations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::api) integrations: Vec<String>,
    /// Only to call these operations of theirs, by operation id or as `GET /contacts/*`; goes with `use_tokens` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::api) operations: Vec<String>,
}

/// What users may change of themselves; what is left out stays, and null unsets.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MyChange)]
pub(in crate::api) struct MyInput {
    /// The names and the mail address.
    #[serde(default)]
    contact: MyContactInput,
    /// The language for texts (BCP 47).
    language: Option<String>,
    /// Another password.
    password: Option<NewPassword>,
}

/// What users may change of their contact; null unsets.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MyContactChange)]
struct MyContactInput {
    /// The first name.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    first_name: Option<Option<String>>,
    /// The name.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    /// Where to write to.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
}

/// A password, and the one that it replaces; both secrets.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// The present one.
    current: String,
    /// The new one, 12 to 256 bytes.
    new: String,
}

/// A time (RFC 3339), or a date (`YYYY-MM-DD`), which stands for the end of that day in UTC.
pub(in crate::api) fn end(field: &str, text: &str, faults: &mut Vec<FieldFault>) -> Option<DateTime<Utc>> {
    let found = time::parse(text, OfDay::End);
    if found.is_none() {
        faults.push(FieldFault::new(field, FaultCode::Malformed, time::WANTED));
    }
    found
}

/// The same where there may be none. What can't be read leaves a fault, and nothing else counts.
fn optional_end(text: Option<Option<String>>, faults: &mut Vec<FieldFault>) -> Option<Option<DateTime<Utc>>> {
    match text? {
        None => Some(None),
        Some(text) => end("expiration_date", &text, faults).map(Some),
    }
}

impl From<Status> for access::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Enabled => Self::Enabled,
            Status::Disabled => Self::Disabled,
        }
    }
}

impl From<access::Status> for Status {
    fn from(status: access::Status) -> Self {
        match status {
            access::Status::Enabled => Self::Enabled,
            access::Status::Disabled => Self::Disabled,
        }
    }
}

impl From<ContactInput> for access::ContactChange {
    fn from(contact: ContactInput) -> Self {
        let ContactInput { first_name, name, email, organization } = contact;
        Self { first_name, name, email, organization }
    }
}

impl NewUser {
    /// The login, and the rest as a change of nothing.
    pub(in crate::api) fn split(self) -> (String, UserInput) {
        let Self { login, status, contact, profiles, allowed_organizations, language, external, password } = self;
        let rest = UserInput { status, contact, profiles, allowed_organizations, language, external, password };
        (login, rest)
    }
}

impl From<UserInput> for UserChange {
    fn from(user: UserInput) -> Self {
        Self {
            standing: StandingChange {
                status: user.status.map(Into::into),
                contact: user.contact.into(),
                profiles: user.profiles,
                allowed_organizations: user.allowed_organizations,
            },
            language: user.language,
            external: user.external,
            password: user.password.map(|password| password.map(SecretString::from)),
            ..Self::default()
        }
    }
}

impl UserInput {
    /// What becomes of the password: `set`, `unset`, or nothing.
    pub(in crate::api) fn password_change(&self) -> Option<&'static str> {
        self.password.as_ref().map(|password| if password.is_some() { "set" } else { "unset" })
    }
}

impl NewApplicationToken {
    /// The name, and the rest as a change of nothing.
    pub(in crate::api) fn split(self) -> (String, ApplicationTokenInput) {
        let Self { name, status, contact, profiles, allowed_organizations, scopes, expiration_date, console } = self;
        let rest = ApplicationTokenInput {
            status,
            contact,
            profiles,
            allowed_organizations,
            scopes,
            expiration_date,
            console,
        };
        (name, rest)
    }
}

impl From<ApplicationTokenInput> for ApplicationChange {
    fn from(token: ApplicationTokenInput) -> Self {
        let mut faults = Vec::new();
        Self {
            standing: StandingChange {
                status: token.status.map(Into::into),
                contact: token.contact.into(),
                profiles: token.profiles,
                allowed_organizations: token.allowed_organizations,
            },
            scopes: token.scopes,
            expires_at: optional_end(token.expiration_date, &mut faults),
            console: token.console,
            faults,
            ..Self::default()
        }
    }
}

impl NewPersonalToken {
    /// The user, and the rest as a change of nothing.
    pub(in crate::api) fn split(self) -> (String, PersonalTokenInput) {
        let Self { user, application, scopes, expiration_date } = self;
        (user, PersonalTokenInput { application, scopes, expiration_date })
    }
}

impl From<PersonalTokenInput> for PersonalChange {
    fn from(token: PersonalTokenInput) -> Self {
        let mut faults = Vec::new();
        let expires_at = optional_end(token.expiration_date.map(Some), &mut faults).flatten();
        let PersonalTokenInput { application, scopes, .. } = token;
        Self { application, scopes, expires_at, faults, expected: None }
    }
}

impl NewProfile {
    /// The name, and the rest as a change of nothing.
    pub(in crate::api) fn split(self) -> (String, ProfileInput) {
        let Self { name, description, rights, grants } = self;
        (name, ProfileInput { description, rights, grants })
    }
}

impl From<ProfileInput> for ProfileChange {
    fn from(profile: ProfileInput) -> Self {
        let ProfileInput { description, rights, grants } = profile;
        let input = |grant: GrantMember| GrantInput {
            rights: grant.rights,
            organizations: grant.organizations,
            integrations: grant.integrations,
            operations: grant.operations,
        };
        let grants = grants.map(|grants| grants.into_iter().map(input).collect());
        Self { description, rights, grants, expected: None }
    }
}

impl From<MyInput> for OwnChange {
    fn from(change: MyInput) -> Self {
        let MyContactInput { first_name, name, email } = change.contact;
        let (current, new) = change.password.map(|password| (password.current.into(), password.new.into())).unzip();
        Self {
            contact: access::ContactChange { first_name, name, email, organization: None },
            language: change.language,
            password: current.zip(new),
            expected: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::body::parse;
    use super::*;

    #[test]
    fn ends_are_times_or_days() {
        let check = |text: &str, expected: Option<&str>| {
            let mut faults = Vec::new();
            let found = end("expiration_date", text, &mut faults).map(|time| time.to_rfc3339());
            assert_eq!(found.as_deref(), expected, "{text}");
            assert_eq!(faults.len(), usize::from(expected.is_none()), "{text}");
        };
        check("2026-11-22T10:00:00Z", Some("2026-11-22T10:00:00+00:00"));
        check("2026-11-22T10:00:00+02:00", Some("2026-11-22T08:00:00+00:00"));
        check("2026-12-31", Some("2027-01-01T00:00:00+00:00"));
        check("2028-02-29", Some("2028-03-01T00:00:00+00:00"));
        for text in
            ["", "never", "2027-02-29", "2026-1-1", "26-01-01", "2026-11-22T10:00:00", "2026-11-22 ", "+262142-12-31"]
        {
            check(text, None);
        }
    }

    #[test]
    fn null_is_told_from_absent() {
        let change: ApplicationTokenInput =
            parse(br#"{"contact":{"email":null},"expiration_date":null}"#).ok().unwrap();
        let change = ApplicationChange::from(change);
        assert_eq!((change.expires_at, change.scopes, change.faults.len()), (Some(None), None, 0));
        assert_eq!((change.standing.contact.email, change.standing.contact.name), (Some(None), None));
        let user: NewUser = parse(br#"{"login":"ada","password":null}"#).ok().unwrap();
        let (login, rest) = user.split();
        assert!(
            login == "ada"
                && rest.password_change() == Some("unset")
                && matches!(UserChange::from(rest).password, Some(None))
        );
        let token: PersonalTokenInput = parse(br#"{"expiration_date":"soon"}"#).ok().unwrap();
        let change = PersonalChange::from(token);
        assert_eq!((change.expires_at, change.faults[0].field.as_str()), (None, "expiration_date"));
    }

    #[test]
    fn nobody_changes_their_own_profiles() {
        for body in
            [r#"{"profiles":["Administrator"]}"#, r#"{"contact":{"organization":"x"}}"#, r#"{"status":"enabled"}"#]
        {
            assert!(parse::<MyInput>(body.as_bytes()).is_err(), "{body}");
        }
    }
}
