//! The table `[backup]`: where scheduled backups go, how often, and how many are kept.

use std::path::PathBuf;
use std::time::Duration;

use super::layers::Layers;

/// Backups made where nothing else is said: one a day.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// Backups kept where nothing else is said.
const KEEP: u32 = 7;

/// Scheduled backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The folder that they are written to.
    pub folder: PathBuf,
    /// How often.
    pub every: Duration,
    /// How many are kept: the newest ones.
    pub keep: u32,
    /// How many days each is kept at most; the newest stays whatever its age. None: as long as `keep` says.
    pub keep_days: Option<u32>,
}

impl Backup {
    /// The table `[backup]`. None: no backups are scheduled, since no folder is set.
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let every = layers.read("backup.every", None, |text| duration(text).map(Some));
        let keep = layers.read("backup.keep", None, |text| {
            let keep = text.parse().ok().filter(|keep| (1..=10_000).contains(keep));
            keep.map(Some).ok_or_else(|| "must be a number from 1 to 10000".to_owned())
        });
        let keep_days = layers.read("backup.keep_days", None, |text| {
            let days = text.parse().ok().filter(|days| (1..=36_500).contains(days));
            days.map(Some).ok_or_else(|| "must be a number of days from 1 to 36500".to_owned())
        });
        match layers.take("backup.folder").filter(|folder| !folder.is_empty()) {
            Some(folder) => Some(Self {
                folder: folder.into(),
                every: every.unwrap_or(EVERY),
                keep: keep.unwrap_or(KEEP),
                keep_days,
            }),
            None => {
                if every.is_some() || keep.is_some() || keep_days.is_some() {
                    layers.fault(
                        "backup.folder",
                        None,
                        "must be set where anything else of [backup] is: no backup is made without it",
                    );
                }
                None
            }
        }
    }
}

/// A time span of whole minutes, hours or days: `30m`, `24h`, `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a number with m, h or d after it, from 1m to 366d, e.g. 24h".to_owned();
    let number = text.get(..text.len().saturating_sub(1)).and_then(|number| number.parse::<u64>().ok());
    let unit = match text.chars().last() {
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = number.and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
    if (60..=366 * 86_400).contains(&seconds) { Ok(Duration::from_secs(seconds)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit_and_sense() {
        for (text, seconds) in [("1m", 60), ("24h", 86_400), ("7d", 604_800), ("366d", 31_622_400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "h", "24", "24 h", "0h", "59s", "-1h", "1.5h", "367d", "99999999999999999999d", "é", "1é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
