//! The OAuth 2.0 authorization-code grant (RFC 6749 section 4.1) with PKCE (RFC 7636), and the refresh of its tokens.

use tokenhost_flow::oauth::{authorize, discovery, pkce};
use tokenhost_flow::prelude::*;
use tokenhost_flow::token_response;
use tokenhost_flow::types::{Answered, Redirect, Returned, Send};

/// The flow.
#[derive(Debug)]
pub struct AuthorizationCode;

/// The states after the requests that redeem a code, and refresh and revoke a token. Before, the state is the code verifier.
const REDEEMING: &str = "redeeming";
const REFRESHING: &str = "refreshing";
const REVOKING: &str = "revoking";

impl Flow for AuthorizationCode {
    fn describe() -> Description {
        Description::new("authorization-code", env!("CARGO_PKG_VERSION"), "OAuth 2.0 authorization code")
            .summary(
                "For services that act for a person who signs in and consents in a browser (RFC 6749 section 4.1, with \
                 PKCE). The person connects once; as long as the provider refreshes the token, nobody is needed again.",
            )
            .handles("oauth2", "authorizationCode")
            .handles_named()
            .attended()
            .fields(oauth::fields::client())
            .fields(discovery::endpoints([authorize::authorization_url(), oauth::fields::token_url()]))
            .fields(oauth::fields::target())
            .fields(authorize::authorize())
            .fields(oauth::fields::client_auth())
            .fields(oauth::fields::refresh())
            .field(oauth::fields::revocation_url())
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        if !discovery::is_wanted(context) {
            return step(context, event);
        }
        let is_strict = context.value("issuer").is_some();
        discovery::advance(context, event, |found, event| match &event {
            // An issuer that is only discovered is held against what the provider sends; not every provider sends it.
            Event::Returned(Returned { query, .. }) if !is_strict && query.iter().all(|(name, _)| name != "iss") => {
                let mut lenient = found.clone();
                lenient.values.retain(|(name, _)| name != "issuer");
                step(&lenient, event)
            }
            _ => step(found, event),
        })
    }
}

/// One step, at endpoints that are known.
fn step(context: &Context, event: Event) -> Result<Step, Failure> {
    match event {
        Event::Begin(Purpose::Acquire) => {
            let verifier = pkce::verifier(context);
            let url = authorize::url(context, &verifier)?;
            Ok(Step::Redirect(Redirect { url, state: verifier }))
        }
        Event::Begin(Purpose::Refresh) => {
            Ok(Step::Send(Send { request: oauth::refresh(context)?, state: REFRESHING.into() }))
        }
        Event::Begin(Purpose::Revoke) => {
            Ok(Step::Send(Send { request: oauth::revoke(context)?, state: REVOKING.into() }))
        }
        Event::Returned(returned) => {
            let code = authorize::code(context, &returned)?;
            let Returned { state: verifier, .. } = &returned;
            let request = authorize::redeem(context, code, verifier)?;
            Ok(Step::Send(Send { request, state: REDEEMING.into() }))
        }
        Event::Answered(Answered { state, response }) => match state.as_str() {
            REVOKING => token_response::revoked(context, &response).map(|()| Step::Revoked),
            REFRESHING => token_response::parse(context, Purpose::Refresh, &response).map(Step::Done),
            _ => token_response::parse(context, Purpose::Acquire, &response).map(Step::Done),
        },
        Event::Unanswered(what) => Err(Failure::unanswered(&what)),
        Event::Elapsed(_) => Err(Failure::retry("unexpected_event", "the flow never waits", None)),
    }
}

tokenhost_flow::export!(AuthorizationCode);

#[cfg(test)]
mod tests;
