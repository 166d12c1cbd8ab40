//! The conformance kit: a component, of any language, in the real engine and behind the real egress policy, against a provider on
//! loopback that answers as providers do on their bad days.
//!
//! It opens no connection but to that provider. What each case is stands in `cases`; how it runs, here; what an outcome is worth, in
//! `judge`. What the kit can't know of a flow stands in `conformance.json` (`config`), the flow's own cases in `own`.

mod answers;
mod at_once;
mod attempts;
mod bench;
mod cases;
mod config;
mod judge;
mod keys;
mod own;
mod provider;
mod run;
mod setup;
#[cfg(test)]
mod tests;

pub use self::bench::StepCost;
pub use self::config::{AnswerSpec, Config};
pub use self::judge::Miss;
pub use self::own::{Exchange, Outcome, Script, Wanted};
pub use self::run::{Kit, KitError};

/// What is known of a case before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name, for `--only`.
    pub name: String,
    /// What it is about.
    pub about: String,
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Passed,
    /// Not as it should.
    Failed(Miss),
    /// It doesn't apply, and why.
    Skipped(String),
}

/// A case that ran, or didn't apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// What the attempt was for: `acquire`, `refresh`, `revoke`; empty where it is none of these.
    pub purpose: &'static str,
    /// What the provider did.
    pub about: String,
    /// How it went.
    pub verdict: Verdict,
    /// What each step took.
    pub steps: Vec<StepCost>,
}

/// All cases of the kit itself.
pub fn list() -> Vec<Listed> {
    let shared = cases::CASES.iter().map(|case| Listed { name: case.name.to_owned(), about: case.about.to_owned() });
    let own = run::FURTHER.iter().map(|(name, about)| Listed { name: (*name).to_owned(), about: (*about).to_owned() });
    shared.chain(own).collect()
}
