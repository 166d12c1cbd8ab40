//! Flows with a person, against the real `oidc-provider`: consent in a real Chromium, codes entered on another device, the
//! refresh of what came of it, and `kill -9` while the person is away.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Options, Person, Provider, eventually};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// A daemon that comes back at the same address, and a provider that sends people back there.
struct Place {
    daemon: Daemon,
    provider: Provider,
}

impl Place {
    async fn new() -> Self {
        // Free a moment ago: the daemon is the next to ask for it.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let daemon = Daemon::start_with(Options::default().env("TOKENHOST_LISTEN", free.to_string())).await;
        let callback = format!("{}/v1/callback", daemon.url());
        let provider = Provider::oidc(&["--redirect-uri", &callback]).await;
        let place = Self { daemon, provider };
        let text = |pointer: &str| place.provider.text(pointer).to_owned();
        let flow = |more: Value| {
            let mut flow = json!({"tokenUrl": text("/token_url"), "scopes": {}});
            flow.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            flow
        };
        let flows = json!({
            "authorizationCode": flow(json!({"authorizationUrl": text("/authorization_url")})),
            "deviceAuthorization": flow(json!({"deviceAuthorizationUrl": text("/device_authorization_url")})),
        });
        let document = json!({"openapi": "3.2.0", "info": {"title": "CRM", "version": "1"}, "paths": {},
            "components": {"securitySchemes": {"person": {"type": "oauth2", "flows": flows}}}});
        place.client().import("crm", &document.to_string()).await;
        for (name, flow, client) in [
            ("code", "authorization-code", "code"),
            ("public", "authorization-code", "code_public"),
            ("device", "device", "device"),
        ] {
            let mut fields = json!({"client_id": text(&format!("/clients/{client}/client_id")), "scope": "crm.read"});
            match client {
                "code" => fields["client_secret"] = text("/clients/code/client_secret").into(),
                _ => fields["client_auth"] = "none".into(),
            }
            if client != "device" {
                fields["issuer"] = text("/issuer").into();
            }
            place.client().integrate(json!({"name": name, "model": "crm", "flow": flow, "fields": fields})).await;
        }
        place
    }

    fn client(&self) -> Client {
        self.daemon.client()
    }

    /// Starts to connect.
    async fn connect(&self, integration: &str) -> Value {
        self.client().post(&format!("/v1/integrations/{integration}/connect"), &Value::Null).await.expect(200)
    }

    /// Starts to connect; the link.
    async fn link(&self, integration: &str) -> String {
        self.connect(integration).await["url"].as_str().unwrap().to_owned()
    }

    /// The token, which must work at the service behind the provider, for the person who consented.
    async fn working(&self, integration: &str) -> Value {
        let token = self.client().token(integration).await.expect(200);
        let (status, who) = self.provider.whoami(token["access_token"].as_str().unwrap()).await;
        assert_eq!((status, &who["user"], &who["scopes"]), (200, &json!("ada"), &json!(["crm.read"])), "{who}");
        token
    }

    /// Renews the token.
    async fn refresh(&self, integration: &str) -> tokenhost_tests::Answer {
        self.client().post(&format!("/v1/integrations/{integration}/token/refresh"), &Value::Null).await
    }

    /// How an attempt ended, once it has.
    async fn outcome(&self, integration: &str, attempt: &Value) -> Value {
        let path = format!("/v1/integrations/{integration}/attempts/{}", attempt.as_str().unwrap());
        let ended = async || {
            let found = self.client().get(&path).await.expect(200);
            found.get("outcome").cloned()
        };
        eventually("the attempt ends", ended).await
    }
}

#[track_caller]
fn is_connected(seen: &Value, integration: &str) {
    assert_eq!((&seen["status"], &seen["title"]), (&json!(200), &json!("Connected · tokenhost")), "{seen}");
    assert!(seen["text"].as_str().unwrap().contains(&format!("{integration} is connected")), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_consents_in_a_browser_and_again_once_the_provider_has_revoked_it() {
    let place = Place::new().await;
    let client = place.client();
    let needed = client.token("code").await.expect(409);
    assert_eq!(needed["code"], "person_needed");
    assert!(needed["detail"].as_str().unwrap().contains("tokenhost integration connect code"), "{needed}");

    let mut links = Vec::new();
    for integration in ["code", "public"] {
        let link = place.link(integration).await;
        let seen = Person::opens(&link, &[]).ends().await;
        is_connected(&seen, integration);
        // The address bar shows the return; the cookies of the connection are gone.
        let cookies = seen["cookies"].as_array().unwrap();
        assert!(cookies.iter().all(|name| !name.as_str().unwrap().starts_with("tokenhost")), "{seen}");
        let token = place.working(integration).await;
        for generation in 2..4 {
            place.refresh(integration).await.expect(200);
            let next = place.working(integration).await;
            assert_eq!(next["generation"], generation);
            assert_ne!(next["access_token"], token["access_token"]);
        }
        links.push((link, seen["url"].as_str().unwrap().to_owned()));
    }
    let refreshes: Vec<Value> = place.provider.log().await;
    let refreshes: Vec<&Value> = refreshes.iter().filter(|entry| entry["grant_type"] == "refresh_token").collect();
    assert!(refreshes.len() == 4 && refreshes.iter().all(|entry| entry["status"] == 200), "{refreshes:?}");

    // The present token is served while somebody connects anew, and whoever says no changes nothing.
    let denied = place.connect("code").await;
    place.working("code").await;
    let seen = Person::opens(denied["url"].as_str().unwrap(), &["--deny"]).ends().await;
    assert_eq!((&seen["status"], &seen["title"]), (&json!(502), &json!("Not connected · tokenhost")), "{seen}");
    assert!(seen["text"].as_str().unwrap().contains("access_denied"), "{seen}");
    assert_eq!(place.outcome("code", &denied["attempt"]).await["code"], "access_denied");
    assert_eq!(place.working("code").await["generation"], 3);

    // A return in another browser, and the same return twice.
    let seen = Person::opens(&place.link("code").await, &["--foreign"]).ends().await;
    assert_eq!((&seen["foreign"]["status"], &seen["replayed"]["status"]), (&json!(403), &json!(403)), "{seen}");
    is_connected(&seen["own"], "code");
    assert_eq!(place.working("code").await["generation"], 4);

    // The provider takes the consent back.
    let revoked = tokenhost_tests::client::http().delete(place.provider.text("/revoke_consents_url")).send().await;
    assert_eq!(revoked.unwrap().status(), 200);
    let problem = place.refresh("code").await.expect(409);
    assert_eq!(problem["code"], "person_needed", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("invalid_grant"), "{problem}");
    client.post("/v1/integrations/code/token/reject", &json!({"generation": 4})).await.expect(202);
    client.token("code").await.expect(409);
    assert_eq!(client.status("code").await["state"], "person_needed");
    is_connected(&Person::opens(&place.link("code").await, &[]).ends().await, "code");
    assert_eq!(place.working("code").await["generation"], 5);

    let log = place.daemon.log();
    for (link, back) in links {
        let ticket = link.rsplit_once('/').unwrap().1;
        assert!(!log.contains(ticket), "the link stands in the log");
        for (name, value) in url::Url::parse(&back).unwrap().query_pairs().filter(|(name, _)| name != "iss") {
            assert!(!log.contains(&*value), "{name} stands in the log");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_the_person_is_away_takes_them_back() {
    let mut place = Place::new().await;
    let mut person = Person::opens(&place.link("code").await, &["--pause"]);
    let at = person.says().await;
    assert!(at["at"].as_str().unwrap().starts_with(place.provider.text("/issuer")), "{at}");
    place.daemon.kill9().await;
    place.daemon.restart().await;
    assert!(place.client().status("code").await["connecting"]["attempt"].is_string());
    place.client().token("code").await.expect(409);
    person.go_on().await;
    is_connected(&person.ends().await, "code");
    place.working("code").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_entered_elsewhere_and_the_daemon_may_be_killed_meanwhile() {
    let mut place = Place::new().await;
    let started = place.connect("device").await;
    let prompt = &started["prompt"];
    assert!(prompt["code"].as_str().unwrap().len() >= 8, "{started}");
    place.client().token("device").await.expect(409);
    place.daemon.kill9().await;
    place.daemon.restart().await;
    let seen = Person::opens(prompt["url"].as_str().unwrap(), &[]).ends().await;
    assert_eq!(seen["title"], "Sign-in Success", "{seen}");
    assert_eq!(place.outcome("device", &started["attempt"]).await["result"], "token");
    let token = place.working("device").await;
    let client = place.client();
    let ended = eventually("the audit record", async || {
        let page = client.get("/v1/audit?action=integration.connect.end").await.expect(200);
        page["items"].as_array().unwrap().first().cloned()
    });
    let ended = ended.await;
    assert_eq!((&ended["object"], &ended["outcome"]), (&json!("integrations/device"), &json!("done")), "{ended}");
    place.refresh("device").await.expect(200);
    assert_ne!(place.working("device").await["access_token"], token["access_token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_tells_the_person_and_waits() {
    let place = Place::new().await;
    let mut command = place.daemon.command(&["integration", "connect", "device", "--no-browser"]);
    let mut running =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
    let code = loop {
        let line = lines.next_line().await.unwrap().expect("it says which code to enter");
        if let Some(code) = line.trim().strip_prefix("code: ") {
            break code.to_owned();
        }
    };
    let approve = format!("{}?user_code={code}&username=ada", place.provider.text("/device_approve_url"));
    let approved = tokenhost_tests::client::http().post(approve).send().await.unwrap();
    assert_eq!(approved.status(), 200);
    let output = running.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "device is connected");
    place.working("device").await;

    // Where the person refuses, the exit code says so. The link is there for programs, too.
    let output =
        place.daemon.command(&["integration", "connect", "code", "--no-wait", "--json"]).output().await.unwrap();
    let started: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(started["url"].as_str().unwrap().contains("/v1/connect/"), "{started}");
    let output = place.daemon.command(&["integration", "show", "code"]).output().await.unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("person_needed") && shown.contains("a person is connecting it"), "{shown}");
}
