//! Personal tokens that end soon: found now and then, told as events, and remembered for those who look.
//!
//! When is soon is a setting: so many days before the end, each told once.

use std::sync::PoisonError;

use chrono::{DateTime, TimeDelta, Utc};

use super::personal::TOKENS;
use super::user::USERS;
use super::{Access, id_text, parse_id};
use crate::name::Name;
use crate::notices::{Kind, Notice, Notices};
use crate::store::StoreError;
use crate::text::{Label, Login};

/// Tokens looked at together.
const PAGE: usize = 500;
/// Tokens that end soon, remembered at most. All are told.
const MOST: usize = 1_000;

/// A personal token that ends soon.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Its public id.
    pub id: String,
    /// Whose it is.
    pub user: Login,
    /// The organization that the user belongs to.
    pub organization: Option<Name>,
    /// What uses it.
    pub application: Label,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

impl Access {
    /// Looks for personal tokens that end within so many days, the largest of them, and tells each once for each of these
    /// numbers of days that it has come below. Returns how many end soon.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn tell_ending(&self, notices: &Notices, days: &[u32]) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let (mut found, mut count) = (Vec::new(), 0);
        let mut walk = TOKENS.walk(&*self.store, &[], PAGE);
        while let Some(page) = walk.next().await? {
            for token in page {
                let (record, left) = (token.value, |end: DateTime<Utc>| end - now);
                let Some(id) = token.key.into_iter().next() else { continue };
                let left = left(record.expires_at);
                let passed = days.iter().copied().filter(|days| left <= TimeDelta::days((*days).into())).min();
                let Some(mark) = passed.filter(|_| left > TimeDelta::zero() && record.deleted.is_none()) else {
                    continue;
                };
                let user = USERS.get(&*self.store, &[record.user.as_str()]).await?;
                let Some(user) = user.map(|user| user.value).filter(|user| user.identity == record.identity) else {
                    continue;
                };
                count += 1;
                let ending = Ending {
                    id,
                    organization: Some(user.standing.contact.organization),
                    user: record.user,
                    application: record.application,
                    expires_at: record.expires_at,
                };
                let about = format!("personal-token/{}", ending.id);
                let mark = format!("{}/{mark}", ending.expires_at.timestamp());
                notices.tell(ending.notice().once(about, mark, ending.expires_at + TimeDelta::days(1)));
                if found.len() < MOST {
                    found.push(ending);
                }
            }
        }
        found.sort_by_key(|ending| ending.expires_at);
        *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(count)
    }

    /// The personal tokens that were found to end soon, those that were changed or have ended since left out; the first to end
    /// comes first.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn ending(&self) -> Result<Vec<Ending>, StoreError> {
        let found = self.ending.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = self.clock.now();
        let mut still = Vec::with_capacity(found.len());
        for ending in found.into_iter().filter(|ending| ending.expires_at > now) {
            let id = parse_id(&ending.id);
            let token = match id.as_ref().map(id_text) {
                Some(id) => TOKENS.get(&*self.store, &[id]).await?.map(|found| found.value),
                None => None,
            };
            if token.is_some_and(|token| token.deleted.is_none() && token.expires_at == ending.expires_at) {
                still.push(ending);
            }
        }
        Ok(still)
    }
}

impl Ending {
    /// What it is, and when it ends.
    pub fn message(&self) -> String {
        let end = self.expires_at.format("%Y-%m-%d %H:%M UTC");
        format!("the personal token {} of {} for {} ends at {end}", self.id, self.user, self.application)
    }

    /// The command that helps.
    pub fn remedy(&self) -> String {
        format!("tokenhost personal-token change {} --ends DATE", self.id)
    }

    fn notice(&self) -> Notice {
        Notice::new(Kind::PersonalTokenExpiring, self.message())
            .personal_token(&self.id, self.user.as_str(), self.organization.as_ref())
            .remedy(self.remedy())
    }
}
