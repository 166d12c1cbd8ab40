//! What the agent keeps fresh: out of a TOML file, or off the command line.
//!
//! All faults of a file are told at once. A file that nobody understands whole isn't used in part.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::exit::Failure;
use super::super::token::DEFAULT_LOGIN;
use super::super::token::form::Form;
use super::super::values::assignment;
use crate::name::Name;

/// The largest file of settings, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// One file that holds one token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    /// The integration.
    pub(super) integration: String,
    /// Scopes in place of the integration's own.
    pub(super) scope: Option<String>,
    /// Where the token goes.
    pub(super) file: PathBuf,
    /// How it is written.
    #[serde(default = "raw")]
    pub(super) format: Form,
    /// Seconds that what the file holds is good for at least, as far as tokens last that long.
    #[serde(default = "min_ttl")]
    pub(super) min_ttl: u64,
    /// The login beside the token in netrc.
    #[serde(default = "login")]
    pub(super) login: String,
}

/// The form where nobody says one.
fn raw() -> Form {
    Form::Raw
}

/// The least time where nobody says one, in seconds.
pub(super) const MIN_TTL: u64 = 120;

/// As the file's default.
fn min_ttl() -> u64 {
    MIN_TTL
}

/// As the file's default.
fn login() -> String {
    DEFAULT_LOGIN.to_owned()
}

/// The file of settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What to keep fresh.
    #[serde(default, rename = "token")]
    tokens: Vec<Job>,
}

/// The jobs of a file.
///
/// # Errors
/// It can't be read, is no TOML, or has something else in it.
pub(super) fn read(path: &Path) -> Result<Vec<Job>, Failure> {
    use std::io::Read as _;
    let place = path.display();
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_string(&mut text))
        .map_err(|error| Failure::failed(format!("{place} can't be read: {error}")))?;
    let settings: Settings =
        toml::from_str(&text).map_err(|error| Failure::usage(format!("{place}: {}", error.to_string().trim_end())))?;
    Ok(settings.tokens)
}

/// The jobs of `NAME=FILE` on the command line.
///
/// # Errors
/// One has no name or no file.
pub(super) fn of_words(words: &[String], format: Form, min_ttl: u64) -> Result<Vec<Job>, Failure> {
    let job = |word: &String| {
        let (integration, file) = assignment("NAME=FILE", word)?;
        Ok(Job { integration, scope: None, file: file.into(), format, min_ttl, login: login() })
    };
    words.iter().map(job).collect()
}

/// Holds all jobs against what can be done.
///
/// # Errors
/// There is none; a name is none; two write the same file. All of it is said.
pub(super) fn check(jobs: &[Job]) -> Result<(), Failure> {
    if jobs.is_empty() {
        return Err(Failure::usage("there is nothing to keep fresh").hint(
            "Name integrations and files (crm-prod=/run/crm/token), or a file of settings: --config agent.toml",
        ));
    }
    let mut files = BTreeSet::new();
    let mut faults = Vec::new();
    for job in jobs {
        if job.integration.parse::<Name>().is_err() {
            faults.push(format!("{:?} is no name of an integration", job.integration));
        }
        if job.file.as_os_str().is_empty() {
            faults.push(format!("{}: the file has no name", job.integration));
        }
        if !files.insert(&job.file) {
            faults.push(format!("{} stands twice; each token needs a file of its own", job.file.display()));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Failure::usage(faults.join("\n  "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The jobs in a file of this text, or why there are none.
    fn jobs(text: &str) -> Result<Vec<Job>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        std::fs::write(&path, text).unwrap();
        let jobs = read(&path).map_err(|failure| failure.text())?;
        check(&jobs).map_err(|failure| failure.text())?;
        Ok(jobs)
    }

    #[test]
    fn a_file_names_tokens_and_their_files() {
        let got = jobs(
            "[[token]]\nintegration = 'crm-prod'\nfile = '/run/crm'\n[[token]]\nintegration = 'crm-prod'\n\
             scope = 'read'\nfile = '/run/crm.env'\nformat = 'exec-credential'\nmin_ttl = 900\nlogin = 'me'\n",
        )
        .unwrap();
        let first = Job {
            integration: "crm-prod".to_owned(),
            scope: None,
            file: "/run/crm".into(),
            format: Form::Raw,
            min_ttl: MIN_TTL,
            login: "oauth2".to_owned(),
        };
        let second = Job {
            scope: Some("read".to_owned()),
            file: "/run/crm.env".into(),
            format: Form::ExecCredential,
            min_ttl: 900,
            login: "me".to_owned(),
            ..first.clone()
        };
        assert_eq!(got, [first, second]);
    }

    #[test]
    fn faults_are_told_where_they_stand() {
        let check = |text: &str, parts: &[&str]| {
            let refusal = jobs(text).unwrap_err();
            assert!(parts.iter().all(|part| refusal.contains(part)), "{refusal}");
        };
        check("", &["nothing to keep fresh", "--config"]);
        check("[[token]]\nintegration = 'a'\n", &["file"]);
        check("[[token]]\nintegration = 'a'\nfile = 'f'\nfromat = 'env'\n", &["fromat", "line 4"]);
        check("[[token]]\nintegration = 'a'\nfile = 'f'\nformat = 'yaml'\n", &["yaml", "netrc"]);
        check(
            "[[token]]\nintegration = 'a/b'\nfile = 'f'\n[[token]]\nintegration = 'c'\nfile = 'f'\n",
            &["\"a/b\" is no name", "f stands twice"],
        );
    }

    #[test]
    fn words_name_an_integration_and_a_file() {
        let got = |word: &str| of_words(&[word.to_owned()], Form::Env, 60).map(|mut jobs| jobs.remove(0));
        let job = got("crm=/run/a=b").unwrap();
        assert_eq!((job.integration.as_str(), job.file.to_str(), job.format), ("crm", Some("/run/a=b"), Form::Env));
        assert!(got("crm").is_err());
        assert!(got("=x").is_err());
    }
}
