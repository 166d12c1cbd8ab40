//! What the one parser makes of the answers that providers really give. One line per case: what was asked for, the
//! answer, and the outcome.

use tokenhost_flow::harness::response;
use tokenhost_flow::token_response;
use tokenhost_flow::types::{Context, Failure, Purpose, Remedy, Response, Scheme, Token};

/// 2026-11-22T10:00:00Z.
const NOW: u64 = 1_795_341_600;

fn context() -> Context {
    Context {
        scheme: Scheme { name: "test".into(), document: "{}".into() },
        values: Vec::new(),
        secrets: Vec::new(),
        revealed: Vec::new(),
        now: NOW,
        entropy: vec![0; 32],
        callback_url: None,
        return_key: None,
    }
}

/// The outcome as one line: the token's members that are set, or code, remedy and message.
fn show(outcome: Result<Token, Failure>) -> String {
    match outcome {
        Ok(token) => [
            ("access", token.access_token),
            ("refresh", token.refresh_token),
            ("type", token.token_type),
            ("in", token.expires_in.map(|seconds| seconds.to_string())),
            ("at", token.expires_at.map(|seconds| seconds.to_string())),
            ("refresh_in", token.refresh_expires_in.map(|seconds| seconds.to_string())),
            ("scope", token.scope),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
        .collect::<Vec<_>>()
        .join(" | "),
        Err(Failure { code, message, remedy }) => match remedy {
            Remedy::Retry(None) => format!("{code}, retry: {message}"),
            Remedy::Retry(Some(seconds)) => format!("{code}, retry after {seconds}: {message}"),
            Remedy::Reacquire => format!("{code}, reacquire: {message}"),
            Remedy::Reconfigure => format!("{code}, reconfigure: {message}"),
        },
    }
}

fn outcome(purpose: Purpose, response: &Response) -> String {
    show(token_response::parse(&context(), purpose, response))
}

#[track_caller]
fn check(purpose: Purpose, response: &Response, expected: &str) {
    assert_eq!(outcome(purpose, response), expected);
}

/// An acquisition answered 200 with this body, under a content type that doesn't help.
#[track_caller]
fn ok(body: impl AsRef<[u8]>, expected: &str) {
    for content_type in ["application/json; charset=utf-8", "text/plain", "text/html", "application/octet-stream"] {
        check(Purpose::Acquire, &response(200, &[("content-type", content_type)], &body), expected);
    }
    check(Purpose::Refresh, &response(200, &[], &body), expected);
}

/// An answer to an acquisition and to a refresh.
#[track_caller]
fn refused(status: u16, body: &str, acquire: &str, refresh: &str) {
    check(Purpose::Acquire, &response(status, &[], body), acquire);
    check(Purpose::Refresh, &response(status, &[], body), refresh);
}

#[test]
fn ordinary_answers() {
    ok(
        r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r","scope":"read write"}"#,
        "access=a | refresh=r | type=Bearer | in=3600 | scope=read write",
    );
    ok(r#"{"access_token":"a"}"#, "access=a");
    ok(r#"{"access_token":"a","id_token":"x","instance_url":"https://x","n":{"k":[1,2]}}"#, "access=a");
    ok(" \r\n{ \"access_token\" : \"a\" }\n", "access=a");
    ok(r#"{"access_token":"a\u0062\/c"}"#, "access=ab/c");
    ok(
        r#"{"accessToken":"a","refreshToken":"r","tokenType":"Bearer","expiresIn":"5"}"#,
        "access=a | refresh=r | type=Bearer | in=5",
    );
    check(Purpose::Acquire, &response(201, &[], r#"{"access_token":"a"}"#), "access=a");
    check(Purpose::Refresh, &response(206, &[], r#"{"access_token":"a"}"#), "access=a");
}

#[test]
fn lifetimes() {
    for (said, expected) in [
        ("3600", "access=a | in=3600"),
        ("\"3600\"", "access=a | in=3600"),
        ("\" 3600 \"", "access=a | in=3600"),
        ("3599.9", "access=a | in=3599"),
        ("\"3599.9\"", "access=a | in=3599"),
        ("3.6e3", "access=a | in=3600"),
        ("0", "access=a"),
        ("\"0\"", "access=a"),
        ("0.4", "access=a"),
        ("-1", "access=a"),
        ("\"-1\"", "access=a"),
        ("null", "access=a"),
        ("\"\"", "access=a"),
        ("\"never\"", "access=a"),
        ("\"NaN\"", "access=a"),
        ("true", "access=a"),
        ("[3600]", "access=a"),
        ("18446744073709551615", "access=a | in=3153600000"),
        ("1e30", "access=a | in=3153600000"),
        ("\"inf\"", "access=a | in=3153600000"),
    ] {
        ok(format!(r#"{{"access_token":"a","expires_in":{said}}}"#), expected);
    }
    for (said, expected) in [
        ("1795345200", "access=a | at=1795345200"),
        ("\"1795345200\"", "access=a | at=1795345200"),
        ("1795345200000", "access=a | at=1795345200"),
        ("\"1795345200999\"", "access=a | at=1795345200"),
        ("1795345200.5", "access=a | at=1795345200"),
        ("\"2026-11-22T11:00:00Z\"", "access=a | at=1795345200"),
        ("\"2026-11-22T12:00:00.25+01:00\"", "access=a | at=1795345200"),
        ("\"2026-11-22 11:00\"", "access=a"),
        ("\"tomorrow\"", "access=a"),
        ("0", "access=a"),
        ("null", "access=a"),
    ] {
        ok(format!(r#"{{"access_token":"a","expires_at":{said}}}"#), expected);
    }
    ok(r#"{"access_token":"a","expires_on":"1795345200","expires_in":"3599"}"#, "access=a | in=3599 | at=1795345200");
    ok(r#"{"access_token":"a","refresh_expires_in":1800}"#, "access=a | refresh_in=1800");
    ok(r#"{"access_token":"a","refresh_token_expires_in":"1800"}"#, "access=a | refresh_in=1800");
    ok(r#"{"access_token":"a","refresh_expires_in":0}"#, "access=a");
}

#[test]
fn types_and_scopes() {
    for (said, expected) in [
        ("\"bearer\"", "access=a | type=Bearer"),
        ("\"BEARER\"", "access=a | type=Bearer"),
        ("\"BearerToken\"", "access=a | type=Bearer"),
        ("\"DPoP\"", "access=a | type=DPoP"),
        ("\"mac\"", "access=a | type=mac"),
        ("\"\"", "access=a"),
        ("null", "access=a"),
    ] {
        ok(format!(r#"{{"access_token":"a","token_type":{said}}}"#), expected);
    }
    for (said, expected) in [
        (r#"["read","write"]"#, "access=a | scope=read write"),
        (r#"["read", null, "", "write all"]"#, "access=a | scope=read write all"),
        (r#""read,write""#, "access=a | scope=read write"),
        (r#""read,write all""#, "access=a | scope=read,write all"),
        (r#""  read   write ""#, "access=a | scope=read write"),
        (r#""""#, "access=a"),
        (r#""," "#, "access=a"),
        ("[]", "access=a"),
        ("null", "access=a"),
        ("{}", "access=a"),
    ] {
        ok(format!(r#"{{"access_token":"a","scope":{said}}}"#), expected);
    }
    ok(r#"{"access_token":"a","scopes":["x"]}"#, "access=a | scope=x");
}

#[test]
fn refresh_tokens() {
    ok(r#"{"access_token":"a","refresh_token":null}"#, "access=a");
    ok(r#"{"access_token":"a","refresh_token":""}"#, "access=a");
    ok(r#"{"access_token":"a","refresh_token":"same"}"#, "access=a | refresh=same");
}

#[test]
fn other_spellings_of_the_whole() {
    ok("\u{feff}{\"access_token\":\"a\"}", "access=a");
    ok("\u{feff}access_token=a&expires_in=5", "access=a | in=5");
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain("{\"access_token\":\"a\"}".bytes().flat_map(|b| [b, 0])).collect();
    ok(utf16, "access=a");
    let utf16: Vec<u8> =
        [0xfe, 0xff].into_iter().chain("{\"access_token\":\"a\"}".bytes().flat_map(|b| [0, b])).collect();
    ok(utf16, "access=a");
    ok(
        "access_token=a%2Bb&token_type=bearer&expires_in=3600&scope=read+write",
        "access=a+b | type=Bearer | in=3600 | scope=read write",
    );
    ok("token_type=bearer&access_token=a\n", "access=a | type=Bearer");
    ok(r#"{"access_token":"first","access_token":"last"}"#, "access=last");
    ok("access_token=first&access_token=last", "access=last");
    ok(r#"[{"access_token":"a"}]"#, "access=a");
    ok(r#"{"access_token":12345}"#, "access=12345");
    ok(b"{\"access_token\":\"a\",\"note\":\"caf\xe9\"}", "access=a");
}

#[test]
fn nested() {
    ok(r#"{"data":{"access_token":"a","expires_in":5}}"#, "access=a | in=5");
    ok(r#"{"token":{"access_token":"a"},"expires_in":5}"#, "access=a | in=5");
    ok(r#"{"token":{"access_token":"a","expires_in":0},"expires_in":5}"#, "access=a | in=5");
    ok(r#"{"data":[{"access_token":"a"}]}"#, "access=a");
    ok(r#"{"b":{"c":{"d":{"access_token":"a"}}}}"#, "access=a");
    ok(r#"{"access_token":"outer","user":{"access_token":"inner","expires_in":5}}"#, "access=outer");
    ok(r#"{"x":{"deep":{"access_token":"deep"}},"y":{"access_token":"near"}}"#, "access=near");
    ok(r#"{"access_token":null,"data":{"access_token":"a"}}"#, "access=a");
    // Too deep, or not told apart: no guessing.
    for (body, said) in [
        (r#"{"a":{"b":{"c":{"d":{"access_token":"x"}}}}}"#, "no access_token; it has a"),
        (r#"{"a":{"access_token":"x"},"b":{"access_token":"y"}}"#, "several objects with an access_token"),
        (r#"{"a":[{"access_token":"x"},{"access_token":"y"}]}"#, "no access_token; it has a"),
    ] {
        refused(
            200,
            body,
            &format!("invalid_response, reconfigure: the answer has {said}"),
            &format!("invalid_response, reacquire: the answer has {said}"),
        );
    }
}

#[test]
fn errors_with_status_200() {
    refused(
        200,
        r#"{"error":"invalid_grant","error_description":"Bad password"}"#,
        "invalid_grant, reconfigure: the provider answered HTTP 200, invalid_grant: Bad password (check the credentials)",
        "invalid_grant, reacquire: the provider answered HTTP 200, invalid_grant: Bad password",
    );
    refused(
        200,
        "error=invalid_client&error_description=no+such+client",
        "invalid_client, reconfigure: the provider answered HTTP 200, invalid_client: no such client \
         (check client_id, client_secret and client_auth)",
        "invalid_client, reacquire: the provider answered HTTP 200, invalid_client: no such client",
    );
    refused(
        200,
        r#"{"error":"temporarily_unavailable"}"#,
        "temporarily_unavailable, retry: the provider answered HTTP 200, temporarily_unavailable",
        "temporarily_unavailable, retry: the provider answered HTTP 200, temporarily_unavailable",
    );
    refused(
        200,
        r#"{"success":false,"message":"Unknown user"}"#,
        "provider_error, reconfigure: the provider answered HTTP 200, provider_error: Unknown user",
        "provider_error, reacquire: the provider answered HTTP 200, provider_error: Unknown user",
    );
    refused(
        200,
        r#"{"status":"ok","count":3}"#,
        "invalid_response, reconfigure: the answer has no access_token; it has count, status",
        "invalid_response, reacquire: the answer has no access_token; it has count, status",
    );
    // A token is a token, whatever stands beside it.
    for error in ["\"\"", "null", "false", "0", "{}", "[]", "\"none\""] {
        ok(format!(r#"{{"error":{error},"error_description":"","access_token":"a"}}"#), "access=a");
    }
    ok("error=&access_token=a", "access=a");
}

#[test]
fn refusals() {
    for (status, body, code, said) in [
        (400, r#"{"error":"invalid_scope"}"#, "invalid_scope", "HTTP 400, invalid_scope"),
        (401, "", "http_401", "HTTP 401"),
        (403, "<html><body>Forbidden</body></html>", "http_403", "HTTP 403"),
        (400, "error=invalid_request&error_description=a%0Ab", "invalid_request", "HTTP 400, invalid_request: a b"),
        (
            401,
            r#"{"error":{"code":401,"message":"Nope","status":"UNAUTHENTICATED"}}"#,
            "UNAUTHENTICATED",
            "HTTP 401, UNAUTHENTICATED: Nope",
        ),
        (400, r#"{"errors":[{"code":"E1","message":"Nope"}]}"#, "E1", "HTTP 400, E1: Nope"),
        (400, r#"{"errors":["nope"]}"#, "nope", "HTTP 400, nope"),
        (400, r#"{"error":"The client was not found"}"#, "http_400", "HTTP 400: The client was not found"),
        (400, r#"{"error":"Bad thing","error_description":"very bad"}"#, "http_400", "HTTP 400: Bad thing: very bad"),
        (401, r#"{"fault":{"faultstring":"Invalid ApiKey"}}"#, "http_401", "HTTP 401: Invalid ApiKey"),
        (
            401,
            r#"{"errorCode":"E0000004","errorSummary":"Authentication failed"}"#,
            "E0000004",
            "HTTP 401, E0000004: Authentication failed",
        ),
        (400, r#"{"type":"about:blank","title":"Bad Request","detail":"no user"}"#, "http_400", "HTTP 400: no user"),
        (
            400,
            r#"{"data":{"error":"invalid_request","error_description":"x"}}"#,
            "invalid_request",
            "HTTP 400, invalid_request: x",
        ),
        (400, r#"{"error":"","error_description":""}"#, "http_400", "HTTP 400"),
        (400, r#"{"access_token":"a"}"#, "http_400", "HTTP 400"),
        (400, "{\"error\":", "http_400", "HTTP 400"),
        (499, "null", "http_499", "HTTP 499"),
    ] {
        let hint = if code == "invalid_scope" { " (check scope)" } else { "" };
        refused(
            status,
            body,
            &format!("{code}, reconfigure: the provider answered {said}{hint}"),
            &format!("{code}, reacquire: the provider answered {said}"),
        );
    }
    refused(
        404,
        "Not Found",
        "http_404, reconfigure: the provider answered HTTP 404 (check token_url)",
        "http_404, reacquire: the provider answered HTTP 404",
    );
    refused(
        408,
        "",
        "http_408, retry: the provider answered HTTP 408",
        "http_408, reacquire: the provider answered HTTP 408",
    );
    refused(
        400,
        r#"{"error":"slow_down"}"#,
        "slow_down, retry: the provider answered HTTP 400, slow_down",
        "slow_down, reacquire: the provider answered HTTP 400, slow_down",
    );
    for (status, body, said) in [
        (500, "", "http_500, retry: the provider answered HTTP 500"),
        (502, "<html>Bad gateway</html>", "http_502, retry: the provider answered HTTP 502"),
        (503, r#"{"error":"server_error"}"#, "server_error, retry: the provider answered HTTP 503, server_error"),
        (599, "x", "http_599, retry: the provider answered HTTP 599"),
        (429, "", "http_429, retry: the provider answered HTTP 429"),
    ] {
        refused(status, body, said, said);
    }
}

#[test]
fn retry_after() {
    for (said, expected) in [
        ("120", "retry after 120"),
        (" 7 ", "retry after 7"),
        ("0", "retry after 0"),
        ("99999999999999999999", "retry after 4294967295"),
        ("Sun, 22 Nov 2026 10:01:00 GMT", "retry after 60"),
        ("Sunday, 22-Nov-26 10:01:00 GMT", "retry after 60"),
        ("Sun Nov 22 10:01:00 2026", "retry after 60"),
        ("Sun, 22 Nov 2026 09:00:00 GMT", "retry after 0"),
        ("-5", "retry"),
        ("soon", "retry"),
        ("", "retry"),
    ] {
        for status in [429, 503] {
            check(
                Purpose::Refresh,
                &response(status, &[("Retry-After", said)], ""),
                &format!("http_{status}, {expected}: the provider answered HTTP {status}"),
            );
        }
    }
    check(
        Purpose::Acquire,
        &response(200, &[("retry-after", "9")], r#"{"error":"too_many_requests"}"#),
        "too_many_requests, retry after 9: the provider answered HTTP 200, too_many_requests",
    );
}

/// On refresh, what no token endpoint says leaves the refresh token unjudged.
#[test]
fn answers_of_something_else() {
    for (status, body, code, said) in [
        (200, "", "invalid_response", "the answer was HTTP 200 with an empty body instead of a token; check token_url"),
        (
            204,
            " ",
            "invalid_response",
            "the answer was HTTP 204 with an empty body instead of a token; check token_url",
        ),
        (
            200,
            "\n<!DOCTYPE html><p>Sign in",
            "invalid_response",
            "the answer was HTTP 200 with a web page instead of a token; check token_url",
        ),
        (
            200,
            "s3cr3t-t0ken",
            "invalid_response",
            "the answer was HTTP 200 with neither JSON nor a form instead of a token; check token_url",
        ),
        (
            200,
            "a=b&c=d",
            "invalid_response",
            "the answer was HTTP 200 with neither JSON nor a form instead of a token; check token_url",
        ),
        (
            200,
            "{\"access_token\":\"a\"",
            "invalid_response",
            "the answer was HTTP 200 with broken JSON, line 1 column 19 instead of a token; check token_url",
        ),
        (
            200,
            "[]",
            "invalid_response",
            "the answer was HTTP 200 with JSON, but no object instead of a token; check token_url",
        ),
        (
            200,
            "[1]",
            "invalid_response",
            "the answer was HTTP 200 with JSON, but no object instead of a token; check token_url",
        ),
        (302, "", "redirected", "the answer was HTTP 302: redirects are not followed; check token_url"),
    ] {
        refused(status, body, &format!("{code}, reconfigure: {said}"), &format!("{code}, retry: {said}"));
    }
}

#[test]
fn hostile_answers() {
    // A token that would end a header.
    refused(
        200,
        r#"{"access_token":"a\r\nX-Evil: 1"}"#,
        "invalid_response, reconfigure: the answer has an access_token with characters that can't stand in a header",
        "invalid_response, reacquire: the answer has an access_token with characters that can't stand in a header",
    );
    // A long description is cut.
    let body = format!(r#"{{"error":"x","error_description":"{}"}}"#, "é".repeat(5000));
    let line = outcome(Purpose::Acquire, &response(400, &[], body));
    assert!(line.ends_with("é…") && line.chars().count() < 400, "{line}");
    // Many names are cut, long ones too.
    let members: Vec<String> = (0..5000).map(|index| format!("\"{index}{}\":1", "n".repeat(100))).collect();
    let line = outcome(Purpose::Acquire, &response(200, &[], format!("{{{}}}", members.join(","))));
    assert!(line.chars().count() < 400, "{line}");
    // Nesting without end, as objects and as arrays.
    for (open, close) in [("{\"a\":", "}"), ("[", "]")] {
        let body = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let line = outcome(Purpose::Refresh, &response(200, &[], body));
        assert!(line.starts_with("invalid_response, retry"), "{line}");
    }
    // 1 MiB around a token, of text and of many members, and 1 MiB of token.
    ok(format!(r#"{{"pad":"{}","access_token":"a"}}"#, "x".repeat(1 << 20)), "access=a");
    let many: Vec<String> = (0..60_000).map(|index| format!("\"m{index}\":{{\"k\":1}}")).collect();
    ok(format!(r#"{{"inner":{{"access_token":"a"}},{}}}"#, many.join(",")), "access=a");
    let long = "t".repeat(1 << 20);
    ok(format!(r#"{{"access_token":"{long}"}}"#), &format!("access={long}"));
    // Every prefix and every one-byte change of an answer gives some outcome.
    let answer = br#"{"access_token":"a","expires_in":"3600","scope":["x"],"d":{"error":"e"}}"#;
    for end in 0..answer.len() {
        outcome(Purpose::Acquire, &response(200, &[], &answer[..end]));
        for byte in [0, b'"', b'{', b'}', b'\\', b'<', b'=', 0xff] {
            let mut changed = answer.to_vec();
            changed[end] = byte;
            outcome(Purpose::Refresh, &response(200, &[], changed));
        }
    }
}

#[test]
fn revocations() {
    let outcome = |status, body: &str| match token_response::revoked(&context(), &response(status, &[], body)) {
        Ok(()) => "revoked".into(),
        Err(failure) => show(Err(failure)),
    };
    assert_eq!(outcome(200, ""), "revoked");
    assert_eq!(outcome(204, ""), "revoked");
    assert_eq!(outcome(503, ""), "http_503, retry: the provider answered HTTP 503");
    assert_eq!(
        outcome(400, r#"{"error":"unsupported_token_type"}"#),
        "unsupported_token_type, reconfigure: the provider answered HTTP 400, unsupported_token_type"
    );
}
