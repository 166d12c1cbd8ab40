//! How an integration's service is called, as a form: limits, the rest that it is given, what means a refusal. What is right, the
//! API says.

use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use minijinja::context;
use serde_json::{Map, Value, json};

use super::Console;
use super::change::number;
use super::fields::Fields;
use super::integrations::{at, in_api, values};
use super::page::Page;
use super::visit::Visit;

/// What stands between two schemes that are used together.
const TOGETHER: char = '+';

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/integrations/{integration}/calls", post(save))
}

async fn save(visit: Visit, Path(integration): Path<String>, fields: Fields) -> Page {
    let calls = if fields.is_on("defaults") { Value::Null } else { wanted(&fields) };
    let change = json!({"settings": {"calls": calls}});
    let answer = visit.change(&in_api(&integration, &[]), fields.text("revision"), &change).await;
    if answer.status.is_success() {
        return visit.done(&format!("{}#calls", at(&integration)), "saved");
    }
    let values = values(&visit, &integration).await?;
    visit.again("integration.html", &fields, &answer, context! { place => "calls", ..values })
}

/// All settings, as the API takes them at once: what is empty has its default.
fn wanted(fields: &Fields) -> Value {
    let mut calls = Map::new();
    let some = |name: &str| fields.text(name).map(number);
    let group = |names: &[(&str, &str)]| -> Option<Value> {
        let members: Map<_, _> =
            names.iter().filter_map(|(member, name)| Some(((*member).to_owned(), some(name)?))).collect();
        (!members.is_empty()).then(|| members.into())
    };
    for name in ["timeout", "concurrency"] {
        calls.extend(some(name).map(|value| (name.to_owned(), value)));
    }
    let rate = group(&[("requests", "rate.requests"), ("seconds", "rate.seconds")]);
    let breaker = group(&[("failures", "breaker.failures"), ("seconds", "breaker.seconds")]);
    calls.extend(rate.map(|rate| ("rate".to_owned(), rate)));
    calls.extend(breaker.map(|breaker| ("breaker".to_owned(), breaker)));
    calls.extend(fields.text("call_scopes").map(|scopes| ("scopes".to_owned(), scopes.into())));
    calls.insert("refused".to_owned(), refused(fields));
    let sets = fields.text("prefer").unwrap_or_default().lines();
    let sets = sets.map(|line| line.split(TOGETHER).map(str::trim).filter(|name| !name.is_empty()).collect::<Vec<_>>());
    let sets: Vec<_> = sets.filter(|set| !set.is_empty()).collect();
    calls.insert("prefer".to_owned(), json!(sets));
    calls.into()
}

/// What means that the service refused a token.
fn refused(fields: &Fields) -> Value {
    let mut refused = Map::new();
    let statuses = fields.text("refused.statuses").unwrap_or_default();
    let statuses = statuses.split([',', ' ']).filter(|status| !status.is_empty()).map(number);
    refused.insert("statuses".to_owned(), statuses.collect());
    if let Some(name) = fields.text("refused.header.name") {
        let mut sign = json!({"name": name});
        if let Some(text) = fields.text("refused.header.contains") {
            sign["contains"] = text.into();
        }
        refused.insert("header".to_owned(), sign);
    }
    if let Some(pointer) = fields.text("refused.pointer.pointer") {
        let mut sign = json!({"pointer": pointer});
        if let Some(text) = fields.text("refused.pointer.value") {
            // `true`, `42` and `"42"` are what they are in JSON; anything else is a text.
            sign["value"] = serde_json::from_str(text).unwrap_or_else(|_| text.into());
        }
        refused.insert("pointer".to_owned(), sign);
    }
    refused.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_all_settings_at_once() {
        let check = |form: &str, expected: Value| assert_eq!(wanted(&Fields::parsed(form)), expected, "{form}");
        check(
            "timeout=30&concurrency=&rate.requests=100&rate.seconds=60&breaker.failures=0&breaker.seconds=&call_scopes=operation\
             &refused.statuses=401,+403&refused.header.name=X-Error&refused.header.contains=&refused.pointer.pointer=/code\
             &refused.pointer.value=42&prefer=oauth2+%2B+api+key%0D%0A%0D%0Abasic",
            json!({"timeout": 30, "rate": {"requests": 100, "seconds": 60}, "breaker": {"failures": 0}, "scopes": "operation",
                "refused": {"statuses": [401, 403], "header": {"name": "X-Error"}, "pointer": {"pointer": "/code", "value": 42}},
                "prefer": [["oauth2", "api key"], ["basic"]]}),
        );
        // What is no number goes on as it is, for the API to refuse; no status means that none is a refusal.
        check("timeout=soon", json!({"timeout": "soon", "refused": {"statuses": []}, "prefer": []}));
        check(
            "refused.pointer.pointer=/error&refused.pointer.value=expired",
            json!({"refused": {"statuses": [], "pointer": {"pointer": "/error", "value": "expired"}}, "prefer": []}),
        );
    }
}
