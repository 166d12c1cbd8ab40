//! `kill -9` at 200 random moments under load, against Django, which rotates refresh tokens and revokes the whole family
//! where a used one comes again.
//!
//! Whatever the moment: what a caller was told is still so afterwards, no refresh token is sent twice, and every
//! integration ends with a token that works.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Options, Provider};
use tokio::task::JoinSet;

const KILLS: usize = 200;
const INTEGRATIONS: usize = 6;

/// The highest generation that a caller was told, by integration, with its access token.
type Seen = Arc<Mutex<BTreeMap<String, (u64, String)>>>;

fn note(seen: &Seen, integration: &str, token: &Value) {
    let generation = token["generation"].as_u64().unwrap();
    let access_token = token["access_token"].as_str().unwrap().to_owned();
    let mut seen = seen.lock().unwrap();
    let last = seen.entry(integration.to_owned()).or_default();
    if generation > last.0 {
        *last = (generation, access_token);
    } else if generation == last.0 {
        assert_eq!(access_token, last.1, "{integration}: two tokens of one generation");
    }
}

/// Asks for tokens and for renewals until the daemon is gone.
async fn load(client: Client, integration: String, seen: Seen, renews: bool) {
    loop {
        if renews {
            let path = format!("/v1/integrations/{integration}/token/refresh");
            if client.try_send("POST", &path, "", Vec::new()).await.is_err() {
                return;
            }
        }
        let path = format!("/v1/integrations/{integration}/token");
        match client.try_send("GET", &path, "", Vec::new()).await {
            Ok(answer) if answer.status == 200 => note(&seen, &integration, &answer.json()),
            // In the documented state: told when to come back.
            Ok(answer) => assert!(answer.status == 503 && !answer.header("retry-after").is_empty(), "{answer:?}"),
            Err(_) => return,
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_no_refresh_token_is_sent_twice() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let provider = Provider::django(&["--access-ttl", "2"]).await;
    let mut daemon = Daemon::start_with(Options::default().env("TOKENHOST_LOG_LEVEL", "warn")).await;
    let client = daemon.client();
    client.import("crm", &provider.document().await).await;
    let names: Vec<String> = (0..INTEGRATIONS).map(|number| format!("crm-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        let fields = json!({
            "client_id": provider.text("/clients/password/client_id"),
            "client_secret": provider.text("/clients/password/client_secret"),
            "username": format!("{}{number}", provider.text("/user/username")),
            "password": provider.text("/user/password"),
        });
        client.integrate(json!({"name": name, "model": "crm", "scheme": "person", "fields": fields})).await;
    }

    let seen = Seen::default();
    for _ in 0..KILLS {
        let mut callers = JoinSet::new();
        for name in &names {
            for renews in [true, false] {
                callers.spawn(load(daemon.client(), name.clone(), Arc::clone(&seen), renews));
            }
        }
        // The one place where time itself is the input: the moment of the kill.
        tokio::time::sleep(Duration::from_micros(random.random_range(0..250_000))).await;
        daemon.kill9().await;
        while let Some(ended) = callers.join_next().await {
            ended.unwrap();
        }
        let told = seen.lock().unwrap().clone();
        daemon.restart().await;
        let client = daemon.client();
        for (name, (generation, _)) in &told {
            let kept = client.status(name).await["generation"].as_u64().unwrap();
            assert!(kept >= *generation, "{name}: a caller was told of generation {generation}, and {kept} is kept");
        }
    }

    let client = daemon.client();
    for name in &names {
        // Where the last kill left a failure behind, it says when to come back; asking by hand needs no wait.
        client.post(&format!("/v1/integrations/{name}/token/refresh"), &Value::Null).await.expect(200);
        let token = client.token(name).await.expect(200);
        let (status, who) = provider.whoami(token["access_token"].as_str().unwrap()).await;
        assert_eq!(status, 200, "{name}: {token} {who}");
    }
    let (mut sent, mut refreshes, mut refused) = (BTreeSet::new(), 0, Vec::new());
    for entry in provider.log().await {
        if let Some(digest) = entry["refresh_token_sha256"].as_str() {
            assert!(sent.insert(digest.to_owned()), "a refresh token was sent twice: {entry}");
            refreshes += 1;
        }
        if entry["status"] != 200 {
            refused.push(entry);
        }
    }
    println!(
        "{refreshes} refreshes; generations {:?}",
        seen.lock().unwrap().values().map(|(generation, _)| *generation).collect::<Vec<_>>()
    );
    assert!(refreshes > KILLS, "{refreshes} refreshes");
    assert!(refused.is_empty(), "{refused:?}");
}
