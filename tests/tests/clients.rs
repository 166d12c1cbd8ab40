//! Clients that people have today, as they are: curl and wget, with no more than the address changed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use serde_json::{Value, json};
use tokenhost_tests::{Daemon, Options};
use tokio::process::Command;

/// The commands as their documentation has them, to be run by a shell.
const AS_DOCUMENTED: [&str; 4] = [
    "curl --location -g --request POST 'http://HOST/v1/export?format=json' --header 'Auth-Token: YOURTOKEN'",
    "curl -X POST -F 'auth_token=YOURTOKEN' 'http://HOST/v1/export?format=csv'",
    "wget -q --server-response --post-data='auth_token=YOURTOKEN' -O - 'http://HOST/v1/export?format=csv&login_mode=token'",
    "curl 'http://HOST/v1/export?format=csv&auth_token=YOURTOKEN'",
];

/// What a command printed.
struct Printed {
    /// On standard output.
    out: String,
    /// On standard error: of wget the answer's head.
    err: String,
}

/// Runs a command by a shell, with the daemon's address and this token put in.
async fn run(daemon: &Daemon, command: &str, token: &str) -> Printed {
    let host = daemon.url().strip_prefix("http://").unwrap();
    let command = command.replace("HOST", host).replace("YOURTOKEN", token);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &command])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", daemon.folder());
    let ended = shell.kill_on_drop(true).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Printed { out: text(&ended.stdout), err: text(&ended.stderr) }
}

/// A daemon with a model, and with these settings of `[access]`.
async fn daemon(access: &str) -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokenhost.toml");
    std::fs::write(&file, format!("[access]\n{access}\n")).unwrap();
    let daemon = Daemon::start_with(Options::default().env("TOKENHOST_CONFIG", file.to_str().unwrap())).await;
    daemon.client().import_oauth("crm", "http://127.0.0.1:1/token").await;
    let fields = json!({"client_id": "=me", "client_secret": "secret-of-mine"});
    daemon
        .client()
        .integrate(json!({"name": "crm-prod", "model": "crm", "flow": "client-credentials", "fields": fields}))
        .await;
    daemon
}

/// Whether this is the export of the integration, in CSV or JSON.
fn is_export(out: &str) -> bool {
    let is_json = || serde_json::from_str::<Value>(out).is_ok_and(|rows| rows[0]["name"] == "crm-prod");
    let is_csv = out.starts_with("name,organization,model,") && out.contains("\r\ncrm-prod,default,crm,");
    (is_csv || is_json()) && !out.contains("secret-of-mine")
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_commands_work_as_they_are() {
    let closed = daemon("").await;
    let open = daemon("token_in_query = true").await;
    for (number, command) in AS_DOCUMENTED.into_iter().enumerate() {
        // Tokens in the query are for those operators who allow them.
        for (daemon, works) in [(&open, true), (&closed, number < 3)] {
            let printed = run(daemon, command, daemon.token()).await;
            assert_eq!(is_export(&printed.out), works, "{command}:\n{}\n{}", printed.out, printed.err);
            if !works {
                assert!(printed.out.contains(r#""code":"unauthenticated""#), "{}", printed.out);
            }
            let wrong = run(daemon, command, "tha_wrong").await;
            assert!(!is_export(&wrong.out), "{command}");
        }
    }
    for daemon in [open, closed] {
        assert!(!daemon.log().contains(daemon.token()), "a token is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wget_shows_the_answer_of_a_server() {
    let daemon = daemon("").await;
    let printed = run(&daemon, AS_DOCUMENTED[2], daemon.token()).await;
    assert!(
        printed.err.contains("HTTP/1.1 200 OK") && printed.err.contains("content-type: text/csv"),
        "{}",
        printed.err
    );
    let printed = run(&daemon, AS_DOCUMENTED[2], "tha_wrong").await;
    assert!(printed.err.contains("HTTP/1.1 401 Unauthorized"), "{}", printed.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_wins_and_what_is_there_twice_is_refused() {
    let daemon = daemon("token_in_query = true").await;
    let check = async |command: &str, part: &str| {
        let printed = run(&daemon, command, daemon.token()).await;
        if part.is_empty() {
            assert!(is_export(&printed.out), "{command}:\n{}\n{}", printed.out, printed.err);
        } else {
            assert!(printed.out.contains(part) && !is_export(&printed.out), "{command}:\n{}", printed.out);
        }
    };
    let refused = r#""code":"unauthenticated""#;
    check("curl 'http://HOST/v1/export?auth_token=tha_wrong' -H 'Auth-Token: YOURTOKEN'", "").await;
    check("curl 'http://HOST/v1/export?auth_token=YOURTOKEN' -H 'Auth-Token: tha_wrong'", refused).await;
    check("curl -F auth_token=tha_wrong 'http://HOST/v1/export' -H 'Authorization: Bearer YOURTOKEN'", "").await;
    check("curl -H 'Auth-Token: YOURTOKEN' -H 'Auth-Token: YOURTOKEN' http://HOST/v1/export", refused).await;
    check("curl -F auth_token=YOURTOKEN -F auth_token=YOURTOKEN http://HOST/v1/export", refused).await;
    check("curl 'http://HOST/v1/export?auth_token=YOURTOKEN&auth_token=YOURTOKEN'", refused).await;
    check("curl -F auth_token=YOURTOKEN 'http://HOST/v1/export?auth_token=YOURTOKEN'", refused).await;
    check("curl -F auth_token=YOURTOKEN 'http://HOST/v1/export?format=csv&format=csv'", "more than once").await;
    check("curl 'http://HOST/v1/export?login_mode=token'", "login_mode=token asks for a token").await;
    check("curl -d login_mode=token http://HOST/v1/export", "login_mode=token asks for a token").await;
    check("curl -u admin:password 'http://HOST/v1/export?login_mode=token'", "login_mode=token asks for a token").await;
    check("curl -u :YOURTOKEN 'http://HOST/v1/export?login_mode=token'", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_imported_by_a_form() {
    let daemon = daemon("").await;
    let file = daemon.folder().join("users.csv");
    std::fs::write(
        &file,
        "\u{feff}login,contact.name,profiles\r\nada,\"Lovelace, Ada\",REST Services User|Auditor\r\n",
    )
    .unwrap();
    let import = format!(
        "curl -F auth_token=YOURTOKEN -F 'file=@{};type=text/csv' 'http://HOST/v1/import?what=users'",
        file.display()
    );
    for status in ["created", "unchanged"] {
        let report: Value = serde_json::from_str(&run(&daemon, &import, daemon.token()).await.out).unwrap();
        assert_eq!((&report["rows"][0]["status"], &report["failed"]), (&json!(status), &json!(0)), "{report}");
    }
    let export = "curl -H 'Auth-Token: YOURTOKEN' 'http://HOST/v1/export?what=users&fields=login,contact.name,profiles&format=csv'";
    let exported = run(&daemon, export, daemon.token()).await.out;
    assert_eq!(
        exported.replace("\r\n", "\n").trim(),
        "login,contact.name,profiles\nada,\"Lovelace, Ada\",REST Services User|Auditor"
    );
}
