//! What an operator types to end a rotation of the master key: first the new key becomes the setting, then the daemon is told.

use std::path::Path;

use crate::config::{Config, KeySource};
use crate::text::shell_word;

/// The steps, in a line that can be typed where all that is needed is known here.
pub(in crate::api) fn finish_steps(config: &Config) -> String {
    const FINISH: &str = "tokenhost key finish";
    let first = |what: String| format!("{FINISH}    # first {what}");
    match (&config.key, &config.key_next) {
        // Where it was moved already, only the end is left.
        (KeySource::File(key), Some(KeySource::File(next))) if !next.exists() => {
            format!("{FINISH}    # once the new key is in {}", quoted(key))
        }
        (KeySource::File(key), Some(KeySource::File(next))) => {
            let (key, next) = (quoted(key), quoted(next));
            format!("mv {key} {key}.old && mv {next} {key} && {FINISH}")
        }
        (KeySource::File(key), _) => first(format!("put the new key into {}", quoted(key))),
        (KeySource::Command(_), _) => {
            first("have `key_command` print the new key, or set it to what `key_next_command` is".to_owned())
        }
        (KeySource::Given(_), _) => {
            first("set `key` to the new key; where TOKENHOST_KEY has it, restart the daemon instead".to_owned())
        }
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    shell_word(&path.display().to_string())
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
        check(Some(&key), None, None, &format!("tokenhost key finish    # once the new key is in {key}"));
        std::fs::write(format!("{key}.next"), "").unwrap();
        check(Some(&key), None, None, &format!("mv {key} {key}.old && mv {key}.next {key} && tokenhost key finish"));
        check(Some("/my key"), None, Some("kms"), "tokenhost key finish    # first put the new key into '/my key'");
        check(
            None,
            Some("kms"),
            None,
            "tokenhost key finish    # first have `key_command` print the new key, or set it to what `key_next_command` is",
        );
    }
}
