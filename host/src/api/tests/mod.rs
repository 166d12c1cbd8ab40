//! The API over real rooms on a store in memory, with a flow that reaches no network.

mod audit;
mod document;
mod escalation;
mod export;
mod login;
mod organizations;
mod principals;
mod refusals;
mod rights;
mod rooms;
mod verify;
mod walk;
