//! What users change of themselves: names, mail address, language, password. Never what they may do or see.
//!
//! It asks for the present password before it takes another one, slowed like any login.

use std::net::{IpAddr, Ipv4Addr};

use secrecy::SecretString;

use super::password::PasswordHash;
use super::standing::ContactChange;
use super::user::{USERS, User, check_language};
use super::{Access, AccessError, Login, Principal};
use crate::fault::{FaultCode, FieldFault};
use crate::store::{Batch, Revision, StoreError};

/// What users change of themselves, as it was written. What is left out stays.
#[derive(Clone, Debug, Default)]
pub struct OwnChange {
    /// Names and mail address; an organization in it doesn't count.
    pub contact: ContactChange,
    /// The language for texts.
    pub language: Option<String>,
    /// The present password, and the new one.
    pub password: Option<(SecretString, SecretString)>,
    /// The revision that the user must have.
    pub expected: Option<Revision>,
}

impl Access {
    /// The user that a principal is.
    ///
    /// # Errors
    /// It is none, was deleted meanwhile, or the storage failed.
    pub async fn own_user(&self, by: &Principal) -> Result<User, AccessError> {
        self.user(&own_login(by)?).await
    }

    /// Changes what is a user's own. Another password ends the user's sessions.
    ///
    /// # Errors
    /// Inputs are wrong (all that are, at once), the present password among them; too many passwords were wrong; or the
    /// storage failed.
    pub async fn change_own(
        &self,
        by: &Principal,
        change: OwnChange,
        address: Option<IpAddr>,
    ) -> Result<User, AccessError> {
        let login = own_login(by)?;
        let found = self.user_record(&login).await?;
        if change.expected.is_some_and(|expected| expected != found.revision) {
            return Err(AccessError::Changed);
        }
        let mut record = found.value;
        let mut faults = Vec::new();
        record.standing.contact.apply(&change.contact, &mut faults);
        if let Some(language) = change.language {
            check_language(&language, &mut faults);
            record.language = language;
        }
        let ends_sessions = change.password.is_some();
        if let Some((current, new)) = change.password {
            let not_allowed = |message: &str| FieldFault::new("password", FaultCode::NotAllowed, message);
            if record.external {
                faults.push(not_allowed("you sign in elsewhere, and have no password here"));
            } else if record.password.is_none() {
                faults.push(not_allowed("you have no password yet; an administrator sets the first one"));
            }
            if let Err(error) = super::password::check_new(&new) {
                faults.push(FieldFault::new("password.new", FaultCode::Malformed, error.to_string()));
            }
            // Nobody learns whether a password is right by a call that fails anyway.
            if faults.is_empty() {
                let from = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
                let permit = self.throttle.may_try(login.as_str(), from).await;
                let permit = permit.map_err(|after| AccessError::TooSoon(after.0))?;
                let right = self.passwords.verify(permit, record.password.as_ref(), current).await;
                if !right.map_err(|error| StoreError::Storage(error.to_string()))? {
                    faults.push(FieldFault::new("password.current", FaultCode::NotAllowed, "isn't your password"));
                } else {
                    let hash = PasswordHash::of(new).await;
                    record.password = Some(hash.map_err(|error| StoreError::Storage(error.to_string()))?);
                }
            }
        }
        if !faults.is_empty() {
            return Err(AccessError::Invalid(faults));
        }
        record.updated_at = self.clock.now();
        let mut batch = Batch::synced();
        USERS.expect(&mut batch, &[login.as_str()], Some(found.revision));
        USERS.put(&mut batch, &[login.as_str()], &record)?;
        let revision = self.store.commit(batch).await?;
        self.cache.forget_principals();
        if ends_sessions {
            self.sessions.end_all(login.as_str()).await?;
        }
        Ok(record.open(login, revision))
    }
}

/// The login of a principal that is a user.
fn own_login(by: &Principal) -> Result<Login, AccessError> {
    let login = (by.kind == super::PrincipalKind::User).then(|| by.name.parse().ok()).flatten();
    login.ok_or_else(|| AccessError::Forbidden("this is for users only".to_owned()))
}
