//! What an operator decides about a flow that is there: limits, secrets revealed, release from quarantine; and what attempts ask
//! of that, as the catalog of flows.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::record::{FlowRecord, Grant, LimitChanges, Quarantine};
use super::{Shelf, ShelfError, Standing};
use crate::audit::{Actor, Entry};
use crate::flows::{Barred, Catalog, Flow, Limit};
use crate::name::Name;
use crate::notices::{Kind, Notice};
use crate::telemetry;

/// When callers may ask again where only a person can help.
const LATER: Duration = Duration::from_secs(60);

impl Shelf {
    /// Sets the limits of a flow; what is absent is the engine's again. They hold for attempts under way too.
    ///
    /// # Errors
    /// There is no such flow, or the storage failed.
    pub async fn limit(&self, name: &Name, limits: LimitChanges) -> Result<(), ShelfError> {
        let _changing = self.changing.lock().await;
        self.known_flow(name)?;
        let (mut record, read) = self.read(name).await?;
        record.limits = limits;
        self.write(record, read).await?;
        Ok(())
    }

    /// Lets a flow run again that was put under quarantine.
    ///
    /// # Errors
    /// It isn't, or the storage failed.
    pub async fn release(&self, name: &Name) -> Result<(), ShelfError> {
        let _changing = self.changing.lock().await;
        self.known_flow(name)?;
        let (mut record, read) = self.read(name).await?;
        let in_memory = self.record(name.as_str()).is_some_and(|record| record.quarantine.is_some());
        if record.quarantine.take().is_none() && !in_memory {
            return Err(ShelfError::NotQuarantined(name.clone()));
        }
        self.write(record, read).await?;
        if let Some(mut conduct) = self.conduct.get_mut(name.as_str()) {
            conduct.forgive();
        }
        Ok(())
    }

    /// Lets the present component of a flow read one secret of one integration, made at that time (rule 2). Whether there are such,
    /// the caller has looked.
    ///
    /// # Errors
    /// There is no such flow, it isn't served, or the storage failed.
    pub async fn reveal(
        &self,
        name: &Name,
        (integration, made_at): (&Name, DateTime<Utc>),
        secret: &str,
        by: &str,
    ) -> Result<Grant, ShelfError> {
        let _changing = self.changing.lock().await;
        let standing = self.known_flow(name)?;
        let problem = standing.problem.unwrap_or_default();
        let plugin = standing.plugin.ok_or_else(|| ShelfError::NotServed(name.clone(), problem))?;
        let grant = Grant {
            integration: integration.clone(),
            made_at,
            secret: secret.to_owned(),
            sha256: plugin.digest().to_owned(),
            granted_at: self.clock.now(),
            granted_by: by.to_owned(),
        };
        let (mut record, read) = self.read(name).await?;
        record.grants.retain(|known| known.integration != *integration || known.secret != secret);
        record.grants.push(grant.clone());
        self.write(record, read).await?;
        Ok(grant)
    }

    /// Withdraws what was revealed.
    ///
    /// # Errors
    /// It wasn't, or the storage failed.
    pub async fn conceal(&self, name: &Name, integration: &Name, secret: &str) -> Result<(), ShelfError> {
        let _changing = self.changing.lock().await;
        let (mut record, read) = self.read(name).await?;
        let before = record.grants.len();
        record.grants.retain(|known| known.integration != *integration || known.secret != secret);
        if record.grants.len() == before {
            let (flow, integration) = (name.clone(), integration.clone());
            return Err(ShelfError::NotRevealed { flow, secret: secret.to_owned(), integration });
        }
        self.write(record, read).await?;
        Ok(())
    }

    /// A flow that there is.
    fn known_flow(&self, name: &Name) -> Result<Standing, ShelfError> {
        self.standing(name.as_str()).ok_or_else(|| ShelfError::NotFound(name.clone()))
    }

    /// Puts a flow under quarantine: at once for attempts, then on disk.
    fn quarantine(&self, name: &str, sha256: &str, reason: String) {
        let Ok(name) = name.parse::<Name>() else { return };
        let record = self.record(name.as_str()).map(|record| FlowRecord::clone(&record));
        let mut record = record.unwrap_or_else(|| FlowRecord::new(name.clone(), self.clock.now()));
        if record.quarantine.is_some() {
            return;
        }
        tracing::error!("flow {name} is under quarantine: {reason}; `tokenhost flow release {name}` lets it run again");
        if let Some(notices) = self.notices.get() {
            let text = format!("flow {name} is under quarantine and isn't run any more: {reason}");
            let remedy = format!("tokenhost flow release {name}");
            notices.tell(Notice::new(Kind::FlowQuarantined, text).flow(name.as_str()).remedy(remedy));
        }
        let quarantine = Quarantine { sha256: sha256.to_owned(), since: self.clock.now(), reason };
        record.quarantine = Some(quarantine.clone());
        self.remember(record);
        let me = self.me.clone();
        tokio::spawn(async move {
            if let Some(shelf) = me.upgrade() {
                shelf.write_quarantine(&name, quarantine).await;
            }
        });
    }

    /// Keeps a quarantine, unless it was lifted meanwhile.
    async fn write_quarantine(&self, name: &Name, quarantine: Quarantine) {
        let _changing = self.changing.lock().await;
        let holds = self.record(name.as_str()).is_some_and(|record| record.quarantine.as_ref() == Some(&quarantine));
        if !holds {
            return;
        }
        let mut entry = Entry::new(Actor::system(), "flow.quarantine").on(format!("flows/{name}"));
        entry = entry.detail("sha256", &*quarantine.sha256).detail("reason", &*quarantine.reason);
        let written = async {
            let (mut record, read) = self.read(name).await?;
            record.quarantine = Some(quarantine);
            self.write(record, read).await?;
            self.audit.append(vec![entry]).await
        };
        if let Err(error) = written.await {
            tracing::error!("that flow {name} is under quarantine can't be stored, and ends with this daemon: {error}");
        }
    }
}

impl Catalog for Shelf {
    fn get(&self, name: &str) -> Option<Arc<dyn Flow>> {
        self.flows.get(name)
    }

    fn for_scheme(&self, kind: &str, detail: Option<&str>) -> Vec<Arc<dyn Flow>> {
        self.flows.for_scheme(kind, detail)
    }

    fn absent(&self, name: &str) -> Option<Barred> {
        let problem = self.problems.get(name)?;
        let message = format!("flow {name} isn't served: {}", problem.value());
        Some(Barred { code: "flow_not_served", message, retry_after: LATER })
    }

    fn admit(&self, flow: &dyn Flow, new: bool) -> Result<(), Barred> {
        let name = flow.description().name.as_str();
        if let Some(quarantine) = self.record(name).and_then(|record| record.quarantine.clone()) {
            let message = format!(
                "flow {name} is under quarantine since {}: {}. `tokenhost flow release {name}` lets it run again, as does another \
                 component of it (flow upgrade, flow rollback)",
                quarantine.since.format("%Y-%m-%d %H:%M:%S UTC"),
                quarantine.reason
            );
            return Err(Barred { code: "flow_quarantined", message, retry_after: LATER });
        }
        let (true, Some(most)) = (new, flow.limits().attempts_per_minute) else { return Ok(()) };
        let begun = self.conduct.entry(name.to_owned()).or_default().begin(most, self.clock.elapsed());
        begun.map_err(|retry_after| Barred {
            code: "limit_exceeded",
            message: format!(
                "flow {name} may begin {most} attempts within a minute, and has; {}",
                Limit::AttemptsPerMinute.remedy(name)
            ),
            retry_after,
        })
    }

    fn revealed(&self, flow: &dyn Flow, integration: &str, made_at: DateTime<Utc>) -> Vec<String> {
        let Some(record) = self.record(&flow.description().name) else { return Vec::new() };
        let grants = record.grants.iter();
        let held = grants.filter(|grant| {
            grant.sha256 == flow.digest() && grant.integration.as_str() == integration && grant.made_at == made_at
        });
        held.map(|grant| grant.secret.clone()).collect()
    }

    fn decided_at(&self, name: &str) -> Option<DateTime<Utc>> {
        Some(self.record(name)?.decided_at)
    }

    fn report(&self, flow: &dyn Flow, integration: &str, conduct: Result<(), &str>) {
        let name = flow.description().name.as_str();
        match conduct {
            Ok(()) => {
                self.conduct.entry(name.to_owned()).or_default().of(flow.digest()).behaved(integration);
            }
            Err(fault) => {
                metrics::counter!(telemetry::FLOW_FAULTS, "flow" => telemetry::labels::flow(name)).increment(1);
                // What an earlier component still does is no fault of the present one.
                if self.flows.get(name).is_none_or(|present| present.digest() != flow.digest()) {
                    return;
                }
                let now = self.clock.elapsed();
                let enough =
                    self.conduct.entry(name.to_owned()).or_default().of(flow.digest()).misbehaved(integration, now);
                if let Some(reason) = enough {
                    self.quarantine(name, flow.digest(), format!("{reason}; the last one: {fault}"));
                }
            }
        }
    }
}
