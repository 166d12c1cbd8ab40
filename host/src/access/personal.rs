//! Personal tokens: each acts as its user, with that user's profiles and organizations and none of its own.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::Access;
use super::credential::Credential;
use super::error::AccessError;
use super::principal::Principal;
use super::standing::{Standing, Status, parse};
use super::token::{self, TokenId, TokenKind};
use super::tokens::{Deletion, TokenState, check_grace, check_scopes};
use super::user::{USERS, UserRecord};
use crate::fault::{FaultCode, FieldFault};
use crate::name::Name;
use crate::store::table::{Page, Table, Versioned};
use crate::store::{Batch, Revision};
use crate::text::{Label, Login, Scope};

/// Personal tokens, by their public id: what one read finds.
pub(super) const TOKENS: Table<PersonalRecord> = Table::new("personal-token");
/// The personal tokens of a user, by login and public id.
pub(super) const OF_USER: Table<()> = Table::new("personal-token-of");

/// Tokens of a user read at once.
const PAGE: usize = 200;

/// A personal token, without its value.
#[derive(Clone, Debug)]
pub struct PersonalToken {
    /// Its public id.
    pub id: TokenId,
    /// Whose it is.
    pub user: Login,
    /// The organization that the user belongs to; none where the user was deleted.
    pub organization: Option<Name>,
    /// What uses it.
    pub application: Label,
    /// The scopes that it works in.
    pub scopes: Vec<Scope>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// Whether it works now.
    pub state: TokenState,
    /// When its value was last replaced.
    pub rebuilt_at: Option<DateTime<Utc>>,
    /// When and by whom it was deleted.
    pub deleted: Option<Deletion>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Its record's revision.
    pub revision: Revision,
}

/// A personal token at rest; its public id is the key. The token itself is in no record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PersonalRecord {
    pub(super) user: Login,
    /// The user's identity: another user of the same login gets nothing from it.
    pub(super) identity: Ulid,
    pub(super) application: Label,
    #[serde(flatten)]
    pub(super) credential: Credential,
    pub(super) scopes: Vec<Scope>,
    pub(super) expires_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<Deletion>,
    created_by: String,
    pub(super) created_at: DateTime<Utc>,
}

/// What of a personal token is to change, or what a new one is to be. What is left out stays, or gets its default.
#[derive(Clone, Debug, Default)]
pub struct PersonalChange {
    /// What uses it.
    pub application: Option<String>,
    /// The scopes that it works in.
    pub scopes: Option<Vec<String>>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// What was wrong already where the change was read; it is told with the rest.
    pub faults: Vec<FieldFault>,
    /// The revision that it must have.
    pub expected: Option<Revision>,
}

impl Access {
    /// Makes a personal token for a user. Its value is shown once and kept nowhere; there is none where this was a dry
    /// run.
    ///
    /// # Errors
    /// Inputs are wrong (all that are, at once), the user has as many as is allowed, or the storage failed.
    pub async fn create_personal(
        &self,
        by: &Principal,
        user: &str,
        new: PersonalChange,
        dry_run: bool,
    ) -> Result<(PersonalToken, Option<SecretString>), AccessError> {
        let mut faults = new.faults.clone();
        let login: Option<Login> = parse("user", user, &mut faults);
        let found = match &login {
            Some(login) => USERS.get(&*self.store, &[login.as_str()]).await?,
            None => None,
        };
        if let (Some(login), None) = (&login, &found) {
            faults.push(FieldFault::new("user", FaultCode::Unknown, format!("there is no user {login}")));
        }
        for (field, missing) in [("application", new.application.is_none()), ("scopes", new.scopes.is_none())] {
            if missing {
                faults.push(FieldFault::new(field, FaultCode::Missing, "must be given"));
            }
        }
        let now = self.clock.now();
        let (application, scopes, expires_at) = self.check_personal(&new, now, &mut faults);
        let (Some(login), Some(found), Some(application)) = (login, found, application) else {
            return Err(AccessError::Invalid(faults));
        };
        if !faults.is_empty() {
            return Err(AccessError::Invalid(faults));
        }
        self.check_owner(by, &login, &found.value.standing).await?;
        check_scopes(by, scopes.as_deref().unwrap_or_default())?;
        let most = self.policy().tokens_per_user;
        if self.count_valid(&login, found.value.identity, most).await? >= most {
            let message =
                format!("{login} has {most} tokens, as many as access.personal_token.per_user allows; delete one");
            return Err(AccessError::fault("user", FaultCode::NotAllowed, message));
        }
        let id = token::new_id();
        let (credential, secret) = Credential::generate(&self.peppers, TokenKind::Personal, &id);
        let record = PersonalRecord {
            user: login.clone(),
            identity: found.value.identity,
            application,
            credential,
            scopes: scopes.unwrap_or_default(),
            expires_at: expires_at.unwrap_or(now + self.policy().default_lifetime.min(self.policy().max_lifetime)),
            deleted: None,
            created_by: by.label(),
            created_at: now,
        };
        if dry_run {
            return Ok((self.open_personal(id, record, Some(&found.value), 0), None));
        }
        let key = token::id_text(&id);
        let mut batch = Batch::synced();
        // The user must still be there, as it was read.
        USERS.expect(&mut batch, &[login.as_str()], Some(found.revision));
        TOKENS.expect(&mut batch, &[key], None);
        TOKENS.put(&mut batch, &[key], &record)?;
        OF_USER.put(&mut batch, &[login.as_str(), key], &())?;
        let revision = self.store.commit(batch).await?;
        Ok((self.open_personal(id, record, Some(&found.value), revision), Some(secret)))
    }

    /// Reads a personal token.
    ///
    /// # Errors
    /// There is none of this id, or the storage failed.
    pub async fn personal(&self, id: &TokenId) -> Result<PersonalToken, AccessError> {
        let found = self.personal_record(id).await?;
        let user = USERS.get(&*self.store, &[found.value.user.as_str()]).await?;
        Ok(self.open_personal(*id, found.value, user.as_ref().map(|user| &user.value), found.revision))
    }

    /// Everyone's personal tokens in the order of their ids, from the first after the given one.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn personals(&self, after: Option<&TokenId>, limit: usize) -> Result<Vec<PersonalToken>, AccessError> {
        let after = after.map(|id| [token::id_text(id)]);
        let page = Page { after: after.as_ref().map(<[&str; 1]>::as_slice), limit, reverse: false };
        let mut tokens = Vec::new();
        for found in TOKENS.list(&*self.store, &[], page).await? {
            let user = USERS.get(&*self.store, &[found.value.user.as_str()]).await?;
            let id = found.key.first().and_then(|id| token::parse_id(id));
            tokens.extend(
                id.map(|id| self.open_personal(id, found.value, user.as_ref().map(|user| &user.value), found.revision)),
            );
        }
        Ok(tokens)
    }

    /// A user's personal tokens in the order of their ids, from the first after the given one.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn personals_of(
        &self,
        login: &Login,
        after: Option<&TokenId>,
        limit: usize,
    ) -> Result<Vec<PersonalToken>, AccessError> {
        let user = USERS.get(&*self.store, &[login.as_str()]).await?;
        let after = after.map(|id| [login.as_str(), token::id_text(id)]);
        let page = Page { after: after.as_ref().map(<[&str; 2]>::as_slice), limit, reverse: false };
        let mut tokens = Vec::new();
        for of_user in OF_USER.list(&*self.store, &[login.as_str()], page).await? {
            let Some(id) = of_user.key.get(1).and_then(|id| token::parse_id(id)) else { continue };
            if let Some(found) = TOKENS.get(&*self.store, &[token::id_text(&id)]).await? {
                tokens.push(self.open_personal(id, found.value, user.as_ref().map(|user| &user.value), found.revision));
            }
        }
        Ok(tokens)
    }

    /// Changes a personal token; the change counts from the next request on.
    ///
    /// # Errors
    /// As for [`Access::create_personal`].
    pub async fn change_personal(
        &self,
        by: &Principal,
        id: &TokenId,
        change: PersonalChange,
        dry_run: bool,
    ) -> Result<PersonalToken, AccessError> {
        let (found, user) = self.live_personal(by, id).await?;
        if change.expected.is_some_and(|expected| expected != found.revision) {
            return Err(AccessError::Changed);
        }
        let mut faults = change.faults.clone();
        let mut record = found.value;
        let since = record.credential.rebuilt_at.unwrap_or(record.created_at);
        let (application, scopes, expires_at) = self.check_personal(&change, since, &mut faults);
        if !faults.is_empty() {
            return Err(AccessError::Invalid(faults));
        }
        if let Some(scopes) = &scopes {
            check_scopes(by, scopes)?;
        }
        record.application = application.unwrap_or(record.application);
        record.scopes = scopes.unwrap_or(record.scopes);
        record.expires_at = expires_at.unwrap_or(record.expires_at);
        let revision = match dry_run {
            true => found.revision,
            false => self.put_personal(id, &record, found.revision).await?,
        };
        Ok(self.open_personal(*id, record, Some(&user), revision))
    }

    /// Replaces the value of a personal token. The old value works for `grace` more, which may be nothing; the new one is
    /// shown once.
    ///
    /// # Errors
    /// As for [`Access::rebuild_application`].
    pub async fn rebuild_personal(
        &self,
        by: &Principal,
        id: &TokenId,
        grace: Duration,
    ) -> Result<(PersonalToken, SecretString), AccessError> {
        let now = self.clock.now();
        let until = check_grace(now, grace)?;
        let (found, user) = self.live_personal(by, id).await?;
        let mut record = found.value;
        // The new value is the rebuilder's to use.
        check_scopes(by, &record.scopes)?;
        // The policy may have become stricter since.
        record.expires_at = record.expires_at.min(now + self.policy().max_lifetime);
        let secret = record.credential.rebuild(&self.peppers, TokenKind::Personal, id, now, until);
        let revision = self.put_personal(id, &record, found.revision).await?;
        Ok((self.open_personal(*id, record, Some(&user), revision), secret))
    }

    /// Deletes a personal token. It is refused from the next request on, and stays visible as deleted.
    ///
    /// # Errors
    /// There is none of this id, it is deleted already, or the storage failed.
    pub async fn delete_personal(&self, by: &Principal, id: &TokenId) -> Result<(), AccessError> {
        let (found, _) = self.live_personal(by, id).await?;
        let mut record = found.value;
        record.deleted = Some(Deletion { at: self.clock.now(), by: by.label() });
        self.put_personal(id, &record, found.revision).await?;
        Ok(())
    }

    /// Marks the tokens of a user who was deleted; they are void already.
    pub(super) async fn mark_tokens_deleted(&self, by: &Principal, login: &Login) -> Result<(), AccessError> {
        let under = [login.as_str()];
        let mut walk = OF_USER.walk(&*self.store, &under, PAGE);
        while let Some(of_user) = walk.next().await? {
            let mut batch = Batch::synced();
            for id in of_user.iter().filter_map(|of_user| of_user.key.get(1)) {
                if let Some(found) = TOKENS.get(&*self.store, &[id]).await?
                    && found.value.deleted.is_none()
                {
                    let mut record = found.value;
                    record.deleted = Some(Deletion { at: self.clock.now(), by: by.label() });
                    TOKENS.put(&mut batch, &[id], &record)?;
                }
            }
            if !batch.is_empty() {
                self.store.commit(batch).await?;
            }
        }
        Ok(())
    }

    /// Commits a record, and has it forgotten before anyone is told.
    async fn put_personal(
        &self,
        id: &TokenId,
        record: &PersonalRecord,
        expected: Revision,
    ) -> Result<Revision, AccessError> {
        let key = token::id_text(id);
        let mut batch = Batch::synced();
        TOKENS.expect(&mut batch, &[key], Some(expected));
        TOKENS.put(&mut batch, &[key], record)?;
        let revision = self.store.commit(batch).await?;
        self.cache.forget_token(id);
        Ok(revision)
    }

    async fn personal_record(&self, id: &TokenId) -> Result<Versioned<PersonalRecord>, AccessError> {
        let found = TOKENS.get(&*self.store, &[token::id_text(id)]).await?;
        found.ok_or_else(|| AccessError::not_found("personal token", token::id_text(id)))
    }

    /// A record that isn't deleted, with its user, and that this principal may change.
    async fn live_personal(
        &self,
        by: &Principal,
        id: &TokenId,
    ) -> Result<(Versioned<PersonalRecord>, UserRecord), AccessError> {
        let found = self.personal_record(id).await?;
        let user = USERS.get(&*self.store, &[found.value.user.as_str()]).await?;
        let user = user.map(|user| user.value).filter(|user| user.identity == found.value.identity);
        match user {
            Some(user) if found.value.deleted.is_none() => {
                self.check_owner(by, &found.value.user, &user.standing).await?;
                Ok((found, user))
            }
            _ => Err(AccessError::InUse("the token is deleted; make another one".to_owned())),
        }
    }

    /// Users manage their own tokens; for those of others it takes what it takes to touch the user.
    async fn check_owner(&self, by: &Principal, user: &Login, standing: &Standing) -> Result<(), AccessError> {
        if by.is_user(user) { Ok(()) } else { self.check_touch(by, standing).await }
    }

    /// Reads what was written; what is wrong is noted. `since`: when the token's value was made.
    fn check_personal(
        &self,
        change: &PersonalChange,
        since: DateTime<Utc>,
        faults: &mut Vec<FieldFault>,
    ) -> (Option<Label>, Option<Vec<Scope>>, Option<DateTime<Utc>>) {
        let application = change.application.as_ref().and_then(|text| parse("application", text, faults));
        let scopes = change.scopes.as_ref().map(|scopes| {
            if scopes.is_empty() {
                let message = format!("must name at least one of {}", self.scopes.names());
                faults.push(FieldFault::new("scopes", FaultCode::Missing, message));
            }
            self.parse_scopes(scopes, faults)
        });
        if let Some(end) = change.expires_at {
            let latest = since + self.policy().max_lifetime;
            if end <= self.clock.now() {
                faults.push(FieldFault::new("expiration_date", FaultCode::NotAllowed, "has passed already"));
            } else if end > latest {
                let message = format!(
                    "must be at most {} days after the token is made or rebuilt ({}), as access.personal_token.max_lifetime says",
                    self.policy().max_lifetime.as_secs() / 86_400,
                    latest.format("%Y-%m-%d")
                );
                faults.push(FieldFault::new("expiration_date", FaultCode::NotAllowed, message));
            }
        }
        (application, scopes, change.expires_at)
    }

    /// How many tokens of a user work or will work again; counts no further than `most`.
    async fn count_valid(&self, login: &Login, identity: Ulid, most: usize) -> Result<usize, AccessError> {
        let mut count = 0;
        let under = [login.as_str()];
        let mut walk = OF_USER.walk(&*self.store, &under, PAGE);
        while count < most
            && let Some(of_user) = walk.next().await?
        {
            for id in of_user.iter().filter_map(|of_user| of_user.key.get(1)) {
                let found = TOKENS.get(&*self.store, &[id]).await?.map(|found| found.value);
                let counts = |record: &PersonalRecord| {
                    record.deleted.is_none() && record.identity == identity && record.expires_at > self.clock.now()
                };
                count += usize::from(found.as_ref().is_some_and(counts));
            }
        }
        Ok(count)
    }

    /// The token of this record, as it is now.
    pub(super) fn open_personal(
        &self,
        id: TokenId,
        record: PersonalRecord,
        user: Option<&UserRecord>,
        revision: Revision,
    ) -> PersonalToken {
        let user = user.filter(|user| user.identity == record.identity);
        let state = match user {
            None => TokenState::Deleted,
            Some(_) if record.deleted.is_some() => TokenState::Deleted,
            Some(_) if record.expires_at <= self.clock.now() => TokenState::Expired,
            Some(user) if user.standing.status == Status::Disabled => TokenState::Disabled,
            Some(user) if !self.may_use_personal_tokens(&user.standing) => TokenState::NotAllowed,
            Some(_) => TokenState::Valid,
        };
        PersonalToken {
            id,
            organization: user.map(|user| user.standing.contact.organization.clone()),
            user: record.user,
            application: record.application,
            scopes: record.scopes,
            expires_at: record.expires_at,
            state,
            rebuilt_at: record.credential.rebuilt_at,
            deleted: record.deleted,
            created_by: record.created_by,
            created_at: record.created_at,
            revision,
        }
    }

    /// Whether one of the profiles may use personal tokens.
    pub fn may_use_personal_tokens(&self, standing: &Standing) -> bool {
        let policy = self.policy();
        let allowed = &policy.personal_tokens_allowed_profiles;
        standing.profiles.iter().any(|profile| allowed.contains(profile))
    }
}
