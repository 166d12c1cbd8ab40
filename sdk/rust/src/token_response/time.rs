//! Moments in the spellings that providers use, as seconds since the Unix epoch. Asks no clock.

use std::time::SystemTime;

/// RFC 3339, e.g. `2026-11-22T10:00:00Z`. Moments before the epoch are none.
pub(super) fn rfc3339(text: &str) -> Option<u64> {
    chrono::DateTime::parse_from_rfc3339(text.trim()).ok()?.timestamp().try_into().ok()
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date, here counted from `now`. A date that is over is 0.
pub(super) fn retry_after(text: &str, now: u64) -> Option<u32> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().unwrap_or(u32::MAX));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(date.saturating_sub(now).try_into().unwrap_or(u32::MAX))
}
