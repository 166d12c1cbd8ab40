//! HTTP Basic authentication (RFC 7617) with each request.

use tokenhost_flow::flow::at_once;
use tokenhost_flow::prelude::*;

/// The flow.
#[derive(Debug)]
pub struct HttpBasic;

impl Flow for HttpBasic {
    fn describe() -> Description {
        Description::new("http-basic", env!("CARGO_PKG_VERSION"), "HTTP Basic")
            .summary(
                "For services that want a user name and a password with each request (RFC 7617). Where the key itself is the \
                 user name, `user_is=secret` keeps it as one.",
            )
            .handles("http", "basic")
            .field(
                Field::choice("user_is", "The user is", &["name", "secret"])
                    .help("`secret` where the user name is an API key, often without a password.")
                    .default_value("name"),
            )
            .field(
                Field::text("username", "User name")
                    .help("As whom requests are made.")
                    .required_when("user_is", &["name"]),
            )
            .field(
                Field::secret("user_key", "Secret user name")
                    .help("The API key that is the user name.")
                    .required_when("user_is", &["secret"]),
            )
            .field(Field::secret("password", "Password").help("The user's password; empty where it isn't set."))
            .field(
                Field::choice("encoding", "Encoding", &["none", "percent", "form"])
                    .help("How user name and password are encoded before they are joined. Services rarely want it.")
                    .default_value("none"),
            )
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        at_once(event, || {
            let user = match context.value("user_is") {
                Some("secret") => {
                    context.required_secret("user_key")?;
                    Part::secret("user_key")
                }
                _ => Part::text(context.required("username")?),
            };
            let password: Template = match context.has_secret("password") {
                true => Part::secret("password").into(),
                false => Vec::new(),
            };
            let encoding = match context.value("encoding") {
                Some("percent") => BasicEncoding::Percent,
                Some("form") => BasicEncoding::Form,
                _ => BasicEncoding::None,
            };
            Ok(Token::default()
                .in_header("Authorization", vec![Part::text("Basic "), Part::secret("basic")])
                .derive("basic", Derivation::basic(user, password, encoding)))
        })
    }
}

tokenhost_flow::export!(HttpBasic);

#[cfg(test)]
mod tests;
