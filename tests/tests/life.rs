//! The life of a token on real providers: got, served from memory, renewed at its end, and still there after `kill -9`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Provider, eventually};

/// The providers, each with how its document names the schemes of the two flows, and its clients.
struct Place {
    provider: Provider,
    /// By flow: scheme, client.
    flows: [(&'static str, &'static str, &'static str); 2],
}

async fn oidc(options: &[&str]) -> Place {
    let flows = [("password", "oauth2", "basic"), ("client-credentials", "oauth2", "basic")];
    Place { provider: Provider::oidc(options).await, flows }
}

async fn django(options: &[&str]) -> Place {
    let flows = [("password", "person", "password"), ("client-credentials", "machine", "client_credentials")];
    Place { provider: Provider::django(options).await, flows }
}

/// What an integration of this flow is made from, as an operator would fill it in.
fn integration(place: &Place, (flow, scheme, client): (&str, &str, &str)) -> Value {
    let text = |pointer: &str| place.provider.text(pointer);
    let mut fields = json!({
        "client_id": text(&format!("/clients/{client}/client_id")),
        "client_secret": text(&format!("/clients/{client}/client_secret")),
        "scope": "crm.read",
    });
    if flow == "password" {
        fields["username"] = text("/user/username").into();
        fields["password"] = text("/user/password").into();
    }
    json!({"name": flow, "model": "crm", "scheme": scheme, "flow": flow, "fields": fields})
}

/// The token, which must work at the service behind the provider, for whom it is meant.
async fn working(client: &Client, place: &Place, flow: &str) -> Value {
    let token = client.token(flow).await.expect(200);
    let (status, who) = place.provider.whoami(token["access_token"].as_str().unwrap()).await;
    assert_eq!(status, 200, "{token}");
    let user = if flow == "password" { json!("ada") } else { Value::Null };
    assert_eq!((&who["user"], &who["scopes"]), (&user, &json!(["crm.read"])), "{who}");
    token
}

/// Everything that a token lives through where lifetimes are long.
async fn lives(place: Place) {
    let mut daemon = Daemon::start().await;
    let client = daemon.client();
    let model = client.import("crm", &place.provider.document().await).await;
    assert_eq!(model["warnings"], json!([]), "{model}");
    let mut tokens = Vec::new();
    for flow in place.flows {
        let made = client.integrate(integration(&place, flow)).await;
        assert_eq!(made["fields"]["token_url"], place.provider.text("/token_url"), "{made}");
        assert_eq!((made.get("missing"), &made["token"]["state"]), (None, &json!("absent")), "{made}");

        let token = working(&client, &place, flow.0).await;
        assert_eq!((&token["token_type"], &token["generation"]), (&json!("Bearer"), &json!(1)), "{token}");
        let left = token["expires_in"].as_u64().unwrap();
        assert!((200..=300).contains(&left), "{token}");
        let requests = place.provider.log().await;
        for _ in 0..5 {
            assert_eq!(client.token(flow.0).await.expect(200)["access_token"], token["access_token"]);
        }
        assert_eq!(place.provider.log().await, requests, "served from memory");
        tokens.push(token);
    }

    daemon.kill9().await;
    daemon.restart().await;
    let client = daemon.client();
    let requests = place.provider.log().await;
    for (flow, before) in place.flows.iter().zip(&tokens) {
        let after = working(&client, &place, flow.0).await;
        assert_eq!(
            (&after["access_token"], &after["generation"], &after["expires_at"]),
            (&before["access_token"], &before["generation"], &before["expires_at"])
        );
        // A rejected token is out of use, and another one is there at once for whoever asks.
        let refused =
            client.post(&format!("/v1/integrations/{}/token/reject", flow.0), &json!({"generation": 1})).await;
        assert_eq!(refused.expect(202)["result"], "renewing");
        let next = working(&client, &place, flow.0).await;
        assert_eq!(next["generation"], 2, "{next}");
        let grant = if flow.0 == "password" { "refresh_token" } else { "client_credentials" };
        let last = place.provider.log().await;
        assert_eq!(
            (&last.last().unwrap()["grant_type"], &last.last().unwrap()["status"]),
            (&json!(grant), &json!(200))
        );
    }
    assert_eq!(place.provider.log().await.len(), requests.len() + 2, "one for each rejection");
    daemon.stop().await;
}

/// Tokens that end after two seconds are renewed for whoever asks, again and again, and each works.
async fn expires(place: Place) {
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import("crm", &place.provider.document().await).await;
    for flow in place.flows {
        client.integrate(integration(&place, flow)).await;
        let mut last = client.token(flow.0).await.expect(200);
        for _ in 0..2 {
            // It ends of itself. Nobody asks meanwhile, so nobody renews it ahead of time.
            eventually("the token ends", async || (client.status(flow.0).await["state"] == "expired").then_some(()))
                .await;
            let token = working(&client, &place, flow.0).await;
            assert!(token["generation"].as_u64() > last["generation"].as_u64(), "{token}");
            assert_ne!(token["access_token"], last["access_token"]);
            last = token;
        }
        let grants: Vec<Value> = place.provider.log().await.iter().map(|entry| entry["grant_type"].clone()).collect();
        let (first, later) = match flow.0 {
            "password" => ("password", "refresh_token"),
            _ => ("client_credentials", "client_credentials"),
        };
        let of_flow: Vec<&Value> = grants.iter().filter(|grant| **grant == first || **grant == later).collect();
        assert_eq!(of_flow[0], first);
        assert!(of_flow.len() >= 3 && of_flow[1..].iter().all(|grant| **grant == later), "{grants:?}");
        assert!(place.provider.log().await.iter().all(|entry| entry["status"] == 200));
        let attempts = client.attempts(flow.0).await;
        let purpose = if flow.0 == "password" { "refresh" } else { "acquire" };
        assert_eq!(attempts[0]["purpose"], purpose, "{attempts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_flows_live_on_oidc_provider() {
    lives(oidc(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_flows_live_on_django() {
    lives(django(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_and_are_renewed_on_oidc_provider() {
    expires(oidc(&["--access-ttl", "2"]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_and_are_renewed_on_django() {
    expires(django(&["--access-ttl", "2"]).await).await;
}

/// Which ways to authenticate a client are accepted where ID and secret hold every character that can be got wrong.
async fn authenticates(place: Place, scheme: &str) {
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import("crm", &place.provider.document().await).await;
    let fields = json!({
        "client_id": place.provider.text("/clients/odd/client_id"),
        "client_secret": place.provider.text("/clients/odd/client_secret"),
    });
    for (way, works) in [("basic", true), ("basic-percent", true), ("post", true), ("basic-raw", false)] {
        let mut fields = fields.clone();
        fields["client_auth"] = way.into();
        let new =
            json!({"name": way, "model": "crm", "scheme": scheme, "flow": "client-credentials", "fields": fields});
        client.integrate(new).await;
        let answer = client.token(way).await;
        if works {
            let token = answer.expect(200);
            let (status, who) = place.provider.whoami(token["access_token"].as_str().unwrap()).await;
            assert_eq!((status, &who["client_id"]), (200, &fields["client_id"]), "{way}");
        } else {
            // The ID has a colon, which raw Basic can't carry: nothing leaves.
            let problem = answer.expect(503);
            assert_eq!(problem["reason"], "request_refused", "{problem}");
            assert!(problem["detail"].as_str().unwrap().contains("RFC 7617"), "{problem}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_authenticated_in_every_way_at_oidc_provider() {
    authenticates(oidc(&[]).await, "oauth2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_authenticated_in_every_way_at_django() {
    authenticates(django(&[]).await, "machine").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_client_needs_no_secret_and_a_wrong_password_is_told() {
    let place = django(&[]).await;
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import("crm", &place.provider.document().await).await;
    let mut new = integration(&place, ("password", "person", "password"));
    new["fields"]["client_id"] = place.provider.text("/clients/password_none/client_id").into();
    new["fields"]["client_secret"] = Value::Null;
    new["fields"]["client_auth"] = "none".into();
    client.integrate(new.clone()).await;
    working(&client, &place, "password").await;
    client.post("/v1/integrations/password/token/refresh", &Value::Null).await.expect(200);
    working(&client, &place, "password").await;

    new["name"] = "wrong".into();
    new["fields"]["password"] = "not-the-password-of-ada".into();
    client.integrate(new).await;
    let problem = client.token("wrong").await.expect(503);
    assert_eq!((&problem["reason"], &problem["field"]), (&json!("invalid_grant"), &json!("password")), "{problem}");
    assert!(!problem.to_string().contains("not-the-password-of-ada"), "{problem}");
}
