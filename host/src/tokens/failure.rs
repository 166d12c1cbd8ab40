//! How attempts end without a token, and what people are told of it. Decides nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use ulid::Ulid;

use super::record::FailureRecord;
use crate::egress::Refusal;
use crate::flows::description::Field;
use crate::flows::{Barred, Description, Flow};
use crate::integrations::FieldFault;
use crate::name::Name;
use crate::seal::SealError;
use crate::store::StoreError;

/// What flows say where no complete answer came, with the SDKs' word.
const NO_ANSWER: &str = "no_answer";

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

/// Whether a provider answers so where the URL is none of its endpoints: it leads elsewhere, there is nothing, nothing is posted
/// there, or nothing any more (RFC 9110 section 15).
pub(super) fn is_no_endpoint(status: u16) -> bool {
    matches!(status, 300..=399 | 404 | 405 | 410)
}

/// The field that is most likely to blame for an error code of RFC 6749 section 5.2.
pub(super) fn field_of(code: &str) -> Option<&'static str> {
    match code {
        "invalid_client" => Some("client_secret"),
        "invalid_grant" => Some("password"),
        "unauthorized_client" => Some("client_id"),
        "invalid_scope" => Some("scope"),
        "invalid_target" => Some("resource"),
        "unsupported_grant_type" | "invalid_token_response" | "invalid_response" => Some("token_url"),
        _ => None,
    }
}

/// The integration's URL field that a request went to; `token_url` where that can't be told.
pub(super) fn url_field<'a>(flow: &'a Description, values: &BTreeMap<String, String>, sent: Option<&str>) -> &'a str {
    let plain = |url: &str| url.split(['?', '#']).next().unwrap_or_default().to_owned();
    let sent = sent.map(plain).unwrap_or_default();
    let is_it = |field: &&Field| values.get(&field.name).is_some_and(|url| plain(url) == sent);
    flow.fields.iter().filter(|field| field.is_url()).find(is_it).map_or("token_url", |field| field.name.as_str())
}

/// The command that changes the field to look at; none where no field of the integration's is to blame.
pub(super) fn change_of(
    integration: &Name,
    flow: Option<&Description>,
    code: &str,
    field: Option<&str>,
) -> Option<String> {
    let field = field?;
    let known = flow?.fields.iter().find(|one| one.name == field);
    // Where the provider can't be reached, its URL is seldom what is wrong.
    if field.starts_with("transport.") || (known.is_some_and(Field::is_url) && code == NO_ANSWER) {
        return None;
    }
    let given = if known?.is_secret() { format!("--secret {field}=@FILE") } else { format!("--field {field}=VALUE") };
    Some(format!("tokenhost integration set {integration} {given}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::description::{FieldKind, Requirement};

    fn field(name: &str, kind: FieldKind) -> Field {
        let (title, help) = (name.to_owned(), String::new());
        Field { name: name.to_owned(), title, help, kind, required: Requirement::Never, default: None, source: None }
    }

    fn flow() -> Description {
        let fields = vec![
            field("token_url", FieldKind::Url),
            field("refresh_url", FieldKind::Url),
            field("client_secret", FieldKind::Secret),
            field("scope", FieldKind::Words),
        ];
        let texts = ["f", "1.0.0", "", ""].map(str::to_owned);
        let [name, version, title, summary] = texts;
        Description { name, version, title, summary, handles: Vec::new(), unattended: true, fields }
    }

    #[test]
    fn the_field_to_look_at_comes_with_the_command_that_changes_it() {
        let crm: Name = "crm".parse().unwrap();
        let check = |code: &str, field: Option<&str>, expected: Option<&str>| {
            let command = change_of(&crm, Some(&flow()), code, field);
            let expected = expected.map(|given| format!("tokenhost integration set crm {given}"));
            assert_eq!(command, expected, "{code} {field:?}");
        };
        check("http_404", Some("token_url"), Some("--field token_url=VALUE"));
        check("not_found", Some("refresh_url"), Some("--field refresh_url=VALUE"));
        check("no_answer", Some("token_url"), None);
        check("no_answer", Some("refresh_url"), None);
        check("no_answer", Some("transport.ca"), None);
        check("invalid_client", Some("client_secret"), Some("--secret client_secret=@FILE"));
        check("invalid_scope", Some("scope"), Some("--field scope=VALUE"));
        check("http_500", None, None);
    }

    #[test]
    fn the_url_that_was_asked_is_found_by_its_field() {
        let value = |name: &str, url: &str| (name.to_owned(), url.to_owned());
        let values = [value("token_url", "https://a/token"), value("refresh_url", "https://a/refresh?x=1")].into();
        let check = |sent: Option<&str>, expected: &str| assert_eq!(url_field(&flow(), &values, sent), expected);
        check(Some("https://a/token"), "token_url");
        check(Some("https://a/refresh"), "refresh_url");
        check(Some("https://a/other"), "token_url");
        check(None, "token_url");
        for (status, expected) in [(302, true), (404, true), (405, true), (410, true), (401, false), (503, false)] {
            assert_eq!(is_no_endpoint(status), expected, "{status}");
        }
    }
}
