//! What is refused before a byte leaves, and what a record shows of what isn't.

use super::super::testing::egress;
use super::super::{Blame, BodyRecord, Destinations, Extra, ExtraLocation, Limits, Pair, Prepared, Refusal, Transport};
use crate::flows::request::{
    BasicEncoding, Body, Derivation, Derived, Encoding, Escape, Hash, JsonValue, Member, Method, Part, Raw, Request,
    Template, Transformation,
};
use crate::secrets::{Cleaner, Secrets};

/// The integration's own URL.
const URL: &str = "https://idp.example/token";

fn text(text: &str) -> Template {
    vec![Part::Text(text.to_owned())]
}

fn secret(name: &str) -> Template {
    vec![Part::Secret(name.to_owned())]
}

fn named(name: &str, template: Template) -> (String, Template) {
    (name.to_owned(), template)
}

fn secrets() -> Secrets {
    let mut secrets = Secrets::default();
    secrets.insert("client_secret", "hunter2+hunter2".into());
    secrets.insert("token.refresh_token", "refresh-me".into());
    secrets.insert("broken", "pasted\n".into());
    secrets.insert("nul", "a\0b".into());
    secrets
}

fn request(body: Body) -> Request {
    Request { method: Method::Post, url: URL.to_owned(), query: vec![], headers: vec![], body, derived: vec![] }
}

fn form(pairs: &[(&str, Template)]) -> Body {
    Body::Form(pairs.iter().map(|(name, value)| named(name, value.clone())).collect())
}

fn prepare(request: &Request, extras: &[Extra]) -> Result<Prepared, Refusal> {
    egress(Limits::default()).prepare(request, &secrets(), extras, &Destinations::of([URL]), &Transport::default())
}

/// The body's bytes as text.
fn body(prepared: &Prepared) -> &str {
    std::str::from_utf8(&prepared.body).unwrap()
}

fn basic() -> Derived {
    let (user, password) = (text("robot"), secret("client_secret"));
    Derived { name: "basic".to_owned(), value: Derivation::Basic { user, password, encoding: BasicEncoding::None } }
}

#[track_caller]
fn check_refused(request: &Request, extras: &[Extra], pieces: &[&str]) {
    let refusal = prepare(request, extras).unwrap_err();
    let text = refusal.to_string();
    assert_eq!(refusal.problems.len(), pieces.len(), "{text}");
    for piece in pieces {
        assert!(text.contains(piece), "{piece}: {text}");
    }
    assert!(!text.contains("hunter2") && !text.contains("pasted"), "{text}");
}

#[test]
fn a_token_request_is_rendered_and_recorded_without_its_secrets() {
    let mut request = request(form(&[
        ("grant_type", text("authorization code")),
        ("code", vec![Part::Sensitive("c&de".into())]),
        ("client_secret", secret("client_secret")),
    ]));
    request.url = format!("{URL}?api=1&key=abc#part");
    request.query = vec![named("tenant id", text("a b/é+"))];
    request.headers = vec![
        named("Authorization", vec![Part::Text("Basic ".to_owned()), Part::Secret("basic".to_owned())]),
        named("user-agent", text("other/1")),
    ];
    request.derived = vec![basic()];
    let prepared = prepare(&request, &[]).unwrap();

    assert_eq!(prepared.url.as_str(), "https://idp.example/token?api=1&key=abc&tenant%20id=a%20b%2F%C3%A9%2B");
    assert_eq!(body(&prepared), "grant_type=authorization+code&code=c%26de&client_secret=hunter2%2Bhunter2");
    assert_eq!(prepared.headers["authorization"], "Basic cm9ib3Q6aHVudGVyMitodW50ZXIy");
    assert_eq!(prepared.headers["user-agent"], "other/1");
    assert_eq!(prepared.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(prepared.headers["accept"], "application/json");

    let record = prepared.record();
    assert_eq!((record.method.as_str(), record.url.as_str()), ("POST", URL));
    let pair = |name: &str, value: &str| Pair { name: name.to_owned(), value: value.to_owned() };
    assert_eq!(record.query, [pair("api", "…"), pair("key", "…"), pair("tenant id", "a b/é+")]);
    assert_eq!(record.headers, [pair("Authorization", "Basic [basic]"), pair("user-agent", "other/1")]);
    let BodyRecord::Form(pairs) = &record.body else { panic!("{record:?}") };
    assert_eq!(pairs[0], pair("grant_type", "authorization code"));
    assert!(pairs[1].value.starts_with("[sensitive, 4 bytes, sha256 "), "{pairs:?}");
    assert_eq!(pairs[2], pair("client_secret", "[client_secret]"));
    for shown in [format!("{prepared:?}"), serde_json::to_string(record).unwrap()] {
        assert!(!shown.contains("hunter2") && !shown.contains("c&de") && !shown.contains("cm9i"), "{shown}");
    }
}

#[test]
fn the_secrets_in_a_request_are_known_through_computed_values() {
    let mut request = request(form(&[("x", secret("outer"))]));
    let transform = |name: &str, of: &str| Derived {
        name: name.to_owned(),
        value: Derivation::Transform { value: secret(of), how: vec![Transformation::Hex] },
    };
    request.derived = vec![transform("inner", "token.refresh_token"), transform("outer", "inner"), basic()];
    let prepared = prepare(&request, &[]).unwrap();
    assert_eq!(
        prepared.secret_names().iter().collect::<Vec<_>>(),
        ["token.refresh_token"],
        "what isn't sent doesn't count"
    );
    assert_eq!(prepared.derived_secrets().names().collect::<Vec<_>>(), ["basic", "inner", "outer"]);

    request.body = form(&[("s", vec![Part::Sensitive("a-verifier".into())])]);
    let prepared = prepare(&request, &[]).unwrap();
    let mut cleaner = Cleaner::default();
    prepared.teach(&mut cleaner);
    assert_eq!(cleaner.clean("a-verifier cm9ib3Q6aHVudGVyMitodW50ZXIy"), "[sensitive] [basic]");
}

#[test]
fn a_signature_over_the_body_is_computed_from_what_is_sent() {
    let hmac = Derived {
        name: "signature".to_owned(),
        value: Derivation::Hmac {
            hash: Hash::Sha256,
            key: text("key"),
            message: vec![Part::Body],
            encoding: Encoding::Hex,
        },
    };
    let mut signed = request(Body::Raw(Raw {
        content_type: "text/plain".to_owned(),
        content: text("The quick brown fox jumps over the lazy dog"),
        escape: Escape::None,
    }));
    signed.headers = vec![named("x-signature", secret("signature"))];
    signed.derived = vec![hmac.clone()];
    let prepared = prepare(&signed, &[]).unwrap();
    let known = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    assert_eq!(prepared.headers["x-signature"], known);
    assert_eq!(prepared.headers["content-type"], "text/plain");

    // It can't be in the body that it signs.
    let mut circle = request(form(&[("signature", secret("signature"))]));
    circle.derived = vec![hmac];
    check_refused(
        &circle,
        &[],
        &["form parameter `signature`: uses the secret `signature`, which is not set, nor computed"],
    );
}

#[test]
fn json_and_raw_bodies_are_recorded_by_member_and_by_text() {
    let members = vec![
        Member { pointer: "/auth/secret".to_owned(), value: JsonValue::Text(secret("client_secret")) },
        Member { pointer: "/ttl".to_owned(), value: JsonValue::Literal("60".to_owned()) },
    ];
    let prepared = prepare(&request(Body::Json(members)), &[]).unwrap();
    assert_eq!(body(&prepared), r#"{"auth":{"secret":"hunter2+hunter2"},"ttl":60}"#);
    assert_eq!(prepared.headers["content-type"], "application/json");
    let BodyRecord::Json(pairs) = &prepared.record().body else { panic!("{prepared:?}") };
    assert_eq!((pairs[0].name.as_str(), pairs[0].value.as_str()), ("/auth/secret", "[client_secret]"));
    assert_eq!((pairs[1].name.as_str(), pairs[1].value.as_str()), ("/ttl", "60"));

    let raw = Raw {
        content_type: "application/xml".to_owned(),
        content: vec![Part::Text("<p>".to_owned()), Part::Secret("client_secret".to_owned())],
        escape: Escape::Xml,
    };
    let prepared = prepare(&request(Body::Raw(raw)), &[]).unwrap();
    assert_eq!(body(&prepared), "<p>hunter2+hunter2");
    assert!(matches!(&prepared.record().body, BodyRecord::Raw { content, .. } if content == "<p>[client_secret]"));
}

#[test]
fn extra_parameters_are_merged_before_derivations() {
    let extra = |location, name: &str, value| Extra { location, name: name.to_owned(), value };
    let extras = [
        extra(ExtraLocation::Header, "X-Tenant", text("t1")),
        extra(ExtraLocation::Query, "v", text("2")),
        extra(ExtraLocation::Body, "audience", text("crm")),
        extra(ExtraLocation::Body, "key", secret("client_secret")),
    ];
    let mut base = request(form(&[("audience", text("flow")), ("scope", text("a"))]));
    base.query = vec![named("v", text("1"))];
    base.headers = vec![named("x-tenant", text("t0")), named("x-digest", secret("digest"))];
    base.derived = vec![Derived {
        name: "digest".to_owned(),
        value: Derivation::Digest { hash: Hash::Md5, message: vec![Part::Body], encoding: Encoding::Hex },
    }];
    let prepared = prepare(&base, &extras).unwrap();
    assert_eq!(body(&prepared), "scope=a&audience=crm&key=hunter2%2Bhunter2");
    assert_eq!(prepared.url.as_str(), "https://idp.example/token?v=2");
    assert_eq!(prepared.headers.get_all("x-tenant").iter().collect::<Vec<_>>(), ["t1"]);
    assert_eq!(prepared.headers["x-digest"], "0ace2d28557a27b94c3eade201df5426");
    assert!(prepared.secret_names().contains("client_secret"));

    let json = request(Body::Json(vec![]));
    assert_eq!(body(&prepare(&json, &extras[2..3]).unwrap()), r#"{"audience":"crm"}"#);
    assert_eq!(body(&prepare(&request(Body::Empty), &extras[2..3]).unwrap()), "audience=crm");
    let get = Request { method: Method::Get, ..request(Body::Empty) };
    check_refused(&get, &extras[2..3], &["extra parameter `audience`: belongs in the body"]);
}

#[test]
fn a_signed_body_takes_no_extra_parameter() {
    let extra = |location| Extra { location, name: "audience".to_owned(), value: text("crm") };
    let digest = Derivation::Digest { hash: Hash::Sha256, message: vec![Part::Body], encoding: Encoding::Hex };
    let hmac = |message: Vec<Part>| Derivation::Hmac {
        hash: Hash::Sha256,
        key: secret("client_secret"),
        message,
        encoding: Encoding::Hex,
    };
    let with = |derived: Vec<(&str, Derivation)>| {
        let mut base = request(form(&[("scope", text("a"))]));
        base.headers = vec![named("x-signature", secret("signature"))];
        base.derived = derived.into_iter().map(|(name, value)| Derived { name: name.to_owned(), value }).collect();
        base
    };
    let directly = with(vec![("signature", hmac(vec![Part::Body]))]);
    let by_digest = with(vec![("digest", digest.clone()), ("signature", hmac(secret("digest")))]);
    for signed in [directly, by_digest] {
        let pieces = ["extra parameter `audience`: belongs in the body, which this flow signs"];
        check_refused(&signed, &[extra(ExtraLocation::Body)], &pieces);
        let beside = [extra(ExtraLocation::Header), extra(ExtraLocation::Query)];
        assert_eq!(body(&prepare(&signed, &beside).unwrap()), "scope=a");
    }
    let unsigned = with(vec![("digest", digest), ("signature", hmac(text("other")))]);
    assert_eq!(body(&prepare(&unsigned, &[extra(ExtraLocation::Body)]).unwrap()), "scope=a&audience=crm");
}

#[test]
fn all_problems_are_told_at_once_by_part_and_without_values() {
    let mut bad = request(form(&[("n", secret("nul")), ("m", secret("missing")), ("ok", text("1"))]));
    bad.url = "http://10.0.0.1/token".to_owned();
    bad.headers = vec![
        named("x-key", secret("broken")),
        named("Host", text("evil.example")),
        named("proxy-authorization", text("x")),
        named("bad name", text("x")),
    ];
    bad.query = vec![named("q", secret("nul"))];
    let pieces = [
        "form parameter `n`: has a NUL byte",
        "form parameter `m`: uses the secret `missing`, which is not set",
        "url: 10.0.0.1 is in the private network 10.0.0.0/8",
        "query parameter `q`: has a NUL byte",
        "header `x-key`: has a line break",
        "header `Host`: is set by the host",
        "header `proxy-authorization`: is set by the host",
        "header `bad name`: is no header name",
    ];
    check_refused(&bad, &[], &pieces);
    let blames: Vec<Blame> =
        prepare(&bad, &[]).unwrap_err().problems.into_iter().map(|problem| problem.blame).collect();
    use Blame::{Flow, Integration, Operator};
    assert_eq!(blames, [Integration, Integration, Operator, Integration, Integration, Flow, Flow, Flow]);
}

#[test]
fn a_flow_cannot_leave_its_integration_or_the_limits() {
    let with_url = |url: &str| Request { url: url.to_owned(), ..request(Body::Empty) };
    check_refused(&with_url("https://evil.example/"), &[], &["https://evil.example is none of this integration's"]);
    check_refused(&with_url("/token"), &[], &["url: is no absolute URL"]);
    check_refused(&with_url("https://user@idp.example/"), &[], &["user or password"]);
    check_refused(&with_url("gopher://idp.example/"), &[], &["scheme `gopher`"]);
    check_refused(&with_url(&format!("{URL}?{}", "x".repeat(70_000))), &[], &["url: is longer than 65534 bytes"]);

    let many = |count| (0..count).map(|index| named(&format!("p{index}"), text(""))).collect::<Vec<_>>();
    check_refused(&request(Body::Form(many(1001))), &[], &["body: has 1001 parts"]);
    check_refused(&Request { headers: many(1001), ..request(Body::Empty) }, &[], &["headers: has 1001 parts"]);
    check_refused(&request(form(&[("x", text(&"x".repeat(2 << 20)))])), &[], &["form parameter `x`: is longer than"]);
    check_refused(&request(form(&[("x", text(&"é".repeat(400_000)))])), &[], &["body: is longer than 1048576 bytes"]);
    let derived = vec![basic(); 65];
    check_refused(&Request { derived, ..request(Body::Empty) }, &[], &["derived: has 65 values; at most 64"]);

    // Each value twice the one before would soon fill the memory.
    let double = |index: usize| Derived {
        name: format!("d{index}"),
        value: Derivation::Transform {
            value: [secret(&format!("d{}", index - 1)), secret(&format!("d{}", index - 1))].concat(),
            how: vec![],
        },
    };
    let mut derived =
        vec![Derived { name: "d0".to_owned(), value: Derivation::Transform { value: text("x"), how: vec![] } }];
    derived.extend((1..40).map(double));
    check_refused(&Request { derived, ..request(Body::Empty) }, &[], &["derived `d21`: is longer than 1048576 bytes"]);

    let twice = Request { derived: vec![basic(), basic()], ..request(Body::Empty) };
    check_refused(&twice, &[], &["derived `basic`: is declared twice"]);
    let raw = Raw { content_type: "a\nb".to_owned(), content: vec![], escape: Escape::None };
    check_refused(&request(Body::Raw(raw.clone())), &[], &["body: has a content type that is no header value"]);
    let both = Request { headers: vec![named("Content-Type", text("x/y"))], ..request(Body::Raw(raw)) };
    check_refused(&both, &[], &["header `content-type`: is set twice"]);
}

#[test]
fn a_form_may_say_its_content_type_more_exactly() {
    let kind = "application/x-www-form-urlencoded; charset=utf-8";
    let mut exact = request(form(&[("a", text("1"))]));
    exact.headers = vec![named("Content-Type", text(kind)), named("ACCEPT", text("*/*"))];
    let prepared = prepare(&exact, &[]).unwrap();
    assert_eq!(prepared.headers.get_all("content-type").iter().collect::<Vec<_>>(), [kind]);
    assert_eq!(prepared.headers.get_all("accept").iter().collect::<Vec<_>>(), ["*/*"]);
}
