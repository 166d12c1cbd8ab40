//! tokenhost gets, keeps, uses and checks API tokens; every auth flow is a WebAssembly plugin.
//!
//! The rooms stand in floors (see `ARCHITECTURE.md`); no room uses one above its own.

pub mod access;
pub mod api;
pub mod audit;
pub mod backup;
pub mod calls;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod daemon;
pub mod doctor;
pub mod egress;
pub mod fault;
pub mod flows;
pub mod integrations;
pub mod name;
pub mod notices;
pub mod openapi;
pub mod organizations;
pub mod package;
pub mod seal;
pub mod secrets;
pub mod shelf;
pub mod store;
pub mod telemetry;
pub mod text;
pub mod tokens;
pub mod trial;
mod trusted;
pub mod upgrade;
pub mod webhooks;
