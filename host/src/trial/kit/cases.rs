//! The cases of the kit: what the provider answers to the token request, and what a flow has to make of it.
//!
//! One row each. How a row runs is in `run`, how an outcome is judged in `judge`.

use serde_json::json;

use super::answers::{
    ACCESS, REFRESH, REFRESH_BEFORE, answer, as_form, bytes, error, gzip, json_answer, ordinary, with,
};
use super::provider::Reply;

/// Which attempts a case is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// Both that acquire and that refresh.
    Both,
    /// Only those that refresh.
    Refresh,
    /// Only flows that ask for a device code.
    Device,
}

/// What has to come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// The ordinary token: access token, `expires_in` 3600, the new refresh token, scope `read write`, type `Bearer`.
    Token,
    /// The ordinary token, of which nothing is known of the lifetime.
    NoLifetime,
    /// The ordinary token without a refresh token, so that the old one stays.
    NoRefreshToken,
    /// The ordinary token with the refresh token of before.
    SameRefreshToken,
    /// A failure, by the remedy that each purpose asks for.
    Failure {
        /// What a flow may say when it acquires.
        acquire: &'static [&'static str],
        /// What it may say when it refreshes.
        refresh: &'static [&'static str],
        /// The seconds of `Retry-After` that it has to pass on.
        after: Option<u32>,
    },
}

/// What else is special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    /// Nothing.
    None,
    /// The token URL has a query of its own, which has to arrive.
    Query,
    /// The host's patience is short.
    Impatient,
    /// A device flow is told to wait twice, the second time to slow down.
    Pending,
}

/// One case.
pub(super) struct Case {
    /// Its name, for `--only`.
    pub(super) name: &'static str,
    /// What the provider does, for people.
    pub(super) about: &'static str,
    /// Which attempts it is for.
    pub(super) on: On,
    /// The answer to the token request.
    pub(super) reply: fn() -> Reply,
    /// What has to come out.
    pub(super) expect: Expect,
    /// What else is special.
    pub(super) special: Special,
}

/// The request was judged: a person has to see to it, and a refresh may be tried as an acquisition.
const JUDGED: Expect =
    Expect::Failure { acquire: &["reconfigure"], refresh: &["reacquire", "reconfigure"], after: None };

/// The provider or the way to it failed: later it may work.
const PASSING: Expect = Expect::Failure { acquire: &["retry"], refresh: &["retry"], after: None };

/// The answer is no answer of a token endpoint.
const NONSENSE: Expect = Expect::Failure {
    acquire: &["reconfigure", "retry"],
    refresh: &["retry", "reacquire", "reconfigure"],
    after: None,
};

/// A case for both purposes.
const fn case(name: &'static str, about: &'static str, reply: fn() -> Reply, expect: Expect) -> Case {
    Case { name, about, on: On::Both, reply, expect, special: Special::None }
}

/// A case for refreshes.
const fn refresh(name: &'static str, about: &'static str, reply: fn() -> Reply, expect: Expect) -> Case {
    Case { name, about, on: On::Refresh, reply, expect, special: Special::None }
}

/// A case for device flows.
const fn device(name: &'static str, about: &'static str, reply: fn() -> Reply, expect: Expect) -> Case {
    Case { name, about, on: On::Device, reply, expect, special: Special::None }
}

/// A case with something special.
const fn special(special: Special, case: Case) -> Case {
    Case { special, ..case }
}

/// The ordinary answer as text.
fn body() -> String {
    ordinary().to_string()
}

/// All cases, in the order in which they run. `ordinary` is the first: where it fails, the others say little.
pub(super) const CASES: &[Case] = &[
    case("ordinary", "an ordinary token response", || json_answer(200, &ordinary()), Expect::Token),
    case("number-as-string", "expires_in as a string", || with("expires_in", Some(json!("3600"))), Expect::Token),
    case("expires-missing", "no expires_in", || with("expires_in", None), Expect::NoLifetime),
    case("expires-null", "expires_in is null", || with("expires_in", Some(json!(null))), Expect::NoLifetime),
    case("expires-zero", "expires_in is 0", || with("expires_in", Some(json!(0))), Expect::NoLifetime),
    case("expires-negative", "expires_in is -1", || with("expires_in", Some(json!(-1))), Expect::NoLifetime),
    case("error-with-200", "an error body with status 200", || error(200, "invalid_grant"), JUDGED),
    case("error-empty", "an empty error beside the token", || with("error", Some(json!(""))), Expect::Token),
    case(
        "form",
        "form-encoded instead of JSON",
        || answer(200, &[("content-type", "application/x-www-form-urlencoded")], as_form()),
        Expect::Token,
    ),
    case("text-plain", "JSON as text/plain", || answer(200, &[("content-type", "text/plain")], body()), Expect::Token),
    case(
        "form-as-text",
        "form-encoded as text/plain",
        || answer(200, &[("content-type", "text/plain; charset=utf-8")], as_form()),
        Expect::Token,
    ),
    case("no-content-type", "JSON without a content type", || answer(200, &[], body()), Expect::Token),
    case(
        "byte-order-mark",
        "JSON after a byte order mark",
        || answer(200, &[("content-type", "application/json")], format!("\u{feff}{}", body())),
        Expect::Token,
    ),
    case(
        "gzip",
        "compressed by gzip",
        || answer(200, &[("content-type", "application/json"), ("content-encoding", "gzip")], gzip(&body())),
        Expect::Token,
    ),
    case(
        "html-error",
        "an HTML page with status 502",
        || answer(502, &[("content-type", "text/html")], "<html><body><h1>Bad Gateway</h1></body></html>"),
        PASSING,
    ),
    case(
        "html-login",
        "an HTML page with status 200",
        || answer(200, &[("content-type", "text/html")], "<!DOCTYPE html><html><form>Log in</form></html>"),
        NONSENSE,
    ),
    case("error-without-body", "status 401 with an empty body", || answer(401, &[], ""), JUDGED),
    case("empty", "status 200 with an empty body", || answer(200, &[], ""), NONSENSE),
    case(
        "nested",
        "the token two objects deeper",
        || json_answer(200, &json!({"status": "ok", "data": {"token": ordinary()}})),
        Expect::Token,
    ),
    case("bearer-lower-case", "token_type bearer", || with("token_type", Some(json!("bearer"))), Expect::Token),
    case("large", "1 MiB", || with("padding", Some(json!("x".repeat(1 << 20)))), Expect::Token),
    case("scope-array", "scope as an array", || with("scope", Some(json!(["read", "write"]))), Expect::Token),
    case("scope-commas", "scope with commas", || with("scope", Some(json!("read,write"))), Expect::Token),
    case(
        "unknown-members",
        "members that no RFC knows",
        || with("id_token", Some(json!({"a": [1, null, {"b": true}], "expires": "never"}))),
        Expect::Token,
    ),
    special(
        Special::Query,
        case("url-with-query", "a token URL with a query", || json_answer(200, &ordinary()), Expect::Token),
    ),
    case("created", "status 201", || json_answer(201, &ordinary()), Expect::Token),
    refresh("refresh-omitted", "no refresh_token", || with("refresh_token", None), Expect::NoRefreshToken),
    refresh(
        "refresh-same",
        "the same refresh token again",
        || with("refresh_token", Some(json!(REFRESH_BEFORE))),
        Expect::SameRefreshToken,
    ),
    refresh("refresh-rotated", "a new refresh token", || with("refresh_token", Some(json!(REFRESH))), Expect::Token),
    refresh(
        "refresh-expired",
        "the refresh token is expired",
        || error(400, "invalid_grant"),
        Expect::Failure { acquire: &[], refresh: &["reacquire"], after: None },
    ),
    case("unauthorized", "401 invalid_client", || error(401, "invalid_client"), JUDGED),
    case("forbidden", "400 unauthorized_client", || error(400, "unauthorized_client"), JUDGED),
    case(
        "too-many",
        "429 with Retry-After: 7",
        || answer(429, &[("retry-after", "7"), ("content-type", "application/json")], r#"{"error":"slow_down"}"#),
        Expect::Failure { acquire: &["retry"], refresh: &["retry"], after: Some(7) },
    ),
    case("server-error", "500", || error(500, "server_error"), PASSING),
    case(
        "unavailable",
        "503 with Retry-After: 30",
        || answer(503, &[("retry-after", "30")], ""),
        Expect::Failure { acquire: &["retry"], refresh: &["retry"], after: Some(30) },
    ),
    case(
        "slow",
        "an answer in four pieces",
        || Reply::Pieces(bytes(200, &[("content-type", "application/json")], body().as_bytes())),
        Expect::Token,
    ),
    special(Special::Impatient, case("silent", "no answer at all", || Reply::Silence, PASSING)),
    case(
        "malformed",
        "JSON that breaks off",
        || answer(200, &[("content-type", "application/json")], r#"{"access_token":"kit-acc"#),
        NONSENSE,
    ),
    case(
        "truncated",
        "a connection that breaks off",
        || {
            let mut whole = bytes(200, &[("content-type", "application/json")], body().as_bytes());
            whole.truncate(whole.len() - 20);
            Reply::Bytes(whole)
        },
        PASSING,
    ),
    case("not-http", "something that isn't HTTP", || Reply::Bytes(b"SSH-2.0-kit\r\n".to_vec()), PASSING),
    case("redirect", "a redirect to a login page", || answer(302, &[("location", "/login")], ""), NONSENSE),
    case("without-token", "JSON without an access token", || with("access_token", None), NONSENSE),
    case(
        "token-of-two-lines",
        "a line break in the access token",
        || with("access_token", Some(json!(format!("{ACCESS}\r\nset-cookie: a=b")))),
        NONSENSE,
    ),
    case("array", "JSON, but a list of numbers", || json_answer(200, &json!([1, 2, 3])), NONSENSE),
    special(
        Special::Pending,
        device("device-pending", "not yet, then slower, then a token", || json_answer(200, &ordinary()), Expect::Token),
    ),
    device(
        "device-denied",
        "the person says no",
        || error(400, "access_denied"),
        Expect::Failure { acquire: &["reconfigure", "reacquire"], refresh: &[], after: None },
    ),
    device(
        "device-expired",
        "the device code is expired",
        || error(400, "expired_token"),
        Expect::Failure { acquire: &["reconfigure", "reacquire", "retry"], refresh: &[], after: None },
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_every_answer_can_be_made() {
        let names: BTreeSet<&str> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
        for case in CASES {
            if let Reply::Bytes(bytes) | Reply::Pieces(bytes) = (case.reply)() {
                assert!(!bytes.is_empty(), "{}", case.name);
            }
        }
    }
}
