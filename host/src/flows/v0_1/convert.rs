//! Version 0.1's types to and from the domain's. Nothing is judged here (`validate`, `outcome`), and nothing is lost.

use secrecy::{ExposeSecret as _, SecretString};

use super::bindings::tokenhost::flow::types as wit;
use crate::flows::description::{Condition, Description, Field, FieldKind, Requirement, SchemeMatch};
use crate::flows::request::{
    BasicEncoding, Body, Derivation, Derived, Encoding, Escape, Hash, JsonValue, Member, Method, Part, Raw, Request,
    Template, Transformation,
};
use crate::flows::step::{
    Context, Event, Failure, FlowToken, Location, Placement, Placing, Prompt, Purpose, Remedy, Signer, Step, Wait,
};

// ---- to the flow ----

impl From<&Context> for wit::Context {
    fn from(context: &Context) -> Self {
        Self {
            scheme: wit::Scheme { name: context.scheme_name.clone(), document: context.scheme_document.clone() },
            values: context.values.clone(),
            secrets: context.secrets.clone(),
            revealed: exposed(&context.revealed),
            now: context.now,
            entropy: context.entropy.to_vec(),
            callback_url: context.callback_url.clone(),
            return_key: context.return_key.clone(),
        }
    }
}

impl From<Event> for wit::Event {
    fn from(event: Event) -> Self {
        match event {
            Event::Begin(purpose) => Self::Begin(match purpose {
                Purpose::Acquire => wit::Purpose::Acquire,
                Purpose::Refresh => wit::Purpose::Refresh,
                Purpose::Revoke => wit::Purpose::Revoke,
            }),
            Event::Answered(state, response) => Self::Answered(wit::Answered {
                state: plain(&state),
                response: wit::Response {
                    status: response.status,
                    headers: response.headers,
                    body: response.body.into(),
                },
            }),
            Event::Unanswered(state, unanswered) => Self::Unanswered(wit::Unanswered {
                state: plain(&state),
                left: unanswered.left,
                reason: unanswered.reason,
            }),
            Event::Elapsed(state) => Self::Elapsed(plain(&state)),
            Event::Returned(state, query) => {
                Self::Returned(wit::Returned { state: plain(&state), query: exposed(&query) })
            }
        }
    }
}

fn plain(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

fn exposed(pairs: &[(String, SecretString)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
}

// ---- from the flow ----

impl From<wit::Description> for Description {
    fn from(description: wit::Description) -> Self {
        Self {
            name: description.name,
            version: description.version,
            title: description.title,
            summary: description.summary,
            handles: description
                .handles
                .into_iter()
                .map(|handled| SchemeMatch { kind: handled.kind, detail: handled.detail })
                .collect(),
            unattended: description.unattended,
            fields: description.fields.into_iter().map(Field::from).collect(),
        }
    }
}

impl From<wit::Field> for Field {
    fn from(field: wit::Field) -> Self {
        Self {
            name: field.name,
            title: field.title,
            help: field.help,
            kind: match field.kind {
                wit::FieldKind::Text => FieldKind::Text,
                wit::FieldKind::Secret => FieldKind::Secret,
                wit::FieldKind::Url => FieldKind::Url,
                wit::FieldKind::MetadataUrl => FieldKind::MetadataUrl,
                wit::FieldKind::Choice(choices) => FieldKind::Choice(choices),
                wit::FieldKind::Flag => FieldKind::Flag,
                wit::FieldKind::Words => FieldKind::Words,
            },
            required: match field.required {
                wit::Requirement::Always => Requirement::Always,
                wit::Requirement::Never => Requirement::Never,
                wit::Requirement::When(condition) => {
                    Requirement::When(Condition { field: condition.field, one_of: condition.one_of })
                }
            },
            default: field.default,
            source: field.source,
        }
    }
}

impl From<wit::Step> for Step {
    fn from(step: wit::Step) -> Self {
        match step {
            wit::Step::Send(send) => Self::Send(send.request.into(), send.state.into()),
            wit::Step::Wait(wait) => Self::Wait(Wait {
                seconds: wait.seconds,
                prompt: wait.prompt.map(|prompt| Prompt {
                    message: prompt.message,
                    url: prompt.url,
                    code: prompt.code,
                }),
                state: wait.state.into(),
            }),
            wit::Step::Redirect(redirect) => Self::Redirect(redirect.url, redirect.state.into()),
            wit::Step::Done(token) => Self::Done(Box::new(token.into())),
            wit::Step::Revoked => Self::Revoked,
        }
    }
}

impl From<wit::Failure> for Failure {
    fn from(failure: wit::Failure) -> Self {
        Self {
            code: failure.code,
            message: failure.message,
            remedy: match failure.remedy {
                wit::Remedy::Retry(after) => Remedy::Retry(after),
                wit::Remedy::Reacquire => Remedy::Reacquire,
                wit::Remedy::Reconfigure => Remedy::Reconfigure,
            },
        }
    }
}

impl From<wit::Request> for Request {
    fn from(request: wit::Request) -> Self {
        Self {
            method: match request.method {
                wit::Method::Get => Method::Get,
                wit::Method::Post => Method::Post,
                wit::Method::Put => Method::Put,
                wit::Method::Patch => Method::Patch,
                wit::Method::Delete => Method::Delete,
            },
            url: request.url,
            query: templates(request.query),
            headers: templates(request.headers),
            body: match request.body {
                wit::Body::Empty => Body::Empty,
                wit::Body::Form(parameters) => Body::Form(templates(parameters)),
                wit::Body::Json(json) => Body::Json(members(json)),
                wit::Body::Raw(raw) => Body::Raw(Raw {
                    content_type: raw.content_type,
                    content: template(raw.content),
                    escape: match raw.escape {
                        wit::Escape::None => Escape::None,
                        wit::Escape::Json => Escape::Json,
                        wit::Escape::Xml => Escape::Xml,
                        wit::Escape::Form => Escape::Form,
                    },
                }),
            },
            derived: derived(request.derived),
        }
    }
}

impl From<wit::Token> for FlowToken {
    fn from(token: wit::Token) -> Self {
        Self {
            access_token: token.access_token.map(SecretString::from),
            refresh_token: token.refresh_token.map(SecretString::from),
            token_type: token.token_type,
            expires_in: token.expires_in,
            expires_at: token.expires_at,
            refresh_expires_in: token.refresh_expires_in,
            scope: token.scope,
            values: token.values,
            secrets: token.secrets.into_iter().map(|(name, value)| (name, value.into())).collect(),
            placing: Placing {
                placements: token
                    .placements
                    .into_iter()
                    .map(|placement| Placement {
                        location: match placement.location {
                            wit::Location::Header => Location::Header,
                            wit::Location::Query => Location::Query,
                            wit::Location::Cookie => Location::Cookie,
                        },
                        name: placement.name,
                        value: template(placement.value),
                    })
                    .collect(),
                derived: derived(token.derived),
                signer: token
                    .signer
                    .map(|signer| Signer { name: signer.name, parameters: templates(signer.parameters) }),
            },
        }
    }
}

fn templates(pairs: Vec<(String, wit::Template)>) -> Vec<(String, Template)> {
    pairs.into_iter().map(|(name, value)| (name, template(value))).collect()
}

fn template(parts: wit::Template) -> Template {
    parts
        .into_iter()
        .map(|part| match part {
            wit::Part::Text(text) => Part::Text(text),
            wit::Part::Sensitive(text) => Part::Sensitive(text.into()),
            wit::Part::Secret(name) => Part::Secret(name),
            wit::Part::Body => Part::Body,
        })
        .collect()
}

fn members(json: Vec<wit::Member>) -> Vec<Member> {
    json.into_iter()
        .map(|member| Member {
            pointer: member.pointer,
            value: match member.value {
                wit::JsonValue::Text(text) => JsonValue::Text(template(text)),
                wit::JsonValue::Literal(literal) => JsonValue::Literal(literal),
            },
        })
        .collect()
}

fn derived(values: Vec<wit::Derived>) -> Vec<Derived> {
    values.into_iter().map(|derived| Derived { name: derived.name, value: derived.value.into() }).collect()
}

impl From<wit::Derivation> for Derivation {
    fn from(derivation: wit::Derivation) -> Self {
        match derivation {
            wit::Derivation::Basic(basic) => Self::Basic {
                user: template(basic.user),
                password: template(basic.password),
                encoding: match basic.encoding {
                    wit::BasicEncoding::None => BasicEncoding::None,
                    wit::BasicEncoding::Form => BasicEncoding::Form,
                    wit::BasicEncoding::Percent => BasicEncoding::Percent,
                },
            },
            wit::Derivation::Jwt(jwt) => Self::Jwt {
                algorithm: jwt.algorithm,
                key: jwt.key,
                header: members(jwt.header),
                claims: members(jwt.claims),
            },
            wit::Derivation::Hmac(hmac) => Self::Hmac {
                hash: hmac.hash.into(),
                key: template(hmac.key),
                message: template(hmac.message),
                encoding: hmac.encoding.into(),
            },
            wit::Derivation::Digest(digest) => Self::Digest {
                hash: digest.hash.into(),
                message: template(digest.message),
                encoding: digest.encoding.into(),
            },
            wit::Derivation::Transform(transform) => Self::Transform {
                value: template(transform.value),
                how: transform.how.into_iter().map(Transformation::from).collect(),
            },
        }
    }
}

impl From<wit::Hash> for Hash {
    fn from(hash: wit::Hash) -> Self {
        match hash {
            wit::Hash::Md5 => Self::Md5,
            wit::Hash::Sha1 => Self::Sha1,
            wit::Hash::Sha256 => Self::Sha256,
            wit::Hash::Sha384 => Self::Sha384,
            wit::Hash::Sha512 => Self::Sha512,
        }
    }
}

impl From<wit::Encoding> for Encoding {
    fn from(encoding: wit::Encoding) -> Self {
        match encoding {
            wit::Encoding::Raw => Self::Raw,
            wit::Encoding::Hex => Self::Hex,
            wit::Encoding::Base64 => Self::Base64,
            wit::Encoding::Base64url => Self::Base64Url,
        }
    }
}

impl From<wit::Transformation> for Transformation {
    fn from(transformation: wit::Transformation) -> Self {
        match transformation {
            wit::Transformation::Base64 => Self::Base64,
            wit::Transformation::Base64url => Self::Base64Url,
            wit::Transformation::Hex => Self::Hex,
            wit::Transformation::Base64Decode => Self::Base64Decode,
            wit::Transformation::HexDecode => Self::HexDecode,
            wit::Transformation::Percent => Self::Percent,
            wit::Transformation::Form => Self::Form,
            wit::Transformation::LowerCase => Self::LowerCase,
            wit::Transformation::UpperCase => Self::UpperCase,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A template of one text, which tells where it ended up.
    fn text(text: &str) -> wit::Template {
        vec![wit::Part::Text(text.to_owned())]
    }

    /// What is alike in type is not mixed up: each value says where it belongs.
    #[test]
    fn every_value_arrives_in_its_place() {
        let derivations = [
            wit::Derivation::Basic(wit::Basic {
                user: text("user"),
                password: text("password"),
                encoding: wit::BasicEncoding::Percent,
            }),
            wit::Derivation::Jwt(wit::Jwt {
                algorithm: "algorithm".to_owned(),
                key: "key".to_owned(),
                header: vec![wit::Member {
                    pointer: "/header".to_owned(),
                    value: wit::JsonValue::Literal("1".to_owned()),
                }],
                claims: vec![wit::Member { pointer: "/claims".to_owned(), value: wit::JsonValue::Text(text("claim")) }],
            }),
            wit::Derivation::Hmac(wit::Hmac {
                hash: wit::Hash::Sha384,
                key: text("key"),
                message: vec![wit::Part::Body],
                encoding: wit::Encoding::Base64url,
            }),
            wit::Derivation::Digest(wit::Digest {
                hash: wit::Hash::Md5,
                message: vec![wit::Part::Secret("name".to_owned())],
                encoding: wit::Encoding::Raw,
            }),
            wit::Derivation::Transform(wit::Transform {
                value: text("value"),
                how: vec![wit::Transformation::Base64Decode, wit::Transformation::UpperCase],
            }),
        ];
        let shown: Vec<String> =
            derivations.into_iter().map(|derivation| format!("{:?}", Derivation::from(derivation))).collect();
        assert_eq!(
            shown,
            [
                r#"Basic { user: [Text("user")], password: [Text("password")], encoding: Percent }"#,
                r#"Jwt { algorithm: "algorithm", key: "key", header: [Member { pointer: "/header", value: Literal("1") }], claims: [Member { pointer: "/claims", value: Text([Text("claim")]) }] }"#,
                r#"Hmac { hash: Sha384, key: [Text("key")], message: [Body], encoding: Base64Url }"#,
                r#"Digest { hash: Md5, message: [Secret("name")], encoding: Raw }"#,
                r#"Transform { value: [Text("value")], how: [Base64Decode, UpperCase] }"#,
            ]
        );
        let token = FlowToken::from(wit::Token {
            access_token: Some("access".to_owned()),
            refresh_token: Some("refresh".to_owned()),
            token_type: Some("type".to_owned()),
            expires_in: Some(1),
            expires_at: Some(2),
            refresh_expires_in: Some(3),
            scope: Some("scope".to_owned()),
            values: vec![("value".to_owned(), "1".to_owned())],
            secrets: vec![("secret".to_owned(), "2".to_owned())],
            placements: vec![wit::Placement {
                location: wit::Location::Cookie,
                name: "name".to_owned(),
                value: text("placed"),
            }],
            derived: Vec::new(),
            signer: Some(wit::Signer { name: "signer".to_owned(), parameters: vec![("region".to_owned(), text("x"))] }),
        });
        assert_eq!(token.access_token.as_ref().map(plain).as_deref(), Some("access"));
        assert_eq!(token.refresh_token.as_ref().map(plain).as_deref(), Some("refresh"));
        assert_eq!((token.token_type.as_deref(), token.scope.as_deref()), (Some("type"), Some("scope")));
        assert_eq!((token.expires_in, token.expires_at, token.refresh_expires_in), (Some(1), Some(2), Some(3)));
        assert_eq!((token.values.len(), plain(&token.secrets[0].1).as_str()), (1, "2"));
        assert_eq!(
            (token.placing.placements[0].location, token.placing.placements[0].name.as_str()),
            (Location::Cookie, "name")
        );
        assert_eq!(token.placing.signer.unwrap().parameters[0].0, "region");
    }

    #[test]
    fn events_keep_their_state() {
        let state = || SecretString::from("state");
        let answered = crate::flows::step::Response {
            status: 418,
            headers: vec![("a".to_owned(), "b".to_owned())],
            body: bytes::Bytes::from_static(b"body"),
        };
        let wit::Event::Answered(answered) = Event::Answered(state(), answered).into() else { panic!() };
        assert_eq!((answered.state.as_str(), answered.response.status), ("state", 418));
        assert_eq!((answered.response.headers.len(), answered.response.body.as_slice()), (1, &b"body"[..]));
        let unanswered = crate::flows::step::Unanswered { left: true, reason: "reset".to_owned() };
        let wit::Event::Unanswered(unanswered) = Event::Unanswered(state(), unanswered).into() else { panic!() };
        assert_eq!((unanswered.state.as_str(), unanswered.left, unanswered.reason.as_str()), ("state", true, "reset"));
        let query = vec![("code".to_owned(), SecretString::from("1234"))];
        let wit::Event::Returned(returned) = Event::Returned(state(), query).into() else { panic!() };
        assert_eq!((returned.state.as_str(), returned.query[0].1.as_str()), ("state", "1234"));
        assert!(matches!(Event::Elapsed(state()).into(), wit::Event::Elapsed(text) if text == "state"));
        assert!(matches!(Event::Begin(Purpose::Revoke).into(), wit::Event::Begin(wit::Purpose::Revoke)));
    }
}
