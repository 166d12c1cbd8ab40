//! What is measured, row by row.

mod acquisition;
mod callers;
mod overview;
mod proxy;
mod served;
mod start;
mod step;
mod verify;

use tokio::runtime::Runtime;

use crate::report::Report;

/// The most digits that an integration's number has, so that names sort as their numbers do.
const DIGITS: usize = 6;

/// Something to measure.
pub(crate) struct Row {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) about: &'static str,
    /// Measures it, and adds its lines to the report. Runs outside of the runtime.
    pub(crate) measure: fn(&Runtime, &mut Report) -> anyhow::Result<()>,
}

/// All of them.
pub(crate) const ROWS: &[Row] = &[
    Row { name: "token", about: "GET …/token, valid, keep-alive", measure: served::measure },
    Row { name: "verify", about: "POST /v1/verify and /v1/forward-auth/{scope}, keep-alive", measure: verify::measure },
    Row { name: "proxy", about: "ANY …/proxy/{path}, small and large answers", measure: proxy::measure },
    Row { name: "overview", about: "the console's first page with 10,000 integrations", measure: overview::measure },
    Row { name: "step", about: "one step of a flow in a fresh instance", measure: step::measure },
    Row { name: "callers", about: "10,000 callers at once that need one expired token", measure: callers::measure },
    Row { name: "acquisition", about: "one acquisition with its journal", measure: acquisition::measure },
    Row { name: "start", about: "start to ready with 100,000 integrations", measure: start::measure },
];

/// The name of an integration, by its number.
fn name(number: usize) -> anyhow::Result<tokenhost::name::Name> {
    Ok(format!("service-{number:0DIGITS$}").parse()?)
}
