//! Events: what happened that a person or a program may have to act on, kept for a while, told to whoever follows.
//!
//! Rooms above tell it, and never wait: what is told is written behind their backs, grouped. So a crash at the wrong moment
//! can lose an event, but nothing that the state itself wouldn't show again. It is no audit log (`audit`), and knows neither
//! who may see an event nor how it is carried to anybody.

mod event;
mod keeper;
mod notice;

pub use self::event::{Event, Kind, Severity};
pub use self::keeper::{Notices, Retention};
pub use self::notice::Notice;

#[cfg(test)]
mod tests;
