//! Extra parameters that a document declares for its token requests (`x-itential-parameters`).
//!
//! Their values are set like fields, as `parameters.NAME`, and kept like secrets: a document doesn't say which of them are.

use crate::egress::{Extra, ExtraLocation};
use crate::flows::request::Part;
use crate::flows::step::Purpose;
use crate::openapi::{ExtraParameter, ParameterPlace, ParameterUse};

use super::integration::Integration;

/// What the input for a parameter is called: after its variable, which several may share, or its own name.
pub(super) fn input_name(parameter: &ExtraParameter) -> String {
    format!("parameters.{}", parameter.variable.as_deref().unwrap_or(&parameter.name))
}

impl Integration {
    /// The extra parameters of a request to this URL. Only requests to `token_url` and `refresh_url` have any.
    pub fn extras(&self, url: &str, purpose: Purpose) -> Vec<Extra> {
        let is_value_of = |field: &str| self.values.get(field).is_some_and(|value| value == url);
        if !is_value_of("token_url") && !is_value_of("refresh_url") {
            return Vec::new();
        }
        let used = match purpose {
            Purpose::Refresh => ParameterUse::Refresh,
            Purpose::Acquire | Purpose::Revoke => ParameterUse::Token,
        };
        (self.parameters.iter())
            .filter(|parameter| parameter.uses.contains(&used))
            .filter_map(|parameter| {
                let name = input_name(parameter);
                let value = match self.secrets.get(&name) {
                    Some(_) => Part::Secret(name),
                    None => Part::Text(parameter.value.clone()?),
                };
                Some(Extra { location: location(parameter.place), name: parameter.name.clone(), value: vec![value] })
            })
            .collect()
    }
}

fn location(place: ParameterPlace) -> ExtraLocation {
    match place {
        ParameterPlace::Header => ExtraLocation::Header,
        ParameterPlace::Body => ExtraLocation::Body,
        ParameterPlace::Query => ExtraLocation::Query,
    }
}
