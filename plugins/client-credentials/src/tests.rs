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
        "client_id client_secret token_url scope scope_separator audience resource request_body client_auth \
         private_key key_id signing_algorithm assertion_audience \
         refresh refresh_url refresh_client_auth scope_on_refresh revocation_url"
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
fn acquires_with_an_assertion() {
    let fresh = "07".repeat(16);
    for (fields, header, algorithm, key, audience) in [
        (vec![("client_auth", "client_secret_jwt")], "", "HS256", "client_secret", "https://id.example/token"),
        (vec![("client_auth", "private_key_jwt")], "", "RS256", "private_key", "https://id.example/token"),
        (
            vec![
                ("client_auth", "private_key_jwt"),
                ("signing_algorithm", "ES256"),
                ("key_id", "k1"),
                ("assertion_audience", "https://id.example"),
            ],
            "/kid \"k1\"",
            "ES256",
            "private_key",
            "https://id.example",
        ),
    ] {
        let harness =
            fields.iter().fold(robot().secret("private_key"), |harness, (name, value)| harness.value(name, value));
        acquires(
            harness,
            &format!(
                "POST https://id.example/token?tenant=7\n\
                 accept: application/json\n\
                 content-type: application/x-www-form-urlencoded\n\
                 \n\
                 grant_type=client_credentials&client_id=robot\
                 &client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer\
                 &client_assertion={{client_assertion}}\n\
                 {{client_assertion}} = jwt {algorithm} {{{key}}} [{header}] \
                 [/iss \"robot\"\n/sub \"robot\"\n/aud \"{audience}\"\n/jti \"{fresh}\"\n\
                 /iat 1795341600\n/exp 1795341840]\n"
            ),
        );
    }
}

#[test]
fn by_certificate_it_only_says_its_name() {
    let request = robot().value("client_auth", "tls_client_auth").acquire().request();
    assert!(request.ends_with("\n\ngrant_type=client_credentials&client_id=robot\n"), "{request}");
}

#[test]
fn revokes_what_ends_the_most() {
    let robot = || robot().value("client_auth", "post").value("revocation_url", "https://id.example/revoke");
    let run = robot().revoke();
    assert!(run.request().ends_with(
        "\n\ntoken={token.access_token}&token_type_hint=access_token&client_id=robot&client_secret={client_secret}\n"
    ));
    let run = robot().secret("token.refresh_token").revoke();
    assert!(run.request().contains("token={token.refresh_token}&token_type_hint=refresh_token&"));
    assert_eq!(run.answer(503, "").failure().remedy, Remedy::Retry(None));
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
        (
            robot().revoke(),
            "unsupported, reconfigure: the field revocation_url is not set, so that no token can be revoked",
        ),
        (
            robot().value("client_auth", "magic").acquire(),
            "invalid_field, reconfigure: the field client_auth can't be magic",
        ),
        (
            robot().value("client_auth", "client_secret_jwt").value("signing_algorithm", "ES256").acquire(),
            "invalid_field, reconfigure: the field signing_algorithm is ES256, which doesn't go with client_secret",
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
