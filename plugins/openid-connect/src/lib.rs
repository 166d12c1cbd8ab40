//! OpenID Connect discovery in front of the OAuth 2.0 grants: the provider's metadata document says where to ask.

use tokenhost_flow::flow::{self, Flow};
use tokenhost_flow::oauth::discovery;
use tokenhost_flow::prelude::*;

/// The flow.
#[derive(Debug)]
pub struct OpenIdConnect;

/// The grants, as the field names them.
const GRANTS: [&str; 2] = ["client_credentials", "password"];

impl Flow for OpenIdConnect {
    fn describe() -> Description {
        use oauth::fields;
        Description::new("openid-connect", env!("CARGO_PKG_VERSION"), "OpenID Connect discovery")
            .summary(
                "For services whose document only names the provider's metadata (openIdConnectUrl). The endpoints are \
                 read from there in each attempt, so a provider may move them.",
            )
            .handles_type("openIdConnect")
            .field(discovery::metadata_url())
            .field(
                Field::choice("grant", "Grant", &GRANTS)
                    .help(
                        "How the token is got. client_credentials: by the client's own ID and secret; password: for a \
                         user's name and password.",
                    )
                    .default_value("client_credentials"),
            )
            .fields(fields::client())
            .field(
                Field::text("username", "User name")
                    .help("The user as whom the token acts.")
                    .required_when("grant", &["password"]),
            )
            .field(
                Field::secret("password", "Password")
                    .help("The user's password.")
                    .required_when("grant", &["password"]),
            )
            .fields(fields::target())
            .fields(fields::client_auth())
            .fields(fields::refresh())
            .field(fields::revocation_url())
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        discovery::advance(context, event, |context, event| flow::advance(context, event, request))
    }
}

/// The request at the endpoints that were found.
fn request(context: &Context, purpose: Purpose) -> Result<Request, Failure> {
    let grant = match context.value("grant") {
        Some("password") => oauth::grants::password(context)?,
        _ => oauth::grants::client_credentials(),
    };
    oauth::request(context, purpose, grant)
}

tokenhost_flow::export!(OpenIdConnect);

#[cfg(test)]
mod tests;
