//! The console in a real Chromium, on a real daemon with a real provider: each page's main path, by who may see it and who
//! may not, what axe finds, hostile texts, and no secret in anything that reaches the browser.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

#[allow(dead_code, reason = "the daemon's own tests use all of it")]
#[path = "../../host/src/flows/tests/guest.rs"]
mod guest;

use guest::Guest;
use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Mock, Options, Provider, browser, mock};

/// The password of all users here.
const PASSWORD: &str = "correct horse battery staple";

/// A daemon with somebody of each kind: `ada`, who administers it; `rita`, who reads integrations; `nora`, who may nothing.
struct Place {
    daemon: Daemon,
    provider: Provider,
    /// Where the settings lie.
    _folder: tempfile::TempDir,
}

/// The name of a security scheme that tries to become something else.
const HOSTILE_SCHEME: &str = "\"><script>alert(5)</script>/../x";

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

    /// A document whose texts try to become something else wherever they are shown.
    fn hostile(&self) -> Value {
        let long = "x".repeat(10_000);
        let flows =
            json!({"clientCredentials": {"tokenUrl": "https://login.example/<script>alert(1)</script>", "scopes": {}}});
        json!({"openapi": "3.1.0", "info": {"title": "<script>alert(1)</script>\u{202e}dlrow", "version": "\"><img src=x onerror=alert(2)>"},
            "servers": [{"url": "https://service.example", "description": "{{7*7}} {% raw %}"}],
            "security": [{HOSTILE_SCHEME: ["<b>scope</b>"]}],
            "paths": {"/<img src=x onerror=alert(3)>": {"get": {"operationId": "</td><script>alert(4)</script>"}},
                format!("/{long}"): {"get": {"operationId": long}}, "/bad": {"get": {"security": "<b>none</b>"}}},
            "components": {"securitySchemes": {
                HOSTILE_SCHEME: {"type": "oauth2", "flows": flows}, "</table>{{7*7}}": {"type": "<b>odd</b>"}}}})
    }

    /// Imports the models, and makes the integrations, that pages of integrations, models and flows are about.
    async fn furnish(&self) {
        let client = self.client();
        client.import("crm", &self.document().to_string()).await;
        client.import("hostile", &self.hostile().to_string()).await;
        let secret = self.provider.text("/clients/basic/client_secret");
        self.integrate("crm-prod", secret).await;
        client.token("crm-prod").await.expect(200);
        self.integrate("crm-other", secret).await;
        let text = |pointer: &str| self.provider.text(pointer);
        let flows = json!({"deviceAuthorization": {"tokenUrl": text("/token_url"), "scopes": {},
            "deviceAuthorizationUrl": text("/device_authorization_url")}});
        let device = json!({"openapi": "3.2.0", "info": {"title": "CRM", "version": "1"}, "paths": {},
            "components": {"securitySchemes": {"person": {"type": "oauth2", "flows": flows}}}});
        client.import("device", &device.to_string()).await;
        let fields =
            json!({"client_id": text("/clients/device/client_id"), "client_auth": "none", "scope": "crm.read"});
        client.integrate(json!({"name": "crm-device", "model": "device", "flow": "device", "fields": fields})).await;
        let mut large = self.document();
        for number in 0..120 {
            large["paths"][format!("/things/{number}")] = json!({"get": {"operationId": format!("thing{number}")}});
        }
        large["components"]["securitySchemes"]["broken"] = json!({"type": "oauth2"});
        client.import("large", &large.to_string()).await;
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
async fn integrations() {
    let place = Place::new().await;
    place.furnish().await;
    let more = json!({"token": place.daemon.token(), "token_url": place.provider.text("/token_url"),
        "device_approve_url": place.provider.text("/device_approve_url"), "hostile_scheme": HOSTILE_SCHEME});
    browser::passes("integrations.test.mjs", &place.world(more)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models() {
    let place = Place::new().await;
    place.furnish().await;
    browser::passes("models.test.mjs", &place.world(json!({"openapi_url": place.provider.text("/openapi_url")}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flows() {
    let place = Place::new().await;
    place.furnish().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |version: &str| {
        let mut guest = Guest::good("robot");
        version.clone_into(&mut guest.version);
        let path = folder.path().join(format!("robot-{version}.wasm"));
        std::fs::write(&path, guest.build()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let more = json!({"component": write("1.0.0"), "newer": write("1.1.0")});
    browser::passes("flows.test.mjs", &place.world(more)).await;
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
async fn the_operation() {
    let place = Place::new().await;
    place.furnish().await;
    let receiver = Mock::start(|seen| mock::answer(if seen.target == "/hook" { 204 } else { 500 }, &[], "")).await;
    browser::passes("operation.test.mjs", &place.world(json!({"receiver": receiver.url}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log() {
    let place = Place::new().await;
    browser::passes("audit.test.mjs", &place.world(json!({"token": place.daemon.token()}))).await;
}
