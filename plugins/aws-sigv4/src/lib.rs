//! AWS Signature Version 4 on each request, by the host's signer `aws-sigv4`.

use tokenhost_flow::flow::at_once;
use tokenhost_flow::prelude::*;

/// The flow.
#[derive(Debug)]
pub struct AwsSigv4;

impl Flow for AwsSigv4 {
    fn describe() -> Description {
        Description::new("aws-sigv4", env!("CARGO_PKG_VERSION"), "AWS Signature Version 4")
            .summary(
                "For AWS, and services that sign as AWS does: each request is signed with an access key (Signature Version \
                 4). A document picks it by `x-amazon-apigateway-authtype: awsSigv4`.",
            )
            .handles_named()
            .field(Field::text("access_key_id", "Access key ID").help("Of the IAM user or role.").required())
            .field(Field::secret("secret_access_key", "Secret access key").help("The key that signs.").required())
            .field(
                Field::secret("session_token", "Session token")
                    .help("Where the key is temporary. It ends with the key, and both have to be set anew then."),
            )
            .field(
                Field::text("region", "Region")
                    .help("E.g. `eu-central-1`. Where it isn't set, it is read from the host name of each request."),
            )
            .field(
                Field::text("service", "Service")
                    .help("As signatures name it, e.g. `execute-api`. Where it isn't set, it is read from the host name."),
            )
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        at_once(event, || {
            context.required_secret("secret_access_key")?;
            let mut signer = Signer::new("aws-sigv4")
                .parameter("access_key_id", Part::text(context.required("access_key_id")?))
                .parameter("secret_access_key", Part::secret("secret_access_key"));
            if context.has_secret("session_token") {
                signer = signer.parameter("session_token", Part::secret("session_token"));
            }
            for name in ["region", "service"] {
                if let Some(value) = context.value(name) {
                    signer = signer.parameter(name, Part::text(value));
                }
            }
            Ok(Token::default().signed(signer))
        })
    }
}

tokenhost_flow::export!(AwsSigv4);

#[cfg(test)]
mod tests {
    use super::*;

    fn integration() -> Harness {
        Harness::new::<AwsSigv4>().value("access_key_id", "AKID").secret("secret_access_key")
    }

    #[test]
    fn the_host_signs() {
        let plain = "signer aws-sigv4\n  access_key_id=AKID\n  secret_access_key={secret_access_key}\n";
        assert_eq!(integration().acquire().placed(), plain);
        let full = integration().secret("session_token").value("region", "eu-west-1").value("service", "s3").refresh();
        let expected = format!("{plain}  session_token={{session_token}}\n  region=eu-west-1\n  service=s3\n");
        assert_eq!(full.placed(), expected);
        assert!(matches!(integration().revoke().outcome(), Ok(Step::Revoked)));
    }
}
