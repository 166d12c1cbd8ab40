//! Calls of services.

pub mod parameters;
