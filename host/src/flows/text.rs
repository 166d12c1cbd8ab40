//! Text that a plugin's author wrote, made fit for messages. Knows nothing of secrets.

/// The text on one line, without control characters, and at most so many characters long.
pub(super) fn printable(text: &str, most: usize) -> String {
    let mut cleaned: String =
        text.chars().take(most).map(|character| if character.is_control() { ' ' } else { character }).collect();
    if text.chars().nth(most).is_some() {
        cleaned.push('…');
    }
    cleaned
}

/// Whether the text is a name like `client-credentials`.
pub(super) fn is_kebab_case(text: &str) -> bool {
    is_words(text, '-')
}

/// Whether the text is a name like `client_secret`.
pub(super) fn is_snake_case(text: &str) -> bool {
    is_words(text, '_')
}

/// Words of lower-case letters and digits, the first of which begins with a letter.
fn is_words(text: &str, separator: char) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split(separator).all(|word| {
            !word.is_empty() && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        })
}

/// Whether the text is a version like `1.2.3` or `1.2.3-beta.1` (Semantic Versioning 2.0.0).
pub(super) fn is_semantic_version(text: &str) -> bool {
    text.len() <= 64 && semver::Version::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions() {
        for (text, kebab, snake) in [
            ("password", true, true),
            ("client-credentials", true, false),
            ("client_secret", false, true),
            ("oauth2-mtls", true, false),
            ("", false, false),
            ("2fa", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("a--b", false, false),
            ("A", false, false),
            ("a b", false, false),
            ("ä", false, false),
        ] {
            assert_eq!((is_kebab_case(text), is_snake_case(text)), (kebab, snake), "{text}");
        }
        assert!(!is_snake_case(&"a".repeat(65)));
        for (text, expected) in [
            ("1.2.3", true),
            ("0.1.0-beta.1+7", true),
            ("1.2", false),
            ("v1.2.3", false),
            ("01.2.3", false),
            ("", false),
        ] {
            assert_eq!(is_semantic_version(text), expected, "{text}");
        }
    }

    #[test]
    fn printable_is_one_bounded_line() {
        assert_eq!(printable("a\nb\u{1b}[31m", 20), "a b [31m");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("abc", 3), "abc");
    }
}
