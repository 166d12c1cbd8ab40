//! How attempts end without a token, and what people are told of it. Decides nothing.

use chrono::{DateTime, Utc};
use ulid::Ulid;

use super::record::FailureRecord;
use crate::egress::Refusal;
use crate::flows::{Barred, Flow};
use crate::integrations::FieldFault;
use crate::seal::SealError;
use crate::store::StoreError;

/// Why an attempt ended without a token.
#[derive(Debug)]
pub(super) enum Ended {
    /// It failed, and that is recorded.
    Failed(Box<FailureRecord>, Option<Ulid>),
    /// The integration, or its token, was changed meanwhile: what came was thrown away.
    Void,
    /// The provider has ended the token, as was asked.
    Revoked,
    /// It was cut short by an earlier stop of the daemon.
    Interrupted,
    /// Another attempt brought this generation meanwhile; what a person brought comes after it.
    Overtaken(u64),
    /// The integration lacks values that its flow needs.
    Incomplete(Vec<FieldFault>),
    /// Only a person can get a token.
    Person(String),
    /// A person was sent away, and may come back until then; the journal holds what is needed to go on.
    Away(DateTime<Utc>),
    /// The flow of this name isn't installed.
    NoFlow(String),
    /// The flow isn't to be run now: its operator, or its behaviour, forbids it. Nothing is recorded.
    Barred(Barred),
    /// The daemon is stopping; the journal holds what is needed to go on.
    Stopping,
    /// The storage failed.
    Store(StoreError),
    /// A sealed value can't be opened.
    Seal(SealError),
}

impl Ended {
    /// In one stable word: the failure's own code, where it failed.
    pub(super) fn word(&self) -> &str {
        match self {
            Self::Failed(failure, _) => &failure.code,
            Self::Void => "void",
            Self::Revoked => "revoked",
            Self::Interrupted => "interrupted",
            Self::Overtaken(_) => "overtaken",
            Self::Incomplete(_) => "incomplete",
            Self::Person(_) => "person_needed",
            Self::Away(_) => "away",
            Self::NoFlow(_) => "flow_missing",
            Self::Barred(_) => "barred",
            Self::Stopping => "stopping",
            Self::Store(_) | Self::Seal(_) => "storage",
        }
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SealError> for Ended {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

/// A flow's name, version and abbreviated digest.
pub(super) fn identity(flow: &dyn Flow) -> String {
    let description = flow.description();
    let digest = flow.digest().get(..12).unwrap_or_else(|| flow.digest());
    format!("{} {} (sha256:{digest})", description.name, description.version)
}

/// The field that is most likely to blame for an error code of RFC 6749 section 5.2.
pub(super) fn field_of(code: &str) -> Option<&'static str> {
    match code {
        "invalid_client" => Some("client_secret"),
        "invalid_grant" => Some("password"),
        "unauthorized_client" => Some("client_id"),
        "invalid_scope" => Some("scope"),
        "invalid_target" => Some("resource"),
        "unsupported_grant_type" | "invalid_token_response" => Some("token_url"),
        _ => None,
    }
}

/// The setting that a refused request points to.
pub(super) fn field_of_refusal(refusal: &Refusal) -> Option<&'static str> {
    refusal.problems.iter().find_map(|problem| match problem.part.as_str() {
        "url" => Some("token_url"),
        "transport.ca" => Some("transport.ca"),
        "transport.proxy" => Some("transport.proxy"),
        "transport.client_certificate" => Some("transport.client_certificate"),
        "transport.client_key" => Some("transport.client_key"),
        _ => None,
    })
}
