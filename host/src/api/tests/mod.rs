//! The API over real rooms on a store in memory, with a flow that reaches no network.

mod audit;
mod document;
mod login;
mod organizations;
mod refusals;
mod rooms;
mod walk;
