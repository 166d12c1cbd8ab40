//! An archive made of a real store and made into another one: what is in it, what is refused, and that nothing is left behind.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::archive::{FrameWriter, RecordWriter};
use super::*;
use crate::access::{self, Access};
use crate::audit::{Actor, Audit, Entry, Filter, Retention, Tally, Window};
use crate::clock::{SharedClock, SystemClock, TestClock};
use crate::config;
use crate::notices::{self, Notices};
use crate::organizations::Organizations;
use crate::seal::{Keyring, MasterKey};
use crate::store::rocks::RocksStore;
use crate::store::{Batch, Store};

/// An installation, and a place for archives.
struct World {
    folder: TempDir,
    master: MasterKey,
    store: Arc<RocksStore>,
    keyring: Arc<Keyring>,
    clock: SharedClock,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(data.join(FLOWS)).unwrap();
        std::fs::write(data.join(FLOWS).join("some.flow-0123456789abcdef.wasm"), vec![7; 300_000]).unwrap();
        std::fs::write(data.join(FLOWS).join("half.wasm.new"), b"no").unwrap();
        std::fs::write(data.join(COUNTS), b"counts").unwrap();
        let store = Arc::new(RocksStore::open(&data.join(STORE)).unwrap());
        let master = MasterKey::generate("the test").unwrap();
        let keyring = Arc::new(Keyring::load_or_create(&*store, &master).await.unwrap());
        let clock = SystemClock::shared();
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let audit = Audit::open(shared, &keyring, Arc::clone(&clock), Retention::default()).await.unwrap();
        audit.append(vec![Entry::new(Actor::system(), "something.done")]).await.unwrap();
        audit.close().await;
        let mut batch = Batch::synced();
        batch.put(b"thing\0a\0".to_vec(), keyring.seal(b"place", b"s3cr3t").unwrap().as_bytes().to_vec());
        batch.put(b"thing\0b\0".to_vec(), vec![b'x'; 700_000]);
        store.commit(batch).await.unwrap();
        Self { folder, master, store, keyring, clock }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn archive(&self) -> PathBuf {
        let (store, keyring) = (Arc::clone(&self.store), Arc::clone(&self.keyring));
        let source = Source { store, keyring, clock: Arc::clone(&self.clock), data: self.place("data") };
        let path = self.place("x.backup");
        let made = write(&source, &path).await.unwrap();
        assert_eq!(made.bytes, path.metadata().unwrap().len());
        path
    }

    async fn restore(&self, archive: &Path, data: &str, force: bool) -> Result<Restored, BackupError> {
        restore(archive, &self.master, &self.place(data), force, Arc::clone(&self.clock), |_, _| {}).await
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = self.folder.path().read_dir().unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[tokio::test]
async fn a_store_is_put_back_as_it_was_and_knows_it() {
    let world = World::new().await;
    let archive = world.archive().await;
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(archive.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(&archive).unwrap();
    assert!(!bytes.windows(9).any(|part| part == b"something"), "nothing of the store is readable");

    let checked = check(&archive, &world.master, |_, _| {}).await.unwrap();
    assert_eq!((checked.summary.files, checked.summary.tables["thing"], checked.summary.tables["audit"]), (2, 2, 1));
    assert_eq!(checked.header.instance.len(), 16);
    // The data goes on after the cut.
    let mut later = Batch::synced();
    later.put(b"thing\0c\0".to_vec(), b"later".to_vec());
    world.store.commit(later).await.unwrap();

    let restored = world.restore(&archive, "other/data", false).await.unwrap();
    assert_eq!(restored.summary, checked.summary);
    assert_eq!(restored.moved_to, None);
    let data = world.place("other/data");
    assert_eq!(std::fs::read(data.join("flows/some.flow-0123456789abcdef.wasm")).unwrap(), vec![7; 300_000]);
    assert_eq!(std::fs::read(data.join(COUNTS)).unwrap(), b"counts");
    assert!(!data.join("flows/half.wasm.new").exists());
    let store: Arc<dyn Store> = Arc::new(RocksStore::open(&data.join(STORE)).unwrap());
    let keyring = Keyring::load(&*store, &world.master).await.unwrap().unwrap();
    let a = store.get(b"thing\0a\0").await.unwrap().unwrap();
    let before = world.store.get(b"thing\0a\0").await.unwrap().unwrap();
    assert_eq!(a, before, "its revision too");
    let sealed = crate::seal::Sealed::from_bytes(a.value.to_vec()).unwrap();
    assert_eq!(&**keyring.open(b"place", &sealed).unwrap(), b"s3cr3t");
    assert!(store.get(b"thing\0c\0").await.unwrap().is_none());

    let restoration = Restoration::last(&*store).await.unwrap().unwrap();
    assert_eq!(restoration, restored.restoration);
    let now = world.clock.now();
    assert!(restoration.is_news(now) && !restoration.is_news(now + chrono::TimeDelta::days(8)));
    let known = Restoration::acknowledge(&*store, now).await.unwrap().unwrap();
    assert!(!known.is_news(now));
    assert!(Restoration::acknowledge(&*world.store, now).await.unwrap().is_none());

    let clock = Arc::clone(&world.clock);
    let audit = Audit::open(Arc::clone(&store), &keyring, clock, Retention::default()).await.unwrap();
    assert_eq!(audit.verify(None, |_, _| {}).await.unwrap().last, 2, "the chain goes on");
    let window = Window { after: None, limit: 9, newest_first: true };
    let records = audit.list(&Filter::default(), window).await.unwrap().records;
    assert_eq!(records[0].entry.action, "daemon.restored");
}

#[tokio::test]
async fn what_is_there_is_moved_aside_and_never_while_a_daemon_has_it() {
    let world = World::new().await;
    let archive = world.archive().await;
    let names = world.names();
    let error = world.restore(&archive, "data", false).await.unwrap_err();
    assert!(matches!(error, BackupError::NotEmpty(_)), "{error}");
    let error = world.restore(&archive, "data", true).await.unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    assert_eq!(world.names(), names);
    world.store.close().await.unwrap();
    let restored = world.restore(&archive, "data", true).await.unwrap();
    let aside = restored.moved_to.unwrap();
    assert!(aside.join(STORE).exists() && world.place("data").join(STORE).exists());
    std::fs::create_dir(world.place("empty")).unwrap();
    assert_eq!(world.restore(&archive, "empty", false).await.unwrap().moved_to, None);
}

#[tokio::test]
async fn what_is_no_whole_archive_of_this_key_is_refused_and_nothing_is_left_behind() {
    let world = World::new().await;
    let archive = world.archive().await;
    let whole = std::fs::read(&archive).unwrap();
    let bad = world.place("bad.backup");
    std::fs::write(&bad, b"").unwrap();
    let names = world.names();
    let refused = async |bytes: &[u8], part: &str| {
        std::fs::write(&bad, bytes).unwrap();
        for error in [
            world.restore(&bad, "new", false).await.map(drop).unwrap_err(),
            check(&bad, &world.master, |_, _| {}).await.map(drop).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(error.contains(part) && error.contains("bad.backup"), "{error}\nshould contain {part}");
        }
        assert_eq!(world.names(), names, "{part}");
    };
    refused(b"#!/bin/sh", "this is no backup").await;
    refused(&whole[..whole.len() - 1], "cut short").await;
    refused(&whole[..whole.len() / 2], "cut short").await;
    let altered = |at: usize| {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        altered
    };
    refused(&altered(100), "damaged at byte 16: the header was altered").await;
    refused(&altered(whole.len() / 2), "damaged at byte").await;
    refused(&altered(whole.len() - 1), "damaged at byte").await;

    let other = MasterKey::generate("the file /other").unwrap();
    let error = check(&archive, &other, |_, _| {}).await.unwrap_err().to_string();
    for part in [world.master.id(), other.id(), "the file /other".to_owned()] {
        assert!(error.contains(&part), "{error}");
    }
    let error = restore(&archive, &other, &world.place("new"), false, Arc::clone(&world.clock), |_, _| {}).await;
    assert!(matches!(error, Err(BackupError::WrongKey { .. })), "{error:?}");
    assert_eq!(world.names(), names);
    // And it is never written over.
    let (store, keyring) = (Arc::clone(&world.store), Arc::clone(&world.keyring));
    let source = Source { store, keyring, clock: Arc::clone(&world.clock), data: world.place("data") };
    assert!(matches!(write(&source, &archive).await, Err(BackupError::Exists(_))));
    assert_eq!(std::fs::read(&archive).unwrap(), whole);
    let left: Vec<_> = world.place("data").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("copy-")), "{left:?}");
}

#[tokio::test]
async fn a_database_of_a_later_format_is_refused() {
    let world = World::new().await;
    let header = Header { database: 1000, ..header(&world.archive().await).unwrap() };
    let path = world.place("later.backup");
    let mut file = std::fs::File::create(&path).unwrap();
    let (bound, written) = header.write(&mut file).unwrap();
    let key = make::archive_key(&world.keyring, &header);
    let mut records = RecordWriter::new(FrameWriter::new(file, &key, bound, written));
    records.entry(b"thing\0a\0", 1, b"{}").unwrap();
    records.finish(1).unwrap();
    let error = world.restore(&path, "new", false).await.unwrap_err();
    assert!(matches!(error, BackupError::DatabaseTooNew { found: 1000, .. }), "{error}");
    assert!(!world.place("new").exists());
}

/// Backups of a daemon that makes them by itself, with a clock that stands still.
async fn scheduled(world: &World, clock: &Arc<TestClock>, folder: PathBuf) -> (Arc<Backups>, Arc<Notices>) {
    let clock = Arc::clone(clock) as SharedClock;
    let store = Arc::clone(&world.store) as Arc<dyn Store>;
    let organizations = Arc::new(Organizations::open(Arc::clone(&store), Arc::clone(&clock)).await.unwrap());
    let access = Access::open(access::Parts {
        store: Arc::clone(&store),
        keyring: Arc::clone(&world.keyring),
        clock: Arc::clone(&clock),
        organizations,
        tally: Arc::new(Tally::new(Arc::clone(&clock))),
        policy: access::Policy::default(),
        counts: None,
    });
    let notices = Notices::open(Arc::clone(&store), Arc::clone(&clock), notices::Retention::default()).await.unwrap();
    let audit = Audit::open(Arc::clone(&store), &world.keyring, Arc::clone(&clock), Retention::default()).await;
    let every = Duration::from_secs(3600);
    let parts = Parts {
        store,
        disk: Some(Arc::clone(&world.store)),
        keyring: Arc::clone(&world.keyring),
        access: Arc::new(access.await.unwrap()),
        notices: Arc::clone(&notices),
        audit: Arc::new(audit.unwrap()),
        clock,
        data: world.place("data"),
        schedule: Some(config::Backup { folder, every, keep: 2, keep_days: None }),
    };
    (Backups::new(parts), notices)
}

#[tokio::test]
async fn scheduled_backups_are_kept_and_a_failure_is_told_and_tried_again() {
    let world = World::new().await;
    let start = "2026-11-22T10:00:00Z".parse().unwrap();
    let clock = TestClock::at(start);
    let folder = world.place("backups");
    let (backups, notices) = scheduled(&world, &clock, folder.clone()).await;
    let schedule = backups.standing().unwrap().schedule;
    assert_eq!(backups.standing().unwrap().next, start, "the first one is due at once");
    for _ in 0..3 {
        backups.make_scheduled(&schedule).await.unwrap();
        clock.advance(Duration::from_secs(3600));
    }
    let kept = backups.list().await.unwrap();
    let hour = chrono::TimeDelta::hours;
    assert_eq!(kept.iter().map(|kept| kept.made_at).collect::<Vec<_>>(), [start + hour(2), start + hour(1)]);
    check(&kept[0].path, &world.master, |_, _| {}).await.unwrap();
    let standing = backups.standing().unwrap();
    assert_eq!((standing.last, standing.next), (Some(start + hour(2)), start + hour(3)));
    // Whoever starts anew goes on with what is there.
    let (again, _) = scheduled(&world, &clock, folder.clone()).await;
    assert_eq!(again.standing().unwrap().next, start + hour(3));

    // A file where the folder should be.
    let broken = config::Backup { folder: kept[0].path.clone(), ..schedule.clone() };
    for count in 1..=2 {
        backups.make_scheduled(&broken).await.unwrap_err();
        let standing = backups.standing().unwrap();
        let failure = standing.failure.unwrap();
        assert_eq!((failure.count, failure.since), (count, start + hour(3)));
        assert_eq!(standing.next, start + hour(3) + chrono::TimeDelta::minutes(10));
    }
    notices.settled().await;
    let told = world.store.scan(crate::store::Scan::prefix(b"event\0".to_vec(), 9)).await.unwrap();
    assert_eq!(told.len(), 1, "told once");
    let event: serde_json::Value = serde_json::from_slice(&told[0].value).unwrap();
    assert_eq!((&event["kind"], &event["remedy"]), (&"backup.failed".into(), &"tokenhost backup list".into()));
    backups.make_scheduled(&schedule).await.unwrap();
    assert!(backups.standing().unwrap().failure.is_none());
}

#[tokio::test]
async fn one_is_given_at_a_time_and_who_goes_away_stops_it() {
    let world = World::new().await;
    let mut batch = Batch::synced();
    let mut noise = vec![0; 8 << 20];
    getrandom::fill(&mut noise).unwrap();
    batch.put(b"thing\0large\0".to_vec(), noise);
    world.store.commit(batch).await.unwrap();
    let clock = TestClock::at("2026-11-22T10:00:00Z".parse().unwrap());
    let (backups, _) = scheduled(&world, &clock, world.place("backups")).await;
    let mut first = backups.stream().await.unwrap();
    assert!(matches!(backups.stream().await, Err(BackupError::Busy)));
    assert!(first.pieces.recv().await.unwrap().is_ok());
    drop(first);
    let mut second = loop {
        match backups.stream().await {
            Err(BackupError::Busy) => tokio::task::yield_now().await,
            stream => break stream.unwrap(),
        }
    };
    let path = world.place("given.backup");
    let mut given = Vec::new();
    while let Some(piece) = second.pieces.recv().await {
        given.extend_from_slice(&piece.unwrap());
    }
    std::fs::write(&path, given).unwrap();
    let checked = check(&path, &world.master, |_, _| {}).await.unwrap();
    assert!(checked.summary.bytes > 8 << 20);
    assert!(second.name.starts_with(&format!("tokenhost-{}-2026", checked.header.instance)), "{}", second.name);
}

/// Takes some minutes and 3 GiB of disk: `cargo test --workspace --lib backup::tests -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "it takes long; run it where what is kept in memory while a backup is made or read has changed"]
async fn a_gibibyte_takes_no_more_memory_than_a_little() {
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
    };
    let world = World::new().await;
    for number in 0..16_384_u32 {
        let (mut batch, mut noise) = (Batch::buffered(), vec![0; 65_536]);
        getrandom::fill(&mut noise).unwrap();
        batch.put(format!("thing\0{number:06}\0").into_bytes(), noise);
        world.store.commit(batch).await.unwrap();
    }
    let began = std::time::Instant::now();
    let before = peak();
    let archive = world.archive().await;
    let (made, made_in) = (peak(), began.elapsed());
    world.restore(&archive, "new", false).await.unwrap();
    let (restored, restored_in) = (peak(), began.elapsed() - made_in);
    println!("peak {before} MiB before, {made} MiB made in {made_in:?}, {restored} MiB restored in {restored_in:?}");
    assert!(restored < before + 200, "{before} {made} {restored}");
}
