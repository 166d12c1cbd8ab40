//! Mutual TLS: the certificate is the credential, and stands in the integration's transport.

use tokenhost_flow::flow::at_once;
use tokenhost_flow::prelude::*;

/// The flow.
#[derive(Debug)]
pub struct MutualTls;

impl Flow for MutualTls {
    fn describe() -> Description {
        Description::new("mutual-tls", env!("CARGO_PKG_VERSION"), "Mutual TLS")
            .summary(
                "For services that know a client by its certificate (RFC 8446 section 4.3.2). There is nothing to add to a \
                 request: set the integration's `transport.client_certificate` and `transport.client_key`, with which its \
                 connections are made.",
            )
            .handles_type("mutualTLS")
    }

    fn advance(_: &Context, event: Event) -> Result<Step, Failure> {
        at_once(event, || Ok(Token::default()))
    }
}

tokenhost_flow::export!(MutualTls);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_added() {
        assert_eq!(Harness::new::<MutualTls>().acquire().token(), Token::default());
        assert_eq!(Harness::new::<MutualTls>().refresh().placed(), "");
        assert!(matches!(Harness::new::<MutualTls>().revoke().outcome(), Ok(Step::Revoked)));
        assert!(MutualTls::describe().summary.contains("transport.client_certificate"));
    }
}
