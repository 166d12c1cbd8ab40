//! The grants in which a person takes part: the cases that all languages of the SDK share (`sdk/cases/oauth-person.json`).
//! `UPDATE=1` writes what this one makes of them into the file, for a person to read before it is committed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use serde_json::Value;
use tokenhost_flow::harness::{Run, response};
use tokenhost_flow::oauth::{authorize, device};
use tokenhost_flow::prelude::*;
use tokenhost_flow::types::{Answered, Returned, Unanswered};

/// The authorization-code grant.
struct Code;

impl Flow for Code {
    fn describe() -> Description {
        standard(Description::new("code", "1.0.0", "Code").field(authorize::authorization_url()))
            .fields(authorize::authorize())
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        authorize::advance(context, event)
    }
}

/// Device authorization.
struct Device;

impl Flow for Device {
    fn describe() -> Description {
        standard(Description::new("device", "1.0.0", "Device").field(device::device_authorization_url()))
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        device::advance(context, event)
    }
}

/// The standard fields.
fn standard(description: Description) -> Description {
    description
        .fields(oauth::fields::client())
        .field(oauth::fields::token_url())
        .fields(oauth::fields::target())
        .fields(oauth::fields::client_auth())
        .fields(oauth::fields::refresh())
        .field(oauth::fields::revocation_url())
}

/// What a step came to, as text.
fn shown(run: &Run) -> String {
    match run.clone().outcome() {
        Ok(Step::Send(_)) => run.request(),
        Ok(Step::Redirect(redirect)) => format!("redirect {}", redirect.url),
        Ok(Step::Wait(wait)) => match wait.prompt {
            None => format!("wait {}", wait.seconds),
            Some(prompt) => {
                let (url, code) = (prompt.url.unwrap_or_default(), prompt.code.unwrap_or_default());
                format!("wait {} | {} | {url} | {code}", wait.seconds, prompt.message)
            }
        },
        Ok(Step::Done(token)) => format!("token {}", token.access_token.unwrap_or_default()),
        Ok(Step::Revoked) => "revoked".into(),
        Err(_) => run.clone().failure_line(),
    }
}

/// The event that a case names.
fn event(named: &Value, state: String) -> Event {
    let text = |name: &str| named[name].as_str().unwrap().to_owned();
    if let Some(status) = named.get("status") {
        let response = response(u16::try_from(status.as_u64().unwrap()).unwrap(), &[], text("body"));
        Event::Answered(Answered { state, response })
    } else if named.get("unanswered").is_some() {
        Event::Unanswered(Unanswered { state, left: true, reason: text("unanswered") })
    } else if let Some(query) = named.get("returned") {
        let pair = |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned());
        Event::Returned(Returned { state, query: query.as_array().unwrap().iter().map(pair).collect() })
    } else {
        Event::Elapsed(state)
    }
}

/// What each step of a case comes to.
fn steps<F: Flow>(case: &Value) -> Vec<String> {
    let mut harness = Harness::new::<F>().context(|context| {
        context.entropy = (0..32).collect();
        if case["flow"] == "code" && case.get("no_callback").is_none() {
            context.callback_url = Some("https://host.example/v1/callback".into());
            context.return_key = Some("key 1".into());
        }
    });
    for (name, value) in case["values"].as_object().into_iter().flatten() {
        harness = harness.value(name, value.as_str().unwrap());
    }
    for name in case["secrets"].as_array().into_iter().flatten() {
        harness = harness.secret(name.as_str().unwrap());
    }
    let purpose = match case["purpose"].as_str() {
        Some("refresh") => Purpose::Refresh,
        Some("revoke") => Purpose::Revoke,
        _ => Purpose::Acquire,
    };
    let mut run = harness.clone().begin(purpose);
    let mut steps = vec![shown(&run)];
    for named in case["events"].as_array().into_iter().flatten() {
        let later = named.get("later").and_then(Value::as_u64).unwrap_or_default();
        let harness = harness.clone().context(|context| context.now += later);
        run = harness.step(event(named, run.state().to_owned()));
        steps.push(shown(&run));
    }
    steps
}

#[test]
fn shared_cases() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../cases/oauth-person.json");
    let mut cases: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for case in cases["cases"].as_array_mut().unwrap() {
        let got = Value::from(if case["flow"] == "code" { steps::<Code>(case) } else { steps::<Device>(case) });
        if update {
            case["steps"] = got;
        } else if case["steps"] != got {
            wrong.push(format!("{case}\n  gave {got}"));
        }
    }
    if update {
        std::fs::write(path, serde_json::to_string_pretty(&cases).unwrap() + "\n").unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
