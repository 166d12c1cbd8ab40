//! What the API says, in the sentences of a page: it tells faults as predicates of their fields (`is no absolute URL`) and details
//! without a capital, as other programs put them together. Says nothing of its own.

use std::fmt::Write as _;

/// How a fault begins whose subject is the field that it belongs to.
const PREDICATES: [&str; 12] =
    ["is", "isn't", "has", "holds", "must", "can't", "doesn't", "names", "needs", "would", "stands", "starts"];

/// A sentence: begun with a capital, and ended. What begins with something that isn't a word, such as a field's name or an
/// error's code, keeps that as it is.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    let first = text.split(' ').next().unwrap_or_default();
    let is_word = first.trim_end_matches([',', ':', ';']).chars().all(|char| char.is_alphabetic() || char == '\'');
    let begun = match (PREDICATES.contains(&first), is_word) {
        (true, _) => format!("It {text}"),
        (false, true) => capital(text),
        (false, false) => text.to_owned(),
    };
    ended(begun)
}

/// A fault where it doesn't stand beside its field.
pub(super) fn told(field: &str, message: &str) -> String {
    let message = message.trim();
    let first = message.split(' ').next().unwrap_or_default();
    let name = field.rsplit_once("fields.").map_or(field, |(_, name)| name);
    if PREDICATES.contains(&first) && !name.is_empty() {
        return ended(format!("{name} {message}"));
    }
    sentence(message)
}

/// What an input is called in addresses of its page, by the name that the API has for it.
pub(super) fn anchor(field: &str) -> String {
    field.chars().fold(String::new(), |mut anchor, char| {
        if char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_') {
            anchor.push(char);
        } else {
            // It can't fail: the target is a text.
            let _ = write!(anchor, ":{:x}", u32::from(char));
        }
        anchor
    })
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn ended(text: String) -> String {
    let is_ended = text.is_empty() || text.ends_with(['.', '!', '?', '…', ':']);
    if is_ended { text } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_says_becomes_sentences() {
        for (text, expected) in [
            ("not valid", "Not valid."),
            ("the document can't be imported", "The document can't be imported."),
            ("is no absolute URL, such as https://a/", "It is no absolute URL, such as https://a/."),
            ("Client ID is needed", "Client ID is needed."),
            ("http_404: the provider answered HTTP 404", "http_404: the provider answered HTTP 404."),
            ("token_url doesn't answer.", "token_url doesn't answer."),
            ("there is no model x; import its document first", "There is no model x; import its document first."),
            (" énorme ", "Énorme."),
            ("", ""),
        ] {
            assert_eq!(sentence(text), expected);
        }
    }

    #[test]
    fn a_fault_names_its_field_once() {
        for (field, message, expected) in [
            ("fields.token_url", "is no absolute URL", "token_url is no absolute URL."),
            ("schemes.a b.fields.scope", "has 9000 bytes", "scope has 9000 bytes."),
            ("name", "a name has at most 64 characters", "A name has at most 64 characters."),
            ("fields.client_id", "Client ID is needed", "Client ID is needed."),
            (
                "settings.calls.timeout",
                "is 0 s; 1 to 3600 is wanted",
                "settings.calls.timeout is 0 s; 1 to 3600 is wanted.",
            ),
            ("", "is wrong", "It is wrong."),
        ] {
            assert_eq!(told(field, message), expected);
        }
    }

    #[test]
    fn anchors_hold_nothing_that_an_address_or_a_list_of_ids_would_misread() {
        assert_eq!(anchor("fields.client_id"), "fields.client_id");
        assert_eq!(anchor("schemes.a b\"<.x"), "schemes.a:20b:22:3c.x");
    }
}
