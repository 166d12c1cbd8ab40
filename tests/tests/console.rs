//! The console in a real Chromium, on a real daemon with a real provider: each page's main path, by who may see it and who
//! may not, what axe finds, hostile texts, and no secret in anything that reaches the browser.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Options, Provider, browser};

/// The password of all users here.
const PASSWORD: &str = "correct horse battery staple";

/// A daemon with somebody of each kind: `ada`, who administers it; `rita`, who reads integrations; `nora`, who may nothing.
struct Place {
    daemon: Daemon,
    provider: Provider,
    /// Where the settings lie.
    _folder: tempfile::TempDir,
}

/// What operators set beyond the defaults: people sign in with a form, and manage their own tokens.
const SETTINGS: &str = r#"
[access]
allowed_login_types = ["form", "token"]
personal_tokens_allowed_profiles = ["Administrator", "REST Services User"]
"#;

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokenhost.toml");
        std::fs::write(&file, SETTINGS).unwrap();
        let options = Options::default().env("TOKENHOST_CONFIG", file.to_str().unwrap());
        let (daemon, provider) = tokio::join!(Daemon::start_with(options), Provider::oidc(&[]));
        let place = Self { daemon, provider, _folder: folder };
        let client = place.client();
        let reader = json!({"name": "Reader", "rights": ["read_integrations", "read_models"]});
        client.post("/v1/profiles", &reader).await.expect(201);
        for (login, profiles) in
            [("ada", vec!["Administrator"]), ("rita", vec!["Reader", "REST Services User"]), ("nora", vec![])]
        {
            let user = json!({"login": login, "profiles": profiles, "password": PASSWORD,
                "contact": {"name": login, "email": format!("{login}@example.com")}});
            client.post("/v1/users", &user).await.expect(201);
        }
        place
    }

    fn client(&self) -> Client {
        self.daemon.client()
    }

    /// The document of a service behind the provider.
    fn document(&self) -> Value {
        let flows = json!({"clientCredentials": {"tokenUrl": self.provider.text("/token_url"), "scopes": {"crm.read": "Read"}}});
        json!({"openapi": "3.1.0", "info": {"title": "CRM", "version": "1.0"},
            "servers": [{"url": self.provider.text("/issuer")}],
            "paths": {"/api/me": {"get": {"operationId": "whoami", "security": [{"oauth2": []}],
                "responses": {"200": {"description": "Who"}}}}},
            "components": {"securitySchemes": {"oauth2": {"type": "oauth2", "flows": flows}}}})
    }

    /// An integration with the provider: it works with the right secret.
    async fn integrate(&self, name: &str, secret: &str) {
        let fields = json!({"client_id": self.provider.text("/clients/basic/client_id"),
            "client_secret": secret, "scope": "crm.read"});
        let made = json!({"name": name, "model": "crm", "flow": "client-credentials", "fields": fields});
        self.client().integrate(made).await;
    }

    /// What a test in the browser is told, and more.
    fn world(&self, more: Value) -> Value {
        let mut world = json!({"url": self.daemon.url(), "password": PASSWORD, "document": self.document(),
            "client_id": self.provider.text("/clients/basic/client_id"),
            "client_secret": self.provider.text("/clients/basic/client_secret"),
            "secrets": [self.provider.text("/clients/basic/client_secret"), self.daemon.token()]});
        world.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview() {
    let place = Place::new().await;
    place.client().import("crm", &place.document().to_string()).await;
    place.integrate("crm-prod", place.provider.text("/clients/basic/client_secret")).await;
    place.client().token("crm-prod").await.expect(200);
    place.integrate("crm-test", "of another client").await;
    place.client().token("crm-test").await.expect(503);
    browser::passes("overview.test.mjs", &place.world(json!({"token": place.daemon.token()}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in() {
    browser::passes("signin.test.mjs", &Place::new().await.world(json!({}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_account() {
    browser::passes("account.test.mjs", &Place::new().await.world(json!({}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_administration() {
    let place = Place::new().await;
    browser::passes("administration.test.mjs", &place.world(json!({"token": place.daemon.token()}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log() {
    let place = Place::new().await;
    browser::passes("audit.test.mjs", &place.world(json!({"token": place.daemon.token()}))).await;
}
