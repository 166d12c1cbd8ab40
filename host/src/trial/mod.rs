//! Attempts of a component without a daemon: one walk for `plugin try`, `test` and `replay`; recordings; the conformance kit.
//!
//! Nothing is kept here but what a caller writes down itself: no store, no journal, no integration. What goes out goes through
//! `egress`, as in the daemon.

pub mod kit;
pub mod recording;
pub mod replay;
pub mod told;
pub mod walk;
