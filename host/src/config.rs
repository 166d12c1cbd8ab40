//! The daemon's settings: defaults, then the TOML file, then the environment, then flags; later ones win.
//!
//! Every key is a text until [`Config::load`] has held it against what it may be, so that all faults of all sources are told
//! at once, by key. It doesn't look at what the settings point to: a missing folder is the business of who opens it.

mod access;
mod backup;
pub mod catalog;
mod events;
mod keys;
mod layers;
mod live;
mod origin;
mod telemetry;

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

pub use self::access::{Access, Audit, External, LoginType, SHIPPED_SCOPES};
pub use self::backup::Backup;
pub use self::events::Events;
pub use self::keys::KeySource;
use self::layers::Layers;
pub use self::live::{Live, Reloaded};
pub use self::origin::{Difference, Origin, Resolved, differences};
pub use self::telemetry::Telemetry;

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
    /// Where people's browsers reach the daemon, for flows that need a person [default: http:// and the address listened on]
    #[arg(long, env = "TOKENHOST_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// File of the master key [default: ${XDG_CONFIG_HOME:-~/.config}/tokenhost/master.key]; TOKENHOST_KEY has the key itself
    #[arg(long, env = "TOKENHOST_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<String>,
    /// Command that prints the master key, e.g. of a key-management service; split into words as a shell does, and run without one
    #[arg(long, env = "TOKENHOST_KEY_COMMAND", value_name = "COMMAND")]
    pub key_command: Option<String>,
    /// File of the master key that is to take its place [default: the key's file with `.next` behind its name]
    #[arg(long, env = "TOKENHOST_KEY_NEXT_FILE", value_name = "FILE")]
    pub key_next_file: Option<String>,
    /// Command that prints the master key that is to take its place
    #[arg(long, env = "TOKENHOST_KEY_NEXT_COMMAND", value_name = "COMMAND")]
    pub key_next_command: Option<String>,
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
    /// Where people's browsers reach it: without a slash at its end. None: where it listens.
    pub public_url: Option<String>,
    /// Where the master key comes from.
    pub key: KeySource,
    /// Where the one comes from that is to take its place, if that is said.
    pub key_next: Option<KeySource>,
    /// The folder of flow components.
    pub flows: PathBuf,
    /// What may be read without a token.
    pub public: Public,
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// What may be dialled.
    pub egress: Egress,
    /// What operators set about inbound access.
    pub access: Access,
    /// How long the audit log is kept.
    pub audit: Audit,
    /// How events are kept and told.
    pub events: Events,
    /// Backups that are made by themselves.
    pub backup: Option<Backup>,
    /// How the daemon logs.
    pub log: Log,
    /// Where traces go.
    pub telemetry: Telemetry,
    /// All settings as they may be shown, each with where it was given.
    pub resolved: Vec<Resolved>,
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
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// The key; or a file or line where it is no key.
    pub key: String,
    /// Where it was given, if it was.
    pub origin: Option<Origin>,
    /// What is wrong, and what is allowed. Never the value of a secret.
    pub message: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{} ({origin}): {}", self.key, self.message),
            None => write!(f, "{}: {}", self.key, self.message),
        }
    }
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
        let mut resolved = layers.resolved();

        let home = |variable: &str, below_home: &str, place: &str| {
            let base = environment(variable).map(PathBuf::from).filter(|path| path.is_absolute());
            let base = base.or_else(|| environment("HOME").map(|home| Path::new(&home).join(below_home)));
            base.map(|base| base.join(place)).ok_or("no HOME to derive the default from; give it a path")
        };
        let data = layers.path("data", || home("XDG_DATA_HOME", ".local/share", "tokenhost"));
        let key = KeySource::read(&mut layers, || home("XDG_CONFIG_HOME", ".config", "tokenhost/master.key"));
        let mut config = Self {
            data,
            key_next: KeySource::read_next(&mut layers, &key),
            key,
            flows: layers.path("flows", || {
                let executable = std::env::current_exe().ok();
                let beside = executable.as_deref().and_then(Path::parent).map(|folder| folder.join("flows"));
                beside.ok_or("the executable's own folder isn't known; give it a path")
            }),
            listen: layers.read("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 8420)), |text| {
                text.parse()
                    .map_err(|_| "must be an IP address and a port, e.g. 127.0.0.1:8420 or [::1]:8420".to_owned())
            }),
            public_url: layers.read("public_url", None, |text| public_url(text).map(Some)),
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
            access: Access::read(&mut layers),
            audit: Audit::read(&mut layers),
            events: Events::read(&mut layers),
            backup: Backup::read(&mut layers),
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
            telemetry: Telemetry::read(&mut layers),
            resolved: Vec::new(),
        };
        // What depends on the machine is known only now.
        for one in &mut resolved {
            let path = match (one.setting.key, &config.key) {
                ("data", _) => &config.data,
                ("flows", _) => &config.flows,
                ("key_file", KeySource::File(path)) => path,
                _ => continue,
            };
            *one = Resolved::new(one.setting, &path.display().to_string(), one.origin.clone());
        }
        config.resolved = resolved;
        if layers.faults.is_empty() { Ok(config) } else { Err(ConfigError { faults: layers.faults }) }
    }
}

/// A base for URLs that browsers open.
fn public_url(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let plain = |url: &url::Url| {
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none()
    };
    match url.filter(plain) {
        Some(url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
        None => {
            Err("must be an http or https URL without user, query and fragment, e.g. https://tokens.example".to_owned())
        }
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
            error.faults.iter().map(|fault| fault.to_string().replace(&path, "FILE")).collect()
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
        assert_eq!(config.public_url, None);
        assert!(matches!(config.key, KeySource::File(path) if path == Path::new("/k")));

        let config = load("public_url = 'https://tokens.example/th/'", Overrides::default(), HOME).unwrap();
        assert_eq!(config.public_url.as_deref(), Some("https://tokens.example/th"));

        let config = load("key_file = '/k'", Overrides::default(), &[("TOKENHOST_KEY", "abc"), HOME[0]]).unwrap();
        assert!(matches!(config.key, KeySource::Given(_)));
        assert!(!format!("{config:?}").contains("abc"));
    }

    #[test]
    fn backups_are_scheduled_where_a_folder_is_set() {
        type Schedule = Option<(u64, u32, Option<u32>)>;
        let check = |file: &str, expected: Result<Schedule, &str>| {
            let found = load(file, Overrides::default(), HOME).map(|config| config.backup);
            let found =
                found.map(|backup| backup.map(|backup| (backup.every.as_secs(), backup.keep, backup.keep_days)));
            match expected {
                Ok(expected) => assert_eq!(found, Ok(expected), "{file}"),
                Err(part) => assert!(found.is_err_and(|faults| faults.concat().contains(part)), "{file}"),
            }
        };
        check("", Ok(None));
        check("[backup]\nfolder = '/b'", Ok(Some((86_400, 7, None))));
        check("[backup]\nfolder = '/b'\nevery = '6h'\nkeep = 3\nkeep_days = 30", Ok(Some((21_600, 3, Some(30)))));
        check("[backup]\nevery = '6h'", Err("backup.folder: must be set"));
        check("[backup]\nfolder = '/b'\nkeep = 0", Err("backup.keep (FILE:3:8): must be a number from 1"));
        check("[backup]\nfolder = '/b'\nevery = '6'", Err("e.g. 24h"));
    }

    #[test]
    fn defaults_follow_the_home() {
        let config = load("", Overrides::default(), HOME).unwrap();
        // As a text, which people are shown: paths are equal with and without a slash at their end.
        assert_eq!(config.data.as_os_str(), "/home/ada/.local/share/tokenhost");
        assert!(
            matches!(config.key, KeySource::File(path) if path == Path::new("/home/ada/.config/tokenhost/master.key"))
        );
        let config = load("", Overrides::default(), &[("XDG_DATA_HOME", "/d"), ("XDG_CONFIG_HOME", "/c")]).unwrap();
        assert_eq!(config.data, Path::new("/d/tokenhost"));
        assert!(matches!(config.key, KeySource::File(path) if path == Path::new("/c/tokenhost/master.key")));
    }

    #[test]
    fn every_default_in_the_catalog_is_the_one_that_is_used() {
        // Nothing else of [backup] may be set without its folder.
        let folder = "backup.folder = '/b'\n";
        let mut file = folder.to_owned();
        let mut told = String::new();
        for setting in catalog::SETTINGS.iter().filter(|setting| !setting.secret) {
            let Some(default) = setting.fixed_default().filter(|default| !default.is_empty()) else { continue };
            // As each type of TOML, until one is taken: which it is, isn't the catalog's business.
            let list = |quote: &str| {
                let items: Vec<String> = default.split(',').map(|item| format!("{quote}{item}{quote}")).collect();
                format!("[{}]", items.join(", "))
            };
            let forms = [format!("'{default}'"), list("'"), default.to_owned(), list("")];
            let taken = forms.iter().map(|form| format!("{} = {form}\n", setting.key));
            let line =
                taken.into_iter().find(|line| load(&format!("{folder}{line}"), Overrides::default(), HOME).is_ok());
            file += &line.unwrap_or_else(|| panic!("{} takes no {default}", setting.key));
            told += setting.key;
        }
        assert!(told.contains("log.level") && told.contains("events.personal_token_days"), "{told}");
        let shown = |config: Config| format!("{:?}", Config { resolved: Vec::new(), ..config });
        let (set, unset) = (load(&file, Overrides::default(), HOME), load(folder, Overrides::default(), HOME));
        assert_eq!(shown(set.unwrap()), shown(unset.unwrap()));
    }

    #[test]
    fn the_reference_of_settings_is_in_step() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, catalog::reference()).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(kept == catalog::reference(), "docs/settings.md is out of step; run the tests with UPDATE=1");
    }

    #[test]
    fn what_was_given_is_told_with_where_and_secrets_are_not() {
        let file = "listen = '127.0.0.1:1'\n[access.external]\nsecret = 'hunter2-hunter2-hunter2'\n";
        let overrides =
            Overrides { log_level: Some("warn".into()), public: Some("docs".into()), ..Overrides::default() };
        let variables = [HOME[0], ("TOKENHOST_PUBLIC", "docs"), ("TOKENHOST_KEY", "hunter2")];
        let config = load(file, overrides, &variables).unwrap();
        let check = |key: &str, shown: &str, kind: &str, origin: &str| {
            let one = config.resolved.iter().find(|one| one.setting.key == key).unwrap();
            assert_eq!((one.shown(), one.origin.kind()), (shown, kind), "{key}");
            assert!(one.origin.to_string().ends_with(origin), "{key}: {}", one.origin);
        };
        check("listen", "127.0.0.1:1", "file", "c.toml:1:10");
        check("access.external.secret", "(set)", "file", "c.toml:3:10");
        check("log.level", "warn", "flag", "--log-level");
        check("public", "docs", "environment", "TOKENHOST_PUBLIC");
        check("key", "(set)", "environment", "TOKENHOST_KEY");
        check("data", "/home/ada/.local/share/tokenhost", "default", "default");
        check("connections", "16384", "default", "default");
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");

        let other = load(&file.replace("hunter2-", "hunter3-"), Overrides::default(), &variables).unwrap();
        let different = differences(&config.resolved, &other.resolved);
        let different: Vec<_> = different.iter().map(|one| (one.setting.key, one.is_live(), &*one.to)).collect();
        assert_eq!(
            different,
            [("public", true, ""), ("access.external.secret", true, "(set)"), ("log.level", true, "info")]
        );
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
            &[HOME[0], ("TOKENHOST_LOG_FORMAT", "xml")],
            &[
                "egress.http (FILE:5:8): must be true or false",
                "key (FILE:3:7): must be a string",
                "listn (FILE:1:1): no such setting; `listen` is one",
                "listen (FILE:2:10): must be an IP address",
                "egress.allow (FILE:6:9): lan is no network",
                "log.level (--log-level): must be",
                "log.format (TOKENHOST_LOG_FORMAT): must be text or json",
            ],
        );
        let none = Overrides::default;
        check("key = 'hunter2", none(), HOME, &["line 1 (FILE:1:15): no valid TOML"]);
        check("data = '/a'\nkey = 'hunter2\n", none(), HOME, &["line 2 (FILE:2:15): no valid TOML"]);
        check("key = 'hunter2'\nkey_file = '/k'", none(), HOME, &["key and key_file in FILE: give one"]);
        check(
            "egress.nope = 1\n[nope]\na = 1",
            none(),
            HOME,
            &["egress.nope (FILE:1:8): no such", "nope (FILE:2:2): no such"],
        );
        check("egress = 1", none(), HOME, &["egress (FILE:1:1): no such"]);
        check("log = 'x'", none(), HOME, &["log (FILE:1:1): no such setting"]);
        check("", none(), &[], &["data: no HOME", "key_file: no HOME"]);
        check("public_url = 'tokens.example'", none(), HOME, &["public_url (FILE:1:14): must be an http or https URL"]);
        check("public_url = 'https://a@b'", none(), HOME, &["public_url (FILE:1:14): must be an http"]);
        check("connections = 0", none(), HOME, &["connections (FILE:1:15): must be a number from 1"]);
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
