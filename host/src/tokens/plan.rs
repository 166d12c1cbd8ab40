//! What to do for a caller whose token isn't good enough: decided from what is known, without doing anything.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::record::{RefreshState, TokenRecord};
use crate::flows::step::Purpose;
use crate::integrations::Uncertain;

/// Why an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A caller needs a token and there is none that is good enough.
    Needed,
    /// The token is within its margin and was used since its last renewal.
    Ageing,
    /// A service refused the token.
    Rejected,
    /// A person or program asked for a new one.
    Asked,
    /// The integration is being deleted, and its token with it.
    Deleted,
    /// A person connects it.
    Connect,
}

/// What is known, besides the record, when a plan is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// The wall clock's time.
    pub(super) now: DateTime<Utc>,
    /// Whether the present token has ended or was rejected, or there is none.
    pub(super) token_ended: bool,
    /// Whether the flow can acquire without a person.
    pub(super) unattended: bool,
    /// Whether the integration allows refresh tokens to be used.
    pub(super) refresh: bool,
    /// What the integration says of uncertain refresh tokens.
    pub(super) uncertain: Uncertain,
    /// Whether failures before are no reason to wait.
    pub(super) forced: bool,
    /// Whether the flow's component is another one than that which stalled.
    pub(super) repaired: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Run a stored answer through the repaired plugin.
    Resume(Ulid),
    /// Make an attempt. `again`: with a refresh token whose fate is uncertain.
    Attempt {
        /// From what.
        purpose: Purpose,
        /// Whether the refresh token may have been sent before.
        again: bool,
    },
    /// An attempt failed not long ago.
    Wait(TimeDelta),
    /// Only a person can get a token.
    Person(&'static str),
}

/// What to do for this key.
pub(super) fn plan(record: &TokenRecord, facts: Facts) -> Plan {
    if let Some(attempt) = record.stalled
        && facts.repaired
    {
        return Plan::Resume(attempt);
    }
    let plan = unhurried(record, facts);
    // No wait helps where a person is needed.
    match record.failure.as_ref().and_then(|failure| failure.wait(facts.now)) {
        Some(wait) if !facts.forced && !matches!(plan, Plan::Person(_)) => Plan::Wait(wait),
        _ => plan,
    }
}

/// The same without failures before.
fn unhurried(record: &TokenRecord, facts: Facts) -> Plan {
    let acquire = |why| match facts.unattended {
        true => Plan::Attempt { purpose: Purpose::Acquire, again: false },
        false => Plan::Person(why),
    };
    let refresh = |again| Plan::Attempt { purpose: Purpose::Refresh, again };
    if !facts.refresh || !record.has_refresh_token(facts.now) {
        return acquire("there is no refresh token, and this flow needs a person to get a token");
    }
    match (record.refresh, facts.uncertain) {
        (RefreshState::Ready, _) => refresh(false),
        (RefreshState::Uncertain, Uncertain::Retry) => refresh(true),
        (RefreshState::Uncertain, Uncertain::Auto) if !facts.unattended => match facts.token_ended {
            true => refresh(true),
            false if record.restored.is_some() => Plan::Person(
                "the daemon was restored from a backup, and the provider may have replaced the refresh token since; it is tried \
                 once when the token has ended",
            ),
            false => Plan::Person(
                "whether the provider has seen the refresh token is uncertain; it is tried once more when the token has ended",
            ),
        },
        (RefreshState::Uncertain | RefreshState::Spent, _) => {
            acquire("the refresh token no longer works, and this flow needs a person to get a token")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::record::FailureRecord;

    fn facts() -> Facts {
        Facts {
            now: DateTime::from_timestamp(1_000_000, 0).unwrap(),
            token_ended: true,
            unattended: true,
            refresh: true,
            uncertain: Uncertain::Auto,
            forced: false,
            repaired: false,
        }
    }

    fn record(refresh_token: bool, refresh: RefreshState) -> TokenRecord {
        let mut record = TokenRecord::new(crate::tokens::TokenKey::of(&"crm".parse().unwrap()), Ulid::nil());
        record.refresh = refresh;
        if refresh_token {
            record.token = Some(crate::tokens::record::tests::stored_token(true));
        }
        record
    }

    const ACQUIRE: Plan = Plan::Attempt { purpose: Purpose::Acquire, again: false };
    const REFRESH: Plan = Plan::Attempt { purpose: Purpose::Refresh, again: false };
    const AGAIN: Plan = Plan::Attempt { purpose: Purpose::Refresh, again: true };

    fn check(record: &TokenRecord, facts: Facts, expected: &Plan) {
        let found = plan(record, facts);
        match (&found, expected) {
            (Plan::Person(_), Plan::Person(_)) => {}
            _ => assert_eq!(&found, expected, "{:?} {facts:?}", record.refresh),
        }
    }

    #[test]
    fn a_refresh_token_is_used_unless_turned_off_or_uncertain() {
        use RefreshState::{Ready, Spent, Uncertain as Unsure};
        let person = Plan::Person("");
        let attended = Facts { unattended: false, ..facts() };
        check(&record(false, Ready), facts(), &ACQUIRE);
        check(&record(false, Ready), attended, &person);
        check(&record(true, Ready), facts(), &REFRESH);
        check(&record(true, Ready), Facts { refresh: false, ..facts() }, &ACQUIRE);
        check(&record(true, Ready), attended, &REFRESH);
        check(&record(true, Unsure), facts(), &ACQUIRE);
        check(&record(true, Unsure), attended, &AGAIN);
        check(&record(true, Unsure), Facts { token_ended: false, ..attended }, &person);
        check(&record(true, Spent), attended, &person);
        check(&record(true, Spent), facts(), &ACQUIRE);
        let retry = Facts { uncertain: Uncertain::Retry, ..facts() };
        check(&record(true, Unsure), retry, &AGAIN);
        check(&record(true, Spent), retry, &ACQUIRE);
        check(&record(true, Unsure), Facts { uncertain: Uncertain::Acquire, ..attended }, &person);
    }

    #[test]
    fn failures_make_callers_wait_and_a_repaired_plugin_goes_first() {
        let mut failing = record(false, RefreshState::Ready);
        let now = facts().now;
        failing.failure = Some(FailureRecord::after(None, "invalid_client", "no", now, TimeDelta::seconds(10)));
        check(&failing, facts(), &Plan::Wait(TimeDelta::seconds(10)));
        check(&failing, Facts { now: now + TimeDelta::seconds(10), ..facts() }, &ACQUIRE);
        check(&failing, Facts { now: now - TimeDelta::days(1), ..facts() }, &ACQUIRE); // the clock stepped back
        check(&failing, Facts { forced: true, ..facts() }, &ACQUIRE);
        let id = Ulid::from_parts(1, 1);
        failing.stalled = Some(id);
        check(&failing, Facts { repaired: true, ..facts() }, &Plan::Resume(id));
        check(&failing, facts(), &Plan::Wait(TimeDelta::seconds(10)));
    }
}
