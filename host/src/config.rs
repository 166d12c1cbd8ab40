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
mod log;
mod origin;
mod overlooked;
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
pub use self::log::{Log, LogFormat};
pub use self::origin::{Difference, Origin, Resolved, differences};
pub use self::overlooked::{overlooked, said};
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

/// All that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// Those of the file in its order, then the others.
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
        Self::resolve(overrides, &variable)
    }

    /// [`Config::load`] with the environment as a function. Flags and most variables are in `overrides` already.
    fn resolve(overrides: &Overrides, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let (config, faults) = Self::merge(overrides, environment);
        if faults.is_empty() { Ok(config) } else { Err(ConfigError { faults }) }
    }

    /// The settings of this process as far as they can be used, and all that is wrong with them.
    pub fn inspect(overrides: &Overrides) -> (Self, Vec<ConfigFault>) {
        Self::merge(overrides, &variable)
    }

    /// The settings, with defaults in the place of what is wrong, and all that is: the file's faults in its order first.
    fn merge(overrides: &Overrides, environment: &dyn Fn(&str) -> Option<OsString>) -> (Self, Vec<ConfigFault>) {
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
            log: Log::read(&mut layers),
            telemetry: Telemetry::read(&mut layers),
            resolved: Vec::new(),
        };
        // What depends on the machine is known only now.
        for one in &mut resolved {
            let text = match (one.setting.key, &config.key, &config.key_next) {
                ("data", ..) => config.data.display().to_string(),
                ("flows", ..) => config.flows.display().to_string(),
                ("key_file", KeySource::File(path), _) => path.display().to_string(),
                ("key_next_file", _, Some(KeySource::File(path))) => path.display().to_string(),
                // A port that the system chooses isn't known before it has.
                ("public_url", ..) if config.public_url.is_none() && config.listen.port() != 0 => {
                    format!("http://{}", config.listen)
                }
                _ => continue,
            };
            *one = Resolved::new(one.setting, &text, one.origin.clone());
        }
        config.resolved = resolved;
        let mut faults = layers.faults;
        faults.sort_by_key(|fault| match &fault.origin {
            Some(Origin::File { line, column, .. }) => (0, *line, *column),
            None | Some(Origin::Default) => (1, 0, 0),
            Some(Origin::Environment(_)) => (2, 0, 0),
            Some(Origin::Flag(_)) => (3, 0, 0),
        });
        (config, faults)
    }
}

/// A variable of this process; an empty one is an unset one.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
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
        _ => Err(format!("{word:?} is none of them; allowed are docs and metrics")),
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
mod tests;
