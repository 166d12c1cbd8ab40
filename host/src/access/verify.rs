//! Verifies tokens, in the order that the reasons of refusals follow: known and not rebuilt or deleted, not expired,
//! principal enabled, profile allowed to use personal tokens, a scope for the context. The right to the operation is asked
//! for where the operation is.
//!
//! An unknown id and a wrong secret take the same path: one read and one comparison.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::application::ApplicationRecord;
use super::credential::{Credential, Presentation};
use super::known::{Known, Moment, Written};
use super::personal::PersonalRecord;
use super::principal::{Parts, Principal, PrincipalKind, Surroundings, TokenRef};
use super::reason::Reason;
use super::scopes::ScopeId;
use super::standing::{Standing, Status};
use super::token::{self, Presented, TokenId, TokenKind};
use super::usage::Moved;
use super::user::USERS;
use super::{Access, application, personal};
use crate::config::LoginType;
use crate::store::StoreError;
use crate::text::Label;

/// Where and for what a credential is presented.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// The context; none: any will do.
    pub scope: Option<ScopeId>,
    /// From where.
    pub address: Option<IpAddr>,
}

/// Why somebody wasn't let in.
#[derive(Clone, Debug)]
pub enum Denial {
    /// They may not.
    Refused(Refused),
    /// Whether they may couldn't be found out.
    Unavailable(StoreError),
}

/// A refusal, exactly.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// The public id of the token that was presented, where it had one.
    pub token: Option<TokenId>,
    /// Whose it was, where that is known: `user/ada`.
    pub principal: Option<String>,
}

impl Refused {
    /// A refusal of who isn't known.
    pub fn unknown(reason: Reason) -> Self {
        Self { reason, token: None, principal: None }
    }

    /// A refusal of somebody known.
    pub fn of(principal: &Principal, reason: Reason) -> Self {
        Self { reason, token: principal.token.map(|token| token.id), principal: Some(principal.label()) }
    }
}

impl From<Refused> for Denial {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<StoreError> for Denial {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

/// What was read of a token that was presented.
struct Read {
    principal: Principal,
    issued_at: DateTime<Utc>,
    label: Option<Label>,
}

impl Access {
    /// Who presents this token, where it was seen before and everything is as it was: without waiting, and not counted
    /// yet, see [`Access::count`]. `None` says nothing; ask [`Access::enter`].
    pub fn peek(&self, presented: &str, scope: Option<ScopeId>) -> Option<Arc<Known>> {
        let known = self.cached(&token::parse(presented)?)?;
        scope.is_none_or(|scope| known.open.contains(scope)).then_some(known)
    }

    /// Who presents this token. It is counted as used.
    ///
    /// # Errors
    /// Why it isn't accepted.
    pub async fn enter(&self, presented: &str, visit: &Visit) -> Result<Arc<Known>, Denial> {
        let known = self.identify(presented).await?;
        if let Some(scope) = visit.scope {
            let admitted = known.principal.admitted(scope, &self.scopes);
            admitted.map_err(|reason| Refused::of(&known.principal, reason))?;
        }
        self.count(&known, visit.address);
        Ok(known)
    }

    /// A token that was seen before, while nothing was changed and its time isn't over.
    fn cached(&self, presented: &Presented<'_>) -> Option<Arc<Known>> {
        let known = self.cache.get(presented.id)?;
        let (pepper, mut digest) = self.peppers.digest(presented.body);
        if known.pepper != pepper {
            if !self.peppers.accepts(known.pepper, self.clock.now(), self.policy().allow_fallback_token) {
                return None;
            }
            digest = self.peppers.digest_under(known.pepper, presented.body)?;
        }
        // The prefix is part of what is digested: an id is that of one token, whatever the prefix claims.
        (known.digest.matches(&digest) && !known.is_over(&*self.clock)).then_some(known)
    }

    /// Who presents this token, in whatever context.
    async fn identify(&self, presented: &str) -> Result<Arc<Known>, Denial> {
        if !self.policy().allowed_login_types.contains(&LoginType::Token) {
            return Err(Refused::unknown(Reason::LoginTypeNotAllowed).into());
        }
        let presented = token::parse(presented).ok_or_else(|| Refused::unknown(Reason::Malformed))?;
        if let Some(known) = self.cached(&presented) {
            return Ok(known);
        }
        let moment = self.cache.moment();
        let id = token::id_text(presented.id);
        match presented.kind {
            TokenKind::Application => {
                let found = application::TOKENS.get(&*self.store, &[id]).await?.map(|found| found.value);
                let presentation = self.compare(&presented, found.as_ref().map(|record| &record.credential));
                self.identify_application(&presented, found, presentation, moment).await
            }
            TokenKind::Personal => {
                let found = personal::TOKENS.get(&*self.store, &[id]).await?.map(|found| found.value);
                let presentation = self.compare(&presented, found.as_ref().map(|record| &record.credential));
                self.identify_personal(&presented, found, presentation, moment).await
            }
        }
    }

    /// Which value was presented. For an id that there isn't, the same work is done.
    fn compare(&self, presented: &Presented<'_>, credential: Option<&Credential>) -> Presentation {
        let decoy = Credential::decoy(&self.peppers);
        credential.unwrap_or(&decoy).compare(&self.peppers, presented, self.clock.now())
    }

    async fn identify_application(
        &self,
        presented: &Presented<'_>,
        found: Option<ApplicationRecord>,
        presentation: Presentation,
        moment: Moment,
    ) -> Result<Arc<Known>, Denial> {
        let unknown = || Refused { reason: Reason::Unknown, token: Some(*presented.id), principal: None };
        let record = found.filter(|_| !matches!(presentation, Presentation::Wrong)).ok_or_else(unknown)?;
        let label = format!("application/{}", record.name);
        let refused = |reason| Refused { reason, token: Some(*presented.id), principal: Some(label.clone()) };
        self.check_value(presentation, record.deleted.is_some()).map_err(&refused)?;
        self.check_time(record.expires_at).map_err(&refused)?;
        check_status(&record.standing).map_err(&refused)?;
        let scopes = (!record.scopes.is_empty()).then(|| record.scopes.clone());
        let parts = Parts {
            kind: PrincipalKind::Application,
            name: record.name.to_string(),
            login_type: LoginType::Token,
            token: Some(TokenRef { kind: presented.kind, id: *presented.id }),
            standing: &record.standing,
            scopes,
            expires_at: record.expires_at,
            console: record.console,
        };
        let principal = self.resolve(parts).await?;
        let issued_at = record.credential.rebuilt_at.unwrap_or(record.created_at);
        let read = Read { principal, issued_at, label: None };
        self.remember(presented, presentation, read, moment).await
    }

    async fn identify_personal(
        &self,
        presented: &Presented<'_>,
        found: Option<PersonalRecord>,
        presentation: Presentation,
        moment: Moment,
    ) -> Result<Arc<Known>, Denial> {
        let unknown = || Refused { reason: Reason::Unknown, token: Some(*presented.id), principal: None };
        let record = found.filter(|_| !matches!(presentation, Presentation::Wrong)).ok_or_else(unknown)?;
        let label = format!("user/{}", record.user);
        let refused = |reason| Refused { reason, token: Some(*presented.id), principal: Some(label.clone()) };
        let user = USERS.get(&*self.store, &[record.user.as_str()]).await?;
        let user = user.map(|user| user.value).filter(|user| user.identity == record.identity);
        self.check_value(presentation, record.deleted.is_some() || user.is_none()).map_err(&refused)?;
        self.check_time(Some(record.expires_at)).map_err(&refused)?;
        let standing = user.map(|user| user.standing).ok_or_else(|| refused(Reason::Deleted))?;
        check_status(&standing).map_err(&refused)?;
        if !self.may_use_personal_tokens(&standing) {
            return Err(refused(Reason::ProfileNotAllowed).into());
        }
        let parts = Parts {
            kind: PrincipalKind::User,
            name: record.user.to_string(),
            login_type: LoginType::Token,
            token: Some(TokenRef { kind: presented.kind, id: *presented.id }),
            standing: &standing,
            scopes: Some(record.scopes.clone()),
            expires_at: Some(record.expires_at),
            console: false,
        };
        let principal = self.resolve(parts).await?;
        let issued_at = record.credential.rebuilt_at.unwrap_or(record.created_at);
        let read = Read { principal, issued_at, label: Some(record.application) };
        self.remember(presented, presentation, read, moment).await
    }

    /// Whether the value that was presented is one that works. Only whoever knows a right value, or one that was right,
    /// learns anything of the token's state.
    fn check_value(&self, presentation: Presentation, deleted: bool) -> Result<(), Reason> {
        let accepts = |pepper| self.peppers.accepts(pepper, self.clock.now(), self.policy().allow_fallback_token);
        match presentation {
            _ if deleted => Err(Reason::Deleted),
            Presentation::Current(pepper, _) | Presentation::InGrace(pepper, _, _) if accepts(pepper) => Ok(()),
            Presentation::Wrong => Err(Reason::Unknown),
            _ => Err(Reason::Rebuilt),
        }
    }

    fn check_time(&self, expires_at: Option<DateTime<Utc>>) -> Result<(), Reason> {
        match expires_at {
            Some(end) if end <= self.clock.now() => Err(Reason::Expired),
            _ => Ok(()),
        }
    }

    /// A principal with its profiles and the organizations of this moment.
    pub(super) async fn resolve(&self, parts: Parts<'_>) -> Result<Principal, StoreError> {
        let profiles = match self.profiles_of(parts.standing).await {
            Ok((profiles, _)) => profiles,
            Err(super::AccessError::Store(error)) => return Err(error),
            Err(error) => return Err(StoreError::Storage(error.to_string())),
        };
        let tree = self.organizations.tree();
        let policy = self.policy();
        let around = Surroundings { policy: &policy, scopes: &self.scopes, tree: &tree };
        Ok(Principal::resolve(parts, &profiles, &around))
    }

    /// Puts a token in memory, unless it was an earlier value, which is looked at anew each time.
    async fn remember(
        &self,
        presented: &Presented<'_>,
        presentation: Presentation,
        read: Read,
        moment: Moment,
    ) -> Result<Arc<Known>, Denial> {
        let (pepper, digest, lasting, ends) = match presentation {
            Presentation::Current(pepper, digest) => (pepper, digest, true, read.principal.expires_at),
            Presentation::InGrace(pepper, digest, until) => {
                (pepper, digest, false, Some(read.principal.expires_at.map_or(until, |end| end.min(until))))
            }
            Presentation::Rebuilt | Presentation::Wrong => return Err(Refused::unknown(Reason::Unknown).into()),
        };
        let (now, elapsed) = (self.clock.now(), self.clock.elapsed());
        let open = read.principal.open();
        let known = Arc::new(Known {
            digest,
            pepper,
            principal: Arc::new(read.principal),
            generation: moment.generation,
            ends: ends.map(|end| (end, elapsed + (end - now).to_std().unwrap_or_default())),
            slot: self.usage.open_slot(presented.id).await?,
            issued_at: read.issued_at,
            label: read.label,
            open,
            written: Written::default(),
        });
        // One that isn't counted, since too many are, is looked up again at its next use: there may be room by then.
        if lasting && known.slot.is_counting() {
            self.cache.insert(*presented.id, Arc::clone(&known), moment);
        }
        Ok(known)
    }

    /// Counts a use, and has it told where it came from another address than the last one.
    pub fn count(&self, known: &Known, address: Option<IpAddr>) {
        let moved = known.slot.count(self.clock.now().timestamp_millis().unsigned_abs(), address);
        if let (Some(Moved { previous, uses }), Some(token)) = (moved, &known.principal.token)
            && uses > 0
        {
            self.tally.used(token.id(), previous, super::TOKEN_DOOR, uses);
        }
    }
}

fn check_status(standing: &Standing) -> Result<(), Reason> {
    match standing.status {
        Status::Enabled => Ok(()),
        Status::Disabled => Err(Reason::PrincipalDisabled),
    }
}
