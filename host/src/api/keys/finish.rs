//! What an operator types to end a rotation of the master key: first the new key becomes the setting, then the daemon is told.

use std::path::Path;

use crate::config::{Config, KeySource};

/// The steps, in a line that can be typed where all that is needed is known here.
pub(in crate::api) fn finish_steps(config: &Config) -> String {
    const FINISH: &str = "tokenhost key finish";
    match (&config.key, &config.key_next) {
        // Where it was moved already, only the end is left.
        (KeySource::File(key), Some(KeySource::File(next))) if !next.exists() => {
            format!("see that the new key is in {}, then: {FINISH}", quoted(key))
        }
        (KeySource::File(key), Some(KeySource::File(next))) => {
            let (key, next) = (quoted(key), quoted(next));
            format!("mv {key} {key}.old && mv {next} {key} && {FINISH}")
        }
        (KeySource::File(key), _) => format!("put the new key into {}, then: {FINISH}", quoted(key)),
        (KeySource::Command(_), _) => {
            format!("have `key_command` print the new key (or set it to what `key_next_command` is), then: {FINISH}")
        }
        (KeySource::Given(_), _) => {
            format!(
                "set `key` (TOKENHOST_KEY) to the new key, and restart the daemon; where it stands in the file: {FINISH}"
            )
        }
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let shown = path.display().to_string();
    shlex::try_quote(&shown).map_or_else(|_| shown.clone(), |quoted| quoted.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    #[test]
    fn the_setting_comes_first() {
        let check = |key_file: Option<&str>, command: Option<&str>, next: Option<&str>, expected: &str| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let overrides = Overrides {
                data: Some("/d".into()),
                key_file: text(key_file),
                key_command: text(command),
                key_next_command: text(next),
                ..Overrides::default()
            };
            assert_eq!(finish_steps(&Config::load(&overrides).unwrap()), expected);
        };
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("k").display().to_string();
        check(Some(&key), None, None, &format!("see that the new key is in {key}, then: tokenhost key finish"));
        std::fs::write(format!("{key}.next"), "").unwrap();
        check(Some(&key), None, None, &format!("mv {key} {key}.old && mv {key}.next {key} && tokenhost key finish"));
        check(Some("/my key"), None, Some("kms"), "put the new key into '/my key', then: tokenhost key finish");
        check(
            None,
            Some("kms"),
            None,
            "have `key_command` print the new key (or set it to what `key_next_command` is), then: tokenhost key finish",
        );
    }
}
