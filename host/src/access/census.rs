//! How many inbound tokens and sessions there are: for who watches the daemon, and not for who decides about a call.

use super::token::TokenKind;
use super::tokens::TokenState;
use super::{Access, application, personal};
use crate::store::StoreError;

/// Tokens looked at at once.
const PAGE: usize = 500;

/// How many there were, at about the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// Tokens by kind, and by how their records alone say that they are: valid, expired, deleted.
    pub tokens: Vec<(TokenKind, TokenState, u64)>,
    /// Sessions that aren't over.
    pub sessions: u64,
}

impl Access {
    /// Counts them all; it takes as long as there are many.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn census(&self) -> Result<Census, StoreError> {
        let now = self.clock.now();
        let state = |is_deleted: bool, is_expired: bool| match (is_deleted, is_expired) {
            (true, _) => TokenState::Deleted,
            (false, true) => TokenState::Expired,
            (false, false) => TokenState::Valid,
        };
        let mut tokens: Vec<_> = [TokenKind::Application, TokenKind::Personal]
            .into_iter()
            .flat_map(|kind| {
                [TokenState::Valid, TokenState::Expired, TokenState::Deleted].map(|state| (kind, state, 0))
            })
            .collect();
        let mut count = |kind, state| {
            tokens.iter_mut().filter(|(of, is, _)| (*of, *is) == (kind, state)).for_each(|(_, _, count)| *count += 1);
        };
        let mut walk = application::TOKENS.walk(&*self.store, &[], PAGE);
        while let Some(found) = walk.next().await? {
            for record in found.into_iter().map(|token| token.value) {
                let is_expired = record.expires_at.is_some_and(|end| now >= end);
                count(TokenKind::Application, state(record.deleted.is_some(), is_expired));
            }
        }
        let mut walk = personal::TOKENS.walk(&*self.store, &[], PAGE);
        while let Some(found) = walk.next().await? {
            for record in found.into_iter().map(|token| token.value) {
                count(TokenKind::Personal, state(record.deleted.is_some(), now >= record.expires_at));
            }
        }
        Ok(Census { tokens, sessions: self.sessions.count().await? })
    }
}
