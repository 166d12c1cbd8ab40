//! Whether an attempt ended as a case expects: nothing, or what was expected and what came.
//!
//! It knows the ordinary token; which answer was given is the case's affair.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::answers::{ACCESS, REFRESH, REFRESH_BEFORE};
use super::cases::Expect;
use crate::flows::step::{FlowToken, Purpose};
use crate::trial::told;
use crate::trial::walk::{End, MAX_STEPS};

/// An expectation that wasn't met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// What was expected.
    pub expected: String,
    /// What came.
    pub got: String,
}

impl Miss {
    /// A miss.
    pub(super) fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { expected: expected.into(), got: got.into() }
    }
}

/// Holds an end against a case's expectation. `any_remedy`: a flow with a person may ask for any remedy, since its request may not
/// be repeated.
pub(super) fn judge(expect: Expect, purpose: Purpose, end: &End, any_remedy: bool) -> Result<(), Miss> {
    let refresh = match expect {
        Expect::Failure { acquire, refresh, after } => {
            let remedies = if purpose == Purpose::Refresh { refresh } else { acquire };
            return failure(remedies, after, end, any_remedy);
        }
        Expect::NoRefreshToken => None,
        Expect::SameRefreshToken => Some(REFRESH_BEFORE),
        Expect::Token | Expect::NoLifetime => Some(REFRESH),
    };
    let lifetime = if expect == Expect::NoLifetime { None } else { Some(3600) };
    let End::Token(token) = end else {
        return Err(Miss::new("a token", self::end(end)));
    };
    let text = |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
    let mut expected = Vec::new();
    let mut got = Vec::new();
    let mut hold = |name: &str, wanted: Option<String>, came: Option<String>| {
        if wanted != came {
            expected.push(format!("{name} {}", wanted.as_deref().unwrap_or("absent")));
            got.push(format!("{name} {}", came.as_deref().unwrap_or("absent")));
        }
    };
    hold("access_token", Some(ACCESS.to_owned()), text(&token.access_token));
    hold(
        "expires_in",
        lifetime.map(|seconds: u64| seconds.to_string()),
        token.expires_in.map(|seconds| seconds.to_string()),
    );
    if expect == Expect::NoLifetime {
        hold("expires_at", None, token.expires_at.map(|seconds| seconds.to_string()));
    }
    hold("refresh_token", refresh.map(str::to_owned), text(&token.refresh_token));
    hold(
        "token_type",
        Some("Bearer".to_owned()),
        Some(token.token_type.clone().unwrap_or_else(|| "Bearer".to_owned())),
    );
    hold("scope", Some("read write".to_owned()), token.scope.clone());
    if expected.is_empty() { Ok(()) } else { Err(Miss::new(expected.join(", "), got.join(", "))) }
}

/// Holds an end against the remedies that a failure may have.
fn failure(remedies: &[&str], after: Option<u32>, end: &End, any_remedy: bool) -> Result<(), Miss> {
    let seconds = after.map(|seconds| format!(" after {seconds} s")).unwrap_or_default();
    let wanted = format!("a failure with the remedy {}{seconds}", remedies.join(" or "));
    let End::Failed(failure) = end else {
        return Err(Miss::new(wanted, self::end(end)));
    };
    let (remedy, said) = told::remedy(failure.remedy);
    if any_remedy || (remedies.contains(&remedy) && (after.is_none() || said == after)) {
        return Ok(());
    }
    Err(Miss::new(wanted, self::end(end)))
}

/// Holds a token against the members that `conformance.json` or a scripted case expects.
pub(super) fn members(expected: &Value, token: &FlowToken) -> Result<(), Miss> {
    let told = exposed(token);
    let mut wanted = Vec::new();
    let mut got = Vec::new();
    for (name, value) in expected.as_object().into_iter().flatten() {
        let pairs: Vec<(String, &Value, Option<&Value>)> = match (value, told.get(name)) {
            // Of values and secrets the named ones count.
            (Value::Object(inner), Some(Value::Object(came))) => {
                inner.iter().map(|(key, value)| (format!("{name}.{key}"), value, came.get(key))).collect()
            }
            (value, came) => vec![(name.clone(), value, came)],
        };
        for (name, value, came) in pairs {
            let came = came.unwrap_or(&Value::Null);
            if value != came {
                wanted.push(format!("{name} {value}"));
                got.push(format!("{name} {came}"));
            }
        }
    }
    if wanted.is_empty() { Ok(()) } else { Err(Miss::new(wanted.join(", "), got.join(", "))) }
}

/// A token with its secrets, which are made up.
fn exposed(token: &FlowToken) -> Value {
    let copy = Ok(crate::flows::step::Step::Done(Box::new(token.clone())));
    told::exact(&copy).pointer("/outcome/done").cloned().unwrap_or_default()
}

/// An end in one line.
pub(super) fn end(end: &End) -> String {
    match end {
        End::Token(token) => {
            let access = token.access_token.as_ref().map_or("no access token", |_| "an access token");
            format!("a token ({access}, expires_in {:?})", token.expires_in)
        }
        End::Revoked => "revoked".to_owned(),
        End::Failed(failure) => {
            let (remedy, after) = told::remedy(failure.remedy);
            let after = after.map(|seconds| format!(" after {seconds} s")).unwrap_or_default();
            format!("the failure {}, {remedy}{after}: {}", failure.code, failure.message)
        }
        End::Fault(fault) => {
            let printed = fault.printed.trim();
            let printed = if printed.is_empty() { String::new() } else { format!("; it printed: {printed}") };
            format!("a fault of the component: {}{printed}", fault.fault)
        }
        End::Refused(message) => format!("a request that the host refuses: {message}"),
        End::Lost(message) => format!("a person who doesn't come back: {message}"),
        End::Impure(message) => message.clone(),
        End::Endless => format!("more than {MAX_STEPS} steps"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flows::step::{Failure, Remedy};

    fn token() -> FlowToken {
        FlowToken {
            access_token: Some(ACCESS.into()),
            refresh_token: Some(REFRESH.into()),
            token_type: Some("Bearer".to_owned()),
            expires_in: Some(3600),
            scope: Some("read write".to_owned()),
            ..FlowToken::default()
        }
    }

    fn ended(change: impl FnOnce(&mut FlowToken)) -> End {
        let mut token = token();
        change(&mut token);
        End::Token(Box::new(token))
    }

    #[test]
    fn tokens_are_held_member_by_member() {
        let check = |expect: Expect, end: End, miss: Option<(&str, &str)>| {
            let got = judge(expect, Purpose::Acquire, &end, false);
            let expected = miss.map_or(Ok(()), |(expected, got)| Err(Miss::new(expected, got)));
            assert_eq!(got, expected, "{expect:?}");
        };
        check(Expect::Token, ended(|_| {}), None);
        check(Expect::Token, ended(|token| token.token_type = None), None);
        check(
            Expect::Token,
            ended(|token| {
                token.token_type = Some("bearer".to_owned());
                token.expires_in = None;
            }),
            Some(("expires_in 3600, token_type Bearer", "expires_in absent, token_type bearer")),
        );
        check(
            Expect::NoLifetime,
            ended(|token| token.expires_in = Some(0)),
            Some(("expires_in absent", "expires_in 0")),
        );
        check(Expect::NoLifetime, ended(|token| token.expires_in = None), None);
        check(Expect::NoRefreshToken, ended(|token| token.refresh_token = None), None);
        check(
            Expect::SameRefreshToken,
            ended(|_| {}),
            Some(("refresh_token kit-refresh-before", "refresh_token kit-refresh-token")),
        );
        check(Expect::Token, End::Revoked, Some(("a token", "revoked")));
    }

    #[test]
    fn failures_are_held_by_their_remedy() {
        let failed =
            |remedy: Remedy| End::Failed(Failure { code: "no".to_owned(), message: "Never.".to_owned(), remedy });
        let expect = Expect::Failure { acquire: &["retry"], refresh: &["reacquire"], after: Some(7) };
        let check = |purpose: Purpose, remedy: Remedy, holds: bool| {
            assert_eq!(judge(expect, purpose, &failed(remedy), false).is_ok(), holds, "{purpose:?} {remedy:?}");
            assert!(judge(expect, purpose, &failed(remedy), true).is_ok());
        };
        check(Purpose::Acquire, Remedy::Retry(Some(7)), true);
        check(Purpose::Acquire, Remedy::Retry(None), false);
        check(Purpose::Acquire, Remedy::Reconfigure, false);
        check(Purpose::Refresh, Remedy::Retry(Some(7)), false);
        let miss = judge(expect, Purpose::Acquire, &End::Endless, true).unwrap_err();
        assert_eq!(miss, Miss::new("a failure with the remedy retry after 7 s", "more than 200 steps"));
    }

    #[test]
    fn members_that_are_named_count() {
        let mut token = token();
        token.values = vec![("instance_url".to_owned(), "https://x".to_owned())];
        token.secrets = vec![("cookie".to_owned(), "sid=1".into())];
        let check = |expected: Value, miss: Option<(&str, &str)>| {
            let expected_miss = miss.map_or(Ok(()), |(expected, got)| Err(Miss::new(expected, got)));
            assert_eq!(members(&expected, &token), expected_miss, "{expected}");
        };
        check(json!({}), None);
        check(
            json!({"access_token": ACCESS, "values": {"instance_url": "https://x"}, "secrets": {"cookie": "sid=1"}}),
            None,
        );
        check(json!({"refresh_expires_in": null}), None);
        check(json!({"expires_in": 60}), Some(("expires_in 60", "expires_in 3600")));
        check(json!({"secrets": {"csrf": "x"}}), Some(("secrets.csrf \"x\"", "secrets.csrf null")));
    }
}
