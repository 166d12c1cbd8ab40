//! A token that is in memory and good, over connections that are kept alive, against the baseline: requests a second, and the
//! servers' own processor time for each.

use std::time::Duration;

use anyhow::ensure;
use tokio::runtime::Runtime;

use super::name;
use crate::baseline;
use crate::crowd::{Crowd, Question};
use crate::figures::{median, seconds};
use crate::home::Home;
use crate::process::Server;
use crate::report::{Line, Reach, Report};

/// Connections, each with one request under way.
const CONNECTIONS: usize = 32;
/// How often the two take turns.
const ROUNDS: usize = 11;
/// How long each turn is.
const TURN: Duration = Duration::from_millis(1000);
/// At the start, for caches and pools to fill.
const WARM_UP: Duration = Duration::from_millis(500);

pub(super) fn measure(runtime: &Runtime, report: &mut Report) -> anyhow::Result<()> {
    let home = runtime.block_on(Home::with_integration(name(0)?))?;
    let ours = home.daemon()?;
    let path = format!("/v1/integrations/{}/token", name(0)?);
    // As long as a signed token often is; its end is so far away that `expires_in` keeps its length.
    let token = serde_json::json!({"access_token": "x".repeat(800), "expires_in": 5_000_000, "scope": "read write"});
    ours.call("PUT", &path, &home.token, &token.to_string())?;
    let answer = ours.whole("GET", &path, &home.token, "")?;
    let theirs = baseline::start(&home.token, &answer)?;
    let same = theirs.whole("GET", &path, &home.token, "")?.lasting() == answer.lasting();
    ensure!(same, "the baseline answers something else");

    let question = Question::get(&path, &home.token)?;
    let sides = [Side::new(&ours, &question)?, Side::new(&theirs, &question)?];
    compare(report, "GET …/token, valid", sides, 0.85)
}

/// Has two servers take turns, and tells requests a second and processor time for each request, of the first as a share of
/// the second's.
pub(super) fn compare(report: &mut Report, what: &str, mut sides: [Side<'_>; 2], reach: f64) -> anyhow::Result<()> {
    for side in &mut sides {
        side.crowd.ask_for(WARM_UP)?;
    }
    for round in 0..ROUNDS {
        // Who begins changes, too.
        let first = round % 2;
        sides[first].turn()?;
        sides[1 - first].turn()?;
        report.progress(|| format!("turn {} of {ROUNDS}", round + 1));
    }
    let [ours, theirs] = &sides;
    let ratios = |one: &[f64], other: &[f64]| median(one.iter().zip(other).map(|(one, other)| one / other).collect());
    let rate = |side: &Side<'_>| format!("{:.0}/s", median(side.rates.clone()));
    let cost = |side: &Side<'_>| seconds(median(side.costs.clone()));
    report.add(Line {
        what: format!("{what}: requests a second"),
        ours: rate(ours),
        baseline: rate(theirs),
        figure: ratios(&ours.rates, &theirs.rates),
        reach: Reach::AtLeast(reach),
    });
    report.add(Line {
        what: format!("{what}: server's processor time each (inverse)"),
        ours: cost(ours),
        baseline: cost(theirs),
        figure: ratios(&theirs.costs, &ours.costs),
        reach: Reach::AtLeast(reach),
    });
    Ok(())
}

/// A server and its callers.
pub(super) struct Side<'a> {
    server: &'a Server,
    crowd: Crowd,
    /// Requests a second, by turn.
    rates: Vec<f64>,
    /// Seconds of the server's processor time for each request, by turn.
    costs: Vec<f64>,
}

impl<'a> Side<'a> {
    pub(super) fn new(server: &'a Server, question: &Question) -> anyhow::Result<Self> {
        let crowd = Crowd::gather(server.address, question, CONNECTIONS)?;
        Ok(Self { server, crowd, rates: Vec::new(), costs: Vec::new() })
    }

    /// Asks once with each token, so that the server has seen them all.
    pub(super) fn meet(&mut self) -> anyhow::Result<()> {
        self.crowd.ask_with_each()
    }

    fn turn(&mut self) -> anyhow::Result<()> {
        let before = self.server.processor_seconds()?;
        let asked = self.crowd.ask_for(TURN)?;
        self.costs.push((self.server.processor_seconds()? - before) / asked.answers);
        self.rates.push(asked.answers / asked.seconds);
        Ok(())
    }
}
