//! The OAuth 2.0 client-credentials grant (RFC 6749 section 4.4), and the refresh of its tokens where a provider
//! gives a refresh token all the same.

use tokenhost_flow::prelude::*;

/// The flow.
#[derive(Debug)]
pub struct ClientCredentials;

impl OAuthFlow for ClientCredentials {
    fn describe() -> Description {
        Description::new("client-credentials", env!("CARGO_PKG_VERSION"), "OAuth 2.0 client credentials")
            .summary(
                "For services that issue tokens to a program by its client ID and secret, without a user (RFC 6749 \
                 section 4.4). The usual choice for automation.",
            )
            .handles("oauth2", "clientCredentials")
            .fields(oauth::fields::client())
            .field(oauth::fields::token_url())
            .fields(oauth::fields::target())
            .fields(oauth::fields::client_auth())
            .fields(oauth::fields::refresh())
            .field(oauth::fields::revocation_url())
    }

    fn request(context: &Context, purpose: Purpose) -> Result<Request, Failure> {
        oauth::request(context, purpose, oauth::grants::client_credentials())
    }
}

tokenhost_flow::export!(ClientCredentials);

#[cfg(test)]
mod tests;
