//! The client and its middleware held against `sdk/clients/cases`, which the clients in all languages read.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::collections::VecDeque;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body as Content, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Map, Value, json};
use tokenhost_client::{
    Answer, Ask, Authorization, Body, Call, Client, Error, Key, Pause, RejectionResult, Time, Token, TokenMiddleware,
};

/// A clock that a test moves, and waits that only pass on it.
#[derive(Default)]
struct TestTime(Mutex<(Duration, Vec<f64>)>);

impl Time for TestTime {
    fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().0 + Duration::from_secs(1000)
    }

    fn sleep(&self, duration: Duration) -> Pause<'_> {
        self.0.lock().unwrap().1.push(duration.as_secs_f64());
        Box::pin(std::future::ready(()))
    }
}

/// What the server still has to play, and what it didn't expect.
type Script = Arc<Mutex<(VecDeque<Value>, Vec<String>)>>;

/// A server on loopback that plays the exchanges: daemon and service at once.
async fn serve(script: Script) -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(move |request: Request| answer(Arc::clone(&script), request));
    (url, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

async fn answer(script: Script, request: Request) -> Response {
    let (head, content) = request.into_parts();
    let content = String::from_utf8(to_bytes(content, 1 << 20).await.unwrap().to_vec()).unwrap();
    let mut script = script.lock().unwrap();
    let Some(exchange) = script.0.pop_front() else {
        script.1.push(format!("{} {} was not expected", head.method, head.uri));
        return Response::new(Content::empty());
    };
    let expected = &exchange["request"];
    let mut got = json!({"method": head.method.as_str(), "path": head.uri.path()});
    if expected.get("query").is_some() {
        let pairs = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned();
        got["query"] = pairs.map(|(name, value)| (name, Value::from(value))).collect::<Map<_, _>>().into();
    }
    if let Some(headers) = expected["headers"].as_object() {
        let value = |name: &String| head.headers.get(name).map_or(Value::Null, |value| value.to_str().unwrap().into());
        got["headers"] = headers.keys().map(|name| (name.clone(), value(name))).collect::<Map<_, _>>().into();
    }
    if expected.get("body").is_some() {
        got["body"] = serde_json::from_str(&content).unwrap_or_default();
    }
    if expected.get("text").is_some() {
        got["text"] = content.into();
    }
    if got != *expected {
        script.1.push(format!("expected {expected}, got {got}"));
    }
    let answer = &exchange["answer"];
    let mut response = Response::builder().header("connection", "close");
    if answer == "drop" {
        // A body that breaks off: no complete answer.
        let broken = futures_util::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("broken"))]);
        return response.header("content-length", "5").body(Content::from_stream(broken)).unwrap();
    }
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str().unwrap());
    }
    let document = answer.get("body").or(answer.get("problem"));
    let text = document.map_or_else(|| answer["text"].as_str().unwrap().to_owned(), Value::to_string);
    response.status(u16::try_from(answer["status"].as_u64().unwrap()).unwrap()).body(Content::from(text)).unwrap()
}

fn seconds(step: &Value, name: &str) -> Option<Duration> {
    step[name].as_u64().map(Duration::from_secs)
}

fn pairs(step: &Value, name: &str) -> Vec<(String, Value)> {
    step[name].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn token(token: Token) -> Value {
    json!({
        "access_token": token.access_token(), "token_type": token.token_type, "scope": token.scope,
        "expires_in": token.expires_in, "expires_at": token.expires_at, "created_at": token.created_at,
        "generation": token.generation,
    })
}

fn authorization(got: Authorization) -> Value {
    json!({
        "url": got.url, "headers": got.headers, "query": got.query, "cookies": got.cookies,
        "generation": got.generation, "expires_in": got.expires_in,
    })
}

fn called(answer: Answer) -> Value {
    let mut got = json!({"status": answer.status, "headers": answer.headers, "url": answer.url, "done": answer.done});
    match answer.body {
        Body::Json(body) => got["body"] = body,
        Body::Bytes(bytes) => got["bytes"] = bytes.into(),
    }
    got
}

/// Does a step; what came of it as a document.
async fn act(client: &Client, url: &str, step: &Value) -> Result<Value, Error> {
    let name = step["integration"].as_str().unwrap();
    let key = Key::from(name).with_scope(step["scope"].as_str().unwrap_or_default());
    let text = |name: &str| step[name].as_str();
    match text("do").unwrap() {
        "token" => client.token(key, seconds(step, "min_ttl")).await.map(token),
        "reject" => client.reject(key, step["generation"].as_u64().unwrap()).await.map(|rejection| {
            let result = match rejection.result {
                RejectionResult::Renewing => "renewing",
                RejectionResult::NotCurrent => "not_current",
                other => panic!("{other:?}"),
            };
            json!({"result": result, "generation": rejection.generation})
        }),
        "authorize" => {
            let mut ask = Ask::of(text("operation").unwrap());
            ask = seconds(step, "min_ttl").into_iter().fold(ask, Ask::min_ttl);
            ask = text("body_sha256").into_iter().fold(ask, Ask::body_sha256);
            for (name, value) in pairs(step, "headers") {
                ask = ask.header(name, value.as_str().unwrap());
            }
            ask = text("query").into_iter().fold(ask, Ask::query);
            client.authorize(name, &ask).await.map(authorization)
        }
        "call" => {
            let mut call = Call::of(text("operation").unwrap());
            for (name, value) in pairs(step, "parameters") {
                call = call.parameter(name, value);
            }
            for (name, value) in pairs(step, "headers") {
                call = call.header(name, value.as_str().unwrap());
            }
            call = step.get("body").cloned().into_iter().fold(call, Call::body);
            call = seconds(step, "timeout").into_iter().fold(call, Call::timeout);
            call = seconds(step, "min_ttl").into_iter().fold(call, Call::min_ttl);
            call = if step["repeatable"] == true { call.repeatable() } else { call };
            client.call(name, &call).await.map(called)
        }
        "send" => {
            let http = reqwest_middleware::ClientBuilder::new(reqwest::Client::builder().no_proxy().build().unwrap())
                .with(TokenMiddleware::new(client.clone(), key))
                .build();
            let method = text("method").unwrap().parse().unwrap();
            let request = http.request(method, format!("{url}{}", text("path").unwrap()));
            let request = text("body").map(str::to_owned).into_iter().fold(request, |request, body| request.body(body));
            match request.send().await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    Ok(json!({"status": status, "text": answer.text().await.unwrap()}))
                }
                Err(reqwest_middleware::Error::Middleware(error)) => Err(error.downcast::<Error>().unwrap()),
                Err(error) => panic!("{error}"),
            }
        }
        other => panic!("{other}"),
    }
}

/// The outcome of a step: its result, or an error with its kind.
async fn outcome(act: impl Future<Output = Result<Value, Error>>) -> Value {
    match act.await {
        Ok(document) => document,
        Err(Error::Problem(problem)) => {
            let fields =
                problem.fields.iter().map(|one| json!({"field": one.field, "code": one.code, "message": one.message}));
            json!({
                "kind": "problem", "status": problem.status, "code": problem.code, "title": problem.title,
                "detail": problem.detail, "fields": fields.collect::<Vec<_>>(), "support_id": problem.support_id,
                "retry_after": problem.retry_after.map(|wait| wait.as_secs()),
            })
        }
        Err(Error::Unreachable(_)) => json!({"kind": "unreachable"}),
        Err(Error::BadAnswer(_)) => json!({"kind": "bad_answer"}),
        Err(error) => panic!("{error}"),
    }
}

async fn run(case: &Value) {
    let name = case["name"].as_str().unwrap();
    let script = Script::default();
    let (url, server) = serve(Arc::clone(&script)).await;
    let time = Arc::new(TestTime::default());
    let mut builder = Client::builder(&url, "tha_test").time(Arc::clone(&time) as Arc<dyn Time>);
    if let Some(retries) = case["options"]["retries"].as_u64() {
        builder = builder.retries(u32::try_from(retries).unwrap());
    }
    builder = seconds(&case["options"], "max_wait").into_iter().fold(builder, |builder, most| builder.max_wait(most));
    let client = builder.build().unwrap();
    for (number, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        let place = format!("{name}, step {number}");
        if let Some(passed) = seconds(step, "advance") {
            time.0.lock().unwrap().0 += passed;
            continue;
        }
        time.0.lock().unwrap().1.clear();
        script.lock().unwrap().0 = step["exchanges"].as_array().unwrap().iter().cloned().collect();
        // All have begun before the first of them goes on.
        let callers = step["callers"].as_u64().unwrap_or(1);
        let outcomes = (0..callers).map(|_| outcome(act(&client, &url, step)));
        for got in futures_util::future::join_all(outcomes).await {
            assert_eq!(got.get("kind").is_some(), step.get("error").is_some(), "{place}: {got}");
            let expected = step.get("result").or(step.get("error")).unwrap();
            for (member, expected) in expected.as_object().unwrap() {
                assert_eq!(got.get(member).unwrap_or(&Value::Null), expected, "{place}: {member}");
            }
        }
        let (left, faults) = script.lock().unwrap().clone();
        assert!(faults.is_empty() && left.is_empty(), "{place}: {faults:?}, not asked: {left:?}");
        let waits = time.0.lock().unwrap().1.clone();
        let expected: Vec<(f64, f64)> = serde_json::from_value(step["waits"].clone()).unwrap_or_default();
        assert_eq!(waits.len(), expected.len(), "{place}: {waits:?}");
        assert!(
            waits.iter().zip(&expected).all(|(wait, (low, high))| low <= wait && wait <= high),
            "{place}: {waits:?}"
        );
    }
    server.abort();
}

#[tokio::test]
async fn the_client_does_what_the_shared_cases_say() {
    for file in ["token", "problems", "call", "adapter"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../cases/{file}.json"));
        let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(!cases.is_empty());
        for case in &cases {
            run(case).await;
        }
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_and_no_token_repeated() {
    for url in ["127.0.0.1:8420", "ftp://a", "http://me:pw@a", "http://a?x=y", "http://", ""] {
        let error = Client::builder(url, "tha_x").build().unwrap_err();
        assert!(error.to_string().contains("TOKENHOST_URL"), "{url}: {error}");
    }
    for token in ["tha_hunter\n2", " "] {
        let error = Client::builder("http://a", token).build().unwrap_err().to_string();
        assert!(error.contains("TOKENHOST_TOKEN") && !error.contains("hunter"), "{error}");
    }
    let client = Client::builder("http://127.0.0.1:1", "tha_hunter").build().unwrap();
    assert!(!format!("{client:?}").contains("hunter"));
    for name in ["", ".", ".."] {
        assert!(matches!(client.token(name, None).await, Err(Error::Unusable(_))), "{name}");
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent_and_it_is_tried_again() {
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let time = Arc::new(TestTime::default());
    let client = Client::builder(url, "tha_x").time(Arc::clone(&time) as Arc<dyn Time>).build().unwrap();
    match client.call("crm", &Call::of("create").bytes(b"x")).await {
        Err(Error::Unreachable(unreachable)) => assert!(!unreachable.sent),
        other => panic!("{other:?}"),
    }
    assert_eq!(time.0.lock().unwrap().1.len(), 3);
}
