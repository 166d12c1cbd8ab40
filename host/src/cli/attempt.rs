//! An attempt and its steps, written for people. Draws what the daemon, or `plugin try`, recorded; records nothing itself.

use serde_json::Value;

use super::output::{Pairs, cell, items, member, scalar, table};

/// Attempts as a table, newest first as they come.
pub(super) fn list(attempts: &Value) -> String {
    let rows: Vec<_> = attempts
        .as_array()
        .into_iter()
        .flatten()
        .map(|attempt| {
            [
                cell(attempt, "id"),
                cell(attempt, "started_at"),
                cell(attempt, "key"),
                cell(attempt, "purpose"),
                cell(attempt, "cause"),
                short_outcome(attempt),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "no attempts yet".to_owned();
    }
    table(["ATTEMPT", "STARTED", "TOKEN OF", "PURPOSE", "CAUSE", "OUTCOME"], &rows)
}

/// One attempt with its steps.
pub(super) fn show(attempt: &Value) -> String {
    let mut pairs = Pairs::default();
    pairs.add("attempt", member(attempt, "id"));
    pairs.add("token of", member(attempt, "key"));
    for name in ["purpose", "cause", "flow"] {
        pairs.add(name, member(attempt, name));
    }
    pairs.add("started", member(attempt, "started_at"));
    pairs.add("finished", member(attempt, "finished_at"));
    pairs.add("outcome", outcome(attempt));
    let mut text = pairs.to_text("");
    for (number, step) in (1..).zip(items(attempt, "steps")) {
        text += "\n";
        text += &self::step(number, step);
    }
    let notes = items(attempt, "notes");
    if !notes.is_empty() {
        text += "\nNotes:\n";
        for note in notes.iter().filter_map(scalar) {
            text += &format!("  {note}\n");
        }
    }
    text
}

/// How an attempt ended.
fn outcome(attempt: &Value) -> String {
    let Some(outcome) = attempt.get("outcome").filter(|outcome| !outcome.is_null()) else {
        return "under way".to_owned();
    };
    match outcome.get("result").and_then(Value::as_str) {
        Some("token") => match member(outcome, "generation") {
            Some(generation) => format!("token, generation {generation}"),
            None => "token".to_owned(),
        },
        Some("failed") => format!("failed: {}: {}", cell(outcome, "code"), cell(outcome, "message")),
        Some(result) => result.to_owned(),
        None => scalar(outcome).unwrap_or_default(),
    }
}

/// How an attempt ended, without the message.
fn short_outcome(attempt: &Value) -> String {
    match attempt.pointer("/outcome/code").and_then(Value::as_str) {
        Some(code) => format!("failed: {code}"),
        None => outcome(attempt),
    }
}

/// One step: what the flow was told, what it wanted, what was sent, what came back.
pub(super) fn step(number: usize, step: &Value) -> String {
    let mut text = format!("{number}. {} -> {}\n", cell(step, "event"), cell(step, "step"));
    if let Some(page) = member(step, "sent_to") {
        text += &format!("   a person was sent to {page}\n");
    }
    let returned = items(step, "returned");
    if !returned.is_empty() {
        text += "   a person came back with\n";
        text += &self::pairs(returned, "", "=");
    }
    if let Some(repeats) = member(step, "repeats") {
        text += &format!("   and {repeats} times before\n");
    }
    if let Some(request) = step.get("request").filter(|request| request.is_object()) {
        text += &self::request(request);
    }
    if let Some(answer) = step.get("answer").filter(|answer| answer.is_object()) {
        text += &self::answer(answer);
    }
    if let Some(problem) = member(step, "problem") {
        text += &format!("   {problem}\n");
    }
    if let Some(printed) = member(step, "printed").filter(|printed| !printed.is_empty()) {
        for line in printed.lines() {
            text += &format!("   | {line}\n");
        }
    }
    text
}

/// What was sent, secrets as names.
fn request(request: &Value) -> String {
    let mut text = format!("   {} {}\n", cell(request, "method"), cell(request, "url"));
    text += &pairs(items(request, "query"), "?", "=");
    text += &pairs(items(request, "headers"), "", ": ");
    match request.get("body") {
        Some(Value::Object(body)) => {
            for (kind, content) in body {
                match content {
                    Value::Array(members) => text += &pairs(members, kind, if kind == "json" { ": " } else { "=" }),
                    other => {
                        text += &format!("     {}\n     {}\n", cell(other, "content_type"), cell(other, "content"))
                    }
                }
            }
        }
        _ => return text,
    }
    text
}

/// Names and values, one a line, after a word that says where they stand.
fn pairs(pairs: &[Value], place: &str, between: &str) -> String {
    let place = if place.is_empty() { String::new() } else { format!("{place} ") };
    pairs.iter().map(|pair| format!("     {place}{}{between}{}\n", cell(pair, "name"), cell(pair, "value"))).collect()
}

/// What came back: no values, which may be tokens.
fn answer(answer: &Value) -> String {
    let mut text = format!(
        "   <- {}, {} bytes in {} ms",
        cell(answer, "status"),
        cell(answer, "bytes"),
        cell(answer, "milliseconds")
    );
    if let Some(keys) = member(answer, "json_keys").filter(|keys| !keys.is_empty()) {
        text += &format!(", JSON with {keys}");
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_attempt_is_told_step_by_step() {
        let attempt = json!({
            "id": "01J", "key": "crm", "purpose": "acquire", "cause": "needed", "flow": "client-credentials 0.1.0",
            "started_at": "2026-11-22T10:00:00Z", "finished_at": "2026-11-22T10:00:01Z",
            "steps": [
                {"event": "begin acquire", "step": "send", "now": 1,
                 "request": {"method": "POST", "url": "https://idp/token", "query": [{"name": "q", "value": "1"}],
                             "headers": [{"name": "authorization", "value": "Basic [basic]"}],
                             "body": {"form": [{"name": "grant_type", "value": "client_credentials"}]}},
                 "answer": {"status": 401, "headers": ["date"], "json_keys": ["error"], "bytes": 26, "milliseconds": 3}},
                {"event": "answered", "step": "failed", "now": 2, "problem": "invalid_client: no", "printed": "a\nb"},
            ],
            "outcome": {"result": "failed", "code": "invalid_client", "message": "no"}, "notes": ["tried once"],
        });
        let person = json!({"event": "returned", "step": "redirect", "sent_to": "https://idp/authorize", "repeats": 7,
            "returned": [{"name": "code", "value": "[sensitive, 43 bytes, sha256 00000000]"}]});
        assert_eq!(
            step(3, &person),
            "3. returned -> redirect\n   a person was sent to https://idp/authorize\n   a person came back with\n     \
             code=[sensitive, 43 bytes, sha256 00000000]\n   and 7 times before\n"
        );
        assert_eq!(
            show(&attempt),
            "attempt   01J\ntoken of  crm\npurpose   acquire\ncause     needed\nflow      client-credentials 0.1.0\n\
             started   2026-11-22T10:00:00Z\nfinished  2026-11-22T10:00:01Z\noutcome   failed: invalid_client: no\n\n\
             1. begin acquire -> send\n   POST https://idp/token\n     ? q=1\n     authorization: Basic [basic]\n     \
             form grant_type=client_credentials\n   <- 401, 26 bytes in 3 ms, JSON with error\n\n\
             2. answered -> failed\n   invalid_client: no\n   | a\n   | b\n\nNotes:\n  tried once\n"
        );
        assert!(
            list(&json!([attempt, {"id": "02"}]))
                .ends_with("02       -                     -         -        -       under way\n")
        );
    }

    #[test]
    fn bodies_of_each_kind_are_shown() {
        let check = |body: Value, expected: &str| {
            let text = request(&json!({"method": "POST", "url": "u", "query": [], "headers": [], "body": body}));
            assert_eq!(text, format!("   POST u\n{expected}"));
        };
        check(json!("empty"), "");
        check(json!({"json": [{"name": "/a", "value": "[b]"}]}), "     json /a: [b]\n");
        check(json!({"raw": {"content_type": "text/xml", "content": "<a/>"}}), "     text/xml\n     <a/>\n");
    }
}
