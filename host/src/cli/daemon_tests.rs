//! The client against a real daemon on a socket: what comes back, and which exit code a refusal has.

use std::ffi::OsString;
use std::sync::Arc;

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::client::Client;
use super::exit::{Exit, Failure};
use crate::config::{Config, Overrides};
use crate::daemon::{self, Daemon};
use crate::flows::tests::guest::Guest;

const DOCUMENT: &str = "openapi: 3.1.0\ninfo: {title: CRM, version: '1.2'}\npaths: {}\ncomponents:\n  securitySchemes:\n    oauth2:\n      type: oauth2\n      flows: {clientCredentials: {tokenUrl: 'https://idp.example/token', scopes: {}}}\n";

/// A daemon on folders of its own.
async fn daemon() -> (tempfile::TempDir, Daemon, SecretString) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| Some(folder.path().join(name).display().to_string());
    std::fs::create_dir(folder.path().join("flows")).unwrap();
    let config = Config::load(&Overrides {
        data: path("data"),
        key_file: path("keys/master.key"),
        flows: path("flows"),
        listen: Some("127.0.0.1:0".to_owned()),
        ..Overrides::default()
    })
    .unwrap();
    let made = daemon::init(&config).await.unwrap();
    let daemon = Daemon::start(config).await.unwrap();
    (folder, daemon, made.token)
}

/// Asserts that a call was refused with this exit code, and that its message has this part.
fn refused<T: std::fmt::Debug>(outcome: Result<T, Failure>, exit: Exit, part: &str) {
    let failure = outcome.unwrap_err();
    assert_eq!(failure.code(), exit as u8, "{}", failure.text());
    assert!(failure.text().contains(part), "{}", failure.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_succeed_or_are_refused_with_their_exit_code() {
    let (_folder, daemon, token) = daemon().await;
    let url = format!("http://{}", daemon.address());
    let client = Client::new(&url, &token).unwrap();
    let import = async |name: &str, document: &'static str| {
        let body =
            reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(document.as_bytes())]));
        client.upload(Method::POST, &["models"], &[("name", name)], "application/yaml", document.len(), body).await
    };

    assert_eq!(client.list(&["models"], &[]).await.unwrap(), Vec::<Value>::new());
    let model = import("crm", DOCUMENT).await.unwrap();
    assert_eq!(model["title"], "CRM");
    refused(import("crm", DOCUMENT).await, Exit::Failed, "exists");
    refused(import("No Name", DOCUMENT).await, Exit::Failed, "name: ");
    refused(import("other", "hello").await, Exit::Failed, "can't be imported");
    refused(client.get(&["models", "nope"], &[]).await, Exit::NotFound, "no model nope");
    refused(client.get(&["models", "a/b"], &[]).await, Exit::NotFound, "no such model");

    let stranger = Client::new(&url, &SecretString::from("tha_nobody")).unwrap();
    refused(stranger.get(&["models"], &[]).await, Exit::Refused, "TOKENHOST_TOKEN");

    let body = json!({"name": "crm-prod", "model": "crm", "fields": {}});
    refused(client.call(Method::POST, &["integrations"], &[], Some(&body)).await, Exit::Failed, "scheme");
    let gone = client.call(Method::DELETE, &["models", "crm"], &[], None).await.unwrap();
    assert_eq!(gone, Value::Null);

    daemon.stop().await.unwrap();
    refused(client.get(&["models"], &[]).await, Exit::Unreachable, "can't be reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn principals_and_the_audit_log_are_managed_by_commands() {
    let (folder, daemon, token) = daemon().await;
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (url, token_file) = (format!("http://{}", daemon.address()), file("token", token.expose_secret()));
    let password = format!("@{}", file("password", "correct horse battery staple"));
    let id = token.expose_secret()[4..16].to_owned();
    // Words, split at blanks; `~` stands for a blank within a word.
    let check = async |line: &str, expected: u8| {
        let place = ["--daemon", &url, "--token-file", &token_file];
        let words = std::iter::once("tokenhost").chain(line.split(' ')).chain(place);
        let words: Vec<OsString> = words.map(|word| word.replace('~', " ").into()).collect();
        let code = tokio::task::spawn_blocking(|| super::run(words).map_or_else(|failure| failure.code(), |()| 0));
        assert_eq!(code.await.unwrap(), expected, "{line}");
    };
    check("organization create acme --title Acme~Ltd", 0).await;
    check("organization create north --parent acme", 0).await;
    check("organization change north --unset parent --title North", 0).await;
    check("organization change north", 2).await;
    check("organization delete north", 0).await;
    check("organization show north", 4).await;
    check("profile create Acme~Reader --right read_models --grant use_tokens:organization=acme", 0).await;
    check("profile change Acme~Reader --unset grants --description Reads", 0).await;
    check("profile create Bad --right fly", 1).await;
    check("profile list", 0).await;
    check("profile show REST~Services~User", 0).await;
    check(&format!("user create ada --profile Acme~Reader --email a@b --organization acme --password {password}"), 0)
        .await;
    check("user create eve --password hunter2", 2).await;
    check("user create ada", 1).await;
    check("user change ada --unset contact.email --unset profiles --status disabled --external", 0).await;
    check("user change ada --status enabled --profile Auditor --unset profiles", 2).await;
    check("user list --json", 0).await;
    check("user show nobody", 4).await;
    check("user delete ada", 0).await;
    check("profile delete Acme~Reader", 0).await;
    check("application-token create sync --profile Auditor --scope REST/JSON --ends 2999-01-01", 0).await;
    check("application-token create sync --profile Auditor", 1).await;
    check("application-token show sync", 0).await;
    check(&format!("application-token show {id}"), 0).await;
    check("application-token show 000000000000", 4).await;
    check("application-token disable sync", 0).await;
    check("application-token enable sync --json", 0).await;
    check("application-token rebuild sync --grace 60", 0).await;
    check("application-token change sync --unset expiration_date --console false", 0).await;
    check("application-token list --state valid", 0).await;
    check("application-token delete sync", 0).await;
    check("application-token delete sync", 4).await;
    check("personal-token create --application x --scope Export", 2).await;
    check("personal-token create --application x --scope Export --user nobody", 1).await;
    check("personal-token list --user ada --mine", 2).await;
    check("personal-token list", 0).await;
    check("personal-token list --mine", 3).await;
    check("me", 0).await;
    check("audit list --action application_token. --limit 3", 0).await;
    check("audit list --since never", 1).await;
    check(&format!("audit find {id} --json"), 0).await;
    check("audit find nothing", 1).await;
    check("audit explain nothing", 1).await;
    check("audit verify", 0).await;
    check(&format!("audit verify --noted 1:{}", "0".repeat(64)), 1).await;
    check("key status", 0).await;
    check("key rotate", 2).await;
    check("key rotate --data", 0).await;
    check("key rotate --data --master", 2).await;
    check("key rotate --master", 1).await;
    check("key finish", 1).await;
    check("key rotate --pepper", 2).await;
    check("key rotate --pepper --accept-until 2999-01-01", 1).await;
    check("key generate /nowhere/master.key", 1).await;
    check("key status --json", 0).await;
    check("pepper rotate --accept-until 2999-01-01", 1).await;
    check("pepper rotate --refuse-old", 0).await;
    check("me", 3).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn flows_are_packed_trusted_installed_upgraded_and_limited_by_commands() {
    let (folder, daemon, token) = daemon().await;
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("token"), token.expose_secret()).unwrap();
    for version in ["1.0.0", "1.1.0"] {
        let mut guest = Guest::good("robot");
        guest.version = version.to_owned();
        std::fs::write(path(&format!("robot-{version}.wasm")), guest.build()).unwrap();
    }
    std::fs::write(path("crm.yaml"), DOCUMENT).unwrap();
    let url = format!("http://{}", daemon.address());
    let run = async |line: String, daemon: bool, expected: u8| {
        let words = std::iter::once("tokenhost").chain(line.split(' ')).map(OsString::from);
        let place = ["--daemon", &url, "--token-file", &path("token")].map(OsString::from);
        let words: Vec<OsString> = words.chain(place.into_iter().filter(|_| daemon)).collect();
        let code = tokio::task::spawn_blocking(|| super::run(words).map_or_else(|failure| failure.code(), |()| 0));
        assert_eq!(code.await.unwrap(), expected, "{line}");
    };
    let at = folder.path().display();
    for (line, expected) in [
        (format!("plugin key new {at}/acme.pem"), 0),
        (format!("plugin key new {at}/acme.pem"), 1),
        (format!("plugin key show {at}/acme.pem"), 0),
        (format!("plugin key show {at}/token"), 1),
        (format!("plugin pack {at}/robot-1.0.0.wasm --key {at}/acme.pem --out {at} --license MIT"), 0),
        (format!("plugin pack {at}/robot-1.1.0.wasm --key {at}/acme.pem --out {at}/next.flow"), 0),
        (format!("plugin pack {at}/crm.yaml --key {at}/acme.pem"), 1),
    ] {
        run(line, false, expected).await;
    }
    let key = std::fs::read_to_string(path("acme.pem")).unwrap();
    let public = crate::package::PrivateKey::from_pem(&key).unwrap().public();
    std::fs::write(path("acme.pub"), public.to_string()).unwrap();
    for (line, expected) in [
        (format!("flow install {at}/robot-1.0.0.flow"), 1),
        (format!("flow trust @{at}/token --name acme"), 1),
        (format!("flow trust @{at}/acme.pub --name acme"), 0),
        ("flow publishers".to_owned(), 0),
        (format!("flow install {at}/robot-1.0.0.flow"), 0),
        (format!("flow install {at}/robot-1.1.0.wasm --allow-unsigned"), 1),
        (format!("model import crm {at}/crm.yaml"), 0),
        ("integration create crm-prod --model crm --flow robot --field client_id=me".to_owned(), 0),
        (format!("flow upgrade {at}/next.flow --dry-run"), 0),
        (format!("flow upgrade {at}/next.flow"), 2),
        (format!("flow upgrade {at}/next.flow --yes"), 0),
        (format!("flow upgrade {at}/robot-1.0.0.wasm --yes --allow-unsigned"), 1),
        (format!("flow upgrade {at}/robot-1.0.0.wasm --yes --allow-unsigned --allow-publisher-change --json"), 0),
        ("flow rollback robot".to_owned(), 0),
        ("flow rollback robot --to 00".to_owned(), 1),
        ("flow limit robot --step-time 500ms --memory 64MiB --steps 10".to_owned(), 0),
        ("flow limit robot --memory 64MB".to_owned(), 2),
        ("flow limit robot --memory 1KiB".to_owned(), 1),
        ("flow limit robot".to_owned(), 0),
        ("flow release robot".to_owned(), 1),
        ("flow reveal robot --secret client_id --integration crm-prod".to_owned(), 1),
        ("flow reveal robot --secret x --integration nope".to_owned(), 4),
        ("flow conceal robot --secret x --integration crm-prod".to_owned(), 4),
        ("flow list".to_owned(), 0),
        ("flow show robot".to_owned(), 0),
        ("integration test crm-prod".to_owned(), 0),
        (format!("token get crm-prod --format env --write {at}/token.env"), 0),
        ("token get crm-prod --format exec-credential".to_owned(), 0),
        ("token get crm-prod --format header --json".to_owned(), 0),
        ("token get crm-prod --format netrc".to_owned(), 1),
        (format!("token get crm-prod --write {at}/nowhere/token"), 1),
        ("agent".to_owned(), 2),
        (format!("agent crm-prod={at}/a crm-prod={at}/a"), 2),
        ("integration reparse crm-prod".to_owned(), 1),
        ("flow remove robot".to_owned(), 1),
        ("integration delete crm-prod".to_owned(), 0),
        ("flow remove robot".to_owned(), 0),
        ("flow show robot".to_owned(), 4),
        ("flow distrust acme".to_owned(), 0),
        ("flow distrust acme".to_owned(), 4),
    ] {
        run(line, true, expected).await;
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn lists_are_read_to_the_end_and_not_for_ever() {
    /// Pages of two; the last gives its own cursor again, as a broken server might.
    async fn page(uri: axum::http::Uri) -> axum::Json<Value> {
        let query = uri.query().unwrap_or_default();
        let start = query.split('&').find_map(|pair| pair.strip_prefix("cursor=")?.parse::<u64>().ok()).unwrap_or(0);
        let next = (start + 2).min(4);
        axum::Json(json!({"items": [start, start + 1], "next": next.to_string()}))
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = Arc::new(tokio::sync::Notify::new());
    let stop = Arc::clone(&served);
    let router = axum::Router::new().route("/v1/things", axum::routing::get(page));
    let server = tokio::spawn(async move {
        tokio::select! { outcome = axum::serve(listener, router) => outcome.unwrap(), () = stop.notified() => {} }
    });
    let client = Client::new(&url, &SecretString::from("tha_x")).unwrap();
    assert_eq!(client.list(&["things"], &[]).await.unwrap(), [0, 1, 2, 3, 4, 5].map(Value::from));
    served.notify_one();
    server.await.unwrap();
}
