//! Tokens that are none, and credentials that contradict themselves: refused, and alike outside.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;

use super::{Door, Stage};
use crate::access::REST_SERVICES_USER;

#[tokio::test]
async fn rubbish_is_refused_and_looks_the_same_outside() {
    let stage = Stage::new().await;
    let made = stage.application("good", &[REST_SERVICES_USER], &[], &[]).await;
    let good = made.value().to_owned();
    let foreign = Stage::new().await.application("good", &[REST_SERVICES_USER], &[], &[]).await;
    stage.check(&good, None, "good").await;
    let mut rubbish = vec![
        String::new(),
        " ".to_owned(),
        "tha_".to_owned(),
        "é".repeat(33),
        "\u{0}".repeat(66),
        "tha_\u{ff21}".to_owned(),
        "a".repeat(1_000_000),
        foreign.value().to_owned(),
        good.replacen("tha_", "thp_", 1),
        good.to_uppercase(),
        format!("{good}{good}"),
        format!("{good}="),
        format!("{good}\u{200b}"),
    ];
    for at in 0..good.len() {
        rubbish.push(good[..at].to_owned());
        rubbish.push(format!("{}0{}", &good[..at], &good[at..]));
        for bit in 0..7 {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            rubbish.push(String::from_utf8(bytes).unwrap());
        }
    }
    for length in [1, 12, 65, 66, 67, 500] {
        let mut random = vec![0_u8; length];
        rand::fill(random.as_mut_slice());
        rubbish.push(random.iter().map(|byte| char::from(byte & 0x7f)).collect());
    }
    let mut outside = BTreeSet::new();
    for (number, token) in rubbish.iter().enumerate() {
        let told = stage.ask(Door::Verify, token).await;
        let reason = stage.reason(Door::Verify, &told).unwrap_or_else(|| panic!("{number} is accepted"));
        assert!(matches!(reason.as_str(), "malformed" | "unknown"), "{number}: {reason}");
        assert_eq!(stage.ask(Door::Introspect, token).await.text, r#"{"active":false}"#, "{number}");
        if token.trim().is_empty() || token.bytes().any(|byte| byte.is_ascii_control()) {
            continue;
        }
        let told = stage.ask(Door::Forward, token).await;
        assert!(matches!(stage.explain(told.header("x-support-id")).as_str(), "malformed" | "unknown"), "{number}");
        let mut headers = told.headers.clone();
        headers.remove("x-support-id");
        outside.insert(format!("{} {headers:?} {}", told.status, told.text));
    }
    assert_eq!(outside.len(), 1, "{outside:#?}");
    let outside = outside.first().unwrap();
    assert!(outside.starts_with("401") && outside.contains(r#"error=\"invalid_token\""#), "{outside}");
    // Nothing of it was counted, and what is good still is.
    assert_eq!(stage.count(&made).await, 3);
    stage.check(&good, None, "good").await;
}

#[tokio::test]
async fn at_the_door_for_proxies_credentials_are_tokens_and_single() {
    let stage = Stage::new().await;
    let (one, other) = (
        stage.application("one", &[REST_SERVICES_USER], &[], &[]).await,
        stage.application("other", &[REST_SERVICES_USER], &[], &[]).await,
    );
    let (one, other) = (one.value(), other.value());
    let (bearer, other_bearer) = (format!("Bearer {one}"), format!("Bearer {other}"));
    let huge = format!("Bearer {}", "a".repeat(1 << 20));
    for (headers, expected) in [
        (vec![], Some("no_credentials")),
        (vec![("authorization", bearer.as_str())], None),
        (vec![("auth-token", one)], None),
        (vec![("authorization", bearer.as_str()), ("auth-token", one)], None),
        (vec![("authorization", bearer.as_str()), ("auth-token", other)], Some("malformed")),
        (vec![("authorization", bearer.as_str()), ("authorization", other_bearer.as_str())], Some("malformed")),
        (vec![("authorization", bearer.as_str()), ("authorization", bearer.as_str())], Some("malformed")),
        (vec![("auth-token", one), ("auth-token", other)], Some("malformed")),
        (vec![("authorization", huge.as_str())], Some("malformed")),
        (vec![("auth-token", &huge)], Some("malformed")),
        (vec![("authorization", "Basic YWRhOnB3")], Some("no_credentials")),
        (vec![("authorization", "Basic YWRhOnB3"), ("auth-token", one)], None),
        (vec![("cookie", "tokenhost_session=x")], Some("no_credentials")),
        (vec![("x-remote-user", "ada"), ("x-proxy-secret", "x")], Some("no_credentials")),
        (vec![("x-auth-principal", "root"), ("x-original-uri", "/?auth_token=x")], Some("no_credentials")),
    ] {
        let told = stage.forward("rest-json?auth_token=x&login_mode=form", &headers).await;
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(stage.reason(Door::Forward, &told).as_deref(), expected, "{names:?}");
        assert_eq!(
            (told.status.as_u16(), told.text.as_str()),
            (if expected.is_some() { 401 } else { 200 }, ""),
            "{names:?}"
        );
        if expected == Some("no_credentials") {
            assert_eq!(told.header("www-authenticate"), "Bearer realm=\"tokenhost\"");
        }
    }
    for method in ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let request = Request::builder().method(method).uri("/v1/forward-auth/rest-json/any/path?x=y");
        let request = request.header("auth-token", one).body(Body::from("the client's")).unwrap();
        let told = stage.world.send(request).await;
        assert_eq!((told.status.as_u16(), told.header("x-auth-principal")), (200, "one"), "{method}");
        assert_eq!(told.header("content-length"), "0", "{method}");
    }
}
