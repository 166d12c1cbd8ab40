//! The two ways to write a flow: [`OAuthFlow`], which is two functions, and [`Flow`], which is the whole state machine.

use core::marker::PhantomData;

use crate::bindings::exports::tokenhost::flow::flow::Guest;
use crate::token_response;
use crate::types::{Answered, Context, Description, Event, Failure, Purpose, Request, Response, Send, Step, Token};

/// A flow as the contract has it: a pure function from context and event to the next step.
pub trait Flow {
    /// What the flow is. Always the same answer.
    fn describe() -> Description;

    /// The next step of an attempt.
    ///
    /// # Errors
    /// The attempt ends without a token; the failure says why, and what can be done.
    fn advance(context: &Context, event: Event) -> Result<Step, Failure>;
}

/// An ordinary OAuth flow: one request, and its answer holds the token.
pub trait OAuthFlow {
    /// What the flow is. Always the same answer.
    fn describe() -> Description;

    /// The request that acquires, refreshes or revokes a token.
    ///
    /// [`crate::oauth`] makes the standard ones.
    ///
    /// # Errors
    /// There is no such request, e.g. because a field is not set, or the flow can't revoke.
    fn request(context: &Context, purpose: Purpose) -> Result<Request, Failure>;

    /// The token in the answer. Without a function of its own, a flow reads it as [`token_response::parse`] does.
    ///
    /// # Errors
    /// The answer holds no token.
    fn token(context: &Context, purpose: Purpose, response: &Response) -> Result<Token, Failure> {
        token_response::parse(context, purpose, response)
    }
}

/// Each purpose, and how the state between request and answer says it.
const PURPOSES: [(Purpose, &str); 3] =
    [(Purpose::Acquire, "acquire"), (Purpose::Refresh, "refresh"), (Purpose::Revoke, "revoke")];

impl<F: OAuthFlow> Flow for F {
    fn describe() -> Description {
        F::describe()
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        advance_with(context, event, F::request, F::token)
    }
}

/// The steps of an ordinary flow, from the function that makes its requests: what an [`OAuthFlow`] does, for flows that
/// have something in front of it.
///
/// # Errors
/// Those of the function, and what the answer says.
pub fn advance(
    context: &Context,
    event: Event,
    request: impl Fn(&Context, Purpose) -> Result<Request, Failure>,
) -> Result<Step, Failure> {
    advance_with(context, event, request, token_response::parse)
}

/// The steps of a flow that asks nobody: its token is made of the integration's own secrets, by name, and is done at once.
///
/// A refresh makes the same token again, and there is nothing to revoke at a provider.
///
/// # Errors
/// Those of the function, and events that such a flow can't have caused.
pub fn at_once(event: Event, token: impl FnOnce() -> Result<Token, Failure>) -> Result<Step, Failure> {
    match event {
        Event::Begin(Purpose::Acquire | Purpose::Refresh) => token().map(Step::Done),
        Event::Begin(Purpose::Revoke) => Ok(Step::Revoked),
        Event::Answered(_) | Event::Unanswered(_) => Err(unexpected("an answer to a request that it did not send")),
        Event::Elapsed(_) => Err(unexpected("the end of a wait that it did not ask for")),
        Event::Returned(_) => Err(unexpected("a person back that it did not send away")),
    }
}

fn advance_with(
    context: &Context,
    event: Event,
    request: impl Fn(&Context, Purpose) -> Result<Request, Failure>,
    token: impl Fn(&Context, Purpose, &Response) -> Result<Token, Failure>,
) -> Result<Step, Failure> {
    match event {
        Event::Begin(purpose) => {
            let request = request(context, purpose)?;
            let state = PURPOSES.iter().find(|(known, _)| *known == purpose).map_or("", |(_, name)| name);
            Ok(Step::Send(Send { request, state: state.into() }))
        }
        Event::Answered(Answered { state, response }) => {
            let Some((purpose, _)) = PURPOSES.iter().find(|(_, name)| *name == state) else {
                return Err(unexpected("an answer to a request that it did not send"));
            };
            match purpose {
                Purpose::Revoke => token_response::revoked(context, &response).map(|()| Step::Revoked),
                purpose => token(context, *purpose, &response).map(Step::Done),
            }
        }
        Event::Unanswered(what) => Err(Failure::unanswered(&what)),
        Event::Elapsed(_) => Err(unexpected("the end of a wait that it did not ask for")),
        Event::Returned(_) => Err(unexpected("a person back that it did not send away")),
    }
}

/// The failure of an event that the flow can't have caused.
fn unexpected(what: &str) -> Failure {
    Failure::retry("unexpected_event", format!("the flow was given {what}"), None)
}

/// What [`crate::export!`] exports for a flow.
#[doc(hidden)]
pub struct Exported<F>(PhantomData<F>);

impl<F: Flow> Guest for Exported<F> {
    fn describe() -> Description {
        F::describe()
    }

    fn advance(context: Context, event: Event) -> Result<Step, Failure> {
        F::advance(&context, event)
    }
}

/// Makes a [`Flow`] or an [`OAuthFlow`] what the component exports. Used once, in a crate of type `cdylib`.
///
/// Natively it does nothing, so that several flows can be linked into one test.
#[macro_export]
macro_rules! export {
    ($flow:ty) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "the component's exported functions, as wit-bindgen makes them")]
        const _: () = {
            type Component = $crate::flow::Exported<$flow>;
    $crate::bindings::export!(Component with_types_in $crate::bindings);
        };
    };
}
