//! Signs users in by other means than a token: a password, a session, the word of a trusted proxy.
//!
//! What comes out is a principal like any other, limited to no scope. Where the credential stands in a request, and which
//! browser may send it, is the business of `api`.

use std::net::IpAddr;
use std::sync::Arc;

use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use super::principal::{Parts, Principal, PrincipalKind};
use super::reason::Reason;
use super::session::SessionError;
use super::standing::Status;
use super::user::{USERS, UserRecord};
use super::verify::{Denial, Refused};
use super::{Access, Login};
use crate::config::LoginType;
use crate::store::StoreError;

impl Access {
    /// The user of this login, if the password is right. Unknown logins take the same path as wrong passwords.
    ///
    /// # Errors
    /// Why not: `bad_password`, `rate_limited`, `principal_disabled`, `login_type_not_allowed`.
    pub async fn sign_in(
        &self,
        by: LoginType,
        login: &str,
        password: SecretString,
        address: Option<IpAddr>,
    ) -> Result<Arc<Principal>, Denial> {
        let (login, user) = self.check_password(by, login, password, address).await?;
        self.user_principal(by, &login, user).await
    }

    /// Begins a session for the user of this login, if the password is right. Returns what the browser is to present, shown
    /// once, and who it is.
    ///
    /// # Errors
    /// As [`Access::sign_in`]; there are no random bytes.
    pub async fn begin_session(
        &self,
        login: &str,
        password: SecretString,
        address: Option<IpAddr>,
    ) -> Result<(SecretString, Arc<Principal>), Denial> {
        let (login, user) = self.check_password(LoginType::Form, login, password, address).await?;
        let stamp = stamp(&user);
        let principal = self.user_principal(LoginType::Form, &login, user).await?;
        let begun = self.sessions.create(login.as_str(), &stamp).await;
        let (id, _) = begun.map_err(|error| match error {
            SessionError::Store(error) => Denial::Unavailable(error),
            error => Denial::Unavailable(StoreError::Storage(error.to_string())),
        })?;
        Ok((id, principal))
    }

    /// The user of this login, if the password is right; whether the user is let in isn't looked at.
    async fn check_password(
        &self,
        by: LoginType,
        login: &str,
        password: SecretString,
        address: Option<IpAddr>,
    ) -> Result<(Login, UserRecord), Denial> {
        self.check_login_type(by)?;
        // A login that is none is hashed for, too, and slowed like others.
        let parsed: Option<Login> = login.parse().ok();
        let subject = parsed.as_ref().map_or(login.get(..64).unwrap_or_default(), Login::as_str);
        let from = address.unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let permit = self.throttle.may_try(subject, from).await;
        let permit = permit.map_err(|_| Refused::unknown(Reason::RateLimited))?;
        let found = match &parsed {
            Some(login) => USERS.get(&*self.store, &[login.as_str()]).await?.map(|found| found.value),
            None => None,
        };
        let hash = found.as_ref().filter(|user| !user.external).and_then(|user| user.password.as_ref());
        let right = self.passwords.verify(permit, hash, password).await;
        let right = right.map_err(|error| Denial::Unavailable(StoreError::Storage(error.to_string())))?;
        match (parsed, found, right) {
            (Some(login), Some(user), true) => Ok((login, user)),
            _ => Err(Refused::unknown(Reason::BadPassword).into()),
        }
    }

    /// The user whom a trusted proxy names.
    ///
    /// # Errors
    /// There is no such user, or why they aren't let in.
    pub async fn take_word(&self, login: &str) -> Result<Arc<Principal>, Denial> {
        self.check_login_type(LoginType::External)?;
        let login: Login = login.parse().map_err(|_| Refused::unknown(Reason::Unknown))?;
        let found = USERS.get(&*self.store, &[login.as_str()]).await?;
        let found = found.ok_or_else(|| Refused::unknown(Reason::Unknown))?;
        self.user_principal(LoginType::External, &login, found.value).await
    }

    /// The user of a session.
    ///
    /// # Errors
    /// The session is over, or why the user isn't let in.
    pub async fn resume_session(&self, presented: &str) -> Result<Arc<Principal>, Denial> {
        self.check_login_type(LoginType::Form)?;
        let ended = || Refused::unknown(Reason::SessionEnded);
        let session = self.sessions.find(presented).await?.ok_or_else(ended)?;
        let login: Login = session.login.parse().map_err(|_| ended())?;
        let found = USERS.get(&*self.store, &[login.as_str()]).await?.map(|found| found.value);
        // Sessions are ended where a password changes or a user is deleted; this holds though that was cut short, or somebody
        // signed in with the old password at the same moment.
        let user = found.filter(|user| stamp(user) == session.stamp).ok_or_else(ended)?;
        self.user_principal(LoginType::Form, &login, user).await
    }

    async fn user_principal(&self, by: LoginType, login: &Login, user: UserRecord) -> Result<Arc<Principal>, Denial> {
        if user.standing.status == Status::Disabled {
            let principal = Some(format!("user/{login}"));
            return Err(Refused { reason: Reason::PrincipalDisabled, token: None, principal }.into());
        }
        let parts = Parts {
            kind: PrincipalKind::User,
            name: login.to_string(),
            login_type: by,
            token: None,
            standing: &user.standing,
            scopes: None,
            expires_at: None,
            console: true,
        };
        Ok(Arc::new(self.resolve(parts).await?))
    }

    fn check_login_type(&self, by: LoginType) -> Result<(), Denial> {
        if self.policy().allowed_login_types.contains(&by) {
            return Ok(());
        }
        Err(Refused::unknown(Reason::LoginTypeNotAllowed).into())
    }
}

/// What a session stands and falls with: the user, not another one of the same login, and the password.
fn stamp(user: &UserRecord) -> String {
    let password = user.password.as_ref().map_or("", |hash| hash.as_str());
    let digest = Sha256::new().chain_update(user.identity.to_bytes()).chain_update(password.as_bytes()).finalize();
    hex::encode(digest)
}
