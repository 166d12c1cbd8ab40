//! What a start passes over in silence, and `tokenhost config check` tells: values that are wrong and do no harm while
//! another source overrides them, and variables that look like settings and are none.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::catalog::{self, SETTINGS};
use super::{Config, ConfigFault, Origin, Overrides};

/// What the variables of settings begin with.
const PREFIX: &str = "TOKENHOST_";
/// Variables that begin so and are no settings of the daemon.
const OTHERS: [&str; 4] = ["TOKENHOST_CONFIG", "TOKENHOST_URL", "TOKENHOST_TOKEN", "TOKENHOST_CONSOLE_FILES"];

/// What nobody would find out by a start.
pub fn overlooked(overrides: &Overrides) -> Vec<ConfigFault> {
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    find(overrides, &variables.filter(|(_, value)| !value.is_empty()).collect())
}

fn find(overrides: &Overrides, variables: &BTreeMap<String, OsString>) -> Vec<ConfigFault> {
    let all = |name: &str| variables.get(name).cloned();
    let machine = |name: &str| all(name).filter(|_| SETTINGS.iter().all(|setting| setting.variable != Some(name)));
    let (config, told) = Config::merge(overrides, &all);
    let in_file = Overrides { config: overrides.config.clone(), ..Overrides::default() };
    let in_environment = Overrides::of_environment(&all);
    let mut found = Config::merge(&in_file, &machine).1;
    found.extend(Config::merge(&in_environment, &all).1);
    found.retain(|fault| {
        let is_told = told.iter().any(|other| other.key == fault.key && other.origin == fault.origin);
        fault.origin.is_some() && !is_told
    });
    for fault in &mut found {
        if let Some(winner) = config.resolved.iter().find(|one| one.setting.key == fault.key) {
            fault.message += &format!("; it does no harm only while {} overrides it", winner.origin);
        }
    }
    found.extend(variables.keys().filter_map(|name| unknown(name)));
    found
}

/// What is wrong with a variable that looks like a setting's and is none.
fn unknown(name: &str) -> Option<ConfigFault> {
    let rest = name.strip_prefix(PREFIX)?;
    let known = || SETTINGS.iter().filter_map(|setting| setting.variable).chain(OTHERS);
    if known().any(|one| one == name) {
        return None;
    }
    let key = SETTINGS.iter().map(|setting| setting.key).find(|key| key.to_uppercase().replace('.', "_") == rest);
    let nearest = known().map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    let message = match (key, nearest) {
        (Some(key), _) => format!("isn't read: `{key}` can be set in the file alone"),
        (None, Some((distance, known))) if distance <= 1 + (known.len() - PREFIX.len()) / 4 => {
            format!("isn't read: there is no such variable; did you mean {known}?")
        }
        _ => "isn't read: there is no such variable; `tokenhost config show` and docs/settings.md list all settings"
            .to_owned(),
    };
    Some(ConfigFault { key: name.to_owned(), origin: None, message })
}

impl Overrides {
    /// What the environment says, as if there were no flags.
    fn of_environment(environment: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let text = |key: &str| {
            let variable = catalog::setting(key).and_then(|setting| setting.variable)?;
            environment(variable).map(|value| value.to_string_lossy().into_owned())
        };
        Self {
            config: None,
            data: text("data"),
            listen: text("listen"),
            public_url: text("public_url"),
            key_file: text("key_file"),
            key_command: text("key_command"),
            key_next_file: text("key_next_file"),
            key_next_command: text("key_next_command"),
            flows: text("flows"),
            egress_allow: text("egress.allow"),
            egress_http: text("egress.http"),
            public: text("public"),
            connections: text("connections"),
            log_level: text("log.level"),
            log_format: text("log.format"),
        }
    }
}

/// The variables and flags among these settings that say something, by name.
pub fn said(config: &Config) -> (Vec<&'static str>, Vec<String>) {
    let (mut variables, mut flags) = (Vec::new(), Vec::new());
    for one in &config.resolved {
        match &one.origin {
            Origin::Environment(variable) => variables.push(*variable),
            Origin::Flag(flag) => flags.push(flag.clone()),
            Origin::Default | Origin::File { .. } => {}
        }
    }
    (variables, flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_overridden_and_what_is_misspelt_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "listen = 'here'\nconnections = 0\n[log]\nlevel = 'verbose'\n").unwrap();
        let variables = [
            ("HOME", "/h"),
            ("TOKENHOST_LISTEN", "127.0.0.1:1"),
            ("TOKENHOST_LOG_LEVEL", "loud"),
            ("TOKENHOST_LISTN", "x"),
            ("TOKENHOST_ACCESS_LOGIN_DEBUG", "true"),
            ("TOKENHOST_PORT", "tcp://10.0.0.1:80"),
            ("TOKENHOST_TOKEN", "hunter2"),
            ("OTHER", "x"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.into())).into();
        // As clap merges them: the flag wins over the variable.
        let overrides = Overrides {
            config: Some(path.clone()),
            listen: Some("127.0.0.1:1".into()),
            log_level: Some("info".into()),
            ..Overrides::default()
        };
        let told: Vec<String> = find(&overrides, &variables).iter().map(ToString::to_string).collect();
        let shown = path.display();
        let expected = [
            &format!("listen ({shown}:1:10): must be an IP address"),
            &format!("log.level ({shown}:4:9): \"verbose\" is no level"),
            "log.level (TOKENHOST_LOG_LEVEL): \"loud\" is no level",
            "TOKENHOST_ACCESS_LOGIN_DEBUG: isn't read: `access.login_debug` can be set in the file alone",
            "TOKENHOST_LISTN: isn't read: there is no such variable; did you mean TOKENHOST_LISTEN?",
            "TOKENHOST_PORT: isn't read: there is no such variable; `tokenhost config show`",
        ];
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{told}\n  expected {expected}");
        }
        assert!(told[0].ends_with("only while TOKENHOST_LISTEN overrides it"), "{}", told[0]);
        assert!(told[1].ends_with("only while --log-level overrides it"), "{}", told[1]);
    }
}
