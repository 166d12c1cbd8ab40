//! Tests of [`Usage`]: what is counted is exact, whatever happens to the process and its file.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::store::memory::{Fate, MemoryStore};

const ALICE: &TokenId = b"Alice0000001";
const BOB: &TokenId = b"Bob000000002";
/// 2026-11-22T10:00:00Z.
const NOW: u64 = 1_795_341_600_000;

/// A data folder and its store.
struct Installation {
    folder: tempfile::TempDir,
    store: Arc<MemoryStore>,
}

impl Installation {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), store: Arc::new(MemoryStore::new()) }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("usage")
    }

    /// The next process on this folder: nothing of an earlier one is told that it ends.
    async fn start(&self) -> Usage {
        Usage::open(Some(&self.path()), Arc::clone(&self.store) as Arc<dyn Store>).await.unwrap()
    }

    async fn stored(&self, id: &TokenId) -> Option<UsageRecord> {
        USAGE.get(&*self.store, &[token::id_text(id)]).await.unwrap().map(|stored| stored.value)
    }
}

fn id(number: usize) -> TokenId {
    format!("{number:012}").as_bytes().try_into().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn count(usage: &Usage, id: &TokenId, uses: u64) {
    let slot = usage.open_slot(id).await.unwrap();
    for _ in 0..uses {
        slot.count(NOW, Some(ip("192.0.2.1")));
    }
}

#[tokio::test]
async fn counts_survive_a_kill_at_any_point() {
    let installation = Installation::new();
    let expect = async |alice: u64, bob: u64| {
        let usage = installation.start().await;
        assert_eq!((usage.read(ALICE).await.unwrap().count, usage.read(BOB).await.unwrap().count), (alice, bob));
        usage
    };
    // Never folded.
    let usage = expect(0, 0).await;
    count(&usage, ALICE, 3).await;
    drop(usage);
    // Folded, and counted on.
    let usage = expect(3, 0).await;
    count(&usage, ALICE, 2).await;
    count(&usage, BOB, 1).await;
    assert_eq!(usage.fold().await.unwrap(), 2);
    count(&usage, BOB, 1).await;
    drop(usage);
    // Opened, and killed without a use.
    let usage = expect(5, 2).await;
    count(&usage, ALICE, 0).await;
    drop(usage);
    // Killed in the middle of a fold: the store has it, and the process doesn't know.
    let usage = expect(5, 2).await;
    count(&usage, ALICE, 1).await;
    installation.store.plan_nth(1, Fate::Fail(StoreError::Full("test".into())));
    assert!(usage.fold().await.is_err());
    count(&usage, ALICE, 1).await;
    let left = fs::read(installation.path()).unwrap();
    usage.fold().await.unwrap();
    drop(usage);
    fs::write(installation.path(), left).unwrap();
    let usage = expect(7, 2).await;
    // Folded in order: nothing is left to do, for this process or the next.
    count(&usage, ALICE, 1).await;
    assert_eq!(usage.fold().await.unwrap(), 1);
    assert_eq!(usage.fold().await.unwrap(), 0);
    drop(usage);
    let commits = installation.store.commits();
    expect(8, 2).await;
    assert_eq!(installation.store.commits(), commits);
    let record = installation.stored(ALICE).await.unwrap();
    assert_eq!(record.last_use.unwrap().timestamp_millis(), NOW as i64);
    assert_eq!(record.address, Some(ip("192.0.2.1")));
}

/// Tells the process below where to count.
const KILLED: &str = "TOKENHOST_TEST_COUNT_AND_BE_KILLED";

#[tokio::test]
#[ignore = "it is the process that the test below starts and kills"]
async fn counts_and_is_killed() {
    let Some(path) = std::env::var_os(KILLED) else { return };
    let usage = Usage::open(Some(Path::new(&path)), Arc::new(MemoryStore::new())).await.unwrap();
    count(&usage, ALICE, 12_345).await;
    println!("counted");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn counts_survive_a_real_kill() {
    let installation = Installation::new();
    let mut process = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--nocapture", "--exact", "access::usage::tests::counts_and_is_killed"])
        .env(KILLED, installation.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("counted")));
    // SIGKILL: it can do nothing about it.
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(installation.start().await.read(ALICE).await.unwrap().count, 12_345);
}

#[tokio::test]
async fn a_start_that_fails_loses_nothing() {
    let installation = Installation::new();
    count(&installation.start().await, ALICE, 4).await;
    installation.store.plan_nth(1, Fate::Fail(StoreError::Full("test".into())));
    let store = Arc::clone(&installation.store) as Arc<dyn Store>;
    assert!(Usage::open(Some(&installation.path()), store).await.is_err());
    assert_eq!(installation.start().await.read(ALICE).await.unwrap().count, 4);
}

#[tokio::test]
async fn an_older_file_lowers_no_total() {
    let installation = Installation::new();
    let usage = installation.start().await;
    count(&usage, ALICE, 4).await;
    let left = fs::read(installation.path()).unwrap();
    count(&usage, ALICE, 1).await;
    usage.fold().await.unwrap();
    drop(usage);
    fs::write(installation.path(), left).unwrap();
    assert_eq!(installation.start().await.read(ALICE).await.unwrap().count, 5);
}

#[tokio::test]
async fn what_is_damaged_is_skipped() {
    let check = async |damage: &dyn Fn(&mut Vec<u8>), expected: [u64; 2]| {
        let installation = Installation::new();
        let usage = installation.start().await;
        count(&usage, ALICE, 4).await;
        count(&usage, BOB, 2).await;
        drop(usage);
        let mut bytes = fs::read(installation.path()).unwrap();
        damage(&mut bytes);
        fs::write(installation.path(), bytes).unwrap();
        let usage = installation.start().await;
        let found = [usage.read(ALICE).await.unwrap().count, usage.read(BOB).await.unwrap().count];
        assert_eq!(found, expected);
        count(&usage, ALICE, 1).await;
        assert_eq!(usage.read(ALICE).await.unwrap().count, expected[0] + 1);
    };
    check(&|_| {}, [4, 2]).await;
    check(&|bytes| bytes[0] = b'-', [0, 2]).await;
    check(&|bytes| bytes[3] ^= 1, [0, 2]).await;
    check(&|bytes| bytes[12] ^= 1, [0, 2]).await;
    check(&|bytes| bytes[..64].fill(0xff), [0, 2]).await;
    check(&|bytes| bytes.truncate(127), [4, 0]).await;
    check(&|bytes| bytes.truncate(1), [0, 0]).await;
    check(&Vec::clear, [0, 0]).await;
    check(&|bytes| bytes.extend([7; 999]), [4, 2]).await;
    // An address that isn't whole isn't shown, and harms no count.
    check(&|bytes| bytes[32] ^= 1, [4, 2]).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_no_reason_not_to_start() {
    let installation = Installation::new();
    fs::create_dir(installation.path()).unwrap();
    let usage = installation.start().await;
    count(&usage, ALICE, 3).await;
    assert_eq!(usage.read(ALICE).await.unwrap().count, 3);
    usage.fold().await.unwrap();
    assert_eq!(installation.stored(ALICE).await.unwrap().count, 3);
}

#[tokio::test]
async fn a_full_disk_refuses_nobody() {
    let installation = Installation::new();
    let usage = installation.start().await;
    usage.slots().file = Some(CounterFile::that_cannot_grow(&installation.path()));
    for number in 0..CHUNK_SLOTS + 1 {
        count(&usage, &id(number), 1).await;
    }
    assert_eq!(usage.fold().await.unwrap(), CHUNK_SLOTS + 1);
    assert_eq!(installation.stored(&id(CHUNK_SLOTS)).await.unwrap().count, 1);
}

#[tokio::test]
async fn a_part_of_a_fold_goes_on_where_the_last_one_ended() {
    let installation = Installation::new();
    let usage = installation.start().await;
    for number in 0..2 * CHUNK_SLOTS + 1 {
        count(&usage, &id(number), 1).await;
    }
    assert_eq!(usage.fold_part(1).await.unwrap(), CHUNK_SLOTS);
    count(&usage, &id(0), 1).await;
    assert_eq!(usage.fold_part(1).await.unwrap(), CHUNK_SLOTS);
    // A chunk with one, then the first chunk again with the one that changed.
    assert_eq!(usage.fold_part(1).await.unwrap(), 1);
    assert_eq!(installation.stored(&id(2 * CHUNK_SLOTS)).await.unwrap().count, 1);
    assert_eq!(usage.fold_part(1).await.unwrap(), 1);
    assert_eq!(installation.stored(&id(0)).await.unwrap().count, 2);
    assert_eq!(usage.fold_part(1).await.unwrap(), 0);
}

#[tokio::test]
async fn another_address_is_told_once_with_the_uses_before() {
    let usage = Usage::open(None, Arc::new(MemoryStore::new())).await.unwrap();
    let slot = usage.open_slot(ALICE).await.unwrap();
    let check = |address: Option<&str>, expected: Option<(Option<&str>, u64)>| {
        let moved = slot.count(NOW, address.map(ip));
        assert_eq!(moved, expected.map(|(previous, uses)| Moved { previous: previous.map(ip), uses }), "{address:?}");
    };
    check(None, None);
    check(Some("192.0.2.1"), Some((None, 1)));
    check(Some("192.0.2.1"), None);
    check(Some("::ffff:192.0.2.1"), None);
    check(None, None);
    check(Some("2001:db8::1"), Some((Some("192.0.2.1"), 4)));
    check(Some("2001:db8::1"), None);
    check(Some("192.0.2.1"), Some((Some("2001:db8::1"), 2)));
    assert_eq!(slot.read().address, Some(ip("192.0.2.1")));
    assert_eq!(slot.read().count, 8);
}

#[tokio::test]
async fn threads_count_exactly() {
    let installation = Installation::new();
    let usage = installation.start().await;
    let addresses = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)].map(IpAddr::from);
    let slot = usage.open_slot(ALICE).await.unwrap();
    let told: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let slot = slot.clone();
                scope.spawn(move || {
                    let moved =
                        (0..100_000).filter_map(|use_| slot.count(NOW, Some(addresses[(use_ / 100 + thread) % 2])));
                    moved.map(|moved| moved.uses).sum::<u64>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(told <= 400_000, "no use is told twice");
    drop((usage, slot));
    assert_eq!(installation.start().await.read(ALICE).await.unwrap().count, 400_000);
}

#[tokio::test]
async fn openers_at_once_share_a_slot() {
    let usage = Arc::new(Usage::open(None, Arc::new(MemoryStore::new())).await.unwrap());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let usage = Arc::clone(&usage);
            tokio::spawn(async move { count(&usage, ALICE, 10).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(usage.read(ALICE).await.unwrap().count, 80);
}

#[tokio::test]
async fn a_forgotten_token_leaves_nothing() {
    let installation = Installation::new();
    let usage = installation.start().await;
    count(&usage, ALICE, 1).await;
    usage.fold().await.unwrap();
    let kept = usage.open_slot(ALICE).await.unwrap();
    usage.forget(ALICE).await.unwrap();
    // Its slot goes to nobody else while somebody may count into it.
    count(&usage, BOB, 1).await;
    kept.count(NOW, None);
    assert_eq!(usage.read(BOB).await.unwrap().count, 1);
    usage.fold().await.unwrap();
    drop(usage);
    let usage = installation.start().await;
    assert_eq!(usage.read(ALICE).await.unwrap(), UsageRecord::default());
    assert_eq!(installation.stored(ALICE).await, None);
}

#[tokio::test]
async fn beyond_the_limit_callers_are_served_and_idle_slots_come_back() {
    let store = Arc::new(MemoryStore::new());
    let usage = Usage::with_limit(None, store, 4).await.unwrap();
    for number in 0..4 {
        count(&usage, &id(number), 2).await;
    }
    let kept = usage.open_slot(&id(0)).await.unwrap();
    let none_left = usage.open_slot(ALICE).await.unwrap();
    assert!(!none_left.is_counting() && none_left.count(NOW, None).is_none());
    usage.fold().await.unwrap();
    count(&usage, ALICE, 5).await;
    assert_eq!(usage.read(ALICE).await.unwrap().count, 5);
    kept.count(NOW, None);
    assert_eq!(usage.read(&id(0)).await.unwrap().count, 3);
    // A token whose slot went to another one goes on where it was.
    count(&usage, &id(1), 1).await;
    assert_eq!(usage.read(&id(1)).await.unwrap().count, 3);
}

#[tokio::test]
async fn a_million_tokens() {
    let installation = Installation::new();
    let usage = installation.start().await;
    for number in 0..1_000_000 {
        let slot = usage.open_slot(&id(number)).await.unwrap();
        // Every tenth is used, which is enough work for a test.
        if number % 10 == 0 {
            slot.count(NOW, None);
        }
    }
    drop(usage);
    let usage = installation.start().await;
    assert_eq!(installation.store.dump().len(), 100_000, "only what was used is written");
    for number in (0..1_000_000).step_by(999) {
        let expected = u64::from(number % 10 == 0);
        assert_eq!(usage.read(&id(number)).await.unwrap().count, expected, "{number}");
    }
}
