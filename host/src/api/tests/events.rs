//! Events, webhooks and status over HTTP: who sees what, and what is refused.

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::super::server;
use super::rooms::{DOCUMENT, World};
use crate::access::Policy;
use crate::config::Public;
use crate::notices::{Kind, Notice};

/// A world with an integration in `north` and one in `south`, and an event of each and of a flow, a webhook and a token.
async fn divided() -> World {
    let policy =
        Policy { personal_tokens_allowed_profiles: vec!["REST Services User".parse().unwrap()], ..Policy::default() };
    let world = World::with_policy(Public::default(), policy).await;
    for target in ["north", "south"] {
        world.call("POST", "/v1/organizations", &json!({"name": target}).to_string()).await;
        let path = format!("/v1/models?name=crm-{target}&organization={target}");
        assert_eq!(world.call("POST", &path, DOCUMENT).await.status, 201);
        let fields = json!({"client_id": "me", "client_secret": "hunter2"});
        let new = json!({"name": format!("in-{target}"), "model": format!("crm-{target}"), "fields": fields});
        assert_eq!(world.call("POST", "/v1/integrations", &new.to_string()).await.status, 201);
        let (name, organization) = (format!("in-{target}").parse().unwrap(), target.parse().unwrap());
        let notice = Notice::new(Kind::PersonNeeded, format!("of {target}")).on(&name, &organization);
        world.api.notices.tell(notice);
    }
    let north = "north".parse().unwrap();
    world.api.notices.tell(Notice::new(Kind::FlowQuarantined, "of a flow").flow("f"));
    world.api.notices.tell(Notice::new(Kind::WebhookDisabled, "of a webhook").webhook(&"ops".parse().unwrap()));
    let token = Notice::new(Kind::PersonalTokenExpiring, "of ada's token");
    world.api.notices.tell(token.personal_token("abcdefghijkl", "ada", Some(&north)));
    world.api.notices.settled().await;
    world
}

/// The messages of the events that somebody sees.
async fn seen(world: &World, token: &SecretString, query: &str) -> Vec<String> {
    let headers = [("authorization", &*format!("Bearer {}", token.expose_secret()))];
    let page = world.call_with("GET", &format!("/v1/events{query}"), "", &headers).await.json();
    let items = page["items"].as_array().unwrap_or_else(|| panic!("{page}"));
    items.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn everybody_sees_the_events_of_what_they_may_see() {
    let world = divided().await;
    let all = ["of ada's token", "of a webhook", "of a flow", "of south", "of north"];
    assert_eq!(seen(&world, &world.token, "").await, all);
    let check = async |name: &str, profile: &str, organizations: &[&str], expected: &[&str]| {
        let token = world.application(name, &[profile, "REST Services User"], organizations, &["REST/JSON"]).await;
        assert_eq!(seen(&world, &token, "").await, expected, "{name}");
    };
    check("a", "Administrator", &["south"], &["of a flow", "of south"]).await;
    check("b", "Auditor", &["north"], &["of ada's token", "of a flow", "of north"]).await;
    check("c", "Integration User", &[], &["of a flow", "of south", "of north"]).await;
    check("d", "REST Services User", &[], &[]).await;
    // A user sees what is about their own tokens.
    let user = json!({"login": "ada", "profiles": ["REST Services User"], "contact": {"organization": "south"}});
    assert_eq!(world.call("POST", "/v1/users", &user.to_string()).await.status, 201);
    let token = json!({"user": "ada", "application": "x", "scopes": ["REST/JSON"]});
    let made = world.call("POST", "/v1/personal-tokens", &token.to_string()).await.json();
    let own = SecretString::from(made["token"].as_str().unwrap_or_else(|| panic!("{made}")));
    assert_eq!(seen(&world, &own, "").await, ["of ada's token"]);
}

#[tokio::test]
async fn lists_are_filtered_paged_and_go_either_way() {
    let world = divided().await;
    let of = async |query: &str| seen(&world, &world.token, query).await;
    assert_eq!(of("?integration=in-north").await, ["of north"]);
    assert_eq!(of("?kind=flow.quarantined,webhook.disabled").await, ["of a webhook", "of a flow"]);
    let first = world.call("GET", "/v1/events?limit=2", "").await.json();
    assert_eq!(of(&format!("?limit=2&cursor={}", first["next"].as_str().unwrap())).await, ["of a flow", "of south"]);
    let all = world.call("GET", "/v1/events", "").await.json();
    let south = all["items"][3]["id"].as_str().unwrap();
    assert_eq!(of(&format!("?after={south}&limit=2")).await, ["of a flow", "of a webhook"]);
    for wrong in ["kind=x", "after=x", "integration=A", "limit=0", "nothing=1"] {
        assert_eq!(world.call("GET", &format!("/v1/events?{wrong}"), "").await.status, 422, "{wrong}");
        assert_eq!(world.call("GET", &format!("/v1/events/stream?{wrong}"), "").await.status, 422, "{wrong}");
    }
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_and_ends_with_its_token() {
    let world = divided().await;
    let token = world.application("reader", &["Administrator"], &[], &["REST/JSON"]).await;
    let all = world.call("GET", "/v1/events", "").await.json();
    let south = all["items"][3]["id"].as_str().unwrap();
    let request = Request::builder().uri("/v1/events/stream").header("last-event-id", south);
    let request = request.header("auth-token", token.expose_secret()).body(Body::empty()).unwrap();
    let response = server::answer(world.router.clone(), request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut chunks = response.into_body().into_data_stream();
    let mut next = async || {
        let chunk = chunks.next().await?;
        Some(String::from_utf8(chunk.unwrap().to_vec()).unwrap())
    };
    assert_eq!(next().await.unwrap(), "retry: 3000\n\n");
    let missed = next().await.unwrap();
    let kinds: Vec<&str> = missed.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(kinds, ["flow.quarantined", "webhook.disabled", "personal_token.expiring"]);

    let (name, organization) = ("in-north".parse().unwrap(), "north".parse().unwrap());
    world.api.notices.tell(Notice::new(Kind::TokenRenewed, "live").on(&name, &organization).token(7, None));
    let live = next().await.unwrap();
    let data = live.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let event: Value = serde_json::from_str(data).unwrap();
    assert!(live.starts_with(&format!("id: {}\nevent: token.renewed\n", event["id"].as_str().unwrap())), "{live}");
    assert_eq!((&event["message"], &event["generation"]), (&json!("live"), &json!(7)));

    // What it sees is what it may see now; then it may see nothing.
    let reader = world.principal_of(&token).await;
    let path = format!("/v1/application-tokens/{}", reader.token_id());
    let changed = world.call("PATCH", &path, r#"{"profiles":["REST Services User"]}"#).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    world.api.notices.tell(Notice::new(Kind::TokenRenewed, "hidden").on(&name, &organization));
    world.api.notices.settled().await;
    assert_eq!(world.call("DELETE", &path, "").await.status, 204);
    world.api.notices.tell(Notice::new(Kind::TokenRenewed, "gone").on(&name, &organization));
    let rest = next().await;
    assert!(rest.as_ref().is_none_or(|text| !text.contains("hidden") && !text.contains("gone")), "{rest:?}");
}

#[tokio::test]
async fn a_webhook_lives_over_http_and_shows_its_secret_only_where_it_is_made() {
    let world = World::new(Public::default()).await;
    let new = r#"{"name":"ops","url":"https://ops.example/hook","kinds":["token.person_needed"]}"#;
    let made = world.call("POST", "/v1/webhooks", new).await;
    assert_eq!((made.status.as_u16(), made.header("location")), (201, "/v1/webhooks/ops"), "{}", made.text);
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    assert_eq!(world.call("POST", "/v1/webhooks", new).await.json()["code"], "exists");
    let shown = world.call("GET", "/v1/webhooks/ops", "").await;
    assert!(!shown.text.contains("whsec_") && shown.json()["state"] == "working", "{}", shown.text);
    let tag = shown.header("etag").to_owned();
    let changed =
        world.call_with("PATCH", "/v1/webhooks/ops", r#"{"enabled":false,"kinds":[]}"#, &[("if-match", &tag)]).await;
    assert_eq!((&changed.json()["state"], &changed.json()["kinds"]), (&json!("disabled"), &json!([])));
    let late = world.call_with("PATCH", "/v1/webhooks/ops", "{}", &[("if-match", &tag)]).await;
    assert_eq!(late.status, 412, "{}", late.text);
    let rotated = world.call("POST", "/v1/webhooks/ops/secret", r#"{"grace_seconds":60}"#).await.json();
    assert!(rotated["secret"] != secret && rotated["old_secret_signs_until"].is_string(), "{rotated}");
    let page = world.call("GET", "/v1/webhooks", "").await.json();
    assert_eq!((&page["items"][0]["name"], page["items"].as_array().unwrap().len()), (&json!("ops"), 1));
    // That somebody has disabled it is as they want it.
    assert_eq!(world.call("GET", "/v1/status", "").await.json()["attention"], json!([]));
    let audit = world.call("GET", "/v1/audit?limit=100", "").await.text;
    assert!(audit.contains("webhook.rotate_secret") && !audit.contains("whsec_"), "{audit}");
    assert_eq!(world.call("DELETE", "/v1/webhooks/ops", "").await.status, 204);
    assert_eq!(world.call("GET", "/v1/webhooks/ops", "").await.status, 404);
    let wrong = world.call("POST", "/v1/webhooks", r#"{"name":"x","url":"http://10.0.0.1/","kinds":["y"]}"#).await;
    let fields: Vec<Value> =
        wrong.json()["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!((wrong.status.as_u16(), fields), (422, vec![json!("kinds"), json!("url")]));
}

#[tokio::test]
async fn status_shows_what_is_wrong_to_who_may_see_it() {
    let world = divided().await;
    assert_ne!(world.call("GET", "/v1/integrations/in-north/token", "").await.status, 200);
    let status = world.call("GET", "/v1/status", "").await.json();
    let item = &status["attention"][0];
    assert_eq!((&item["subject"], &item["kind"]), (&json!("integration/in-north"), &json!("failing")), "{status}");
    assert!(item["remedy"].as_str().unwrap().starts_with("tokenhost integration set in-north --secret"), "{item}");
    assert_eq!((&status["healthy"]["webhooks"], &status["daemon"]["ready"]), (&json!(0), &json!(true)));
    let of = async |name: &str, profile: &str, organization: &str| {
        let token = world.application(name, &[profile, "REST Services User"], &[organization], &["REST/JSON"]).await;
        let headers = [("authorization", &*format!("Bearer {}", token.expose_secret()))];
        let status = world.call_with("GET", "/v1/status", "", &headers).await.json();
        (status["attention"].as_array().unwrap().len(), status["healthy"].clone())
    };
    assert_eq!(of("a", "Integration User", "north").await, (1, json!({"integrations": 0, "flows": 0})));
    assert_eq!(of("b", "Integration User", "south").await, (0, json!({"integrations": 1, "flows": 0})));
    assert_eq!(of("c", "REST Services User", "south").await, (0, json!({"integrations": 0})));
    let limited = world.call("GET", "/v1/status?limit=1", "").await.json();
    assert_eq!((limited["attention"].as_array().unwrap().len(), &limited["more"]), (1, &json!(0)));
}
