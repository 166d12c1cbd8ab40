//! What the flow asks a provider, and what it makes of the answers.

use super::*;

fn robot() -> Harness {
    Harness::new::<ClientCredentials>()
        .value("client_id", "robot")
        .secret("client_secret")
        .value("token_url", "https://id.example/token?tenant=7")
}

/// The request of an acquisition.
#[track_caller]
fn acquires(harness: Harness, expected: &str) {
    assert_eq!(harness.acquire().request(), expected);
}

/// The request of a refresh.
#[track_caller]
fn refreshes(harness: Harness, expected: &str) {
    assert_eq!(harness.refresh().request(), expected);
}

#[test]
fn fields_in_order() {
    let harness = Harness::new::<ClientCredentials>();
    let names: Vec<&str> = harness.description().fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(
        names.join(" "),
        "client_id client_secret token_url scope audience resource client_auth \
         refresh refresh_url refresh_client_auth scope_on_refresh"
    );
}

#[test]
fn acquires_with_basic() {
    for (client_auth, computed) in [("basic", "basic-form"), ("basic-raw", "basic"), ("basic-percent", "basic-percent")]
    {
        acquires(
            robot().value("client_auth", client_auth),
            &format!(
                "POST https://id.example/token?tenant=7\n\
                 accept: application/json\n\
                 authorization: Basic {{client_basic}}\n\
                 content-type: application/x-www-form-urlencoded\n\
                 \n\
                 grant_type=client_credentials\n\
                 {{client_basic}} = {computed} robot:{{client_secret}}\n"
            ),
        );
    }
    // Basic is the default.
    assert_eq!(robot().acquire().request(), robot().value("client_auth", "basic").acquire().request());
}

#[test]
fn acquires_with_parameters() {
    acquires(
        robot()
            .value("client_auth", "post")
            .value("scope", " read  write ")
            .value("audience", "https://api.example")
            .value("resource", "https://a.example https://b.example"),
        "POST https://id.example/token?tenant=7\n\
         accept: application/json\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         grant_type=client_credentials&scope=read write&audience=https://api.example\
         &resource=https://a.example&resource=https://b.example&client_id=robot&client_secret={client_secret}\n",
    );
}

#[test]
fn a_public_client_needs_no_secret() {
    acquires(
        Harness::new::<ClientCredentials>()
            .value("client_id", "robot")
            .value("client_auth", "none")
            .value("token_url", "https://id.example/token"),
        "POST https://id.example/token\n\
         accept: application/json\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         grant_type=client_credentials&client_id=robot\n",
    );
}

#[test]
fn refreshes_at_the_token_url() {
    refreshes(
        robot().value("scope", "read").value("audience", "https://api.example").value("resource", "https://a.example"),
        "POST https://id.example/token?tenant=7\n\
         accept: application/json\n\
         authorization: Basic {client_basic}\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         grant_type=refresh_token&refresh_token={token.refresh_token}&resource=https://a.example\n\
         {client_basic} = basic-form robot:{client_secret}\n",
    );
}

#[test]
fn refreshes_in_its_own_way() {
    refreshes(
        robot()
            .value("refresh_url", "https://other.example/refresh")
            .value("refresh_client_auth", "post")
            .value("scope", "read")
            .value("scope_on_refresh", "send"),
        "POST https://other.example/refresh\n\
         accept: application/json\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         grant_type=refresh_token&refresh_token={token.refresh_token}&scope=read\
         &client_id=robot&client_secret={client_secret}\n",
    );
    for omitted in ["auto", "omit"] {
        let request = robot().value("scope", "read").value("scope_on_refresh", omitted).refresh().request();
        assert!(!request.contains("scope"), "{request}");
    }
}

#[test]
fn what_it_does_not_do() {
    for (run, expected) in [
        (robot().value("refresh", "never").refresh(), "refresh_disabled, reacquire: the field refresh is never"),
        (robot().begin(Purpose::Refresh), "no_refresh_token, reacquire: the present token has no refresh token"),
        (robot().revoke(), "unsupported, reconfigure: this flow knows no address at which a token is revoked"),
        (
            robot().value("client_auth", "magic").acquire(),
            "invalid_field, reconfigure: the field client_auth can't be magic",
        ),
        (
            Harness::new::<ClientCredentials>()
                .value("client_id", "robot")
                .value("client_auth", "none")
                .value("refresh_client_auth", "basic")
                .value("token_url", "https://id.example/token")
                .refresh(),
            "missing_field, reconfigure: the field client_secret is not set",
        ),
    ] {
        assert_eq!(run.failure_line(), expected);
    }
}

#[test]
fn ends_with_a_token_or_a_reason() {
    let token = robot().acquire().answer(200, r#"{"access_token":"t","token_type":"bearer","expires_in":60}"#).token();
    assert_eq!((token.access_token.as_deref(), token.expires_in), (Some("t"), Some(60)));
    assert_eq!(token.token_type.as_deref(), Some("Bearer"));
    let refused = r#"{"error":"invalid_grant"}"#;
    assert_eq!(
        robot().refresh().answer(400, refused).failure_line(),
        "invalid_grant, reacquire: the provider answered HTTP 400, invalid_grant"
    );
    assert_eq!(
        robot().acquire().answer(401, r#"{"error":"invalid_client"}"#).failure_line(),
        "invalid_client, reconfigure: the provider answered HTTP 401, invalid_client \
         (check client_id, client_secret and client_auth)"
    );
    assert_eq!(
        robot().acquire().unanswered(true, "timeout").failure_line(),
        "no_answer, retry: the request got no complete answer: timeout"
    );
}
