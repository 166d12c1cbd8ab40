//! Revokes an integration's tokens at their provider before they are forgotten (RFC 7009), as far as its flow can.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Attempt, Start};
use super::error::TokenError;
use super::failure::Ended;
use super::keeper::Tokens;
use super::plan::Cause;
use crate::flows::step::Purpose;
use crate::name::Name;

/// How long a deletion waits for the provider.
const PATIENCE: Duration = Duration::from_secs(10);

/// What flows say that revoke nothing.
const UNSUPPORTED: &str = "unsupported";

/// What came of a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// There was no token, or the flow knows no way to revoke one.
    None,
    /// The provider has ended so many tokens.
    Done(usize),
    /// The provider may still take a token; why.
    Failed(String),
}

impl Tokens {
    /// Revokes the tokens of an integration that is to be deleted. Takes 10 s at most, and leaves the integration as it is.
    ///
    /// # Errors
    /// There is no such integration, or the storage failed.
    pub async fn revoke(&self, name: &Name) -> Result<Revocation, TokenError> {
        let integration = self.parts.integrations.read(name).await?;
        let revoke_all = async {
            let mut revoked = 0;
            for token in self.parts.ledger.tokens(name.as_str()).await? {
                let Some(bound) = integration.bound(token.key.scheme().as_deref()) else { continue };
                let token = token.for_target(bound.target);
                // What was made here, nobody else knows to end.
                if token.token.as_ref().is_none_or(|token| token.local) {
                    continue;
                }
                let Some(flow) = self.parts.flows.get(&bound.flow) else { continue };
                if let Err(barred) = self.parts.flows.admit(&*flow, true) {
                    return Ok(Revocation::Failed(barred.message));
                }
                let (integration, key) = (Arc::new(bound), token.key.clone());
                let (purpose, again, cause) = (Purpose::Revoke, false, Cause::Deleted);
                let start = Start { integration, flow, key: key.clone(), token, purpose, again, cause, asking: None };
                let ended = match Attempt::new(&self.parts, start) {
                    Ok(attempt) => attempt.run().await.err(),
                    Err(ended) => Some(ended),
                };
                self.live.invalidate(&key);
                match ended {
                    Some(Ended::Revoked) => revoked += 1,
                    Some(Ended::Failed(failure, _)) if failure.code == UNSUPPORTED => {}
                    Some(Ended::Failed(failure, _)) => {
                        return Ok(Revocation::Failed(format!("{}: {}", failure.code, failure.message)));
                    }
                    Some(Ended::Store(error)) => return Err(error.into()),
                    Some(Ended::Seal(error)) => return Err(error.into()),
                    Some(_) | None => return Ok(Revocation::Failed("the token changed meanwhile".to_owned())),
                }
            }
            Ok(if revoked == 0 { Revocation::None } else { Revocation::Done(revoked) })
        };
        match tokio::time::timeout(PATIENCE, revoke_all).await {
            Ok(outcome) => outcome,
            Err(_) => Ok(Revocation::Failed(format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }
}
