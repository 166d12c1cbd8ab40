//! A client of the daemon's API, as a program of an automation engineer would have one.

use std::sync::Once;

use reqwest::Method;
use serde_json::{Value, json};

use crate::PATIENCE;

/// A client with a token of its own, or none.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// It is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }

    /// The body as JSON, of an answer with this status.
    ///
    /// # Panics
    /// It has another one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// A header's value, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// An HTTP client without a proxy.
///
/// # Panics
/// It can't be made.
pub fn http() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

impl Client {
    /// A client of the API at this URL.
    pub fn new(base: &str, token: Option<&str>) -> Self {
        Self { http: http(), base: base.to_owned(), token: token.map(str::to_owned) }
    }

    /// One call, which may fail on its way.
    ///
    /// # Errors
    /// There is no complete answer.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> reqwest::Result<Answer> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if !body.is_empty() {
            request = request.header("content-type", content_type).body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }

    /// One call.
    ///
    /// # Panics
    /// There is no complete answer.
    pub async fn send(&self, method: &str, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let answer = self.try_send(method, path, content_type, body.into()).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    /// One call with a JSON body; null: none.
    pub async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, "application/json", body).await
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &Value::Null).await
    }

    /// `POST`.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, body).await
    }

    /// Imports a document, JSON or YAML.
    ///
    /// # Panics
    /// It is refused.
    pub async fn import(&self, model: &str, document: &str) -> Value {
        let kind = if document.starts_with('{') { "application/json" } else { "application/yaml" };
        self.send("POST", &format!("/v1/models?name={model}"), kind, document).await.expect(201)
    }

    /// Imports a model `NAME` with one scheme of these flows, all with this token URL.
    pub async fn import_oauth(&self, model: &str, token_url: &str) -> Value {
        let flow = json!({"tokenUrl": token_url, "scopes": {}});
        let scheme = json!({"type": "oauth2", "flows": {"clientCredentials": flow, "password": flow}});
        let document = json!({"openapi": "3.1.0", "info": {"title": "A mock", "version": "1"}, "paths": {},
            "components": {"securitySchemes": {"oauth2": scheme}}});
        self.import(model, &document.to_string()).await
    }

    /// Makes an integration.
    ///
    /// # Panics
    /// It is refused.
    pub async fn integrate(&self, new: Value) -> Value {
        self.post("/v1/integrations", &new).await.expect(201)
    }

    /// Asks for an integration's token.
    pub async fn token(&self, integration: &str) -> Answer {
        self.get(&format!("/v1/integrations/{integration}/token")).await
    }

    /// How an integration's token is.
    ///
    /// # Panics
    /// It isn't told.
    pub async fn status(&self, integration: &str) -> Value {
        self.get(&format!("/v1/integrations/{integration}/token/status")).await.expect(200)
    }

    /// The attempts of an integration, the newest first.
    ///
    /// # Panics
    /// They aren't told.
    pub async fn attempts(&self, integration: &str) -> Vec<Value> {
        let page = self.get(&format!("/v1/integrations/{integration}/attempts?limit=100")).await.expect(200);
        page["items"].as_array().unwrap().clone()
    }
}
