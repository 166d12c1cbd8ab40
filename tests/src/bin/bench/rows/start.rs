//! How long the daemon takes from its start to being ready with many integrations and with few, and how much memory each of
//! them costs: when it is ready, and once all have been listed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::name;
use crate::figures::{median, seconds};
use crate::home::Home;
use crate::process::Server;
use crate::report::{Line, Reach, Report};

const FEW: usize = 100;
const MANY: usize = 100_000;
/// How often each starts.
const ROUNDS: usize = 7;
/// Integrations made at once, so that they share syncs.
const AT_ONCE: usize = 256;
/// Integrations on a page of the list, at most.
const PAGE: usize = 1000;
/// The resident bytes that the design allows each integration.
const ALLOWED_BYTES: f64 = 1536.0;

pub(super) fn measure(runtime: &Runtime, report: &mut Report) -> anyhow::Result<()> {
    let mut sides = [Side::new(runtime, report, FEW)?, Side::new(runtime, report, MANY)?];
    for round in 0..ROUNDS {
        let first = round % 2;
        sides[first].start()?;
        sides[1 - first].start()?;
        report.progress(|| format!("start {} of {ROUNDS}", round + 1));
    }
    let [few, many] = &sides;
    let middle = |figures: &Vec<f64>| median(figures.clone());
    report.add(Line {
        what: "start to ready with 100,000 integrations".into(),
        ours: seconds(middle(&many.times)),
        baseline: format!("{} (with 100)", seconds(middle(&few.times))),
        figure: middle(&many.times) / middle(&few.times),
        reach: Reach::AtMost(1.5),
    });
    for (when, many, few) in [("ready", &many.ready, &few.ready), ("all listed once", &many.listed, &few.listed)] {
        let each = (middle(many) - middle(few)) / (MANY - FEW) as f64;
        let mebibytes = |bytes: f64| format!("{:.1} MiB", bytes / f64::from(1 << 20));
        report.add(Line {
            what: format!("resident with 100,000 integrations, {when}: share of 1.5 KB each"),
            ours: format!("{} ({each:.0} B each)", mebibytes(middle(many))),
            baseline: format!("{} (with 100)", mebibytes(middle(few))),
            figure: each / ALLOWED_BYTES,
            reach: Reach::AtMost(1.0),
        });
    }
    Ok(())
}

/// A data folder with so many integrations, and what starts on it came to.
struct Side {
    home: Home,
    size: usize,
    /// From start to ready, in seconds.
    times: Vec<f64>,
    /// Resident bytes when ready.
    ready: Vec<f64>,
    /// Resident bytes when all were listed.
    listed: Vec<f64>,
}

impl Side {
    fn new(runtime: &Runtime, report: &mut Report, size: usize) -> anyhow::Result<Self> {
        let home = runtime.block_on(Home::make())?;
        runtime.block_on(fill(&home, report, size))?;
        let side = Self { home, size, times: Vec::new(), ready: Vec::new(), listed: Vec::new() };
        // Compiles the flows into the folder's cache.
        side.home.daemon()?;
        Ok(side)
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let daemon = self.home.daemon()?;
        self.times.push(daemon.started_in.as_secs_f64());
        self.ready.push(daemon.resident()?);
        let listed = list(&daemon, &self.home.token)?;
        ensure!(listed == self.size, "{listed} of {} integrations are there", self.size);
        self.listed.push(daemon.resident()?);
        Ok(())
    }
}

/// Makes so many integrations.
pub(super) async fn fill(home: &Home, report: &mut Report, size: usize) -> anyhow::Result<()> {
    let rooms = Arc::new(home.rooms().await?);
    rooms.import("https://login.example.com/token").await?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut makers = JoinSet::new();
    for _ in 0..AT_ONCE.min(size) {
        let (rooms, next) = (Arc::clone(&rooms), Arc::clone(&next));
        makers.spawn(async move {
            loop {
                match next.fetch_add(1, Ordering::Relaxed) {
                    number if number < size => rooms.integrate(name(number)?).await?,
                    _ => return anyhow::Ok(()),
                }
            }
        });
    }
    while !makers.is_empty() {
        if let Ok(Some(made)) = tokio::time::timeout(Duration::from_millis(500), makers.join_next()).await {
            made??;
        }
        report.progress(|| format!("{} of {size} integrations made", next.load(Ordering::Relaxed).min(size)));
    }
    Arc::into_inner(rooms).context("all makers have ended")?.close().await
}

/// Lists all integrations, page by page, and counts them.
fn list(daemon: &Server, token: &str) -> anyhow::Result<usize> {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let page = daemon.call("GET", &format!("/v1/integrations?limit={PAGE}{cursor}"), token, "")?;
        let page: serde_json::Value = serde_json::from_str(&page)?;
        count += page["items"].as_array().context("the page has no items")?.len();
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(count),
        }
    }
}
