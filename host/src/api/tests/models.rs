//! What models hold and what another document would change of them; what a change of an integration would come to.

use serde_json::{Value, json};

use super::rooms::{DOCUMENT, World};
use crate::config::Public;

/// A world with the model `crm` of twelve operations, and two integrations of it.
async fn furnished() -> World {
    let world = World::new(Public::default()).await;
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap();
    for number in 0..12 {
        document["paths"][format!("/things/{number}")] = json!({"get": {"operationId": format!("Thing{number}")}});
    }
    let model = world.call("POST", "/v1/models?name=crm", &document.to_string()).await;
    assert_eq!(model.status, 201, "{}", model.text);
    assert_eq!(world.call("POST", "/v1/models?name=other", DOCUMENT).await.status, 201);
    for (name, model) in [("crm-a", "crm"), ("crm-b", "crm"), ("other-a", "other")] {
        let fields = json!({"client_id": "me", "client_secret": "hunter2"});
        let new = json!({"name": name, "model": model, "fields": fields});
        let made = world.call("POST", "/v1/integrations", &new.to_string()).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    world
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn operations_are_searched_and_paged() {
    let world = furnished().await;
    let page = world.call("GET", "/v1/models/crm/operations?limit=10", "").await.json();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["items"][9]["path"]), (10, &json!("/things/9")));
    let path = format!("/v1/models/crm/operations?limit=10&cursor={}", page["next"].as_str().unwrap());
    let rest = world.call("GET", &path, "").await.json();
    assert_eq!((&rest["items"][0]["path"], &rest["next"]), (&json!("/things/10"), &Value::Null), "{rest}");
    for (part, expected) in [("thing1", 3), ("GET%20/things/2", 1), ("none", 0)] {
        let found = world.call("GET", &format!("/v1/models/crm/operations?q={part}"), "").await.json();
        assert_eq!(found["items"].as_array().unwrap().len(), expected, "{part}: {found}");
    }
    assert_eq!(world.call("GET", "/v1/models/none/operations", "").await.status, 404);
}

#[tokio::test]
async fn a_scheme_says_what_could_be_made_of_it() {
    let world = furnished().await;
    let found = world.call("GET", "/v1/models/crm/schemes/oauth2", "").await.json();
    let offer = json!({"flow": "unwilling", "detail": "clientCredentials",
        "fields": {"token_url": "https://idp.example/token"}});
    assert_eq!(found["offers"], json!([offer]), "{found}");
    assert_eq!(world.call("GET", "/v1/models/crm/schemes/a%2Fb", "").await.status, 404);
    let scoped = DOCUMENT.replace("\"scopes\":{}", "\"scopes\":{\"write\":5,\"read\":\" Read it \",\" \":\"\"}");
    assert_eq!(world.call("POST", "/v1/models?name=scoped", &scoped).await.status, 201);
    let found = world.call("GET", "/v1/models/scoped/schemes/oauth2", "").await.json();
    assert_eq!(found["offers"][0]["scopes"], json!({"read": "Read it", "write": ""}), "{found}");
}

#[tokio::test]
async fn another_document_is_held_against_the_model_and_changes_nothing() {
    let world = furnished().await;
    let before = world.call("GET", "/v1/models/crm", "").await.json();
    let same = world.call("POST", "/v1/models/other/compare", DOCUMENT).await.json();
    assert_eq!(
        (&same["same"], &same["integrations"], &same["others"]),
        (&json!(true), &json!([]), &json!(1)),
        "{same}"
    );

    let newer = DOCUMENT
        .replace("https://idp.example/token", "https://idp.example/v2")
        .replace("\"paths\":{}", "\"paths\":{\"/new\":{\"get\":{}}}");
    let told = world.call("POST", "/v1/models/crm/compare", &newer).await.json();
    assert_eq!((&told["same"], &told["operations"]["added"]), (&json!(false), &json!(["GET /new"])), "{told}");
    assert_eq!(told["operations"]["removed"].as_array().unwrap().len(), 12);
    let note = "flows.clientCredentials.tokenUrl: https://idp.example/token → https://idp.example/v2";
    assert_eq!(told["schemes"]["changed"], json!([{"name": "oauth2", "notes": [note]}]));
    let noticed: Vec<_> = told["integrations"].as_array().unwrap().iter().map(|one| &one["integration"]).collect();
    assert_eq!(noticed, ["crm-a", "crm-b"]);
    assert_eq!(told["integrations"][0]["notes"].as_array().unwrap().len(), 2, "{told}");
    assert_eq!(world.call("GET", "/v1/models/crm", "").await.json(), before);
    let malformed = world.call("POST", "/v1/models/crm/compare", "{}").await;
    assert_eq!((malformed.status.as_u16(), &malformed.json()["code"]), (422, &json!("document_invalid")));
    assert_eq!(world.call("POST", "/v1/models/none/compare", DOCUMENT).await.status, 404);
}

#[tokio::test]
async fn integrations_are_listed_by_model_and_flow() {
    let world = furnished().await;
    let check = async |query: &str, expected: &[&str]| {
        let page = world.call("GET", &format!("/v1/integrations?{query}"), "").await.json();
        assert_eq!(names(&page), expected, "{query}");
    };
    check("model=crm", &["crm-a", "crm-b"]).await;
    check("flow=unwilling&q=a", &["crm-a", "other-a"]).await;
    check("flow=none", &[]).await;
    let first = world.call("GET", "/v1/integrations?model=crm&limit=1", "").await.json();
    assert_eq!(names(&first), ["crm-a"]);
    check(&format!("model=crm&limit=1&cursor={}", first["next"].as_str().unwrap()), &["crm-b"]).await;
}

#[tokio::test]
async fn a_dry_run_says_what_a_change_would_drop() {
    let world = furnished().await;
    let path = "/v1/integrations/crm-a";
    let token = r#"{"access_token":"at-1","token_type":"Bearer","scope":"a b"}"#;
    assert_eq!(world.call("PUT", &format!("{path}/token"), token).await.status, 200);
    let before = world.call("GET", path, "").await.json();
    assert_eq!(
        (&before["token"]["token_type"], &before["token"]["scope"]),
        (&json!("Bearer"), &json!("a b")),
        "{before}"
    );
    assert_eq!(before["rights"], json!(["write_integrations", "use_tokens", "read_token_values"]));
    let check = async |change: Value, dropped: bool, missing: usize| {
        let told = world.call("PATCH", &format!("{path}?dry_run=true"), &change.to_string()).await.json();
        let found = told["missing"].as_array().map_or(0, Vec::len);
        assert_eq!((&told["dropped"], found), (&json!(dropped), missing), "{change}: {told}");
        assert_eq!(world.call("GET", path, "").await.json(), before);
    };
    check(json!({"fields": {"scope": "x"}}), false, 0).await;
    check(json!({"fields": {"token_url": "https://elsewhere.example/"}}), true, 1).await;
    check(json!({"fields": {"token_url": "https://elsewhere.example/", "client_secret": "new"}}), true, 0).await;
}

#[tokio::test]
async fn a_change_is_recorded_by_names_and_secrets_never_by_value() {
    let world = furnished().await;
    let check = async |change: Value, changed: Value, secrets: Value| {
        let answer = world.call("PATCH", "/v1/integrations/crm-a", &change.to_string()).await;
        assert_eq!(answer.status, 200, "{change}: {}", answer.text);
        let record = world.call("GET", "/v1/audit?limit=1", "").await.json()["items"][0].clone();
        assert_eq!((&record["details"]["changed"], &record["details"]["secrets"]), (&changed, &secrets), "{record}");
        assert!(!record.to_string().contains("hunter2"), "{record}");
    };
    check(json!({"fields": {"scope": "hunter2"}}), json!("fields.scope"), Value::Null).await;
    let secret = json!({"fields": {"client_secret": "hunter2-new"}});
    check(secret.clone(), Value::Null, json!("fields.client_secret replaced")).await;
    check(secret, json!("nothing"), Value::Null).await;
    check(json!({"settings": {"uncertain": "retry"}}), json!("settings.uncertain"), Value::Null).await;
    let elsewhere = json!({"fields": {"token_url": "https://hunter2.example/"}});
    check(elsewhere, json!("fields.token_url"), json!("fields.client_secret removed")).await;
    let again = json!({"fields": {"client_secret": "hunter2-b"}});
    check(again, Value::Null, json!("fields.client_secret set")).await;
}

#[tokio::test]
async fn a_change_can_refuse_to_drop_secrets_and_names_them() {
    let world = furnished().await;
    let path = "/v1/integrations/crm-a";
    let before = world.call("GET", path, "").await.json();
    let moved = json!({"fields": {"token_url": "https://elsewhere.example/"}}).to_string();
    let refused = world.call("PATCH", &format!("{path}?drop=false"), &moved).await;
    let told = refused.json();
    assert_eq!((refused.status.as_u16(), &told["code"]), (409, &json!("target_changed")), "{told}");
    let lost: Vec<_> =
        told["errors"].as_array().unwrap().iter().map(|fault| (&fault["field"], &fault["code"])).collect();
    assert_eq!(lost, [(&json!("fields.client_secret"), &json!("dropped"))]);
    assert_eq!(world.call("GET", path, "").await.json(), before, "nothing was changed");
    // What doesn't move anything is made at once; what is given anew isn't lost, but the token is.
    let check = async |query: &str, change: Value, status: u16| {
        let answer = world.call("PATCH", &format!("{path}{query}"), &change.to_string()).await;
        assert_eq!(answer.status, status, "{query} {change}: {}", answer.text);
        answer.json()
    };
    check("?drop=false", json!({"fields": {"scope": "x"}}), 200).await;
    let anew = json!({"fields": {"token_url": "https://elsewhere.example/", "client_secret": "new"}});
    assert_eq!(check("?drop=false", anew.clone(), 409).await.get("errors"), None);
    assert_eq!(check("?drop=true", anew, 200).await["dropped"], true);
    check("?drop=perhaps", json!({}), 422).await;
}

#[tokio::test]
async fn a_model_is_replaced_only_as_it_was_compared() {
    let world = furnished().await;
    let shown = world.call("GET", "/v1/models/other", "").await;
    let digest = shown.json()["digest"].as_str().unwrap().to_owned();
    assert_eq!(shown.header("etag"), format!("\"{digest}\""));
    let (second, third) = (DOCUMENT.replace("CRM", "CRM 2"), DOCUMENT.replace("CRM", "CRM 3"));
    assert!(second != DOCUMENT && third != second);
    let compared = world.call("POST", "/v1/models/other/compare", &second).await.json();
    let newer = compared["to"]["digest"].as_str().unwrap();
    let tag = format!("\"{}\"", compared["from"]["digest"].as_str().unwrap());
    let path = format!("/v1/models/other?digest={newer}");
    // Somebody else replaces it first.
    assert_eq!(world.call("PUT", "/v1/models/other", &third).await.status, 200);
    let late = world.call_with("PUT", &path, &second, &[("if-match", &tag)]).await;
    assert_eq!((late.status.as_u16(), &late.json()["code"]), (412, &json!("precondition_failed")), "{}", late.text);
    let current = world.call("GET", "/v1/models/other", "").await;
    let tag = current.header("etag").to_owned();
    // Another document than the one that was compared.
    let other = world.call_with("PUT", &path, DOCUMENT, &[("if-match", &tag)]).await;
    assert_eq!((other.status.as_u16(), &other.json()["code"]), (409, &json!("changed")), "{}", other.text);
    assert_eq!(world.call("GET", "/v1/models/other", "").await.json(), current.json(), "nothing was replaced");
    let replaced = world.call_with("PUT", &path, &second, &[("if-match", &tag)]).await;
    assert_eq!((replaced.status.as_u16(), replaced.header("etag")), (200, format!("\"{newer}\"").as_str()));
    let gone = world.call_with("PUT", "/v1/models/none", &second, &[("if-match", &tag)]).await;
    assert_eq!(gone.status, 412, "{}", gone.text);
}
