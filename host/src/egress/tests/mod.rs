//! The room as a whole: what is prepared, and what happens on real sockets.

mod preparing;
mod proxies;
mod tls;
mod wire;
