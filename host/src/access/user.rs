//! Users: people, and what signs in as one. Made, changed, deleted; their passwords set.
//!
//! A user has an identity besides the login, so that tokens of a deleted user don't come back to life with another user of
//! the same login.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::Access;
use super::error::AccessError;
use super::password::PasswordHash;
use super::principal::Principal;
use super::scopes::Scopes;
use super::standing::{Standing, StandingChange, parse, rights_of};
use crate::fault::{FaultCode, FieldFault};
use crate::name::Name;
use crate::store::table::{Page, Table, Versioned};
use crate::store::{Batch, Revision};
use crate::text::Login;

/// Users, by login.
pub(super) const USERS: Table<UserRecord> = Table::new("user");

/// The kind under which organizations know that a user needs them.
const USE: &str = "user";
/// The language of a user where none is given.
const LANGUAGE: &str = "en";

/// A user, without the password.
#[derive(Clone, Debug)]
pub struct User {
    /// What the user signs in as.
    pub login: Login,
    /// Status, contact, profiles, allowed organizations.
    pub standing: Standing,
    /// The language for texts (BCP 47).
    pub language: String,
    /// Whether the user is authenticated elsewhere, and has no password here.
    pub external: bool,
    /// Whether there is a password.
    pub has_password: bool,
    /// The source that keeps this user in step, if there is one.
    pub source: Option<Name>,
    /// Who made it: `application/NAME`, `user/LOGIN`.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Its record's revision.
    pub revision: Revision,
}

/// A user at rest; the login is the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UserRecord {
    /// Another one for each user ever made.
    pub(super) identity: Ulid,
    pub(super) standing: Standing,
    pub(super) language: String,
    #[serde(default)]
    pub(super) external: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<PasswordHash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Name>,
    created_by: String,
    created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

/// What of a user is to change, or what a new one is to be. What is left out stays, or gets its default.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// Status, contact, profiles, allowed organizations.
    pub standing: StandingChange,
    /// The language for texts.
    pub language: Option<String>,
    /// Whether the user is authenticated elsewhere.
    pub external: Option<bool>,
    /// The password; none unsets it.
    pub password: Option<Option<SecretString>>,
    /// The source that keeps this user in step.
    pub source: Option<Option<Name>>,
    /// The revision that it must have.
    pub expected: Option<Revision>,
}

impl UserRecord {
    /// The user of this record.
    pub(super) fn open(self, login: Login, revision: Revision) -> User {
        User {
            login,
            standing: self.standing,
            language: self.language,
            external: self.external,
            has_password: self.password.is_some(),
            source: self.source,
            created_by: self.created_by,
            created_at: self.created_at,
            updated_at: self.updated_at,
            revision,
        }
    }
}

/// A user with the record's key read back. Keys are written from logins only.
fn open(found: Versioned<UserRecord>) -> Option<User> {
    let login = found.key.first()?.parse().ok()?;
    Some(found.value.open(login, found.revision))
}

impl Access {
    /// Makes a user.
    ///
    /// # Errors
    /// Inputs are wrong (all that are, at once), the login is taken, the giver lacks what is given, or the storage failed.
    pub async fn create_user(
        &self,
        by: &Principal,
        login: &str,
        new: UserChange,
        dry_run: bool,
    ) -> Result<User, AccessError> {
        let mut faults = Vec::new();
        let login: Option<Login> = parse("login", login, &mut faults);
        let now = self.clock.now();
        let mut record = UserRecord {
            identity: Ulid::new(),
            standing: Standing::new(),
            language: LANGUAGE.to_owned(),
            external: false,
            password: None,
            source: None,
            created_by: by.label(),
            created_at: now,
            updated_at: now,
        };
        self.apply_to_user(by, &mut record, new, faults, dry_run).await?;
        let Some(login) = login else { return Err(AccessError::Changed) };
        let mut batch = Batch::synced();
        for organization in record.standing.organizations() {
            self.organizations.use_in(&mut batch, organization, USE, login.as_str()).await?;
        }
        USERS.expect(&mut batch, &[login.as_str()], None);
        USERS.put(&mut batch, &[login.as_str()], &record)?;
        if USERS.get(&*self.store, &[login.as_str()]).await?.is_some() {
            return Err(AccessError::Exists { what: "user", name: login.to_string() });
        }
        let revision = if dry_run { 0 } else { self.store.commit(batch).await? };
        Ok(record.open(login, revision))
    }

    /// Reads a user.
    ///
    /// # Errors
    /// There is none of this login, or the storage failed.
    pub async fn user(&self, login: &Login) -> Result<User, AccessError> {
        let found = self.user_record(login).await?;
        Ok(found.value.open(login.clone(), found.revision))
    }

    /// Users in the order of their logins, from the first after the given one.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn users(&self, after: Option<&Login>, limit: usize) -> Result<Vec<User>, AccessError> {
        let after = after.map(|login| [login.as_str()]);
        let page = Page { after: after.as_ref().map(<[&str; 1]>::as_slice), limit, reverse: false };
        Ok(USERS.list(&*self.store, &[], page).await?.into_iter().filter_map(open).collect())
    }

    /// Changes a user. What the user's tokens may do changes with the next request.
    ///
    /// # Errors
    /// As for [`Access::create_user`].
    pub async fn change_user(
        &self,
        by: &Principal,
        login: &Login,
        change: UserChange,
        dry_run: bool,
    ) -> Result<User, AccessError> {
        let found = self.user_record(login).await?;
        if change.expected.is_some_and(|expected| expected != found.revision) {
            return Err(AccessError::Changed);
        }
        let before = found.value.standing.clone();
        let mut record = found.value;
        self.check_touch(by, &record.standing).await?;
        let ends_sessions = change.password.is_some();
        self.apply_to_user(by, &mut record, change, Vec::new(), dry_run).await?;
        record.updated_at = self.clock.now();
        let mut batch = Batch::synced();
        self.move_uses(&mut batch, &before, &record.standing, USE, login.as_str()).await?;
        USERS.expect(&mut batch, &[login.as_str()], Some(found.revision));
        USERS.put(&mut batch, &[login.as_str()], &record)?;
        if dry_run {
            return Ok(record.open(login.clone(), found.revision));
        }
        let revision = self.store.commit(batch).await?;
        self.cache.forget_principals();
        if ends_sessions || record.standing.status == super::Status::Disabled {
            self.sessions.end_all(login.as_str()).await?;
        }
        Ok(record.open(login.clone(), revision))
    }

    /// Deletes a user. The user's tokens are refused from the next request on, and stay visible as deleted.
    ///
    /// # Errors
    /// There is none of this login, or the storage failed.
    pub async fn delete_user(&self, by: &Principal, login: &Login) -> Result<(), AccessError> {
        let found = self.user_record(login).await?;
        self.check_touch(by, &found.value.standing).await?;
        let mut batch = Batch::synced();
        for organization in found.value.standing.organizations() {
            self.organizations.release(&mut batch, organization, USE, login.as_str());
        }
        USERS.expect(&mut batch, &[login.as_str()], Some(found.revision));
        USERS.remove(&mut batch, &[login.as_str()]);
        self.store.commit(batch).await?;
        // The tokens are void by now, since they name an identity that isn't there any more. The rest is tidying.
        self.cache.forget_principals();
        self.sessions.end_all(login.as_str()).await?;
        self.mark_tokens_deleted(by, login).await
    }

    /// The record of a user.
    pub(super) async fn user_record(&self, login: &Login) -> Result<Versioned<UserRecord>, AccessError> {
        let found = USERS.get(&*self.store, &[login.as_str()]).await?;
        found.ok_or_else(|| AccessError::not_found("user", login))
    }

    async fn apply_to_user(
        &self,
        by: &Principal,
        record: &mut UserRecord,
        change: UserChange,
        mut faults: Vec<FieldFault>,
        dry_run: bool,
    ) -> Result<(), AccessError> {
        let tree = self.organizations.tree();
        record.standing.apply(&change.standing, &tree, &mut faults);
        let profiles = self.profiles_wanted(&record.standing, &mut faults).await?;
        if let Some(language) = change.language {
            check_language(&language, &mut faults);
            record.language = language;
        }
        record.external = change.external.unwrap_or(record.external);
        if let Some(source) = change.source {
            record.source = source;
        }
        if record.external && matches!(change.password, Some(Some(_))) {
            let message = "an external user has no password here";
            faults.push(FieldFault::new("password", FaultCode::NotAllowed, message));
        } else if let Some(Some(password)) = &change.password
            && let Err(error) = super::password::check_new(password)
        {
            faults.push(FieldFault::new("password", FaultCode::Malformed, error.to_string()));
        }
        if !faults.is_empty() {
            return Err(AccessError::Invalid(faults));
        }
        record.standing.check_giver(&profiles, by, &tree)?;
        // Who signs in with a password is limited to no scope.
        let rest = self.scopes.name(Scopes::REST);
        let lacks_rest = by.scopes.as_ref().is_some_and(|own| own.iter().all(|scope| scope.as_str() != rest));
        if matches!(change.password, Some(Some(_))) && lacks_rest {
            return Err(AccessError::Forbidden(format!("to set a password takes a token with the scope {rest}")));
        }
        match change.password {
            Some(Some(password)) if !dry_run => {
                let hash = PasswordHash::of(password).await;
                let hash =
                    hash.map_err(|error| AccessError::fault("password", FaultCode::Malformed, error.to_string()))?;
                record.password = Some(hash);
            }
            Some(None) => record.password = None,
            _ => {}
        }
        if record.external {
            record.password = None;
        }
        Ok(())
    }

    /// Refuses to touch a principal that the toucher doesn't see, or that has more rights or sees more.
    pub(super) async fn check_touch(&self, by: &Principal, standing: &Standing) -> Result<(), AccessError> {
        if !by.sees(&standing.contact.organization) {
            return Err(AccessError::Forbidden(
                "the principal belongs to an organization that you don't see".to_owned(),
            ));
        }
        let (profiles, _) = self.profiles_of(standing).await?;
        if !by.rights().includes(rights_of(&profiles)) {
            return Err(AccessError::Forbidden("the principal has rights that you don't have yourself".to_owned()));
        }
        let reaches_further = |reach: &BTreeSet<Name>| {
            let allowed = &standing.allowed_organizations;
            allowed.is_empty() || !self.organizations.tree().expand(allowed).is_subset(reach)
        };
        if by.reach().is_some_and(reaches_further) {
            return Err(AccessError::Forbidden("the principal sees organizations that you don't see".to_owned()));
        }
        Ok(())
    }

    /// Moves what organizations know about who needs them, as far as it changed.
    pub(super) async fn move_uses(
        &self,
        batch: &mut Batch,
        before: &Standing,
        after: &Standing,
        kind: &str,
        user: &str,
    ) -> Result<(), AccessError> {
        let (before, after) = (before.organizations(), after.organizations());
        for organization in before.difference(&after) {
            self.organizations.release(batch, organization, kind, user);
        }
        for organization in after.difference(&before) {
            self.organizations.use_in(batch, organization, kind, user).await?;
        }
        Ok(())
    }
}

/// Notes what is no language tag.
pub(super) fn check_language(language: &str, faults: &mut Vec<FieldFault>) {
    if !is_language(language) {
        let message = "is no language tag; write one like en or pt-BR";
        faults.push(FieldFault::new("language", FaultCode::Malformed, message));
    }
}

/// Whether it looks like a language tag (RFC 5646 section 2.1, roughly).
fn is_language(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    text.len() <= 35
        && parts
            .iter()
            .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        && parts.first().is_some_and(|first| first.len() >= 2 && first.bytes().all(|byte| byte.is_ascii_alphabetic()))
}
