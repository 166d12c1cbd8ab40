//! What rooms take of the settings, at the start and after each reload.

use std::sync::Arc;

use crate::access::Access;
use crate::audit::{Audit, Retention};
use crate::calls::Calls;
use crate::config::{Config, Live};
use crate::egress::Egress;
use crate::notices::{self, Notices};
use crate::telemetry;

/// Has the rooms take what a reload can change. The telemetry's last: it can't fail, and neither can they.
pub(super) fn give_settings(
    settings: &Arc<Live>,
    access: &Arc<Access>,
    audit: &Arc<Audit>,
    notices: &Arc<Notices>,
    egress: &Arc<Egress>,
    calls: &Arc<Calls>,
) {
    let (access, audit, notices) = (Arc::downgrade(access), Arc::downgrade(audit), Arc::downgrade(notices));
    let (egress, calls) = (Arc::downgrade(egress), Arc::downgrade(calls));
    settings.give_to(move |config| {
        if let Some(access) = access.upgrade() {
            access.set_policy(config.access.clone());
        }
        if let Some(audit) = audit.upgrade() {
            audit.keep(audit_retention(config));
        }
        if let Some(notices) = notices.upgrade() {
            notices.keep(event_retention(config));
        }
        if let (Some(egress), Some(calls)) = (egress.upgrade(), calls.upgrade()) {
            egress.allow(config.egress.allow.clone(), config.egress.http);
            calls.forget_ways();
        }
        telemetry::trace::change(&config.telemetry);
        if let Err(error) = telemetry::set_level(&config.log.level) {
            tracing::error!("the log's level stays as it was: {error}");
        }
    });
}

/// How long audit records are kept.
pub(super) fn audit_retention(config: &Config) -> Retention {
    Retention { days: Some(config.audit.retention_days), records: Some(config.audit.retention_records) }
}

/// How long events are kept.
pub(super) fn event_retention(config: &Config) -> notices::Retention {
    notices::Retention { days: config.events.retention_days, records: config.events.retention_records }
}
