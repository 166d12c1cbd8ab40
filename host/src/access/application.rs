//! Application tokens: each is a principal of its own. Made, changed, rebuilt, deleted by administrators.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::Access;
use super::credential::Credential;
use super::error::AccessError;
use super::principal::Principal;
use super::standing::{Standing, StandingChange, Status, parse};
use super::token::{self, TokenId, TokenKind};
use super::tokens::{Deletion, TokenState, check_grace, check_scopes};
use crate::fault::{FaultCode, FieldFault};
use crate::name::Name;
use crate::store::table::{Page, Table, Versioned};
use crate::store::{Batch, Revision, StoreError};
use crate::text::Scope;

/// Application tokens, by their public id: what one read finds.
pub(super) const TOKENS: Table<ApplicationRecord> = Table::new("application-token");
/// The public id of an application's token, by the application's name, which is unique.
pub(super) const NAMES: Table<String> = Table::new("application");

/// The kind under which organizations know that an application needs them.
const USE: &str = "application-token";

/// An application token, without its value.
#[derive(Clone, Debug)]
pub struct ApplicationToken {
    /// Its public id.
    pub id: TokenId,
    /// The remote application's name.
    pub name: Name,
    /// Status, contact, profiles, allowed organizations.
    pub standing: Standing,
    /// The scopes that it is limited to; empty: none.
    pub scopes: Vec<Scope>,
    /// When it ends; none: never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it may open user interfaces.
    pub console: bool,
    /// Whether it works now.
    pub state: TokenState,
    /// When its value was last replaced.
    pub rebuilt_at: Option<DateTime<Utc>>,
    /// When and by whom it was deleted.
    pub deleted: Option<Deletion>,
    /// The source that keeps it in step, if there is one.
    pub source: Option<Name>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Its record's revision.
    pub revision: Revision,
}

/// An application token at rest; its public id is the key. The token itself is in no record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ApplicationRecord {
    pub(super) name: Name,
    #[serde(flatten)]
    pub(super) credential: Credential,
    #[serde(flatten)]
    pub(super) standing: Standing,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) scopes: Vec<Scope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<DateTime<Utc>>,
    #[serde(default = "yes")]
    pub(super) console: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<Deletion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Name>,
    #[serde(default = "the_daemon")]
    created_by: String,
    pub(super) created_at: DateTime<Utc>,
}

/// What of an application token is to change, or what a new one is to be. What is left out stays, or gets its default.
#[derive(Clone, Debug, Default)]
pub struct ApplicationChange {
    /// Status, contact, profiles, allowed organizations.
    pub standing: StandingChange,
    /// The scopes that it is limited to; empty: none.
    pub scopes: Option<Vec<String>>,
    /// When it ends; none: never.
    pub expires_at: Option<Option<DateTime<Utc>>>,
    /// Whether it may open user interfaces.
    pub console: Option<bool>,
    /// The source that keeps it in step.
    pub source: Option<Option<Name>>,
    /// What was wrong already where the change was read; it is told with the rest.
    pub faults: Vec<FieldFault>,
    /// The revision that it must have.
    pub expected: Option<Revision>,
}

fn yes() -> bool {
    true
}

fn the_daemon() -> String {
    "application/tokenhost".to_owned()
}

impl ApplicationRecord {
    pub(super) fn open(self, id: TokenId, now: DateTime<Utc>, revision: Revision) -> ApplicationToken {
        let state = match (&self.deleted, self.standing.status) {
            (Some(_), _) => TokenState::Deleted,
            _ if self.expires_at.is_some_and(|end| end <= now) => TokenState::Expired,
            (None, Status::Disabled) => TokenState::Disabled,
            (None, Status::Enabled) => TokenState::Valid,
        };
        ApplicationToken {
            id,
            name: self.name,
            standing: self.standing,
            scopes: self.scopes,
            expires_at: self.expires_at,
            console: self.console,
            state,
            rebuilt_at: self.credential.rebuilt_at,
            deleted: self.deleted,
            source: self.source,
            created_by: self.created_by,
            created_at: self.created_at,
            revision,
        }
    }
}

impl Access {
    /// Makes an application token. Its value is shown once and kept nowhere; there is none where this was a dry run.
    ///
    /// # Errors
    /// Inputs are wrong (all that are, at once), the name is taken, the giver lacks what is given, or the storage failed.
    pub async fn create_application(
        &self,
        by: &Principal,
        name: &str,
        new: ApplicationChange,
        dry_run: bool,
    ) -> Result<(ApplicationToken, Option<SecretString>), AccessError> {
        let mut faults = Vec::new();
        let name: Option<Name> = parse("name", name, &mut faults);
        let id = token::new_id();
        let now = self.clock.now();
        let (credential, secret) = Credential::generate(&self.peppers, TokenKind::Application, &id);
        let mut record = ApplicationRecord {
            // Another one is put in below, or the making is refused.
            name: name.clone().unwrap_or_else(crate::organizations::default_name),
            credential,
            standing: Standing::new(),
            scopes: Vec::new(),
            expires_at: None,
            console: true,
            deleted: None,
            source: None,
            created_by: by.label(),
            created_at: now,
        };
        self.apply_to_application(by, &mut record, new, faults).await?;
        check_scopes(by, &record.scopes)?;
        let Some(name) = name else { return Err(AccessError::Changed) };
        let taken = || AccessError::Exists { what: "application token", name: name.to_string() };
        if NAMES.get(&*self.store, &[name.as_str()]).await?.is_some() {
            return Err(taken());
        }
        if dry_run {
            return Ok((record.open(id, now, 0), None));
        }
        let key = token::id_text(&id).to_owned();
        let mut batch = Batch::synced();
        for organization in record.standing.organizations() {
            self.organizations.use_in(&mut batch, organization, USE, &key).await?;
        }
        NAMES.expect(&mut batch, &[name.as_str()], None);
        NAMES.put(&mut batch, &[name.as_str()], &key)?;
        TOKENS.expect(&mut batch, &[&key], None);
        TOKENS.put(&mut batch, &[&key], &record)?;
        match self.store.commit(batch).await {
            Ok(revision) => Ok((record.open(id, now, revision), Some(secret))),
            Err(StoreError::Conflict) => match NAMES.get(&*self.store, &[name.as_str()]).await? {
                Some(_) => Err(taken()),
                None => Err(AccessError::Changed),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Reads an application token.
    ///
    /// # Errors
    /// There is none of this id, or the storage failed.
    pub async fn application(&self, id: &TokenId) -> Result<ApplicationToken, AccessError> {
        let found = self.application_record(id).await?;
        Ok(found.value.open(*id, self.clock.now(), found.revision))
    }

    /// The public id of an application's token.
    ///
    /// # Errors
    /// There is no application of this name, or the storage failed.
    pub async fn application_named(&self, name: &Name) -> Result<TokenId, AccessError> {
        let missing = || AccessError::not_found("application", name);
        let found = NAMES.get(&*self.store, &[name.as_str()]).await?.ok_or_else(missing)?;
        token::parse_id(&found.value).ok_or_else(missing)
    }

    /// Application tokens in the order of their ids, from the first after the given one.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn applications(
        &self,
        after: Option<&TokenId>,
        limit: usize,
    ) -> Result<Vec<ApplicationToken>, AccessError> {
        let after = after.map(|id| [token::id_text(id)]);
        let page = Page { after: after.as_ref().map(<[&str; 1]>::as_slice), limit, reverse: false };
        let now = self.clock.now();
        let found = TOKENS.list(&*self.store, &[], page).await?.into_iter();
        Ok(found
            .filter_map(|found| {
                let id = token::parse_id(found.key.first()?)?;
                Some(found.value.open(id, now, found.revision))
            })
            .collect())
    }

    /// Changes an application token; the change counts from the next request on.
    ///
    /// # Errors
    /// As for [`Access::create_application`].
    pub async fn change_application(
        &self,
        by: &Principal,
        id: &TokenId,
        change: ApplicationChange,
        dry_run: bool,
    ) -> Result<ApplicationToken, AccessError> {
        let found = self.live_application(by, id).await?;
        if change.expected.is_some_and(|expected| expected != found.revision) {
            return Err(AccessError::Changed);
        }
        let mut record = found.value;
        let before = record.standing.clone();
        let gives_scopes = change.scopes.is_some();
        self.apply_to_application(by, &mut record, change, Vec::new()).await?;
        if gives_scopes {
            check_scopes(by, &record.scopes)?;
        }
        let key = token::id_text(id);
        let mut batch = Batch::synced();
        self.move_uses(&mut batch, &before, &record.standing, USE, key).await?;
        let revision = match dry_run {
            true => found.revision,
            false => self.put_application(batch, id, &record, found.revision).await?,
        };
        Ok(record.open(*id, self.clock.now(), revision))
    }

    /// Replaces the value of an application token. The old value works for `grace` more, which may be nothing; the new
    /// one is shown once.
    ///
    /// # Errors
    /// There is none of this id, it is deleted, or the storage failed; [`AccessError::Changed`] where another change
    /// came first, whose value is then the one that counts.
    pub async fn rebuild_application(
        &self,
        by: &Principal,
        id: &TokenId,
        grace: Duration,
    ) -> Result<(ApplicationToken, SecretString), AccessError> {
        let until = check_grace(self.clock.now(), grace)?;
        let found = self.live_application(by, id).await?;
        let mut record = found.value;
        // The new value is the rebuilder's to use.
        check_scopes(by, &record.scopes)?;
        let now = self.clock.now();
        let secret = record.credential.rebuild(&self.peppers, TokenKind::Application, id, now, until);
        let revision = self.put_application(Batch::synced(), id, &record, found.revision).await?;
        Ok((record.open(*id, now, revision), secret))
    }

    /// Deletes an application token. It is refused from the next request on, its name is free, and it stays visible as
    /// deleted.
    ///
    /// # Errors
    /// There is none of this id, it is deleted already, or the storage failed.
    pub async fn delete_application(&self, by: &Principal, id: &TokenId) -> Result<(), AccessError> {
        let found = self.live_application(by, id).await?;
        let mut record = found.value;
        record.deleted = Some(Deletion { at: self.clock.now(), by: by.label() });
        let key = token::id_text(id);
        let mut batch = Batch::synced();
        for organization in record.standing.organizations() {
            self.organizations.release(&mut batch, organization, USE, key);
        }
        NAMES.remove(&mut batch, &[record.name.as_str()]);
        self.put_application(batch, id, &record, found.revision).await?;
        Ok(())
    }

    /// Commits a record with what else is in the batch, and has it forgotten before anyone is told.
    async fn put_application(
        &self,
        mut batch: Batch,
        id: &TokenId,
        record: &ApplicationRecord,
        expected: Revision,
    ) -> Result<Revision, AccessError> {
        let key = token::id_text(id);
        TOKENS.expect(&mut batch, &[key], Some(expected));
        TOKENS.put(&mut batch, &[key], record)?;
        let revision = self.store.commit(batch).await?;
        self.cache.forget_token(id);
        Ok(revision)
    }

    async fn application_record(&self, id: &TokenId) -> Result<Versioned<ApplicationRecord>, AccessError> {
        let found = TOKENS.get(&*self.store, &[token::id_text(id)]).await?;
        found.ok_or_else(|| AccessError::not_found("application token", token::id_text(id)))
    }

    /// A record that isn't deleted, and that this principal may change.
    async fn live_application(
        &self,
        by: &Principal,
        id: &TokenId,
    ) -> Result<Versioned<ApplicationRecord>, AccessError> {
        let found = self.application_record(id).await?;
        self.check_touch(by, &found.value.standing).await?;
        match found.value.deleted {
            Some(_) => Err(AccessError::InUse("the token is deleted; make another one".to_owned())),
            None => Ok(found),
        }
    }

    async fn apply_to_application(
        &self,
        by: &Principal,
        record: &mut ApplicationRecord,
        change: ApplicationChange,
        mut faults: Vec<FieldFault>,
    ) -> Result<(), AccessError> {
        faults.extend(change.faults);
        let tree = self.organizations.tree();
        record.standing.apply(&change.standing, &tree, &mut faults);
        let profiles = self.profiles_wanted(&record.standing, &mut faults).await?;
        if let Some(scopes) = change.scopes {
            record.scopes = self.parse_scopes(&scopes, &mut faults);
        }
        if let Some(expires_at) = change.expires_at {
            if expires_at.is_some_and(|end| end <= self.clock.now()) {
                faults.push(FieldFault::new("expiration_date", FaultCode::NotAllowed, "has passed already"));
            }
            record.expires_at = expires_at;
        }
        record.console = change.console.unwrap_or(record.console);
        if let Some(source) = change.source {
            record.source = source;
        }
        if !faults.is_empty() {
            return Err(AccessError::Invalid(faults));
        }
        record.standing.check_giver(&profiles, by, &tree)
    }
}
