//! The doors through which services ask who presents a token, over connections that are kept alive: against the baseline,
//! and with a million tokens against a thousand.
//!
//! Tokens are made through the rooms, many at once, so that they share syncs. Each is asked about once before anything is
//! measured: what is compared is verifying tokens that are in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use secrecy::ExposeSecret as _;
use tokenhost::access::application::ApplicationChange;
use tokenhost::access::{StandingChange, Visit};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::served::{Side, compare};
use crate::baseline;
use crate::crowd::{Question, TOKEN};
use crate::home::Home;
use crate::process::Server;
use crate::report::Report;

/// Tokens in use, of the daemon that others are compared with.
const FEW: usize = 1000;
/// And of the other.
const MANY: usize = 1_000_000;
/// Tokens made at once.
const AT_ONCE: usize = 512;
/// How often it is looked how many there are.
const PACE: Duration = Duration::from_secs(1);
/// The scope that is asked for.
const SCOPE: &str = "REST/JSON";
/// Where proxies ask.
const FORWARD_AUTH: &str = "/v1/forward-auth/rest-json";
/// Where services ask.
const VERIFY: &str = "/v1/verify";

/// A daemon whose tokens are in use.
struct Place {
    home: Home,
    server: Server,
    /// What services ask, and what proxies ask.
    verify: Question,
    forward: Question,
}

impl Place {
    fn new(runtime: &Runtime, report: &mut Report, size: usize) -> anyhow::Result<Self> {
        let home = runtime.block_on(Home::make())?;
        let tokens: Arc<[String]> = runtime.block_on(make(&home, report, size))?.into();
        let server = home.daemon()?;
        let verify = Question::new(&question(&home.token, "{token}"), Arc::clone(&tokens))?;
        let forward = Question::new(&forwarded(), tokens)?;
        for (number, question) in [&verify, &forward].into_iter().enumerate() {
            report.begin(&format!("  each of {size} tokens is presented, door {}", number + 1));
            Side::new(&server, question)?.meet()?;
        }
        let resident = server.resident()? / f64::from(1 << 20);
        report.begin(&format!("  {size} tokens in use; the daemon's resident memory: {resident:.0} MiB"));
        Ok(Self { home, server, verify, forward })
    }
}

/// The request by which a service asks about a token.
fn question(caller: &str, token: &str) -> String {
    let body = format!(r#"{{"token":"{token}","scope":"{SCOPE}"}}"#);
    // The token's place is as long as a token will be.
    let length = body.len() - token.len() + caller.len();
    format!(
        "POST {VERIFY} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {caller}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// The request by which a proxy asks, with headers of its client's as proxies pass them.
fn forwarded() -> String {
    format!("GET {FORWARD_AUTH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n")
}

pub(super) fn measure(runtime: &Runtime, report: &mut Report) -> anyhow::Result<()> {
    let few = Place::new(runtime, report, FEW)?;
    let caller = few.home.token.clone();
    // Against the baseline with one token, as it knows one answer.
    let one: Arc<[String]> = Arc::new([caller.clone()]);
    let body = format!(r#"{{"token":"{caller}","scope":"{SCOPE}"}}"#);
    for (what, method, path, body, request) in [
        ("POST /v1/verify", "POST", VERIFY, body.as_str(), question(&caller, TOKEN)),
        ("/v1/forward-auth/{scope}", "GET", FORWARD_AUTH, "", forwarded()),
    ] {
        let answer = few.server.whole(method, path, &caller, body)?;
        let theirs = baseline::start(&caller, &answer)?;
        let same = theirs.whole(method, path, &caller, body)?.lasting() == answer.lasting();
        ensure!(same, "the baseline answers something else");
        let question = Question::new(&request, Arc::clone(&one))?;
        compare(report, what, [Side::new(&few.server, &question)?, Side::new(&theirs, &question)?], 0.80)?;
    }
    let many = Place::new(runtime, report, MANY)?;
    for (what, question, other) in [
        ("POST /v1/verify, 1,000,000 tokens against 1,000", &many.verify, &few.verify),
        ("/v1/forward-auth/{scope}, 1,000,000 tokens against 1,000", &many.forward, &few.forward),
    ] {
        compare(report, what, [Side::new(&many.server, question)?, Side::new(&few.server, other)?], 0.90)?;
    }
    Ok(())
}

/// Makes so many application tokens.
async fn make(home: &Home, report: &mut Report, size: usize) -> anyhow::Result<Vec<String>> {
    let rooms = Arc::new(home.rooms().await?);
    let by = rooms.access.enter(&home.token, &Visit { scope: None, address: None }).await;
    let by = by.map_err(|denial| anyhow::anyhow!("{denial:?}"))?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut makers = JoinSet::new();
    for _ in 0..AT_ONCE.min(size) {
        let (rooms, by, next) = (Arc::clone(&rooms), Arc::clone(&by), Arc::clone(&next));
        makers.spawn(async move {
            let mut made = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= size {
                    return anyhow::Ok(made);
                }
                let new = ApplicationChange {
                    standing: StandingChange {
                        profiles: Some(vec!["REST Services User".to_owned()]),
                        ..StandingChange::default()
                    },
                    ..ApplicationChange::default()
                };
                // Equally long, so that answers are.
                let name = format!("service-{number:07}");
                let (_, secret) = rooms.access.create_application(&by.principal, &name, new, false).await?;
                made.push(secret.context("there is no token")?.expose_secret().to_owned());
            }
        });
    }
    let mut tokens = Vec::with_capacity(size);
    while !makers.is_empty() {
        if let Ok(Some(made)) = tokio::time::timeout(PACE, makers.join_next()).await {
            tokens.extend(made??);
        }
        report.progress(|| format!("{} of {size} tokens", next.load(Ordering::Relaxed).min(size)));
    }
    drop(by);
    Arc::into_inner(rooms).context("the rooms are still in use")?.close().await?;
    Ok(tokens)
}
