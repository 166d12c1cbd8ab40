//! Which parameters there are, and the caller's values held against them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::path::{self, Part};
use crate::fault::{FaultCode, FieldFault};
use crate::openapi::{OperationDetail, Parameter, Place, Schema, SchemaFault, Style, Wrong};

/// Most parameters that are named where one is unknown.
const MAX_NAMED: usize = 30;
/// Headers that no caller sets by a parameter: they are the connection's, the body's or the credentials'.
const NOT_FOR_CALLERS: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "cookie",
    "proxy-authorization",
];

/// Whether a header is one that callers don't set.
pub(in crate::calls) fn is_reserved_header(name: &str) -> bool {
    NOT_FOR_CALLERS.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

/// The parameters of an operation.
pub(super) struct Table<'a> {
    detail: &'a OperationDetail,
    /// Those that a request can have.
    parameters: Vec<Parameter>,
}

impl<'a> Table<'a> {
    /// The parameters of an operation at this path template. Names in the template that the document doesn't describe
    /// are parameters too.
    pub(super) fn new(detail: &'a OperationDetail, template: &str) -> Self {
        let parts = path::parts(template);
        let in_template: BTreeSet<&str> =
            parts.iter().filter_map(|part| if let Part::Name(name) = part { Some(*name) } else { None }).collect();
        let stands = |parameter: &&Parameter| match parameter.place {
            Place::Path => in_template.contains(parameter.name.as_str()),
            Place::Header => !is_reserved_header(&parameter.name),
            _ => true,
        };
        let mut parameters: Vec<Parameter> = detail.parameters.iter().filter(stands).cloned().collect();
        for name in in_template {
            if !parameters.iter().any(|parameter| parameter.place == Place::Path && parameter.name == name) {
                parameters.push(Parameter {
                    name: name.to_owned(),
                    place: Place::Path,
                    required: true,
                    style: Style::Simple,
                    explode: false,
                    allow_reserved: false,
                    media_type: None,
                    schema: Schema::default(),
                });
            }
        }
        Self { detail, parameters }
    }

    /// The value of each parameter that is given. What is unknown, missing or of a wrong type is a fault.
    pub(super) fn values(
        &self,
        given: &Map<String, Value>,
        supplied: &dyn Fn(Place, &str) -> bool,
        faults: &mut Vec<FieldFault>,
    ) -> Vec<(&Parameter, Value)> {
        let mut values: Vec<(&Parameter, Value)> = Vec::new();
        let mut named = BTreeSet::new();
        for (key, value) in given {
            let field = format!("parameters.{key}");
            let parameter = match self.find(key) {
                Ok(parameter) => parameter,
                Err((code, message)) => {
                    faults.push(FieldFault::new(field, code, message));
                    continue;
                }
            };
            if !named.insert((parameter.place, parameter.name.as_str())) {
                let message =
                    format!("is the {} parameter {}, which is given already", parameter.place.as_str(), parameter.name);
                faults.push(FieldFault::new(field, FaultCode::Ambiguous, message));
                continue;
            }
            // Null is no value that a request could have here.
            if value.is_null() {
                named.remove(&(parameter.place, parameter.name.as_str()));
                continue;
            }
            let as_text = parameter.media_type.is_none();
            let judged = if as_text { self.detail.read_text(&parameter.schema, value) } else { value.clone() };
            let wrong = self.detail.check(&parameter.schema, &judged);
            if wrong.is_empty() {
                values.push((parameter, value.clone()));
            }
            faults.extend(wrong.into_iter().map(|fault| fault_at(&field, fault)));
        }
        for parameter in &self.parameters {
            let Parameter { name, place, required, .. } = parameter;
            if *required && !named.contains(&(*place, name.as_str())) && !supplied(*place, name) {
                let alone = self.parameters.iter().filter(|other| other.name == *name).count() == 1;
                let key = if alone { name.clone() } else { format!("{}.{name}", place.as_str()) };
                let message = format!("must be given: the {} needs it", in_words(*place));
                faults.push(FieldFault::new(format!("parameters.{key}"), FaultCode::Missing, message));
            }
        }
        // In the document's order, which some services want.
        values.sort_by_key(|(parameter, _)| {
            self.parameters.iter().position(|other| std::ptr::eq(other, *parameter)).unwrap_or(usize::MAX)
        });
        values
    }

    /// The parameter that a caller names.
    fn find(&self, key: &str) -> Result<&Parameter, (FaultCode, String)> {
        let is_named = |parameter: &&Parameter, name: &str| {
            parameter.name == name || parameter.place == Place::Header && parameter.name.eq_ignore_ascii_case(name)
        };
        let by_name: Vec<&Parameter> = self.parameters.iter().filter(|parameter| is_named(parameter, key)).collect();
        match by_name.as_slice() {
            [one] => return Ok(one),
            [] => {}
            several => {
                let names: Vec<_> = several.iter().map(|one| format!("{}.{key}", one.place.as_str())).collect();
                return Err((FaultCode::Ambiguous, format!("stands in several places; say {}", names.join(" or "))));
            }
        }
        let by_place = key.split_once('.').and_then(|(place, name)| {
            self.parameters.iter().find(|parameter| parameter.place.as_str() == place && is_named(parameter, name))
        });
        by_place.ok_or_else(|| {
            let names: Vec<_> = self.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
            let names = match names.len() {
                0 => "this operation has none".to_owned(),
                count if count > MAX_NAMED => format!("this operation has {count} others"),
                _ => format!("this operation has {}", names.join(", ")),
            };
            (FaultCode::Unknown, format!("there is no such parameter; {names}"))
        })
    }
}

/// A fault of a value as that of a caller's field.
pub(super) fn fault_at(field: &str, fault: SchemaFault) -> FieldFault {
    let field = if fault.pointer.is_empty() { field.to_owned() } else { format!("{field}.{}", fault.pointer) };
    let code = match fault.wrong {
        Wrong::Missing => FaultCode::Missing,
        Wrong::Unknown => FaultCode::Unknown,
        Wrong::Malformed => FaultCode::Malformed,
    };
    FieldFault::new(field, code, fault.message)
}

/// Where a parameter stands, for people.
fn in_words(place: Place) -> &'static str {
    match place {
        Place::Path => "path",
        Place::Query => "operation's query",
        Place::Header => "operation's headers",
        Place::Cookie => "operation's cookies",
    }
}
