//! `doctor`: finds out what a provider wants, real ones and one that wants what no real one here does; sends no more than it
//! says, leaves nothing behind, and shows no secret.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use serde_json::{Value, json};
use tokenhost_tests::mock::{answer, json as say};
use tokenhost_tests::{Client, Daemon, Mock, Options, Provider, Seen};

/// What the doctor found.
#[derive(Debug)]
struct Report {
    checks: Vec<Value>,
    trials: Vec<Value>,
    verdict: Value,
    text: String,
}

impl Report {
    /// The text of the first check of this name and grade.
    #[track_caller]
    fn check(&self, name: &str, grade: &str) -> &str {
        let found = self.checks.iter().find(|check| check["name"] == name && check["grade"] == grade);
        found.unwrap_or_else(|| panic!("no {grade} {name}: {}", self.text))["text"].as_str().unwrap()
    }

    /// The codes of the trials, in order; `token` and `accepted` for what worked.
    fn codes(&self) -> Vec<&str> {
        let code = |trial: &Value| -> String {
            match trial["result"].as_str().unwrap() {
                "failed" => trial["code"].as_str().unwrap().to_owned(),
                result => result.to_owned(),
            }
        };
        let codes: Vec<String> = self.trials.iter().map(code).collect();
        let all = ["token", "accepted", "invalid_client", "invalid_grant", "invalid_scope", "http_415", "unanswered"];
        codes.iter().map(|code| *all.iter().find(|known| *known == code).unwrap_or(&"another")).collect()
    }
}

async fn examine(client: &Client, name: &str, query: &str) -> Report {
    let answer = client.post(&format!("/v1/integrations/{name}/doctor{query}"), &Value::Null).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"), "{}", answer.text);
    let mut lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verdict = lines.pop().unwrap();
    assert_eq!(verdict["kind"], "verdict", "{}", answer.text);
    assert!(verdict["requests"].as_u64().unwrap() <= 16, "{verdict}");
    let (checks, trials): (Vec<Value>, Vec<Value>) = lines.into_iter().partition(|line| line["kind"] == "check");
    Report { checks, trials, verdict, text: answer.text }
}

/// An integration of a provider's document.
async fn integrate(client: &Client, name: &str, scheme: &str, flow: &str, fields: Value) {
    let new = json!({"name": name, "model": "crm", "scheme": scheme, "flow": flow, "fields": fields});
    client.integrate(new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_provider_is_understood() {
    let provider = Provider::oidc(&["--client-secret", "q7+Zk%of:mine"]).await;
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import("crm", &provider.document().await).await;
    let id = provider.text("/clients/basic/client_id");
    let secret = provider.text("/clients/basic/client_secret");
    for (name, auth, secret) in
        [("good", "basic", secret), ("raw", "basic-raw", secret), ("wrong", "basic", "nonsense")]
    {
        let fields = json!({"client_id": id, "client_secret": secret, "client_auth": auth, "scope": "crm.read"});
        integrate(&client, name, "oauth2", "client-credentials", fields).await;
    }

    let good = examine(&client, "good", "").await;
    assert_eq!((good.codes(), &good.verdict["cause"]), (vec!["token"], &json!("works")), "{}", good.text);
    good.check("reachable", "good");
    good.check("clock", "good");
    assert!(good.check("metadata", "good").contains(provider.text("/issuer")));

    let raw = examine(&client, "raw", "").await;
    assert_eq!((raw.codes().last(), raw.trials.len() < 5), (Some(&"token"), true), "{}", raw.text);
    assert_eq!(raw.verdict["cause"], "settings");
    assert_eq!(raw.verdict["settings"], json!({"client_auth": "basic"}), "{}", raw.verdict);

    let wrong = examine(&client, "wrong", "").await;
    assert!(wrong.codes().iter().all(|code| *code == "invalid_client" || *code == "another"), "{}", wrong.text);
    assert!(wrong.trials.len() > 2, "{}", wrong.text);
    assert_eq!((&wrong.verdict["cause"], &wrong.verdict["settings"]), (&json!("credentials"), &json!({})));
    // The same bytes aren't sent twice: `nonsense` looks alike however it is encoded.
    let ways: Vec<&Value> = wrong.trials.iter().map(|trial| &trial["changes"]).collect();
    assert!(!ways.contains(&&json!({"client_auth": "basic-raw"})), "{ways:?}");

    let all = examine(&client, "good", "?all=true").await;
    let working = all.codes().iter().filter(|code| **code == "token").count();
    assert!(all.codes()[0] == "token" && working > 1, "{}", all.text);
    for report in [&good, &raw, &wrong, &all] {
        assert!(!report.text.contains("q7+Zk") && !report.text.contains("nonsense"), "{}", report.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_scope_and_a_wrong_password_are_told_apart() {
    let (provider, daemon) = (Provider::django(&[]).await, Daemon::start().await);
    let client = daemon.client();
    client.import("crm", &provider.document().await).await;
    let of = |client: &str| {
        json!({"client_id": provider.text(&format!("/clients/{client}/client_id")),
            "client_secret": provider.text(&format!("/clients/{client}/client_secret"))})
    };
    let mut fields = of("client_credentials");
    fields["scope"] = "crm.read crm.nonsense".into();
    integrate(&client, "scope", "machine", "client-credentials", fields).await;
    let report = examine(&client, "scope", "").await;
    assert_eq!((report.codes()[0], &report.verdict["cause"]), ("invalid_scope", &json!("settings")), "{}", report.text);
    assert!(report.verdict["settings"].get("scope").is_some(), "{}", report.verdict);

    let mut fields = of("password");
    fields["username"] = provider.text("/user/username").into();
    fields["password"] = "not-hers".into();
    integrate(&client, "password", "person", "password", fields).await;
    let before = provider.log().await.len();
    let report = examine(&client, "password", "").await;
    assert_eq!(
        (report.codes(), &report.verdict["cause"]),
        (vec!["invalid_grant"], &json!("credentials")),
        "{}",
        report.text
    );
    assert!(report.check("lockout", "note").contains("in 1 of the requests"));
    assert_eq!(provider.log().await.len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_person_is_checked_as_far_as_it_goes_without() {
    let provider = Provider::oidc(&["--redirect-uri", "http://127.0.0.1:9/v1/callback"]).await;
    let daemon = Daemon::start_with(Options::default().env("TOKENHOST_PUBLIC_URL", "http://127.0.0.1:9")).await;
    let client = daemon.client();
    let text = |pointer: &str| provider.text(pointer).to_owned();
    let flows = json!({
        "authorizationCode": {"tokenUrl": text("/token_url"), "authorizationUrl": text("/authorization_url"), "scopes": {}},
        "deviceAuthorization": {"tokenUrl": text("/token_url"), "deviceAuthorizationUrl": text("/device_authorization_url"), "scopes": {}},
    });
    let document = json!({"openapi": "3.2.0", "info": {"title": "CRM", "version": "1"}, "paths": {},
        "components": {"securitySchemes": {"person": {"type": "oauth2", "flows": flows}}}});
    client.import("crm", &document.to_string()).await;
    let id = text("/clients/code/client_id");
    let fields =
        json!({"client_id": id, "client_secret": text("/clients/code/client_secret"), "issuer": text("/issuer")});
    integrate(&client, "code", "person", "authorization-code", fields).await;
    integrate(&client, "stranger", "person", "authorization-code", json!({"client_id": id, "client_secret": "no"}))
        .await;
    let fields = json!({"client_id": text("/clients/device/client_id"), "client_auth": "none"});
    integrate(&client, "device", "person", "device", fields).await;
    for (name, code, cause) in
        [("code", "accepted", "works"), ("stranger", "invalid_client", "credentials"), ("device", "accepted", "works")]
    {
        let report = examine(&client, name, "").await;
        assert_eq!((report.codes()[0], &report.verdict["cause"]), (code, &json!(cause)), "{name}: {}", report.text);
        assert_eq!(client.status(name).await["state"], "person_needed", "{name}");
        assert_eq!(client.attempts(name).await, [] as [Value; 0], "{name}");
    }
}

/// Answers as a provider that wants a JSON body, the client's secret in it, and commas between scopes.
fn peculiar(seen: &Seen) -> Vec<tokenhost_tests::Act> {
    if seen.target != "/token" {
        return answer(404, &[], "");
    }
    if seen.headers.get("content-type").map(String::as_str) != Some("application/json") {
        return answer(415, &[], "");
    }
    // The body went through a parser of forms: without `=` and `&` it is one name.
    let body: Value = serde_json::from_str(seen.form.keys().next().unwrap()).unwrap();
    if body["client_secret"] != "secret-of-mine" {
        return say(401, &json!({"error": "invalid_client"}));
    }
    if body["scope"] != "read,write" {
        return say(400, &json!({"error": "invalid_scope", "error_description": "no such scope"}));
    }
    say(200, &json!({"access_token": "a-token-to-throw-away", "expires_in": 3600}))
}

#[tokio::test(flavor = "multi_thread")]
async fn several_things_that_are_wrong_at_once_are_found_and_saved() {
    let (provider, daemon) = (Mock::start(peculiar).await, Daemon::start().await);
    let client = daemon.client();
    client.import_oauth("crm", &format!("{}/token", provider.url)).await;
    let fields = json!({"client_id": "me", "client_secret": "secret-of-mine", "scope": "read write"});
    integrate(&client, "crm", "oauth2", "client-credentials", fields).await;
    let wanted = json!({"client_auth": "post", "request_body": "json", "scope_separator": "comma"});

    let report = examine(&client, "crm", "").await;
    assert_eq!(report.verdict["settings"], wanted, "{}", report.text);
    assert_eq!(report.codes(), ["http_415", "invalid_client", "invalid_scope", "token"], "{}", report.text);
    assert!(
        !report.text.contains("secret-of-mine") && !report.text.contains("a-token-to-throw-away"),
        "{}",
        report.text
    );
    client.token("crm").await.expect(503);

    // By the command line: told and not saved; then saved.
    let told = daemon.command(&["doctor", "crm", "--verbose"]).output().await.unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert_eq!(told.status.code(), Some(1), "{text}");
    for part in [
        "TRIED WITH",
        "client_auth=post request_body=json",
        "gives a token",
        "tokenhost integration set crm",
        "[client_secret]",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("secret-of-mine") && !text.contains("a-token-to-throw-away"), "{text}");
    let saved = daemon.command(&["doctor", "crm", "--save", "--json"]).output().await.unwrap();
    assert!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    let saved: Value = serde_json::from_slice(&saved.stdout).unwrap();
    assert_eq!((&saved["saved"], &saved["verdict"]["settings"]), (&json!(true), &wanted));
    assert_eq!(client.token("crm").await.expect(200)["generation"], 1);
    let works = daemon.command(&["doctor", "crm"]).output().await.unwrap();
    assert!(works.status.success() && String::from_utf8_lossy(&works.stdout).contains("crm works"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_sent_three_times_at_most() {
    let provider = Mock::start(|_| say(401, &json!({"error": "invalid_client"}))).await;
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("crm", &format!("{}/token", provider.url)).await;
    let fields = json!({"client_id": "me", "client_secret": "s+e c", "username": "ada", "password": "pass-of-ada"});
    integrate(&client, "crm", "oauth2", "password", fields).await;
    let report = examine(&client, "crm", "").await;
    let with_password = provider.seen().iter().filter(|seen| format!("{seen:?}").contains("pass-of-ada")).count();
    assert_eq!((with_password, report.trials.len()), (3, 3), "{}", report.text);
    assert!(report.check("lockout", "note").contains("more than 3 times"));
    let sentence = report.verdict["sentence"].as_str().unwrap();
    assert!(sentence.contains("3 times at most"), "{sentence}");
    assert!(!report.text.contains("pass-of-ada"), "{}", report.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_behind() {
    let provider = Mock::start(|seen| {
        let token = json!({"access_token": format!("token-{}", seen.number), "refresh_token": "refresh-of-ada", "expires_in": 3600});
        if seen.target == "/token" { say(200, &token) } else { answer(404, &[], "") }
    })
    .await;
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("crm", &format!("{}/token", provider.url)).await;
    let fields = json!({"client_id": "me", "client_secret": "secret-of-mine"});
    integrate(&client, "crm", "oauth2", "client-credentials", fields).await;
    let token = client.token("crm").await.expect(200);
    let before = state(&client, "crm").await;
    let report = examine(&client, "crm", "?all=true").await;
    assert!(report.trials.len() > 3, "{}", report.text);
    assert_eq!(before, state(&client, "crm").await);
    assert_eq!(client.token("crm").await.expect(200)["access_token"], token["access_token"]);
    let seen = format!("{:?}", provider.seen());
    assert!(!seen.contains("refresh-of-ada"), "{seen}");
    for secret in ["secret-of-mine", "refresh-of-ada", "token-1", "token-2"] {
        assert!(!report.text.contains(secret) && !daemon.log().contains(secret), "{secret}");
    }
    let audit = client.get("/v1/audit?action=integration.doctor").await.expect(200);
    assert!(!audit["items"].as_array().unwrap().is_empty(), "{audit}");
}

/// How an integration, its token and its attempts are, without what counts down by itself.
async fn state(client: &Client, name: &str) -> Value {
    let integration = client.get(&format!("/v1/integrations/{name}")).await.expect(200);
    let mut state = json!([client.status(name).await, integration, client.attempts(name).await]);
    for pointer in ["/0", "/1/token"] {
        if let Some(token) = state.pointer_mut(pointer).and_then(Value::as_object_mut) {
            token.remove("expires_in");
        }
    }
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_on_the_way_is_told_as_that() {
    let late = Mock::start(|_| {
        let body = json!({"error": "invalid_client"}).to_string();
        answer(401, &[("content-type", "application/json"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")], body)
    })
    .await;
    let busy = Mock::start(|_| answer(429, &[("retry-after", "60")], "")).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let daemon = Daemon::start().await;
    let client = daemon.client();
    // What speaks HTTP on that port answers no TLS.
    let https = daemon.url().replace("http://", "https://");
    for (name, url, cause, part, requests) in [
        ("late", late.url.clone(), "credentials", "behind ours", None),
        ("gone", format!("http://{free}"), "unreachable", "could not be reached", Some(2)),
        ("tls", https, "unreachable", "TLS", Some(2)),
        ("private", "http://10.1.2.3/token".to_owned(), "unreachable", "TOKENHOST_EGRESS_ALLOW", Some(0)),
        ("busy", busy.url.clone(), "slow_down", "pause", None),
    ] {
        client.import_oauth(name, &format!("{url}/token")).await;
        let fields = json!({"client_id": "me", "client_secret": "s"});
        let new = json!({"name": name, "model": name, "flow": "client-credentials", "fields": fields});
        client.integrate(new).await;
        let report = examine(&client, name, "").await;
        assert_eq!(report.verdict["cause"], cause, "{name}: {}", report.text);
        assert!(report.verdict["sentence"].as_str().unwrap().contains(part), "{name}: {}", report.verdict);
        if let Some(requests) = requests {
            assert_eq!(report.verdict["requests"], requests, "{name}: {}", report.text);
            report.check("reachable", "bad");
        }
    }
}
