//! A flow's own scripted cases, `tests/cases/*.json`: the requests that it has to send, what is answered, and what comes out.
//!
//! A request is held as it arrives, secrets and signatures computed, so that a case proves what a provider would see.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::config::{AnswerSpec, Config, placed};
use super::judge::{self, Miss};
use super::provider::Seen;
use crate::flows::step::Purpose;
use crate::trial::told;
use crate::trial::walk::End;

/// One scripted case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What it is about, for people.
    #[serde(default)]
    pub about: String,
    /// What the attempt is for: `acquire`, `refresh` or `revoke`.
    #[serde(default = "acquire")]
    pub purpose: Purpose,
    /// The time of the first step, in seconds since the Unix epoch. What is signed or random is the same for the same time.
    #[serde(default)]
    pub now: Option<u64>,
    /// Values of fields that are no secrets, before those of `conformance.json`.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Values of secret fields; with `token.refresh_token` and its like, those of the present token.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// The requests and their answers, in order.
    #[serde(default)]
    pub exchanges: Vec<Exchange>,
    /// What comes out.
    pub expect: Outcome,
}

fn acquire() -> Purpose {
    Purpose::Acquire
}

/// A request that has to come, and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// What the request has to be.
    #[serde(default)]
    pub request: Wanted,
    /// What is answered.
    pub answer: AnswerSpec,
}

/// What a request has to be; what isn't there doesn't matter.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// `GET`, `POST`, …
    pub method: Option<String>,
    /// The path; `/NAME_OF_THE_FIELD` where no value says otherwise.
    pub path: Option<String>,
    /// The query's parameters, all of them.
    pub query: Option<BTreeMap<String, String>>,
    /// Headers; others may be there too. `null`: it must be absent.
    pub headers: BTreeMap<String, Option<String>>,
    /// The parameters of the form body, all of them.
    pub form: Option<BTreeMap<String, String>>,
    /// The JSON body.
    pub json: Option<Value>,
    /// The body as text.
    pub body: Option<String>,
}

/// What has to come out: one of these.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Outcome {
    /// A token with these members.
    Token(Value),
    /// A failure with these members: `code`, `remedy`, `retry_after`, and `message`, of which a part is enough.
    Failure(BTreeMap<String, Value>),
    /// The token is revoked.
    Revoked(bool),
}

impl Script {
    /// Reads a file's content.
    ///
    /// # Errors
    /// It isn't what the kit knows; says where.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| {
            format!(
                "{error}. A case has about, purpose, now, values, secrets, exchanges (each with request and answer) and expect \
                 (token, failure or revoked); docs/conformance.md tells of each"
            )
        })
    }

    /// The flow's configuration, with this case's values first.
    pub(super) fn config(&self, config: &Config) -> Config {
        let mut config = config.clone();
        config.values.extend(self.values.clone());
        config.secrets.extend(
            self.secrets
                .iter()
                .filter(|(name, _)| !name.starts_with("token."))
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        config
    }

    /// Holds what arrived and what came out against the case.
    pub(super) fn judge(&self, seen: &[Seen], end: &End, base: &str) -> Result<(), Miss> {
        for (number, exchange) in (1..).zip(&self.exchanges) {
            let Some(seen) = seen.get(number - 1) else {
                return Err(Miss::new(format!("request {number}"), judge::end(end)));
            };
            let misses = exchange.request.misses(seen, base);
            if !misses.is_empty() {
                let (expected, got): (Vec<String>, Vec<String>) = misses.into_iter().unzip();
                return Err(Miss::new(format!("request {number} with {}", expected.join(", ")), got.join(", ")));
            }
        }
        if seen.len() > self.exchanges.len() {
            let more = &seen[self.exchanges.len()];
            return Err(Miss::new(
                format!("{} requests", self.exchanges.len()),
                format!("one more: {} {}", more.method, more.path),
            ));
        }
        match (&self.expect, end) {
            (Outcome::Token(members), End::Token(token)) => judge::members(&at(members, base), token),
            (Outcome::Revoked(true), End::Revoked) => Ok(()),
            (Outcome::Failure(members), End::Failed(failure)) => {
                let (remedy, after) = told::remedy(failure.remedy);
                let told = [
                    ("code", Value::from(failure.code.as_str())),
                    ("message", failure.message.as_str().into()),
                    ("remedy", remedy.into()),
                    ("retry_after", after.into()),
                ];
                let holds = members.iter().all(|(name, wanted)| {
                    let came = told.iter().find(|(known, _)| known == name).map(|(_, value)| value);
                    match (name.as_str(), wanted.as_str(), came.and_then(Value::as_str)) {
                        ("message", Some(part), Some(message)) => message.contains(part),
                        _ => came == Some(wanted),
                    }
                });
                let wanted = serde_json::to_string(members).unwrap_or_default();
                if holds { Ok(()) } else { Err(Miss::new(format!("the failure {wanted}"), judge::end(end))) }
            }
            (Outcome::Token(_), end) => Err(Miss::new("a token", judge::end(end))),
            (Outcome::Failure(_), end) => Err(Miss::new("a failure", judge::end(end))),
            (Outcome::Revoked(_), end) => Err(Miss::new("revoked", judge::end(end))),
        }
    }
}

/// A document with the provider's URL in the place of `{provider}`.
fn at(document: &Value, base: &str) -> Value {
    serde_json::from_str(&placed(&document.to_string(), base)).unwrap_or_default()
}

impl Wanted {
    /// What isn't as wanted: what was expected, and what came.
    fn misses(&self, seen: &Seen, base: &str) -> Vec<(String, String)> {
        let mut misses = Vec::new();
        let mut hold = |name: &str, wanted: String, came: String| {
            if wanted != came {
                misses.push((format!("{name} {wanted}"), format!("{name} {came}")));
            }
        };
        if let Some(method) = &self.method {
            hold("method", method.clone(), seen.method.clone());
        }
        if let Some(path) = &self.path {
            hold("path", path.clone(), seen.path.clone());
        }
        if let Some(query) = &self.query {
            hold("query", pairs(query, base), self::seen(&seen.query));
        }
        for (name, wanted) in &self.headers {
            let came = seen.header(&name.to_ascii_lowercase());
            let text = |value: Option<&str>| value.map_or_else(|| "absent".to_owned(), str::to_owned);
            hold(
                &format!("header {name}"),
                text(wanted.as_ref().map(|value| placed(value, base)).as_deref()),
                text(came),
            );
        }
        if let Some(form) = &self.form {
            hold("form", pairs(form, base), self::seen(&seen.form()));
        }
        let body = String::from_utf8_lossy(&seen.body);
        if let Some(json) = &self.json {
            let came: Value = serde_json::from_str(&body).unwrap_or_else(|_| Value::from(body.as_ref()));
            if at(json, base) != came {
                hold("json", at(json, base).to_string(), came.to_string());
            }
        }
        if let Some(wanted) = &self.body {
            hold("body", placed(wanted, base), body.into_owned());
        }
        misses
    }
}

/// Parameters in order of their names.
fn pairs(pairs: &BTreeMap<String, String>, base: &str) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", placed(value, base))).collect();
    pairs.join("&")
}

fn seen(pairs: &[(String, String)]) -> String {
    let mut pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.sort();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::step::{Failure, FlowToken, Remedy};

    fn script(text: &str) -> Script {
        Script::parse(text).unwrap()
    }

    #[test]
    fn requests_and_outcomes_are_held() {
        let seen = Seen {
            method: "POST".to_owned(),
            path: "/token_url".to_owned(),
            query: vec![],
            headers: vec![("x-key".to_owned(), "k".to_owned())],
            body: b"b=2&a=1".to_vec(),
        };
        let token = End::Token(Box::new(FlowToken { access_token: Some("t".into()), ..FlowToken::default() }));
        let check = |request: &str, expected: Result<(), &str>| {
            let text = format!(
                r#"{{"exchanges":[{{"request":{request},"answer":{{}}}}],"expect":{{"token":{{"access_token":"t"}}}}}}"#
            );
            let got = script(&text).judge(std::slice::from_ref(&seen), &token, "http://kit");
            match (got, expected) {
                (Ok(()), Ok(())) => {}
                (Err(miss), Err(part)) => assert!(format!("{miss:?}").contains(part), "{miss:?}"),
                (got, _) => panic!("{request}: {got:?}"),
            }
        };
        check("{}", Ok(()));
        check(
            r#"{"method":"POST","path":"/token_url","query":{},"headers":{"X-Key":"k","y":null},"form":{"a":"1","b":"2"}}"#,
            Ok(()),
        );
        check(r#"{"method":"GET"}"#, Err("method GET"));
        check(r#"{"form":{"a":"1"}}"#, Err("form a=1&b=2"));
        check(r#"{"headers":{"x-key":null}}"#, Err("header x-key absent"));
        check(r#"{"json":{"a":1}}"#, Err("json {"));
        check(r#"{"body":"b=2&a=1"}"#, Ok(()));
    }

    #[test]
    fn failures_by_the_members_that_are_named() {
        let end = End::Failed(Failure {
            code: "locked".to_owned(),
            message: "The account is locked.".to_owned(),
            remedy: Remedy::Retry(Some(5)),
        });
        let check = |expect: &str, holds: bool| {
            let got = script(&format!(r#"{{"expect":{expect}}}"#)).judge(&[], &end, "");
            assert_eq!(got.is_ok(), holds, "{expect}: {got:?}");
        };
        check(r#"{"failure":{"code":"locked","remedy":"retry","retry_after":5,"message":"is locked"}}"#, true);
        check(r#"{"failure":{}}"#, true);
        check(r#"{"failure":{"remedy":"reacquire"}}"#, false);
        check(r#"{"failure":{"nope":1}}"#, false);
        check(r#"{"token":{}}"#, false);
        assert!(Script::parse(r#"{"expects":{}}"#).unwrap_err().contains("exchanges"));
    }
}
