//! Organizations over HTTP, and what belongs to them.

use crate::name::Name;
use serde_json::{Value, json};

use super::rooms::{DOCUMENT, World};
use crate::config::Public;

/// A world with `acme` over `north` and `south`, the model `crm` in `north`, and an integration of it that has a token.
async fn organized() -> World {
    let world = World::new(Public::default()).await;
    for (name, parent) in [("acme", Value::Null), ("north", json!("acme")), ("south", json!("acme"))] {
        let made = world.call("POST", "/v1/organizations", &json!({"name": name, "parent": parent}).to_string()).await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!(made.header("location"), format!("/v1/organizations/{name}"));
    }
    let model = world.call("POST", "/v1/models?name=crm&organization=north", DOCUMENT).await;
    assert_eq!((model.status.as_u16(), &model.json()["organization"]), (201, &json!("north")), "{}", model.text);
    let new = json!({"name": "crm-prod", "model": "crm", "fields": {"client_id": "me", "client_secret": "hunter2"}});
    let made = world.call("POST", "/v1/integrations", &new.to_string()).await;
    assert_eq!((made.status.as_u16(), &made.json()["organization"]), (201, &json!("north")), "{}", made.text);
    let token = world.call("PUT", "/v1/integrations/crm-prod/token", r#"{"access_token":"at-1"}"#).await;
    assert_eq!(token.status, 200, "{}", token.text);
    world
}

#[tokio::test]
async fn organizations_are_listed_titled_moved_and_deleted() {
    let world = organized().await;
    let page = world.call("GET", "/v1/organizations", "").await.json();
    let listed: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|one| (one["name"].clone(), one["parent"].clone())).collect();
    let expected = [("acme", None), ("default", None), ("north", Some("acme")), ("south", Some("acme"))];
    assert_eq!(listed, expected.map(|(name, parent)| (json!(name), json!(parent))));

    let seen = world.call("GET", "/v1/organizations/south", "").await;
    let tag = seen.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", seen.json()["revision"]));
    let change = r#"{"title":"The South","parent":null}"#;
    let changed = world.call_with("PATCH", "/v1/organizations/south", change, &[("if-match", &tag)]).await;
    assert_eq!((&changed.json()["title"], changed.json().get("parent")), (&json!("The South"), None));
    let late = world.call_with("PATCH", "/v1/organizations/south", change, &[("if-match", &tag)]).await;
    assert_eq!((late.status.as_u16(), &late.json()["code"]), (412, &json!("precondition_failed")));
    assert_eq!(world.call("PATCH", "/v1/organizations/south", "{}").await.json()["title"], "The South");

    for (name, part) in [("acme", "part of this one: north"), ("north", "integration crm-prod, model crm")] {
        let refused = world.call("DELETE", &format!("/v1/organizations/{name}"), "").await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (409, &json!("in_use")), "{name}");
        assert!(refused.text.contains(part), "{}", refused.text);
    }
    assert_eq!(world.call("DELETE", "/v1/organizations/south", "").await.status, 204);
    assert_eq!(world.call("GET", "/v1/organizations/south", "").await.status, 404);
}

#[tokio::test]
async fn an_integration_moves_with_its_secrets_and_its_token() {
    let world = organized().await;
    let path = "/v1/integrations/crm-prod";
    let name = "crm-prod".parse().unwrap();
    let organization = async || world.api.integrations.organization_of(&name).await.unwrap().map(String::from);
    assert_eq!(organization().await.as_deref(), Some("north"));
    let moved = world.call("PATCH", path, r#"{"organization":"south"}"#).await.json();
    assert_eq!((&moved["organization"], &moved["dropped"]), (&json!("south"), &json!(false)), "{moved}");
    assert_eq!((&moved["fields"]["client_secret"], &moved["token"]["state"]), (&json!({"set": true}), &json!("valid")));
    assert_eq!(organization().await.as_deref(), Some("south"));
    let listed = world.call("GET", "/v1/integrations", "").await.json();
    assert_eq!(listed["items"][0]["organization"], "south", "{listed}");
    assert_eq!(world.call("GET", "/v1/models", "").await.json()["items"][0]["organization"], "north");

    // Nothing changes where one of several inputs is wrong.
    let refused = world.call("PATCH", path, r#"{"organization":"none","fields":{"cleint_id":"x"}}"#).await.json();
    let faults: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|fault| fault["field"].clone()).collect();
    assert_eq!(faults, ["organization", "fields.cleint_id"], "{refused}");
    assert_eq!(organization().await.as_deref(), Some("south"));

    assert_eq!(world.call("DELETE", "/v1/organizations/south", "").await.status, 409);
    assert_eq!(world.call("DELETE", &format!("{path}?revoke=maybe"), "").await.status, 422);
    let deleted = world.call("DELETE", path, "").await;
    let not_revoked = json!({"revoked": 0, "not_revoked": "invalid_client: the provider doesn't know it"});
    assert_eq!((deleted.status.as_u16(), deleted.json()), (200, not_revoked));
    assert_eq!(organization().await, None);
    assert_eq!(world.call("DELETE", "/v1/organizations/south", "").await.status, 204);
    assert_eq!(world.call("DELETE", "/v1/organizations/north", "").await.json()["code"], "in_use");
    assert_eq!(world.call("DELETE", "/v1/models/crm", "").await.status, 204);
    assert_eq!(world.call("DELETE", "/v1/organizations/north", "").await.status, 204);
}

#[tokio::test]
async fn lists_of_integrations_show_only_some_organizations() {
    let world = organized().await;
    for (name, organization) in [("a", "south"), ("b", "acme"), ("z", "south")] {
        let fields = json!({"client_id": "me", "client_secret": "hunter2"});
        let new = json!({"name": name, "model": "crm", "organization": organization, "fields": fields});
        assert_eq!(world.call("POST", "/v1/integrations", &new.to_string()).await.status, 201);
    }
    let south = "south".parse().unwrap();
    let acme = "acme".parse().unwrap();
    let tree = world.api.organizations.tree();
    let listed = async |within: std::collections::BTreeSet<Name>| {
        let visible = |_: &Name, organization: &Name| within.contains(organization);
        let found = world.api.integrations.list(None, 9, Some(&visible)).await.unwrap();
        found.into_iter().map(|one| one.name.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(listed(tree.expand([&south])).await, "a z");
    assert_eq!(listed(tree.expand([&acme])).await, "a b crm-prod z");
}
