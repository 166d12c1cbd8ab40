//! The OAuth 2.0 password grant (RFC 6749 section 4.3), and the refresh of its tokens.

use tokenhost_flow::prelude::*;

/// The flow.
#[derive(Debug)]
pub struct Password;

impl OAuthFlow for Password {
    fn describe() -> Description {
        Description::new("password", env!("CARGO_PKG_VERSION"), "OAuth 2.0 password")
            .summary(
                "For services that issue tokens for a user's name and password (RFC 6749 section 4.3). The token acts \
                 as that user. Choose client credentials where the service offers them: they need no user.",
            )
            .handles("oauth2", "password")
            .fields(oauth::fields::client())
            .field(Field::text("username", "User name").help("The user as whom the token acts.").required())
            .field(Field::secret("password", "Password").help("The user's password.").required())
            .field(oauth::fields::token_url())
            .fields(oauth::fields::target())
            .fields(oauth::fields::client_auth())
            .fields(oauth::fields::refresh())
            .field(oauth::fields::revocation_url())
    }

    fn request(context: &Context, purpose: Purpose) -> Result<Request, Failure> {
        oauth::request(context, purpose, oauth::grants::password(context)?)
    }
}

tokenhost_flow::export!(Password);

#[cfg(test)]
mod tests;
