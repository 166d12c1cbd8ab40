//! tokenhost gets, keeps, uses and checks API tokens; every auth flow is a WebAssembly plugin.
//!
//! The rooms stand in floors (see `ARCHITECTURE.md`); no room uses one above its own.

pub mod clock;
pub mod egress;
pub mod flows;
pub mod integrations;
pub mod secrets;
pub mod store;
pub mod tokens;
