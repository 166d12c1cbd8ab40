//! The API's description: the golden file, and that it names the routes that there are.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::super::{auth, openapi_json};

/// `UPDATE=1` writes the file anew; look at the difference before you commit it.
#[test]
fn the_description_is_the_one_in_git() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let now = openapi_json();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let place = golden.lines().zip(now.lines()).position(|(golden, now)| golden != now);
    assert!(
        golden == now,
        "the API's description changed at line {place:?}; run this test with UPDATE=1 and look at it"
    );
}

#[test]
fn it_names_exactly_the_routes_of_the_table() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let described: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    // OpenAPI has no word for every method.
    let told = |method| if method == "ANY" { "GET" } else { method };
    let table: BTreeSet<String> = auth::routes().map(|(method, path, _)| format!("{} {path}", told(method))).collect();
    assert_eq!(described, table);
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_problems() {
    let text = openapi_json();
    let document: Value = serde_json::from_str(&text).unwrap();
    for reference in text.split("\"$ref\": \"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/Problem", "{method} {path}");
        }
    }
    assert_eq!(document["openapi"], "3.1.0");
    assert!(
        document["components"]["schemas"]["Code"]["description"].as_str().unwrap().contains("`token_failed` (503)")
    );
    let codes = document["components"]["schemas"]["Code"]["enum"].as_array().unwrap();
    assert!(codes.iter().any(|code| code == "token_failed") && !codes.iter().any(|code| code == "TokenFailed"));
}

/// The names of the schemas that a file declares: `struct` and `enum` with `ToSchema`, and what `#[schema(as = …)]` calls them.
fn declared(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut alias = None;
    let mut is_schema = false;
    for line in source.lines().map(str::trim) {
        let word = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("").to_owned();
        if line.starts_with("#[derive") {
            (is_schema, alias) = (line.contains("ToSchema"), None);
        } else if let Some((_, name)) = line.strip_prefix("#[schema(").and_then(|rest| rest.split_once("as = ")) {
            alias = Some(word(name));
        } else if let Some((_, name)) = line.split_once("struct ").or(line.split_once("enum "))
            && !line.starts_with("//")
        {
            names.extend(std::mem::take(&mut is_schema).then(|| alias.take().unwrap_or_else(|| word(name))));
        }
    }
    names
}

/// Of two schemas of one name, one would take the place of the other, unnoticed.
#[test]
fn no_two_schemas_have_one_name() {
    fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                let names = declared(&std::fs::read_to_string(&path).unwrap());
                found.extend(names.into_iter().map(|name| (name, path.display().to_string())));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api"), &mut found);
    found.sort();
    assert!(found.iter().any(|(name, _)| name == "Problem") && found.len() > 50, "{found:?}");
    let twice: Vec<_> = found.windows(2).filter(|pair| pair[0].0 == pair[1].0).collect();
    assert!(twice.is_empty(), "give one of each another name, by #[schema(as = …)]: {twice:#?}");
}
