//! Which of an operation's alternatives is served: the document's `security`, an OR of ANDs, held against what there is.
//!
//! It decides and does nothing.

use crate::openapi::SecurityRequirement;

/// What an operation is called with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Alternative<'a> {
    /// No credentials.
    Nothing,
    /// The integration's own scheme: the document doesn't say what is needed.
    Own,
    /// All schemes of this requirement.
    Schemes(&'a SecurityRequirement),
}

/// Chooses one of the alternatives: the most preferred one that can be served, else the first. None: none can.
///
/// `bound` says whether the integration is bound to a scheme. An alternative without schemes can always be served
/// (OpenAPI 3.1 section 4.8.30: `{}` makes security optional).
pub(super) fn solve<'a>(
    alternatives: Option<&'a [SecurityRequirement]>,
    preferred: &[Vec<String>],
    bound: impl Fn(&str) -> bool,
) -> Option<Alternative<'a>> {
    let Some(alternatives) = alternatives else { return Some(Alternative::Own) };
    if alternatives.is_empty() {
        return Some(Alternative::Nothing);
    }
    let is_served = |requirement: &&SecurityRequirement| requirement.0.keys().all(|scheme| bound(scheme));
    let is_wanted = |wanted: &Vec<String>, requirement: &SecurityRequirement| {
        requirement.0.keys().all(|scheme| wanted.contains(scheme))
            && wanted.iter().all(|scheme| requirement.0.contains_key(scheme))
    };
    let best = preferred
        .iter()
        .find_map(|wanted| alternatives.iter().filter(is_served).find(|requirement| is_wanted(wanted, requirement)));
    let chosen = best.or_else(|| alternatives.iter().find(is_served))?;
    Some(if chosen.0.is_empty() { Alternative::Nothing } else { Alternative::Schemes(chosen) })
}

/// The alternatives in words: `a and b, or c`.
pub(super) fn words(alternatives: &[SecurityRequirement]) -> String {
    let and =
        |requirement: &SecurityRequirement| requirement.0.keys().map(String::as_str).collect::<Vec<_>>().join(" and ");
    alternatives.iter().map(and).collect::<Vec<_>>().join(", or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Solves `security` for an integration that is bound to these schemes; `-`: none is served.
    #[track_caller]
    fn check(security: &str, bound: &[&str], preferred: &[&[&str]], expected: &str) {
        let alternatives: Option<Vec<SecurityRequirement>> = serde_json::from_str(security).unwrap();
        let preferred: Vec<Vec<String>> =
            preferred.iter().map(|set| set.iter().map(|&name| name.to_owned()).collect()).collect();
        let found = solve(alternatives.as_deref(), &preferred, |scheme| bound.contains(&scheme));
        let found = match found {
            None => "-".to_owned(),
            Some(Alternative::Nothing) => "nothing".to_owned(),
            Some(Alternative::Own) => "own".to_owned(),
            Some(Alternative::Schemes(requirement)) => words(std::slice::from_ref(requirement)),
        };
        assert_eq!(found, expected, "{security} {bound:?} {preferred:?}");
    }

    #[test]
    fn the_first_that_can_be_served_counts() {
        check("null", &["a"], &[], "own");
        check("[]", &[], &[], "nothing");
        check("[{}]", &[], &[], "nothing");
        check(r#"[{"a":[]}]"#, &["a"], &[], "a");
        check(r#"[{"a":[]}]"#, &["b"], &[], "-");
        check(r#"[{"a":[],"b":[]},{"c":[]}]"#, &["a", "c"], &[], "c");
        check(r#"[{"a":[],"b":[]},{"c":[]}]"#, &["a", "b", "c"], &[], "a and b");
        check(r#"[{"a":[]},{}]"#, &["b"], &[], "nothing");
        check(r#"[{"a":[]},{}]"#, &["a"], &[], "a");
        check(r#"[{},{"a":[]}]"#, &["a"], &[], "nothing");
    }

    #[test]
    fn a_preferred_one_counts_before_it() {
        let security = r#"[{},{"a":[]},{"b":[],"a":[]},{"c":[]}]"#;
        check(security, &["a", "b", "c"], &[&["c"]], "c");
        check(security, &["a", "b", "c"], &[&["a", "b"]], "a and b");
        check(security, &["a", "c"], &[&["b", "a"], &["a"]], "a");
        check(security, &["a"], &[&["c"]], "nothing");
        check(security, &["a"], &[&["nonsense"], &[]], "nothing");
    }

    #[test]
    fn alternatives_are_told_in_words() {
        let alternatives: Vec<SecurityRequirement> = serde_json::from_str(r#"[{"a":[],"b":[]},{"c":["x"]}]"#).unwrap();
        assert_eq!(words(&alternatives), "a and b, or c");
    }
}
