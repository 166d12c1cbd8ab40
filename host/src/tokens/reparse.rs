//! An answer that a flow couldn't read goes through its present component, while what it holds is still of use.
//!
//! The next caller of the token would cause the same. This is for people: it says what happened, and what is in the way.

use std::time::Duration;

use super::error::TokenError;
use super::failure::Ended;
use super::keeper::{Errand, PATIENCE, Tokens};
use super::key::TokenKey;
use super::plan::Cause;

/// What became of a stored answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reparsed {
    /// A token came of it.
    Token {
        /// Its generation.
        generation: u64,
    },
    /// No answer is kept that couldn't be read.
    Nothing,
    /// The component is the one that couldn't read it.
    SameComponent {
        /// Its name, version and abbreviated digest.
        flow: String,
    },
    /// A newer token came meanwhile, or the integration points elsewhere: the answer is of no use.
    Superseded,
}

impl Tokens {
    /// Runs the stored answer of a key through the flow's present component.
    ///
    /// # Errors
    /// The component can't read it either, its flow isn't run, or the storage failed.
    pub async fn reparse(&self, key: &TokenKey) -> Result<Reparsed, TokenError> {
        let (integration, record, _) = self.parts.read(key).await?;
        let Some(id) = record.stalled else { return Ok(Reparsed::Nothing) };
        let Some(attempt) = self.parts.ledger.attempt(key.integration(), id).await? else {
            return Ok(Reparsed::Nothing);
        };
        if attempt.target != integration.target || attempt.follows != record.generation {
            return Ok(Reparsed::Superseded);
        }
        let flow = match self.flow(&integration) {
            Ok(flow) => flow,
            Err(Ended::Barred(barred)) => return Err(barred.into()),
            Err(_) => return Err(TokenError::FlowMissing(integration.flow)),
        };
        if flow.digest() == attempt.digest {
            return Ok(Reparsed::SameComponent { flow: attempt.story.flow });
        }
        loop {
            let (seat, joined) = self.depart(key, Errand { cause: Cause::Asked, min_ttl: Duration::ZERO });
            match seat.outcome(PATIENCE).await {
                // One that was under way already may have found the present token good enough.
                Some(Ok(live)) if joined && live.generation() == record.generation => {}
                Some(Ok(live)) => return Ok(Reparsed::Token { generation: live.generation() }),
                Some(Err(error)) => return Err(error),
                None => return Err(TokenError::Pending { retry_after: Duration::from_secs(1) }),
            }
        }
    }
}
