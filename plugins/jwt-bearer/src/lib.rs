//! The OAuth 2.0 JWT bearer grant (RFC 7523 section 2.1): a JWT that a private key signs is exchanged for a token.

use tokenhost_flow::oauth::client::{Assertion, audience};
use tokenhost_flow::prelude::*;

/// The name of the derived value that holds the grant's JWT.
const ASSERTION: &str = "assertion";

/// The flow.
#[derive(Debug)]
pub struct JwtBearer;

impl OAuthFlow for JwtBearer {
    fn describe() -> Description {
        use oauth::fields;
        Description::new("jwt-bearer", env!("CARGO_PKG_VERSION"), "OAuth 2.0 JWT bearer")
            .summary(
                "For services that give a token for a JWT signed with a private key (RFC 7523 section 2.1), such as \
                 the service accounts of Google and the connected apps of Salesforce and DocuSign. No user is asked, \
                 and no password is stored.",
            )
            .handles_named()
            .field(
                Field::text("issuer", "Issuer")
                    .help("The iss of the JWT: the service account or client for which the key was registered.")
                    .required(),
            )
            .field(
                Field::text("subject", "Subject")
                    .help("The sub of the JWT: the user as whom the token is to act. Unset: the issuer itself."),
            )
            .field(fields::private_key().required())
            .field(fields::key_id())
            .field(fields::signing_algorithm().default_value("RS256"))
            .field(fields::token_url())
            .field(fields::assertion_audience())
            .field(
                Field::words("scope", "Scope")
                    .help("The scopes to ask for, separated by spaces. Empty: the provider's default."),
            )
            .field(fields::scope_separator())
            .field(
                Field::choice("scope_in", "Scope as", &["parameter", "claim"])
                    .help(
                        "parameter: the scope stands beside the JWT, as RFC 7521 section 4.1 says; claim: within it, \
                         as Google wants it.",
                    )
                    .default_value("parameter"),
            )
            .field(fields::request_body())
            .fields(fields::client_where_wanted())
            .field(fields::client_auth_method("none"))
            .fields(fields::refresh())
            .field(fields::revocation_url())
    }

    fn request(context: &Context, purpose: Purpose) -> Result<Request, Failure> {
        if purpose != Purpose::Acquire {
            return oauth::request(context, purpose, form());
        }
        let issuer = context.required("issuer")?;
        let mut assertion = Assertion {
            key: "private_key",
            algorithm: context.required("signing_algorithm")?,
            issuer,
            subject: Some(context.value("subject").unwrap_or(issuer)),
            audience: audience(context)?,
            scope: None,
        };
        let scope = oauth::scope(context);
        let mut grant =
            form().text("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer").secret("assertion", ASSERTION);
        match context.value("scope_in") {
            Some("claim") => assertion.scope = scope.as_deref(),
            _ => grant = grant.optional("scope", scope.as_deref()),
        }
        Ok(oauth::ask(context, grant)?.derive(ASSERTION, assertion.derivation(context)))
    }
}

tokenhost_flow::export!(JwtBearer);

#[cfg(test)]
mod tests;
