//! Installed flows in a running daemon: upgraded without dropping an attempt, refused where their files were changed, put under
//! quarantine, packed and trusted.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

#[allow(dead_code, reason = "the daemon's own tests use all of it")]
#[path = "../../host/src/flows/tests/guest.rs"]
mod guest;

use std::path::PathBuf;

use guest::Guest;
use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Mock, mock};
use tokio::sync::watch;
use tokio::task::JoinSet;

const COMPONENT: &str = "application/wasm";

async fn install(client: &Client, component: Vec<u8>) -> Value {
    client.send("POST", "/v1/flows?allow_unsigned=true", COMPONENT, component).await.expect(201)
}

/// The same component with another digest: a custom section more (WebAssembly core specification, section 5.5.3).
fn marked(mut component: Vec<u8>, mark: u8) -> Vec<u8> {
    component.extend([0, 3, 1, b'm', mark]);
    component
}

/// The component of a flow that ships.
fn shipped(name: &str) -> Vec<u8> {
    let flows = tokenhost_tests::executable().parent().unwrap().join("flows");
    std::fs::read(flows.join(format!("{name}.wasm"))).unwrap()
}

fn version(name: &str, version: &str) -> Guest {
    let mut guest = Guest::good(name);
    guest.version = version.to_owned();
    guest
}

/// The only file of a flow in the data folder.
fn file(daemon: &Daemon, name: &str) -> PathBuf {
    let mut files = std::fs::read_dir(daemon.data().join("flows")).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.to_string_lossy().contains(&format!("/{name}-"))).unwrap()
}

async fn integrate(client: &Client, flow: &str) {
    client.integrate(json!({"name": flow, "model": "mock", "flow": flow, "fields": {"client_id": "me"}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_rollback_and_removal_drop_no_attempt() {
    const ATTEMPTS: usize = 12;
    let (open, gate) = watch::channel(false);
    let provider = Mock::start(move |_| {
        let mut acts = vec![mock::Act::Gate(gate.clone())];
        acts.extend(mock::json(200, &json!({"access_token": "good", "expires_in": 3600})));
        acts
    })
    .await;
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("mock", &format!("{}/token", provider.url)).await;
    let name = |index: usize| format!("crm-{index}");
    for index in 0..ATTEMPTS {
        let fields = json!({"client_id": "me", "client_secret": "secret-of-mine"});
        let new = json!({"name": name(index), "model": "mock", "flow": "client-credentials", "fields": fields});
        client.integrate(new).await;
    }
    let upgrade = "/v1/flows/client-credentials/upgrade?allow_unsigned=true&allow_publisher_change=true";
    let flow = async || client.get("/v1/flows/client-credentials").await.expect(200);
    let digest = async || flow().await["sha256"].as_str().unwrap()[..12].to_owned();
    let original = digest().await;

    // A third of the attempts begins with each component, and all of them wait for the provider.
    let mut under_way = JoinSet::new();
    let mut begin = async |from: usize, to: usize| {
        for index in from..to {
            let (client, name) = (client.clone(), name(index));
            under_way.spawn(async move { client.token(&name).await.expect(200) });
        }
        while provider.seen().len() < to {
            tokio::task::yield_now().await;
        }
    };
    begin(0, 4).await;
    let first = marked(shipped("client-credentials"), 1);
    let said = client.send("POST", &format!("{upgrade}&dry_run=true"), COMPONENT, first.clone()).await.expect(200);
    assert_eq!((said["done"].as_bool(), said["publisher_changes"].as_bool()), (Some(false), Some(true)), "{said}");
    assert_eq!(said["integrations"].as_array().unwrap().len(), ATTEMPTS);
    assert_eq!(digest().await, original);
    let refused = client
        .send("POST", "/v1/flows/client-credentials/upgrade?allow_unsigned=true", COMPONENT, first.clone())
        .await
        .expect(422);
    assert_eq!(refused["code"], "flow_untrusted", "{refused}");
    client.send("POST", upgrade, COMPONENT, first).await.expect(200);
    let upgraded = digest().await;
    begin(4, 8).await;
    client.send("POST", upgrade, COMPONENT, marked(shipped("client-credentials"), 2)).await.expect(200);
    let again = digest().await;
    begin(8, 12).await;
    client.post("/v1/flows/client-credentials/rollback", &Value::Null).await.expect(200);
    assert_eq!(digest().await, upgraded);
    client.call("DELETE", "/v1/flows/client-credentials", &Value::Null).await.expect(204);
    assert_eq!((digest().await, flow().await["origin"].as_str()), (original.clone(), Some("shipped")));

    open.send(true).unwrap();
    while let Some(token) = under_way.join_next().await {
        assert_eq!(token.unwrap()["access_token"], "good");
    }
    for index in 0..ATTEMPTS {
        let attempts = client.attempts(&name(index)).await;
        let expected = [&original, &upgraded, &again][index / 4];
        assert_eq!(attempts.len(), 1, "{attempts:?}");
        assert!(attempts[0]["flow"].as_str().unwrap().contains(expected.as_str()), "{index}: {attempts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_was_changed_on_disk_is_not_loaded_and_says_so() {
    let mut daemon = Daemon::start().await;
    let client = daemon.client();
    let bare = client.send("POST", "/v1/flows", COMPONENT, Guest::good("robot").build()).await.expect(422);
    assert!(bare["detail"].as_str().unwrap().contains("--allow-unsigned"), "{bare}");
    install(&client, Guest::good("robot").build()).await;
    let twice = client.send("POST", "/v1/flows?allow_unsigned=true", COMPONENT, Guest::good("robot").build()).await;
    assert!(twice.expect(409)["detail"].as_str().unwrap().contains("flow upgrade"));
    client.import_oauth("mock", "http://127.0.0.1:9/token").await;
    integrate(&client, "robot").await;
    client.token("robot").await.expect(200);
    assert_eq!(client.get("/readyz").await.text, "ready\n");
    daemon.stop().await;

    let path = file(&daemon, "robot");
    std::fs::write(&path, version("robot", "6.6.6").build()).unwrap();
    daemon.restart().await;
    let client = daemon.client();
    let log = daemon.log();
    assert!(log.contains("flow robot isn't served") && log.contains("is pinned"), "{log}");
    assert!(client.get("/readyz").await.text.contains("aren't served: 1"));
    let flow = client.get("/v1/flows/robot").await.expect(200);
    assert_eq!((flow["served"].as_bool(), flow["version"].as_str()), (Some(false), Some("1.0.0")), "{flow}");
    let answer = client.post("/v1/integrations/robot/token/refresh", &Value::Null).await.expect(503);
    assert_eq!(answer["reason"], "flow_not_served", "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("flow upgrade FILE"), "{answer}");

    let upgrade = "/v1/flows/robot/upgrade?allow_unsigned=true";
    client.send("POST", upgrade, COMPONENT, version("robot", "1.0.1").build()).await.expect(200);
    client.post("/v1/integrations/robot/token/refresh", &Value::Null).await.expect(200);
    assert_eq!(client.get("/readyz").await.text, "ready\n");
    // The component before that is still another one than was installed.
    let refused = client.post("/v1/flows/robot/rollback", &Value::Null).await.expect(409);
    assert_eq!(refused["code"], "flow_changed", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_traps_again_and_again_is_put_under_quarantine_over_restarts() {
    let mut daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("mock", "http://127.0.0.1:9/token").await;
    install(&client, Guest::answering("trapping", "(unreachable)").build()).await;
    install(&client, Guest::good("robot").build()).await;
    integrate(&client, "trapping").await;
    integrate(&client, "robot").await;
    let refresh = async |client: &Client| {
        let answer = client.post("/v1/integrations/trapping/token/refresh", &Value::Null).await;
        answer.json()["reason"].as_str().unwrap_or_default().to_owned()
    };
    for _ in 0..5 {
        assert_eq!(refresh(&client).await, "plugin_fault");
    }
    assert_eq!(refresh(&client).await, "flow_quarantined");
    assert_eq!(client.attempts("trapping").await.len(), 5);
    client.token("robot").await.expect(200);
    let metrics = client.get("/metrics").await.text;
    assert!(metrics.contains("tokenhost_flow_quarantined{flow=\"trapping\"} 1"), "{metrics}");
    assert!(metrics.contains("tokenhost_flow_faults_total{flow=\"trapping\"} 5"), "{metrics}");
    // It is in the audit log once it is on disk.
    while client.get("/v1/audit?action=flow.quarantine").await.expect(200)["items"].as_array().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }

    daemon.kill9().await;
    daemon.restart().await;
    let client = daemon.client();
    assert_eq!(refresh(&client).await, "flow_quarantined");
    let flow = client.get("/v1/flows/trapping").await.expect(200);
    assert!(flow["quarantine"]["reason"].as_str().unwrap().contains("5 attempts in a row"), "{flow}");
    client.post("/v1/flows/trapping/release", &Value::Null).await.expect(200);
    assert_eq!(refresh(&client).await, "plugin_fault");
    client.post("/v1/flows/trapping/release", &Value::Null).await.expect(409);

    // A repaired component runs at once, whatever the callers were told to wait.
    let repaired = version("trapping", "1.0.1").build();
    client.send("POST", "/v1/flows/trapping/upgrade?allow_unsigned=true", COMPONENT, repaired).await.expect(200);
    client.token("trapping").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_set_shown_and_named_where_they_are_exceeded() {
    let provider = Mock::start(|_| mock::json(200, &json!({"access_token": "good"}))).await;
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("mock", &format!("{}/token", provider.url)).await;
    install(&client, Guest::answering("looping", "(loop $again (br $again)) (unreachable)").build()).await;
    install(&client, Guest::good("robot").build()).await;
    // It waits for ever: `ok(wait(..))` at 512, 0 seconds, no prompt, an empty state.
    let waiting = Guest::answering("waiting", "(i32.store8 (i32.const 520) (i32.const 1)) (i32.const 512)");
    install(&client, waiting.build()).await;
    for flow in ["looping", "robot", "waiting"] {
        integrate(&client, flow).await;
    }
    let limit = async |flow: &str, limits: Value| {
        client.call("PATCH", &format!("/v1/flows/{flow}"), &json!({ "limits": limits })).await
    };
    let bad = limit("robot", json!({"memory": 5, "steps": 0, "step_time": 20})).await.expect(422);
    assert_eq!(bad["errors"].as_array().unwrap().len(), 2, "{bad}");
    let failing = async |flow: &str, parts: &[&str]| {
        let problem = client.post(&format!("/v1/integrations/{flow}/token/refresh"), &Value::Null).await.expect(503);
        let said = problem["detail"].as_str().unwrap();
        for part in parts {
            assert!(said.contains(part), "{said}\nshould contain {part}");
        }
    };
    limit("looping", json!({"step_time": 50})).await.expect(200);
    failing("looping", &["0.05 s of processor time", "flow limit looping --step-time"]).await;
    limit("robot", json!({"memory": 1 << 20})).await.expect(200);
    failing("robot", &["more than 1 MiB of memory", "flow limit robot --memory"]).await;
    let shown = limit("robot", json!({"memory": null, "attempts_per_minute": 1})).await.expect(200);
    assert_eq!(shown["limits"]["changed"], json!(["attempts_per_minute"]));
    assert_eq!(shown["limits"]["memory"], 256 << 20);
    client.post("/v1/integrations/robot/token/refresh", &Value::Null).await.expect(200);
    failing("robot", &["may begin 1 attempts", "--attempts-per-minute"]).await;
    limit("waiting", json!({"steps": 3})).await.expect(200);
    failing("waiting", &["more than 3 steps", "flow limit waiting --steps"]).await;
    assert_eq!(client.attempts("waiting").await[0]["steps"].as_array().unwrap().len(), 3);
}
