//! What the one parser makes of the answers that providers really give: the cases that all languages of the SDK share
//! (`sdk/cases/token-responses.json`), and those that no file can hold.

#![allow(clippy::unwrap_used, reason = "a test")]

use serde_json::Value;
use tokenhost_flow::harness::response;
use tokenhost_flow::token_response;
use tokenhost_flow::types::{Context, Failure, Purpose, Remedy, Response, Scheme, Token};

/// 2026-11-22T10:00:00Z.
const NOW: u64 = 1_795_341_600;

fn context() -> Context {
    Context {
        scheme: Scheme { name: "test".into(), document: "{}".into() },
        values: Vec::new(),
        secrets: Vec::new(),
        revealed: Vec::new(),
        now: NOW,
        entropy: vec![0; 32],
        callback_url: None,
        return_key: None,
    }
}

/// The outcome as one line: the token's members that are set, or code, remedy and message.
fn show(outcome: Result<Token, Failure>) -> String {
    match outcome {
        Ok(token) => [
            ("access", token.access_token),
            ("refresh", token.refresh_token),
            ("type", token.token_type),
            ("in", token.expires_in.map(|seconds| seconds.to_string())),
            ("at", token.expires_at.map(|seconds| seconds.to_string())),
            ("refresh_in", token.refresh_expires_in.map(|seconds| seconds.to_string())),
            ("scope", token.scope),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
        .collect::<Vec<_>>()
        .join(" | "),
        Err(Failure { code, message, remedy }) => match remedy {
            Remedy::Retry(None) => format!("{code}, retry: {message}"),
            Remedy::Retry(Some(seconds)) => format!("{code}, retry after {seconds}: {message}"),
            Remedy::Reacquire => format!("{code}, reacquire: {message}"),
            Remedy::Reconfigure => format!("{code}, reconfigure: {message}"),
        },
    }
}

fn outcome(purpose: Purpose, response: &Response) -> String {
    match purpose {
        Purpose::Revoke => match token_response::revoked(&context(), response) {
            Ok(()) => "revoked".into(),
            Err(failure) => show(Err(failure)),
        },
        purpose => show(token_response::parse(&context(), purpose, response)),
    }
}

/// The body of a case: as text, in base64, or as texts each repeated so often.
fn body(case: &Value) -> Vec<u8> {
    if let Some(pieces) = case["pieces"].as_array() {
        let piece = |piece: &Value| {
            piece[0].as_str().unwrap().repeat(usize::try_from(piece[1].as_u64().unwrap()).unwrap()).into_bytes()
        };
        return pieces.iter().flat_map(piece).collect();
    }
    match case["base64"].as_str() {
        Some(text) => base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap(),
        None => case["body"].as_str().unwrap_or_default().into(),
    }
}

#[test]
fn shared_cases() {
    let cases: Value = serde_json::from_str(include_str!("../../cases/token-responses.json")).unwrap();
    assert_eq!(cases["now"], NOW);
    let types: Vec<&str> =
        cases["content_types"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for group in cases["groups"].as_array().unwrap() {
        for case in group["cases"].as_array().unwrap() {
            let status = case["status"].as_u64().map_or(200, |status| u16::try_from(status).unwrap());
            let given: Option<Vec<(&str, &str)>> = case["headers"].as_array().map(|headers| {
                headers.iter().map(|header| (header[0].as_str().unwrap(), header[1].as_str().unwrap())).collect()
            });
            let variants = match given {
                Some(headers) => vec![headers],
                None => types.iter().map(|kind| vec![("content-type", *kind)]).chain([Vec::new()]).collect(),
            };
            let before = count;
            for (key, purpose) in [
                ("both", Purpose::Acquire),
                ("both", Purpose::Refresh),
                ("acquire", Purpose::Acquire),
                ("refresh", Purpose::Refresh),
                ("revoke", Purpose::Revoke),
            ] {
                let Some(expected) = case[key].as_str() else { continue };
                for headers in &variants {
                    count += 1;
                    let got = outcome(purpose, &response(status, headers, body(case)));
                    if got != expected {
                        let case: String = case.to_string().chars().take(300).collect();
                        wrong.push(format!("{}: {case}\n  {purpose:?} gave {got}", group["name"]));
                    }
                }
            }
            assert!(count > before, "no outcome is named for {case}");
        }
    }
    assert!(wrong.is_empty(), "{} of {count} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn long_answers() {
    // Many names are cut, long ones too.
    let members: Vec<String> = (0..5000).map(|index| format!("\"{index}{}\":1", "n".repeat(100))).collect();
    let line = outcome(Purpose::Acquire, &response(200, &[], format!("{{{}}}", members.join(","))));
    assert!(line.chars().count() < 400, "{line}");
    // 1 MiB of many members, and of token.
    let many: Vec<String> = (0..60_000).map(|index| format!("\"m{index}\":{{\"k\":1}}")).collect();
    let many = format!(r#"{{"inner":{{"access_token":"a"}},{}}}"#, many.join(","));
    assert_eq!(outcome(Purpose::Acquire, &response(200, &[], many)), "access=a");
    let long = "t".repeat(1 << 20);
    let body = format!(r#"{{"access_token":"{long}"}}"#);
    assert!(outcome(Purpose::Acquire, &response(200, &[], body)) == format!("access={long}"));
}

/// Every prefix and every one-byte change of an answer gives some outcome.
#[test]
fn damaged_answers() {
    let answer = br#"{"access_token":"a","expires_in":"3600","scope":["x"],"d":{"error":"e"}}"#;
    for end in 0..answer.len() {
        outcome(Purpose::Acquire, &response(200, &[], &answer[..end]));
        for byte in [0, b'"', b'{', b'}', b'\\', b'<', b'=', 0xff] {
            let mut changed = answer.to_vec();
            changed[end] = byte;
            outcome(Purpose::Refresh, &response(200, &[], changed));
        }
    }
}
