//! Discovery, and what comes after it.

use super::*;

const METADATA: &str = r#"{
    "issuer": "https://id.example",
    "token_endpoint": "https://token.example/t",
    "revocation_endpoint": "https://token.example/r",
    "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.example/t"}
}"#;

fn robot() -> Harness {
    Harness::new::<OpenIdConnect>()
        .value("metadata_url", "https://id.example/.well-known/openid-configuration")
        .value("client_id", "robot")
        .secret("client_secret")
        .value("client_auth", "post")
}

#[test]
fn asks_where_to_ask_and_then_asks_there() {
    let run = robot().acquire();
    assert_eq!(run.request(), "GET https://id.example/.well-known/openid-configuration\naccept: application/json\n");
    let run = run.answer(200, METADATA);
    assert_eq!(
        run.request(),
        "POST https://token.example/t\n\
         accept: application/json\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         grant_type=client_credentials&client_id=robot&client_secret={client_secret}\n"
    );
    assert_eq!(run.answer(200, r#"{"access_token":"t"}"#).token().access_token.as_deref(), Some("t"));
}

#[test]
fn refreshes_and_revokes_where_the_document_says() {
    let run = robot().refresh().answer(200, METADATA);
    assert!(run.request().starts_with("POST https://token.example/t\n"));
    assert!(run.request().contains("\n\ngrant_type=refresh_token&refresh_token={token.refresh_token}&"));
    let run = robot().revoke().answer(200, METADATA);
    assert!(run.request().starts_with("POST https://token.example/r\n"));
    assert!(matches!(run.answer(200, "").outcome(), Ok(tokenhost_flow::types::Step::Revoked)));
}

#[test]
fn certificates_are_shown_at_endpoints_of_their_own() {
    let run = robot().value("client_auth", "tls_client_auth").acquire().answer(200, METADATA);
    assert!(run.request().starts_with("POST https://mtls.example/t\n"));
}

#[test]
fn what_is_set_by_hand_wins() {
    let run = robot().value("revocation_url", "https://id.example/r").revoke().answer(200, METADATA);
    assert!(run.request().starts_with("POST https://id.example/r\n"));
}

#[test]
fn the_password_grant_too() {
    let run = robot().value("grant", "password").value("username", "ada").secret("password").acquire();
    let request = run.answer(200, METADATA).request();
    assert!(request.contains("\n\ngrant_type=password&username=ada&password={password}&"), "{request}");
}

#[test]
fn a_document_that_is_none_ends_the_attempt() {
    for (status, body, expected) in [
        (200, "<html>", "invalid_metadata, reconfigure: "),
        (200, "{}", "invalid_metadata, reconfigure: "),
        (503, "", "http_503, retry: "),
    ] {
        let line = robot().acquire().answer(status, body).failure_line();
        assert!(line.starts_with(expected), "{line}");
    }
    assert!(robot().acquire().unanswered(false, "no route").failure_line().starts_with("no_answer, retry: "));
}
