//! Flows in all three languages: their projects, those that ship, and hostile ones. In JavaScript and Python what a flow
//! does wrong is done by an interpreter, and harms as little as in Rust.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokenhost_tests::daemon::executable;
use tokenhost_tests::{Client, Daemon, Mock, Options, Seen, mock};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs a command that must succeed; what it printed.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

/// The daemon's program in this folder, without a daemon's settings.
fn tokenhost(dir: &Path) -> Command {
    let mut command = Command::new(executable());
    // What Rust flows are made of is compiled already: the flows that ship are made of it too.
    command.current_dir(dir).env("CARGO_TARGET_DIR", executable().parent().unwrap().parent().unwrap());
    command
}

/// Gives a JavaScript project the tool that the flows that ship are made with, and the SDK in its own folder: what
/// `npm install` would do, without a registry.
fn install_packages(project: &Path) {
    let (own, theirs) = (project.join("node_modules"), repository().join("plugins/session-login/node_modules"));
    assert!(theirs.is_dir(), "{} is missing: run `make tools`", theirs.display());
    std::fs::create_dir(&own).unwrap();
    for name in ["componentize-qjs", "@andreiltd"] {
        symlink(theirs.join(name), own.join(name)).unwrap();
    }
    if project.join("vendor").is_dir() {
        symlink(project.join("vendor/tokenhost-flow"), own.join("tokenhost-flow")).unwrap();
    }
}

/// The environment of Python in which flows are made.
fn python() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).find(|folder| {
        let versions = Command::new(folder.join("componentize-py")).arg("--version").output();
        versions.is_ok_and(|output| output.status.success()) && folder.join("pytest").is_file()
    });
    found.unwrap_or_else(|| panic!("componentize-py and pytest are not in PATH: run the tests by `make test`"))
}

/// Makes a project, its component, and runs its tests; the component's file.
fn project(folder: &Path, language: &str) -> PathBuf {
    let name = format!("my-{language}");
    run(tokenhost(folder).args(["plugin", "new", &name, "--lang", language]));
    let dir = folder.join(&name);
    let tests = match language {
        "rust" => run(Command::new("cargo")
            .args(["test", "--quiet", "--offline"])
            .current_dir(&dir)
            .env("CARGO_TARGET_DIR", executable().parent().unwrap().parent().unwrap().join("plugin/tests"))),
        "js" => {
            install_packages(&dir);
            run(Command::new("npm").args(["test", "--silent"]).current_dir(&dir))
        }
        _ => run(Command::new(python().join("pytest")).current_dir(&dir)),
    };
    assert!(["2 passed", "pass 2"].iter().any(|passed| tests.contains(passed)), "{tests}");
    let component = folder.join(format!("{name}.wasm"));
    let said = run(tokenhost(&dir).args(["plugin", "build", "--out"]).arg(&component));
    assert!(said.contains("now: tokenhost plugin check "), "{said}");
    let checked = run(tokenhost(folder).args(["plugin", "check"]).arg(&component));
    assert!(checked.contains(&name) && checked.contains("no faults"), "{checked}");
    component
}

#[test]
fn a_new_project_builds_and_passes_its_tests_in_each_language() {
    for language in ["rust", "js", "python"] {
        project(tempfile::tempdir().unwrap().path(), language);
    }
}

/// Builds a project that can't be built; all that is said.
fn failing(dir: &Path) -> String {
    let output = tokenhost(dir).args(["plugin", "build"]).stdin(Stdio::null()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn what_an_author_forgot_is_told_by_the_build() {
    let folder = tempfile::tempdir().unwrap();
    run(tokenhost(folder.path()).args(["plugin", "new", "mine", "--lang", "js"]));
    let dir = folder.path().join("mine");
    install_packages(&dir);
    std::fs::write(dir.join("src/index.js"), "export const robot = {};\n").unwrap();
    let said = failing(&dir);
    assert!(said.contains("src/index.js exports no flow. It must say `export const flow = …`"), "{said}");

    python();
    run(tokenhost(folder.path()).args(["plugin", "new", "yours", "--lang", "python"]));
    let dir = folder.path().join("yours");
    let source = dir.join("src/flow_yours.py");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, format!("{text}\n\ndef broken(:\n    pass\n")).unwrap();
    let said = failing(&dir);
    let line = text.lines().count() + 3;
    assert!(said.contains(&format!("flow_yours.py, line {line}: SyntaxError: ")), "{said}");
    // Beside that it still runs, on a slow machine.
    assert!(said.lines().filter(|line| !line.contains("still runs")).count() < 10, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_in_javascript_is_told_as_the_flows_own_error() {
    let folder = tempfile::tempdir().unwrap();
    run(tokenhost(folder.path()).args(["plugin", "new", "thrower", "--lang", "js"]));
    let dir = folder.path().join("thrower");
    install_packages(&dir);
    let source = dir.join("src/index.js");
    let text = std::fs::read_to_string(&source).unwrap();
    let text =
        text.replacen("  request(context, purpose) {", "  request(context, purpose) {\n    context.nowhere.at();", 1);
    std::fs::write(&source, text).unwrap();
    let flows = folder.path().join("flows");
    std::fs::create_dir(&flows).unwrap();
    run(tokenhost(&dir).args(["plugin", "build", "--out"]).arg(&flows));
    let daemon = Daemon::start_with(Options::default().env("TOKENHOST_FLOWS", flows.display().to_string())).await;
    let client = daemon.client();
    let fields = json!({"account": "me", "key": "s3cr3t", "token_url": "http://127.0.0.1:9/token"});
    integrate(&client, "thrower", fields).await;
    let problem = client.token("thrower").await.expect(503);
    let said = problem["detail"].as_str().unwrap();
    assert_eq!(problem["reason"], "plugin_fault", "{problem}");
    assert!(said.contains("it failed with an error of its own: TypeError: ") && said.contains("index.js"), "{said}");
}

/// A model with an API key, and an integration of a flow with these fields.
async fn integrate(client: &Client, flow: &str, fields: Value) {
    let scheme = json!({"type": "apiKey", "in": "header", "name": "x", "x-tokenhost-flow": flow});
    let document = json!({"openapi": "3.1.0", "info": {"title": flow, "version": "1"}, "paths": {},
        "components": {"securitySchemes": {"own": scheme}}});
    client.import(flow, &document.to_string()).await;
    client.integrate(json!({"name": flow, "model": flow, "flow": flow, "fields": fields})).await;
}

/// A service with a login, a CSRF cookie, and a token for who signs.
fn service(seen: &Seen) -> Vec<tokenhost_tests::Act> {
    let header = |name: &str| seen.headers.get(name).cloned().unwrap_or_default();
    let signed = || {
        let digest = STANDARD.encode(Sha256::digest(b"grant_type=client_credentials"));
        let text = format!("POST\n/token\n{}\n{}\n{digest}", header("x-timestamp"), header("x-nonce"));
        let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cr3t").unwrap();
        mac.update(text.as_bytes());
        format!("HMAC k1:{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    match seen.target.as_str() {
        "/csrf" => mock::answer(200, &[("set-cookie", "csrftoken=c1; Path=/")], "<html>"),
        "/login" => {
            let known = header("cookie") == "csrftoken=c1" && header("x-csrftoken") == "c1";
            let member = |name: &str| seen.form.get(name).map(String::as_str);
            if known && member("username") == Some("robot") && member("password") == Some("s3cr3t") {
                mock::json(200, &json!({"data": {"session": "of-login", "ttl": 900}}))
            } else {
                mock::answer(401, &[], "")
            }
        }
        "/token" if header("authorization") == signed() => mock::json(200, &json!({"access_token": "of-hmac"})),
        _ => mock::json(401, &json!({"error": "access_denied"})),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flows_that_ship_in_javascript_and_python() {
    let service = Mock::start(service).await;
    let flows = executable().with_file_name("flows").display().to_string();
    let mut daemon = Daemon::start_with(Options::default().env("TOKENHOST_FLOWS", flows)).await;
    let client = daemon.client();
    let url = |path: &str| format!("{}/{path}", service.url);
    let fields = json!({"login_url": url("login"), "csrf_url": url("csrf"), "username": "robot", "password": "s3cr3t",
        "token_name": "/data/session", "lifetime_pointer": "/data/ttl"});
    integrate(&client, "session-login", fields).await;
    integrate(
        &client,
        "hmac-token",
        json!({"token_url": url("token"), "key_id": "k1", "key": "s3cr3t", "lifetime": "600"}),
    )
    .await;
    for (flow, expected, lifetime) in [("session-login", "of-login", 900), ("hmac-token", "of-hmac", 600)] {
        let token = client.token(flow).await.expect(200);
        assert_eq!(token["access_token"], expected, "{token}");
        assert!((lifetime - 60..=lifetime).contains(&token["expires_in"].as_i64().unwrap()), "{token}");
        let attempt = client.attempts(flow).await[0].to_string();
        assert!(!attempt.contains("s3cr3t") && !attempt.contains("csrftoken=c1"), "{attempt}");
    }
    // Extra parameters come to a flow that knows nothing of them, and to its login alone.
    let added = json!({"parameters": [{"name": "tenant", "in": "body", "value": "t1"},
        {"name": "X-Tenant", "in": "header", "value": "t2"}]});
    client.call("PATCH", "/v1/integrations/session-login", &added).await.expect(200);
    client.post("/v1/integrations/session-login/token/refresh", &json!({})).await.expect(200);
    let (login, csrf) =
        (service.seen().pop().unwrap(), service.seen().into_iter().rfind(|seen| seen.target == "/csrf"));
    assert_eq!((login.form["tenant"].as_str(), login.headers["x-tenant"].as_str()), ("t1", "t2"), "{login:?}");
    assert!(!csrf.unwrap().headers.contains_key("x-tenant"));
    // What a flow signs is the flow's alone: a parameter beside it goes, one inside doesn't.
    let before = service.seen().len();
    client.call("PATCH", "/v1/integrations/hmac-token", &added).await.expect(200);
    let verdict = client.post("/v1/integrations/hmac-token/test", &Value::Null).await.expect(200);
    let line = verdict["line"].as_str().unwrap();
    let expected = "extra parameter `tenant`: belongs in the body, which this flow signs";
    assert!(verdict["ok"] == false && line.contains(expected), "{verdict}");
    assert_eq!(service.seen().len(), before, "nothing has left");
    let beside = json!({"parameters": [{"name": "X-Tenant", "in": "header", "value": "t2"}]});
    client.call("PATCH", "/v1/integrations/hmac-token", &beside).await.expect(200);
    let verdict = client.post("/v1/integrations/hmac-token/test", &Value::Null).await.expect(200);
    assert_eq!(verdict["ok"], true, "{verdict}");
    // The compiled code is kept: another start finds it.
    daemon.kill9().await;
    let before = daemon.log().matches("a flow is compiled").count();
    assert!(before >= 2, "{}", daemon.log());
    daemon.restart().await;
    assert_eq!(daemon.log().matches("a flow is compiled").count(), before);
    daemon.client().token("hmac-token").await.expect(200);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_flows_harm_only_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let flows = folder.path().join("flows");
    std::fs::create_dir(&flows).unwrap();
    symlink(executable().with_file_name("flows").join("client-credentials.wasm"), flows.join("good.wasm")).unwrap();
    let js = folder.path().join("js");
    std::fs::create_dir(&js).unwrap();
    for file in ["package.json", "index.js"] {
        std::fs::copy(repository().join("tests/hostile/js").join(file), js.join(file)).unwrap();
    }
    install_packages(&js);
    python();
    let [python, rust] = ["python", "rust"].map(|language| repository().join("tests/hostile").join(language));
    for dir in [js, python, rust] {
        run(tokenhost(folder.path()).args(["plugin", "build"]).arg(dir).arg("--out").arg(&flows));
    }

    let provider = Mock::start(|_| mock::json(200, &json!({"access_token": "good", "expires_in": 3600}))).await;
    let mut daemon = Daemon::start_with(Options::default().env("TOKENHOST_FLOWS", flows.display().to_string())).await;
    let client = daemon.client();
    client.import_oauth("mock", &format!("{}/token", provider.url)).await;
    let fields = json!({"client_id": "me", "client_secret": "secret-of-mine"});
    client.integrate(json!({"name": "good", "model": "mock", "flow": "client-credentials", "fields": fields})).await;

    const ENDLESS: &str = "endless loop";
    const MEMORY: &str = "of memory";
    const TRAP: &str = "it trapped";
    const DEEP: &str = "nest too deeply";
    const BIG: &str = "more than 8 MiB";
    let cases = [
        ("js", "loop", ENDLESS),
        ("js", "hoard", MEMORY),
        ("js", "text", TRAP),
        ("js", "throw", TRAP),
        ("js", "null", TRAP),
        ("js", "nothing", TRAP),
        ("js", "garbage", TRAP),
        ("js", "unknown", TRAP),
        ("js", "recurse", DEEP),
        ("js", "nest", DEEP),
        ("js", "regex", ENDLESS),
        ("js", "big", BIG),
        ("js", "promise", TRAP),
        ("python", "loop", ENDLESS),
        ("python", "hoard", MEMORY),
        ("python", "text", MEMORY),
        ("python", "throw", TRAP),
        ("python", "exit", TRAP),
        ("python", "nothing", TRAP),
        ("python", "garbage", TRAP),
        ("python", "unknown", TRAP),
        ("python", "recurse", TRAP),
        ("python", "unlimited", MEMORY),
        ("python", "nest", DEEP),
        ("python", "regex", ENDLESS),
        ("python", "big", BIG),
        ("rust", "loop", ENDLESS),
        ("rust", "hoard", MEMORY),
        ("rust", "panic", TRAP),
        ("rust", "overflow", TRAP),
        ("rust", "recurse", DEEP),
        ("rust", "big", BIG),
        ("rust", "swell", MEMORY),
    ];
    let (mut wrong, mut quarantines) = (Vec::new(), 0);
    for (language, how, part) in cases {
        let (flow, name) = (format!("hostile-{language}"), format!("{language}-{how}"));
        client.integrate(json!({"name": name, "model": "mock", "flow": flow, "fields": {"how": how}})).await;
        let mut problem = client.token(&name).await.expect(503);
        if problem["reason"] == "flow_quarantined" {
            // Five faults in a row: it isn't run any more, until somebody says so.
            quarantines += 1;
            client.post(&format!("/v1/flows/{flow}/release"), &Value::Null).await.expect(200);
            problem = client.token(&name).await.expect(503);
        }
        let said = problem["detail"].as_str().unwrap();
        if problem["reason"] != "plugin_fault"
            || !said.contains(part)
            || !said.contains(&flow)
            || said.contains("s3cr3t")
        {
            wrong.push(format!("{name}: {problem}"));
        }
        client.post("/v1/integrations/good/token/refresh", &Value::Null).await.expect(200);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(quarantines, 5);
    // What did harm does none where it isn't told to.
    for language in ["js", "python", "rust"] {
        let (flow, name) = (format!("hostile-{language}"), format!("{language}-good"));
        client.integrate(json!({"name": name, "model": "mock", "flow": flow, "fields": {"how": "good"}})).await;
        assert_eq!(client.token(&name).await.expect(200)["access_token"], "good");
    }
    daemon.stop().await;
}
