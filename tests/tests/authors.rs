//! The author's commands on real components: the flows that ship pass the conformance kit, planted faults don't; an attempt is
//! recorded and replayed; a component is swapped into a development daemon.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

#[allow(dead_code, reason = "the daemon's own tests use all of it")]
#[path = "../../host/src/flows/tests/guest.rs"]
mod guest;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use guest::{DONE, Guest};
use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Mock, PATIENCE, mock};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// The clone.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The executable, with nothing of a daemon in its environment.
fn tokenhost(arguments: &[&str]) -> Command {
    let mut command = Command::new(tokenhost_tests::daemon::executable());
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("TOKENHOST_")) {
        command.env_remove(variable);
    }
    command
}

/// Runs a command to its end.
async fn run(arguments: &[&str]) -> Output {
    tokenhost(arguments).output().await.unwrap()
}

/// What a command says as JSON, and whether it ended well.
#[track_caller]
fn json_of(output: &Output) -> (bool, Value) {
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), document)
}

/// The flows that ship, as components.
fn shipped() -> Vec<PathBuf> {
    let folder = tokenhost_tests::daemon::executable().with_file_name("flows");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    files.sort();
    files
}

/// A component of `shipped`.
fn component(name: &str) -> String {
    let file = tokenhost_tests::daemon::executable().with_file_name("flows").join(name).with_extension("wasm");
    file.to_str().unwrap().to_owned()
}

/// The flows that ship and ask nobody.
const AT_ONCE: [&str; 6] = ["api-key", "aws-sigv4", "http-basic", "http-bearer", "http-digest", "mutual-tls"];

#[tokio::test(flavor = "multi_thread")]
async fn the_flows_that_ship_pass_check_and_test() {
    let mut wrong = Vec::new();
    for file in shipped() {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let source = repository().join("plugins").join(&name);
        if !source.is_dir() {
            continue;
        }
        let file = file.to_str().unwrap();
        let (ok, report) = json_of(&run(&["plugin", "check", file, "--json"]).await);
        if !ok {
            wrong.push(format!("{name}: {:#}", report["faults"]));
        }
        let needs = report["resources"].as_array().unwrap().iter();
        assert!(needs.clone().all(|row| row["needs"].as_u64() <= row["limit"].as_u64()), "{report:#}");
        assert!(
            needs.clone().any(|row| row["name"] == "core instances" && row["needs"].as_u64() > Some(0)),
            "{report:#}"
        );
        assert!(report["step_memory"].as_u64() > Some(0), "{report:#}");
        let (config, cases) = (source.join("conformance.json"), source.join("tests/cases"));
        let mut arguments = vec!["plugin", "test", file, "--json"];
        if config.is_file() {
            arguments.extend(["--config", config.to_str().unwrap()]);
        }
        if cases.is_dir() {
            arguments.extend(["--cases", cases.to_str().unwrap()]);
        }
        let (ok, report) = json_of(&run(&arguments).await);
        let cases = report["cases"].as_array().unwrap();
        // What a provider answers is nothing to a flow that asks nobody.
        let at_once = cases.iter().any(|case| case["name"] == "at-once");
        assert_eq!(at_once, AT_ONCE.contains(&name.as_str()), "{name}: {report}");
        assert!(at_once || cases.len() >= 20, "{name}: {report}");
        let failed: Vec<&Value> = cases.iter().filter(|case| case["result"] == "failed").collect();
        if !ok || !failed.is_empty() {
            wrong.push(format!("{name}: {failed:#?}"));
        }
        let steps = report["steps"].as_array().unwrap();
        assert!(steps.iter().all(|step| step["memory"].as_u64() > Some(0)), "{steps:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The names of the cases that failed.
fn failed(report: &Value) -> BTreeSet<String> {
    let cases = report["cases"].as_array().unwrap().iter();
    cases.filter(|case| case["result"] == "failed").map(|case| case["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_faults_are_found_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("faulty.wasm");
    let source = repository().join("tests/flows/faulty");
    let (source, file) = (source.to_str().unwrap(), file.to_str().unwrap());
    let built = run(&["plugin", "build", source, "--out", file]).await;
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let expires = ["expires-missing", "expires-null", "expires-zero", "expires-negative"];
    let garbage = [
        "form",
        "form-as-text",
        "byte-order-mark",
        "html-error",
        "html-login",
        "error-without-body",
        "empty",
        "unavailable",
        "redirect",
        "array",
    ];
    let passing = ["html-error", "too-many", "server-error", "unavailable", "silent", "truncated", "not-http"];
    let mut gives_up = passing.to_vec();
    gives_up.push("refresh-expired");
    let table: &[(&str, &[&str], &str)] = &[
        ("none", &[], ""),
        ("panics-on-garbage", &garbage, "a fault of the component: it trapped"),
        ("panics-on-state", &["foreign-state"], "a fault of the component"),
        ("strict-numbers", &["number-as-string"], "expires_in is no number"),
        ("loses-query", &["url-with-query"], "/token_url []"),
        ("zero-lifetime", &expires, "expires_in 0"),
        ("raw-type", &["bearer-lower-case"], "token_type bearer"),
        ("gives-up", &gives_up, "reconfigure"),
        ("impatient", &["too-many", "unavailable"], "retry"),
    ];
    let mut wrong = Vec::new();
    for (fault, cases, words) in table {
        let (ok, report) = json_of(&run(&["plugin", "test", file, "--json", "--set", &format!("fault={fault}")]).await);
        let expected: BTreeSet<String> = cases.iter().map(|name| (*name).to_owned()).collect();
        let got = failed(&report);
        if got != expected || ok != expected.is_empty() || !report.to_string().contains(words) {
            wrong.push(format!("{fault}: {got:?}"));
        }
    }
    // What fails in the ordinary case fails in most; one of them is enough.
    for (fault, words) in [
        ("constant", "expires_in absent"),
        ("stray", "a request that the host refuses: url: http://127.0.0.1:9 is none of this integration's own origins"),
        ("forgets-refresh", "refresh_token absent"),
        ("loops", "2 s of processor time"),
        ("hoards", "more than 256 MiB of memory"),
    ] {
        let set = format!("fault={fault}");
        let arguments = ["plugin", "test", file, "--json", "--set", &set, "--only", "ordinary"];
        let (ok, report) = json_of(&run(&arguments).await);
        let got = report["cases"][0]["got"].as_str().unwrap_or_default();
        if ok || !got.contains(words) {
            wrong.push(format!("{fault}: {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flows_own_cases_and_answers_are_read_and_mistakes_in_them_told() {
    let folder = tempfile::tempdir().unwrap();
    let cases = folder.path().join("cases");
    std::fs::create_dir(&cases).unwrap();
    let case = |token: &str| {
        json!({
            "about": "an ordinary answer",
            "secrets": {"client_secret": "hunter2"}, "values": {"client_id": "me", "scope": "a b"},
            "exchanges": [{
                "request": {
                    "method": "POST", "path": "/token_url", "headers": {"authorization": "Basic bWU6aHVudGVyMg=="},
                    "form": {"grant_type": "client_credentials", "scope": "a b"},
                },
                "answer": {"json": {"access_token": "t", "expires_in": 60}},
            }],
            "expect": {"token": {"access_token": token, "expires_in": 60}},
        })
        .to_string()
    };
    std::fs::write(cases.join("right.json"), case("t")).unwrap();
    std::fs::write(cases.join("wrong.json"), case("other")).unwrap();
    let (file, cases_text) = (component("client-credentials"), cases.to_str().unwrap());
    let arguments = ["plugin", "test", &file, "--json", "--cases", cases_text, "--only", "right", "--only", "wrong"];
    let (ok, report) = json_of(&run(&arguments).await);
    assert!(!ok);
    assert_eq!(failed(&report), BTreeSet::from(["wrong".to_owned()]), "{report:#}");
    assert_eq!(report["cases"][1]["expected"], "access_token \"other\"");

    std::fs::write(cases.join("wrong.json"), r#"{"expects":{}}"#).unwrap();
    let output = run(&["plugin", "test", &file, "--cases", cases_text]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("wrong.json") && said.contains("expects") && said.contains("exchanges"), "{said}");
    let output = run(&["plugin", "test", &file, "--only", "nope"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--list"));
    let config = folder.path().join("conformance.json");
    std::fs::write(&config, r#"{"values":{"client_secret":"x"}}"#).unwrap();
    let output = run(&["plugin", "test", &file, "--config", config.to_str().unwrap()]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("values.client_secret: it is a secret; write it under `secrets`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_recorded_and_replayed() {
    let provider = Mock::start(|seen| {
        let token =
            if seen.form.get("grant_type").is_some_and(|grant| grant == "refresh_token") { "second" } else { "first" };
        mock::json(200, &json!({"access_token": token, "expires_in": 60, "refresh_token": format!("{token}-refresh")}))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("attempt.json");
    let (file, recording_text) = (component("client-credentials"), recording.to_str().unwrap());
    let url = format!("token_url={}/token", provider.url);
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter2-hunter2").unwrap();
    let secret = format!("client_secret=@{}", secret.display());
    let mut arguments = vec!["plugin", "try", &file, "--set", "client_id=me", "--set", &url, "--secret", &secret];
    arguments.extend(["--allow", "127.0.0.0/8", "--http", "--refresh", "--record", recording_text]);
    let tried = run(&arguments).await;
    let said = String::from_utf8_lossy(&tried.stdout).into_owned();
    assert!(tried.status.success(), "{said} {}", String::from_utf8_lossy(&tried.stderr));
    for part in [
        "1. begin acquire -> send",
        "and the refresh:",
        "3. begin refresh -> send",
        "a token came",
        "4 steps: the flow took",
    ] {
        assert!(said.contains(part), "{said}\nshould contain {part}");
    }
    assert!(!said.contains("hunter2") && !said.contains("first") && !said.contains("second"), "{said}");
    // Only its owner can read it; the provider's words are in it, the integration's secrets aren't.
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&recording).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&recording).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    // Another attempt doesn't replace it.
    let again = run(&arguments).await;
    assert!(String::from_utf8_lossy(&again.stderr).contains("a recording replaces none"));
    assert_eq!(provider.seen().len(), 2, "what can't be recorded isn't begun");

    let (ok, report) = json_of(&run(&["plugin", "replay", recording_text, "--flow", &file, "--json"]).await);
    assert!(ok && report["same"] == true && report["steps"].as_array().unwrap().len() == 4, "{report:#}");
    // The password flow wants a user, which this attempt hasn't.
    let output = run(&["plugin", "replay", recording_text, "--flow", &component("password")]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("1. begin acquire -> failed: differs") && said.contains("step 1 of 4 differs"), "{said}");
    // A build that makes something else of the same answer.
    let mut changed: Value = serde_json::from_str(&text).unwrap();
    changed["attempts"][0]["steps"][1]["outcome"]["done"]["expires_in"] = json!(30);
    std::fs::write(&recording, changed.to_string()).unwrap();
    let output = run(&["plugin", "replay", recording_text, "--flow", &file]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("2. answered -> done: differs\n   - done.expires_in: 30\n   + done.expires_in: 60\n"),
        "{said}"
    );
    assert_eq!(provider.seen().len(), 2, "a replay sends nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_of_a_daemon_is_replayed_as_far_as_it_is_kept() {
    let provider = Mock::start(|_| mock::json(200, &json!({"access_token": "good", "expires_in": 3600}))).await;
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("mock", &format!("{}/token", provider.url)).await;
    let fields = json!({"client_id": "me", "client_secret": "secret-of-mine"});
    client.integrate(json!({"name": "crm", "model": "mock", "flow": "client-credentials", "fields": fields})).await;
    client.token("crm").await.expect(200);
    let id = client.attempts("crm").await[0]["id"].as_str().unwrap().to_owned();
    let replay = |flow: &'static str| {
        let mut command = daemon.command(&["plugin", "replay", &format!("crm/{id}"), "--flow", &component(flow)]);
        async move { command.output().await.unwrap() }
    };
    let output = replay("client-credentials").await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("all 2 steps are the same"), "{said} {output:?}");
    assert!(said.contains("the answers are made up"), "{said}");
    let output = replay("password").await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("1. begin acquire -> failed: differs"), "{said}");
}

/// A plugin that sends a person to a URL with the return key as `state`, and ends with a token once they are back.
fn redirecting(url: &str) -> Guest {
    let url = format!("{url}?state=");
    let length = url.len();
    // The context stands at the argument: its return key at 68 (flag, pointer, length), the event's case at 80. The answer
    // `ok(redirect(url, state))` is put together at 512, the URL at 700.
    let begin = format!(
        "(memory.copy (i32.const {}) (i32.load (i32.add (local.get 0) (i32.const 72))) (i32.load (i32.add (local.get 0) (i32.const 76))))
         (i32.store8 (i32.const 520) (i32.const 2)) (i32.store (i32.const 528) (i32.const 700))
         (i32.store (i32.const 532) (i32.add (i32.const {length}) (i32.load (i32.add (local.get 0) (i32.const 76)))))
         (return (i32.const 512))",
        700 + length
    );
    let mut guest = Guest::answering(
        "redirecting",
        &format!(
            "(if (i32.eqz (i32.load8_u (i32.add (local.get 0) (i32.const 80)))) (then {begin})) (i32.const {DONE})"
        ),
    );
    guest.fields = vec!["authorization_url".to_owned()];
    guest.functions = format!("(data (i32.const 700) \"{url}\")");
    guest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_sent_away_and_comes_back_to_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redirecting.wasm");
    let page = "http://127.0.0.1:9/authorize";
    std::fs::write(&file, redirecting(page).build()).unwrap();
    let set = format!("authorization_url={page}");
    let mut child = tokenhost(&["plugin", "try", file.to_str().unwrap(), "--set", &set, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let (mut callback, mut state) = (String::new(), String::new());
    while state.is_empty() {
        let line = tokio::time::timeout(PATIENCE, stderr.next_line()).await.unwrap().unwrap().unwrap();
        if let Some((_, back)) = line.split_once("come back to ") {
            callback = back.trim_end_matches(':').to_owned();
        }
        if let Some((_, key)) = line.split_once("/authorize?state=") {
            key.trim().clone_into(&mut state);
        }
    }
    let http = tokenhost_tests::client::http();
    let visit = |state: &str| http.get(format!("{callback}?code=c&state={state}")).send();
    assert_eq!(visit("another").await.unwrap().status(), 400);
    assert_eq!(visit(&state).await.unwrap().status(), 200);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let (ok, report) = json_of(&output);
    assert!(ok, "{report:#}");
    let events: Vec<&str> =
        report["steps"].as_array().unwrap().iter().map(|step| step["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["begin acquire", "returned"]);

    // To another origin nobody is sent.
    let output =
        run(&["plugin", "try", file.to_str().unwrap(), "--set", "authorization_url=http://127.0.0.2:9/", "--json"])
            .await;
    let (ok, report) = json_of(&output);
    assert!(!ok && report["failure"].as_str().unwrap().contains("the origin of none of its URL fields"), "{report}");
}

/// A running `plugin dev`.
struct Dev {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Dev {
    /// Starts it.
    fn start(arguments: &[&str]) -> Self {
        let mut command = tokenhost(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What it says next.
    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.unwrap().unwrap().unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_component_is_swapped_into_a_throw_away_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flow.wasm");
    let version = |version: &str| {
        let mut guest = Guest::good("under-development");
        guest.version = version.to_owned();
        guest.build()
    };
    std::fs::write(&file, version("1.0.0")).unwrap();
    let mut dev = Dev::start(&["plugin", "dev", file.to_str().unwrap(), "--json"]);
    let daemon = dev.next().await;
    let client = Client::new(daemon["daemon"].as_str().unwrap(), daemon["token"].as_str());
    let swapped = dev.next().await;
    assert_eq!((&swapped["result"], &swapped["version"]), (&json!("swapped"), &json!("1.0.0")), "{swapped}");
    let flow = client.get("/v1/flows/under-development").await.expect(200);
    assert_eq!(flow["sha256"], swapped["sha256"]);

    // One that is no component is told of, and the one before stays.
    std::fs::write(&file, "not a component").unwrap();
    let refused = dev.next().await;
    assert!(
        refused["result"] == "refused" && refused["problem"].as_str().unwrap().contains("WebAssembly"),
        "{refused}"
    );
    assert_eq!(client.get("/v1/flows/under-development").await.expect(200)["version"], "1.0.0");

    std::fs::write(&file, version("1.1.0")).unwrap();
    let swapped = dev.next().await;
    assert_eq!((&swapped["result"], &swapped["version"]), (&json!("swapped"), &json!("1.1.0")), "{swapped}");
    assert_eq!(client.get("/v1/flows/under-development").await.expect(200)["version"], "1.1.0");

    let pid = dev.child.id().unwrap().to_string();
    assert!(Command::new("sh").args(["-c", "kill -INT \"$0\"", &pid]).status().await.unwrap().success());
    let status = tokio::time::timeout(PATIENCE, dev.child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}
