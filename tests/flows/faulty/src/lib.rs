//! Client credentials with one fault of choice: what authors get wrong, for the tests of `tokenhost plugin test`. Never shipped.

#![expect(clippy::panic, reason = "some of the faults are panics")]

use tokenhost_flow::prelude::*;
use tokenhost_flow::types::{Answered, Send, Token};

/// The flow as it should be.
struct Plain;

impl OAuthFlow for Plain {
    fn describe() -> Description {
        Description::new("faulty", env!("CARGO_PKG_VERSION"), "Client credentials with a fault")
            .summary("For tests of the conformance kit, which has to find the fault.")
            .handles_named()
            .fields(oauth::fields::client())
            .field(oauth::fields::token_url())
            .fields(oauth::fields::client_auth())
            .field(Field::text("fault", "Fault").help("What it gets wrong.").default_value("none"))
            .field(Field::text("password_hint", "Hint").help("A secret-like name that is no secret."))
    }

    fn request(context: &Context, purpose: Purpose) -> Result<Request, Failure> {
        oauth::request(context, purpose, form().text("grant_type", "client_credentials"))
    }
}

/// The flow with the fault that its field names.
#[derive(Debug)]
pub struct Faulty;

impl Flow for Faulty {
    fn describe() -> Description {
        <Plain as OAuthFlow>::describe()
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        let fault = context.value("fault").unwrap_or_default().to_owned();
        let acquires = matches!(event, Event::Begin(Purpose::Acquire));
        let (state, body) = match &event {
            Event::Answered(Answered { state, response }) => (state.clone(), response.body.clone()),
            _ => (String::new(), Vec::new()),
        };
        let is_answer = matches!(event, Event::Answered(_));
        let text = String::from_utf8_lossy(&body).into_owned();
        match fault.as_str() {
            "constant" if acquires => return Ok(Step::Done(Token::new("kit-access-token"))),
            "stray" if acquires => {
                let request = Request::get("http://127.0.0.1:9/elsewhere");
                return Ok(Step::Send(Send { request, state: "acquire".into() }));
            }
            "panics-on-garbage" if is_answer && !text.starts_with('{') => panic!("no JSON"),
            "panics-on-state" if is_answer && !["acquire", "refresh", "revoke"].contains(&state.as_str()) => {
                panic!("no such state")
            }
            "strict-numbers" if text.contains(r#""expires_in":""#) => {
                return Err(Failure::reconfigure("invalid_response", "expires_in is no number"));
            }
            "loops" if is_answer => loop {
                std::hint::black_box(());
            },
            "hoards" if is_answer => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(vec![1; 1 << 20]);
                    std::hint::black_box(&hoard);
                }
            }
            _ => {}
        }
        let outcome = <Plain as Flow>::advance(context, event);
        match (fault.as_str(), outcome) {
            ("loses-query", Ok(Step::Send(mut send))) => {
                send.request.url = send.request.url.split('?').next().unwrap_or_default().to_owned();
                Ok(Step::Send(send))
            }
            ("zero-lifetime", Ok(Step::Done(mut token))) => {
                token.expires_in.get_or_insert(0);
                Ok(Step::Done(token))
            }
            ("forgets-refresh", Ok(Step::Done(mut token))) => {
                token.refresh_token = None;
                Ok(Step::Done(token))
            }
            ("raw-type", Ok(Step::Done(mut token))) => {
                if text.contains(r#""bearer""#) {
                    token.token_type = Some("bearer".into());
                }
                Ok(Step::Done(token))
            }
            ("gives-up", Err(mut failure)) => {
                failure.remedy = Remedy::Reconfigure;
                Err(failure)
            }
            ("impatient", Err(mut failure)) => {
                if matches!(failure.remedy, Remedy::Retry(Some(_))) {
                    failure.remedy = Remedy::Retry(None);
                }
                Err(failure)
            }
            (_, outcome) => outcome,
        }
    }
}

tokenhost_flow::export!(Faulty);
