//! The room as a whole: what is prepared, and what happens on real sockets.

mod links;
mod preparing;
mod proxies;
mod services;
mod tls;
mod wire;
