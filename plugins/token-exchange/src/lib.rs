//! OAuth 2.0 token exchange (RFC 8693): one token is given for another, for another service or a narrower purpose.

use tokenhost_flow::prelude::*;
use tokenhost_flow::token_response::{self, Answer};
use tokenhost_flow::types::{Response, Token};

/// The types of tokens that have a name of their own (RFC 8693 section 3).
const TYPES: [&str; 6] = ["access_token", "refresh_token", "id_token", "saml1", "saml2", "jwt"];

/// What stands before the name of a type.
const TYPE: &str = "urn:ietf:params:oauth:token-type:";

/// The flow.
#[derive(Debug)]
pub struct TokenExchange;

impl OAuthFlow for TokenExchange {
    fn describe() -> Description {
        use oauth::fields;
        Description::new("token-exchange", env!("CARGO_PKG_VERSION"), "OAuth 2.0 token exchange")
            .summary(
                "For services that give a token for another token (RFC 8693): of a workload's identity, of another \
                 provider, or of a user for whom the client acts.",
            )
            .handles_named()
            .field(
                Field::secret("subject_token", "Subject token")
                    .help("The token to exchange. Of whom the new token will be.")
                    .required(),
            )
            .field(
                Field::choice("subject_token_type", "Type of the subject token", &TYPES)
                    .help("What the subject token is (RFC 8693 section 3).")
                    .default_value("access_token"),
            )
            .field(
                Field::secret("actor_token", "Actor token")
                    .help("The token of who acts for the subject, where the provider wants one."),
            )
            .field(
                Field::choice("actor_token_type", "Type of the actor token", &TYPES)
                    .help("What the actor token is.")
                    .default_value("access_token"),
            )
            .field(
                Field::choice("requested_token_type", "Type of the new token", &TYPES)
                    .help("What kind of token to ask for. Unset: the provider decides."),
            )
            .field(fields::token_url())
            .fields(fields::target())
            .fields(fields::client_where_wanted())
            .fields(fields::client_auth())
            .fields(fields::refresh())
            .field(fields::revocation_url())
    }

    fn request(context: &Context, purpose: Purpose) -> Result<Request, Failure> {
        let mut grant = form()
            .text("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .secret("subject_token", "subject_token")
            .text("subject_token_type", of_type(context.required("subject_token_type")?));
        if context.has_secret("actor_token") {
            grant = grant
                .secret("actor_token", "actor_token")
                .text("actor_token_type", of_type(context.required("actor_token_type")?));
        }
        if let Some(wanted) = context.value("requested_token_type") {
            grant = grant.text("requested_token_type", of_type(wanted));
        }
        oauth::request(context, purpose, grant)
    }

    fn token(context: &Context, purpose: Purpose, response: &Response) -> Result<Token, Failure> {
        let mut token = token_response::parse(context, purpose, response)?;
        // Whoever uses the token wants to know what it is (RFC 8693 section 2.2.1).
        if let Some(issued) = Answer::read(response).ok().and_then(|answer| answer.text("issued_token_type")) {
            token.values.push(("issued_token_type".into(), issued));
        }
        Ok(token)
    }
}

/// The URI of a type.
fn of_type(name: &str) -> String {
    format!("{TYPE}{name}")
}

tokenhost_flow::export!(TokenExchange);

#[cfg(test)]
mod tests;
