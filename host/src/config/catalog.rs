//! Every setting in one table: what it is for, what it is where nobody sets it, and whether a reload takes it. The generated
//! reference (`docs/settings.md`), `tokenhost config show` and the comparison at a reload are made from it.
//!
//! It parses nothing: what a value may be is said where it is read.

use std::fmt::Write as _;

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the TOML file, with dots between tables.
    pub key: &'static str,
    /// The environment variable that sets it too. Where its name is `TOKENHOST_…`, there is a flag of that name as well.
    pub variable: Option<&'static str>,
    /// Its default as text; in angle brackets where it depends on the machine.
    pub default: &'static str,
    /// How a reload takes it.
    pub change: Change,
    /// What it looks like in the TOML file.
    pub(super) shape: Shape,
    /// Whether its value is a secret, of which is only said whether it is set.
    pub secret: bool,
    /// What it is for.
    pub about: &'static str,
}

/// Of what TOML type a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A string.
    Text,
    /// An array of strings; elsewhere a comma-separated text.
    List,
    /// An array of strings, the words of a command; elsewhere a text that is split as a shell does.
    Command,
    /// An array of strings, or a text with `|` between its words.
    Choices,
    /// A boolean.
    Flag,
    /// An integer.
    Number,
    /// An integer or a fraction.
    Ratio,
    /// An array of integers; elsewhere a comma-separated text.
    Numbers,
}

/// How a change of a setting comes into effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// By a reload.
    Reload,
    /// By a restart.
    Restart,
}

impl Change {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
        }
    }
}

impl Setting {
    /// The command line's flag, where there is one.
    pub fn flag(&self) -> Option<String> {
        let is_flag = |variable: &&str| variable.starts_with("TOKENHOST_") && !self.secret;
        self.variable.filter(is_flag).map(|_| format!("--{}", self.key.replace(['.', '_'], "-")))
    }

    /// The default where it is the same everywhere.
    pub(super) fn fixed_default(&self) -> Option<&'static str> {
        Some(self.default).filter(|default| !default.starts_with('<'))
    }
}

/// The setting of this key.
pub fn setting(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// A setting that a restart takes.
const fn restart(key: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { key, variable: None, default, change: Change::Restart, shape: Shape::Text, secret: false, about }
}

/// A setting that a reload takes.
const fn live(key: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { change: Change::Reload, ..restart(key, default, about) }
}

impl Setting {
    /// With an environment variable, and the flag that goes with it.
    const fn env(self, variable: &'static str) -> Self {
        Self { variable: Some(variable), ..self }
    }

    /// Of another type than text.
    const fn of(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// Whose value is a secret.
    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// All settings, in the order in which they are shown.
pub const SETTINGS: &[Setting] = &[
    restart("data", "<${XDG_DATA_HOME:-~/.local/share}/tokenhost>", "The data folder.").env("TOKENHOST_DATA"),
    restart("listen", "127.0.0.1:8420", "Address and port to listen on; port 0: the system chooses.")
        .env("TOKENHOST_LISTEN"),
    restart("public_url", "<http:// and the address listened on>", "Where people's browsers reach the daemon.")
        .env("TOKENHOST_PUBLIC_URL"),
    restart("key", "", "The master key itself, in place of a file of it.").env("TOKENHOST_KEY").secret(),
    restart("key_file", "<${XDG_CONFIG_HOME:-~/.config}/tokenhost/master.key>", "The file of the master key.")
        .env("TOKENHOST_KEY_FILE"),
    restart(
        "key_command",
        "",
        "A command that prints the master key, in place of a file of it: program and arguments.",
    )
    .of(Shape::Command)
    .env("TOKENHOST_KEY_COMMAND"),
    live("key_next", "", "The master key itself that is to take its place.").env("TOKENHOST_KEY_NEXT").secret(),
    live(
        "key_next_file",
        "<the key's file with .next behind its name>",
        "The file of the master key that is to take its place.",
    )
    .env("TOKENHOST_KEY_NEXT_FILE"),
    live("key_next_command", "", "A command that prints the master key that is to take its place.")
        .of(Shape::Command)
        .env("TOKENHOST_KEY_NEXT_COMMAND"),
    restart("flows", "<the folder flows beside the program>", "The folder of the flows that ship.")
        .env("TOKENHOST_FLOWS"),
    live("public", "", "What may be read without a token besides health: `docs`, `metrics`.")
        .of(Shape::List)
        .env("TOKENHOST_PUBLIC"),
    restart("connections", "16384", "Connections at once; more wait to be accepted.")
        .of(Shape::Number)
        .env("TOKENHOST_CONNECTIONS"),
    live("egress.allow", "", "Private, loopback and link-local networks that may be dialled.")
        .of(Shape::List)
        .env("TOKENHOST_EGRESS_ALLOW"),
    live("egress.http", "false", "Whether requests may go over plain http.")
        .of(Shape::Flag)
        .env("TOKENHOST_EGRESS_HTTP"),
    live("access.allowed_login_types", "token,form", "The ways of signing in: `token`, `form`, `basic`, `external`.")
        .of(Shape::Choices),
    live(
        "access.allow_rest_services_via_tokens",
        "false",
        "Whether personal tokens open REST services without the profile REST Services User.",
    )
    .of(Shape::Flag),
    live("access.secure_rest_services", "true", "Whether REST services need that profile at all.").of(Shape::Flag),
    live("access.personal_tokens_allowed_profiles", "", "Profiles whose users may have personal tokens.")
        .of(Shape::List),
    live(
        "access.enable_myaccount_menu",
        "true",
        "Whether users manage what is their own: contact, password and, with an allowed profile, personal tokens.",
    )
    .of(Shape::Flag),
    live(
        "access.application_token.allow_fallback_token",
        "false",
        "Whether digests under a retired pepper are accepted until its end.",
    )
    .of(Shape::Flag),
    live("access.login_debug", "false", "Whether the log tells each login and refusal with its exact reason.")
        .of(Shape::Flag),
    restart("access.scopes", "", "Scopes for services behind a proxy, beside the shipped ones.").of(Shape::List),
    live("access.token_in_query", "false", "Whether `auth_token` may stand in the query.").of(Shape::Flag),
    live("access.personal_token.max_lifetime", "366", "Days after which a personal token ends at the latest.")
        .of(Shape::Number),
    live("access.personal_token.default_lifetime", "90", "Days after which it ends where nobody says.")
        .of(Shape::Number),
    live("access.personal_token.per_user", "20", "Personal tokens that a user may have.").of(Shape::Number),
    live("access.trusted_proxies", "", "Proxies whose `X-Forwarded-*` headers are believed.").of(Shape::List),
    restart("access.external.header", "x-remote-user", "The header in which a trusted proxy names the user."),
    restart("access.external.secret_header", "x-proxy-secret", "The header by which that proxy proves itself."),
    live("access.external.secret", "", "What must stand in that header.").secret(),
    live("access.external.proxies", "", "That proxy's addresses.").of(Shape::List),
    live("audit.retention_days", "400", "Days that an audit record is kept.").of(Shape::Number),
    live("audit.retention_records", "10000000", "Audit records kept at most.").of(Shape::Number),
    live("events.retention_days", "30", "Days that an event is kept.").of(Shape::Number),
    live("events.retention_records", "50000", "Events of either kind kept at most.").of(Shape::Number),
    live("events.personal_token_days", "7,1", "How many days before its end a personal token is told of.")
        .of(Shape::Numbers),
    restart("backup.folder", "", "The folder of backups that are made by themselves. Without one, none is made."),
    restart("backup.every", "24h", "How often one is made: a number with `m`, `h` or `d`."),
    restart("backup.keep", "7", "How many are kept: the newest.").of(Shape::Number),
    restart("backup.keep_days", "", "Days that one is kept at most; the newest stays.").of(Shape::Number),
    live(
        "log.level",
        "info",
        "Least severe level to log: `off`, `error`, `warn`, `info`, `debug` or `trace`; or a filter by module: `info,tokenhost=debug`.",
    )
    .env("TOKENHOST_LOG_LEVEL"),
    restart("log.format", "text", "`text` or `json` lines.").env("TOKENHOST_LOG_FORMAT"),
    restart(
        "telemetry.otlp_endpoint",
        "",
        "The collector of traces (OTLP over HTTP), without `/v1/traces`. Empty: none.",
    )
    .env("OTEL_EXPORTER_OTLP_ENDPOINT"),
    live("telemetry.sample_ratio", "1", "The share of traces that are kept where the caller doesn't say, from 0 to 1.")
        .of(Shape::Ratio),
    live(
        "telemetry.propagate_to_services",
        "false",
        "Whether requests to integrations' services carry `traceparent`. Providers never get it.",
    )
    .of(Shape::Flag),
];

/// The reference of all settings, as Markdown.
pub fn reference() -> String {
    let mut text = String::from(
        "# Settings\n\nGenerated from the program's own table of settings; a test holds it in step.\n\n\
         A setting stands in the TOML file that `--config` or `TOKENHOST_CONFIG` names, in the environment, or on the command\n\
         line; the last of these wins. `tokenhost config show` tells what each one is and where it comes from, and\n\
         `tokenhost config check` what is wrong with them. *Reload*: `tokenhost config reload`, or SIGHUP, takes it;\n\
         *restart*: the next start does. What a value means is said at length in [operators.md](operators.md),\n\
         [access.md](access.md) and [monitoring.md](monitoring.md).\n\n\
         | setting | what it is for | default | variable | flag | takes effect by |\n|---|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let default = match (setting.default, setting.fixed_default()) {
            ("", _) => "none".to_owned(),
            (_, Some(fixed)) => format!("`{fixed}`"),
            (described, None) => described.trim_matches(['<', '>']).to_owned(),
        };
        let code = |text: Option<&str>| text.map_or_else(String::new, |text| format!("`{text}`"));
        // Writing to a String doesn't fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {default} | {} | {} | {} |",
            setting.key,
            setting.about,
            code(setting.variable),
            code(setting.flag().as_deref()),
            setting.change.as_str(),
        );
    }
    text
}
