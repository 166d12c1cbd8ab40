//! What is wrong with a document that was imported all the same, and where. Bounded, whatever the document.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A person reads these; whoever has more mistakes than this mends them by a validator.
const MAX_WARNINGS: usize = 100;
/// Longest pointer or message, in bytes. A name in a document may be megabytes long.
const MAX_LENGTH: usize = 300;

/// Something that is wrong with a document, or that was left out of account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Where: a JSON pointer (RFC 6901) into the document as it was imported.
    pub pointer: String,
    /// What, and what was made of it.
    pub message: String,
}

/// The warnings of one document, as they are found.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    /// The first of them.
    found: Vec<Warning>,
    /// What is said only once.
    said: BTreeSet<String>,
    /// How many more there are.
    more: usize,
}

impl Warnings {
    /// Notes a fault.
    pub(super) fn add(&mut self, pointer: impl AsRef<str>, message: impl AsRef<str>) {
        if self.found.len() < MAX_WARNINGS {
            self.found.push(Warning { pointer: shorten(pointer.as_ref()), message: shorten(message.as_ref()) });
        } else {
            self.more += 1;
        }
    }

    /// Notes a fault that is likely to be found in very many places; the first stands for all.
    pub(super) fn add_once(&mut self, pointer: impl AsRef<str>, message: impl AsRef<str>) {
        let message = shorten(message.as_ref());
        if self.found.len() >= MAX_WARNINGS {
            self.more += 1;
        } else if self.said.insert(message.clone()) {
            self.add(pointer, message);
        }
    }

    /// All of them, the last one counting what there was no room for.
    pub(super) fn finish(mut self) -> Vec<Warning> {
        if self.more > 0 {
            let message = format!("{} more warnings are left out", self.more);
            self.found.push(Warning { pointer: String::new(), message });
        }
        self.found
    }
}

/// The beginning of a long text.
pub(super) fn shorten(text: &str) -> String {
    if text.len() <= MAX_LENGTH {
        text.to_owned()
    } else {
        format!("{}…", &text[..text.floor_char_boundary(MAX_LENGTH)])
    }
}

/// A pointer to a member of what `pointer` points to (RFC 6901 section 3).
pub(super) fn member(pointer: &str, name: &str) -> String {
    // A pointer that is too long to be shown needs no more members.
    if pointer.len() > MAX_LENGTH {
        return pointer.to_owned();
    }
    format!("{pointer}/{}", shorten(name).replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_length_are_bounded() {
        let mut warnings = Warnings::default();
        for index in 0..1000 {
            warnings.add(member("/é", &"é".repeat(1000)), format!("{index}{}", "ü".repeat(1000)));
        }
        let warnings = warnings.finish();
        assert_eq!(warnings.len(), MAX_WARNINGS + 1);
        assert!(
            warnings
                .iter()
                .all(|warning| warning.pointer.len() <= MAX_LENGTH + 3 && warning.message.len() <= MAX_LENGTH + 3)
        );
        assert_eq!(warnings[MAX_WARNINGS].message, "900 more warnings are left out");
    }

    #[test]
    fn what_is_said_once_is_said_once() {
        let mut warnings = Warnings::default();
        warnings.add_once("/a", "the same");
        warnings.add_once("/b", "the same");
        assert_eq!(warnings.finish(), [Warning { pointer: "/a".into(), message: "the same".into() }]);
    }
}
