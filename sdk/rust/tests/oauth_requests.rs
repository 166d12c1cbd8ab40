//! The standard OAuth fields and requests: the cases that all languages of the SDK share (`sdk/cases/oauth-requests.json`).
//! `UPDATE=1` writes what this one makes of them into the file, for a person to read before it is committed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokenhost_flow::flow::{self, Flow};
use tokenhost_flow::harness::{Run, response};
use tokenhost_flow::oauth::{authorize, device, discovery};
use tokenhost_flow::prelude::*;
use tokenhost_flow::types::{FieldKind, Requirement};

/// A flow of nothing but standard pieces.
struct Standard;

impl OAuthFlow for Standard {
    fn describe() -> Description {
        standard(Description::new("standard", "1.0.0", "Standard"), oauth::fields::token_url())
    }

    fn request(context: &Context, purpose: Purpose) -> Result<Request, Failure> {
        let grant = match context.value("username") {
            Some(_) if purpose == Purpose::Acquire => oauth::grants::password(context)?,
            _ => oauth::grants::client_credentials(),
        };
        oauth::request(context, purpose, grant)
    }
}

/// The same behind discovery.
struct Discovered;

impl Flow for Discovered {
    fn describe() -> Description {
        let description = Description::new("discovered", "1.0.0", "Discovered").field(discovery::metadata_url());
        standard(description, Field::url("token_url", "Token URL"))
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        discovery::advance(context, event, |context, event| {
            flow::advance(context, event, <Standard as OAuthFlow>::request)
        })
    }
}

/// The standard fields.
fn standard(description: Description, token_url: Field) -> Description {
    description
        .fields(oauth::fields::client())
        .field(Field::text("username", "User name"))
        .field(Field::secret("password", "Password"))
        .field(token_url)
        .fields(oauth::fields::target())
        .fields(oauth::fields::client_auth())
        .fields(oauth::fields::refresh())
        .field(oauth::fields::revocation_url())
}

/// The purposes, as the cases name them.
const PURPOSES: [(&str, Purpose); 3] =
    [("acquire", Purpose::Acquire), ("refresh", Purpose::Refresh), ("revoke", Purpose::Revoke)];

/// An integration with what a case sets.
fn integration<F: Flow>(case: &Value) -> Harness {
    let mut harness = Harness::new::<F>().context(|context| context.entropy = (0..32).collect());
    for (name, value) in case["values"].as_object().into_iter().flatten() {
        harness = harness.value(name, value.as_str().unwrap());
    }
    for name in case["secrets"].as_array().into_iter().flatten() {
        harness = harness.secret(name.as_str().unwrap());
    }
    harness
}

/// The request or the failure.
fn outcome(run: &Run) -> String {
    match run.clone().outcome() {
        Ok(_) => run.request(),
        Err(_) => run.clone().failure_line(),
    }
}

/// What one request comes to.
fn request(case: &Value, purpose: Purpose) -> Value {
    let mut case = case.clone();
    if case["values"].get("token_url").is_none() {
        case["values"]["token_url"] = "https://id.example/token?tenant=7".into();
    }
    outcome(&integration::<Standard>(&case).begin(purpose)).into()
}

/// What the request for the metadata comes to, and the one after the answer.
fn discovered(case: &Value, purpose: Purpose) -> Value {
    let first = integration::<Discovered>(case).begin(purpose);
    if first.clone().outcome().is_err() {
        return json!([outcome(&first)]);
    }
    let metadata = &case["metadata"];
    let after = match metadata.get("unanswered").and_then(Value::as_str) {
        Some(reason) => first.clone().unanswered(true, reason),
        None => {
            let text = |name: &str| metadata.get(name).map(|value| value.as_str().unwrap());
            let body = match (metadata.get("document"), text("base64")) {
                (Some(document), _) => document.to_string().into_bytes(),
                (None, Some(encoded)) => STANDARD.decode(encoded).unwrap(),
                (None, None) => text("body").unwrap().into(),
            };
            let status = metadata["status"].as_u64().unwrap_or(200);
            first.clone().answer_with(response(u16::try_from(status).unwrap(), &[], body))
        }
    };
    json!([outcome(&first), outcome(&after)])
}

/// A field as the cases have it.
fn field(field: &Field) -> Value {
    let required = match &field.required {
        Requirement::Always => json!(true),
        Requirement::Never => json!(false),
        Requirement::When(condition) => json!({"field": condition.field, "one_of": condition.one_of}),
    };
    let (kind, choices) = match &field.kind {
        FieldKind::Text => ("text", None),
        FieldKind::Secret => ("secret", None),
        FieldKind::Url => ("url", None),
        FieldKind::MetadataUrl => ("metadata-url", None),
        FieldKind::Choice(choices) => ("choice", Some(choices)),
        FieldKind::Flag => ("flag", None),
        FieldKind::Words => ("words", None),
    };
    json!({
        "name": field.name, "title": field.title, "help": field.help, "kind": kind, "choices": choices,
        "required": required, "default": field.default, "source": field.source,
    })
}

/// What a case comes to.
type Made = fn(&Value, Purpose) -> Value;

#[test]
fn shared_cases() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../cases/oauth-requests.json");
    let mut cases: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let groups: [(&str, Made); 2] = [("cases", request), ("discovery", discovered)];
    for (group, run) in groups {
        for case in cases[group].as_array_mut().unwrap() {
            let mut count = 0;
            for (key, purpose) in PURPOSES {
                if case.get(key).is_none() {
                    continue;
                }
                count += 1;
                let got = run(case, purpose);
                if update {
                    case[key] = got;
                } else if case[key] != got {
                    wrong.push(format!("{case}\n  {key} gave {got}"));
                }
            }
            assert!(count > 0, "no outcome is named for {case}");
        }
    }
    let mut fields = <Discovered as Flow>::describe().fields;
    fields.push(authorize::authorization_url());
    fields.extend(authorize::authorize());
    fields.push(device::device_authorization_url());
    let fields: Vec<Value> = fields.iter().map(field).collect();
    if update {
        cases["fields"] = fields.into();
        std::fs::write(path, serde_json::to_string_pretty(&cases).unwrap() + "\n").unwrap();
    } else if cases["fields"] != Value::from(fields) {
        wrong.push("the fields are others than the file says".into());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
