//! A provider that trades an API key for a short-lived token by JSON, and says when it expires in a member of its own.
//!
//! As a component it would be a crate of its own (`tokenhost plugin new`); here it is one file, with its test:
//! `cargo test --package tokenhost-flow --example api_key`.

use tokenhost_flow::prelude::*;
use tokenhost_flow::token_response::{self, Answer};

/// The flow.
#[derive(Debug)]
pub struct ApiKey;

impl OAuthFlow for ApiKey {
    fn describe() -> Description {
        Description::new("api-key", env!("CARGO_PKG_VERSION"), "API key for a token")
            .summary("For services that trade an API key for a short-lived token.")
            .handles_named()
            .field(Field::url("url", "Service URL").help("Where /v2/sessions is.").required())
            .field(Field::secret("api_key", "API key").required())
            .field(Field::choice("region", "Region", &["eu", "us"]).default_value("eu"))
    }

    fn request(context: &Context, purpose: Purpose) -> Result<Request, Failure> {
        match purpose {
            Purpose::Acquire => {
                let url = format!("{}/v2/sessions", context.required("url")?.trim_end_matches('/'));
                let region = context.value("region").unwrap_or("eu");
                Ok(Request::post(url)
                    .header("x-api-key", Part::secret("api_key"))
                    .json(json().text("/session/region", region).literal("/session/renewable", "false")))
            }
            Purpose::Refresh => Err(Failure::reacquire("no_refresh", "sessions are not renewed")),
            Purpose::Revoke => Err(Failure::unsupported("sessions end by themselves")),
        }
    }

    fn token(context: &Context, purpose: Purpose, response: &Response) -> Result<Token, Failure> {
        let mut token = token_response::parse(context, purpose, response)?;
        // Not a name that the parser knows.
        if let Some(minutes) = Answer::read(response).ok().and_then(|answer| answer.number("valid_minutes")) {
            token.expires_in = Some(minutes.saturating_mul(60));
        }
        Ok(token)
    }
}

tokenhost_flow::export!(ApiKey);

fn main() {}

#[cfg(test)]
mod tests {
    use super::*;

    fn integration() -> Harness {
        Harness::new::<ApiKey>().value("url", "https://api.example/").secret("api_key")
    }

    #[test]
    fn shows_the_key_and_reads_the_minutes() {
        let run = integration().acquire();
        assert_eq!(
            run.request(),
            "POST https://api.example/v2/sessions\n\
             x-api-key: {api_key}\n\
             content-type: application/json\n\
             \n\
             /session/region \"eu\"\n\
             /session/renewable false\n"
        );
        let token = run.answer(201, r#"{"session":{"accessToken":"t","valid_minutes":15}}"#).token();
        assert_eq!((token.access_token.as_deref(), token.expires_in), (Some("t"), Some(900)));
    }
}
