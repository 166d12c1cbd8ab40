//! The agent against a daemon that is scripted, on a socket: what ends up in the files, and when.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::*;

/// Waits are too short to notice.
const PACE: Pace = Pace { every: Duration::from_millis(20), least: Duration::from_millis(2) };

/// Answers, the last of which is given for ever; and what was asked.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Played>>);

/// Answers to come, and requests that came.
type Played = (VecDeque<(u16, Value)>, Vec<String>);

impl Script {
    fn play(&self, answers: &[(u16, Value)]) {
        self.0.lock().unwrap().0 = answers.iter().cloned().collect();
    }

    fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().1.clone()
    }

    /// Serves it until the task is aborted.
    async fn serve(&self, address: SocketAddr) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = self.clone();
        let answer = move |uri: Uri, headers: HeaderMap| async move {
            let mut script = script.0.lock().unwrap();
            let token = headers.get("authorization").unwrap().to_str().unwrap();
            script.1.push(format!("{uri} {token}"));
            if !uri.path().ends_with("/token") {
                return axum::Json(json!({"server": "https://crm.example/v2"})).into_response();
            }
            let (status, body) =
                if script.0.len() > 1 { script.0.pop_front().unwrap() } else { script.0.front().unwrap().clone() };
            let response: Response = (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response();
            response
        };
        let router = axum::Router::new().fallback(answer);
        (address, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
    }
}

fn token(generation: u64, expires_in: u64) -> (u16, Value) {
    (
        200,
        json!({"access_token": format!("t{generation}"), "token_type": "Bearer", "generation": generation, "expires_in": expires_in}),
    )
}

/// Runs an agent on these jobs until the condition holds; gives what it said.
async fn until(url: &str, token: &std::path::Path, jobs: &[Job], condition: impl Fn(&[String]) -> bool) -> Vec<String> {
    #[derive(Debug, clap::Parser)]
    struct Parsed {
        #[command(flatten)]
        connection: Connection,
    }
    let parsed: Parsed = clap::Parser::parse_from(["x", "--daemon", url, "--token-file", token.to_str().unwrap()]);
    let said = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&said);
    let keeper = Keeper {
        client: RefCell::new(Rc::new(parsed.connection.client().unwrap())),
        connection: parsed.connection,
        pace: PACE,
        untried: Cell::new(jobs.len()),
        say: Box::new(move |line| heard.borrow_mut().push(line.to_owned())),
    };
    let watch = async {
        while !condition(&said.borrow()) {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! { () = keeper.keep_all(jobs) => unreachable!(), () = watch => {} }
    drop(keeper);
    Rc::try_unwrap(said).unwrap().into_inner()
}

#[tokio::test]
async fn files_are_kept_fresh_through_failures_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("credential"), "tha_old").unwrap();
    let job = |format: Form, file: &str| Job {
        integration: "crm".to_owned(),
        scope: None,
        file: path(file),
        format,
        min_ttl: 60,
        login: "me".to_owned(),
    };
    let raw = [job(Form::Raw, "raw")];
    let script = Script::default();
    let (address, server) = script.serve("127.0.0.1:0".parse().unwrap()).await;
    let url = format!("http://{address}");
    let content = |name: &str| std::fs::read_to_string(path(name)).unwrap_or_default();

    // One generation after the other; the same one is written once, though the seconds left differ.
    script.play(&[token(1, 900), token(1, 899), token(1, 898), token(2, 900)]);
    let said = until(&url, &path("credential"), &raw, |_| content("raw") == "t2\n").await;
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("crm: generation 1 written to "), "{said:?}");
    assert_eq!(script.asked()[0], "/v1/integrations/crm/token?min_ttl=60 Bearer tha_old");

    // What needs a person is said once; the file stays; the agent goes on.
    let person = (409, json!({"title": "a person is needed", "code": "person_needed", "detail": "sign in"}));
    script.play(&[person.clone(), person.clone(), person, token(3, 900)]);
    let said = until(&url, &path("credential"), &raw, |_| content("raw") == "t3\n").await;
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    assert!(
        matches!(said[..], [first, _, "crm: works again"] | [first, _] if first.contains("integration connect")),
        "{said:?}"
    );

    // A file that somebody removed comes back. Each form has its own file.
    script.play(&[token(4, 900)]);
    let two = [job(Form::Netrc, "netrc"), job(Form::Env, "env")];
    let removed = Cell::new(false);
    until(&url, &path("credential"), &two, |said| {
        if said.len() == 2 && !removed.replace(true) {
            std::fs::remove_file(path("env")).unwrap();
        }
        said.len() == 3
    })
    .await;
    assert_eq!(content("netrc"), "machine crm.example login me password t4\n");
    assert!(content("env").starts_with("CRM_ACCESS_TOKEN=t4\n"), "{}", content("env"));

    // Refused: the credential is read anew.
    script.play(&[(401, json!({"title": "no valid token", "code": "unauthenticated"})), token(5, 900)]);
    std::fs::write(path("credential"), "tha_old").unwrap();
    until(&url, &path("credential"), &raw, |said| {
        if said.len() == 1 {
            std::fs::write(path("credential"), "tha_new").unwrap();
        }
        content("raw") == "t5\n"
    })
    .await;

    // The daemon goes away and comes back at the same place.
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    script.play(&[token(6, 900)]);
    let again: RefCell<Option<tokio::task::JoinHandle<()>>> = RefCell::default();
    let said = until(&url, &path("credential"), &raw, |said| {
        if said.len() == 1 && again.borrow().is_none() {
            let script = script.clone();
            *again.borrow_mut() = Some(tokio::spawn(async move { drop(script.serve(address).await.1.await) }));
        }
        content("raw") == "t6\n" && said.last().is_some_and(|line| line == "crm: works again")
    })
    .await;
    assert!(said[0].contains("can't be reached"), "{said:?}");
    again.take().unwrap().abort();
}

#[test]
fn it_looks_before_the_end_and_not_too_often() {
    let pace = Pace { every: Duration::from_secs(60), least: Duration::from_secs(1) };
    for (left, min_ttl, expected) in [
        (None, 120, 60),
        (Some(3600), 120, 60),
        (Some(150), 120, 30),
        (Some(120), 120, 60),
        (Some(20), 120, 10),
        (Some(0), 120, 1),
        (Some(u64::MAX), u64::MAX, 60),
    ] {
        assert_eq!(pace.after_token(left, min_ttl).as_secs(), expected, "{left:?} {min_ttl}");
    }
    let problem = |status: u16, retry_after: Option<u64>| {
        Failure::from(super::super::problem::Problem::new(status, retry_after, b"{\"title\":\"x\"}"))
    };
    for (failures, failure, most) in [
        (1, problem(503, None), 1),
        (3, problem(500, None), 4),
        (40, Failure::failed("x"), 60),
        (40, problem(409, None), 60),
        (1, problem(409, None), 60),
        (1, problem(503, Some(7)), 7),
        (1, problem(503, Some(100_000)), 300),
    ] {
        let (wait, most) = (pace.after_failure(failures, &failure), Duration::from_secs(most));
        assert!(wait <= most && wait >= most.mul_f64(0.75), "{failures} {failure:?}: {wait:?}");
    }
}
