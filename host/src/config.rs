//! The daemon's settings: defaults, then the TOML file, then the environment, then flags; later ones win.
//!
//! Every key is a text until [`Config::load`] has held it against what it may be, so that all faults of all sources are told
//! at once, by key. It doesn't look at what the settings point to: a missing folder is the business of who opens it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use secrecy::SecretString;

/// Every key of the TOML file, and of what TOML type its value is.
const KEYS: &[(&str, Shape)] = &[
    ("data", Shape::Text),
    ("listen", Shape::Text),
    ("key", Shape::Text),
    ("key_file", Shape::Text),
    ("flows", Shape::Text),
    ("public", Shape::List),
    ("connections", Shape::Number),
    ("egress.allow", Shape::List),
    ("egress.http", Shape::Flag),
    ("log.level", Shape::Text),
    ("log.format", Shape::Text),
];

/// Connections at once where nothing else is set: room for 10,000 callers and their reconnects.
const CONNECTIONS: usize = 16_384;

/// What the environment and the flags say. Each has one name in all three: `listen`, `TOKENHOST_LISTEN`, `--listen`.
///
/// The master key itself has no flag: every user of a machine sees the arguments of its processes.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings of the daemon")]
pub struct Overrides {
    /// Configuration file (TOML); what it sets, the environment and the flags below override
    #[arg(long, env = "TOKENHOST_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data folder [default: ${XDG_DATA_HOME:-~/.local/share}/tokenhost]
    #[arg(long, env = "TOKENHOST_DATA", value_name = "FOLDER")]
    pub data: Option<String>,
    /// Address and port to listen on; port 0: the system chooses [default: 127.0.0.1:8420]
    #[arg(long, env = "TOKENHOST_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// File of the master key [default: ${XDG_CONFIG_HOME:-~/.config}/tokenhost/master.key]; TOKENHOST_KEY has the key itself
    #[arg(long, env = "TOKENHOST_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<String>,
    /// Folder of flow components [default: `flows` beside the executable]
    #[arg(long, env = "TOKENHOST_FLOWS", value_name = "FOLDER")]
    pub flows: Option<String>,
    /// Private or loopback networks that may be dialled, e.g. 127.0.0.0/8,10.0.0.0/8
    #[arg(long, env = "TOKENHOST_EGRESS_ALLOW", value_name = "NETWORKS")]
    pub egress_allow: Option<String>,
    /// Allow requests over plain http
    #[arg(long, env = "TOKENHOST_EGRESS_HTTP", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub egress_http: Option<String>,
    /// What may be read without a token besides health: docs, metrics [default: nothing]
    #[arg(long, env = "TOKENHOST_PUBLIC", value_name = "LIST")]
    pub public: Option<String>,
    /// Connections at once [default: 16384]
    #[arg(long, env = "TOKENHOST_CONNECTIONS", value_name = "NUMBER")]
    pub connections: Option<String>,
    /// Least severe level to log, or a filter like `info,tokenhost::egress=debug` [default: info]
    #[arg(long, env = "TOKENHOST_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// `text` or `json` lines on standard error [default: text]
    #[arg(long, env = "TOKENHOST_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// The daemon's settings, valid each for itself.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where the master key comes from.
    pub key: KeySource,
    /// The folder of flow components.
    pub flows: PathBuf,
    /// What may be read without a token.
    pub public: Public,
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// What may be dialled.
    pub egress: Egress,
    /// How the daemon logs.
    pub log: Log,
}

/// Where the master key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A file; `init` makes it.
    File(PathBuf),
    /// The setting itself. Child processes don't get it: they are started with an empty environment.
    Given(SecretString),
}

/// What may be read without a token besides health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Public {
    /// `/openapi.json` and `/docs`.
    pub docs: bool,
    /// `/metrics`.
    pub metrics: bool,
}

/// What may be dialled beyond public addresses over https.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// Private, loopback and link-local networks that are allowed.
    pub allow: Vec<IpNet>,
    /// Whether plain http is allowed.
    pub http: bool,
}

/// How the daemon logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level, or a filter by module as `tracing-subscriber` reads it.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// All that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// In the order in which they were found.
    pub faults: Vec<ConfigFault>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings can't be used:")?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {}: {}", fault.key, fault.message))
    }
}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// The key and where it was given.
    pub key: String,
    /// What is wrong, and what is allowed. Never the value of a secret.
    pub message: String,
}

impl Config {
    /// The settings of this process.
    ///
    /// # Errors
    /// The file can't be read, or some setting isn't what it may be: all of them.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        Self::resolve(overrides, &|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    /// [`Config::load`] with the environment as a function. Flags and most variables are in `overrides` already.
    fn resolve(overrides: &Overrides, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        if let Some(path) = &overrides.config {
            layers.read_file(path);
        }
        layers.read_overrides(overrides, environment);

        let home = |variable: &str, below_home: &str, leaf: &str| {
            let base = environment(variable).map(PathBuf::from).filter(|path| path.is_absolute());
            let base = base.or_else(|| environment("HOME").map(|home| Path::new(&home).join(below_home)));
            base.map(|base| base.join("tokenhost").join(leaf))
                .ok_or("no HOME to derive the default from; give it a path")
        };
        let config = Self {
            data: layers.path("data", || home("XDG_DATA_HOME", ".local/share", "")),
            key: match layers.texts.remove("key") {
                Some(given) => KeySource::Given(given.text.into()),
                None => KeySource::File(layers.path("key_file", || home("XDG_CONFIG_HOME", ".config", "master.key"))),
            },
            flows: layers.path("flows", || {
                let executable = std::env::current_exe().ok();
                let beside = executable.as_deref().and_then(Path::parent).map(|folder| folder.join("flows"));
                beside.ok_or("the executable's own folder isn't known; give it a path")
            }),
            listen: layers.read("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 8420)), |text| {
                text.parse()
                    .map_err(|_| "must be an IP address and a port, e.g. 127.0.0.1:8420 or [::1]:8420".to_owned())
            }),
            public: layers.read("public", Public::default(), public),
            connections: layers.read("connections", CONNECTIONS, |text| {
                let number = text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
                number.ok_or_else(|| "must be a number from 1 to 1000000".to_owned())
            }),
            egress: Egress {
                allow: layers.read("egress.allow", Vec::new(), networks),
                http: layers.read("egress.http", false, |text| match text {
                    "true" => Ok(true),
                    "false" => Ok(false),
                    _ => Err("must be true or false".to_owned()),
                }),
            },
            log: Log {
                level: layers.read("log.level", Log::default().level, |text| {
                    let filter = tracing_subscriber::EnvFilter::try_new(text).map(|_| text.to_owned());
                    filter.map_err(|_| {
                        "must be error, warn, info, debug, trace, or a filter like info,tokenhost=debug".to_owned()
                    })
                }),
                format: layers.read("log.format", LogFormat::Text, |text| match text {
                    "text" => Ok(LogFormat::Text),
                    "json" => Ok(LogFormat::Json),
                    _ => Err("must be text or json".to_owned()),
                }),
            },
        };
        if layers.faults.is_empty() { Ok(config) } else { Err(ConfigError { faults: layers.faults }) }
    }
}

/// The names in `public`.
fn public(text: &str) -> Result<Public, String> {
    words(text).try_fold(Public::default(), |public, word| match word {
        "docs" => Ok(Public { docs: true, ..public }),
        "metrics" => Ok(Public { metrics: true, ..public }),
        _ => Err("allowed are docs and metrics".to_owned()),
    })
}

/// Networks, or single addresses.
fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |word: &str| word.parse().or_else(|_| word.parse::<std::net::IpAddr>().map(IpNet::from));
    let bad: Vec<&str> = words(text).filter(|word| network(word).is_err()).collect();
    if bad.is_empty() {
        Ok(words(text).filter_map(|word| network(word).ok()).collect())
    } else {
        Err(format!("{} is no network; write one like 10.0.0.0/8, 127.0.0.1 or fd00::/8", bad.join(", ")))
    }
}

/// The words of a comma-separated list.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// Of what TOML type a value is.
#[derive(Clone, Copy)]
enum Shape {
    /// A string.
    Text,
    /// An array of strings; elsewhere a comma-separated text.
    List,
    /// A boolean.
    Flag,
    /// An integer.
    Number,
}

/// A value and where it was given.
struct Given {
    /// As text, whatever it was.
    text: String,
    /// The key with its source, for faults.
    source: String,
}

/// The sources, merged, and what was wrong with them.
#[derive(Default)]
struct Layers {
    /// By key, the value that won.
    texts: BTreeMap<&'static str, Given>,
    /// What was wrong so far.
    faults: Vec<ConfigFault>,
}

impl Layers {
    /// Sets a value over an earlier source's. The master key and its file are one choice: a later source's wins over both.
    fn set(&mut self, key: &'static str, text: String, source: String) {
        self.texts.insert(key, Given { text, source });
    }

    fn fault(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.faults.push(ConfigFault { key: key.into(), message: message.into() });
    }

    /// Reads the TOML file. A syntax error is told by its line alone, since that line may hold the key.
    fn read_file(&mut self, path: &Path) {
        let file = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.fault(file, format!("can't be read: {error}")),
        };
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                return self.fault(file, format!("line {}: no valid TOML", before.matches('\n').count() + 1));
            }
        };
        for (key, value) in &table {
            match value {
                toml::Value::Table(inner)
                    if KEYS.iter().any(|(known, _)| known.split('.').next() == Some(key) && known.contains('.')) =>
                {
                    for (leaf, value) in inner {
                        self.read_value(&format!("{key}.{leaf}"), value, &file);
                    }
                }
                _ => self.read_value(key, value, &file),
            }
        }
        self.one_key(&file);
    }

    fn read_value(&mut self, key: &str, value: &toml::Value, file: &str) {
        let source = format!("{key} in {file}");
        let Some((known, shape)) = KEYS.iter().find(|(known, _)| *known == key) else {
            let known: Vec<&str> = KEYS.iter().map(|(known, _)| *known).collect();
            return self.fault(source, format!("no such setting; there are {}", known.join(", ")));
        };
        let (text, wanted) = match (shape, value) {
            (Shape::Text, toml::Value::String(text)) => (Some(text.clone()), ""),
            (Shape::Text, _) => (None, "must be a string"),
            (Shape::List, toml::Value::Array(items)) => {
                let items: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
                (items.map(|items| items.join(",")), "must be an array of strings")
            }
            (Shape::List, _) => (None, "must be an array of strings"),
            (Shape::Flag, toml::Value::Boolean(flag)) => (Some(flag.to_string()), ""),
            (Shape::Flag, _) => (None, "must be true or false"),
            (Shape::Number, toml::Value::Integer(number)) => (Some(number.to_string()), ""),
            (Shape::Number, _) => (None, "must be a number"),
        };
        match text {
            Some(text) => self.set(known, text, source),
            None => self.fault(source, wanted),
        }
    }

    /// Reads flags and environment, which clap has merged; an empty variable is an unset one.
    fn read_overrides(&mut self, overrides: &Overrides, environment: &dyn Fn(&str) -> Option<OsString>) {
        let given = [
            ("data", &overrides.data, "TOKENHOST_DATA"),
            ("listen", &overrides.listen, "TOKENHOST_LISTEN"),
            ("flows", &overrides.flows, "TOKENHOST_FLOWS"),
            ("egress.allow", &overrides.egress_allow, "TOKENHOST_EGRESS_ALLOW"),
            ("egress.http", &overrides.egress_http, "TOKENHOST_EGRESS_HTTP"),
            ("public", &overrides.public, "TOKENHOST_PUBLIC"),
            ("connections", &overrides.connections, "TOKENHOST_CONNECTIONS"),
            ("log.level", &overrides.log_level, "TOKENHOST_LOG_LEVEL"),
            ("log.format", &overrides.log_format, "TOKENHOST_LOG_FORMAT"),
        ];
        for (key, text, variable) in given {
            if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
                let flag = key.replace(['.', '_'], "-");
                self.set(key, text.clone(), format!("{key} ({variable} or --{flag})"));
            }
        }

        let key = environment("TOKENHOST_KEY").map(|key| key.to_string_lossy().into_owned());
        let key_file = overrides.key_file.clone().filter(|path| !path.is_empty());
        if key.is_some() || key_file.is_some() {
            self.texts.remove("key");
            self.texts.remove("key_file");
        }
        if let Some(key) = key {
            self.set("key", key, "TOKENHOST_KEY".to_owned());
        }
        if let Some(path) = key_file {
            self.set("key_file", path, "key_file (TOKENHOST_KEY_FILE or --key-file)".to_owned());
        }
        self.one_key("the environment and the flags");
    }

    /// Refuses a source that has both the key and a file of it.
    fn one_key(&mut self, source: &str) {
        if self.texts.contains_key("key") && self.texts.contains_key("key_file") {
            self.texts.remove("key");
            self.fault(format!("key and key_file in {source}"), "give one of them");
        }
    }

    /// The value of this key, or the default. A fault is noted, and the default stands in for the rest of the reading.
    fn read<T>(&mut self, key: &str, default: T, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
        let Some(given) = self.texts.remove(key) else { return default };
        match parse(&given.text) {
            Ok(value) => value,
            Err(message) => {
                self.fault(given.source, message);
                default
            }
        }
    }

    /// The path of this key, or the default, where there is one.
    fn path(&mut self, key: &str, default: impl FnOnce() -> Result<PathBuf, &'static str>) -> PathBuf {
        match self.texts.remove(key).map_or_else(default, |given| Ok(given.text.into())) {
            Ok(path) => path,
            Err(message) => {
                self.fault(key, message);
                PathBuf::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings from a file's text, overrides and variables; faults as `key: message` lines.
    fn load(file: &str, overrides: Overrides, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, file).unwrap();
        let overrides = Overrides { config: Some(path.clone()), ..overrides };
        let environment = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        Config::resolve(&overrides, &environment).map_err(|error| {
            let path = path.display().to_string();
            error
                .faults
                .iter()
                .map(|fault| format!("{}: {}", fault.key, fault.message).replace(&path, "FILE"))
                .collect()
        })
    }

    const HOME: &[(&str, &str)] = &[("HOME", "/home/ada")];

    #[test]
    fn later_sources_win() {
        let file = "listen = '127.0.0.1:1'\ndata = '/a'\nkey = 'filekey'\npublic = ['docs']\n[egress]\nallow = ['10.0.0.0/8', '::1']\nhttp = true\n";
        let config = load(file, Overrides::default(), HOME).unwrap();
        assert_eq!((config.data, config.listen.port(), config.egress.http), ("/a".into(), 1, true));
        assert_eq!(config.egress.allow, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        assert_eq!(config.public, Public { docs: true, metrics: false });
        assert!(matches!(config.key, KeySource::Given(_)));

        let overrides = Overrides {
            listen: Some("[::1]:0".into()),
            key_file: Some("/k".into()),
            egress_http: Some("false".into()),
            data: Some(String::new()),
            ..Overrides::default()
        };
        let config = load(file, overrides, HOME).unwrap();
        assert_eq!((config.data, config.listen.port(), config.egress.http), ("/a".into(), 0, false));
        assert!(matches!(config.key, KeySource::File(path) if path == Path::new("/k")));

        let config = load("key_file = '/k'", Overrides::default(), &[("TOKENHOST_KEY", "abc"), HOME[0]]).unwrap();
        assert!(matches!(config.key, KeySource::Given(_)));
        assert!(!format!("{config:?}").contains("abc"));
    }

    #[test]
    fn defaults_follow_the_home() {
        let config = load("", Overrides::default(), HOME).unwrap();
        assert_eq!(config.data, Path::new("/home/ada/.local/share/tokenhost"));
        assert!(
            matches!(config.key, KeySource::File(path) if path == Path::new("/home/ada/.config/tokenhost/master.key"))
        );
        let config = load("", Overrides::default(), &[("XDG_DATA_HOME", "/d"), ("XDG_CONFIG_HOME", "/c")]).unwrap();
        assert_eq!(config.data, Path::new("/d/tokenhost"));
        assert!(matches!(config.key, KeySource::File(path) if path == Path::new("/c/tokenhost/master.key")));
    }

    #[test]
    fn all_faults_are_told_at_once_and_without_secrets() {
        let check = |file: &str, overrides: Overrides, variables: &[(&str, &str)], expected: &[&str]| {
            let faults = load(file, overrides, variables).unwrap_err();
            assert_eq!(faults.len(), expected.len(), "{faults:#?}");
            for (fault, expected) in faults.iter().zip(expected) {
                assert!(fault.starts_with(expected), "{fault}\n  expected {expected}");
                assert!(!fault.contains("hunter2"), "{fault}");
            }
        };
        check(
            "listn = 1\nlisten = 'here'\nkey = 5\n[egress]\nhttp = 'yes'\nallow = ['10.0.0.0/8', 'lan']\n[log]\n",
            Overrides { log_format: Some("xml".into()), log_level: Some("a=b=c".into()), ..Overrides::default() },
            HOME,
            &[
                "egress.http in FILE: must be true or false",
                "key in FILE: must be a string",
                "listn in FILE: no such setting; there are data, listen",
                "listen in FILE: must be an IP address",
                "egress.allow in FILE: lan is no network",
                "log.level (TOKENHOST_LOG_LEVEL or --log-level): must be",
                "log.format (TOKENHOST_LOG_FORMAT or --log-format): must be text or json",
            ],
        );
        let none = Overrides::default;
        check("key = 'hunter2", none(), HOME, &["FILE: line 1: no valid TOML"]);
        check("data = '/a'\nkey = 'hunter2\n", none(), HOME, &["FILE: line 2: no valid TOML"]);
        check("key = 'hunter2'\nkey_file = '/k'", none(), HOME, &["key and key_file in FILE: give one"]);
        check(
            "egress.nope = 1\n[nope]\na = 1",
            none(),
            HOME,
            &["egress.nope in FILE: no such", "nope in FILE: no such"],
        );
        check("egress = 1", none(), HOME, &["egress in FILE: no such"]);
        check("log = 'x'", none(), HOME, &["log in FILE: no such setting"]);
        check("", none(), &[], &["data: no HOME", "key_file: no HOME"]);
        check("connections = 0", none(), HOME, &["connections in FILE: must be a number from 1"]);
        let both = Overrides { key_file: Some("/k".into()), ..none() };
        check("", both, &[("TOKENHOST_KEY", "hunter2"), HOME[0]], &["key and key_file in the environment"]);
        let missing = Overrides { config: Some("/nowhere/c.toml".into()), ..none() };
        assert!(
            Config::resolve(&missing, &|_| Some("/h".into()))
                .unwrap_err()
                .to_string()
                .contains("/nowhere/c.toml: can't be read")
        );
    }
}
