//! The daemon as a process: what it refuses to start on, and how it stops.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use serde_json::{Value, json};
use tokenhost_tests::{Act, Client, Daemon, Mock, Options, PATIENCE, eventually, mock};
use tokio::sync::watch;

/// Runs the executable, which must fail, and returns what it said on standard error.
async fn fails(daemon: &Daemon, arguments: &[&str], env: &[(&str, &str)]) -> String {
    let output = daemon.command(arguments).envs(env.iter().copied()).output();
    let output =
        tokio::time::timeout(PATIENCE, output).await.unwrap_or_else(|_| panic!("{arguments:?} {env:?} goes on"));
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?} {env:?} succeeds: {said}");
    assert!(output.status.code().is_some(), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[track_caller]
fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{said}\nshould say {part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_start_on_what_is_not_its_own() {
    let mut daemon = Daemon::init(Options::default()).await;
    // No data.
    let empty = daemon.folder().join("nothing").display().to_string();
    says(&fails(&daemon, &["serve"], &[("TOKENHOST_DATA", &empty)]).await, &[&empty, "tokenhost init"]);
    // No key, and the wrong one.
    let no_key = daemon.folder().join("no.key").display().to_string();
    says(&fails(&daemon, &["serve"], &[("TOKENHOST_KEY_FILE", &no_key)]).await, &[&no_key]);
    let other = Daemon::init(Options::default()).await;
    let wrong = other.folder().join("keys/master.key").display().to_string();
    let said = fails(&daemon, &["serve"], &[("TOKENHOST_KEY_FILE", &wrong)]).await;
    says(&said, &["key"]);
    let key = std::fs::read_to_string(&wrong).unwrap();
    let said = fails(&daemon, &["serve"], &[("TOKENHOST_KEY", key.trim())]).await;
    assert!(!said.contains(key.trim()), "{said}");
    // A second administrator, a second daemon.
    says(&fails(&daemon, &["init"], &[]).await, &["administrator"]);
    daemon.restart().await;
    says(&fails(&daemon, &["serve"], &[]).await, &["use"]);
    assert_eq!(daemon.client().get("/v1/models").await.status, 200);
    // An address that is taken.
    let address = daemon.url().strip_prefix("http://").unwrap().to_owned();
    says(&fails(&other, &["serve"], &[("TOKENHOST_LISTEN", &address)]).await, &[&address]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_start_on_a_database_of_a_later_version() {
    let daemon = Daemon::init(Options::default()).await;
    let database = rocksdb::DB::open_default(daemon.data().join("store")).unwrap();
    database.put(b"\0meta/format", 9_u64.to_be_bytes()).unwrap();
    drop(database);
    says(&fails(&daemon, &["serve"], &[]).await, &["9", "later tokenhost"]);
    says(&fails(&daemon, &["init"], &[]).await, &["9", "later tokenhost"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_wrong_with_the_settings_is_told_at_once() {
    let daemon = Daemon::init(Options::default()).await;
    let path = daemon.folder().join("tokenhost.toml");
    std::fs::write(&path, "lissten = \"x\"\nkey_fil = 7\n[egress]\nalow = []\n[log]\nlevel = \"loud-and-clear==\"\n")
        .unwrap();
    let path = path.display().to_string();
    let said = fails(
        &daemon,
        &["serve", "--config", &path],
        &[("TOKENHOST_LISTEN", "here"), ("TOKENHOST_EGRESS_ALLOW", "all")],
    )
    .await;
    says(&said, &["lissten", "key_fil", "egress.alow", "TOKENHOST_LISTEN", "TOKENHOST_EGRESS_ALLOW"]);
    std::fs::write(&path, "key = \"hunter2-hunter2\nlisten = 1\n").unwrap();
    let said = fails(&daemon, &["serve", "--config", &path], &[]).await;
    says(&said, &["line 1"]);
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_every_route_answers_the_same_problem() {
    let daemon = Daemon::start().await;
    let document = daemon.client().get("/openapi.json").await.expect(200);
    let mut asked = 0;
    let other = Daemon::init(Options::default()).await;
    for client in [Client::new(daemon.url(), None), Client::new(daemon.url(), Some(other.token()))] {
        for (path, item) in document["paths"].as_object().unwrap() {
            let parts = path.split('/').map(|part| if part.starts_with('{') { "some-name" } else { part });
            let url = parts.collect::<Vec<_>>().join("/");
            for method in ["get", "put", "post", "delete", "patch"].iter().filter(|method| item.get(**method).is_some())
            {
                let answer = client.call(&method.to_uppercase(), &url, &Value::Null).await;
                if matches!(path.as_str(), "/healthz" | "/readyz") {
                    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
                    continue;
                }
                match path.as_str() {
                    // Pages for people, who have no token yet.
                    "/login" | "/logout" => continue,
                    // People on their way to a provider and back, known by a link and a cookie.
                    "/v1/callback" | "/v1/connect/{ticket}" => {
                        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
                        continue;
                    }
                    // Proxies get the refusal in headers alone.
                    path if path.starts_with("/v1/forward-auth/") => {
                        assert_eq!((answer.status, answer.text.as_str()), (401, ""));
                        continue;
                    }
                    // The error's form is that of RFC 7662 section 2.3.
                    "/oauth2/introspect" => {
                        assert_eq!(answer.expect(401)["error"], "invalid_client");
                        continue;
                    }
                    _ => {}
                }
                let problem = answer.expect(401);
                assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
                assert_eq!((&problem["code"], problem["support_id"].is_string()), (&json!("unauthenticated"), true));
                asked += 1;
            }
        }
    }
    assert!(asked >= 50, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_when_the_calls_and_attempts_under_way_have_ended() {
    let (open, gate) = watch::channel(false);
    let provider = Mock::start(move |_| {
        let answer = mock::json(200, &json!({"access_token": "late", "expires_in": 3600}));
        [vec![Act::Gate(gate.clone())], answer].concat()
    })
    .await;
    let mut daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("mock", &format!("{}/token", provider.url)).await;
    let fields = json!({"client_id": "me", "client_secret": "secret-of-mine"});
    client.integrate(json!({"name": "one", "model": "mock", "flow": "client-credentials", "fields": fields})).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.token("one").await }
    });
    eventually("the request", async || (provider.seen().len() == 1).then_some(())).await;
    daemon.terminate().await;
    eventually("it stops", async || daemon.log().contains("stopping").then_some(())).await;
    // Nobody new is let in.
    let url = daemon.url().to_owned();
    eventually("the door is shut", async || {
        let fresh = Client::new(&url, None);
        fresh.try_send("GET", "/healthz", "", Vec::new()).await.err()
    })
    .await;
    open.send(true).unwrap();
    assert_eq!(waiting.await.unwrap().expect(200)["access_token"], "late");
    assert!(daemon.ended().await.success());
    daemon.restart().await;
    assert_eq!(daemon.client().token("one").await.expect(200)["access_token"], "late");
    assert_eq!(provider.seen().len(), 1);
    daemon.stop().await;
    let log = daemon.log();
    assert!(log.contains("stopped") && !log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_walks_the_same_way() {
    let provider = Mock::start(|_| mock::json(200, &json!({"access_token": "by-hand", "expires_in": 3600}))).await;
    let daemon = Daemon::start().await;
    daemon.client().import_oauth("mock", &format!("{}/token", provider.url)).await;
    std::fs::write(daemon.folder().join("secret"), "secret-of-mine").unwrap();
    let secret = format!("client_secret=@{}", daemon.folder().join("secret").display());
    let run = async |arguments: &[&str]| {
        let output = daemon.command(arguments).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let flow = ["--flow", "client-credentials"];
    let create = ["integration", "create", "one", "--model", "mock", "--field", "client_id=me", "--secret", &secret];
    run(&[&create[..], &flow].concat()).await;
    let tested = run(&["integration", "test", "one"]).await;
    assert_eq!(tested.lines().count(), 1, "{tested}");
    assert!(run(&["--json", "token", "get", "one"]).await.contains("by-hand"));
    let output = daemon.command(&["token", "get", "two"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(4));
}
