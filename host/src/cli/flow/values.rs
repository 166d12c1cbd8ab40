//! Limits as people write and read them: `500ms`, `2s`, `64MiB`, `default`.

/// A limit as given: a value, or the engine's again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given(pub(super) Option<u64>);

/// What stands for the engine's own value.
const DEFAULT: &str = "default";

/// A time, in milliseconds.
pub(super) fn parse_time(text: &str) -> Result<Given, String> {
    parse(text, &[("ms", 1), ("s", 1000)], "a time such as 500ms or 2s, or `default`")
}

/// A size, in bytes.
pub(super) fn parse_size(text: &str) -> Result<Given, String> {
    parse(
        text,
        &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)],
        "a size such as 64MiB or 512KiB, or `default`",
    )
}

/// A number.
pub(super) fn parse_count(text: &str) -> Result<Given, String> {
    parse(text, &[("", 1)], "a whole number, or `default`")
}

fn parse(text: &str, units: &[(&str, u64)], wanted: &str) -> Result<Given, String> {
    if text == DEFAULT {
        return Ok(Given(None));
    }
    let split = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim())).map(|(_, factor)| *factor);
    let value = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    value.map(|value| Given(Some(value))).ok_or_else(|| format!("must be {wanted}"))
}

/// A time for people.
pub(super) fn time(milliseconds: u64) -> String {
    match milliseconds {
        whole if whole >= 1000 && whole.is_multiple_of(1000) => format!("{}s", whole / 1000),
        other => format!("{other}ms"),
    }
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    for (unit, factor) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_shown() {
        let check = |parsed: Result<Given, String>, expected: Option<Option<u64>>| {
            assert_eq!(parsed.ok().map(|given| given.0), expected);
        };
        check(parse_time("500ms"), Some(Some(500)));
        check(parse_time("2s"), Some(Some(2000)));
        check(parse_time("2"), None);
        check(parse_time("default"), Some(None));
        check(parse_size("64MiB"), Some(Some(64 << 20)));
        check(parse_size("512 kib"), Some(Some(512 << 10)));
        check(parse_size("99999999999999GiB"), None);
        check(parse_size("64MB"), None);
        check(parse_count("10"), Some(Some(10)));
        check(parse_count("-1"), None);
        check(parse_count(""), None);
        assert_eq!((time(500), time(2000), time(1500)), ("500ms".to_owned(), "2s".to_owned(), "1500ms".to_owned()));
        assert_eq!((size(256 << 20), size(1500)), ("256MiB".to_owned(), "1500B".to_owned()));
    }
}
