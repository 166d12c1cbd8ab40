//! Backups of a running daemon: given to who asks, or written by themselves when they are due. One at a time.
//!
//! It doesn't decide who may ask.

use std::io::{self, BufWriter, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::make::{Cut, Made, Source, blocking, instance};
use super::mark::Restoration;
use super::{BackupError, folder};
use crate::access::Access;
use crate::audit::{Actor, Audit, Entry, Outcome};
use crate::clock::SharedClock;
use crate::config;
use crate::notices::{Kind, Notice, Notices};
use crate::seal::Keyring;
use crate::store::rocks::RocksStore;
use crate::store::{Store, StoreError};
use crate::telemetry;

/// Pieces of an archive that wait for who takes it.
const WAITING: usize = 2;
/// Bytes of a piece.
const PIECE: usize = 512 << 10;
/// How long who takes it may take nothing.
const STALLED: Duration = Duration::from_secs(60);
/// How often it is looked whether a backup is due: the wall clock may step, and machines sleep.
const ROUND: Duration = Duration::from_secs(10);
/// How long to wait after a failure, at most.
const RETRY: TimeDelta = TimeDelta::minutes(10);
/// Failures in a row that are told of, besides each hundredth.
const TOLD_AT: [u32; 3] = [1, 5, 20];

/// What the room works with.
pub struct Parts {
    /// Where records are.
    pub store: Arc<dyn Store>,
    /// The same store where it is on a disk; none: nothing can be copied.
    pub disk: Option<Arc<RocksStore>>,
    /// Its keys.
    pub keyring: Arc<Keyring>,
    /// Counts uses.
    pub access: Arc<Access>,
    /// Where it is told that a backup failed.
    pub notices: Arc<Notices>,
    /// Where it is noted how one ended.
    pub audit: Arc<Audit>,
    /// What time it is.
    pub clock: SharedClock,
    /// The data folder.
    pub data: PathBuf,
    /// Backups that are made by themselves.
    pub schedule: Option<config::Backup>,
}

/// Makes backups.
pub struct Backups {
    parts: Parts,
    /// Held while one is made.
    turn: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
    /// Whether the daemon stops.
    stopping: Arc<AtomicBool>,
}

/// What is known of those that are made by themselves.
#[derive(Default)]
struct State {
    /// When the last one was made.
    last: Option<DateTime<Utc>>,
    /// Why there is no newer one.
    failure: Option<Failure>,
}

/// That backups fail.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Why the last one failed.
    pub message: String,
    /// When the first one did.
    pub since: DateTime<Utc>,
    /// When the next one is tried.
    pub retry_at: DateTime<Utc>,
    /// How many did, in a row.
    pub count: u32,
}

/// How backups stand that are made by themselves.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The settings.
    pub schedule: config::Backup,
    /// When the last one was made.
    pub last: Option<DateTime<Utc>>,
    /// When the next one is due.
    pub next: DateTime<Utc>,
    /// Why there is no newer one.
    pub failure: Option<Failure>,
}

/// An archive, as it is made.
pub struct Pieces {
    /// A name for it.
    pub name: String,
    /// Its bytes in order; an error ends them where it can't be finished.
    pub pieces: mpsc::Receiver<io::Result<Bytes>>,
}

impl Backups {
    /// Backups of this daemon.
    pub fn new(parts: Parts) -> Arc<Self> {
        let mut state = State::default();
        if let Some(schedule) = &parts.schedule {
            match folder::list(&schedule.folder, &instance(&parts.keyring)) {
                Ok(found) => state.last = found.first().map(|kept| kept.made_at),
                Err(error) => tracing::error!("backups can't be looked for: {error}"),
            }
        }
        if let Some(last) = state.last {
            metrics::gauge!(telemetry::BACKUP_LAST_SUCCESS).set(last.timestamp() as f64);
        }
        Arc::new(Self { parts, turn: Arc::default(), state: Mutex::new(state), stopping: Arc::default() })
    }

    /// Begins an archive of this moment.
    ///
    /// # Errors
    /// [`BackupError::Busy`], or the moment can't be held.
    pub async fn stream(self: &Arc<Self>) -> Result<Pieces, BackupError> {
        let turn = Arc::clone(&self.turn).try_lock_owned().map_err(|_| BackupError::Busy)?;
        let cut = self.cut().await.inspect_err(|_| count("failed"))?;
        let name = folder::name_of(cut.header());
        let (sender, pieces) = mpsc::channel(WAITING);
        let (me, handle) = (Arc::clone(self), Handle::current());
        tokio::task::spawn_blocking(move || {
            let taker = Taker { to: sender.clone(), handle: handle.clone() };
            let outcome = cut.write(BufWriter::with_capacity(PIECE, taker), me.unless_stopping()).map(|(_, made)| made);
            if let Err(error) = &outcome {
                tracing::error!("a backup that somebody asked for can't be finished: {error}");
                // What comes doesn't end as an archive does, and the connection says so too.
                let end = sender.send(Err(io::Error::other("the backup can't be finished")));
                drop(handle.block_on(async { tokio::time::timeout(STALLED, end).await }));
            }
            // Whoever took the last piece finds the next turn free.
            drop(turn);
            drop(sender);
            handle.block_on(me.ended("given", outcome.as_ref().map_err(ToString::to_string)));
        });
        Ok(Pieces { name, pieces })
    }

    /// Makes backups when they are due, for as long as the daemon runs.
    pub async fn keep(&self) {
        let Some(schedule) = &self.parts.schedule else { return };
        loop {
            if self.next(schedule) <= self.parts.clock.now() {
                // It says itself what is wrong.
                drop(self.make_scheduled(schedule).await);
            }
            tokio::time::sleep(ROUND).await;
        }
    }

    /// Ends the one under way, as where the daemon stops: nothing of it is left.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Ends a backup under way once the daemon stops.
    fn unless_stopping(&self) -> impl FnMut(u64) -> io::Result<()> + use<> {
        let stopping = Arc::clone(&self.stopping);
        move |_| match stopping.load(Ordering::Relaxed) {
            true => Err(io::Error::other("the daemon stops")),
            false => Ok(()),
        }
    }

    /// How backups stand that are made by themselves; none where none are.
    pub fn standing(&self) -> Option<Standing> {
        let schedule = self.parts.schedule.clone()?;
        let next = self.next(&schedule);
        let state = self.state();
        Some(Standing { schedule, last: state.last, next, failure: state.failure.clone() })
    }

    /// The backups that are there, the newest first.
    ///
    /// # Errors
    /// The folder can't be read.
    pub async fn list(&self) -> Result<Vec<folder::Kept>, BackupError> {
        let Some(schedule) = &self.parts.schedule else { return Ok(Vec::new()) };
        let (folder, instance) = (schedule.folder.clone(), instance(&self.parts.keyring));
        blocking(move || folder::list(&folder, &instance)).await
    }

    /// The restoration that this daemon's data came from.
    ///
    /// # Errors
    /// The store failed.
    pub async fn restoration(&self) -> Result<Option<Restoration>, StoreError> {
        Restoration::last(&*self.parts.store).await
    }

    /// Notes that somebody knows of the restoration; none: there was none.
    ///
    /// # Errors
    /// The store failed.
    pub async fn acknowledge(&self) -> Result<Option<Restoration>, StoreError> {
        Restoration::acknowledge(&*self.parts.store, self.parts.clock.now()).await
    }

    /// Holds this moment. Counts of uses go into the store before.
    async fn cut(&self) -> Result<Cut, BackupError> {
        let store = self.parts.disk.clone().ok_or(BackupError::NotOnDisk)?;
        self.parts.access.fold_usage().await?;
        let (keyring, clock) = (Arc::clone(&self.parts.keyring), Arc::clone(&self.parts.clock));
        Cut::at_once(&Source { store, keyring, clock, data: self.parts.data.clone() }, None).await
    }

    /// When the next one is due.
    fn next(&self, schedule: &config::Backup) -> DateTime<Utc> {
        let (now, state) = (self.parts.clock.now(), self.state());
        let every = TimeDelta::from_std(schedule.every).unwrap_or(TimeDelta::MAX);
        match (&state.failure, state.last) {
            (Some(failure), _) => failure.retry_at,
            // One of the future says that the clock was wrong.
            (None, Some(last)) if last <= now => last.checked_add_signed(every).unwrap_or(DateTime::<Utc>::MAX_UTC),
            _ => now,
        }
    }

    /// Makes one.
    pub(super) async fn make_scheduled(&self, schedule: &config::Backup) -> Result<Made, BackupError> {
        let _turn = self.turn.lock().await;
        let made = self.write_into(schedule).await;
        let now = self.parts.clock.now();
        match &made {
            Ok(made) => {
                tracing::info!(folder = %schedule.folder.display(), bytes = made.bytes, "a backup was made");
                let mut state = self.state();
                (state.last, state.failure) = (Some(made.made_at), None);
            }
            Err(error) => self.fail(schedule, &error.to_string(), now),
        }
        self.ended("scheduled", made.as_ref().map_err(ToString::to_string)).await;
        // The backup is there, whatever becomes of older ones.
        if made.is_ok() {
            let (schedule, instance) = (schedule.clone(), instance(&self.parts.keyring));
            match blocking(move || folder::prune(&schedule, &instance, now)).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "old backups were removed"),
                Err(error) => tracing::error!("old backups can't be removed: {error}"),
            }
        }
        made
    }

    async fn write_into(&self, schedule: &config::Backup) -> Result<Made, BackupError> {
        let folder = schedule.folder.clone();
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(BackupError::disk(&folder))?;
        folder::clear(&folder, &instance(&self.parts.keyring));
        let cut = self.cut().await?;
        let path = folder.join(folder::name_of(cut.header()));
        let go_on = self.unless_stopping();
        blocking(move || cut.write_file(&path, go_on)).await
    }

    /// Remembers that one failed, and tells it.
    fn fail(&self, schedule: &config::Backup, message: &str, now: DateTime<Utc>) {
        tracing::error!("a scheduled backup can't be made: {message}");
        let wait = TimeDelta::from_std(schedule.every).unwrap_or(RETRY).min(RETRY);
        let mut state = self.state();
        let before = state.failure.take();
        let count = before.as_ref().map_or(1, |before| before.count.saturating_add(1));
        let since = before.map_or(now, |before| before.since);
        state.failure = Some(Failure { message: message.to_owned(), since, retry_at: now + wait, count });
        drop(state);
        if TOLD_AT.contains(&count) || count.is_multiple_of(100) {
            let text = format!("no backup can be made: {message}");
            self.parts.notices.tell(Notice::new(Kind::BackupFailed, text).remedy("tokenhost backup list"));
        }
    }

    /// Counts and notes how one ended.
    async fn ended(&self, how: &str, outcome: Result<&Made, String>) {
        let mut entry = Entry::new(Actor::system(), "backup.made").on("backup").detail("how", how);
        match outcome {
            Ok(made) => {
                count("made");
                metrics::gauge!(telemetry::BACKUP_LAST_SUCCESS).set(made.made_at.timestamp() as f64);
                entry = entry.detail("archive", &made.id).detail("bytes", made.bytes.to_string());
            }
            Err(error) => {
                count("failed");
                entry = entry.ended(Outcome::Failed, Some("failed")).detail("error", error);
            }
        }
        if let Err(error) = self.parts.audit.append(vec![entry]).await {
            tracing::error!("how a backup ended can't be noted: {error}");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Backups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backups").field("schedule", &self.parts.schedule).finish_non_exhaustive()
    }
}

fn count(outcome: &'static str) {
    metrics::counter!(telemetry::BACKUPS, "outcome" => outcome).increment(1);
}

/// Gives what is written to who takes it, from a thread that may wait.
struct Taker {
    to: mpsc::Sender<io::Result<Bytes>>,
    handle: Handle,
}

impl Write for Taker {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sending = self.to.send(Ok(Bytes::copy_from_slice(bytes)));
        match self.handle.block_on(async { tokio::time::timeout(STALLED, sending).await }) {
            Ok(Ok(())) => Ok(bytes.len()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "whoever asked for it went away")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "whoever asked for it takes nothing")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
