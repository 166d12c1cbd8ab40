//! Security schemes: what kind they are, what first values they have for a flow's fields, and what is wrong with them.
//!
//! It doesn't decide which flow serves a scheme, and doesn't resolve a scheme's URLs for use: that needs a server.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::parameters::{self, ExtraParameter};
use super::servers::text;
use super::url::{UrlProblem, resolve_url};
use super::warnings::{Warnings, member, shorten};

/// The extension that picks a flow by name.
const FLOW: &str = "x-tokenhost-flow";
/// The extension by which API Gateway, and the documents of AWS's services, say how an `apiKey` scheme is meant.
const AWS_TYPE: &str = "x-amazon-apigateway-authtype";
/// The flow for its value `awsSigv4`: the key isn't sent, but signs.
const AWS_FLOW: &str = "aws-sigv4";
/// The members of a flow object that are URLs.
const URLS: [&str; 4] = ["authorizationUrl", "tokenUrl", "refreshUrl", "deviceAuthorizationUrl"];

/// A security scheme, in OpenAPI 3 terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecurityScheme {
    /// Its name in the document.
    pub name: String,
    /// Its `type`: `oauth2`, `http`, `apiKey`, `openIdConnect`, `mutualTLS`, or what else is written; empty where
    /// nothing is.
    pub kind: String,
    /// Of `oauth2` the keys of `flows`, e.g. `clientCredentials`; of `http` the scheme, in lower case (RFC 9110 section
    /// 11.1), e.g. `basic`. Empty for others.
    pub details: Vec<String>,
    /// The scheme object in OpenAPI 3 form, `$ref`s resolved.
    pub document: Value,
    /// The flow that `x-tokenhost-flow` names; else `aws-sigv4` where `x-amazon-apigateway-authtype` asks for it.
    pub flow: Option<String>,
    /// Extra parameters of its token requests.
    pub parameters: Vec<ExtraParameter>,
    /// Why no flow can use it as it stands.
    pub problem: Option<String>,
}

impl SecurityScheme {
    /// A first value for a field: the text of this member of the flow object `detail`, else of the scheme itself.
    /// `("clientCredentials", "tokenUrl")` is such a pair. Blank text counts as none.
    pub fn source(&self, detail: Option<&str>, member: &str) -> Option<&str> {
        let flow = detail.and_then(|detail| self.document.get("flows")?.get(detail)?.get(member));
        let text = flow.or_else(|| self.document.get(member))?.as_str()?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The scopes that the flow object `detail` names, with what they are for.
    pub fn scopes(&self, detail: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
        let flow = detail.and_then(|detail| self.document.get("flows")?.get(detail)?.get("scopes")?.as_object());
        flow.into_iter().flatten().map(|(name, about)| (name.trim(), about.as_str().unwrap_or_default().trim()))
    }
}

/// Where schemes stand in their document, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    /// The first absolute server.
    pub(super) server: Option<&'a Url>,
    /// Whether a flow's members stand in the scheme itself, as in Swagger 2.0.
    pub(super) flat: bool,
}

impl Surroundings<'_> {
    /// Where a flow object stands.
    fn flow(self, scheme: &str, detail: &str) -> String {
        if self.flat { scheme.to_owned() } else { member(&member(scheme, "flows"), detail) }
    }
}

/// A scheme whose reference leads nowhere.
pub(super) fn broken(name: &str, document: &Value, problem: String) -> SecurityScheme {
    SecurityScheme {
        name: name.to_owned(),
        kind: String::new(),
        details: Vec::new(),
        document: document.clone(),
        flow: None,
        parameters: Vec::new(),
        problem: Some(problem),
    }
}

/// A scheme from its object in OpenAPI 3 form.
pub(super) fn read(
    name: &str,
    document: Value,
    pointer: &str,
    around: Surroundings<'_>,
    warnings: &mut Warnings,
) -> SecurityScheme {
    if !document.is_object() {
        let problem = "it isn't an object";
        warnings.add(pointer, format!("this security scheme can't be used: {problem}"));
        return broken(name, &document, problem.to_owned());
    }
    let kind = text(&document, "type").unwrap_or_default();
    let flow = text(&document, FLOW).filter(|flow| !flow.is_empty());
    if flow.is_none() && document.get(FLOW).is_some() {
        warnings.add(member(pointer, FLOW), "isn't the name of a flow; ignored");
    }
    let is_aws = |kind: &str| kind.eq_ignore_ascii_case("awsSigv4");
    let flow = flow.or_else(|| text(&document, AWS_TYPE).filter(|kind| is_aws(kind)).map(|_| AWS_FLOW.to_owned()));
    let mut parameters = parameters::read(&document, None, pointer, warnings);
    let details = match kind.as_str() {
        "oauth2" => {
            let mut details = Vec::new();
            for (detail, object) in flow_objects(&document) {
                let at = around.flow(pointer, detail);
                if object.is_object() {
                    check_flow(detail, object, &at, around, warnings);
                    parameters.extend(parameters::read(object, Some(detail), &at, warnings));
                    details.push(detail.clone());
                } else {
                    warnings.add(at, "isn't a flow object; left out");
                }
            }
            details
        }
        "http" => text(&document, "scheme").map(|scheme| scheme.to_ascii_lowercase()).into_iter().collect(),
        _ => Vec::new(),
    };
    let mut problem = problem(&kind, &document, &details);
    if let Some(words) = &problem {
        warnings.add(pointer, format!("this security scheme can't be used: {words}"));
    } else if !matches!(kind.as_str(), "oauth2" | "mutualTLS")
        && let Err(fault) = strict::<openapiv3::SecurityScheme>(&document)
    {
        warnings.add(pointer, fault);
    }
    // A flow that is picked by name knows what to do with it, whatever it is.
    if flow.is_some() {
        problem = None;
    }
    SecurityScheme { name: name.to_owned(), kind, details, document, flow, parameters, problem }
}

/// The members of `flows`, without extensions.
fn flow_objects(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    document.get("flows").and_then(Value::as_object).into_iter().flatten().filter(|(name, _)| !name.starts_with("x-"))
}

/// Why a scheme can't be used, whoever fills in the fields.
fn problem(kind: &str, document: &Value, details: &[String]) -> Option<String> {
    match kind {
        "oauth2" if document.get("flows").is_none_or(|flows| !flows.is_object()) => {
            Some("it has no `flows` object".to_owned())
        }
        "oauth2" => details.is_empty().then(|| "its `flows` has no flow".to_owned()),
        "http" => essential(document, &["scheme"]),
        "apiKey" => essential(document, &["in", "name"]),
        // A missing `openIdConnectUrl` can be filled in.
        "openIdConnect" | "mutualTLS" => None,
        "" => Some("it has no text `type`".to_owned()),
        _ => Some("its `type` is none of `oauth2`, `http`, `apiKey`, `openIdConnect`, `mutualTLS`".to_owned()),
    }
}

/// What is wrong with these members, without which the scheme has no meaning.
fn essential(document: &Value, names: &[&str]) -> Option<String> {
    if let Some(name) = names.iter().find(|name| document.get(**name).is_some_and(|value| value == "")) {
        return Some(format!("its `{name}` is empty"));
    }
    let member = |name: &&str| Some(((*name).to_owned(), document.get(*name)?.clone()));
    let only: Map<String, Value> = ["type"].iter().chain(names).filter_map(member).collect();
    strict::<openapiv3::SecurityScheme>(&Value::Object(only)).err()
}

/// Warns of what is wrong with a flow object. None of it is fatal: what is missing can be filled in by hand.
fn check_flow(detail: &str, object: &Value, pointer: &str, around: Surroundings<'_>, warnings: &mut Warnings) {
    let fault = match detail {
        "clientCredentials" => strict::<openapiv3::ClientCredentialsOAuth2Flow>(object),
        "password" => strict::<openapiv3::PasswordOAuth2Flow>(object),
        "authorizationCode" => strict::<openapiv3::AuthorizationCodeOAuth2Flow>(object),
        "implicit" => strict::<openapiv3::ImplicitOAuth2Flow>(object),
        // Of OpenAPI 3.2, which openapiv3 doesn't know.
        "deviceAuthorization" => Ok(()),
        _ => Err("isn't a flow that OpenAPI knows".to_owned()),
    };
    if let Err(fault) = fault {
        warnings.add(pointer, fault);
    }
    for name in URLS {
        let Some(reference) = object.get(name).and_then(Value::as_str) else { continue };
        match resolve_url(reference, around.server) {
            Ok(_) => {}
            Err(UrlProblem::Empty) => {
                warnings.add(member(pointer, name), "is empty: taken as unset, to be filled in in the integration")
            }
            Err(problem) => warnings.add(
                member(pointer, name),
                format!("can't be used as it is, fill it in in the integration: {problem}"),
            ),
        }
    }
}

/// What `openapiv3` finds wrong.
fn strict<T: DeserializeOwned>(value: &Value) -> Result<(), String> {
    serde_json::from_value::<T>(value.clone()).map(drop).map_err(|error| shorten(&error.to_string()))
}
