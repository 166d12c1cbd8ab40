//! Requests to services: what an operation needs, the credentials for it, and what to do when a service refuses them.
//!
//! It knows no HTTP server and decides no right. Tokens come from `tokens`, which keeps them good; what they add to a request
//! is rendered by `egress`, through which requests leave.

mod authorization;
mod call;
mod dispatch;
mod error;
pub mod guard;
mod keeper;
mod outages;
mod parameters;
mod paths;
mod payload;
pub mod proxy;
mod requirement;
mod service;
mod signing;

pub use self::authorization::{Authorization, BodyDigest, Used, Wanted};
pub use self::call::{Call, CallFailure, Outcome};
pub use self::dispatch::{DispatchError, Inbound, Outbound};
pub use self::error::CallError;
pub use self::keeper::Calls;
pub use self::outages::Outage;
pub use self::payload::{Inflow, Payload};
pub use self::service::Service;
