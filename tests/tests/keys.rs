//! Keys rotate while the daemon works: data keys under load and `kill -9` at many moments, the master key with both of them opening
//! the data in between, the key out of a command. Every secret opens afterwards, and none shows.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokenhost_tests::{Client, Daemon, Mock, Options, client, eventually, mock};
use tokio::task::JoinSet;

const INTEGRATIONS: usize = 120;
const KILLS: usize = 25;

/// A provider that gives tokens to who knows the client's secret, and the password or a refresh token that it gave. The number of
/// those whom it refused.
struct Provider {
    mock: Mock,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    async fn start() -> Self {
        let refused: Arc<Mutex<Vec<String>>> = Arc::default();
        let given: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let refuses = Arc::clone(&refused);
        let mock = Mock::start(move |seen| {
            let form = |name: &str| seen.form.get(name).map(String::as_str).unwrap_or_default().to_owned();
            let basic = seen.headers.get("authorization").and_then(|value| value.strip_prefix("Basic "));
            let basic = basic.and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
            let basic = String::from_utf8(basic).unwrap();
            let (id, secret) = match basic.split_once(':') {
                Some((id, secret)) => (id.to_owned(), secret.to_owned()),
                None => (form("client_id"), form("client_secret")),
            };
            let knows = match form("grant_type").as_str() {
                "password" => form("password") == format!("password-{id}"),
                "refresh_token" => given.lock().unwrap().contains(&form("refresh_token")),
                "authorization_code" => form("code") == "the-code",
                _ => false,
            };
            if !knows || secret != format!("secret-{id}") {
                refuses.lock().unwrap().push(format!("{id}: {:?}", seen.form.keys()));
                return mock::json(400, &json!({"error": "invalid_grant"}));
            }
            let refresh = format!("refresh-{}", seen.number);
            given.lock().unwrap().insert(refresh.clone());
            let token = json!({"access_token": format!("access-{}", seen.number), "refresh_token": refresh,
                "token_type": "Bearer", "expires_in": 3600});
            mock::json(200, &token)
        })
        .await;
        Self { mock, refused }
    }

    fn document(&self) -> String {
        let flow = json!({"tokenUrl": format!("{}/token", self.mock.url), "scopes": {}});
        let mut code = flow.clone();
        code["authorizationUrl"] = format!("{}/authorize", self.mock.url).into();
        let scheme = json!({"type": "oauth2", "flows": {"password": flow, "authorizationCode": code}});
        json!({"openapi": "3.1.0", "info": {"title": "CRM", "version": "1"}, "paths": {},
            "components": {"securitySchemes": {"oauth2": scheme}}})
        .to_string()
    }
}

/// What a receiver of webhooks got.
type Got = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

async fn receiver() -> (String, Got) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, got) = (format!("http://{}/hook", listener.local_addr().unwrap()), Got::default());
    let take =
        async |State(got): State<Got>, headers: HeaderMap, body: Bytes| got.lock().unwrap().push((headers, body));
    let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&got));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, got)
}

fn fields(name: &str) -> Value {
    json!({"client_id": name, "client_secret": format!("secret-{name}"), "username": name, "password": format!("password-{name}")})
}

async fn refresh(client: &Client, name: &str) {
    client.post(&format!("/v1/integrations/{name}/token/refresh"), &Value::Null).await.expect(200);
}

/// A daemon that comes back at the same address.
async fn daemon() -> Daemon {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = Options::default().env("TOKENHOST_LISTEN", free.to_string()).env("TOKENHOST_LOG_LEVEL", "debug");
    Daemon::start_with(options).await
}

/// Values that each key has sealed.
fn sealed(keys: &Value) -> Vec<(u64, u64)> {
    let data = keys["data"].as_array().unwrap().iter();
    data.map(|key| (key["id"].as_u64().unwrap(), key["values"].as_u64().unwrap())).collect()
}

async fn keys(client: &Client) -> Value {
    client.get("/v1/keys").await.expect(200)
}

/// Asks for tokens and renews them until the daemon is gone.
async fn load(client: Client, names: Vec<String>, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    loop {
        let name = &names[random.random_range(0..names.len())];
        for (method, path) in [("POST", "/refresh"), ("GET", "")] {
            let path = format!("/v1/integrations/{name}/token{path}");
            match client.try_send(method, &path, "", Vec::new()).await {
                Ok(answer) => assert!(matches!(answer.status, 200 | 429 | 503), "{method} {path}: {answer:?}"),
                Err(_) => return,
            }
        }
    }
}

/// Opens the link of a connection, as a browser that the provider then sends back: what it would come back with.
async fn leaves(url: &str) -> (String, String) {
    let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let away = browser.get(url).send().await.unwrap();
    let cookies = away.headers().get_all("set-cookie").iter();
    let cookies: Vec<String> =
        cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned()).collect();
    let location = url::Url::parse(away.headers()["location"].to_str().unwrap()).unwrap();
    let state = location.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    (state, cookies.join("; "))
}

#[tokio::test(flavor = "multi_thread")]
async fn data_keys_rotate_under_load_and_kills_and_every_secret_opens() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (provider, (hook, got)) = (Provider::start().await, receiver().await);
    let mut daemon = daemon().await;
    let client = daemon.client();
    client.import("crm", &provider.document()).await;
    let names: Vec<String> = (0..INTEGRATIONS).map(|number| format!("crm-{number}")).collect();
    for name in &names {
        client.integrate(json!({"name": name, "model": "crm", "flow": "password", "fields": fields(name)})).await;
        refresh(&client, name).await;
    }
    let away = json!({"client_id": "away", "client_secret": "secret-away"});
    client.integrate(json!({"name": "away", "model": "crm", "flow": "authorization-code", "fields": away})).await;
    let link = client.post("/v1/integrations/away/connect", &Value::Null).await.expect(200);
    let (state, cookies) = leaves(link["url"].as_str().unwrap()).await;
    client.post("/v1/webhooks", &json!({"name": "ops", "url": hook, "kinds": ["webhook.disabled"]})).await.expect(201);
    let secret = client.post("/v1/webhooks/ops/secret", &json!({"grace_seconds": 86_400})).await.expect(200);
    let webhook = Webhook::new(secret["secret"].as_str().unwrap()).unwrap();

    let before = keys(&client).await;
    let values = sealed(&before);
    assert_eq!((values.len(), values[0].0), (1, 1), "{before}");
    // At least its secrets, its token and its attempt's seed for each; both secrets of the webhook; the connection's notes.
    assert!(values[0].1 >= INTEGRATIONS as u64 * 5 + 4, "{before}");
    for kind in ["integrations", "tokens", "attempts", "webhooks"] {
        assert!(before["data"][0]["kinds"][kind].as_u64().unwrap() > 0, "{before}");
    }
    assert_eq!(before["warnings"], json!([]), "{before}");

    let rotated = client.post("/v1/keys/data/rotate", &Value::Null).await.expect(202);
    assert_eq!(rotated["id"], 2);
    for round in 0..KILLS {
        let mut callers = JoinSet::new();
        for caller in 0..4 {
            callers.spawn(load(daemon.client(), names.clone(), seed ^ (round * 10 + caller) as u64));
        }
        // The one place where time itself is the input: the moment of the kill.
        tokio::time::sleep(Duration::from_micros(random.random_range(0..150_000))).await;
        daemon.kill9().await;
        while let Some(ended) = callers.join_next().await {
            ended.unwrap();
        }
        daemon.restart().await;
        // A webhook's record keeps the revision that the daemon knows, whoever sealed it anew.
        let enabled = json!({"enabled": true});
        daemon.client().call("PATCH", "/v1/webhooks/ops", &enabled).await.expect(200);
    }
    let client = daemon.client();
    let sealed_anew = eventually("everything is sealed anew", async || {
        let keys = keys(&client).await;
        sealed(&keys).iter().all(|(id, values)| *id == 2 || *values == 0).then_some(keys)
    });
    println!("{}", sealed_anew.await);
    // The old key goes a minute after the rotation at the earliest.
    let waited = daemon.command(&["key", "rotate", "--data", "--wait"]).output().await.unwrap();
    assert!(waited.status.success(), "{waited:?}");
    assert!(String::from_utf8_lossy(&waited.stderr).contains("sealed anew"), "{waited:?}");
    let after = keys(&client).await;
    assert_eq!(sealed(&after).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [3], "{after}");
    assert!(sealed(&after)[0].1 >= values[0].1, "{after}");
    assert_eq!((&after["resealing"], &after["warnings"]), (&Value::Null, &json!([])), "{after}");
    let metrics = client.get("/metrics").await.text;
    assert!(metrics.contains("tokenhost_sealed_values{key=\"older\"} 0"), "{metrics}");

    // All secrets work: on a daemon that has nothing in memory.
    daemon.stop().await;
    daemon.restart().await;
    let client = daemon.client();
    provider.refused.lock().unwrap().clear();
    for name in &names {
        refresh(&client, name).await;
        client.token(name).await.expect(200);
    }
    client.post("/v1/webhooks/ops/test", &Value::Null).await.expect(200);
    let (headers, body) = got.lock().unwrap().pop().unwrap();
    webhook.verify(&body, &headers).unwrap();
    let back = client::http().get(format!("{}/v1/callback?state={state}&code=the-code", daemon.url()));
    let back = back.header("cookie", cookies).send().await.unwrap();
    assert_eq!(back.status(), 200, "{}", back.text().await.unwrap());
    client.token("away").await.expect(200);
    assert_eq!(*provider.refused.lock().unwrap(), Vec::<String>::new());
    let audit = client.get("/v1/audit?action=key.&limit=10").await.expect(200);
    assert_eq!(audit["items"][0]["action"], "key.rotate_data", "{audit}");
    let events = client.get("/v1/events?kind=key.rotated").await.expect(200);
    assert!(!events["items"].as_array().unwrap().is_empty(), "{events}");
}

/// The master key's file, and those beside it.
struct Files(PathBuf);

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap().trim().to_owned()
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }
}

/// Runs a command against the daemon.
async fn run(daemon: &Daemon, line: &str) -> Output {
    daemon.command(&line.split(' ').collect::<Vec<_>>()).output().await.unwrap()
}

#[track_caller]
fn done(output: &Output, expected: &str) {
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains(expected), "{expected:?} expected: {told}{said}");
}

#[track_caller]
fn refused(output: &Output, expected: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(expected), "{expected:?} expected: {said}");
}

/// No key is in the daemon's log, in any form in which it could be.
fn assert_unlogged(daemon: &Daemon, keys: &[String]) {
    let log = daemon.log();
    for key in keys {
        let bytes: Vec<u8> =
            (0..key.len()).step_by(2).map(|at| u8::from_str_radix(&key[at..at + 2], 16).unwrap()).collect();
        assert!(!log.contains(key) && !log.contains(&STANDARD.encode(bytes)), "a key is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_is_replaced_and_neither_a_kill_nor_a_forgotten_setting_locks_out() {
    let provider = Provider::start().await;
    let mut daemon = daemon().await;
    let files = Files(daemon.folder().join("keys"));
    let client = daemon.client();
    client.import("crm", &provider.document()).await;
    client.integrate(json!({"name": "crm", "model": "crm", "flow": "password", "fields": fields("crm")})).await;
    refresh(&client, "crm").await;
    let first = files.text("master.key");

    refused(&run(&daemon, "key rotate --master").await, "master.key.next");
    let next = files.path("master.key.next").display().to_string();
    done(&run(&daemon, &format!("key generate {next}")).await, "back it up");
    refused(&run(&daemon, &format!("key generate {next}")).await, "never overwritten");
    assert_eq!(std::fs::metadata(&next).unwrap().permissions().mode() & 0o7777, 0o600);
    done(&run(&daemon, "key rotate --master").await, "as the one before does");
    done(&run(&daemon, "key rotate --data").await, "data key 2 seals from now on");
    // The setting is forgotten, and the daemon killed: it starts with the old key, and says so.
    daemon.kill9().await;
    daemon.restart().await;
    assert!(daemon.log().contains("OLD master key"), "{}", daemon.log());
    daemon.client().token("crm").await.expect(200);
    let status = run(&daemon, "key status").await;
    done(&status, "next master key");
    refused(&run(&daemon, "key finish").await, "the settings don't name the master key that is to stay");
    refused(&run(&daemon, "key rotate --data").await, "isn't at hand");
    done(&run(&daemon, "key rotate --master").await, "opens the data");
    // Made the setting, it is the only one, without a restart.
    files.rename("master.key", "master.key.old");
    files.rename("master.key.next", "master.key");
    let second = files.text("master.key");
    done(&run(&daemon, "key finish").await, "is the only one that opens the data");
    refused(&run(&daemon, "key finish").await, "no rotation of the master key is under way");
    daemon.stop().await;
    files.rename("master.key", "master.key.new");
    files.rename("master.key.old", "master.key");
    let before = daemon.log().len();
    assert!(!daemon.try_restart().await.unwrap_err().success());
    assert!(daemon.log()[before..].contains("is the wrong one"), "{}", daemon.log());
    files.rename("master.key.new", "master.key");
    daemon.restart().await;
    refresh(&daemon.client(), "crm").await;

    // Once more, ended by a start with the new key.
    done(&run(&daemon, &format!("key generate {next}")).await, "back it up");
    done(&run(&daemon, "key rotate --master").await, "opens the data");
    daemon.kill9().await;
    files.rename("master.key", "master.key.old");
    files.rename("master.key.next", "master.key");
    let third = files.text("master.key");
    daemon.restart().await;
    assert!(daemon.log().contains("started with the new master key"), "{}", daemon.log());
    let status = keys(&daemon.client()).await;
    assert_eq!((&status["master"]["next"], &status["warnings"]), (&Value::Null, &json!([])), "{status}");
    refresh(&daemon.client(), "crm").await;

    // And taken back.
    done(&run(&daemon, &format!("key generate {next}")).await, "back it up");
    let fourth = files.text("master.key.next");
    done(&run(&daemon, "key rotate --master").await, "opens the data");
    done(&run(&daemon, "key finish --keep-old").await, "is the only one");
    daemon.stop().await;
    daemon.restart().await;
    refresh(&daemon.client(), "crm").await;
    assert_eq!(*provider.refused.lock().unwrap(), Vec::<String>::new());
    assert_unlogged(&daemon, &[first, second, third, fourth]);
}

/// A script that can be run.
fn script(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_comes_out_of_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let kms = folder.path().join("kms");
    let key = "5f".repeat(31) + "60";
    script(
        &kms,
        &format!("echo fetching >&2\ntest \"$1 $2\" = 'get the key' && test -z \"$TOKENHOST_KEY\" && echo {key}"),
    );
    let command = format!("{} get 'the key'", kms.display());
    let options = Options::default().env("TOKENHOST_KEY_FILE", "").env("TOKENHOST_KEY_COMMAND", command);
    let mut daemon = Daemon::start_with(options).await;
    let status = keys(&daemon.client()).await;
    assert!(status["master"]["source"].as_str().unwrap().contains("the output of the command"), "{status}");
    daemon.stop().await;
    script(&kms, &format!("echo {key}; echo 'access denied to {key}' >&2; exit 7"));
    daemon.try_restart().await.unwrap_err();
    let log = daemon.log();
    assert!(log.contains("exit status: 7: access denied to [output]"), "{log}");
    script(&kms, "echo 'not a key'");
    daemon.try_restart().await.unwrap_err();
    script(&kms, &format!("echo {key}"));
    daemon.restart().await;
    assert_unlogged(&daemon, &[key]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pepper_rotates_and_tells_who_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tokenhost.toml");
    std::fs::write(&config, "[access.application_token]\nallow_fallback_token = true\n").unwrap();
    let options = Options::default().env("TOKENHOST_CONFIG", config.display().to_string());
    let daemon = Daemon::start_with(options).await;
    done(&run(&daemon, "application-token create sync --profile Auditor --scope REST/JSON").await, "");
    refused(&run(&daemon, "key rotate --pepper").await, "--accept-until TIME or --refuse-old");
    let until =
        (tokenhost::clock::SystemClock::shared().now() + chrono::TimeDelta::days(3)).format("%Y-%m-%d").to_string();
    done(&run(&daemon, &format!("key rotate --pepper --accept-until {until}")).await, "the pepper is rotated");
    let status = keys(&daemon.client()).await;
    assert_eq!((&status["pepper"]["id"], &status["pepper"]["older_tokens"]), (&json!(1), &json!(2)), "{status}");
    assert!(status["warnings"][0].as_str().unwrap().contains("2 tokens are under an older pepper"), "{status}");
    done(&run(&daemon, "application-token rebuild sync").await, "");
    assert_eq!(keys(&daemon.client()).await["pepper"]["older_tokens"], 1);
    done(&run(&daemon, "key status").await, "tokens under old ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_with_what_to_type() {
    let mut daemon = Daemon::start().await;
    let key = daemon.folder().join("keys/master.key");
    let said = async |daemon: &Daemon, arguments: &[&str]| {
        let output = daemon.command(arguments).output().await.unwrap();
        (output.status.success(), text(&output))
    };
    let (ok, told) = said(&daemon, &["key", "rotate", "--master"]).await;
    let typed = format!("tokenhost key generate {}.next", key.display());
    assert!(!ok && told.contains(&typed) && told.contains("key_next_file"), "{told}");
    let (ok, told) = said(&daemon, &["key", "generate", key.to_str().unwrap()]).await;
    assert!(!ok && told.contains("never overwritten") && told.contains("Name another file"), "{told}");
    // As it said.
    let words: Vec<&str> = typed.split(' ').skip(1).collect();
    assert!(said(&daemon, &words).await.0);
    let (ok, told) = said(&daemon, &["key", "rotate", "--master"]).await;
    assert!(ok && told.contains(".next") && told.contains("&& tokenhost key finish"), "{told}");
    let (_, told) = said(&daemon, &["status"]).await;
    assert!(told.contains("mv ") && told.contains("tokenhost key finish"), "{told}");
    // Without its key the daemon says which one it needs.
    daemon.stop().await;
    std::fs::rename(&key, key.with_extension("gone")).unwrap();
    for command in ["init", "serve"] {
        let (ok, told) = said(&daemon, &[command]).await;
        assert!(
            !ok && told.contains("there is none") && told.contains("was sealed with master key "),
            "{command}: {told}"
        );
    }
}

/// All that a command said.
fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}
