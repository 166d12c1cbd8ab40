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
}
