//! Passing a caller's request on: what of it goes to the service, and what of the answer comes back.
//!
//! Paths and headers only; bodies pass by in `payload`, and `dispatch` sends.

mod headers;
mod path;

pub(super) use self::headers::of_connection;
pub use self::headers::{Circle, to_caller, to_service};
pub use self::path::{PathFault, below, location, target};
