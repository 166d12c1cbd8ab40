//! What the author of a tokenhost flow writes against.
//!
//! A flow turns a security scheme and the names of some secrets into a token request, and the answer into a token. It
//! sees no clock, no network and no secret: the host sends what the flow asks for, and fills the secrets in.
//!
//! An ordinary OAuth flow is a description and one function; the standard pieces are in [`oauth`], and the answer is
//! read by [`token_response`]. This is a whole flow, with its test:
//!
//! ```
//! use tokenhost_flow::prelude::*;
//!
//! struct Robot;
//!
//! impl OAuthFlow for Robot {
//!     fn describe() -> Description {
//!         Description::new("robot", env!("CARGO_PKG_VERSION"), "Robot accounts")
//!             .summary("For services that give each robot a name and a key.")
//!             .handles_named()
//!             .field(Field::text("robot", "Robot name").required())
//!             .field(Field::secret("key", "Key").required())
//!             .field(Field::url("token_url", "Token URL").required().source("tokenUrl"))
//!     }
//!
//!     fn request(context: &Context, purpose: Purpose) -> Result<Request, Failure> {
//!         let parameters = match purpose {
//!             Purpose::Acquire => form().text("robot", context.required("robot")?).secret("key", "key"),
//!             Purpose::Refresh => form().secret("refresh_token", "token.refresh_token"),
//!             Purpose::Revoke => return Err(Failure::unsupported("robot tokens can't be revoked")),
//!         };
//!         Ok(Request::post(context.required("token_url")?).form(parameters))
//!     }
//! }
//!
//! tokenhost_flow::export!(Robot);
//!
//! let acquiring = Harness::new::<Robot>()
//!     .value("robot", "r2")
//!     .secret("key")
//!     .value("token_url", "https://id.example/token")
//!     .acquire();
//! assert_eq!(
//!     acquiring.request(),
//!     "POST https://id.example/token\n\
//!      content-type: application/x-www-form-urlencoded\n\
//!      \n\
//!      robot=r2&key={key}\n"
//! );
//! let token = acquiring.answer(200, r#"{"access_token":"t","expires_in":"60"}"#).token();
//! assert_eq!(token.expires_in, Some(60));
//! ```
//!
//! A flow of several steps implements [`Flow`] instead. `tokenhost plugin build DIR` makes the component. All types
//! of the contract are in [`types`]; what they mean stands in `wit/flow.wit`.
//!
//! Layout: [`flow`] the traits, `describe`, `context`, `request` and `token` the builders (as methods of the contract's own
//! types), [`oauth`] what OAuth flows share, [`token_response`] the parser, `harness` the test bench (not in WebAssembly).

#[doc(hidden)]
pub mod bindings;
mod context;
mod describe;
pub mod flow;
#[cfg(not(target_family = "wasm"))]
pub mod harness;
pub mod oauth;
pub mod request;
mod token;
pub mod token_response;

pub use bindings::tokenhost::flow::types;
pub use flow::{Flow, OAuthFlow};

/// What most flows use.
pub mod prelude {
    pub use crate::flow::{Flow, OAuthFlow};
    #[cfg(not(target_family = "wasm"))]
    pub use crate::harness::Harness;
    pub use crate::oauth;
    pub use crate::request::{Form, Json, Template, form, json};
    pub use crate::types::{
        BasicEncoding, Context, Derivation, Description, Event, Failure, Field, Part, Purpose, Remedy, Request,
        Response, Signer, Step, Token,
    };
}

/// The README's example, compiled with the crate's doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
