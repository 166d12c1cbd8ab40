//! Extra parameters of token requests that an operator adds to those of the document, held against what can be sent.
//!
//! Where they go is `extras`'; here is only what may be set.

use std::collections::BTreeSet;

use http::HeaderName;

use super::error::{FaultCode, FieldFault};
use crate::egress::is_reserved;
use crate::openapi::{ExtraParameter, ParameterPlace, ParameterUse};

/// How many an integration may have. Real documents declare up to four.
const MOST: usize = 64;
/// How long a name or a variable may be, in bytes.
const LONGEST_NAME: usize = 200;
/// How long a value may be, in bytes.
const LONGEST_VALUE: usize = 8 << 10;

/// An extra parameter as an operator gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewParameter {
    /// The header's, form field's or query parameter's name.
    pub name: String,
    /// Where it goes.
    pub place: ParameterPlace,
    /// The requests that carry it; empty: both.
    pub uses: Vec<ParameterUse>,
    /// The input that has its value is called `parameters.VARIABLE`, and several parameters can share it; left out, it is
    /// called after the parameter.
    pub variable: Option<String>,
    /// The value, where it is no secret. The input comes first.
    pub value: Option<String>,
}

/// The parameters as they are kept, and all that is wrong with them, each at its place in the list.
pub(super) fn check(given: &[NewParameter]) -> (Vec<ExtraParameter>, Vec<FieldFault>) {
    let mut faults = Vec::new();
    let mut fault = |place: String, code, message: String| faults.push(FieldFault::new(place, code, message));
    if given.len() > MOST {
        let message = format!("has {} parameters; at most {MOST} are kept", given.len());
        fault("parameters".to_owned(), FaultCode::NotAllowed, message);
    }
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for (index, one) in given.iter().take(MOST).enumerate() {
        let at = |member: &str| format!("parameters[{index}].{member}");
        if let Err((code, message)) = name(&one.name, one.place) {
            fault(at("name"), code, message);
        }
        let folded = match one.place {
            ParameterPlace::Header => one.name.to_ascii_lowercase(),
            ParameterPlace::Body | ParameterPlace::Query => one.name.clone(),
        };
        if !seen.insert((one.place as u8, folded)) {
            fault(at("name"), FaultCode::NotAllowed, "stands twice in the same place".to_owned());
        }
        if let Some(variable) = &one.variable
            && (!is_name(variable) || variable.trim() != variable)
        {
            let message = "is empty, too long, or has spaces around it or control characters".to_owned();
            fault(at("variable"), FaultCode::Malformed, message);
        }
        if let Some(value) = &one.value {
            if value.len() > LONGEST_VALUE {
                let message = format!("has {} bytes; at most {LONGEST_VALUE} are kept", value.len());
                fault(at("value"), FaultCode::Malformed, message);
            }
            if value.chars().any(char::is_control) {
                let message = "holds a control character, such as a line break".to_owned();
                fault(at("value"), FaultCode::Malformed, message);
            }
        }
        let mut uses = one.uses.clone();
        if uses.is_empty() {
            uses = vec![ParameterUse::Token, ParameterUse::Refresh];
        }
        uses.dedup();
        kept.push(ExtraParameter {
            name: one.name.clone(),
            place: one.place,
            uses,
            variable: one.variable.clone(),
            value: one.value.clone().filter(|value| !value.is_empty()),
            description: None,
            detail: None,
        });
    }
    (kept, faults)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control)
}

/// Whether a parameter can be called so in its place.
fn name(name: &str, place: ParameterPlace) -> Result<(), (FaultCode, String)> {
    if !is_name(name) {
        let message = format!("is empty, longer than {LONGEST_NAME} bytes, or has control characters");
        return Err((FaultCode::Malformed, message));
    }
    if place != ParameterPlace::Header {
        return Ok(());
    }
    match HeaderName::from_bytes(name.as_bytes()) {
        Err(_) => Err((FaultCode::Malformed, "is no name of a header".to_owned())),
        Ok(header) if is_reserved(&header) => Err((FaultCode::NotAllowed, format!("is {header}, which the host sets"))),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(name: &str, place: ParameterPlace) -> NewParameter {
        NewParameter { name: name.to_owned(), place, uses: Vec::new(), variable: None, value: None }
    }

    #[test]
    fn what_may_be_added_is_kept_as_the_documents_own_are() {
        let given = NewParameter { value: Some("crm".to_owned()), ..plain("audience", ParameterPlace::Body) };
        let (kept, faults) = check(&[given]);
        assert_eq!(faults, []);
        let both = vec![ParameterUse::Token, ParameterUse::Refresh];
        let expected = ExtraParameter {
            name: "audience".to_owned(),
            place: ParameterPlace::Body,
            uses: both,
            variable: None,
            value: Some("crm".to_owned()),
            description: None,
            detail: None,
        };
        assert_eq!(kept, [expected]);
    }

    #[test]
    fn all_that_is_wrong_is_told_by_its_place() {
        use ParameterPlace::{Body, Header, Query};
        let check = |given: &[NewParameter], expected: &[(&str, &str)]| {
            let (_, faults) = check(given);
            let found: Vec<(&str, &str)> =
                faults.iter().map(|fault| (fault.field.as_str(), fault.message.as_str())).collect();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for ((field, message), (at, part)) in found.iter().zip(expected) {
                assert!(field == at && message.contains(part), "{field} {message}, not {at} {part}");
            }
        };
        check(&[plain("x-tenant", Header), plain("x-tenant", Query), plain("X-Tenant", Body)], &[]);
        check(
            &[
                plain("", Body),
                plain("a b", Header),
                plain("Host", Header),
                plain("x", Header),
                plain("X", Header),
                NewParameter { variable: Some(String::new()), ..plain("v", Query) },
                NewParameter { value: Some("a\nb".to_owned()), ..plain("w", Query) },
            ],
            &[
                ("parameters[0].name", "is empty"),
                ("parameters[1].name", "is no name of a header"),
                ("parameters[2].name", "is host, which the host sets"),
                ("parameters[4].name", "twice"),
                ("parameters[5].variable", "is empty"),
                ("parameters[6].value", "control character"),
            ],
        );
        let many: Vec<NewParameter> = (0..65).map(|number| plain(&format!("p{number}"), Body)).collect();
        check(&many, &[("parameters", "65 parameters; at most 64")]);
    }
}
