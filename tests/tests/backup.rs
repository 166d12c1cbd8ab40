//! Backups of a running daemon, and what is made of them on another machine: all that was acknowledged is there, no refresh
//! token that was replaced is sent again, and whoever operates it knows.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

#[allow(dead_code, reason = "the daemon's own tests use all of it")]
#[path = "../../host/src/flows/tests/guest.rs"]
mod guest;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use guest::Guest;
use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Mock, Options, Provider, eventually, mock};

/// Takes a backup by the command line.
async fn backup(daemon: &Daemon, name: &str) -> PathBuf {
    let path = daemon.folder().join(name);
    let made = daemon.command(&["backup", "--force", path.to_str().unwrap()]).output().await.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    path
}

/// Runs a command that must fail, and gives what it says.
async fn refused(daemon: &Daemon, arguments: &[&str], code: i32) -> String {
    let ended = daemon.command(arguments).output().await.unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

/// Makes an application and gives its id and token.
async fn application(client: &Client, name: &str) -> Option<(String, String)> {
    let new =
        json!({"name": name, "profiles": ["REST Services User"], "scopes": ["REST/JSON"], "allowed_organizations": []});
    let made =
        client.try_send("POST", "/v1/application-tokens", "application/json", new.to_string().into()).await.ok()?;
    let made = made.expect(201);
    Some((made["id"].as_str()?.to_owned(), made["token"].as_str()?.to_owned()))
}

/// Whether a token is let in.
async fn is_active(client: &Client, token: &str) -> bool {
    client.post("/v1/verify", &json!({"token": token, "scope": "REST/JSON"})).await.expect(200)["active"] == true
}

/// A provider that gives another refresh token each time, and notes which ones it was sent.
async fn rotating() -> (Mock, Arc<Mutex<Vec<String>>>) {
    let sent: Arc<Mutex<Vec<String>>> = Arc::default();
    let (noted, count) = (Arc::clone(&sent), AtomicUsize::new(0));
    let mock = Mock::start(move |seen| {
        noted.lock().unwrap().extend(seen.form.get("refresh_token").cloned());
        let number = count.fetch_add(1, Ordering::Relaxed);
        let token =
            json!({"access_token": format!("a{number}"), "refresh_token": format!("r{number}"), "expires_in": 3600});
        mock::json(200, &token)
    });
    (mock.await, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_acknowledged_before_is_in_it_while_everything_goes_on() {
    let (mock, _) = rotating().await;
    let daemon = Daemon::start_with(Options::default().env("TOKENHOST_LOG_LEVEL", "warn")).await;
    let client = daemon.client();
    client.import_oauth("crm", &format!("{}/token", mock.url)).await;
    for name in ["one", "two"] {
        let fields = json!({"client_id": "c", "client_secret": "s", "username": "u", "password": "p"});
        client.integrate(json!({"name": name, "model": "crm", "flow": "password", "fields": fields})).await;
    }
    // By name: the token that was told, and the last generation of each integration.
    let tokens: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let generations: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for name in ["one", "two"] {
        let (client, generations, stop) = (client.clone(), Arc::clone(&generations), Arc::clone(&stop));
        load.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let renewed = client.post(&format!("/v1/integrations/{name}/token/refresh"), &Value::Null).await;
                let generation = renewed.expect(200)["generation"].as_u64().unwrap();
                generations.lock().unwrap().insert(name.to_owned(), generation);
            }
        });
    }
    let (maker, told, stopped) = (client.clone(), Arc::clone(&tokens), Arc::clone(&stop));
    load.spawn(async move {
        for number in 0.. {
            if stopped.load(Ordering::Relaxed) {
                return;
            }
            let name = format!("application-{number}");
            let (_, token) = application(&maker, &name).await.unwrap();
            // It is used, too: the count goes with it.
            assert!(is_active(&maker, &token).await);
            told.lock().unwrap().insert(name, token);
        }
    });
    let mut backups = Vec::new();
    for round in 1..=3 {
        eventually("there is load", async || (tokens.lock().unwrap().len() >= 5 * round).then_some(())).await;
        let before = (tokens.lock().unwrap().clone(), generations.lock().unwrap().clone());
        backups.push((backup(&daemon, &format!("{round}.backup")).await, before));
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended.unwrap();
    }
    for (archive, (tokens, generations)) in backups {
        let (mut other, said) = daemon.restored(&archive).await;
        assert!(said["applications"].as_u64().unwrap() > tokens.len() as u64, "{said}");
        other.restart().await;
        let client = other.client();
        for (name, token) in &tokens {
            assert!(is_active(&client, token).await, "{name} was acknowledged before");
        }
        let listed = client.get("/v1/application-tokens?limit=1000").await.expect(200);
        for one in listed["items"].as_array().unwrap() {
            if tokens.contains_key(one["name"].as_str().unwrap()) {
                let one =
                    client.get(&format!("/v1/application-tokens/{}", one["id"].as_str().unwrap())).await.expect(200);
                // Once before the backup, and once just now.
                assert_eq!(one["use_count"], 2, "{one}");
            }
        }
        for (name, generation) in generations {
            let status = client.status(&name).await;
            assert!(status["generation"].as_u64().unwrap() >= generation, "{status}");
            // What was under way has ended, and nothing of it goes on.
            let attempts = client.attempts(&name).await;
            assert!(attempts.iter().all(|attempt| !attempt["outcome"].is_null()), "{attempts:?}");
        }
        let verified = client.post("/v1/audit/verify", &Value::Null).await;
        assert!(verified.status == 200 && verified.text.contains("\"ok\":true"), "{}", verified.text);
        other.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_replaces_refresh_tokens_never_sees_an_old_one_again() {
    let provider = Provider::django(&[]).await;
    let mut daemon = Daemon::start().await;
    let client = daemon.client();
    client.import("crm", &provider.document().await).await;
    let fields = json!({
        "client_id": provider.text("/clients/password/client_id"),
        "client_secret": provider.text("/clients/password/client_secret"),
        "username": provider.text("/user/username"),
        "password": provider.text("/user/password"),
    });
    client.integrate(json!({"name": "crm", "model": "crm", "scheme": "person", "fields": fields})).await;
    client.token("crm").await.expect(200);
    let archive = backup(&daemon, "x.backup").await;
    // The present one is used, and replaced: what the backup has would end the whole family.
    let newest = client.post("/v1/integrations/crm/token/refresh", &Value::Null).await.expect(200);
    assert_eq!(newest["generation"], 2);
    let newest = client.token("crm").await.expect(200)["access_token"].as_str().unwrap().to_owned();
    daemon.stop().await;
    let before = provider.log().await.len();

    let (mut other, said) = daemon.restored(&archive).await;
    assert_eq!((&said["uncertain"], &said["integrations"], &said["moved_to"]), (&json!(1), &json!(1), &Value::Null));
    other.restart().await;
    let client = other.client();
    assert_eq!(client.token("crm").await.expect(200)["generation"], 1, "the access token of the backup lasts");
    client.post("/v1/integrations/crm/token/refresh", &Value::Null).await.expect(200);
    let sent = provider.log().await.split_off(before);
    let grants: Vec<_> = sent.iter().map(|request| (&request["grant_type"], &request["status"])).collect();
    assert_eq!(grants, [(&json!("password"), &json!(200))], "the flow got a token anew");
    let token = client.token("crm").await.expect(200);
    for token in [newest.as_str(), token["access_token"].as_str().unwrap()] {
        assert_eq!(provider.whoami(token).await.0, 200, "the provider has ended nothing");
    }
    // From then on all is as before.
    client.post("/v1/integrations/crm/token/refresh", &Value::Null).await.expect(200);
    assert_eq!(provider.log().await.last().unwrap()["grant_type"], "refresh_token");

    let status = client.get("/v1/status").await.expect(200);
    assert_eq!(
        (&status["daemon"]["restored"]["uncertain"], &status["attention"][0]["kind"]),
        (&json!(1), &json!("restored"))
    );
    let told = other.command(&["status"]).output().await.unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("tokenhost restore acknowledge") && told.contains("deleted or rebuilt since"), "{told}");
    let known = other.command(&["restore", "acknowledge"]).output().await.unwrap();
    assert!(known.status.success());
    let status = client.get("/v1/status").await.expect(200);
    assert_eq!(status["attention"], json!([]));
    assert!(status["daemon"]["restored"]["acknowledged_at"].is_string(), "{status}");
    let records = client.get("/v1/audit?action=daemon.restored").await.expect(200);
    assert_eq!(records["items"].as_array().unwrap().len(), 1, "{records}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_a_person_gets_a_token_the_old_one_is_tried_once_after_its_access_token_has_ended() {
    let (mock, sent) = rotating().await;
    let mut daemon = Daemon::start().await;
    let client = daemon.client();
    let code =
        json!({"authorizationUrl": format!("{}/a", mock.url), "tokenUrl": format!("{}/token", mock.url), "scopes": {}});
    let scheme = json!({"type": "oauth2", "flows": {"authorizationCode": code}});
    let document = json!({"openapi": "3.1.0", "info": {"title": "A mock", "version": "1"}, "paths": {},
        "components": {"securitySchemes": {"oauth2": scheme}}});
    client.import("crm", &document.to_string()).await;
    let fields = json!({"client_id": "c", "client_secret": "s"});
    client.integrate(json!({"name": "crm", "model": "crm", "flow": "authorization-code", "fields": fields})).await;
    let token = json!({"access_token": "a", "refresh_token": "of-the-backup", "expires_in": 8});
    let entered = client.call("PUT", "/v1/integrations/crm/token", &token).await;
    assert!(entered.status < 300, "{}", entered.text);
    let archive = backup(&daemon, "x.backup").await;
    daemon.kill9().await;

    let (mut other, _) = daemon.restored(&archive).await;
    other.restart().await;
    let client = other.client();
    // While it lasts nobody has it sent, whoever asks.
    let asked = client.post("/v1/integrations/crm/token/refresh", &Value::Null).await;
    if client.status("crm").await["state"] != "expired" {
        assert!(asked.status == 409 && asked.text.contains("restored from a backup"), "{}", asked.text);
        assert_eq!(sent.lock().unwrap().len(), 0);
    }
    eventually("the token ends", async || (client.status("crm").await["state"] == "expired").then_some(())).await;
    assert_eq!(client.token("crm").await.expect(200)["generation"], 2);
    assert_eq!(*sent.lock().unwrap(), ["of-the-backup"]);
    let id = client.attempts("crm").await[0]["id"].as_str().unwrap().to_owned();
    let story = client.get(&format!("/v1/integrations/crm/attempts/{id}")).await.expect(200);
    assert!(story["notes"].to_string().contains("comes from the backup of"), "{story}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_takes_looks_through_and_refuses() {
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("crm", "https://idp.example/token").await;
    let secret = "s3cr3t-in-a-field";
    let fields = json!({"client_id": "c", "client_secret": secret});
    client.integrate(json!({"name": "crm", "model": "crm", "flow": "client-credentials", "fields": fields})).await;
    let archive = backup(&daemon, "x.backup").await;
    assert_eq!(archive.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let path = archive.to_str().unwrap();
    let bytes = std::fs::read(&archive).unwrap();
    assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));

    assert!(refused(&daemon, &["backup", path], 1).await.contains("--force"));
    assert_eq!(std::fs::read(&archive).unwrap(), bytes, "it is as it was");
    let checked = daemon.command(&["backup", "check", "--json", path]).output().await.unwrap();
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let counts = ["models", "integrations", "applications", "tokens"].map(|name| checked[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1, 0], "{checked}");
    let passed = daemon.command(&["backup", "-"]).output().await.unwrap();
    assert!(passed.status.success() && passed.stdout.starts_with(b"tokenhost backup"), "{:?}", passed.status);

    // Without a daemon, and with another key, or none of it whole.
    let bad = daemon.folder().join("bad.backup");
    let bad_path = bad.to_str().unwrap().to_owned();
    for (text, part) in [(&bytes[..bytes.len() - 1], "is cut short"), (b"x", "this is no backup")] {
        std::fs::write(&bad, text).unwrap();
        let elsewhere = daemon.folder().join("elsewhere");
        for command in [&["backup", "check"][..], &["restore", "--data", elsewhere.to_str().unwrap()]] {
            let said = refused(&daemon, &[command, &[&bad_path]].concat(), 1).await;
            assert!(said.contains(part), "{said}");
        }
        assert!(!elsewhere.exists());
    }
    let other = Daemon::init(Options::default()).await;
    let said = refused(&other, &["backup", "check", path], 1).await;
    assert!(said.contains("another master key") && said.contains("--key-file"), "{said}");
    assert!(refused(&other, &["restore", path], 1).await.contains("another master key"));
    // Its own folder is served.
    assert!(refused(&daemon, &["restore", path], 1).await.contains("isn't empty"));
    let said = refused(&daemon, &["restore", "--force", path], 1).await;
    assert!(said.contains(&format!("the data folder {} is in use", daemon.data().display())), "{said}");
    assert!(said.contains("`kill ") && said.contains("systemctl stop tokenhost"), "{said}");
    assert!(refused(&daemon, &["backup"], 2).await.contains("name the file to write"));
    // Who may not operate everything is refused; the log says who took one.
    let (_, weak) = application(&client, "weak").await.unwrap();
    assert_eq!(Client::new(daemon.url(), Some(&weak)).get("/v1/backup").await.status, 403);
    let records = client.get("/v1/audit?action=backup.&limit=100").await.expect(200);
    let actions: Vec<_> = records["items"].as_array().unwrap().iter().map(|record| record["action"].as_str()).collect();
    assert!(actions.contains(&Some("backup.make")) && actions.contains(&Some("backup.made")), "{records}");
    assert!(
        !std::fs::read_dir(daemon.data())
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().starts_with("copy-") })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_made_by_themselves() {
    let daemon = Daemon::init(Options::default()).await;
    let settings = |folder: &Path| format!("[backup]\nfolder = '{}'\nevery = '1m'\nkeep = 3\n", folder.display());
    let (folder, file) = (daemon.folder().join("backups"), daemon.folder().join("tokenhost.toml"));
    std::fs::write(&file, settings(&folder)).unwrap();
    let mut daemon = daemon.with_env("TOKENHOST_CONFIG", file.to_str().unwrap());
    daemon.restart().await;
    let client = daemon.client();
    let made = eventually("a backup is made", async || {
        let backups = client.get("/v1/backups").await.expect(200);
        backups["backups"][0]["file"].as_str().map(str::to_owned)
    });
    let made = made.await;
    assert!(Path::new(&made).starts_with(&folder));
    let checked = daemon.command(&["backup", "check", &made]).output().await.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let listed = daemon.command(&["backup", "list"]).output().await.unwrap();
    assert!(listed.status.success() && String::from_utf8_lossy(&listed.stdout).contains(&made));
    let metrics = client.get("/metrics").await.text;
    for part in ["tokenhost_backups_total{outcome=\"made\"} 1", "tokenhost_backup_last_success_timestamp_seconds 1"] {
        assert!(metrics.contains(part), "{part}");
    }
    daemon.stop().await;

    // A file where the folder should be.
    std::fs::write(&file, settings(Path::new(&made))).unwrap();
    daemon.restart().await;
    let client = daemon.client();
    let failing = eventually("it is told", async || {
        let status = client.get("/v1/status").await.expect(200);
        let items = status["attention"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["kind"] == "backup_failing")
    });
    assert_eq!(failing.await["remedy"], "tokenhost backup list");
    eventually("an event is told", async || {
        let events = client.get("/v1/events?kind=backup.failed").await.expect(200);
        (!events["items"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
    assert!(refused(&daemon, &["backup", "list"], 1).await.is_empty());
}

/// The archive of the first format, made by the test below, and what was in it.
/// As in a container, whose data folder is a volume: nothing else can be put in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_that_is_mounted_is_filled_and_filled_again() {
    let daemon = Daemon::start().await;
    daemon.client().import_oauth("crm", "https://idp.example/token").await;
    let archive = backup(&daemon, "x.backup").await;
    let mounted = daemon.folder().join("mounted");
    std::fs::create_dir(&mounted).unwrap();
    // In a mount namespace of its own, which needs no rights where the kernel gives them to users.
    let script = r#"mount -t tmpfs none "$TOKENHOST_DATA" && mkdir "$TOKENHOST_DATA/lost+found" || exit 77
        "$0" restore --json "$1" && touch "$TOKENHOST_DATA/mine" && "$0" restore --json --force "$1" &&
        ls "$TOKENHOST_DATA" && ls "$TOKENHOST_DATA"/before-restore-* && "$0" upgrade"#;
    let plain = daemon.command(&[]);
    let mut inside = tokio::process::Command::new("unshare");
    inside.args(["--mount", "--map-root-user", "sh", "-c", script]);
    inside.arg(tokenhost_tests::executable()).arg(&archive);
    inside.envs(plain.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = inside.env("TOKENHOST_DATA", &mounted).output().await.unwrap();
    let (told, said) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    if ended.status.code() == Some(77) || said.contains("unshare failed") {
        println!("not tried, since nothing may be mounted here: {said}");
        return;
    }
    assert!(ended.status.success(), "{told}{said}");
    let listed: Vec<_> = told.lines().filter(|line| !line.starts_with('{') && !line.contains(' ')).collect();
    let there = ["store", "lost+found"].map(|name| listed.iter().filter(|line| **line == name).count());
    assert_eq!(there, [2, 1], "what was there is kept, and all that was restored is there: {told}");
    assert_eq!(listed.iter().filter(|line| **line == "mine").count(), 1, "{told}");
    assert!(!told.contains("restoring-"), "{told}");
    assert!(told.contains("\"moved_to\":\"") || told.contains("\"moved_to\": \""), "{told}");
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/backup")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_the_first_format_is_restored() {
    let known: Value = serde_json::from_slice(&std::fs::read(fixture().join("v1.json")).unwrap()).unwrap();
    let text = |name: &str| known[name].as_str().unwrap();
    let daemon = Daemon::init(Options::default()).await;
    let key = daemon.folder().join("keys/master.key");
    std::fs::write(&key, text("master_key")).unwrap();
    let (mut other, said) = daemon.restored(&fixture().join("v1.backup")).await;
    assert_eq!((&said["id"], &said["integrations"]), (&known["id"], &json!(1)), "{said}");
    other.restart().await;
    let client = Client::new(other.url(), Some(text("token")));
    assert_eq!(client.token("crm").await.expect(200)["access_token"], known["access_token"]);
    assert!(is_active(&client, text("application")).await);
    let used = client.get(&format!("/v1/application-tokens/{}", text("application_id"))).await.expect(200);
    assert_eq!(used["use_count"], known["uses"].as_u64().unwrap() + 1);
    let verified = client.post("/v1/audit/verify", &Value::Null).await;
    assert!(verified.text.contains("\"ok\":true"), "{}", verified.text);
    let flow = client.get("/v1/flows/own").await.expect(200);
    assert!(flow.get("problem").is_none_or(Value::is_null), "an installed flow comes along: {flow}");
}

/// Makes the fixture: `cargo test --workspace --test backup -- --ignored`. One of a format that was released stays for ever.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it makes what the test above reads"]
async fn make_the_fixture() {
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("crm", "https://idp.example/token").await;
    let fields = json!({"client_id": "c", "client_secret": "a secret of the fixture"});
    client.integrate(json!({"name": "crm", "model": "crm", "flow": "client-credentials", "fields": fields})).await;
    let token = json!({"access_token": "the-access-token-of-the-fixture", "refresh_token": "its-refresh-token"});
    let entered = client.call("PUT", "/v1/integrations/crm/token", &token).await;
    assert!(entered.status < 300, "{}", entered.text);
    let flow = Guest::good("own").build();
    client.send("POST", "/v1/flows?allow_unsigned=true", "application/wasm", flow).await.expect(201);
    let (id, application) = application(&client, "fixture").await.unwrap();
    for _ in 0..3 {
        assert!(is_active(&client, &application).await);
    }
    let archive = backup(&daemon, "x.backup").await;
    std::fs::create_dir_all(fixture()).unwrap();
    std::fs::copy(&archive, fixture().join("v1.backup")).unwrap();
    let checked = daemon.command(&["backup", "check", "--json", archive.to_str().unwrap()]).output().await.unwrap();
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let known = json!({
        "id": checked["id"],
        "master_key": std::fs::read_to_string(daemon.folder().join("keys/master.key")).unwrap().trim(),
        "token": daemon.token(),
        "application": application,
        "application_id": id,
        "uses": 3,
        "access_token": "the-access-token-of-the-fixture",
    });
    std::fs::write(fixture().join("v1.json"), format!("{known:#}\n")).unwrap();
}
