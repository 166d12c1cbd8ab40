//! No secret shows: after everything that happens to one, neither the data folder's bytes, nor the log, nor any answer of
//! the API holds it, plain or encoded. Only `GET …/token` tells the access token.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Mock, Options, Provider, mock};

const CLIENT_SECRET: &str = "q7Zk-client/secret&of the%operator";
const PASSWORD: &str = "pass=word+of;ada-W4vX";

/// What is looked for: the secrets, and each in base64 at each of the three places that it can have in a longer text.
fn needles(secrets: &[String]) -> Vec<(String, Vec<u8>)> {
    let mut needles = Vec::new();
    for secret in secrets {
        needles.push((secret.clone(), secret.clone().into_bytes()));
        needles.push((secret.clone(), STANDARD.encode(secret).into_bytes()));
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            for before in 0..3 {
                // The characters at both ends depend on what stands beside the secret.
                let text = engine.encode([&vec![b'x'; before], secret.as_bytes()].concat());
                needles.push((secret.clone(), text.as_bytes()[4..text.len() - 4].to_vec()));
            }
        }
        let escaped: String = form_urlencoded(secret);
        needles.push((secret.clone(), escaped.into_bytes()));
    }
    needles
}

fn form_urlencoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[track_caller]
fn assert_without(place: &str, bytes: &[u8], needles: &[(String, Vec<u8>)]) {
    for (secret, needle) in needles {
        let found = bytes.windows(needle.len()).position(|window| window == needle);
        assert!(found.is_none(), "{place} holds {secret} as {} at {found:?}", String::from_utf8_lossy(needle));
    }
}

fn search_folder(folder: &Path, needles: &[(String, Vec<u8>)]) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += search_folder(&path, needles);
        } else {
            assert_without(&path.display().to_string(), &std::fs::read(&path).unwrap(), needles);
            files += 1;
        }
    }
    files
}

/// Every `GET` of the API, with every name that there is; but that which tells the token.
async fn search_api(client: &Client, document: &Value, needles: &[(String, Vec<u8>)]) -> usize {
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        // Users' own data are theirs; this caller is an application. Nor is it a person on their way to a provider.
        // A stream has no end; its events are those of `/v1/events`.
        let skipped = ["/v1/me/", "/v1/forward-auth/", "/v1/connect/", "/v1/callback", "/v1/events/stream"]
            .iter()
            .any(|prefix| path.starts_with(prefix));
        if item.get("get").is_none() || path == "/v1/integrations/{integration}/token" || skipped {
            continue;
        }
        let mut paths = vec![path.clone()];
        for (parameter, names) in [
            ("{model}", &["crm", "mock"][..]),
            ("{integration}", &["password", "machine", "mocked", "lucky"]),
            ("{flow}", &["password", "client-credentials"]),
            ("{organization}", &["default"]),
        ] {
            paths = paths.iter().flat_map(|path| names.iter().map(|name| path.replace(parameter, name))).collect();
        }
        paths.dedup();
        for path in paths {
            // What has ids that the list tells.
            let listed = [
                ("{attempt}", "id"),
                ("{id}", "id"),
                ("{user}", "login"),
                ("{profile}", "name"),
                ("{seq}", "seq"),
                ("{webhook}", "name"),
            ];
            let list = listed.iter().find_map(|(parameter, member)| Some((path.strip_suffix(parameter)?, *member)));
            let of_model = path.strip_suffix("/schemes/{scheme}");
            let ids = match list {
                None if of_model.is_some() => {
                    let model = client.get(of_model.unwrap_or_default()).await.expect(200);
                    let names = model["schemes"].as_array().unwrap().iter().map(|scheme| scheme["name"].clone());
                    names.map(|name| path.replace("{scheme}", name.as_str().unwrap())).collect()
                }
                None => vec![path],
                Some((list, member)) => {
                    let page = client.get(list.trim_end_matches('/')).await.expect(200);
                    let items = page["items"].as_array().unwrap().iter();
                    items.map(|item| format!("{list}{}", item[member].to_string().trim_matches('"'))).collect()
                }
            };
            for path in ids {
                let answer = client.get(&path).await;
                // What the proxy brings is the service's answer, which needn't like the path.
                assert!(answer.status == 200 || path.ends_with("/proxy"), "{path}: {} {}", answer.status, answer.text);
                assert_without(&path, answer.text.as_bytes(), needles);
                asked += 1;
            }
        }
    }
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_shows_anywhere() {
    let provider = Provider::django(&["--client-secret", CLIENT_SECRET, "--password", PASSWORD]).await;
    // Repeats what it was sent wherever it can, and never gives a token.
    // But to one user, whose access and refresh tokens the test knows.
    let parrot = Mock::start(|seen| {
        if seen.form.get("username").is_some_and(|user| user == "lucky") || seen.form.contains_key("refresh_token") {
            let number = seen.number;
            let (access, refresh) = (format!("lucky-access-token-{number}"), format!("lucky-refresh-token-{number}"));
            return mock::json(200, &json!({"access_token": access, "refresh_token": refresh, "expires_in": 3600}));
        }
        let said = format!("{:?} {:?}", seen.form, seen.headers.get("authorization"));
        let said = said + &seen.form.values().cloned().collect::<Vec<_>>().join("|");
        mock::json(400, &json!({"error": "invalid_grant", "error_description": said, "error_uri": said}))
    })
    .await;
    let mut daemon = Daemon::start_with(Options::default().env("TOKENHOST_LOG_LEVEL", "info,tokenhost=trace")).await;
    let client = daemon.client();
    client.import("crm", &provider.document().await).await;
    client.import_oauth("mock", &format!("{}/token", parrot.url)).await;

    let mut secrets = vec![CLIENT_SECRET.to_owned(), PASSWORD.to_owned(), daemon.token().to_owned()];
    let mut fields = json!({"client_id": "crm-machine", "client_secret": CLIENT_SECRET});
    client.integrate(json!({"name": "machine", "model": "crm", "scheme": "machine", "fields": fields})).await;
    fields["username"] = "ada".into();
    fields["password"] = PASSWORD.into();
    fields["client_id"] = "crm-password".into();
    client.integrate(json!({"name": "password", "model": "crm", "scheme": "person", "fields": fields})).await;
    client.integrate(json!({"name": "mocked", "model": "mock", "flow": "password", "fields": fields})).await;
    fields["username"] = "lucky".into();
    client.integrate(json!({"name": "lucky", "model": "mock", "flow": "password", "fields": fields})).await;
    secrets.extend((0..20).flat_map(|number| ["access", "refresh"].map(|kind| format!("lucky-{kind}-token-{number}"))));
    for integration in ["machine", "password", "lucky"] {
        for _ in 0..3 {
            secrets.push(client.token(integration).await.expect(200)["access_token"].as_str().unwrap().to_owned());
            client.post(&format!("/v1/integrations/{integration}/token/refresh"), &Value::Null).await.expect(200);
        }
        client.post(&format!("/v1/integrations/{integration}/test"), &Value::Null).await.expect(200);
        secrets.push(client.token(integration).await.expect(200)["access_token"].as_str().unwrap().to_owned());
    }
    let by_hand = json!({"access_token": "entered-by-hand-access-1", "refresh_token": "entered-by-hand-refresh-1"});
    client.send("PUT", "/v1/integrations/machine/token", "application/json", by_hand.to_string()).await.expect(200);
    secrets.extend(["entered-by-hand-access-1", "entered-by-hand-refresh-1"].map(str::to_owned));
    // This one is sent, and refused, and then the client's own secret goes out.
    client.post("/v1/integrations/machine/token/refresh", &Value::Null).await.expect(200);

    // Credentials without a token, which are placed in requests, and signed ones.
    let document = json!({"openapi": "3.1.0", "info": {"title": "Keyed", "version": "1"}, "paths": {},
        "servers": [{"url": parrot.url}], "security": [{"key": [], "sign": []}], "components": {"securitySchemes": {
            "key": {"type": "apiKey", "in": "query", "name": "key"}, "sign": {"type": "http", "scheme": "basic"}}}});
    client.import("keyed", &document.to_string()).await;
    secrets.extend(["an-api-key-of-ours", "a-basic-password-of-ours"].map(str::to_owned));
    client
        .integrate(
            json!({"name": "keyed", "model": "keyed", "scheme": "key", "fields": {"api_key": "an-api-key-of-ours"},
            "schemes": {"sign": {"fields": {"username": "ada", "password": "a-basic-password-of-ours"}}}}),
        )
        .await;
    let placed = client.post("/v1/integrations/keyed/authorize", &json!({"method": "GET", "path": "/x"})).await;
    assert_eq!(placed.expect(200)["query"]["key"], "an-api-key-of-ours");
    client.get("/v1/integrations/keyed/proxy/x").await.expect(400);
    let hook = client.post("/v1/webhooks", &json!({"name": "ops", "url": "http://127.0.0.1:9/hook"})).await.expect(201);
    secrets.push(hook["secret"].as_str().unwrap().to_owned());

    let needles = needles(&secrets);
    // The search finds what is there.
    let served = client.token("lucky").await.text;
    assert!(needles.iter().any(|(_, needle)| served.as_bytes().windows(needle.len()).any(|window| window == needle)));
    assert!(
        parrot
            .seen()
            .iter()
            .any(|seen| seen.form.get("refresh_token").is_some_and(|it| it.starts_with("lucky-refresh")))
    );
    let refused = client.token("mocked").await;
    assert!(refused.expect(503).to_string().contains("invalid_grant"), "{}", refused.text);
    assert_without("the refusal", refused.text.as_bytes(), &needles);
    let tested = client.post("/v1/integrations/mocked/test", &Value::Null).await;
    assert_without("the test", tested.text.as_bytes(), &needles);
    assert!(parrot.seen().iter().any(|seen| seen.form.values().any(|value| value == PASSWORD)), "it did go out");

    let document = client.get("/openapi.json").await.expect(200);
    let asked = search_api(&client, &document, &needles).await;
    assert!(asked > 30, "{asked} answers");
    assert!(search_folder(&daemon.data(), &needles) > 5);
    assert_without("the log", daemon.log().as_bytes(), &needles);
    daemon.kill9().await;
    search_folder(&daemon.data(), &needles);
    daemon.restart().await;
    daemon.client().token("password").await.expect(200);
    daemon.stop().await;
    search_folder(&daemon.data(), &needles);
    let log = daemon.log();
    assert!(log.len() > 1000, "{log}");
    assert_without("the log", log.as_bytes(), &needles);
}
