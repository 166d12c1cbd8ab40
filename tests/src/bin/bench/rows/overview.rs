//! The console's first page with 10,000 integrations, over connections that are kept alive, against the baseline that answers
//! as many bytes: requests a second, and the servers' own processor time for each.

use std::time::Duration;

use anyhow::ensure;
use tokio::runtime::Runtime;

use super::name;
use super::served::{Side, compare};
use super::start::fill;
use crate::baseline;
use crate::crowd::Question;
use crate::home::Home;
use crate::report::Report;

/// Integrations in all.
const SIZE: usize = 10_000;
/// Of these, the first: so many are on the page, each with a token.
const ON_PAGE: usize = 50;
const PATH: &str = "/console/";
/// Between two looks whether the daemon has seen all integrations since its start.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn measure(runtime: &Runtime, report: &mut Report) -> anyhow::Result<()> {
    let home = runtime.block_on(Home::make())?;
    runtime.block_on(fill(&home, report, SIZE))?;
    let ours = home.daemon()?;
    // Its end is so far away that the page says the same all the time.
    let token = serde_json::json!({"access_token": "x".repeat(800), "expires_in": 5_000_000}).to_string();
    for number in 0..ON_PAGE {
        ours.call("PUT", &format!("/v1/integrations/{}/token", name(number)?), &home.token, &token)?;
    }
    // Until then the page counts on.
    while !ours.call("GET", "/v1/status", &home.token, "")?.contains("\"complete\":true") {
        std::thread::sleep(LOOK);
    }
    let page = ours.whole("GET", PATH, &home.token, "")?;
    ensure!(page.body.matches("state good").count() == ON_PAGE, "the page doesn't show {ON_PAGE} integrations");
    let theirs = baseline::start(&home.token, &page)?;
    let same = theirs.whole("GET", PATH, &home.token, "")?.lasting() == page.lasting();
    ensure!(same, "the baseline answers something else");
    report.progress(|| format!("{} bytes each", page.body.len()));

    let question = Question::get(PATH, &home.token)?;
    let sides = [Side::new(&ours, &question)?, Side::new(&theirs, &question)?];
    compare(report, "the console's overview with 10,000 integrations", sides, 0.3)
}
