//! A bearer token that a person got from the service, and that doesn't change (RFC 6750 section 2.1).

use tokenhost_flow::flow::at_once;
use tokenhost_flow::prelude::*;

/// The flow.
#[derive(Debug)]
pub struct HttpBearer;

impl Flow for HttpBearer {
    fn describe() -> Description {
        Description::new("http-bearer", env!("CARGO_PKG_VERSION"), "HTTP Bearer")
            .summary(
                "For services that give out tokens on a settings page: personal access tokens, API tokens. The token is kept \
                 like a password and added to each request as `Authorization: Bearer` (RFC 6750).",
            )
            .handles("http", "bearer")
            .field(Field::secret("token", "Token").help("The token, as the service gave it.").required())
            .field(
                Field::text("prefix", "Word before the token")
                    .help("Where the service wants another one than `Bearer`.")
                    .default_value("Bearer"),
            )
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        at_once(event, || {
            context.required_secret("token")?;
            let prefix = format!("{} ", context.value("prefix").unwrap_or("Bearer"));
            Ok(Token::default().in_header("Authorization", vec![Part::text(prefix), Part::secret("token")]))
        })
    }
}

tokenhost_flow::export!(HttpBearer);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_into_the_header() {
        let integration = || Harness::new::<HttpBearer>().secret("token");
        assert_eq!(integration().acquire().placed(), "Authorization: Bearer {token}\n");
        assert_eq!(integration().value("prefix", "token").refresh().placed(), "Authorization: token {token}\n");
        assert!(matches!(integration().revoke().outcome(), Ok(Step::Revoked)));
        assert_eq!(integration().acquire().token().access_token, None);
    }
}
