//! From the kept part of a document to a [`Document`].

use std::collections::BTreeSet;

use serde_json::Value;

use super::error::DocumentError;
use super::operations::{self, Operations};
use super::outline::Outline;
use super::references::{self, Expander};
use super::scheme::{self, SecurityScheme, Surroundings};
use super::servers::scalar;
use super::text::{Source, Tree};
use super::url::resolve_url;
use super::warnings::{Warnings, member};
use super::{Document, servers, swagger2};

/// Reads a document.
///
/// # Errors
/// It is none, or beyond a bound.
pub(super) fn read(source: &Source<'_>) -> Result<Document, DocumentError> {
    let mut outline = Outline::document();
    let mut tree = source.parse(&outline)?;
    let version = Version::of(&tree.root)?;
    for _ in 1..references::MAX_ROUNDS {
        if !references::want(&tree.root, &mut outline, &Outline::path_item()) {
            break;
        }
        tree = source.parse(&outline)?;
    }
    document(&tree, version)
}

/// Which OpenAPI it is.
struct Version {
    /// As written.
    written: String,
    /// Whether it is Swagger 2.0.
    swagger: bool,
    /// Whether it is later than what is known here.
    later: bool,
}

impl Version {
    /// The version that the document claims.
    fn of(root: &Value) -> Result<Self, DocumentError> {
        if !root.is_object() {
            return Err(DocumentError::NotOpenApi(
                "its root isn't an object; an OpenAPI document has `openapi` and `info` there".into(),
            ));
        }
        let known = "Swagger 2.0 and OpenAPI 3.0 to 3.2 are read";
        let written = |name: &str| root.get(name).map(|value| scalar(value).unwrap_or_default());
        let (name, written) = match (written("openapi"), written("swagger")) {
            (Some(written), _) => ("openapi", written),
            (None, Some(written)) => ("swagger", written),
            (None, None) => {
                return Err(DocumentError::NotOpenApi(format!(
                    "it has neither `openapi` nor `swagger` at its root; {known}"
                )));
            }
        };
        let mut numbers = written.trim().split('.').map(str::parse::<u32>);
        let (major, minor) = (numbers.next(), numbers.next());
        match (name, major, minor) {
            ("openapi", Some(Ok(3)), Some(Ok(minor))) => Ok(Self { written, swagger: false, later: minor > 2 }),
            ("swagger", Some(Ok(2)), None | Some(Ok(0))) => Ok(Self { written, swagger: true, later: false }),
            _ => {
                let version =
                    (1..=12).contains(&written.len()) && written.chars().all(|c| c.is_ascii_digit() || c == '.');
                let version = if version { format!("`{written}`") } else { "no version".to_owned() };
                Err(DocumentError::NotOpenApi(format!("its `{name}` is {version}; {known}")))
            }
        }
    }
}

/// The document.
fn document(tree: &Tree, version: Version) -> Result<Document, DocumentError> {
    let root = &tree.root;
    let mut warnings = Warnings::default();
    if version.later {
        warnings.add("/openapi", "is a later version than 3.2; read as 3.2");
    }
    for pointer in &tree.repeated {
        warnings.add(pointer, "stands twice in its object; the last one counts");
    }
    let info = |name: &str, warnings: &mut Warnings| {
        let value = root.get("info").and_then(|info| info.get(name));
        let pointer = format!("/info/{name}");
        match value.map(|value| (value, scalar(value))) {
            None => warnings.add(pointer, "is missing"),
            Some((Value::String(_), text)) => return text.unwrap_or_default(),
            Some((_, Some(text))) => {
                warnings.add(pointer, "isn't text; in quotes it would be kept as written");
                return text;
            }
            Some((_, None)) => warnings.add(pointer, "isn't text; taken as missing"),
        }
        String::new()
    };
    let title = info("title", &mut warnings);
    let api_version = info("version", &mut warnings);
    let servers = if version.swagger {
        swagger2::servers(root, root.get("schemes").unwrap_or(&Value::Null), "/schemes", &mut warnings)
    } else {
        servers::read(root.get("servers"), "/servers", &mut warnings)
    };
    let server = servers.iter().find_map(|server| resolve_url(&server.url, None).ok());
    let mut expander = Expander::new(root);
    let around = Surroundings { server: server.as_ref(), flat: version.swagger };
    let schemes = schemes(root, around, &mut expander, &mut warnings);
    let names: BTreeSet<String> = schemes.iter().map(|scheme| scheme.name.clone()).collect();
    let security = operations::security(root.get("security"), "/security", &names, &mut warnings);
    let operations = Operations::new(root, version.swagger, &names, expander).read(&mut warnings)?;
    Ok(Document {
        title,
        version: api_version,
        openapi: version.written,
        servers,
        schemes,
        security,
        operations,
        warnings: warnings.finish(),
    })
}

/// All security schemes.
fn schemes<'a>(
    root: &'a Value,
    around: Surroundings<'_>,
    expander: &mut Expander<'a>,
    warnings: &mut Warnings,
) -> Vec<SecurityScheme> {
    let (pointer, found) = if around.flat {
        ("/securityDefinitions", root.get("securityDefinitions"))
    } else {
        ("/components/securitySchemes", root.get("components").and_then(|components| components.get("securitySchemes")))
    };
    let members = match found {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(members)) => members,
        Some(_) => {
            warnings.add(pointer, "isn't an object; taken as empty");
            return Vec::new();
        }
    };
    let mut schemes = Vec::new();
    for (name, value) in members {
        let pointer = member(pointer, name);
        schemes.push(match expander.expand(value, &pointer, warnings) {
            Err(problem) => {
                let problem = problem.to_string();
                warnings.add(&pointer, format!("this security scheme can't be used: {problem}"));
                scheme::broken(name, value, problem)
            }
            Ok(value) if around.flat => scheme::read(name, swagger2::scheme(&value), &pointer, around, warnings),
            Ok(value) => scheme::read(name, value.into_owned(), &pointer, around, warnings),
        });
    }
    schemes
}
