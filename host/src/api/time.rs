//! Times as clients see them: RFC 3339 in UTC, whole seconds, `2026-11-22T10:00:00Z`.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, SecondsFormat, Timelike as _, Utc};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// A time, of which the part of a second is left out: a token's end is never told later than it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub(super) struct Time(DateTime<Utc>);

impl From<DateTime<Utc>> for Time {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl Time {
    /// Appends the time's text. By hand, since chrono takes several times as long and the hottest call has two of them.
    pub(super) fn write(self, text: &mut Vec<u8>) {
        let Self(time) = self;
        let digits = |value: u32, place: u32| b'0' + u8::try_from(value / place % 10).unwrap_or_default();
        let two = |text: &mut Vec<u8>, value: u32, end: u8| text.extend([digits(value, 10), digits(value, 1), end]);
        let Some(year) = u32::try_from(time.year()).ok().filter(|year| *year <= 9999) else {
            return text.extend(time.to_rfc3339_opts(SecondsFormat::Secs, true).into_bytes());
        };
        text.extend([digits(year, 1000), digits(year, 100), digits(year, 10), digits(year, 1), b'-']);
        two(text, time.month(), b'-');
        two(text, time.day(), b'T');
        two(text, time.hour(), b':');
        two(text, time.minute(), b':');
        two(text, time.second(), b'Z');
    }
}

/// What [`parse`] reads, for who wrote something else.
pub(super) const WANTED: &str = "must be a time like 2026-11-22T10:00:00Z (RFC 3339), or a day like 2026-11-22";

/// Which moment of a day is meant.
#[derive(Clone, Copy)]
pub(super) enum OfDay {
    /// Its first.
    Start,
    /// The first of the next day, so that all of it is included.
    End,
}

/// Reads a time as clients write it: RFC 3339, or a day in UTC.
pub(super) fn parse(text: &str, of_day: OfDay) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    // chrono would take fewer digits, more, and a sign, too.
    let is_placed =
        |(place, byte): (usize, u8)| if matches!(place, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    let is_day = text.len() == 10 && text.bytes().enumerate().all(is_placed);
    let day = is_day.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten()?;
    let day = match of_day {
        OfDay::Start => day,
        OfDay::End => day.succ_opt()?,
    };
    Some(day.and_time(NaiveTime::MIN).and_utc())
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_second_are_left_out() {
        let time = DateTime::parse_from_rfc3339("2026-11-22T10:00:00.999999999+01:00").unwrap().to_utc();
        assert_eq!(serde_json::to_string(&Time::from(time)).unwrap(), "\"2026-11-22T09:00:00Z\"");
    }

    #[test]
    fn times_and_days_are_read() {
        let check = |text: &str, of_day: OfDay, expected: Option<&str>| {
            let found = parse(text, of_day).map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("2026-11-22T10:00:00+01:00", OfDay::End, Some("2026-11-22T09:00:00Z"));
        check("2026-12-31", OfDay::Start, Some("2026-12-31T00:00:00Z"));
        check("2026-12-31", OfDay::End, Some("2027-01-01T00:00:00Z"));
        for none in ["", "2026-13-01", "2026-11-31", "22.11.2026", "2026-11-22T10:00:00", "+12026-1-1", "2026-1-01x"] {
            check(none, OfDay::End, None);
        }
    }

    #[test]
    fn what_is_written_by_hand_is_what_chrono_writes() {
        let seconds = [
            0,
            951_782_399,
            951_782_400,
            1_795_000_000,
            4_107_542_399,
            253_402_300_799,
            253_402_300_800,
            -62_167_219_201,
        ];
        for time in seconds.map(|seconds| DateTime::from_timestamp(seconds, 5).unwrap()) {
            let mut text = Vec::new();
            Time::from(time).write(&mut text);
            assert_eq!(String::from_utf8(text).unwrap(), time.to_rfc3339_opts(SecondsFormat::Secs, true));
        }
    }
}
