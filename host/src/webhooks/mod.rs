//! Webhooks: events carried to URLs that operators name, signed, at least once, for about a day.
//!
//! It decides which event goes where and when it is tried again. What an event is, and that it is kept meanwhile, is the
//! business of `notices`; whether a URL may be dialled, that of `egress`.

mod delivery;
mod error;
mod keeper;
mod message;
mod record;
mod sender;
mod signature;

pub use self::delivery::{Delivery, Progress};
pub use self::error::WebhookError;
pub use self::keeper::{LONGEST_GRACE, MOST, Parts, Webhooks};
#[cfg(test)]
pub(crate) use self::message::data;
pub use self::record::{Disabled, Wants, Webhook, WebhookChange};

#[cfg(test)]
mod tests;
