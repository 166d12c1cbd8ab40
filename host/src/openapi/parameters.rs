//! `x-itential-parameters`: extra parameters of token requests, as existing integration models declare them.
//!
//! What is known of the extension, from Itential's public documentation of it ("OpenAPI extensions for auth"; its example
//! is for `oauth2`, its text names OpenID Connect too): it is a list in the security scheme, beside `type` and `flows`.
//! Each item looks like an OpenAPI parameter with a `name`, `in` (`header`, `body` or `query`) and, often, a
//! `description` and a `schema` with a `type`. `x-itential-use-in` lists the requests that carry it: `token`, `refresh`
//! or both. `x-itential-variable` names a variable of the integration (not of the scheme) that has its value; without
//! it, the value is the integration's own setting for this scheme and parameter. The document itself holds no values.
//!
//! Beyond that, and not documented there, it is read tolerantly: the list may sit in a flow object, and then counts for
//! that flow alone; `value`, `default` or `schema.default` give a first value; without `x-itential-use-in` a parameter
//! is for both requests; one word may stand in place of a list.
//!
//! This module only reads; who fills in a value and puts it into a request is no concern of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::servers::{scalar, text};
use super::warnings::{Warnings, member};

/// The name of the extension.
const EXTENSION: &str = "x-itential-parameters";

/// One extra parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraParameter {
    /// The header's, form field's or query parameter's name.
    pub name: String,
    /// Where it goes.
    pub place: ParameterPlace,
    /// The requests that carry it.
    pub uses: Vec<ParameterUse>,
    /// The variable that has its value; several parameters may share one. `None`: the value is set for this parameter.
    pub variable: Option<String>,
    /// The value where none is set, if the document has one.
    pub value: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// The flow (`clientCredentials`) that it is for; `None`: for all of the scheme's.
    pub detail: Option<String>,
}

/// Where a parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterPlace {
    /// A header.
    Header,
    /// The form in the body.
    Body,
    /// The URL's query.
    Query,
}

/// A request that carries a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterUse {
    /// The one that gets a token by the credentials.
    Token,
    /// The one that refreshes it.
    Refresh,
}

/// The parameters that a scheme, or the flow object `detail` of one, declares.
pub(super) fn read(
    holder: &Value,
    detail: Option<&str>,
    pointer: &str,
    warnings: &mut Warnings,
) -> Vec<ExtraParameter> {
    let Some(declared) = holder.get(EXTENSION) else { return Vec::new() };
    let pointer = member(pointer, EXTENSION);
    let Some(items) = declared.as_array() else {
        warnings.add(pointer, "isn't a list of parameters; taken as absent");
        return Vec::new();
    };
    let mut parameters = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let pointer = member(&pointer, &index.to_string());
        match parameter(item, detail, &pointer, warnings) {
            Ok(parameter) => parameters.push(parameter),
            Err(problem) => warnings.add(&pointer, format!("isn't a usable parameter: {problem}; left out")),
        }
    }
    parameters
}

/// One parameter.
fn parameter(
    item: &Value,
    detail: Option<&str>,
    pointer: &str,
    warnings: &mut Warnings,
) -> Result<ExtraParameter, &'static str> {
    let name = text(item, "name").filter(|name| !name.is_empty()).ok_or("it has no text `name`")?;
    let place = match item.get("in").and_then(Value::as_str) {
        Some("header") => ParameterPlace::Header,
        Some("body") => ParameterPlace::Body,
        Some("query") => ParameterPlace::Query,
        _ => return Err("its `in` is none of `header`, `body`, `query`"),
    };
    let uses = match item.get("x-itential-use-in") {
        None | Some(Value::Null) => vec![ParameterUse::Token, ParameterUse::Refresh],
        Some(Value::Array(words)) => words.iter().filter_map(|word| usage(word, pointer, warnings)).collect(),
        Some(word) => usage(word, pointer, warnings).into_iter().collect(),
    };
    let first = [item.get("value"), item.get("default"), item.pointer("/schema/default")]
        .into_iter()
        .flatten()
        .find_map(scalar);
    Ok(ExtraParameter {
        name,
        place,
        uses,
        variable: text(item, "x-itential-variable").filter(|name| !name.is_empty()),
        value: first,
        description: text(item, "description"),
        detail: detail.map(str::to_owned),
    })
}

/// A word of `x-itential-use-in`.
fn usage(word: &Value, pointer: &str, warnings: &mut Warnings) -> Option<ParameterUse> {
    match word.as_str() {
        Some("token") => Some(ParameterUse::Token),
        Some("refresh") => Some(ParameterUse::Refresh),
        _ => {
            warnings
                .add(member(pointer, "x-itential-use-in"), "has something other than `token` and `refresh`; ignored");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(declared: Value, expected: &[ExtraParameter], warned: &[&str]) {
        let mut warnings = Warnings::default();
        let found = read(&json!({ EXTENSION: declared }), None, "/s", &mut warnings);
        assert_eq!(found, expected);
        assert_eq!(warnings.finish().iter().map(|warning| warning.pointer.as_str()).collect::<Vec<_>>(), warned);
    }

    fn plain(name: &str, place: ParameterPlace) -> ExtraParameter {
        let uses = vec![ParameterUse::Token, ParameterUse::Refresh];
        ExtraParameter { name: name.into(), place, uses, variable: None, value: None, description: None, detail: None }
    }

    #[test]
    fn parameters_as_models_declare_them() {
        let assertion = json!({"name": "client_assertion", "in": "header", "description": "d", "x-itential-use-in": ["refresh", "token"], "x-itential-variable": "v"});
        let expected = ExtraParameter {
            uses: vec![ParameterUse::Refresh, ParameterUse::Token],
            variable: Some("v".into()),
            description: Some("d".into()),
            ..plain("client_assertion", ParameterPlace::Header)
        };
        check(json!([assertion]), &[expected], &[]);
        let refresh = ExtraParameter { uses: vec![ParameterUse::Refresh], ..plain("n", ParameterPlace::Query) };
        check(
            json!([{"name": "n", "in": "query", "x-itential-use-in": "refresh", "schema": {"type": "number"}}]),
            &[refresh],
            &[],
        );
        check(json!([{"name": "n", "in": "body"}]), &[plain("n", ParameterPlace::Body)], &[]);
    }

    #[test]
    fn first_values_may_stand_in_three_places() {
        let with = |value: &str| ExtraParameter { value: Some(value.into()), ..plain("n", ParameterPlace::Body) };
        check(json!([{"name": "n", "in": "body", "value": "a", "default": "b"}]), &[with("a")], &[]);
        check(json!([{"name": "n", "in": "body", "default": 5}]), &[with("5")], &[]);
        check(json!([{"name": "n", "in": "body", "schema": {"default": true}}]), &[with("true")], &[]);
    }

    #[test]
    fn faults_say_where() {
        check(json!({"name": "n"}), &[], &["/s/x-itential-parameters"]);
        let broken =
            json!([1, {"in": "body"}, {"name": "", "in": "body"}, {"name": "n"}, {"name": "n", "in": "cookie"}]);
        check(
            broken,
            &[],
            &[0, 1, 2, 3, 4].map(|index| format!("/s/x-itential-parameters/{index}")).each_ref().map(String::as_str),
        );
        let none = ExtraParameter { uses: vec![], ..plain("n", ParameterPlace::Body) };
        check(
            json!([{"name": "n", "in": "body", "x-itential-use-in": [7]}]),
            &[none],
            &["/s/x-itential-parameters/0/x-itential-use-in"],
        );
    }
}
