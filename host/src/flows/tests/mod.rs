//! Whole plugins on a real engine: good ones, and every kind of bad one.

mod bad;
mod contracts;
mod disturbance;
pub(crate) mod guest;
mod wasi;

use std::sync::LazyLock;
use std::time::Duration;

use super::step::Context;
use super::{Engine, EngineOptions, Plugin};

/// One engine for the tests that need no options of their own. Its plugins get less time, so that loops end sooner.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        Engine::new(EngineOptions { cpu_budget: Duration::from_millis(100), ..EngineOptions::default() }).unwrap()
    });
    &ENGINE
}

/// A loaded plugin.
pub(crate) async fn load(guest: &guest::Guest) -> Plugin {
    Plugin::load(engine(), guest.build()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// What a step is given.
pub(crate) fn context() -> Context {
    Context {
        scheme_name: "oauth2".to_owned(),
        scheme_document: "{}".to_owned(),
        values: vec![("client_id".to_owned(), "me".to_owned())],
        secrets: vec!["client_secret".to_owned()],
        revealed: Vec::new(),
        now: 1_790_000_000,
        entropy: [1; 32],
        callback_url: None,
        return_key: None,
    }
}
