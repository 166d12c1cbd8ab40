//! Makes, changes and deletes webhooks, and has one task for each that delivers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use chrono::TimeDelta;
use secrecy::SecretString;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use ulid::Ulid;
use url::Url;

use super::delivery::{Delivery, Progress};
use super::error::WebhookError;
use super::record::{Disabled, PROGRESS, WEBHOOKS, Wants, Webhook, WebhookChange, WebhookRecord};
use super::sender;
use super::signature::new_secret;
use crate::clock::SharedClock;
use crate::egress::Egress;
use crate::fault::{FaultCode, FieldFault};
use crate::name::Name;
use crate::notices::{Kind, Notice, Notices};
use crate::organizations::Organizations;
use crate::seal::{Keeper, Keyring, SealedTable};
use crate::store::{Batch, Revision, Store, StoreError};

/// Webhooks at most. Each has a task of its own, and reads all events.
pub const MOST: usize = 100;
/// How long a secret may sign beside its successor.
pub const LONGEST_GRACE: Duration = Duration::from_secs(30 * 86_400);
/// How long deliveries under way may take to end when the daemon stops.
const LANDING: Duration = Duration::from_secs(5);

/// What the room works with.
#[expect(missing_docs, reason = "each is named like its room")]
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub keyring: Arc<Keyring>,
    pub clock: SharedClock,
    pub organizations: Arc<Organizations>,
    pub notices: Arc<Notices>,
    pub egress: Arc<Egress>,
}

/// The webhooks there are.
pub struct Webhooks(Arc<Shared>);

/// What the webhooks' tasks share.
pub(super) struct Shared {
    pub(super) parts: Parts,
    /// All of them. Nothing of it is the only copy.
    running: RwLock<BTreeMap<Name, Arc<Running>>>,
    /// Held while one is made, changed or deleted.
    changing: tokio::sync::Mutex<()>,
    /// Ends all tasks.
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A webhook and its task.
pub(super) struct Running {
    /// As it is now.
    pub(super) webhook: ArcSwap<Webhook>,
    /// How far it is.
    progress: Mutex<Progress>,
    /// Held while that is written, or removed for good.
    saving: tokio::sync::Mutex<()>,
    /// Wakes its task after a change.
    pub(super) wake: Notify,
    /// Ends its task.
    pub(super) stop: CancellationToken,
}

impl Running {
    /// How far it is.
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Webhooks {
    /// The webhooks in this store, each going on where it was. Must be called within a tokio runtime, where they deliver.
    ///
    /// # Errors
    /// A record can't be opened, or the storage failed.
    pub async fn open(parts: Parts) -> Result<Self, WebhookError> {
        let shared = Arc::new(Shared {
            parts,
            running: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let mut walk = WEBHOOKS.walk(&*shared.parts.store, &[], MOST);
        while let Some(found) = walk.next().await? {
            for record in found {
                let Some(name) = record.key.first().and_then(|name| name.parse::<Name>().ok()) else { continue };
                let progress = PROGRESS.get(&*shared.parts.store, &[name.as_str()]).await?;
                let progress = progress.map_or_else(|| shared.begin(), |found| found.value);
                let webhook = record.value.open(name, record.revision, &shared.parts.keyring)?;
                shared.run(webhook, progress);
            }
        }
        Ok(Self(shared))
    }

    /// Ends the deliveries: those under way may end, for a while.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(LANDING, self.0.tasks.wait()).await.is_err() {
            tracing::warn!("some deliveries to webhooks are cut off, and are made anew at the next start");
        }
    }

    /// All webhooks, by name, each with how far it is.
    pub fn list(&self) -> Vec<(Arc<Webhook>, Progress)> {
        let running = self.0.running.read().unwrap_or_else(PoisonError::into_inner);
        running.values().map(|one| (one.webhook.load_full(), one.progress().clone())).collect()
    }

    /// One webhook, and how far it is.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn read(&self, name: &Name) -> Result<(Arc<Webhook>, Progress), WebhookError> {
        let running = self.0.find(name)?;
        let progress = running.progress().clone();
        Ok((running.webhook.load_full(), progress))
    }

    /// Makes a webhook, which gets the events from now on. Its secret is shown once.
    ///
    /// # Errors
    /// Inputs are wrong (all that are, at once), the name is taken, or the storage failed.
    pub async fn create(
        &self,
        name: Name,
        new: WebhookChange,
    ) -> Result<(Arc<Webhook>, Progress, SecretString), WebhookError> {
        let shared = &self.0;
        let _changing = shared.changing.lock().await;
        let mut faults = Vec::new();
        let mut wants = Wants::default();
        new.apply_wants(&mut wants, &shared.parts.organizations.tree(), &mut faults);
        if new.url.is_none() {
            faults.push(FieldFault::new("url", FaultCode::Missing, "must be given"));
        }
        let url = shared.url(&new, &mut faults);
        let count = shared.running.read().unwrap_or_else(PoisonError::into_inner).len();
        if count >= MOST {
            let message = format!("there are {MOST} webhooks already, which is the most; delete one first");
            faults.push(FieldFault::new("name", FaultCode::NotAllowed, message));
        }
        let Some(url) = url.filter(|_| faults.is_empty()) else { return Err(WebhookError::Invalid(faults)) };
        let (now, secret) = (shared.parts.clock.now(), new_secret());
        let disabled = (new.enabled == Some(false)).then(|| by_operator(now));
        let mut webhook = Webhook {
            name,
            url,
            wants,
            disabled,
            former_until: None,
            created_at: now,
            updated_at: now,
            revision: 0,
            secrets: vec![secret.clone()],
        };
        let progress = shared.begin();
        let mut batch = Batch::synced();
        let parts = [webhook.name.as_str()];
        WEBHOOKS.expect(&mut batch, &parts, None);
        WEBHOOKS.put(&mut batch, &parts, &WebhookRecord::seal(&webhook, &shared.parts.keyring)?)?;
        PROGRESS.put(&mut batch, &parts, &progress)?;
        webhook.revision = match shared.parts.store.commit(batch).await {
            Ok(revision) => revision,
            Err(StoreError::Conflict) => return Err(WebhookError::Exists(webhook.name)),
            Err(error) => return Err(error.into()),
        };
        let running = shared.run(webhook, progress.clone());
        Ok((running.webhook.load_full(), progress, secret))
    }

    /// Changes a webhook. One that is enabled again goes on where it stopped, as far as events are still kept.
    ///
    /// # Errors
    /// Inputs are wrong (all that are, at once), there is none of this name, it was changed, or the storage failed.
    pub async fn change(&self, name: &Name, change: WebhookChange) -> Result<(Arc<Webhook>, Progress), WebhookError> {
        let shared = &self.0;
        let _changing = shared.changing.lock().await;
        let running = shared.find(name)?;
        let mut webhook = Webhook::clone(&running.webhook.load());
        if change.expected.is_some_and(|expected| expected != webhook.revision) {
            return Err(WebhookError::Changed);
        }
        let mut faults = Vec::new();
        change.apply_wants(&mut webhook.wants, &shared.parts.organizations.tree(), &mut faults);
        if let Some(url) = shared.url(&change, &mut faults) {
            webhook.url = url;
        }
        if !faults.is_empty() {
            return Err(WebhookError::Invalid(faults));
        }
        let now = shared.parts.clock.now();
        match change.enabled {
            Some(true) => webhook.disabled = None,
            Some(false) => drop(webhook.disabled.get_or_insert_with(|| by_operator(now))),
            None => {}
        }
        shared.write(&running, webhook).await?;
        // Whoever has changed it has perhaps put right what failed.
        running.progress().hurry(now);
        running.wake.notify_one();
        let progress = running.progress().clone();
        Ok((running.webhook.load_full(), progress))
    }

    /// Gives a webhook another secret, which is shown once. The one before signs, too, for so long.
    ///
    /// # Errors
    /// There is none of this name, or the storage failed.
    pub async fn rotate(&self, name: &Name, grace: Duration) -> Result<(Arc<Webhook>, SecretString), WebhookError> {
        let shared = &self.0;
        let _changing = shared.changing.lock().await;
        let running = shared.find(name)?;
        let mut webhook = Webhook::clone(&running.webhook.load());
        let secret = new_secret();
        webhook.secrets.truncate(1);
        webhook.secrets.insert(0, secret.clone());
        let grace = TimeDelta::from_std(grace.min(LONGEST_GRACE)).unwrap_or_default();
        webhook.former_until = (grace > TimeDelta::zero()).then(|| shared.parts.clock.now() + grace);
        if webhook.former_until.is_none() {
            webhook.secrets.truncate(1);
        }
        shared.write(&running, webhook).await?;
        Ok((running.webhook.load_full(), secret))
    }

    /// Deletes a webhook; what wasn't delivered isn't any more.
    ///
    /// # Errors
    /// There is none of this name, or the storage failed.
    pub async fn delete(&self, name: &Name) -> Result<(), WebhookError> {
        let shared = &self.0;
        let _changing = shared.changing.lock().await;
        let running = shared.find(name)?;
        running.stop.cancel();
        let saving = running.saving.lock().await;
        let mut batch = Batch::synced();
        WEBHOOKS.remove(&mut batch, &[name.as_str()]);
        PROGRESS.remove(&mut batch, &[name.as_str()]);
        let removed = shared.parts.store.commit(batch).await;
        drop(saving);
        match removed {
            Ok(_) => {
                shared.running.write().unwrap_or_else(PoisonError::into_inner).remove(name);
                Ok(())
            }
            Err(error) => {
                // It is still there, and its task goes on.
                let (webhook, progress) = (Webhook::clone(&running.webhook.load()), running.progress().clone());
                shared.run(webhook, progress);
                Err(error.into())
            }
        }
    }

    /// The kind of records here that hold sealed values.
    pub fn sealed_kind(&self) -> Arc<dyn crate::seal::Kind> {
        Arc::new(SealedTable::kept("webhooks", WEBHOOKS, Arc::clone(&self.0) as Arc<dyn Keeper>))
    }

    /// Sends an event of kind `webhook.test` to a webhook now, disabled or not, and tells what became of it.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn test(&self, name: &Name) -> Result<Delivery, WebhookError> {
        let shared = &self.0;
        let running = shared.find(name)?;
        let now = shared.parts.clock.now();
        let id = Ulid::from_parts(u64::try_from(now.timestamp_millis()).unwrap_or_default(), rand::random());
        let text = format!("somebody tests the webhook {name}; nothing has happened");
        let event = Notice::new(Kind::WebhookTest, text).webhook(name).into_event(id, now);
        let (delivery, _) = sender::send(&shared.parts, &running.webhook.load_full(), &event, 1).await;
        running.progress().note_test(delivery.clone());
        running.wake.notify_one();
        Ok(delivery)
    }
}

#[async_trait]
impl Keeper for Shared {
    async fn hold(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    fn rewritten(&self, key: &[String], from: Revision, to: Revision) {
        let name = key.first().and_then(|name| name.parse::<Name>().ok());
        if let Some(running) = name.and_then(|name| self.find(&name).ok()) {
            let webhook = running.webhook.load();
            if webhook.revision == from {
                running.webhook.store(Arc::new(Webhook { revision: to, ..Webhook::clone(&webhook) }));
            }
        }
    }
}

impl Shared {
    /// From now on.
    fn begin(&self) -> Progress {
        Progress::new(*self.parts.notices.last().borrow())
    }

    fn find(&self, name: &Name) -> Result<Arc<Running>, WebhookError> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.get(name).cloned().ok_or_else(|| WebhookError::NotFound(name.clone()))
    }

    /// Has a webhook deliver.
    fn run(self: &Arc<Self>, webhook: Webhook, progress: Progress) -> Arc<Running> {
        let name = webhook.name.clone();
        let running = Arc::new(Running {
            webhook: ArcSwap::from_pointee(webhook),
            progress: Mutex::new(progress),
            saving: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            stop: self.stop.child_token(),
        });
        self.running.write().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::clone(&running));
        self.tasks.spawn(sender::run(Arc::downgrade(self), Arc::clone(&running)));
        running
    }

    /// Reads the URL of a change and holds it against what may be dialled.
    fn url(&self, change: &WebhookChange, faults: &mut Vec<FieldFault>) -> Option<Url> {
        let url = change.read_url(faults)?;
        match self.parts.egress.check_url(&url) {
            Ok(()) => Some(url),
            Err(refusal) => {
                faults.extend(
                    (refusal.problems.into_iter())
                        .map(|problem| FieldFault::new("url", FaultCode::NotAllowed, problem.message)),
                );
                None
            }
        }
    }

    /// Writes a webhook that was read while `changing` was held, and has it hold from then on.
    async fn write(&self, running: &Running, mut webhook: Webhook) -> Result<(), WebhookError> {
        webhook.updated_at = self.parts.clock.now();
        let mut batch = Batch::synced();
        let parts = [webhook.name.as_str()];
        WEBHOOKS.expect(&mut batch, &parts, Some(webhook.revision));
        WEBHOOKS.put(&mut batch, &parts, &WebhookRecord::seal(&webhook, &self.parts.keyring)?)?;
        webhook.revision = match self.parts.store.commit(batch).await {
            Ok(revision) => revision,
            Err(StoreError::Conflict) => return Err(WebhookError::Changed),
            Err(error) => return Err(error.into()),
        };
        running.webhook.store(Arc::new(webhook));
        running.wake.notify_one();
        Ok(())
    }

    /// Disables a webhook that has failed for long, and tells of it.
    pub(super) async fn disable(&self, running: &Running, reason: String) -> Result<(), WebhookError> {
        let _changing = self.changing.lock().await;
        let mut webhook = Webhook::clone(&running.webhook.load());
        if running.stop.is_cancelled() || webhook.disabled.is_some() {
            return Ok(());
        }
        let name = webhook.name.clone();
        webhook.disabled = Some(Disabled { at: self.parts.clock.now(), reason: reason.clone() });
        self.write(running, webhook).await?;
        tracing::warn!("webhook {name} is disabled: {reason}");
        let remedy = format!("tokenhost webhook test {name}; tokenhost webhook change {name} --enable");
        let message = format!("webhook {name} is disabled, and gets no events any more: {reason}");
        self.parts.notices.tell(Notice::new(Kind::WebhookDisabled, message).webhook(&name).remedy(remedy));
        Ok(())
    }

    /// Keeps how far a webhook is. Unsynced: where a power cut undoes it, an event is delivered once more, under the same id.
    pub(super) async fn save(&self, running: &Running) -> Result<(), StoreError> {
        let _saving = running.saving.lock().await;
        if running.stop.is_cancelled() && !self.stop.is_cancelled() {
            return Ok(()); // it was deleted
        }
        let progress = running.progress().clone();
        let mut batch = Batch::buffered();
        PROGRESS.put(&mut batch, &[running.webhook.load().name.as_str()], &progress)?;
        self.parts.store.commit(batch).await.map(drop)
    }
}

fn by_operator(at: chrono::DateTime<chrono::Utc>) -> Disabled {
    Disabled { at, reason: "an operator has disabled it".to_owned() }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.0.stop.cancel();
    }
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.running.read().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Webhooks").field("count", &count).finish_non_exhaustive()
    }
}
