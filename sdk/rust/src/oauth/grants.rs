//! What is special to the grants that several flows know: the parameters that [`super::acquire`] sends besides its own.

use crate::request::{Form, form};
use crate::types::{Context, Failure};

/// The client-credentials grant (RFC 6749 section 4.4.2).
pub fn client_credentials() -> Form {
    form().text("grant_type", "client_credentials")
}

/// The password grant (RFC 6749 section 4.3.2), of the fields `username` and `password`.
///
/// # Errors
/// One of them is not set.
pub fn password(context: &Context) -> Result<Form, Failure> {
    context.required_secret("password")?;
    let grant = form().text("grant_type", "password").text("username", context.required("username")?);
    Ok(grant.secret("password", "password"))
}
