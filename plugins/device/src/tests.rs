//! What the flow asks the provider, what it tells a person, and how long it asks again.

use tokenhost_flow::harness::Run;
use tokenhost_flow::types::Wait;

use super::*;

/// The moment at which the harness starts, in seconds since the Unix epoch.
const NOW: u64 = 1_795_341_600;

fn tv() -> Harness {
    Harness::new::<DeviceAuthorization>()
        .value("client_id", "tv")
        .value("client_auth", "none")
        .value("device_authorization_url", "https://id.example/device/code")
        .value("token_url", "https://id.example/token")
}

const BEGUN: &str = r#"{"device_code":"d-code","user_code":"WDJB-MJHT","verification_uri":"https://id.example/device",
    "verification_uri_complete":"https://id.example/device?user_code=WDJB-MJHT","expires_in":900,"interval":7}"#;

#[track_caller]
fn wait(run: &Run) -> Wait {
    match run.clone().outcome() {
        Ok(Step::Wait(wait)) => wait,
        other => panic!("{other:?}"),
    }
}

/// An attempt whose person was told the code.
fn begun() -> Run {
    tv().acquire().answer(200, BEGUN)
}

#[test]
fn a_code_is_requested_and_shown() {
    let harness = tv();
    assert!(!harness.description().unattended);
    let asking = harness.value("scope", "read").value("resource", "https://a.example").acquire();
    assert_eq!(
        asking.request(),
        "POST https://id.example/device/code\n\
         accept: application/json\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         scope=read&resource=https://a.example&client_id=tv\n"
    );
    let first = wait(&asking.answer(200, BEGUN));
    let prompt = first.prompt.unwrap();
    assert_eq!((first.seconds, prompt.code.as_deref()), (7, Some("WDJB-MJHT")));
    assert_eq!(prompt.url.as_deref(), Some("https://id.example/device?user_code=WDJB-MJHT"));
    assert!(prompt.message.contains("15 min"), "{}", prompt.message);
    // Google's name for the page, and what the standard says where nothing is said.
    let sparse = r#"{"device_code":"d","user_code":"U","verification_url":"https://id.example/d"}"#;
    let sparse = wait(&tv().acquire().answer(200, sparse));
    assert_eq!((sparse.seconds, sparse.prompt.unwrap().url.as_deref()), (5, Some("https://id.example/d")));
}

#[test]
fn without_a_code_it_gives_up() {
    let check = |status: u16, body: &str, expected: &str| {
        let line = tv().acquire().answer(status, body).failure_line();
        assert!(line.starts_with(expected), "{line}");
    };
    check(400, r#"{"error":"invalid_scope"}"#, "invalid_scope, reconfigure: ");
    check(503, "", "http_503, retry: ");
    check(200, r#"{"device_code":"d"}"#, "invalid_response, reconfigure: the answer has no device_code");
    check(200, "<html>", "invalid_response, reconfigure: ");
    check(200, r#"{"access_token":"t"}"#, "invalid_response, reconfigure: ");
    assert!(tv().acquire().unanswered(false, "dns").failure_line().starts_with("no_answer, retry"));
}

#[test]
fn the_provider_is_asked_until_the_person_is_done() {
    let polling = begun().elapsed();
    assert_eq!(
        polling.request(),
        "POST https://id.example/token\n\
         accept: application/json\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code={sensitive}&client_id=tv\n"
    );
    let pending = polling.answer(400, r#"{"error":"authorization_pending"}"#);
    assert_eq!((wait(&pending).seconds, wait(&pending).prompt), (7, None));
    let slower = pending.elapsed().answer(400, r#"{"error":"slow_down"}"#);
    assert_eq!(wait(&slower).seconds, 12);
    let unheard = slower.elapsed().unanswered(true, "timeout");
    assert_eq!(wait(&unheard).seconds, 24);
    let busy = unheard.elapsed().answer(503, "");
    assert_eq!(wait(&busy).seconds, 48);
    let token = busy.elapsed().answer(200, r#"{"access_token":"t","refresh_token":"r"}"#).token();
    assert_eq!((token.access_token.as_deref(), token.refresh_token.as_deref()), (Some("t"), Some("r")));
}

#[test]
fn it_ends_where_the_person_or_the_time_does() {
    let check = |body: &str, expected: &str| {
        let line = begun().elapsed().answer(400, body).failure_line();
        assert!(line.starts_with(expected), "{line}");
    };
    check(r#"{"error":"access_denied"}"#, "access_denied, reconfigure: ");
    check(r#"{"error":"expired_token"}"#, "expired_token, reconfigure: ");
    check(r#"{"error":"invalid_client"}"#, "invalid_client, reconfigure: ");
    let state = begun().state().to_owned();
    for (now, polls) in [(NOW + 899, true), (NOW + 900, false)] {
        let later = tv().context(|context| context.now = now).step(Event::Elapsed(state.clone()));
        assert_eq!(later.outcome().is_ok(), polls, "{now}");
    }
    for state in ["", "{}", "refreshing", r#"{"device_code":1,"interval":5,"expires_at":1}"#] {
        let line = tv().step(Event::Elapsed(state.into())).failure_line();
        assert!(line.starts_with("unexpected_event"), "{state}: {line}");
    }
}

#[test]
fn a_token_is_refreshed() {
    let refreshing = tv().refresh();
    assert!(refreshing.request().contains("grant_type=refresh_token"));
    assert!(
        refreshing.answer(400, r#"{"error":"invalid_grant"}"#).failure_line().starts_with("invalid_grant, reacquire")
    );
}

#[test]
fn a_token_is_revoked() {
    let revoking = tv().value("revocation_url", "https://id.example/revoke").revoke();
    assert!(revoking.request().contains("token={token.access_token}&token_type_hint=access_token&client_id=tv"));
    assert!(matches!(revoking.answer(200, "").outcome(), Ok(Step::Revoked)));
}

#[test]
fn endpoints_are_discovered() {
    let metadata = r#"{"issuer":"https://id.example","token_endpoint":"https://id.example/token",
        "device_authorization_endpoint":"https://id.example/device/code"}"#;
    let asking = Harness::new::<DeviceAuthorization>()
        .value("client_id", "tv")
        .value("client_auth", "none")
        .value("endpoints", "discovered")
        .value("metadata_url", "https://id.example/.well-known/openid-configuration")
        .acquire()
        .answer(200, metadata);
    assert!(asking.request().starts_with("POST https://id.example/device/code\n"), "{}", asking.request());
    let polling = asking.answer(200, BEGUN).elapsed();
    assert!(polling.request().starts_with("POST https://id.example/token\n"), "{}", polling.request());
    assert_eq!(polling.answer(200, r#"{"access_token":"t"}"#).token().access_token.as_deref(), Some("t"));
}
