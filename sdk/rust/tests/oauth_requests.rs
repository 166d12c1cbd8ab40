//! The standard OAuth requests: the cases that all languages of the SDK share (`sdk/cases/oauth-requests.json`).
//! `UPDATE=1` writes what this one makes of them into the file, for a person to read before it is committed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use serde_json::Value;
use tokenhost_flow::prelude::*;

/// A flow of nothing but standard pieces.
struct Standard;

impl OAuthFlow for Standard {
    fn describe() -> Description {
        Description::new("standard", "1.0.0", "Standard")
            .handles("oauth2", "clientCredentials")
            .fields(oauth::fields::client())
            .field(oauth::fields::token_url())
            .fields(oauth::fields::target())
            .fields(oauth::fields::client_auth())
            .fields(oauth::fields::refresh())
    }

    fn request(context: &Context, purpose: Purpose) -> Result<Request, Failure> {
        oauth::request(context, purpose, form().text("grant_type", "client_credentials"))
    }
}

/// The request or the failure of an attempt with what a case sets.
fn outcome(case: &Value, purpose: Purpose) -> String {
    let mut harness = Harness::new::<Standard>().value("token_url", "https://id.example/token?tenant=7");
    for (name, value) in case["values"].as_object().into_iter().flatten() {
        harness = harness.value(name, value.as_str().unwrap());
    }
    for name in case["secrets"].as_array().into_iter().flatten() {
        harness = harness.secret(name.as_str().unwrap());
    }
    let run = harness.begin(purpose);
    match run.clone().outcome() {
        Ok(_) => run.request(),
        Err(_) => run.failure_line(),
    }
}

#[test]
fn shared_cases() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../cases/oauth-requests.json");
    let mut cases: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for case in cases["cases"].as_array_mut().unwrap() {
        for (key, purpose) in
            [("acquire", Purpose::Acquire), ("refresh", Purpose::Refresh), ("revoke", Purpose::Revoke)]
        {
            if case.get(key).is_none() {
                continue;
            }
            let got = outcome(case, purpose);
            if update {
                case[key] = got.into();
            } else if case[key] != got {
                wrong.push(format!("{case}\n  {key} gave {got}"));
            }
        }
    }
    if update {
        std::fs::write(path, serde_json::to_string_pretty(&cases).unwrap() + "\n").unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
