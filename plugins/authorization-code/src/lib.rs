//! The OAuth 2.0 authorization-code grant (RFC 6749 section 4.1) with PKCE (RFC 7636), and the refresh of its tokens.

use tokenhost_flow::oauth::authorize;
use tokenhost_flow::prelude::*;

/// The flow.
#[derive(Debug)]
pub struct AuthorizationCode;

impl Flow for AuthorizationCode {
    fn describe() -> Description {
        Description::new("authorization-code", env!("CARGO_PKG_VERSION"), "OAuth 2.0 authorization code")
            .summary(
                "For services that act for a person who signs in and consents in a browser (RFC 6749 section 4.1, with \
                 PKCE). The person connects once; as long as the provider refreshes the token, nobody is needed again.",
            )
            .handles("oauth2", "authorizationCode")
            .attended()
            .fields(oauth::fields::client())
            .field(authorize::authorization_url())
            .field(oauth::fields::token_url())
            .fields(oauth::fields::target())
            .fields(authorize::authorize())
            .fields(oauth::fields::client_auth())
            .fields(oauth::fields::refresh())
            .field(oauth::fields::revocation_url())
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        authorize::advance(context, event)
    }
}

tokenhost_flow::export!(AuthorizationCode);

#[cfg(test)]
mod tests;
