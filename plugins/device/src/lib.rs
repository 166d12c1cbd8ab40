//! The OAuth 2.0 device authorization grant (RFC 8628), and the refresh of its tokens.

use tokenhost_flow::oauth::device;
use tokenhost_flow::prelude::*;

/// The flow.
#[derive(Debug)]
pub struct DeviceAuthorization;

impl Flow for DeviceAuthorization {
    fn describe() -> Description {
        Description::new("device", env!("CARGO_PKG_VERSION"), "OAuth 2.0 device authorization")
            .summary(
                "For services that act for a person who enters a short code at the provider, on any device (RFC 8628). \
                 Choose it where no browser can reach this daemon: nothing needs to come back to it.",
            )
            .handles("oauth2", "deviceAuthorization")
            .handles_named()
            .attended()
            .fields(oauth::fields::client())
            .field(device::device_authorization_url())
            .field(oauth::fields::token_url())
            .fields(oauth::fields::target())
            .fields(oauth::fields::client_auth())
            .fields(oauth::fields::refresh())
            .field(oauth::fields::revocation_url())
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        device::advance(context, event)
    }
}

tokenhost_flow::export!(DeviceAuthorization);

#[cfg(test)]
mod tests;
