//! 10,000 callers at once that need one expired token: how many token requests that causes, and how long the last one waits.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use tokenhost::tokens::{ManualToken, TokenKey};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::name;
use crate::baseline;
use crate::crowd::{Crowd, Question};
use crate::figures::{median_seconds, seconds};
use crate::home::{Home, Rooms};
use crate::provider::Provider;
use crate::report::{Line, Reach, Report};

const CALLERS: usize = 10_000;
/// How often each crowd asks.
const ROUNDS: usize = 5;
/// How often the crowds take turns. Both at once would need more open files than many systems allow.
const TURNS: usize = 2;

pub(super) fn measure(runtime: &Runtime, report: &mut Report) -> anyhow::Result<()> {
    let provider = Provider::start()?;
    let home = runtime.block_on(async {
        let home = Home::make().await?;
        let rooms = home.rooms().await?;
        rooms.import(&provider.token_url).await?;
        rooms.integrate(name(0)?).await?;
        anyhow::Ok((home, rooms))
    });
    let (home, rooms) = home?;
    let key = TokenKey::of(&name(0)?);
    let mut times = Vec::new();
    let mut most_requests = 0;
    for _ in 0..ROUNDS {
        let before = provider.requests();
        times.push(runtime.block_on(together(&rooms, &key))?);
        most_requests = most_requests.max(provider.requests() - before);
        report.progress(|| "futures".into());
    }
    runtime.block_on(rooms.close())?;
    report.add(Line {
        what: "10,000 callers of one expired token, futures: token requests".into(),
        ours: format!("{most_requests} in {}", seconds(median_seconds(&times))),
        baseline: "-".into(),
        figure: most_requests as f64,
        reach: Reach::Exactly(1.0),
    });
    sockets(&home, &provider, report)
}

/// All callers as futures of this process. The time until the last has the token.
async fn together(rooms: &Rooms, key: &TokenKey) -> anyhow::Result<Duration> {
    let created_at = DateTime::from_timestamp(1_700_000_000, 0);
    let expired = ManualToken {
        access_token: "an-old-token".into(),
        refresh_token: None,
        token_type: None,
        scope: None,
        expires_in: Some(60),
        expires_at: None,
        created_at,
    };
    rooms.tokens.put(key, expired).await?;
    let mut callers = JoinSet::new();
    let began = std::time::Instant::now();
    for _ in 0..CALLERS {
        let (tokens, key) = (Arc::clone(&rooms.tokens), key.clone());
        callers.spawn(async move { tokens.get(&key, Duration::from_secs(5)).await });
    }
    while let Some(served) = callers.join_next().await {
        served??;
    }
    Ok(began.elapsed())
}

/// The same over sockets, against the baseline.
fn sockets(home: &Home, provider: &Provider, report: &mut Report) -> anyhow::Result<()> {
    let ours = home.daemon()?;
    let path = format!("/v1/integrations/{}/token", name(0)?);
    let expired =
        serde_json::json!({"access_token": "an-old-token", "expires_in": 60, "created_at": "2023-11-14T22:13:20Z"})
            .to_string();
    let answer = ours.whole("GET", &path, &home.token, "")?;
    let theirs = baseline::start(&home.token, &answer)?;
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    let mut most_requests = 0;
    for turn in 0..TURNS {
        let mut crowd = Crowd::gather(ours.address, &Question::get(&path, &home.token)?, CALLERS)?;
        for _ in 0..ROUNDS {
            ours.call("PUT", &path, &home.token, &expired)?;
            let before = provider.requests();
            our_times.push(crowd.ask_once()?);
            most_requests = most_requests.max(provider.requests() - before);
            report.progress(|| format!("sockets, turn {} of {TURNS}", turn + 1));
        }
        drop(crowd);
        let mut crowd = Crowd::gather(theirs.address, &Question::get(&path, &home.token)?, CALLERS)?;
        for _ in 0..ROUNDS {
            their_times.push(crowd.ask_once()?);
            report.progress(|| format!("sockets, turn {} of {TURNS}, baseline", turn + 1));
        }
    }
    report.add(Line {
        what: "10,000 callers of one expired token, sockets: token requests".into(),
        ours: most_requests.to_string(),
        baseline: "-".into(),
        figure: most_requests as f64,
        reach: Reach::Exactly(1.0),
    });
    let (ours, theirs) = (median_seconds(&our_times), median_seconds(&their_times));
    report.add(Line {
        what: "10,000 callers of one expired token, sockets: until the last has it".into(),
        ours: seconds(ours),
        baseline: seconds(theirs),
        figure: ours / theirs,
        reach: Reach::AtMost(2.0),
    });
    Ok(())
}
