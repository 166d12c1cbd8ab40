//! Traces of real traffic at a collector: the call, the attempt that it caused, the steps of the flow and its requests, decoded
//! with OpenTelemetry's own messages. No secret in them, and no harm from a collector that is gone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Mock, Options, client, eventually, mock};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector {
    bodies: Arc<Mutex<Vec<Bytes>>>,
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    collector.bodies.lock().unwrap().push(body);
    StatusCode::OK
}

impl Collector {
    async fn start() -> (Self, String, tokio::task::JoinHandle<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        (collector, url, serving)
    }

    /// All spans so far.
    async fn spans(&self) -> Vec<Value> {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("providers/otlp/decode.py");
        let mut command = Command::new("python3");
        let mut decoder = command.arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let hex = |body: &Bytes| body.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
        let lines: String = self.bodies.lock().unwrap().iter().map(hex).collect();
        let mut stdin = decoder.stdin.take().unwrap();
        stdin.write_all(lines.as_bytes()).await.unwrap();
        drop(stdin);
        let decoded = decoder.wait_with_output().await.unwrap();
        assert!(decoded.status.success(), "OpenTelemetry's own messages don't take it; or run `make tools`");
        String::from_utf8(decoded.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The spans, once there is one that this says yes to.
    async fn once(&self, what: &str, is: impl Fn(&Value) -> bool) -> Vec<Value> {
        eventually(what, async || Some(self.spans().await).filter(|spans| spans.iter().any(&is))).await
    }
}

/// A provider and a service; `echo` says what the service was sent.
async fn provider() -> Mock {
    Mock::start(|seen| {
        if seen.target.starts_with("/api") {
            return mock::json(200, &json!({"traceparent": seen.headers.get("traceparent")}));
        }
        mock::json(200, &json!({"access_token": "at-hunter2", "token_type": "Bearer", "expires_in": 3600}))
    })
    .await
}

async fn integrate(client: &Client, provider: &Mock, name: &str) {
    client.import_oauth(name, &format!("{}/oauth/token?customer=hunter2", provider.url)).await;
    let fields = json!({"client_id": "me", "client_secret": "hunter2-secret"});
    let new = json!({"name": name, "model": name, "flow": "client-credentials", "fields": fields,
        "server": format!("{}/api", provider.url)});
    client.integrate(new).await;
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_seen_through_attempt_step_and_request_without_a_secret() {
    let (collector, url, serving) = Collector::start().await;
    let provider = provider().await;
    let mut daemon = Daemon::start_with(Options::default().env("OTEL_EXPORTER_OTLP_ENDPOINT", &url)).await;
    let client = daemon.client();
    integrate(&client, &provider, "crm").await;

    let get = |path: &str, parent: &'static str| {
        let request = client::http().get(format!("{}{path}", daemon.url())).bearer_auth(daemon.token());
        request.header("traceparent", parent).send()
    };
    assert_eq!(get("/v1/integrations/crm/token", PARENT).await.unwrap().status(), 200);
    let is_request = |span: &Value| span["name"] == "request" && span["parent"] == "00f067aa0ba902b7";
    let spans = collector.once("the caller's span", is_request).await;
    let call = spans.iter().find(|span| is_request(span)).unwrap();
    assert_eq!(call["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(call["attributes"]["http.route"], "/v1/integrations/{integration}/token");
    assert_eq!((&call["kind"], &call["service"]), (&json!(2), &json!("tokenhost")));

    // The attempt is a trace of its own; both know of each other.
    let attempts = named(&spans, "attempt");
    assert_eq!(attempts.len(), 1, "{spans:#?}");
    let attempt = attempts[0];
    assert_ne!(attempt["trace"], call["trace"]);
    assert_eq!(attempt["links"], json!([{"trace": call["trace"], "id": call["id"]}]));
    assert_eq!(call["links"], json!([{"trace": attempt["trace"], "id": attempt["id"]}]));
    assert_eq!(attempt["attributes"]["tokenhost.integration"], "crm");
    assert_eq!(attempt["attributes"]["tokenhost.flow"], "client-credentials");
    let steps = named(&spans, "step");
    assert!(steps.len() >= 2 && steps.iter().all(|step| step["parent"] == attempt["id"]), "{steps:#?}");
    let sent = named(&spans, "provider request");
    assert_eq!(sent.len(), 1);
    assert!(
        steps
            .iter()
            .any(|step| step["id"] == sent[0]["parent"] && step["attributes"]["tokenhost.event"] == "begin acquire"),
        "{steps:#?}"
    );
    assert_eq!(sent[0]["attributes"]["http.response.status_code"], 200);
    assert_eq!(sent[0]["attributes"]["url.origin"], json!(provider.url));

    // Who doesn't want to be traced isn't; providers never get the header; services only where that is set.
    let unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b8-00";
    assert_eq!(get("/v1/integrations/crm/token", unsampled).await.unwrap().status(), 200);
    let answer = get("/v1/integrations/crm/proxy/x", PARENT).await.unwrap().text().await.unwrap();
    assert!(!answer.contains("-00f067aa0ba902b7") || answer.contains(PARENT), "{answer}");
    assert!(
        provider
            .seen()
            .iter()
            .filter(|seen| !seen.target.starts_with("/api"))
            .all(|seen| !seen.headers.contains_key("traceparent"))
    );
    assert!(daemon.log().contains("trace_id=4bf92f3577b34da6a3ce929d0e0e4736"), "{}", daemon.log());

    // What waits when the daemon stops is sent.
    assert_eq!(get("/v1/models", PARENT).await.unwrap().status(), 200);
    daemon.stop().await;
    let spans = collector.spans().await;
    assert!(
        spans
            .iter()
            .any(|span| span["attributes"]["http.route"] == "/v1/models" && span["parent"] == "00f067aa0ba902b7"),
        "{spans:#?}"
    );
    assert!(spans.iter().all(|span| span["trace"] != "4bf92f3577b34da6a3ce929d0e0e4737"));
    let services = named(&spans, "service request");
    assert!(services.len() == 1 && services[0]["trace"] == "4bf92f3577b34da6a3ce929d0e0e4736", "{services:#?}");
    for secret in ["hunter2", daemon.token()] {
        let shown = spans.iter().find(|span| span.to_string().contains(secret));
        assert!(shown.is_none(), "{shown:?}");
    }
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_share_an_attempt_are_all_linked_with_it() {
    let (collector, url, _serving) = Collector::start().await;
    let (open, gate) = tokio::sync::watch::channel(false);
    let provider = Mock::start(move |_| {
        let mut acts = vec![tokenhost_tests::Act::Gate(gate.clone())];
        acts.extend(mock::json(200, &json!({"access_token": "at", "token_type": "Bearer", "expires_in": 3600})));
        acts
    })
    .await;
    let daemon = Daemon::start_with(Options::default().env("OTEL_EXPORTER_OTLP_ENDPOINT", &url)).await;
    let client = daemon.client();
    integrate(&client, &provider, "crm").await;
    let callers: Vec<_> = (0..5)
        .map(|_| {
            let request = client::http().get(format!("{}/v1/integrations/crm/token", daemon.url()));
            tokio::spawn(request.bearer_auth(daemon.token()).send())
        })
        .collect();
    eventually("five callers that wait", async || {
        let text = client.get("/metrics").await;
        text.text.contains("tokenhost_callers_waiting 5").then_some(())
    })
    .await;
    open.send(true).unwrap();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap().status(), 200);
    }
    let calls = |spans: &[Value]| {
        let is_call = |span: &&Value| span["attributes"]["http.route"] == "/v1/integrations/{integration}/token";
        spans.iter().filter(is_call).cloned().collect::<Vec<_>>()
    };
    let spans =
        eventually("five calls", async || Some(collector.spans().await).filter(|spans| calls(spans).len() == 5)).await;
    let attempts = named(&spans, "attempt");
    assert_eq!(attempts.len(), 1);
    let attempt = json!([{"trace": attempts[0]["trace"], "id": attempts[0]["id"]}]);
    assert!(calls(&spans).iter().all(|call| call["links"] == attempt), "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_harms_nothing_and_what_is_lost_is_counted() {
    let (_, url, serving) = Collector::start().await;
    serving.abort();
    drop(serving.await);
    let provider = provider().await;
    let mut daemon = Daemon::start_with(Options::default().env("OTEL_EXPORTER_OTLP_ENDPOINT", &url)).await;
    let client = daemon.client();
    integrate(&client, &provider, "crm").await;
    client.token("crm").await.expect(200);
    eventually("lost spans are counted", async || {
        let metrics = client.get("/metrics").await;
        let metrics = metrics.text;
        let lost =
            metrics.lines().find_map(|line| line.strip_prefix("tokenhost_trace_spans_total{outcome=\"lost\"} "))?;
        (lost.parse::<u64>().unwrap() > 0).then_some(())
    })
    .await;
    client.token("crm").await.expect(200);
    daemon.stop().await;
    assert!(daemon.log().contains("traces are lost"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_seen_with_the_calls_that_it_makes() {
    let (collector, url, _serving) = Collector::start().await;
    let daemon = Daemon::start_with(Options::default().env("OTEL_EXPORTER_OTLP_ENDPOINT", &url)).await;
    let page = client::http().get(format!("{}/console/users/nobody", daemon.url())).bearer_auth(daemon.token());
    assert_eq!(page.header("traceparent", PARENT).send().await.unwrap().status(), 404);
    let is_page = |span: &Value| span["attributes"]["http.route"] == "/console/users/{user}";
    let spans = collector.once("the page's span", is_page).await;
    let page = spans.iter().find(|span| is_page(span)).unwrap();
    assert_eq!((&page["parent"], &page["kind"]), (&json!("00f067aa0ba902b7"), &json!(2)), "{page:#}");
    assert_eq!(page["attributes"]["http.response.status_code"], 404);
    let calls: Vec<&Value> = spans.iter().filter(|span| span["parent"] == page["id"]).collect();
    let routes: Vec<&str> = calls.iter().filter_map(|span| span["attributes"]["http.route"].as_str()).collect();
    assert_eq!(routes, ["/v1/me", "/v1/users/{user}"], "{spans:#?}");
    assert!(calls.iter().all(|span| span["trace"] == page["trace"]));
    // What a browser asks for by itself is seen, too, and by the name of its route alone.
    let hidden = client::http().get(format!("{}/console/hunter2", daemon.url())).bearer_auth(daemon.token());
    assert_eq!(hidden.send().await.unwrap().status(), 404);
    let is_rest = |span: &Value| span["attributes"]["http.route"] == "/console/{*rest}";
    let spans = collector.once("the span of what isn't there", is_rest).await;
    assert!(!format!("{spans:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn services_get_the_trace_where_the_operator_wants_that() {
    let (collector, url, _serving) = Collector::start().await;
    let provider = provider().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(
        &file,
        format!("[telemetry]\notlp_endpoint = '{url}'\nsample_ratio = 0\npropagate_to_services = true\n"),
    )
    .unwrap();
    let daemon = Daemon::start_with(Options::default().env("TOKENHOST_CONFIG", file.display().to_string())).await;
    let client = daemon.client();
    integrate(&client, &provider, "crm").await;
    let call = client::http().get(format!("{}/v1/integrations/crm/proxy/x", daemon.url())).bearer_auth(daemon.token());
    let answer: Value =
        serde_json::from_str(&call.header("traceparent", PARENT).send().await.unwrap().text().await.unwrap()).unwrap();
    let sent = answer["traceparent"].as_str().unwrap().to_owned();
    assert!(
        sent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && sent.ends_with("-01") && sent != PARENT,
        "{sent}"
    );
    let is_it = |span: &Value| span["name"] == "service request" && sent.contains(span["id"].as_str().unwrap());
    let spans = collector.once("the request to the service", is_it).await;
    // Nobody asked for these, and the ratio is 0: only what the sampled call caused is there.
    assert!(named(&spans, "request").iter().all(|span| span["parent"] != ""), "{spans:#?}");
}
