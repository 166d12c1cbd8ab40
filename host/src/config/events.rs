//! The table `[events]`: how long events are kept, and when the end of personal tokens is told.

use super::layers::Layers;
use super::words;

/// Numbers of days before the end at most.
const MOST_MARKS: usize = 10;

/// How events are kept and told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// Days that an event is kept.
    pub retention_days: u32,
    /// Events kept at most; renewals that went well and all others are counted apart.
    pub retention_records: usize,
    /// How many days before its end a personal token is told of.
    pub personal_token_days: Vec<u32>,
}

impl Default for Events {
    fn default() -> Self {
        Self { retention_days: 30, retention_records: 50_000, personal_token_days: vec![7, 1] }
    }
}

impl Events {
    /// The table `[events]`.
    pub(super) fn read(layers: &mut Layers) -> Self {
        let default = Self::default();
        Self {
            retention_days: layers.read("events.retention_days", default.retention_days, |text| {
                let days = text.parse().ok().filter(|days| (1..=400).contains(days));
                days.ok_or_else(|| "must be a number of days from 1 to 400".to_owned())
            }),
            retention_records: layers.read("events.retention_records", default.retention_records, |text| {
                let number = text.parse().ok().filter(|number| (1_000..=1_000_000).contains(number));
                number.ok_or_else(|| "must be a number from 1000 to 1000000".to_owned())
            }),
            personal_token_days: layers.read("events.personal_token_days", default.personal_token_days, marks),
        }
    }
}

/// Numbers of days; none: nothing is told.
fn marks(text: &str) -> Result<Vec<u32>, String> {
    let wrong = || format!("must be at most {MOST_MARKS} numbers of days from 1 to 365, e.g. [7, 1]");
    let day = |word: &str| word.parse().ok().filter(|days| (1..=365).contains(days)).ok_or_else(wrong);
    let days = words(text).map(day).collect::<Result<Vec<u32>, String>>()?;
    if days.len() > MOST_MARKS { Err(wrong()) } else { Ok(days) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_few_and_sensible() {
        assert_eq!(marks("7, 1"), Ok(vec![7, 1]));
        assert_eq!(marks(""), Ok(Vec::new()));
        for wrong in ["0", "x", "366", "1,2,3,4,5,6,7,8,9,10,11"] {
            assert!(marks(wrong).is_err(), "{wrong}");
        }
    }
}
