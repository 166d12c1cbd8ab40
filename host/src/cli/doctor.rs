//! `tokenhost doctor`: what the daemon finds out about an integration, told as it finds it, and what worked saved if wanted.
//!
//! The daemon asks the provider, since only it has the secrets; this only shows and saves.

use std::io::Write as _;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::attempt;
use super::client::{Client, Connection};
use super::exit::{Exit, Failure};
use super::output::{Output, can_ask, cell, items, printable};

/// Find out by test requests why an integration gets no token, and which settings would get one
///
/// The daemon asks the provider for a token in the way that is set, then in other ways: client authentication, how the body is
/// written, how scopes are separated, and whatever else the flow lets one choose. It stops at the first that works. It sends at
/// most 16 requests, a person's password in at most 3 of them, and never a refresh token. Tokens that come are thrown away; nothing
/// of the integration changes unless settings are saved.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A provider that keeps only one token for each client may end the present one when another is got.\n\nExit code 0: it works, or settings that work were saved; 1: neither.\n\nExamples:\n  tokenhost doctor crm-prod\n  tokenhost doctor crm-prod --verbose\n  tokenhost doctor crm-prod --save\n  tokenhost doctor crm-prod --all --json"
)]
pub(super) struct Doctor {
    /// The integration
    name: String,
    /// One of its further security schemes
    #[arg(long)]
    scheme: Option<String>,
    /// Go on after the first way that works, to see what else does
    #[arg(long)]
    all: bool,
    /// Show each request and answer, secrets as names
    #[arg(long, short)]
    verbose: bool,
    /// Save the settings that worked
    #[arg(long)]
    save: bool,
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
}

impl Doctor {
    /// Does it.
    ///
    /// # Errors
    /// The daemon refuses, or no token can be had and nothing was saved.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let path = ["integrations", self.name.as_str(), "doctor"];
        let all = self.all.then_some(("all", "true"));
        let query: Vec<_> = self.scheme.iter().map(|scheme| ("scheme", scheme.as_str())).chain(all).collect();
        let mut lines = client.lines(Method::POST, &path, &query).await?;
        output.note(&format!("asking the provider of {}; this may take a minute", self.name));
        let mut report = Report::default();
        while let Some(finding) = lines.next().await? {
            if !output.is_json() {
                output.text(&report.text(&finding, self.verbose))?;
            }
            report.keep(finding);
        }
        let Some(verdict) = report.verdict.clone() else {
            return Err(Failure::failed("the daemon broke off before it came to a verdict")
                .hint("Its log says why; if it was stopped, try again."));
        };
        let settings = verdict.get("settings").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut saved = false;
        if !settings.is_empty() {
            saved = self.save || (!output.is_json() && can_ask() && is_wanted(&settings)?);
            if saved {
                save(&client, &self.name, self.scheme.as_deref(), &settings).await?;
                output.note(&format!("saved: {}", changes(&settings)));
            } else if !output.is_json() {
                let remedy = match &self.scheme {
                    None => remedy(&self.name, &settings),
                    Some(scheme) => format!("tokenhost doctor {} --scheme {scheme} --save", self.name),
                };
                output.text(&format!("Nothing was saved. To save it: {remedy}"))?;
            }
        }
        if output.is_json() {
            output.document(&json!({
                "integration": self.name, "checks": report.checks, "trials": report.trials, "verdict": verdict,
                "saved": saved,
            }))?;
        }
        let works = verdict.get("cause").and_then(Value::as_str) == Some("works");
        if works || saved { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
    }
}

/// Saves settings like any others.
async fn save(client: &Client, name: &str, scheme: Option<&str>, settings: &Map<String, Value>) -> Result<(), Failure> {
    let body = match scheme {
        None => json!({"fields": settings}),
        Some(scheme) => json!({"schemes": {scheme: {"fields": settings}}}),
    };
    client.call(Method::PATCH, &["integrations", name], &[], Some(&body)).await.map(drop)
}

/// Asks the person at the terminal.
fn is_wanted(settings: &Map<String, Value>) -> Result<bool, Failure> {
    let mut stderr = std::io::stderr();
    drop(write!(stderr, "Save {}? [y/N] ", printable(&changes(settings))).and_then(|()| stderr.flush()));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|error| Failure::failed(format!("stdin can't be read: {error}")))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// How settings are saved by hand.
fn remedy(name: &str, settings: &Map<String, Value>) -> String {
    let flags = settings.iter().map(|(field, value)| match value.as_str() {
        Some(value) if value.contains(' ') => format!(" --field '{field}={value}'"),
        Some(value) => format!(" --field {field}={value}"),
        None => format!(" --unset {field}"),
    });
    format!("tokenhost integration set {name}{}", flags.collect::<String>())
}

/// Fields and their values; one without a value is unset.
fn changes(changes: &Map<String, Value>) -> String {
    let pairs = changes.iter().map(|(name, value)| match value.as_str() {
        Some(value) => format!("{name}={value}"),
        None => format!("no {name}"),
    });
    pairs.collect::<Vec<_>>().join(" ")
}

/// What was found so far.
#[derive(Default)]
struct Report {
    checks: Vec<Value>,
    trials: Vec<Value>,
    verdict: Option<Value>,
}

impl Report {
    /// Keeps a finding.
    fn keep(&mut self, mut finding: Value) {
        let kind = finding.as_object_mut().and_then(|members| members.remove("kind"));
        match kind.as_ref().and_then(Value::as_str) {
            Some("check") => self.checks.push(finding),
            Some("trial") => self.trials.push(finding),
            Some("verdict") => self.verdict = Some(finding),
            // A newer daemon may find what this doesn't know.
            _ => {}
        }
    }

    /// A finding as lines, under the headings that are due.
    fn text(&self, finding: &Value, verbose: bool) -> String {
        match finding.get("kind").and_then(Value::as_str) {
            Some("check") => {
                let mark = match finding.get("grade").and_then(Value::as_str) {
                    Some("good") => "ok",
                    Some("bad") => "BAD",
                    _ => "note",
                };
                format!("{mark:<4}  {:<9}  {}", cell(finding, "name"), cell(finding, "text"))
            }
            Some("trial") => {
                let heading = if self.trials.is_empty() {
                    row(["#", "TRIED WITH", "RESULT", "STATUS", "CODE", "TIME"]) + "\n"
                } else {
                    String::new()
                };
                heading + &trial(finding, verbose)
            }
            Some("verdict") => {
                let requests = cell(finding, "requests");
                format!("\n{}\n({requests} requests were sent; no token of them was kept)", cell(finding, "sentence"))
            }
            _ => String::new(),
        }
    }
}

/// One line of the table. It is drawn line by line, so the columns' widths are fixed.
fn row(cells: [&str; 6]) -> String {
    let [number, with, result, status, code, time] = cells;
    format!("{number:>2}  {with:<48}  {result:<10}  {status:<6}  {code:<22}  {time}")
}

/// One trial.
fn trial(trial: &Value, verbose: bool) -> String {
    let changed = trial.get("changes").and_then(Value::as_object).filter(|changes| !changes.is_empty());
    let with = changed.map_or_else(|| "the present settings".to_owned(), changes);
    let time = format!("{} ms", cell(trial, "milliseconds"));
    let (number, result) = (cell(trial, "number"), cell(trial, "result"));
    let mut text = row([&number, &with, &result, &cell(trial, "status"), &cell(trial, "code"), &time]);
    let message = cell(trial, "message");
    let is_told = verbose || matches!(result.as_str(), "unanswered" | "unsendable");
    if is_told && message != "-" {
        text += &format!("\n    {message}");
    }
    if verbose {
        for (number, step) in (1..).zip(items(trial, "steps")) {
            let step = attempt::step(number, step);
            text += &step.lines().map(|line| format!("\n    {line}")).collect::<String>();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_lines_of_one_table() {
        let mut report = Report::default();
        let check = json!({"kind": "check", "name": "clock", "grade": "bad", "text": "90 s behind"});
        assert_eq!(report.text(&check, false), "BAD   clock      90 s behind");
        report.keep(check);
        let first = json!({"kind": "trial", "number": 1, "changes": {}, "result": "failed", "status": 401,
            "code": "invalid_client", "message": "no", "milliseconds": 12, "steps": []});
        let text = report.text(&first, false);
        assert_eq!(
            text,
            " #  TRIED WITH                                        RESULT      STATUS  CODE                    TIME\n \
             1  the present settings                              failed      401     invalid_client          12 ms"
        );
        report.keep(first);
        let second = json!({"kind": "trial", "number": 2, "changes": {"client_auth": "post", "scope": null},
            "result": "token", "status": 200, "milliseconds": 9,
            "steps": [{"event": "begin acquire", "step": "send"}]});
        let text = report.text(&second, true);
        assert!(
            text.starts_with(" 2  client_auth=post no scope") && text.contains("\n    1. begin acquire -> send"),
            "{text}"
        );
        report.keep(second);
        report.keep(json!({"kind": "news"}));
        report.keep(json!({"kind": "verdict", "cause": "settings", "sentence": "so."}));
        assert_eq!((report.checks.len(), report.trials.len()), (1, 2));
        assert_eq!(report.verdict, Some(json!({"cause": "settings", "sentence": "so."})));
    }

    #[test]
    fn the_way_to_save_by_hand_is_told() {
        let settings = json!({"client_auth": "post", "scope": null});
        assert_eq!(
            remedy("crm", settings.as_object().unwrap()),
            "tokenhost integration set crm --field client_auth=post --unset scope"
        );
        let settings = json!({"scope": "a b"});
        assert_eq!(remedy("crm", settings.as_object().unwrap()), "tokenhost integration set crm --field 'scope=a b'");
    }
}
