//! Counts of uses are exact after `kill -9`, whatever was under way; and a flood of refusals doesn't fill the disk.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Options, eventually};
use tokio::task::JoinSet;

const CALLERS: usize = 8;
const KILLS: usize = 10;

/// What an application token's use was told so far.
async fn usage(daemon: &Daemon, id: &str) -> Value {
    daemon.client().get(&format!("/v1/application-tokens/{id}")).await.expect(200)
}

/// Calls until the daemon is gone. Counts what was sent, and what was answered.
async fn call(client: Client, sent: Arc<AtomicU64>, answered: Arc<AtomicU64>) {
    loop {
        sent.fetch_add(1, Ordering::Relaxed);
        match client.try_send("GET", "/v1/models", "", Vec::new()).await {
            Ok(answer) => {
                assert_eq!(answer.status, 200, "{}", answer.text);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_exact_after_kill_9() {
    let mut daemon = Daemon::start().await;
    let new = json!({"name": "busy", "profiles": ["Auditor", "REST Services User"]});
    let made = daemon.client().post("/v1/application-tokens", &new).await.expect(201);
    let (id, token) = (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned());
    let (sent, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    for kill in 0..KILLS {
        let mut calls = JoinSet::new();
        for _ in 0..CALLERS {
            let client = Client::new(daemon.url(), Some(&token));
            calls.spawn(call(client, Arc::clone(&sent), Arc::clone(&answered)));
        }
        let enough = answered.load(Ordering::Relaxed) + 200;
        let gone = async || (answered.load(Ordering::Relaxed) >= enough).then_some(());
        eventually("some hundred calls", gone).await;
        daemon.kill9().await;
        while let Some(ended) = calls.join_next().await {
            ended.unwrap();
        }
        daemon.restart().await;
        let found = usage(&daemon, &id).await;
        let count = found["use_count"].as_u64().unwrap();
        let (least, most) = (answered.load(Ordering::Relaxed), sent.load(Ordering::Relaxed));
        assert!((least..=most).contains(&count), "kill {kill}: {count} of {least} to {most}");
        assert_eq!(found["last_use_address"], "127.0.0.1");
        assert!(found["last_use"].as_str().is_some());
        // What was under way when it was killed was counted or not, but is neither lost nor found later.
        answered.store(count, Ordering::Relaxed);
        sent.store(count, Ordering::Relaxed);
    }
    let before = usage(&daemon, &id).await["use_count"].clone();
    daemon.stop().await;
    daemon.restart().await;
    assert_eq!(usage(&daemon, &id).await["use_count"], before, "a stop in good order neither adds nor loses");
}

/// The bytes in a folder.
fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            // A file of the database may go while we look.
            let Ok(kind) = entry.metadata() else { return 0 };
            if kind.is_dir() { bytes(&entry.path()) } else { kind.len() }
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_writes_next_to_nothing() {
    let mut daemon = Daemon::start_with(Options::default().env("TOKENHOST_LOG_LEVEL", "error")).await;
    let before = bytes(&daemon.data());
    let floods: JoinSet<()> = (0..16)
        .map(|caller| {
            let base = daemon.url().to_owned();
            async move {
                for number in 0..1000 {
                    // Another id each time, in the right form but for the checksum, and none at all.
                    let token = format!("tha_{:012}_{}000000", caller * 1000 + number, "0".repeat(43));
                    let client = Client::new(&base, (number % 2 == 0).then_some(token.as_str()));
                    // Refusals may be held back: whoever floods doesn't wait for them.
                    let call = client.try_send("GET", "/v1/models", "", Vec::new());
                    drop(tokio::time::timeout(std::time::Duration::from_millis(20), call).await);
                }
            }
        })
        .collect();
    floods.join_all().await;
    let rightful = daemon.client().get("/v1/models").await;
    rightful.expect(200);
    daemon.stop().await;
    let grown = bytes(&daemon.data()).saturating_sub(before);
    assert!(grown < 4 << 20, "16,000 refusals wrote {grown} bytes");
    daemon.restart().await;
    let page = daemon.client().get("/v1/audit?action=refusals").await.expect(200);
    let items = page["items"].as_array().unwrap();
    assert!((1..=40).contains(&items.len()), "{} records", items.len());
}
