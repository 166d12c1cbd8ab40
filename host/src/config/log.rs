//! The table `[log]`: what is logged, and how a line looks.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::layers::Layers;

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

impl Log {
    /// The table `[log]`.
    pub(super) fn read(layers: &mut Layers) -> Self {
        Self {
            level: layers.read("log.level", Self::default().level, |text| level(text).map(|()| text.to_owned())),
            format: layers.read("log.format", LogFormat::Text, |text| match text {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("must be text or json".to_owned()),
            }),
        }
    }
}

/// Refuses what is no filter; and a word alone that is no level, which would be taken for the name of a module, so that
/// nothing but that module's lines would be logged.
fn level(text: &str) -> Result<(), String> {
    const WANTED: &str = "must be a level (off, error, warn, info, debug or trace), or a filter by module, e.g. \
                          info,tokenhost=debug or warn,tokenhost::egress=trace";
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let directives: Vec<&str> = text.split(',').map(str::trim).collect();
    // Spans may have commas and equals signs within their brackets; whether they are right is for the filter to say.
    if !text.contains('[')
        && let Some(wrong) = directives.iter().find_map(|one| match one.rsplit_once('=') {
            Some((module, level)) => {
                [Some(level).filter(|level| !is_level(level)), Some("").filter(|_| module.is_empty())]
                    .into_iter()
                    .flatten()
                    .next()
            }
            None => Some(*one).filter(|one| !is_level(one)),
        })
    {
        return Err(if wrong.is_empty() { WANTED.to_owned() } else { format!("{wrong:?} is no level; {WANTED}") });
    }
    EnvFilter::try_new(text).map(drop).map_err(|_| WANTED.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for right in [
            "info",
            "WARN",
            "off",
            "info,tokenhost=debug",
            "tokenhost::egress=trace",
            "warn,hyper=off",
            "info,tokenhost[request{ms=1}]=debug",
        ] {
            assert_eq!(level(right), Ok(()), "{right}");
        }
        for (wrong, part) in [
            ("verbose", "\"verbose\" is no level; must be a level (off, error, warn, info, debug or trace)"),
            ("info,verbose", "\"verbose\" is no level"),
            ("info,tokenhost=verbose", "\"verbose\" is no level"),
            ("tokenhost", "info,tokenhost=debug"),
            ("", "must be a level"),
            ("info,", "must be a level"),
            ("info,=debug", "must be a level"),
            ("a=b=c", "\"c\" is no level"),
            ("a=b=info", "must be a level"),
        ] {
            let message = level(wrong).unwrap_err();
            assert!(message.contains(part), "{wrong}: {message}");
        }
    }
}
