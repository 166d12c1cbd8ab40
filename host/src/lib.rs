//! tokenhost gets, keeps, uses and checks API tokens; every auth flow is a WebAssembly plugin.
//!
//! The rooms stand in floors (see `ARCHITECTURE.md`); no room uses one above its own.

pub mod access;
pub mod clock;
pub mod flows;
pub mod name;
pub mod seal;
pub mod secrets;
pub mod store;
