//! The API over real rooms on a store in memory, with a flow that reaches no network.

mod audit;
mod connect;
mod document;
mod escalation;
mod events;
mod export;
mod import;
mod keys;
mod login;
mod models;
mod organizations;
mod own;
mod principals;
mod refusals;
mod rights;
pub(crate) mod rooms;
mod synchro;
mod verify;
mod walk;
