//! Values of labels, of which there are few whatever callers and operators do: each one is a series for ever.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use metrics::SharedString;

/// Flows that have series of their own; what comes later shares one.
pub const FLOWS: usize = 50;
/// What others share.
const OTHER: &str = "other";

/// The flows that have series of their own.
static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The label of a flow: its name for the first [`FLOWS`] ones since the start, `other` for those after them.
pub fn flow(name: &str) -> SharedString {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.contains(name) || known.len() < FLOWS && known.insert(name.to_owned()) {
        SharedString::from(name.to_owned())
    } else {
        SharedString::const_str(OTHER)
    }
}

/// The class of a status.
pub fn class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// A method of HTTP, of those that have a meaning here.
pub fn method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_few() {
        let labels: BTreeSet<String> = (0..10_000).map(|n| flow(&format!("flow-{n}")).to_string()).collect();
        assert!(labels.len() <= FLOWS + 1 && labels.contains(OTHER), "{}", labels.len());
        let classes: BTreeSet<&str> = (0..=u16::MAX).map(class).collect();
        assert_eq!(classes.len(), 5);
        assert_eq!([method("PATCH"), method("BREW")], ["PATCH", "other"]);
    }
}
