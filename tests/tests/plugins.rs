//! Bad plugins: each harms only itself, and the error names plugin, version and digest.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

#[allow(dead_code, reason = "the daemon's own tests use all of it")]
#[path = "../../host/src/flows/tests/guest.rs"]
mod guest;

use guest::{ACCESS_TOKEN, DONE, Guest};
use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Mock, Options, mock};
use tokio::task::JoinSet;

/// Installs a component.
async fn install(client: &Client, guest: &Guest) -> Value {
    client.send("POST", "/v1/flows?allow_unsigned=true", "application/wasm", guest.build()).await.expect(201)
}

/// How many of these flows were installed, and don't ship.
fn installed(flows: &Value) -> usize {
    flows["items"].as_array().unwrap().iter().filter(|flow| flow["origin"] == "installed").count()
}

/// An integration of the plugin of this name.
async fn integrate(client: &Client, flow: &str) {
    client.integrate(json!({"name": flow, "model": "mock", "flow": flow, "fields": {"client_id": "me"}})).await;
}

/// A provider that always gives a token, and a daemon with the model `mock` and the good integration `good`.
async fn world() -> (Mock, Daemon) {
    let mock = Mock::start(|_| mock::json(200, &json!({"access_token": "good", "expires_in": 3600}))).await;
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("mock", &format!("{}/token", mock.url)).await;
    let fields = json!({"client_id": "me", "client_secret": "secret-of-mine"});
    client.integrate(json!({"name": "good", "model": "mock", "flow": "client-credentials", "fields": fields})).await;
    (mock, daemon)
}

/// A plugin that asks for a request to this URL.
fn sending(name: &str, url: &str) -> Guest {
    // `ok(send(request, state))` at 512, where nothing but zeros stands: method at 528, the URL's pointer and length after it.
    let mut guest = Guest::answering(
        name,
        &format!(
            "(i32.store8 (i32.const 528) (i32.const 1)) (i32.store (i32.const 532) (i32.const 640))
             (i32.store (i32.const 536) (i32.const {})) (i32.const 512)",
            url.len()
        ),
    );
    guest.functions = format!("(data (i32.const 640) \"{url}\")");
    guest
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_plugin_is_named_in_its_error_and_harms_nobody_else() {
    let (provider, mut daemon) = world().await;
    let client = daemon.client();
    let mut big = Guest::answering(
        "big-answer",
        &format!(
            "(i32.store (i32.const {ACCESS_TOKEN}) (i32.const 0))
             (i32.store (i32.const {}) (i32.const 104857600)) (i32.const {DONE})",
            ACCESS_TOKEN + 4
        ),
    );
    big.pages = 1700;
    let mut recursing = Guest::answering("recursing", "(call $deeper (i32.const 0))");
    recursing.functions = "(func $deeper (param i32) (result i32)
        (i32.add (i32.const 1) (call $deeper (i32.add (local.get 0) (i32.const 1)))))"
        .to_owned();
    let cases = [
        (Guest::answering("looping", "(loop $again (br $again)) (unreachable)"), "plugin_fault", "endless loop"),
        (
            Guest::answering("hoarding", "(loop $again (drop (memory.grow (i32.const 64))) (br $again)) (unreachable)"),
            "plugin_fault",
            "of memory",
        ),
        (Guest::answering("trapping", "(unreachable)"), "plugin_fault", "it trapped"),
        (recursing, "plugin_fault", "nest too deeply"),
        (big, "plugin_fault", "more than 8 MiB"),
        (Guest::answering("garbage", "(i32.const -16)"), "plugin_fault", "isn't one of the contract"),
        // An origin that isn't the integration's, though the operator allows its network.
        (sending("straying", &format!("{}/stolen", provider.url)), "request_refused", "origin"),
    ];
    let mut wrong = Vec::new();
    for (guest, code, part) in &cases {
        let flow = install(&client, guest).await;
        integrate(&client, &guest.name).await;
        let problem = client.token(&guest.name).await.expect(503);
        let said = problem["detail"].as_str().unwrap();
        let digest = &flow["sha256"].as_str().unwrap()[..12];
        // A request is refused to the integration; its attempt names the plugin.
        let attempt = client.attempts(&guest.name).await[0].clone();
        let named = if *code == "plugin_fault" { said } else { attempt["flow"].as_str().unwrap() };
        let names = named.contains(&guest.name) && named.contains("1.0.0") && named.contains(digest);
        if problem["reason"] != *code || !said.contains(part) || !names {
            wrong.push(format!("{}: {problem} {attempt}", guest.name));
        }
        client.token("good").await.expect(200);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(provider.seen().iter().all(|seen| seen.target == "/token"));
    client.post("/v1/integrations/good/token/refresh", &Value::Null).await.expect(200);

    // They are there after a restart, as bad as before, and as harmless.
    daemon.kill9().await;
    daemon.restart().await;
    let client = daemon.client();
    let flows = client.get("/v1/flows?limit=100").await.expect(200);
    assert_eq!(installed(&flows), cases.len(), "{flows}");
    assert_eq!(client.post("/v1/integrations/trapping/test", &Value::Null).await.expect(200)["ok"], false);
    client.token("good").await.expect(200);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_served_while_two_plugins_loop() {
    let (provider, daemon) = world().await;
    let client = daemon.client();
    let mut looping = JoinSet::new();
    for name in ["looping-1", "looping-2"] {
        install(&client, &Guest::answering(name, "(loop $again (br $again)) (unreachable)")).await;
        integrate(&client, name).await;
        let client = client.clone();
        looping.spawn(async move { client.token(name).await.expect(503) });
    }
    // As often as it takes until both are through: new tokens, by the provider and another plugin.
    let mut renewals = 0;
    let mut ended = 0;
    while ended < 2 {
        tokio::select! {
            biased;
            problem = looping.join_next() => {
                assert_eq!(problem.unwrap().unwrap()["reason"], "plugin_fault");
                ended += 1;
            }
            answer = client.post("/v1/integrations/good/token/refresh", &Value::Null) => {
                answer.expect(200);
                renewals += 1;
            }
        }
    }
    assert!(renewals >= 3, "only {renewals} renewals while two plugins looped");
    assert!(provider.seen().len() >= renewals);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plugin_is_refused_with_what_to_do() {
    let (_provider, daemon) = world().await;
    let client = daemon.client();
    let mut importing = Guest::good("importing");
    importing.imports = r#"(import "evil:net/dial" "dial" (func $dial))"#.to_owned();
    importing.world = "import evil:net/dial;".to_owned();
    importing.packages = "package evil:net { interface dial { dial: func(); } }".to_owned();
    let mut describing = Guest::good("describing");
    describing.describe = "(loop $again (br $again)) (unreachable)".to_owned();
    let cases = [
        (importing.build(), "evil:net/dial"),
        (describing.build(), "endless loop"),
        (b"not a component".to_vec(), ""),
        (wat::parse_str("(module)").unwrap(), ""),
        (wat::parse_str("(component)").unwrap(), "tokenhost:flow"),
    ];
    for (bytes, part) in cases {
        let answer = client.send("POST", "/v1/flows?allow_unsigned=true", "application/wasm", bytes).await;
        assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text);
        assert!(answer.text.contains(part), "{part}: {}", answer.text);
    }
    let flows = client.get("/v1/flows").await.expect(200);
    assert_eq!(installed(&flows), 0, "{flows}");
    client.token("good").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_in_the_folder_of_flows_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut importing = Guest::good("importing");
    importing.imports = r#"(import "evil:net/dial" "dial" (func $dial))"#.to_owned();
    importing.world = "import evil:net/dial;".to_owned();
    importing.packages = "package evil:net { interface dial { dial: func(); } }".to_owned();
    std::fs::write(folder.path().join("importing.wasm"), importing.build()).unwrap();
    std::fs::write(folder.path().join("damaged.wasm"), b"\0asm damaged").unwrap();
    std::fs::write(folder.path().join("fine.wasm"), Guest::good("fine").build()).unwrap();
    let options = Options::default().env("TOKENHOST_FLOWS", folder.path().display().to_string());
    let daemon = Daemon::start_with(options).await;
    let client = daemon.client();
    let flows = client.get("/v1/flows").await.expect(200);
    let names: Vec<&Value> = flows["items"].as_array().unwrap().iter().map(|flow| &flow["name"]).collect();
    assert_eq!(names, ["fine"]);
    let log = daemon.log();
    assert!(log.contains("damaged.wasm") && log.contains("importing.wasm") && log.contains("evil:net/dial"), "{log}");
    client.import_oauth("mock", "http://127.0.0.1:9/token").await;
    integrate(&client, "fine").await;
    assert_eq!(client.token("fine").await.expect(200)["access_token"], "abc");
}
