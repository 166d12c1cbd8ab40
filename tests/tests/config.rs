//! The daemon's settings: checked without it, shown with where each comes from, and changed while it runs; on the command line, over HTTP,
//! and by SIGHUP.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::path::PathBuf;

use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Mock, Options, eventually, mock};
use tokio::process::Command;

/// A daemon with a settings file of its own, in place of some of the variables that tests set.
async fn daemon(text: &str) -> (Daemon, PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokenhost.toml");
    std::fs::write(&file, text).unwrap();
    let options = Options::default().env("TOKENHOST_CONFIG", file.display().to_string());
    // An empty variable is an unset one.
    let options =
        ["TOKENHOST_EGRESS_ALLOW", "TOKENHOST_LOG_LEVEL"].iter().fold(options, |options, name| options.env(name, ""));
    (Daemon::start_with(options).await, file, folder)
}

/// What a command prints as JSON, and whether it succeeded.
async fn run(daemon: &Daemon, arguments: &[&str]) -> (Value, bool) {
    let output = daemon.command(arguments).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let document =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| serde_json::from_str(&said).unwrap_or(json!(said)));
    (document, output.status.success())
}

fn of<'a>(document: &'a Value, key: &str) -> &'a Value {
    document["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["key"] == key)
        .unwrap_or_else(|| panic!("{key}: {document}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_are_told_at_once_by_key_and_place() {
    let (daemon, file, _folder) = daemon("egress = {allow = ['127.0.0.0/8']}\n").await;
    let (checked, ok) = run(&daemon, &["config", "check", "--json"]).await;
    assert!(ok && checked["ok"] == true, "{checked}");
    // A daemon runs on these settings: that its address is taken is as it should be, and here it chose another.
    let wrong = file.with_file_name("wrong.toml");
    let text = "listn = '127.0.0.1:1'\nconnections = 'many'\n[egress]\nallow = ['lan']\n[access.external]\nsecret = 'hunter2'\n";
    std::fs::write(&wrong, text).unwrap();
    let (checked, ok) = run(&daemon, &["config", "check", wrong.to_str().unwrap(), "--json"]).await;
    assert!(!ok && checked["ok"] == false, "{checked}");
    let faults = checked["faults"].as_array().unwrap();
    let found: Vec<_> = faults
        .iter()
        .map(|fault| (fault["key"].as_str().unwrap(), fault["source"]["line"].as_u64().unwrap()))
        .collect();
    for expected in [("listn", 1), ("connections", 2), ("egress.allow", 4), ("access.external.secret", 6)] {
        assert!(found.contains(&expected), "{expected:?}: {checked}");
    }
    assert_eq!(found.len(), 4);
    assert!(
        faults[0].to_string().contains("`listen` is one") || checked.to_string().contains("`listen` is one"),
        "{checked}"
    );
    assert!(!checked.to_string().contains("hunter2"), "{checked}");
    let text = daemon.command(&["config", "check", wrong.to_str().unwrap()]).output().await.unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("wrong.toml:4:9): lan is no network") && text.contains("4 faults"), "{text}");
    // What settings point to.
    let key = daemon.folder().join("keys/master.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (checked, ok) = run(&daemon, &["config", "check", "--flows", "/nowhere", "--json"]).await;
    assert!(!ok, "{checked}");
    let keys: Vec<&str> =
        checked["faults"].as_array().unwrap().iter().map(|fault| fault["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["key_file", "flows"], "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_is_shown_with_its_source_and_no_secret_is() {
    let secret = "hunter2-hunter2-hunter2";
    let (daemon, file, _folder) = daemon(&format!("connections = 77\n[access.external]\nsecret = '{secret}'\n")).await;
    let (shown, ok) = run(&daemon, &["config", "show", "--json", "--log-level", "warn"]).await;
    assert!(ok, "{shown}");
    let running = daemon.client().get("/v1/config").await.expect(200);
    for document in [&shown, &running] {
        assert_eq!(of(document, "connections")["value"], "77");
        assert_eq!(of(document, "connections")["source"]["name"], file.display().to_string());
        assert_eq!(of(document, "connections")["source"]["line"], 1);
        assert_eq!(of(document, "data")["source"], json!({"kind": "environment", "name": "TOKENHOST_DATA"}));
        assert_eq!(of(document, "data")["value"], daemon.data().display().to_string());
        assert_eq!(of(document, "access.login_debug")["source"], json!({"kind": "default"}));
        assert_eq!(of(document, "access.external.secret")["value"], "(set)");
        assert_eq!(of(document, "key")["value"], "(not set)");
        assert!(!document.to_string().contains("hunter2"), "{document}");
    }
    assert_eq!(of(&shown, "log.level")["source"], json!({"kind": "flag", "name": "--log-level"}));
    assert_eq!(of(&running, "log.level")["value"], "info");
    let (asked, ok) = run(&daemon, &["config", "show", "--running", "--json"]).await;
    assert!(ok && asked == running, "{asked}");
    let text = daemon.command(&["config", "show", "--origin"]).output().await.unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("tokenhost.toml:1") && text.contains("restart"), "{text}");
}

/// The audit records of reloads, the newest first.
async fn reloads(client: &Client) -> Vec<Value> {
    client.get("/v1/audit?action=config.reload").await.expect(200)["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_what_it_can_names_the_rest_and_is_all_or_nothing() {
    let (daemon, file, _folder) = daemon("public = ['docs']\n[egress]\nallow = []\n").await;
    let (client, anybody) = (daemon.client(), Client::new(daemon.url(), None));
    let provider =
        Mock::start(|_| mock::json(200, &json!({"access_token": "at", "token_type": "Bearer", "expires_in": 3600})))
            .await;
    client.import_oauth("crm", &format!("{}/token", provider.url)).await;
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    assert_eq!(anybody.get("/metrics").await.status, 401);
    let fields = json!({"client_id": "me", "client_secret": "hunter2-secret"});
    let new = json!({"name": "crm", "model": "crm", "flow": "client-credentials", "fields": fields});
    client.integrate(new).await;
    assert_ne!(client.token("crm").await.status, 200, "loopback isn't allowed");

    write(
        "connections = 5\npublic = ['metrics']\n[egress]\nallow = ['127.0.0.0/8']\n[access]\nlogin_debug = true\n[access.external]\nsecret = 'hunter2-hunter2-hunter2'\n",
    );
    let (reloaded, ok) = run(&daemon, &["config", "reload", "--json"]).await;
    assert!(ok, "{reloaded}");
    let keys = |list: &Value| {
        list.as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&reloaded["changed"]), ["public", "egress.allow", "access.login_debug", "access.external.secret"]);
    assert_eq!(keys(&reloaded["waiting"]), ["connections"]);
    assert_eq!(anybody.get("/metrics").await.status, 200);
    assert_eq!(anybody.get("/docs").await.status, 401);
    client.post("/v1/integrations/crm/token/refresh", &Value::Null).await.expect(200);
    let shown = client.get("/v1/config").await.expect(200);
    assert_eq!(
        (&of(&shown, "connections")["value"], keys(&shown["waiting"])),
        (&json!("16384"), vec!["connections".to_owned()])
    );
    let record = reloads(&client).await.remove(0);
    assert!(record.to_string().contains("docs -> metrics") && !record.to_string().contains("hunter2"), "{record}");

    // A faulty file changes nothing, and all that is wrong is told.
    write("public = ['docs', 'nothing']\n[log]\nlevel = 'debug'\nfornat = 'json'\n");
    let refused = client.post("/v1/config/reload", &Value::Null).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let told = refused.text;
    assert!(told.contains("\"public\"") && told.contains("log.fornat") && told.contains("log.format"), "{told}");
    assert_eq!(client.get("/v1/config").await.expect(200), shown);
    assert_eq!(anybody.get("/metrics").await.status, 200);

    // The same by a signal.
    write("public = []\n[log]\nlevel = 'debug'\n[egress]\nallow = []\n");
    let pid = daemon.pid().to_string();
    assert!(Command::new("sh").args(["-c", "kill -HUP \"$0\"", &pid]).status().await.unwrap().success());
    eventually("the signal is taken", async || (anybody.get("/metrics").await.status == 401).then_some(())).await;
    eventually("and told in the audit log", async || {
        let record = reloads(&client).await.remove(0);
        (record["actor"]["kind"] == "system" && record.to_string().contains("metrics -> ")).then_some(())
    })
    .await;
    assert_ne!(
        client.post("/v1/integrations/crm/token/refresh", &Value::Null).await.status,
        200,
        "loopback isn't allowed any more"
    );
    client.get("/v1/models").await.expect(200);
    assert!(daemon.log().contains("DEBUG"), "{}", daemon.log());
    write("[log]\nlevel = 'loud and clear=x=y'\n");
    assert!(Command::new("sh").args(["-c", "kill -HUP \"$0\"", &pid]).status().await.unwrap().success());
    eventually("the fault is logged", async || daemon.log().contains("nothing is changed").then_some(())).await;
    assert_eq!(client.get("/v1/models").await.status, 200);

    // Only who may operate the daemon.
    let made = client
        .post(
            "/v1/application-tokens",
            &json!({"name": "reader", "profiles": ["Auditor", "REST Services User"], "scopes": ["REST/JSON"]}),
        )
        .await;
    let token = made.expect(201)["token"].as_str().unwrap().to_owned();
    let reader = Client::new(daemon.url(), Some(&token));
    assert_eq!(reader.get("/v1/config").await.status, 403);
    assert_eq!(reader.post("/v1/config/reload", &Value::Null).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_is_none_is_refused_everywhere() {
    let (mut daemon, file, _folder) = daemon("").await;
    std::fs::write(&file, "[log]\nlevel = 'verbose'\n").unwrap();
    let (checked, ok) = run(&daemon, &["config", "check", "--json"]).await;
    let message = checked["faults"][0]["message"].as_str().unwrap();
    assert!(
        !ok && message.contains("\"verbose\" is no level") && message.contains("info,tokenhost=debug"),
        "{checked}"
    );
    let refused = daemon.client().post("/v1/config/reload", &Value::Null).await;
    assert!(refused.status == 422 && refused.text.contains("is no level"), "{}", refused.text);
    daemon.stop().await;
    let started = daemon.command(&["serve"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(!started.status.success() && said.contains("log.level") && said.contains("is no level"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_what_it_looked_at_and_what_a_start_passes_over() {
    let (daemon, file, _folder) = daemon("").await;
    std::fs::write(&file, "listen = 'here'\n[access]\npersonal_tokens_allowed_profiles = ['Auditor', 'Helpdsk']\n")
        .unwrap();
    let profile = json!({"name": "Helpdesk", "rights": ["read_models"]});
    daemon.client().post("/v1/profiles", &profile).await.expect(201);
    let check = async |token: bool| {
        let mut command = daemon.command(&["config", "check"]);
        command.env("TOKENHOST_LISTN", "x");
        if !token {
            command.env_remove("TOKENHOST_TOKEN");
        }
        let output = command.output().await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        said
    };
    let said = check(true).await;
    for part in [
        &format!("file       {}", file.display()),
        "variables  TOKENHOST_DATA, TOKENHOST_LISTEN",
        "tokenhost.toml:1:10): must be an IP address",
        "only while TOKENHOST_LISTEN overrides it",
        "TOKENHOST_LISTN: isn't read: there is no such variable; did you mean TOKENHOST_LISTEN?",
        "there is no profile \"Helpdsk\" yet, so that it allows nobody anything; did you mean \"Helpdesk\"?",
        "the settings can be used",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert!(!said.contains("Auditor"), "{said}");
    let said = check(false).await;
    assert!(said.contains("the profiles Helpdsk wasn't checked") && said.contains("no token for the daemon"), "{said}");
    std::fs::write(&file, "[backup]\nfolder = '/proc/version'\n").unwrap();
    let (checked, ok) = run(&daemon, &["config", "check", "--json"]).await;
    assert!(!ok && checked["faults"][0]["key"] == "backup.folder", "{checked}");
}
