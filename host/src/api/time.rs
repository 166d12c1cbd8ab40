//! Times as clients see them: RFC 3339 in UTC, whole seconds, `2026-11-22T10:00:00Z`.

use chrono::{DateTime, SecondsFormat, Utc};
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
}
