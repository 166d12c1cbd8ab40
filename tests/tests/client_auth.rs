//! How clients authenticate themselves at a real provider, what a rotated secret does, discovery, and revocation.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Provider};

/// An integration of the provider's document, by the client-credentials flow, with these fields besides the client's ID.
async fn integrate(client: &Client, provider: &Provider, name: &str, as_client: &str, fields: Value) -> Value {
    let mut all = json!({"client_id": provider.text(&format!("/clients/{as_client}/client_id")), "scope": "crm.read"});
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    client.integrate(json!({"name": name, "model": "crm", "flow": "client-credentials", "fields": all})).await
}

/// The token of an integration, which must open the service behind the provider for this client.
async fn working(client: &Client, provider: &Provider, name: &str, as_client: &str) -> String {
    let token = client.token(name).await.expect(200)["access_token"].as_str().unwrap().to_owned();
    let (status, who) = provider.whoami(&token).await;
    assert_eq!((status, &who["client_id"]), (200, &provider.ready["clients"][as_client]["client_id"]), "{name}: {who}");
    token
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_sign_with_every_kind_of_key() {
    let (provider, daemon) = (Provider::oidc(&[]).await, Daemon::start().await);
    let client = daemon.client();
    client.import("crm", &provider.document().await).await;
    for as_client in ["private_key_jwt", "jwt_es384", "jwt_rs256", "jwt_ps256", "jwt_eddsa"] {
        let known = &provider.ready["clients"][as_client];
        for (form, key) in [("pem", known["private_key"].clone()), ("jwk", known["private_jwk"].to_string().into())] {
            let name = format!("{}-{form}", as_client.replace('_', "-"));
            let fields = json!({
                "client_auth": "private_key_jwt", "private_key": key, "key_id": known["key_id"],
                "signing_algorithm": known["signing_algorithm"],
            });
            integrate(&client, &provider, &name, as_client, fields).await;
            working(&client, &provider, &name, as_client).await;
        }
    }
    let secret = provider.text("/clients/secret_jwt/client_secret");
    let fields = json!({"client_auth": "client_secret_jwt", "client_secret": secret});
    integrate(&client, &provider, "secret-jwt", "secret_jwt", fields).await;
    working(&client, &provider, "secret-jwt", "secret_jwt").await;

    // A key that doesn't go with the algorithm is told of before anything is sent.
    let known = &provider.ready["clients"]["jwt_eddsa"];
    let fields =
        json!({"client_auth": "private_key_jwt", "private_key": known["private_key"], "signing_algorithm": "ES256"});
    integrate(&client, &provider, "wrong", "jwt_eddsa", fields).await;
    let refused = client.token("wrong").await.expect(503);
    assert!(refused["detail"].as_str().unwrap().contains("a P-256 private key is wanted"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_causes_no_outage() {
    let (provider, daemon) = (Provider::oidc(&[]).await, Daemon::start().await);
    let client = daemon.client();
    client.import("crm", &provider.document().await).await;
    let valid = provider.text("/clients/post/client_secret");
    let fields = json!({"client_auth": "post", "client_secret": "of-tomorrow", "client_secret.2": valid});
    let made = integrate(&client, &provider, "crm", "post", fields).await;
    assert_eq!(
        (&made["fields"]["client_secret"], &made["fields"]["client_secret.2"]),
        (&json!({"set": true}), &json!({"set": true}))
    );
    working(&client, &provider, "crm", "post").await;
    let statuses = async || provider.log().await.iter().map(|entry| entry["status"].clone()).collect::<Vec<_>>();
    assert_eq!(statuses().await, [json!(401), json!(200)]);
    // The one that works is remembered.
    client.post("/v1/integrations/crm/token/refresh", &json!({})).await.expect(200);
    assert_eq!(statuses().await.len(), 3);

    let set = client.call("PATCH", "/v1/integrations/crm", &json!({"fields": {"client_secret.2": null}})).await;
    assert!(set.expect(200)["fields"].get("client_secret.2").is_none());
    let refused = client.post("/v1/integrations/crm/token/refresh", &json!({})).await.expect(503);
    assert_eq!(
        (&refused["reason"], &refused["field"]),
        (&json!("invalid_client"), &json!("client_secret")),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_integration_leaves_no_token_behind() {
    let (provider, daemon) = (Provider::oidc(&[]).await, Daemon::start().await);
    let client = daemon.client();
    client.import("crm", &provider.document().await).await;
    let secret = provider.text("/clients/basic/client_secret");
    for (name, revocation_url, expected) in
        [("revoked", Some(provider.text("/revocation_url")), (200, 401)), ("kept", None, (204, 200))]
    {
        let fields = json!({"client_secret": secret, "revocation_url": revocation_url});
        integrate(&client, &provider, name, "basic", fields).await;
        let token = working(&client, &provider, name, "basic").await;
        let deleted = client.call("DELETE", &format!("/v1/integrations/{name}"), &Value::Null).await;
        assert_eq!((deleted.status, provider.whoami(&token).await.0), expected, "{name}: {}", deleted.text);
        client.get(&format!("/v1/integrations/{name}")).await.expect(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_only_names_the_metadata_is_enough() {
    let (provider, daemon) = (Provider::oidc(&[]).await, Daemon::start().await);
    let client = daemon.client();
    let metadata = format!("{}/.well-known/openid-configuration", provider.text("/issuer"));
    let document = json!({
        "openapi": "3.0.3", "info": {"title": "CRM", "version": "1"}, "paths": {},
        "components": {"securitySchemes": {"oidc": {"type": "openIdConnect", "openIdConnectUrl": metadata}}},
    });
    client.import("crm", &document.to_string()).await;
    let text = |pointer: &str| provider.text(pointer);
    let fields = json!({
        "client_id": text("/clients/basic/client_id"), "client_secret": text("/clients/basic/client_secret"),
        "grant": "password", "username": text("/user/username"), "password": text("/user/password"), "scope": "crm.read",
    });
    let made = client.integrate(json!({"name": "crm", "model": "crm", "fields": fields})).await;
    assert_eq!(
        (&made["flow"], &made["fields"]["metadata_url"]),
        (&json!("openid-connect"), &json!(metadata)),
        "{made}"
    );
    let first = working(&client, &provider, "crm", "basic").await;
    client.post("/v1/integrations/crm/token/refresh", &json!({})).await.expect(200);
    let grants: Vec<Value> = provider.log().await.iter().map(|entry| entry["grant_type"].clone()).collect();
    assert_eq!(grants, [json!("password"), json!("refresh_token")]);
    // The provider's own metadata names where tokens are revoked.
    client.call("DELETE", "/v1/integrations/crm", &Value::Null).await.expect(200);
    assert_eq!(provider.whoami(&first).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_jwt_is_exchanged_for_a_token() {
    let (provider, daemon) = (Provider::authlib().await, Daemon::start().await);
    let client = daemon.client();
    // The document knows nothing of it: the operator names the flow.
    client.import_oauth("crm", provider.text("/token_url")).await;
    let mut fields = json!({
        "issuer": provider.text("/clients/robot/issuer"), "private_key": provider.text("/clients/robot/private_key"),
        "signing_algorithm": "ES256", "scope": "crm.read",
    });
    for (name, member, value, expected) in [
        ("itself", "subject", Value::Null, Ok("robot@project.example")),
        ("ada", "subject", json!("ada"), Ok("ada")),
        ("nobody", "subject", json!("nobody"), Err("invalid_grant")),
        ("elsewhere", "assertion_audience", json!("https://elsewhere.example"), Err("invalid_grant")),
        ("stranger", "issuer", json!("stranger@project.example"), Err("invalid_grant")),
    ] {
        fields[member] = value;
        let new = json!({"name": name, "model": "crm", "flow": "jwt-bearer", "fields": fields});
        client.integrate(new).await;
        let answer = client.token(name).await;
        match expected {
            Ok(user) => {
                let token = answer.expect(200)["access_token"].as_str().unwrap().to_owned();
                let (status, who) = provider.whoami(&token).await;
                assert_eq!((status, &who), (200, &json!({"user": user, "scopes": ["crm.read"]})), "{name}");
            }
            Err(code) => assert_eq!(answer.expect(503)["reason"], code, "{name}: {}", answer.text),
        }
        fields[member] = Value::Null;
        fields["issuer"] = provider.text("/clients/robot/issuer").into();
    }
}

/// A private authority in a folder: its certificate, the provider's, and the client's as PEM texts (certificate, key).
fn authority(folder: &Path) -> (String, (String, String)) {
    let mut own = CertificateParams::new(Vec::new()).unwrap();
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // A name of its own: a certificate that is named like its issuer counts as self-signed.
    own.distinguished_name.push(DnType::CommonName, "an authority for tests");
    let authority = CertifiedIssuer::self_signed(own, KeyPair::generate().unwrap()).unwrap();
    let issue = |name: SanType| {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.subject_alt_names = vec![name];
        (parameters.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem())
    };
    let (server, server_key) = issue(SanType::IpAddress("127.0.0.1".parse().unwrap()));
    for (file, text) in [("ca.pem", &authority.pem()), ("server.pem", &server), ("server.key", &server_key)] {
        std::fs::write(folder.join(file), text).unwrap();
    }
    (authority.pem(), issue(SanType::DnsName("crm-tls.example".try_into().unwrap())))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_known_by_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, (certificate, key)) = authority(folder.path());
    let provider = Provider::oidc(&["--tls", folder.path().to_str().unwrap()]).await;
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("crm", provider.text("/token_url")).await;
    let fields = json!({"client_id": provider.text("/clients/tls/client_id"), "client_auth": "tls_client_auth"});
    for (name, transport, status) in [
        ("with", json!({"ca": ca, "client_certificate": certificate, "client_key": key}), 200),
        ("without", json!({"ca": ca}), 503),
    ] {
        let new = json!({"name": name, "model": "crm", "flow": "client-credentials", "fields": fields, "transport": transport});
        client.integrate(new).await;
        let answer = client.token(name).await.expect(status);
        assert_eq!(answer["access_token"].is_string(), status == 200, "{answer}");
        assert_eq!(answer.get("reason"), (status == 503).then_some(&json!("invalid_client")), "{answer}");
    }
}
