//! HTTP Digest authentication (RFC 7616) with each request, by the host's signer `http-digest`.

use tokenhost_flow::flow::at_once;
use tokenhost_flow::prelude::*;

/// The flow.
#[derive(Debug)]
pub struct HttpDigest;

impl Flow for HttpDigest {
    fn describe() -> Description {
        Description::new("http-digest", env!("CARGO_PKG_VERSION"), "HTTP Digest")
            .summary(
                "For services that challenge each client and want its answer made of user name and password (RFC 7616). \
                 The first request to the service is refused with the challenge, and made again with the answer.",
            )
            .handles("http", "digest")
            .field(Field::text("username", "User name").help("As whom requests are made.").required())
            .field(Field::secret("password", "Password").help("The user's password.").required())
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        at_once(event, || {
            context.required_secret("password")?;
            let signer = Signer::new("http-digest")
                .parameter("username", Part::text(context.required("username")?))
                .parameter("password", Part::secret("password"));
            Ok(Token::default().signed(signer))
        })
    }
}

tokenhost_flow::export!(HttpDigest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_signs() {
        let integration = || Harness::new::<HttpDigest>().value("username", "ada").secret("password");
        let expected = "signer http-digest\n  username=ada\n  password={password}\n";
        assert_eq!(integration().acquire().placed(), expected);
        assert_eq!(integration().refresh().placed(), expected);
        assert!(matches!(integration().revoke().outcome(), Ok(Step::Revoked)));
    }
}
