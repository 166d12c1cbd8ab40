//! Extra parameters of token requests, as clients set and see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::integrations;
use crate::openapi::{ExtraParameter, ParameterPlace, ParameterUse};

/// An extra parameter of an integration's token requests.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Parameter {
    /// The header's, form field's or query parameter's name.
    #[schema(example = "audience")]
    name: String,
    /// Where it goes.
    r#in: Place,
    /// The requests that carry it; both where left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    use_in: Vec<Use>,
    /// The field that has its value is called `parameters.VARIABLE`; left out, `parameters.NAME`. Several parameters can share
    /// a variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variable: Option<String>,
    /// Its value, which everybody sees who sees the integration. A secret one is set as a field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// Where an extra parameter goes.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// A header.
    Header,
    /// The form or JSON document in the body.
    Body,
    /// The URL's query.
    Query,
}

/// A request that carries an extra parameter.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Use {
    /// The one that gets a token by the credentials.
    Token,
    /// The one that refreshes it.
    Refresh,
}

impl From<Parameter> for integrations::NewParameter {
    fn from(parameter: Parameter) -> Self {
        Self {
            name: parameter.name,
            place: match parameter.r#in {
                Place::Header => ParameterPlace::Header,
                Place::Body => ParameterPlace::Body,
                Place::Query => ParameterPlace::Query,
            },
            uses: (parameter.use_in.iter())
                .map(|one| match one {
                    Use::Token => ParameterUse::Token,
                    Use::Refresh => ParameterUse::Refresh,
                })
                .collect(),
            variable: parameter.variable,
            value: parameter.value,
        }
    }
}

impl From<&ExtraParameter> for Parameter {
    fn from(parameter: &ExtraParameter) -> Self {
        Self {
            name: parameter.name.clone(),
            r#in: match parameter.place {
                ParameterPlace::Header => Place::Header,
                ParameterPlace::Body => Place::Body,
                ParameterPlace::Query => Place::Query,
            },
            use_in: (parameter.uses.iter())
                .map(|one| match one {
                    ParameterUse::Token => Use::Token,
                    ParameterUse::Refresh => Use::Refresh,
                })
                .collect(),
            variable: parameter.variable.clone(),
            value: parameter.value.clone(),
        }
    }
}
