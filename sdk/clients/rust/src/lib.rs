//! A thin client of the tokenhost daemon: tokens that work, authorized calls, and typed errors.
//!
//! It holds no credential but the caller's own, and knows nothing of how tokens are got.
//!
//! ```no_run
//! # async fn example() -> Result<(), tokenhost_client::Error> {
//! use std::time::Duration;
//! use tokenhost_client::{Call, Client};
//!
//! let client = Client::from_env()?; // TOKENHOST_URL, TOKENHOST_TOKEN
//! let token = client.token("crm-prod", Some(Duration::from_secs(60))).await?;
//! let answer = client.call("crm-prod", &Call::of("listContacts").parameter("limit", 2)).await?;
//! println!("{} {:?}", answer.status, token.expires_in);
//! # Ok(()) }
//! ```

mod answers;
mod client;
mod error;
#[cfg(feature = "middleware")]
mod middleware;
mod pace;
mod request;

pub use self::answers::{Answer, Authorization, Body, Rejection, RejectionResult, Token};
pub use self::client::{Builder, Client};
pub use self::error::{Error, Field, Problem, Unreachable};
#[cfg(feature = "middleware")]
pub use self::middleware::TokenMiddleware;
pub use self::pace::{Pause, Time};
pub use self::request::{Ask, Call, Key};
