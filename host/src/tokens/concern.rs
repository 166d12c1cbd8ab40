//! What is wrong with an integration's token so that somebody should look at it: decided from what is known, in words, with
//! the remedy as a command. Reads nothing and tells nobody.

use chrono::{DateTime, TimeDelta, Utc};

use super::failure::change_of;
use super::record::{FailureRecord, RefreshState, TokenRecord};
use crate::flows::Description;
use crate::integrations::{FieldFault, Integration};
use crate::name::Name;

/// How long before the end of what can't be renewed somebody is told, at most; a fifth of its life where that is less.
const LEAD: TimeDelta = TimeDelta::hours(24);

/// What kind of thing is wrong, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConcernKind {
    /// Only a person can bring a token.
    PersonNeeded,
    /// The last attempts failed.
    Failing,
    /// Values that the flow needs aren't set.
    Incomplete,
    /// The flow isn't served.
    FlowMissing,
    /// The token ends soon, and can't be renewed.
    Expiring,
}

impl ConcernKind {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PersonNeeded => "person_needed",
            Self::Failing => "failing",
            Self::Incomplete => "incomplete",
            Self::FlowMissing => "flow_missing",
            Self::Expiring => "expiring",
        }
    }
}

/// Why somebody should look at an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    /// What is wrong.
    pub kind: ConcernKind,
    /// Which integration.
    pub integration: Name,
    /// The organization that it belongs to.
    pub organization: Name,
    /// The scheme, where it isn't the integration's first one.
    pub scheme: Option<String>,
    /// The scopes of the token, where they aren't the integration's own.
    pub scopes: Option<String>,
    /// The generation of the latest token; 0: there was none.
    pub generation: u64,
    /// Since when, where that is known.
    pub since: Option<DateTime<Utc>>,
    /// What is wrong, for people; cleaned of secrets.
    pub message: String,
    /// The command that helps.
    pub remedy: String,
    /// The integration's field to look at.
    pub field: Option<String>,
    /// When the next attempt may be made.
    pub retry_at: Option<DateTime<Utc>>,
    /// Until when the present token works.
    pub works_until: Option<DateTime<Utc>>,
}

/// What is known of an integration.
pub(super) struct Look<'a> {
    /// As bound to one of its schemes.
    pub(super) integration: &'a Integration,
    /// Whether that isn't its first scheme.
    pub(super) is_further: bool,
    /// What its flow says of itself; none: it isn't served.
    pub(super) flow: Option<&'a Description>,
    /// What must be set before a token can be got.
    pub(super) missing: &'a [FieldFault],
    pub(super) now: DateTime<Utc>,
}

impl Look<'_> {
    /// What is wrong with the integration itself, so that its tokens needn't be looked at.
    pub(super) fn of_integration(&self) -> Option<Concern> {
        let name = &self.integration.name;
        if self.flow.is_none() {
            let message = format!("flow {} isn't served, so that no token can be got", self.integration.flow);
            return Some(self.concern(
                ConcernKind::FlowMissing,
                message,
                format!("tokenhost flow show {}", self.integration.flow),
            ));
        }
        let first = self.missing.first()?;
        let field = first.field.trim_start_matches("fields.");
        let is_secret =
            self.flow.is_some_and(|flow| flow.fields.iter().any(|one| one.name == field && one.is_secret()));
        let given = if is_secret { format!("--secret {field}=@FILE") } else { format!("--field {field}=VALUE") };
        let messages: Vec<String> = self.missing.iter().map(ToString::to_string).collect();
        let remedy = format!("tokenhost integration set {name} {given}");
        Some(self.concern(ConcernKind::Incomplete, messages.join("; "), remedy))
    }

    /// What is wrong with one of its tokens, and when that has to be looked at again because of time alone.
    pub(super) fn of_token(&self, record: &TokenRecord) -> (Option<Concern>, Option<DateTime<Utc>>) {
        let Some(flow) = self.flow else { return (None, None) };
        let (now, name) = (self.now, &self.integration.name);
        let token = record.token.as_ref().filter(|_| record.rejected_at.is_none());
        let ends = token.and_then(|token| token.expires_at);
        let has_ended = token.is_none() || ends.is_some_and(|ends| ends <= now);
        let is_attended = record.is_attended(flow, self.integration);
        let may_refresh = self.integration.values.get("refresh").is_none_or(|refresh| refresh != "never");
        let is_spent = record.refresh == RefreshState::Spent;
        let can_refresh = may_refresh && !is_spent && record.has_refresh_token(now);
        let works_until = ends.filter(|_| !has_ended);
        let of_record = |concern: Concern| Concern {
            scopes: record.key.scopes().map(str::to_owned),
            generation: record.generation,
            works_until,
            ..concern
        };
        let connect = format!("tokenhost integration connect {name}");
        if is_attended && !can_refresh && (has_ended || is_spent) {
            let message = self.why_a_person(record, has_ended);
            let since = record.failure.as_ref().map(|failure| failure.at).or(ends.filter(|_| has_ended));
            let concern = Concern { since, ..of_record(self.concern(ConcernKind::PersonNeeded, message, connect)) };
            return (Some(concern), None);
        }
        if let Some(failure) = &record.failure {
            let concern = self.concern(ConcernKind::Failing, failing(failure), self.remedy(failure));
            let (since, retry_at) = (Some(failure.at), Some(failure.retry_at()));
            let concern = Concern { since, retry_at, field: failure.field.clone(), ..of_record(concern) };
            return (Some(concern), works_until);
        }
        // What can still be refreshed ends for good with its refresh token.
        let refreshable = token.and_then(|token| token.refresh_expires_at()).filter(|_| can_refresh);
        let last = if can_refresh { refreshable } else { ends };
        let (Some(token), Some(last)) = (token, last.filter(|_| is_attended)) else { return (None, None) };
        let lead = ((last - token.created_at) / 5).min(LEAD);
        let from = last.checked_sub_signed(lead).unwrap_or(last);
        if now < from {
            return (None, Some(from));
        }
        let what = if can_refresh { "the refresh token" } else { "the token" };
        let message = format!("{what} ends at {}, and only a person can bring another", shown(last));
        let concern = Concern { since: Some(from), ..of_record(self.concern(ConcernKind::Expiring, message, connect)) };
        (Some(concern), Some(last))
    }

    /// Why only a person can bring a token.
    fn why_a_person(&self, record: &TokenRecord, has_ended: bool) -> String {
        let why = match (&record.failure, &record.token) {
            (Some(failure), _) => format!("the last attempt failed ({}: {})", failure.code, failure.message),
            (None, None) if record.generation == 0 => "nobody has connected it yet".to_owned(),
            (None, None) => "its token was deleted".to_owned(),
            (None, Some(_)) if record.rejected_at.is_some() => "its service refused the token".to_owned(),
            (None, Some(token)) => match token.expires_at.filter(|_| has_ended) {
                Some(ends) => format!("its token ended at {}", shown(ends)),
                None => "its token can't be renewed".to_owned(),
            },
        };
        let under_way = if record.connecting.is_some() { "; connecting is under way" } else { "" };
        format!("{why}{under_way}")
    }

    /// What helps where attempts fail.
    fn remedy(&self, failure: &FailureRecord) -> String {
        let name = &self.integration.name;
        let field = failure.field.as_deref();
        change_of(name, self.flow, &failure.code, field).unwrap_or_else(|| match field {
            Some(field) if field.starts_with("transport.") => format!("tokenhost integration show {name}"),
            _ => format!("tokenhost integration test {name}"),
        })
    }

    fn concern(&self, kind: ConcernKind, message: String, remedy: String) -> Concern {
        let (message, remedy) = match self.is_further {
            false => (message, remedy),
            // The commands are about the first scheme; what is wanted of a further one stands in what is shown of it.
            true => {
                let remedy = format!("tokenhost integration show {}", self.integration.name);
                (format!("scheme {}: {message}", self.integration.scheme), remedy)
            }
        };
        Concern {
            kind,
            integration: self.integration.name.clone(),
            organization: self.integration.organization.clone(),
            scheme: self.is_further.then(|| self.integration.scheme.clone()),
            scopes: None,
            generation: 0,
            since: None,
            message,
            remedy,
            field: None,
            retry_at: None,
            works_until: None,
        }
    }
}

/// What failed, in one line.
pub(super) fn failing(failure: &FailureRecord) -> String {
    let times = match failure.count {
        1 => String::new(),
        count => format!(" ({count} times in a row)"),
    };
    format!("{}: {}{times}", failure.code, failure.message)
}

/// A time for people.
fn shown(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}
