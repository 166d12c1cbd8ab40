//! The life of a token, in one process: a store that crashes, a clock that is set, a provider that fails on demand.

mod flow;
mod provider;
mod world;

mod connect;
mod crash;
mod failing;
mod life;
mod parameters;
mod rotation;
mod rules;
mod watch;
