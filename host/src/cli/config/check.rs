//! `tokenhost config check`: what was looked at, what is wrong with it, and what is worth knowing.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::PACKAGED;
use super::super::client::Connection;
use super::super::exit::{Exit, Failure};
use super::super::output::{Output, Pairs, member};
use super::{offline, source};
use crate::access::is_shipped_profile;
use crate::config::{self, Config as Settings, ConfigFault, Overrides};
use crate::text::meant;

/// What to check.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The configuration file, in place of --config
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Which daemon is asked what only a daemon knows.
    #[command(flatten)]
    connection: Connection,
    /// The daemon's settings.
    #[command(flatten)]
    overrides: Overrides,
}

impl Check {
    /// Does it.
    ///
    /// # Errors
    /// Something is wrong, which was told then; or stdout can't be written.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let overrides = match self.file {
            Some(file) => Overrides { config: Some(file), ..self.overrides },
            None => self.overrides,
        };
        let (config, mut faults) = Settings::inspect(&overrides);
        let mut notes = config::overlooked(&overrides);
        // Of a file that can't be read nothing is known. Else what is faulty has its default, and is told of already.
        let file = overrides.config.as_ref().map(|path| path.display().to_string());
        let is_unread = |fault: &ConfigFault| fault.key.starts_with("line ") || Some(&fault.key) == file.as_ref();
        if !faults.iter().any(is_unread) {
            let (mut found, mut more) = offline::look(&config);
            found.retain(|one| faults.iter().all(|fault| fault.key != one.key));
            more.retain(|one| faults.iter().all(|fault| fault.key != one.key));
            faults.extend(found);
            notes.extend(more);
            notes.extend(profiles(&config, &self.connection).await);
        }
        if overrides.config.is_none() && Path::new(PACKAGED).exists() {
            notes.push(ConfigFault {
                key: PACKAGED.to_owned(),
                origin: None,
                message: format!("the service's own file wasn't looked at; `tokenhost config check {PACKAGED}` does"),
            });
        }
        let (variables, flags) = config::said(&config);
        let document = json!({
            "ok": faults.is_empty(),
            "file": overrides.config.as_ref().map(|path| path.display().to_string()),
            "variables": variables,
            "flags": flags,
            "faults": faults.iter().map(fault).collect::<Vec<_>>(),
            "notes": notes.iter().map(fault).collect::<Vec<_>>(),
        });
        output.show(&document, |document| {
            let mut text = looked_at(document);
            text.extend(faults.iter().map(|fault| format!("{fault}\n")));
            text.extend(notes.iter().map(|note| format!("note: {note}\n")));
            text + &match faults.len() {
                0 => "the settings can be used\n".to_owned(),
                1 => "1 fault\n".to_owned(),
                many => format!("{many} faults\n"),
            }
        })?;
        if faults.is_empty() { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
    }
}

/// Which sources were read, for people.
fn looked_at(document: &Value) -> String {
    let none =
        |text: Option<String>, otherwise: &str| text.filter(|text| !text.is_empty()).unwrap_or(otherwise.to_owned());
    let mut pairs = Pairs::default();
    let no_file = "none: neither an argument nor --config nor TOKENHOST_CONFIG names one";
    pairs.add("file", none(member(document, "file"), no_file));
    pairs.add("variables", none(member(document, "variables"), "none of TOKENHOST_… says anything"));
    pairs.add("flags", member(document, "flags").filter(|flags| !flags.is_empty()));
    pairs.to_text("")
}

/// Whether the profiles that settings name exist: asked of a daemon, since only its data says.
async fn profiles(config: &Settings, connection: &Connection) -> Vec<ConfigFault> {
    const KEY: &str = "access.personal_tokens_allowed_profiles";
    let named = config.access.personal_tokens_allowed_profiles.iter().map(ToString::to_string);
    let named: Vec<String> = named.filter(|name| !is_shipped_profile(name)).collect();
    if named.is_empty() {
        return Vec::new();
    }
    let origin = config.resolved.iter().find(|one| one.setting.key == KEY).map(|one| one.origin.clone());
    let note = |message| ConfigFault { key: KEY.to_owned(), origin: origin.clone(), message };
    let asked = match connection.client() {
        Ok(client) => client.list(&["profiles"], &[]).await,
        Err(failure) => Err(failure),
    };
    match asked {
        Ok(profiles) => {
            let there_are: Vec<String> = profiles.iter().filter_map(|profile| member(profile, "name")).collect();
            missing(&named, &there_are).into_iter().map(note).collect()
        }
        Err(failure) => {
            let (text, named) = (failure.text(), named.join(", "));
            let why = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            vec![note(format!("whether there are the profiles {named} wasn't checked, as only a daemon knows: {why}"))]
        }
    }
}

/// What is said of profiles that there aren't.
fn missing(named: &[String], there_are: &[String]) -> Vec<String> {
    let unknown = named.iter().filter(|name| !there_are.contains(name));
    let told = unknown.map(|name| {
        let meant = meant(name, there_are);
        format!("there is no profile {name:?} yet, so that it allows nobody anything; {meant}")
    });
    told.collect()
}

/// A fault as JSON.
fn fault(fault: &ConfigFault) -> Value {
    let mut document = json!({"key": fault.key, "message": fault.message});
    if let (Some(origin), Some(document)) = (&fault.origin, document.as_object_mut()) {
        document.insert("source".to_owned(), source(origin));
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_at_is_told() {
        assert_eq!(
            looked_at(&json!({"file": null, "variables": [], "flags": []})),
            "file       none: neither an argument nor --config nor TOKENHOST_CONFIG names one\n\
             variables  none of TOKENHOST_… says anything\n"
        );
        assert_eq!(
            looked_at(&json!({"file": "/c", "variables": ["TOKENHOST_DATA", "TOKENHOST_KEY"], "flags": ["--listen"]})),
            "file       /c\nvariables  TOKENHOST_DATA, TOKENHOST_KEY\nflags      --listen\n"
        );
    }

    #[test]
    fn profiles_that_there_are_not_are_named_with_what_was_perhaps_meant() {
        let (named, known) =
            (["Helpdesk", "Helpdsk", "Xyz"].map(str::to_owned), ["Helpdesk", "Auditor"].map(str::to_owned));
        let told = missing(&named, &known);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("\"Helpdsk\"") && told[0].ends_with("did you mean \"Helpdesk\"?"), "{told:?}");
        assert!(told[1].ends_with("there are Helpdesk, Auditor"), "{told:?}");
    }
}
