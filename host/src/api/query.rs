//! Query parameters: each is named, read once, and all that is wrong with them is told at once.

use std::ops::RangeInclusive;

use axum::extract::Request;
use axum::http::Uri;

use super::credentials::PARAMETER;
use super::form::Form;
use super::problem::{Fault, Problem};

/// The parameter that says how the caller signs in.
pub(super) const LOGIN_MODE: &str = "login_mode";

/// A query, while its parameters are being read.
pub(super) struct Query {
    /// What wasn't read yet, decoded.
    pairs: Vec<(String, String)>,
    /// The parameters that were asked for.
    known: Vec<&'static str>,
    /// What was wrong so far.
    faults: Vec<Fault>,
}

impl Query {
    /// The query of a request.
    pub(super) fn of(uri: &Uri) -> Self {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        Self { pairs, known: Vec::new(), faults: Vec::new() }
    }

    /// The query of a request to a door where parameters may stand in a form too. Those that are about signing in were the
    /// gate's.
    pub(super) fn of_door(request: &Request) -> Self {
        let mut query = Self::of(request.uri());
        let form: Option<&Form> = request.extensions().get();
        query.pairs.extend(form.into_iter().flat_map(|form| form.fields.iter().cloned()));
        query.pairs.retain(|(name, _)| !matches!(name.as_str(), PARAMETER | LOGIN_MODE));
        query
    }

    /// The text of a parameter.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let mut values: Vec<String> =
            self.pairs.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect();
        if values.len() > 1 {
            self.faults.push(Fault::new(name, "malformed", "is given more than once"));
        }
        values.pop()
    }

    /// The number of a parameter.
    pub(super) fn number(&mut self, name: &'static str, allowed: RangeInclusive<u64>) -> Option<u64> {
        let number = self.text(name)?.parse().ok().filter(|number| allowed.contains(number));
        if number.is_none() {
            let message = format!("must be a whole number from {} to {}", allowed.start(), allowed.end());
            self.faults.push(Fault::new(name, "malformed", message));
        }
        number
    }

    /// What a parameter names, of these.
    pub(super) fn choice<T>(
        &mut self,
        name: &'static str,
        of_name: impl Fn(&str) -> Option<T>,
        names: &[&str],
    ) -> Option<T> {
        let found = of_name(&self.text(name)?);
        if found.is_none() {
            self.fault(name, &format!("must be one of {}", names.join(", ")));
        }
        found
    }

    /// Whether a parameter says so.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        self.choice(name, |text| text.parse().ok(), &["true", "false"]).unwrap_or(false)
    }

    /// Notes that a parameter isn't what it may be.
    pub(super) fn fault(&mut self, name: &'static str, message: &str) {
        self.faults.push(Fault::new(name, "malformed", message));
    }

    /// Refuses what is wrong, and what nobody asked for.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in &self.pairs {
            let there_are = match self.known.as_slice() {
                [] => "there are none here".to_owned(),
                known => format!("there are {}", known.join(", ")),
            };
            let name: String = name.chars().take(64).collect();
            self.faults.push(Fault::new(name, "unknown", format!("there is no such parameter; {there_are}")));
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::invalid(self.faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_told_at_once() {
        let check = |query: &str, expected: &[(&str, &str)]| {
            let mut query = Query::of(&format!("/x?{query}").parse().unwrap());
            let (number, text) = (query.number("n", 1..=9), query.text("t"));
            let outcome = query.finish();
            match outcome {
                Ok(()) => assert_eq!((number, text.as_deref(), expected.len()), (Some(3), Some("a b&"), 0)),
                Err(problem) => {
                    assert!(!expected.is_empty(), "{problem:?}");
                    let response = format!("{problem:?}");
                    for (field, message) in expected {
                        assert!(response.contains(&format!("{field:?}")) && response.contains(message), "{response}");
                    }
                }
            }
        };
        check("n=3&t=a+b%26", &[]);
        check("n=10&u=1", &[("n", "whole number from 1 to 9"), ("u", "there are n, t")]);
        check("n=x&n=3&t=a+b%26&v", &[("n", "more than once"), ("v", "no such parameter")]);
    }
}
