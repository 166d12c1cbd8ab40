//! The OAuth 2.0 device authorization grant (RFC 8628), and the refresh of its tokens.

use tokenhost_flow::oauth::device::{self, Device};
use tokenhost_flow::oauth::discovery;
use tokenhost_flow::prelude::*;
use tokenhost_flow::token_response;
use tokenhost_flow::types::{Answered, Response, Send};

/// The flow.
#[derive(Debug)]
pub struct DeviceAuthorization;

/// The states after the request for a code, and after a refresh and a revocation. In between, the state is the [`Device`].
const AUTHORIZING: &str = "authorizing";
const REFRESHING: &str = "refreshing";
const REVOKING: &str = "revoking";

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
            .fields(discovery::endpoints([device::device_authorization_url(), oauth::fields::token_url()]))
            .fields(oauth::fields::target())
            .fields(oauth::fields::client_auth())
            .fields(oauth::fields::refresh())
            .field(oauth::fields::revocation_url())
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        match discovery::is_wanted(context) {
            true => discovery::advance(context, event, step),
            false => step(context, event),
        }
    }
}

/// One step, at endpoints that are known.
fn step(context: &Context, event: Event) -> Result<Step, Failure> {
    match event {
        Event::Begin(Purpose::Acquire) => send(device::authorize(context)?, AUTHORIZING),
        Event::Begin(Purpose::Refresh) => send(oauth::refresh(context)?, REFRESHING),
        Event::Begin(Purpose::Revoke) => send(oauth::revoke(context)?, REVOKING),
        Event::Answered(Answered { state, response }) => answered(context, &state, &response),
        Event::Elapsed(state) => match Device::of_state(&state) {
            Some(device) => send(device.poll(context)?, &state),
            None => Err(unexpected()),
        },
        Event::Unanswered(what) => match Device::of_state(&what.state) {
            Some(device) => Ok(Step::Wait(device.later())),
            None => Err(Failure::unanswered(&what)),
        },
        Event::Returned(_) => Err(unexpected()),
    }
}

/// What an answer leads to.
fn answered(context: &Context, state: &str, response: &Response) -> Result<Step, Failure> {
    match (state, Device::of_state(state)) {
        (AUTHORIZING, _) => Device::begin(context, response).map(|(_, wait)| Step::Wait(wait)),
        (REVOKING, _) => token_response::revoked(context, response).map(|()| Step::Revoked),
        (REFRESHING, _) => token_response::parse(context, Purpose::Refresh, response).map(Step::Done),
        (_, Some(device)) => Ok(match device.polled(context, response)? {
            Ok(token) => Step::Done(token),
            Err(wait) => Step::Wait(wait),
        }),
        (_, None) => Err(unexpected()),
    }
}

fn send(request: Request, state: &str) -> Result<Step, Failure> {
    Ok(Step::Send(Send { request, state: state.into() }))
}

fn unexpected() -> Failure {
    Failure::retry("unexpected_event", "the flow was given what it did not ask for", None)
}

tokenhost_flow::export!(DeviceAuthorization);

#[cfg(test)]
mod tests;
