//! The templates: built into the daemon, escaped by what they are (HTML), and how values look in them.
//!
//! Who works on them sets `TOKENHOST_CONSOLE_FILES` to the folder `host/console`: then they are read from there at each use.

use std::path::PathBuf;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use include_dir::{Dir, include_dir};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::{assets, words};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/console/templates");

/// Where templates and assets are read from instead, if they are.
static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    std::env::var_os("TOKENHOST_CONSOLE_FILES").filter(|folder| !folder.is_empty()).map(PathBuf::from)
});

/// A file of the folder that somebody works on.
pub(super) fn from_folder(kind: &str, name: &str) -> Option<String> {
    let folder = FOLDER.as_ref()?;
    std::fs::read_to_string(folder.join(kind).join(name)).ok()
}

/// All templates.
pub(super) struct Templates(Environment<'static>);

impl Templates {
    /// The templates that were built in.
    pub(super) fn new() -> Self {
        let mut environment = Self::environment();
        for file in FILES.files() {
            let name = file.path().to_str().unwrap_or_default();
            // A test has looked at each: one that doesn't parse is missed where it is used.
            if let Err(error) = environment.add_template(name, file.contents_utf8().unwrap_or_default()) {
                tracing::error!(name, "a template of the console can't be read: {error}");
            }
        }
        Self(environment)
    }

    fn environment() -> Environment<'static> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.add_filter("left", left);
        environment.add_filter("seconds", seconds);
        environment.add_filter("day", day);
        environment.add_filter("moment", moment);
        environment.add_filter("bytes", bytes);
        environment.add_filter("duration", duration);
        environment.add_filter("kind", |text: String| text.replace('_', " "));
        environment.add_filter("sentence", |text: String| words::sentence(&text));
        environment
            .add_filter("told", |error: Value| words::told(&member(&error, "field"), &member(&error, "message")));
        environment.add_filter("anchor", |field: String| words::anchor(&field));
        environment.add_filter("past", past);
        environment.add_filter("segment", |text: String| {
            percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string()
        });
        environment.add_global("assets", assets::VERSION.as_str());
        environment.add_global("version", env!("CARGO_PKG_VERSION"));
        environment
    }

    /// A page, or a part of one, out of this template.
    ///
    /// # Errors
    /// There is no such template, or it and the values don't fit.
    pub(super) fn render(&self, name: &str, values: Value) -> Result<String, Error> {
        if FOLDER.is_some() {
            let mut environment = Self::environment();
            environment.set_loader(|name| Ok(from_folder("templates", name)));
            return environment.get_template(name)?.render(values);
        }
        self.0.get_template(name)?.render(values)
    }
}

fn parse(time: &str) -> Result<DateTime<Utc>, Error> {
    let parsed = DateTime::parse_from_rfc3339(time);
    parsed.map(|time| time.to_utc()).map_err(|_| Error::new(ErrorKind::InvalidOperation, "that is no time"))
}

/// How long it is from `now` to a time, in words of one unit: `12 min`, `in the past` as `0 s`.
fn left(time: &str, now: &str) -> Result<String, Error> {
    let seconds = (parse(time)? - parse(now)?).num_seconds().max(0);
    Ok(match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    })
}

/// Whether a time is over at `now`.
fn past(time: &str, now: &str) -> Result<bool, Error> {
    Ok(parse(time)? <= parse(now)?)
}

/// A text that stands in a value; empty where there is none.
fn member(value: &Value, name: &str) -> String {
    value.get_attr(name).ok().and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
}

/// How long it is from `now` to a time, in seconds.
fn seconds(time: &str, now: &str) -> Result<String, Error> {
    Ok(format!("{} s", (parse(time)? - parse(now)?).num_seconds().max(0)))
}

/// The day of a time.
fn day(time: &str) -> Result<String, Error> {
    Ok(parse(time)?.format("%Y-%m-%d").to_string())
}

/// A time to the second, in UTC.
fn moment(time: &str) -> Result<String, Error> {
    Ok(parse(time)?.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// How long something takes, in the largest unit that says it exactly.
fn duration(seconds: u64) -> String {
    let units = [(86_400, "day", "days"), (3_600, "hour", "hours"), (60, "minute", "minutes")];
    let exact = units.into_iter().find(|(size, ..)| seconds > 0 && seconds.is_multiple_of(*size));
    let (size, one, many) = exact.unwrap_or((1, "second", "seconds"));
    match seconds / size {
        1 => one.to_owned(),
        count => format!("{count} {many}"),
    }
}

/// A size with its unit.
fn bytes(size: u64) -> String {
    match size {
        0..1_024 => format!("{size} B"),
        1_024..1_048_576 => format!("{:.1} KiB", size as f64 / 1_024.0),
        _ => format!("{:.1} MiB", size as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses() {
        for file in FILES.files() {
            let mut environment = Templates::environment();
            let name = file.path().to_str().unwrap();
            environment.add_template(name, file.contents_utf8().unwrap()).unwrap();
        }
    }

    #[test]
    fn times_and_sizes_are_in_one_unit() {
        let now = "2026-11-22T10:00:00Z";
        for (time, expected) in [
            ("2026-11-22T10:01:59Z", "119 s"),
            ("2026-11-22T09:00:00Z", "0 s"),
            ("2026-11-22T10:29:59.5Z", "29 min"),
            ("2026-11-23T10:00:00Z", "24 h"),
            ("2026-12-22T10:00:00Z", "30 days"),
        ] {
            assert_eq!(left(time, now).unwrap(), expected);
        }
        assert_eq!((bytes(1_023), bytes(1_536), bytes(3 << 20)), ("1023 B".into(), "1.5 KiB".into(), "3.0 MiB".into()));
        for (seconds, expected) in
            [(86_400, "day"), (7_200, "2 hours"), (5_400, "90 minutes"), (61, "61 seconds"), (0, "0 seconds")]
        {
            assert_eq!(duration(seconds), expected);
        }
        assert_eq!(seconds("2026-11-22T11:00:00Z", now).unwrap(), "3600 s");
        assert!(left("soon", now).is_err());
    }
}
