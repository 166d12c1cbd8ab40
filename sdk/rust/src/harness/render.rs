//! A request as text for tests, and the checks that the host would make of it.

use std::fmt::Write;

use crate::types::{
    BasicEncoding, Body, Context, Derivation, Derived, Description, FieldKind, JsonValue, Location, Member, Method,
    Part, Request, Token,
};

/// The request as text; see [`super::Run::request`].
pub(super) fn request(request: &Request) -> String {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    };
    let mut text = format!("{method} {}", request.url);
    for (index, (name, value)) in request.query.iter().enumerate() {
        let separator = if index == 0 && !request.url.contains('?') { '?' } else { '&' };
        let _ = write!(text, "{separator}{name}={}", template(value));
    }
    text.push('\n');
    for (name, value) in &request.headers {
        let _ = writeln!(text, "{name}: {}", template(value));
    }
    match &request.body {
        Body::Empty => {}
        Body::Form(parameters) => {
            let pairs: Vec<String> =
                parameters.iter().map(|(name, value)| format!("{name}={}", template(value))).collect();
            let _ = writeln!(text, "content-type: application/x-www-form-urlencoded\n\n{}", pairs.join("&"));
        }
        Body::Json(members) => {
            let _ = writeln!(text, "content-type: application/json\n\n{}", json(members));
        }
        Body::Raw(raw) => {
            let _ = writeln!(text, "content-type: {}\n\n{}", raw.content_type, template(&raw.content));
        }
    }
    for derived in &request.derived {
        let _ = writeln!(text, "{{{}}} = {}", derived.name, derivation(&derived.value));
    }
    text
}

/// How a token goes into a request, as text; see [`super::Run::placed`].
pub(super) fn token(token: &Token) -> String {
    let mut text = String::new();
    for placement in &token.placements {
        let (name, value) = (&placement.name, template(&placement.value));
        let _ = match placement.location {
            Location::Header => writeln!(text, "{name}: {value}"),
            Location::Query => writeln!(text, "?{name}={value}"),
            Location::Cookie => writeln!(text, "cookie {name}={value}"),
        };
    }
    if let Some(signer) = &token.signer {
        let _ = writeln!(text, "signer {}", signer.name);
        for (name, value) in &signer.parameters {
            let _ = writeln!(text, "  {name}={}", template(value));
        }
    }
    for derived in &token.derived {
        let _ = writeln!(text, "{{{}}} = {}", derived.name, derivation(&derived.value));
    }
    text
}

/// A template, its secrets as names.
fn template(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Sensitive(_) => "{sensitive}".into(),
            Part::Secret(name) => format!("{{{name}}}"),
            Part::Body => "{body}".into(),
        })
        .collect()
}

/// The members of a JSON document, a pointer each.
fn json(members: &[Member]) -> String {
    let lines: Vec<String> = members
        .iter()
        .map(|member| match &member.value {
            JsonValue::Text(value) => format!("{} \"{}\"", member.pointer, template(value)),
            JsonValue::Literal(value) => format!("{} {value}", member.pointer),
        })
        .collect();
    lines.join("\n")
}

/// What the host is to compute.
fn derivation(derivation: &Derivation) -> String {
    match derivation {
        Derivation::Basic(basic) => {
            let name = match basic.encoding {
                BasicEncoding::None => "basic",
                BasicEncoding::Form => "basic-form",
                BasicEncoding::Percent => "basic-percent",
            };
            format!("{name} {}:{}", template(&basic.user), template(&basic.password))
        }
        Derivation::Jwt(jwt) => {
            format!("jwt {} {{{}}} [{}] [{}]", jwt.algorithm, jwt.key, json(&jwt.header), json(&jwt.claims))
        }
        Derivation::Hmac(hmac) => {
            let (hash, encoding) = (case(&hmac.hash), case(&hmac.encoding));
            format!("hmac {hash} {encoding} {} {}", template(&hmac.key), template(&hmac.message))
        }
        Derivation::Digest(digest) => {
            format!("digest {} {} {}", case(&digest.hash), case(&digest.encoding), template(&digest.message))
        }
        Derivation::Transform(transform) => {
            let how: Vec<String> = transform.how.iter().map(case).collect();
            format!("transform [{}] {}", how.join(", "), template(&transform.value))
        }
    }
}

/// A case of an enum as the contract writes it, e.g. `base64-decode`.
fn case(value: &impl std::fmt::Debug) -> String {
    let debug = format!("{value:?}");
    let name = debug.rsplit("::").next().unwrap_or_default();
    let mut text = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

/// Holds a request against what the host would refuse.
pub(super) fn check(request: &Request, description: &Description, context: &Context, metadata: &str) {
    let urls = description.fields.iter().filter(|field| matches!(field.kind, FieldKind::Url | FieldKind::MetadataUrl));
    let learned: serde_json::Map<String, serde_json::Value> = serde_json::from_str(metadata).unwrap_or_default();
    let aliases = learned.get("mtls_endpoint_aliases").and_then(serde_json::Value::as_object);
    let learned = learned
        .iter()
        .chain(aliases.into_iter().flatten())
        .filter(|(name, _)| name.ends_with("_endpoint"))
        .filter_map(|(_, url)| url.as_str());
    let mut origins = urls.filter_map(|field| context.value(&field.name)).chain(learned).map(origin);
    assert!(
        origins.any(|allowed| allowed.eq_ignore_ascii_case(origin(&request.url))),
        "the host would refuse this request: {} is the origin of no URL field",
        origin(&request.url)
    );
    let known = known(context.secrets.iter().map(String::as_str).collect(), &request.derived);
    let body: Vec<&[Part]> = match &request.body {
        Body::Empty => Vec::new(),
        Body::Form(parameters) => parameters.iter().map(|(_, value)| value.as_slice()).collect(),
        Body::Json(members) => members.iter().map(of_member).collect(),
        Body::Raw(raw) => vec![&raw.content],
    };
    let around = request.query.iter().chain(&request.headers).map(|(_, value)| value.as_slice());
    for part in around.chain(body).flatten() {
        match part {
            Part::Secret(name) => assert!(known.contains(&name.as_str()), "the request uses {name}, which is not set"),
            Part::Body => panic!("the body can stand only inside a derivation"),
            Part::Text(_) | Part::Sensitive(_) => {}
        }
    }
}

/// Holds the placements and the signer of a token against what the host could fill in.
pub(super) fn check_token(token: &Token, context: &Context) {
    let mut names: Vec<&str> = context.secrets.iter().map(String::as_str).collect();
    let own = [("token.access_token", &token.access_token), ("token.refresh_token", &token.refresh_token)];
    names.extend(own.into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name));
    let owned: Vec<String> = token.secrets.iter().map(|(name, _)| format!("token.{name}")).collect();
    names.extend(owned.iter().map(String::as_str));
    let known = known(names, &token.derived);
    let placed = token.placements.iter().map(|placement| &placement.value);
    let parameters = token.signer.iter().flat_map(|signer| &signer.parameters).map(|(_, value)| value);
    for part in placed.chain(parameters).flatten() {
        match part {
            Part::Secret(name) => assert!(known.contains(&name.as_str()), "the token uses {name}, which is not set"),
            Part::Body => panic!("the body can stand only inside a derivation"),
            Part::Text(_) | Part::Sensitive(_) => {}
        }
    }
}

/// These names and those of derived values, each of which is made of what comes before it.
fn known<'a>(mut known: Vec<&'a str>, derived: &'a [Derived]) -> Vec<&'a str> {
    for derived in derived {
        for name in inside(&derived.value) {
            assert!(known.contains(&name), "the derived value {} uses {name}, which is not set", derived.name);
        }
        assert!(!known.contains(&derived.name.as_str()), "the derived value {} has a secret's name", derived.name);
        known.push(&derived.name);
    }
    known
}

/// The names of the secrets and derived values that a derivation uses.
fn inside(derivation: &Derivation) -> Vec<&str> {
    let (key, templates): (Option<&str>, Vec<&[Part]>) = match derivation {
        Derivation::Basic(basic) => (None, vec![&basic.user, &basic.password]),
        Derivation::Jwt(jwt) => (Some(&jwt.key), jwt.header.iter().chain(&jwt.claims).map(of_member).collect()),
        Derivation::Hmac(hmac) => (None, vec![&hmac.key, &hmac.message]),
        Derivation::Digest(digest) => (None, vec![&digest.message]),
        Derivation::Transform(transform) => (None, vec![&transform.value]),
    };
    let placed = templates.into_iter().flatten().filter_map(|part| match part {
        Part::Secret(name) => Some(name.as_str()),
        _ => None,
    });
    key.into_iter().chain(placed).collect()
}

/// The template of a member, if it has one.
fn of_member(member: &Member) -> &[Part] {
    match &member.value {
        JsonValue::Text(value) => value,
        JsonValue::Literal(_) => &[],
    }
}

/// Scheme and authority of a URL.
fn origin(url: &str) -> &str {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url[after..].find(['/', '?', '#']).map_or(url.len(), |at| after + at);
    &url[..end]
}
