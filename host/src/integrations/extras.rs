//! Extra parameters that a document declares for its token requests (`x-itential-parameters`).
//!
//! Their values are set like fields, as `parameters.NAME`, and kept like secrets: a document doesn't say which of them are.

use crate::egress::{Extra, ExtraLocation};
use crate::flows::request::{Body, Part, Request};
use crate::flows::step::Purpose;
use crate::openapi::{ExtraParameter, ParameterPlace, ParameterUse};

use super::integration::Integration;

/// The fields whose URLs are asked for tokens, in the flows that ship.
const TOKEN_URLS: [&str; 3] = ["token_url", "refresh_url", "login_url"];

/// What the input for a parameter is called: after its variable, which several may share, or its own name.
pub(super) fn input_name(parameter: &ExtraParameter) -> String {
    format!("parameters.{}", parameter.variable.as_deref().unwrap_or(&parameter.name))
}

impl Integration {
    /// Drops the values of parameters that there were and are no more.
    pub(super) fn forget_removed_parameters(&mut self, before: &Self) {
        let now: Vec<String> = self.parameters.iter().chain(&self.settings.parameters).map(input_name).collect();
        for gone in before.settings.parameters.iter().map(input_name).filter(|name| !now.contains(name)) {
            self.secrets.remove(&gone);
        }
    }

    /// The extra parameters of a request. Only token requests have any: those to the URL of a field called
    /// `token_url`, `refresh_url` or `login_url`, and those with a grant type, whose URL may come out of a metadata document.
    pub fn extras(&self, request: &Request, purpose: Purpose) -> Vec<Extra> {
        let is_value_of = |field: &&str| self.values.get(*field).is_some_and(|value| *value == request.url);
        if !TOKEN_URLS.iter().any(is_value_of) && !has_grant_type(request) {
            return Vec::new();
        }
        let used = match purpose {
            Purpose::Refresh => ParameterUse::Refresh,
            Purpose::Acquire | Purpose::Revoke => ParameterUse::Token,
        };
        // Those that were added come last, and so replace the document's of the same name.
        (self.parameters.iter().chain(&self.settings.parameters))
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

/// Whether a request is one for a token, as RFC 6749 sections 4 and 6 have it.
fn has_grant_type(request: &Request) -> bool {
    match &request.body {
        Body::Form(pairs) => pairs.iter().any(|(name, _)| name == "grant_type"),
        Body::Json(members) => members.iter().any(|member| member.pointer == "/grant_type"),
        Body::Empty | Body::Raw(_) => false,
    }
}

fn location(place: ParameterPlace) -> ExtraLocation {
    match place {
        ParameterPlace::Header => ExtraLocation::Header,
        ParameterPlace::Body => ExtraLocation::Body,
        ParameterPlace::Query => ExtraLocation::Query,
    }
}
