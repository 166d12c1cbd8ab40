//! Services that failed so often that they are given a rest: known while it lasts, and told as events.
//!
//! Kept in memory alone, as the breakers are (`guard`), which decide when one begins and ends.

use std::sync::{Arc, Weak};

use chrono::{DateTime, Utc};
use dashmap::DashMap;

use super::keeper::Calls;
use crate::name::Name;
use crate::notices::{Notice, Notices};

/// A service that is given a rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The integration whose service it is.
    pub integration: Name,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When it is asked again.
    pub retry_at: Option<DateTime<Utc>>,
}

/// The outages of this moment.
#[derive(Default)]
pub(super) struct Outages(DashMap<Name, DateTime<Utc>>);

impl Calls {
    /// Has it told there, from now on, that a service fails and that it works again.
    pub fn tell_to(self: &Arc<Self>, notices: Arc<Notices>) {
        let me = Arc::downgrade(self);
        self.guards.listen(Box::new(move |name, is_out| note(&me, &notices, name, is_out)));
    }

    /// The services that are given a rest, of the integrations whose calls brought that about.
    pub fn outages(&self) -> Vec<Outage> {
        let outages = self.outages.0.iter().map(|entry| Outage {
            integration: entry.key().clone(),
            since: *entry.value(),
            retry_at: self.guards.state(entry.key()).retry_at,
        });
        outages.collect()
    }

    /// Forgets an outage: another service may be behind the name now.
    pub(super) fn forget_outage(&self, integration: &Name) {
        self.outages.0.remove(integration);
    }
}

/// Notes that an outage begins or ends, and tells it, once it is known whose it is.
fn note(calls: &Weak<Calls>, notices: &Arc<Notices>, name: &Name, is_out: bool) {
    let Some(calls) = calls.upgrade() else { return };
    let failures = calls.guards.state(name).failures;
    if is_out {
        calls.outages.0.insert(name.clone(), calls.clock.now());
    } else if calls.outages.0.remove(name).is_none() {
        return;
    }
    let (notices, name) = (Arc::clone(notices), name.clone());
    tokio::spawn(async move {
        // Where it is gone meanwhile, nobody needs to know.
        let Ok(Some(organization)) = calls.integrations.organization_of(&name).await else { return };
        notices.tell(if is_out {
            let text =
                format!("calls to the service of {name} fail ({failures} in a row), and aren't made for a while");
            Notice::service_unavailable(&name, &organization, &text)
        } else {
            Notice::service_recovered(&name, &organization)
        });
    });
}
