//! One acquisition with its journal, less the provider's own time, against what the disk takes to sync; and how many syncs
//! integrations share that renew together.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokenhost::tokens::TokenKey;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::name;
use crate::figures::{median, median_seconds, seconds};
use crate::home::{Home, Rooms};
use crate::provider::Provider;
use crate::report::{Line, Reach, Report};

/// Acquisitions, one after the other, each of an integration of its own.
const ACQUISITIONS: usize = 200;
/// Integrations that renew together.
const TOGETHER: usize = 64;
/// How often they do.
const ROUNDS: usize = 5;
/// What is appended before each sync of the bare disk.
const APPENDED: [u8; 1024] = [7; 1024];
/// What the design allows beside the syncs, in seconds.
const ALLOWED: f64 = 1e-3;
/// How many syncs of the bare disk it allows.
const ALLOWED_SYNCS: f64 = 3.0;

pub(super) fn measure(runtime: &Runtime, report: &mut Report) -> anyhow::Result<()> {
    let provider = Provider::start()?;
    let home = runtime.block_on(Home::make())?;
    let rooms = runtime.block_on(async {
        let rooms = home.rooms().await?;
        rooms.import(&provider.token_url).await?;
        for number in 0..ACQUISITIONS + TOGETHER {
            rooms.integrate(name(number)?).await?;
            report.progress(|| format!("{number} integrations made"));
        }
        anyhow::Ok(Arc::new(rooms))
    })?;
    let (mut acquisitions, mut syncs) = (Vec::new(), Vec::new());
    let syncs_before = rooms.store.syncs();
    for number in 0..ACQUISITIONS {
        let key = TokenKey::of(&name(number)?);
        let before = provider.own_time();
        // On a worker, as a handler of the daemon is.
        let taken = runtime.block_on(runtime.spawn(acquire(Arc::clone(&rooms), key)))??;
        acquisitions.push(taken.saturating_sub(provider.own_time() - before));
        syncs.push(sync(home.data())?);
        report.progress(|| format!("acquisition {number} of {ACQUISITIONS}"));
    }
    let alone = (rooms.store.syncs() - syncs_before) as f64 / ACQUISITIONS as f64;
    let (ours, disk) = (median_seconds(&acquisitions), median_seconds(&syncs));
    let allowed = ALLOWED + ALLOWED_SYNCS * disk;
    report.add(Line {
        what: "one acquisition with its journal, less the provider's time".into(),
        ours: seconds(ours),
        baseline: format!("{} (1 ms + 3 × fdatasync of {})", seconds(allowed), seconds(disk)),
        figure: ours / allowed,
        reach: Reach::AtMost(1.0),
    });
    let mut shared = Vec::new();
    for _ in 0..ROUNDS {
        let before = rooms.store.syncs();
        runtime.block_on(together(&rooms))?;
        shared.push((rooms.store.syncs() - before) as f64 / TOGETHER as f64);
    }
    let shared = median(shared);
    report.add(Line {
        what: format!("{TOGETHER} acquisitions together: syncs of each"),
        ours: format!("{shared:.2}"),
        baseline: format!("{alone:.2} (one at a time)"),
        figure: shared / alone,
        reach: Reach::AtMost(0.5),
    });
    if let Ok(rooms) = Arc::try_unwrap(rooms) {
        runtime.block_on(rooms.close())?;
    }
    Ok(())
}

/// One acquisition, as its caller waits for it.
async fn acquire(rooms: Arc<Rooms>, key: TokenKey) -> anyhow::Result<Duration> {
    let began = Instant::now();
    rooms.tokens.get(&key, Duration::ZERO).await?;
    Ok(began.elapsed())
}

/// New tokens for some integrations at once.
async fn together(rooms: &Arc<Rooms>) -> anyhow::Result<()> {
    let mut renewals = JoinSet::new();
    for number in ACQUISITIONS..ACQUISITIONS + TOGETHER {
        let (rooms, key) = (Arc::clone(rooms), TokenKey::of(&name(number)?));
        renewals.spawn(async move { rooms.tokens.renew(&key).await });
    }
    while let Some(renewed) = renewals.join_next().await {
        renewed??;
    }
    Ok(())
}

/// One append and fdatasync in this folder.
fn sync(folder: &Path) -> anyhow::Result<Duration> {
    let mut file = OpenOptions::new().append(true).create(true).open(folder.join("bench.log"))?;
    let began = Instant::now();
    file.write_all(&APPENDED)?;
    file.sync_data()?;
    Ok(began.elapsed())
}
