//! Which security scheme and which flow a new integration uses: those that are named, else the only ones that fit.
//!
//! It checks no field: once there is a choice, the flow says which fields there are.

use std::sync::Arc;

use super::error::{FaultCode, FieldFault};
use super::model::Model;
use crate::flows::{Catalog, Flow};
use crate::openapi::SecurityScheme;

/// What a person asks for.
pub(super) struct Wish<'a> {
    /// The scheme; may be left out where only one can be used.
    pub(super) scheme: Option<&'a str>,
    /// The flow; may be left out where only one serves the scheme.
    pub(super) flow: Option<&'a str>,
    /// What stands before the names of fields in faults.
    pub(super) place: &'a str,
}

/// The scheme and flow that an integration uses.
pub(super) struct Choice<'a> {
    /// The scheme.
    pub(super) scheme: &'a SecurityScheme,
    /// The part of the scheme that the flow serves.
    pub(super) detail: Option<String>,
    /// The flow.
    pub(super) flow: Arc<dyn Flow>,
}

/// The scheme and the flow: those that are named, else the only ones that fit.
pub(super) fn choose<'a>(
    flows: &dyn Catalog,
    wish: &Wish<'_>,
    model: &'a Model,
    faults: &mut Vec<FieldFault>,
) -> Option<Choice<'a>> {
    let schemes = &model.document.schemes;
    let mut fault = |field: &str, code, message: String| {
        faults.push(FieldFault::new(format!("{}{field}", wish.place), code, message));
    };
    let scheme = match wish.scheme {
        Some(name) => match schemes.iter().find(|scheme| scheme.name == name) {
            Some(scheme) => scheme,
            None => {
                let all: Vec<&SecurityScheme> = schemes.iter().collect();
                let message = format!("the model {} has no scheme {name:?}; it has: {}", model.name, names(&all));
                fault("scheme", FaultCode::Unknown, message);
                return None;
            }
        },
        None => {
            let usable: Vec<&SecurityScheme> =
                schemes.iter().filter(|scheme| !candidates(flows, scheme).is_empty()).collect();
            match *obvious(model, &usable).map_or(usable.as_slice(), std::slice::from_ref) {
                [scheme] => scheme,
                [] => {
                    let message = format!("no installed flow serves a security scheme of the model {}", model.name);
                    fault("scheme", FaultCode::NotAllowed, message);
                    return None;
                }
                _ => {
                    let message = format!("the model {} has several that can be used: {}", model.name, names(&usable));
                    fault("scheme", FaultCode::Ambiguous, message);
                    return None;
                }
            }
        }
    };
    let mut candidates = candidates(flows, scheme);
    let listed = |candidates: &[(Option<String>, Arc<dyn Flow>)]| {
        candidates.iter().map(|(_, flow)| flow.description().name.clone()).collect::<Vec<_>>().join(", ")
    };
    if let Some(name) = wish.flow {
        let Some(flow) = flows.get(name) else {
            let fitting: Vec<&str> = candidates.iter().map(|(_, flow)| flow.description().name.as_str()).collect();
            let known = match crate::text::nearest(name, fitting.iter().copied()) {
                Some(meant) => format!("; did you mean {meant:?}?"),
                None if fitting.is_empty() => String::new(),
                None => format!("; these serve the scheme {}: {}", scheme.name, fitting.join(", ")),
            };
            fault("flow", FaultCode::Unknown, format!("no flow {name:?} is installed{known}"));
            return None;
        };
        if flow.description().handles.iter().any(|handled| handled.kind == "named") {
            // Who names it here may do what a document may by `x-tokenhost-flow`.
            return Some(Choice { scheme, detail: part_served(&*flow, scheme), flow });
        }
        let fitting = listed(&candidates);
        candidates.retain(|(_, flow)| flow.description().name == name);
        if candidates.is_empty() {
            let fitting = if fitting.is_empty() { "none".to_owned() } else { fitting };
            let message = format!("the flow {name} doesn't serve the scheme {}; these do: {fitting}", scheme.name);
            fault("flow", FaultCode::NotAllowed, message);
            return None;
        }
    }
    match candidates.len() {
        1 => {}
        0 => {
            let why = scheme.problem.clone().unwrap_or_else(|| "no installed flow serves it".to_owned());
            fault("scheme", FaultCode::NotAllowed, format!("the scheme {} can't be used: {why}", scheme.name));
            return None;
        }
        _ => {
            let message =
                format!("several serve the scheme {}; name one of them: {}", scheme.name, listed(&candidates));
            fault("flow", FaultCode::Ambiguous, message);
            return None;
        }
    }
    let (detail, flow) = candidates.pop()?;
    Some(Choice { scheme, detail, flow })
}

/// The one of several schemes that is meant where nobody says: the only one that the document asks of all operations by
/// itself, else the only one that has tokens.
fn obvious<'a, 'b>(model: &Model, usable: &'b [&'a SecurityScheme]) -> Option<&'b &'a SecurityScheme> {
    let alone = |scheme: &&&SecurityScheme| {
        let alternatives = model.document.security.iter().flatten();
        let mut alone = alternatives.filter(|one| one.0.len() == 1);
        alone.any(|one| one.0.contains_key(&scheme.name))
    };
    let has_tokens = |scheme: &&&SecurityScheme| matches!(scheme.kind.as_str(), "oauth2" | "openIdConnect");
    let only = |found: Vec<&'b &'a SecurityScheme>| if let [one] = *found.as_slice() { Some(one) } else { None };
    only(usable.iter().filter(alone).collect()).or_else(|| only(usable.iter().filter(has_tokens).collect()))
}

/// The flows that serve a scheme, each with the part of the scheme that it serves.
pub(super) fn candidates(flows: &dyn Catalog, scheme: &SecurityScheme) -> Vec<(Option<String>, Arc<dyn Flow>)> {
    if let Some(flow) = scheme.flow.as_ref().and_then(|name| flows.get(name)) {
        return vec![(part_served(&*flow, scheme), flow)];
    }
    let details: Vec<Option<String>> = match scheme.details.is_empty() {
        true => vec![None],
        false => scheme.details.iter().cloned().map(Some).collect(),
    };
    (details.into_iter())
        .flat_map(|detail| {
            let serving = flows.for_scheme(&scheme.kind, detail.as_deref());
            serving.into_iter().map(move |flow| (detail.clone(), flow))
        })
        .collect()
}

/// The part of a scheme that a flow which was named takes its first values from: one that it serves, else the first.
fn part_served(flow: &dyn Flow, scheme: &SecurityScheme) -> Option<String> {
    let handles = &flow.description().handles;
    let served =
        |detail: &&String| handles.iter().any(|one| one.kind == scheme.kind && one.detail.as_ref() == Some(*detail));
    scheme.details.iter().find(served).or(scheme.details.first()).cloned()
}

fn names(schemes: &[&SecurityScheme]) -> String {
    schemes.iter().map(|scheme| scheme.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use chrono::DateTime;
    use serde_json::{Value, json};

    use super::*;
    use crate::flows::description::SchemeMatch;
    use crate::flows::{Context, Description, Event, PluginError, StepRun};
    use crate::openapi;

    /// A flow that is only looked at.
    struct Named(Description);

    #[async_trait]
    impl Flow for Named {
        fn description(&self) -> &Description {
            &self.0
        }

        fn digest(&self) -> &str {
            ""
        }

        async fn advance(&self, _: &Context, _: Event) -> Result<StepRun, PluginError> {
            panic!("nothing runs here")
        }
    }

    /// Flows by name, with the kind and detail that each handles.
    struct Shelf(Vec<Arc<dyn Flow>>);

    impl Shelf {
        fn of(flows: &[(&str, &str, Option<&str>)]) -> Self {
            let flow = |(name, kind, detail): &(&str, &str, Option<&str>)| {
                Arc::new(Named(Description {
                    name: (*name).to_owned(),
                    version: "1.0.0".to_owned(),
                    title: String::new(),
                    summary: String::new(),
                    handles: vec![SchemeMatch { kind: (*kind).to_owned(), detail: detail.map(str::to_owned) }],
                    unattended: true,
                    fields: Vec::new(),
                })) as Arc<dyn Flow>
            };
            Self(flows.iter().map(flow).collect())
        }
    }

    impl Catalog for Shelf {
        fn get(&self, name: &str) -> Option<Arc<dyn Flow>> {
            self.0.iter().find(|flow| flow.description().name == name).cloned()
        }

        fn for_scheme(&self, kind: &str, detail: Option<&str>) -> Vec<Arc<dyn Flow>> {
            let serves = |one: &SchemeMatch| {
                one.kind == kind && one.detail.as_deref().is_none_or(|handled| Some(handled) == detail)
            };
            self.0.iter().filter(|flow| flow.description().handles.iter().any(serves)).cloned().collect()
        }
    }

    /// The flow that is chosen for a model's only scheme, or the first fault.
    fn chosen(scheme: &Value) -> Result<String, String> {
        let shelf = Shelf::of(&[
            ("api-key", "apiKey", None),
            ("aws-sigv4", "named", None),
            ("http-basic", "http", Some("basic")),
            ("kerberos", "http", Some("negotiate")),
        ]);
        let document = json!({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {},
            "components": {"securitySchemes": {"s": scheme}}});
        let model = Model {
            name: "crm".parse().unwrap(),
            organization: "default".parse().unwrap(),
            document: openapi::read(document.to_string().as_bytes()).unwrap(),
            imported_at: DateTime::UNIX_EPOCH,
            bytes: 0,
            digest: String::new(),
        };
        let mut faults = Vec::new();
        let choice = choose(&shelf, &Wish { scheme: None, flow: None, place: "" }, &model, &mut faults);
        choice.map(|choice| choice.flow.description().name.clone()).ok_or_else(|| faults.swap_remove(0).message)
    }

    #[test]
    fn a_scheme_of_http_is_served_by_whichever_flow_handles_it() {
        assert_eq!(chosen(&json!({"type": "http", "scheme": "Basic"})).as_deref(), Ok("http-basic"));
        assert_eq!(chosen(&json!({"type": "http", "scheme": "Negotiate"})).as_deref(), Ok("kerberos"));
        let none = chosen(&json!({"type": "http", "scheme": "hoba"}));
        assert_eq!(none, Err("no installed flow serves a security scheme of the model crm".to_owned()));
    }

    #[test]
    fn a_key_that_signs_is_told_from_one_that_is_sent() {
        let key = |more: Value| {
            let mut scheme = json!({"type": "apiKey", "in": "header", "name": "Authorization"});
            scheme.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            chosen(&scheme)
        };
        assert_eq!(key(json!({})).as_deref(), Ok("api-key"));
        assert_eq!(key(json!({"x-amazon-apigateway-authtype": "awsSigv4"})).as_deref(), Ok("aws-sigv4"));
        let both = json!({"x-amazon-apigateway-authtype": "awsSigv4", "x-tokenhost-flow": "kerberos"});
        assert_eq!(key(both).as_deref(), Ok("kerberos"));
    }
}
