//! Steps and their outcomes as JSON: exact, to compare them here, or without what nobody may read, to keep and show them.
//!
//! Of secret texts the second form has length and digest. The flow's state is left out of it: a state is a build's own affair.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::egress::RequestRecord;
use crate::flows::request::{Derived, Request};
use crate::flows::step::{Failure, FlowToken, Remedy, Step, Wait};

/// An outcome with all that is in it. Holds secrets: it is compared and thrown away.
pub(super) fn exact(outcome: &Result<Step, Failure>) -> Value {
    let value = tell(outcome, &|secret| secret.expose_secret().into());
    let (sensitive, state) = match outcome {
        Ok(Step::Send(request, state)) => (sensitive(request), Some(state)),
        Ok(Step::Wait(Wait { state, .. }) | Step::Redirect(_, state)) => (Vec::new(), Some(state)),
        _ => (Vec::new(), None),
    };
    json!({"outcome": value, "state": state.map(|state| state.expose_secret()), "sensitive": sensitive})
}

/// An outcome as it may be kept: secret texts as length and digest, no state. Not cleaned of what a provider echoed.
pub fn outcome(outcome: &Result<Step, Failure>) -> Value {
    tell(outcome, &digest)
}

/// What is kept of a secret text.
fn digest(secret: &SecretString) -> Value {
    let bytes = secret.expose_secret().as_bytes();
    format!("[{} bytes, sha256 {}]", bytes.len(), hex::encode(&Sha256::digest(bytes)[..4])).into()
}

fn tell(outcome: &Result<Step, Failure>, secret: &dyn Fn(&SecretString) -> Value) -> Value {
    match outcome {
        Ok(Step::Send(request, _)) => json!({"send": self::request(request)}),
        Ok(Step::Wait(wait)) => {
            let prompt = wait
                .prompt
                .as_ref()
                .map(|prompt| json!({"message": prompt.message, "url": prompt.url, "code": prompt.code}));
            json!({"wait": {"seconds": wait.seconds, "prompt": prompt}})
        }
        Ok(Step::Redirect(url, _)) => json!({"redirect": url}),
        Ok(Step::Done(token)) => json!({"done": self::token(token, secret)}),
        Ok(Step::Revoked) => json!("revoked"),
        Err(failure) => {
            let (remedy, after) = remedy(failure.remedy);
            json!({"failed": {"code": failure.code, "message": failure.message, "remedy": remedy, "retry_after": after}})
        }
    }
}

/// A remedy's name, and the seconds after which a retry makes sense.
pub fn remedy(remedy: Remedy) -> (&'static str, Option<u32>) {
    match remedy {
        Remedy::Retry(after) => ("retry", after),
        Remedy::Reacquire => ("reacquire", None),
        Remedy::Reconfigure => ("reconfigure", None),
    }
}

/// A request, names of secrets in their places, and how its derived values are computed.
fn request(request: &Request) -> Value {
    let derived: Vec<String> = request.derived.iter().map(self::derived).collect();
    let mut told = json!(RequestRecord::outline(request));
    told["url"] = request.url.clone().into();
    told["derived"] = derived.into();
    told
}

/// How a derived value is computed. `Debug` hides sensitive text and nothing else.
fn derived(derived: &Derived) -> String {
    format!("{} = {:?}", derived.name, derived.value)
}

/// A token.
fn token(token: &FlowToken, secret: &dyn Fn(&SecretString) -> Value) -> Value {
    let secrets: Map<String, Value> = token.secrets.iter().map(|(name, value)| (name.clone(), secret(value))).collect();
    let values: Map<String, Value> =
        token.values.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let placements: Vec<String> = token.placing.placements.iter().map(|placement| format!("{placement:?}")).collect();
    json!({
        "access_token": token.access_token.as_ref().map(secret),
        "refresh_token": token.refresh_token.as_ref().map(secret),
        "token_type": token.token_type,
        "expires_in": token.expires_in,
        "expires_at": token.expires_at,
        "refresh_expires_in": token.refresh_expires_in,
        "scope": token.scope,
        "values": values,
        "secrets": secrets,
        "placements": placements,
        "derived": token.placing.derived.iter().map(self::derived).collect::<Vec<_>>(),
        "signer": token.placing.signer.as_ref().map(|signer| format!("{signer:?}")),
    })
}

/// The sensitive texts of a request, in order.
fn sensitive(request: &Request) -> Vec<String> {
    request.sensitive().map(|text| text.expose_secret().to_owned()).collect()
}

/// The lines in which two JSON values differ: `- ` what was, `+ ` what is, each after the path of its member.
pub fn difference(was: &Value, is: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", was, is, &mut lines);
    lines
}

fn compare(path: &str, was: &Value, is: &Value, lines: &mut Vec<String>) {
    match (was, is) {
        (Value::Object(old), Value::Object(new)) => {
            let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                member(&path, old.get(name), new.get(name), lines);
            }
        }
        (Value::Array(old), Value::Array(new)) if named(old) && named(new) => {
            // Headers and parameters: what counts is the name; where the order alone differs, that is told.
            let names = |pairs: &[Value]| pairs.iter().map(|pair| pair["name"].clone()).collect::<Vec<_>>();
            let (old_names, new_names) = (names(old), names(new));
            if old_names == new_names {
                for (old, new) in old.iter().zip(new) {
                    let path = format!("{path}.{}", old["name"].as_str().unwrap_or_default());
                    compare(&path, &old["value"], &new["value"], lines);
                }
                return;
            }
            let before = lines.len();
            for pair in old.iter().filter(|pair| !new.contains(pair)) {
                lines.push(format!("- {path}: {}", shown_pair(pair)));
            }
            for pair in new.iter().filter(|pair| !old.contains(pair)) {
                lines.push(format!("+ {path}: {}", shown_pair(pair)));
            }
            if lines.len() == before {
                lines.push(format!("- {path}: {}", Value::Array(old_names)));
                lines.push(format!("+ {path}: {}", Value::Array(new_names)));
            }
        }
        _ if was == is => {}
        _ => member(path, Some(was), Some(is), lines),
    }
}

fn member(path: &str, was: Option<&Value>, is: Option<&Value>, lines: &mut Vec<String>) {
    match (was, is) {
        (Some(was), Some(is)) if (was.is_object() && is.is_object()) || (was.is_array() && is.is_array()) => {
            if was.is_array()
                && !(was.as_array().is_some_and(|all| named(all)) && is.as_array().is_some_and(|all| named(all)))
            {
                if was != is {
                    lines.push(format!("- {path}: {was}"));
                    lines.push(format!("+ {path}: {is}"));
                }
                return;
            }
            compare(path, was, is, lines);
        }
        (was, is) => {
            let absent = Value::Null;
            let (was, is) = (was.unwrap_or(&absent), is.unwrap_or(&absent));
            if was == is {
                return;
            }
            if !was.is_null() {
                lines.push(format!("- {path}: {}", shown(was)));
            }
            if !is.is_null() {
                lines.push(format!("+ {path}: {}", shown(is)));
            }
        }
    }
}

/// Whether these are pairs of a name and a value.
fn named(values: &[Value]) -> bool {
    values.iter().all(|value| value.get("name").is_some() && value.get("value").is_some())
}

fn shown_pair(pair: &Value) -> String {
    format!("{}={}", shown(&pair["name"]), shown(&pair["value"]))
}

/// A value in one line: strings without quotes.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_place() {
        let check =
            |was: Value, is: Value, expected: &[&str]| assert_eq!(difference(&was, &is), expected, "{was} {is}");
        check(json!({"a": 1}), json!({"a": 1}), &[]);
        check(json!({"send": {"url": "a"}}), json!({"send": {"url": "b"}}), &["- send.url: a", "+ send.url: b"]);
        check(json!({"done": {}}), json!({"failed": {"code": "x"}}), &["- done: {}", "+ failed: {\"code\":\"x\"}"]);
        check(json!("revoked"), json!({"a": 1}), &["- : revoked", "+ : {\"a\":1}"]);
        let form = |pairs: &[(&str, &str)]| {
            let pairs: Vec<Value> = pairs.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
            json!({"form": pairs})
        };
        check(form(&[("a", "1"), ("b", "2")]), form(&[("a", "1"), ("b", "3")]), &["- form.b: 2", "+ form.b: 3"]);
        check(form(&[("a", "1")]), form(&[("a", "1"), ("b", "2")]), &["+ form: b=2"]);
        check(
            form(&[("a", "1"), ("b", "2")]),
            form(&[("b", "2"), ("a", "1")]),
            &[r#"- form: ["a","b"]"#, r#"+ form: ["b","a"]"#],
        );
        check(json!({"l": ["x"]}), json!({"l": ["y"]}), &[r#"- l: ["x"]"#, r#"+ l: ["y"]"#]);
    }

    #[test]
    fn what_is_kept_has_no_secret() {
        let token = FlowToken {
            access_token: Some("hunter2-access".into()),
            secrets: vec![("cookie".to_owned(), "hunter2-cookie".into())],
            ..FlowToken::default()
        };
        let step = Ok(Step::Done(Box::new(token)));
        let kept = outcome(&step).to_string();
        assert!(!kept.contains("hunter2") && kept.contains("[14 bytes, sha256 "), "{kept}");
        assert!(exact(&step).to_string().contains("hunter2-cookie"));
    }
}
