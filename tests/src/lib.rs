//! The harness of the end-to-end tests: the real daemon as a process of its own, the real identity providers, a client, and
//! a provider that misbehaves on command.
//!
//! Whatever a test starts ends with it: everything here is ended when it is dropped. Nothing here decides what is right.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a harness for tests: what goes wrong in it ends the test"
)]

pub mod browser;
pub mod client;
pub mod daemon;
pub mod mock;
pub mod person;
pub mod prism;
pub mod provider;

pub use client::{Answer, Client};
pub use daemon::{Daemon, Options, executable};
pub use mock::{Act, Mock, Seen};
pub use person::Person;
pub use prism::Prism;
pub use provider::Provider;

use std::time::Duration;

/// The longest that anything in a test may take: far more than it needs, so that a slow machine fails no test.
pub const PATIENCE: Duration = Duration::from_secs(50);

/// Asks again and again until there is an answer.
///
/// # Panics
/// There is none for a long time.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}
