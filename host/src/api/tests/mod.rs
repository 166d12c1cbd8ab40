//! The API over real rooms on a store in memory, with a flow that reaches no network.

mod document;
mod export;
mod import;
mod organizations;
mod refusals;
mod rooms;
mod synchro;
mod walk;
