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
                 user name, set `user_key` in place of `username`.",
            )
            .handles("http", "basic")
            .field(Field::text("username", "User name").help("As whom requests are made."))
            .field(
                Field::secret("user_key", "Secret user name")
                    .help("Where the user name is the secret: an API key as user, often without a password."),
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
            let user = match (context.value("username"), context.has_secret("user_key")) {
                (Some(name), false) => Part::text(name),
                (None, true) => Part::secret("user_key"),
                (None, false) => {
                    return Err(Failure::reconfigure("missing_field", "neither username nor user_key is set"));
                }
                (Some(_), true) => {
                    return Err(Failure::reconfigure("invalid_field", "username and user_key are both set; keep one"));
                }
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
