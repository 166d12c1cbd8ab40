//! `tokenhost agent`: files that always hold a token which works, for programs that read one and nothing else.
//!
//! Decides nothing about tokens: it asks the daemon, often enough, and writes what is new. A failure of one file is said
//! and tried again; it never ends the agent.

mod settings;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt as _;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use self::settings::Job;
use super::client::{Client, Connection};
use super::exit::{Exit, Failure};
use super::output::{Output, member};
use super::token::form::{Form, Subject};
use super::token::{self, file};

/// The longest wait after failures of the daemon.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// The longest wait that the daemon can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// Keep files with tokens fresh until told to stop
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A file is replaced in one step before its token ends, with mode 0600. The daemon may restart meanwhile; where a person has to sign in, the agent says so and goes on. It ends in good order on SIGTERM and SIGINT, and tells systemd when each file was written or tried once (Type=notify).\n\nThe file of settings:\n  [[token]]\n  integration = \"crm-prod\"\n  file = \"/run/crm/token\"\n  format = \"env\"       # as in `token get --format`; raw where absent\n  scope = \"read\"       # in place of the integration's own\n  min_ttl = 300        # seconds; 120 where absent\n  login = \"oauth2\"     # in netrc\n\nExamples:\n  tokenhost agent crm-prod=/run/crm/token\n  tokenhost agent crm-prod=/run/crm.env billing=/run/billing.env --format env --min-ttl 600\n  tokenhost agent --config /etc/tokenhost-agent.toml"
)]
pub(super) struct Agent {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// Integrations, and the file for the token of each
    #[arg(value_name = "NAME=FILE")]
    files: Vec<String>,
    /// A file of settings (TOML), in addition
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the tokens of NAME=FILE are written
    #[arg(long, value_name = "FORM", default_value = "raw")]
    format: Form,
    /// Seconds that the tokens of NAME=FILE are good for at least
    #[arg(long, value_name = "SECONDS", default_value_t = settings::MIN_TTL)]
    min_ttl: u64,
    /// Look at each token at least so often, in seconds, so that one that was rejected is replaced
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    every: u64,
}

impl Agent {
    /// Runs it until a signal comes.
    ///
    /// # Errors
    /// The command line or the file of settings can't be used.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let mut jobs = settings::of_words(&self.files, self.format, self.min_ttl)?;
        if let Some(path) = &self.config {
            jobs.extend(settings::read(path)?);
        }
        settings::check(&jobs)?;
        let no_signal = |error| Failure::failed(format!("signals can't be received: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signal)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signal)?;
        let pace = Pace { every: Duration::from_secs(self.every), least: Duration::from_secs(1) };
        let keeper = Keeper {
            client: RefCell::new(std::rc::Rc::new(self.connection.client()?)),
            connection: self.connection,
            pace,
            untried: Cell::new(jobs.len()),
            say: Box::new(move |line| output.note(line)),
        };
        tokio::select! {
            () = keeper.keep_all(&jobs) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        notify(sd_notify::NotifyState::Stopping);
        output.note("stopped; the files stay as they are");
        Ok(())
    }
}

/// How often to look.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// At least so often while all is well.
    every: Duration,
    /// Never more often; the first wait after a failure.
    least: Duration,
}

impl Pace {
    /// The wait after a token that is good for so many seconds more.
    fn after_token(self, left: Option<u64>, min_ttl: u64) -> Duration {
        let wait = match left.map(Duration::from_secs) {
            None => self.every,
            Some(left) => match left.checked_sub(Duration::from_secs(min_ttl)) {
                Some(spare) if !spare.is_zero() => spare,
                // Tokens don't last as long here: at half of what is left.
                _ => left / 2,
            },
        };
        wait.clamp(self.least, self.every)
    }

    /// The wait after so many failures in a row (1 or more). A quarter is random, so that agents don't return in step.
    fn after_failure(self, failures: u32, failure: &Failure) -> Duration {
        let problem = match failure {
            Failure::Problem(problem) => Some(problem),
            _ => None,
        };
        // Only a person or an operator changes these: no sense in asking more and more seldom.
        if problem.is_some_and(|problem| problem.status() == 409) {
            return self.every;
        }
        let doubled = self.least.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let ours = doubled.min(LONGEST_BACKOFF).mul_f64(rand::rng().random_range(0.75..=1.0));
        let asked = problem.and_then(|problem| problem.retry_after()).map(Duration::from_secs);
        asked.map_or(ours, |asked| asked.min(LONGEST_ASKED).max(ours))
    }
}

/// Keeps all files.
struct Keeper {
    /// Which daemon; read anew where it refuses, since the token may have been rebuilt.
    connection: Connection,
    /// The client that all share.
    client: RefCell<std::rc::Rc<Client>>,
    /// How often.
    pace: Pace,
    /// Files that weren't tried yet.
    untried: Cell<usize>,
    /// Tells whoever reads the log.
    say: Box<dyn Fn(&str)>,
}

impl Keeper {
    /// Keeps these files, for ever.
    async fn keep_all(&self, jobs: &[Job]) {
        join_all(jobs.iter().map(|job| self.keep(job))).await;
    }

    /// Keeps one file, for ever.
    async fn keep(&self, job: &Job) {
        let mut written: Option<Value> = None;
        let mut failures = 0u32;
        let mut said = String::new();
        let mut is_first = true;
        loop {
            let wait = match self.look(job, &mut written).await {
                Ok(left) => {
                    if failures > 0 {
                        self.tell(job, "works again");
                    }
                    failures = 0;
                    said.clear();
                    self.pace.after_token(left, job.min_ttl)
                }
                Err(failure) => {
                    failures = failures.saturating_add(1);
                    let reason = reason(&failure);
                    if reason != said {
                        self.tell(job, &reason);
                        said = reason;
                    }
                    if failure.code() == Exit::Refused as u8
                        && let Ok(client) = self.connection.client()
                    {
                        self.client.replace(std::rc::Rc::new(client));
                    }
                    self.pace.after_failure(failures, &failure)
                }
            };
            if std::mem::take(&mut is_first) {
                self.untried.set(self.untried.get().saturating_sub(1));
                if self.untried.get() == 0 {
                    notify(sd_notify::NotifyState::Ready);
                }
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Gets the token and writes it where it is new. Gives the seconds left, if that is known.
    async fn look(&self, job: &Job, written: &mut Option<Value>) -> Result<Option<u64>, Failure> {
        let client = std::rc::Rc::clone(&self.client.borrow());
        let mut token = token::get(&client, &job.integration, job.scope.as_deref(), Some(job.min_ttl)).await?;
        let left = token.get("expires_in").and_then(Value::as_u64);
        let server = match job.format {
            Form::Netrc => token::server(&client, &job.integration).await?,
            _ => None,
        };
        let subject = Subject { name: &job.integration, server: server.as_deref(), login: &job.login };
        let text = job.format.render(&subject, &token)?;
        // The seconds left differ each time, and are no news.
        if let Some(members) = token.as_object_mut() {
            members.remove("expires_in");
            members.extend(server.map(|server| ("server".to_owned(), server.into())));
        }
        if written.as_ref() != Some(&token) || !job.file.exists() {
            file::replace(&job.file, &text)?;
            let generation = member(&token, "generation").unwrap_or_else(|| "?".to_owned());
            let until = member(&token, "expires_at").map_or_else(String::new, |end| format!(", good until {end}"));
            self.tell(job, &format!("generation {generation} written to {}{until}", job.file.display()));
            *written = Some(token);
        }
        Ok(left)
    }

    /// A line about a file.
    fn tell(&self, job: &Job, text: &str) {
        let scope = job.scope.as_deref().map_or_else(String::new, |scope| format!(" ({scope})"));
        (self.say)(&format!("{}{scope}: {text}", job.integration));
    }
}

/// Why there is no token, in a line, with what to do.
fn reason(failure: &Failure) -> String {
    match failure {
        Failure::Problem(problem) => {
            let document = problem.document();
            let text = member(document, "detail").or_else(|| member(document, "title")).unwrap_or_default();
            match problem.code() {
                Some("person_needed") => {
                    format!("a person has to sign in: tokenhost integration connect; the file stays as it is ({text})")
                }
                _ => format!("no token: {text}"),
            }
        }
        other => other.text().trim_start_matches("error: ").replace("\n  ", " "),
    }
}

/// Tells the service manager, if there is one.
fn notify(state: sd_notify::NotifyState<'_>) {
    // Nothing hangs on it where there is none.
    drop(sd_notify::notify(&[state]));
}
