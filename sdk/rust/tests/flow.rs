//! A flow of several steps, through the harness: what the contract allows, a test can say.

use tokenhost_flow::harness::response;
use tokenhost_flow::prelude::*;
use tokenhost_flow::types::{Answered, Prompt, Send, Wait};

/// Asks for a ticket, waits for a person, then takes the token.
struct Ticket;

impl Flow for Ticket {
    fn describe() -> Description {
        Description::new("ticket", "1.0.0", "Ticket")
            .handles_named()
            .attended()
            .field(Field::url("url", "URL").required())
            .field(Field::secret("key", "Key").required_when("mode", &["keyed"]))
            .field(Field::choice("mode", "Mode", &["keyed", "open"]).default_value("open"))
            .field(Field::flag("slow", "Slow"))
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        let url = context.required("url")?;
        match event {
            Event::Begin(_) => {
                let request = Request::post(format!("{url}/tickets"))
                    .query("v", Part::text("1"))
                    .header("x-key", [Part::text("k="), Part::secret("signed")])
                    .derive("signed", Derivation::basic(Part::text("me"), Part::secret("key"), BasicEncoding::None))
                    .json(json().text("/name", "me").literal("/count", "2").secret("/key", "key"));
                Ok(Step::Send(Send { request, state: "asked".into() }))
            }
            Event::Answered(Answered { state, response }) if state == "asked" => {
                let answer = tokenhost_flow::token_response::Answer::read(&response)
                    .map_err(|_| Failure::retry("invalid_response", "no ticket", None))?;
                let ticket =
                    answer.text("ticket").ok_or_else(|| Failure::retry("invalid_response", "no ticket", None))?;
                let prompt = Prompt { message: "Confirm".into(), url: None, code: Some("42".into()) };
                let seconds = if context.flag("slow") { 60 } else { 5 };
                Ok(Step::Wait(Wait { seconds, prompt: Some(prompt), state: ticket }))
            }
            Event::Elapsed(ticket) => {
                let request = Request::get(format!("{url}/token?x=1")).query("ticket", Part::sensitive(ticket));
                Ok(Step::Send(Send { request, state: "taking".into() }))
            }
            Event::Answered(_) => Ok(Step::Done(Token::new("t"))),
            Event::Unanswered(what) => Err(Failure::unanswered(&what)),
            Event::Returned(_) => Err(Failure::unsupported("no redirect was asked for")),
        }
    }
}

tokenhost_flow::export!(Ticket);

fn ticket() -> Harness {
    Harness::new::<Ticket>().value("url", "https://id.example").secret("key")
}

#[test]
fn several_steps() {
    let asked = ticket().value("slow", "true").acquire();
    assert_eq!(
        asked.request(),
        "POST https://id.example/tickets?v=1\n\
         x-key: k={signed}\n\
         content-type: application/json\n\
         \n\
         /name \"me\"\n\
         /count 2\n\
         /key \"{key}\"\n\
         {signed} = basic me:{key}\n"
    );
    let waiting = asked.answer(200, r#"{"error":"no","ticket":"T1"}"#);
    assert_eq!(waiting.state(), "T1");
    let taking = waiting.elapsed();
    assert_eq!(taking.request(), "GET https://id.example/token?x=1&ticket={sensitive}\n");
    assert_eq!(taking.answer_with(response(200, &[], "")).token(), Token::new("t"));
}

#[test]
fn what_ends_an_attempt() {
    assert_eq!(
        ticket().acquire().unanswered(true, "reset").failure_line(),
        "no_answer, retry: the request got no complete answer: reset"
    );
    assert_eq!(
        ticket().acquire().unanswered(false, "no such host").failure_line(),
        "no_answer, retry: the request could not be sent: no such host"
    );
}

#[test]
#[should_panic(expected = "required and not set: [\"url\"]")]
fn missing_fields_are_refused() {
    Harness::new::<Ticket>().acquire();
}

#[test]
#[should_panic(expected = "required and not set: [\"key\"]")]
fn conditions_are_kept() {
    Harness::new::<Ticket>().value("url", "https://id.example").value("mode", "keyed").acquire();
}

#[test]
#[should_panic(expected = "uses key, which is not set")]
fn unset_secrets_are_refused() {
    Harness::new::<Ticket>().value("url", "https://id.example").acquire();
}

#[test]
#[should_panic(expected = "https://evil.example is the origin of no URL field")]
fn foreign_origins_are_refused() {
    struct Foreign;
    impl OAuthFlow for Foreign {
        fn describe() -> Description {
            Description::new("foreign", "1.0.0", "Foreign").field(Field::url("url", "URL"))
        }
        fn request(_: &Context, _: Purpose) -> Result<Request, Failure> {
            Ok(Request::get("https://evil.example?https://id.example"))
        }
    }
    Harness::new::<Foreign>().value("url", "https://id.example/x").acquire();
}

#[test]
#[should_panic(expected = "key is a secret")]
fn secrets_are_no_values() {
    let _ = Harness::new::<Ticket>().value("key", "x");
}

#[test]
fn requests_of_every_kind_as_text() {
    use tokenhost_flow::types::{
        Digest, Encoding, Escape, Hash, Hmac, JsonValue, Jwt, Member, Transform, Transformation,
    };
    struct Every;
    impl OAuthFlow for Every {
        fn describe() -> Description {
            Description::new("every", "1.0.0", "Every")
                .field(Field::url("url", "URL"))
                .field(Field::secret("key", "Key"))
        }
        fn request(_: &Context, _: Purpose) -> Result<Request, Failure> {
            let key = || vec![Part::secret("key")];
            let message = vec![Part::text("POST\n"), Part::secret("digest")];
            let how = vec![Transformation::Base64Decode, Transformation::UpperCase];
            let claims = vec![
                Member { pointer: "/iss".into(), value: JsonValue::Text(vec![Part::text("me")]) },
                Member { pointer: "/exp".into(), value: JsonValue::Literal("5".into()) },
            ];
            let jwt = Jwt { algorithm: "RS256".into(), key: "key".into(), header: Vec::new(), claims };
            let digest = Digest { hash: Hash::Sha256, message: vec![Part::Body], encoding: Encoding::Base64 };
            let mac = Hmac { hash: Hash::Sha1, key: key(), message, encoding: Encoding::Hex };
            Ok(Request::post("https://id.example")
                .raw("text/xml", [Part::text("<a>"), Part::secret("key"), Part::text("</a>")], Escape::Xml)
                .derive("digest", Derivation::Digest(digest))
                .derive("mac", Derivation::Hmac(mac))
                .derive("token", Derivation::Jwt(jwt))
                .derive("both", Derivation::Transform(Transform { value: vec![Part::secret("mac")], how }))
                .header("x", Part::secret("both")))
        }
    }
    assert_eq!(
        Harness::new::<Every>().value("url", "https://id.example").secret("key").acquire().request(),
        "POST https://id.example\n\
         x: {both}\n\
         content-type: text/xml\n\
         \n\
         <a>{key}</a>\n\
         {digest} = digest sha256 base64 {body}\n\
         {mac} = hmac sha1 hex {key} POST\n\
         {digest}\n\
         {token} = jwt RS256 {key} [] [/iss \"me\"\n\
         /exp 5]\n\
         {both} = transform [base64-decode, upper-case] {mac}\n"
    );
}
