//! What survives: crashes of the store for tests; kills, locks, later versions and full disks on the real one.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::memory::{Fate, MemoryStore};
use super::rocks::RocksStore;
use super::*;

/// Tells a child, which is this program running one of its ignored tests, where its folder is.
const FOLDER: &str = "TOKENHOST_TEST_FOLDER";

fn put(key: impl Into<Vec<u8>>, durability: Durability) -> Batch {
    let mut batch = Batch { durability, ..Batch::default() };
    batch.put(key, "x");
    batch
}

async fn has(store: &dyn Store, key: impl AsRef<[u8]>) -> bool {
    store.get(key.as_ref()).await.unwrap().is_some()
}

#[tokio::test]
async fn a_power_cut_takes_what_no_sync_followed() {
    use Durability::{Buffered, Synced};
    let cases: [(&[Durability], usize); 6] = [
        (&[], 0),
        (&[Synced], 1),
        (&[Buffered], 0),
        (&[Buffered, Buffered, Synced], 3),
        (&[Synced, Buffered, Buffered], 1),
        (&[Buffered, Synced, Buffered, Synced, Buffered], 4),
    ];
    for (durabilities, kept) in cases {
        for power_cut in [true, false] {
            let store = MemoryStore::new();
            for (index, durability) in durabilities.iter().enumerate() {
                let mut batch = put(format!("key {index}"), *durability);
                batch.put("last", index.to_string());
                store.commit(batch).await.unwrap();
            }
            let after = if power_cut { store.crash() } else { store.kill() };
            let kept = if power_cut { kept } else { durabilities.len() };
            for index in 0..durabilities.len() {
                assert_eq!(has(&after, format!("key {index}")).await, index < kept, "{durabilities:?}");
            }
            let last = after.get(b"last").await.unwrap().map(|entry| entry.value);
            assert_eq!(last, kept.checked_sub(1).map(|last| last.to_string().into()), "{durabilities:?}");
            let next = after.commit(put("next", Synced)).await.unwrap();
            assert_eq!(next, kept as Revision + 1, "revisions go on from what is left");
            assert!(store.get(b"last").await.is_err() && store.is_dead(), "the dead store serves nobody");
        }
    }
}

#[tokio::test]
async fn a_plan_decides_the_nth_commit() {
    for (fate, applied, dead) in [
        (Fate::Commit, true, false),
        (Fate::Fail(StoreError::Full("no room".into())), false, false),
        (Fate::CrashBefore, false, true),
        (Fate::CrashAfter, true, true),
    ] {
        let store = MemoryStore::new();
        store.commit(put("before", Durability::Synced)).await.unwrap();
        store.plan_nth(2, fate.clone());
        store.commit(put("first", Durability::Synced)).await.unwrap();
        let outcome = store.commit(put("second", Durability::Synced)).await;
        assert_eq!(outcome.is_ok(), matches!(fate, Fate::Commit), "{fate:?}");
        assert_eq!(store.is_dead(), dead, "{fate:?}");
        assert_eq!(store.commit(put("third", Durability::Buffered)).await.is_err(), dead, "{fate:?}");
        let after = store.crash();
        assert!(has(&after, "first").await);
        assert_eq!(has(&after, "second").await, applied, "{fate:?}");
        assert!(!has(&after, "third").await);
    }
}

#[tokio::test]
async fn writers_share_syncs() {
    const WRITERS: u64 = 32;
    const EACH: u64 = 10;
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(RocksStore::open(folder.path()).unwrap());
    for round in 0..EACH {
        let batches = (0..WRITERS).map(|writer| store.commit(put(format!("{round} {writer}"), Durability::Synced)));
        for outcome in futures_util::future::join_all(batches).await {
            outcome.unwrap();
        }
    }
    let syncs = store.syncs();
    // In each round the first may go alone and the others wait for it; a few groups on a crowded machine.
    assert!((EACH..=EACH * WRITERS / 2).contains(&syncs), "{syncs} syncs for {} commits", WRITERS * EACH);
    store.commit(put("buffered", Durability::Buffered)).await.unwrap();
    assert_eq!(store.syncs(), syncs, "buffered batches sync nothing");
}

/// A store in this folder, once nobody else has it.
fn open(folder: &Path) -> Result<RocksStore, StoreError> {
    RocksStore::open(&folder.join("store"))
}

#[tokio::test]
async fn a_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(&error, StoreError::InUse { folder, process: None } if folder.ends_with("store")), "{error}");
    assert!(error.to_string().contains(&format!("the data folder {} is in use", folder.path().display())), "{error}");
    store.close().await.unwrap();
    assert!(matches!(store.commit(put("a", Durability::Synced)).await, Err(StoreError::Storage(_))));
    assert!(matches!(store.get(b"a").await, Err(StoreError::Storage(_))));
    assert!(open(folder.path()).is_ok(), "closed, though the old handle still exists");

    let mut child = Running::start("child_counts", folder.path(), &[]);
    child.line();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { process: Some(_), .. }), "{error}");
    assert!(error.to_string().contains("`kill "), "{error}");
    child.kill();
    assert!(open(folder.path()).is_ok(), "a killed owner leaves no lock");
}

#[tokio::test]
async fn only_the_owner_reads_the_folder() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    drop(RocksStore::open(&folder.path().join("a/b")).unwrap());
    assert_eq!((mode(&folder.path().join("a")), mode(&folder.path().join("a/b"))), (0o700, 0o700));
    let wide = folder.path().join("wide");
    std::fs::create_dir(&wide).unwrap();
    std::fs::set_permissions(&wide, PermissionsExt::from_mode(0o755)).unwrap();
    drop(RocksStore::open(&wide).unwrap());
    assert_eq!(mode(&wide), 0o700);
}

#[tokio::test]
async fn what_was_closed_or_dropped_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut revisions = Vec::new();
    for round in 0..3 {
        let store = open(folder.path()).unwrap();
        for (earlier, revision) in revisions.iter().enumerate() {
            let entry = store.get(format!("{earlier}").as_bytes()).await.unwrap().unwrap();
            assert_eq!(entry.revision, *revision);
        }
        revisions.push(store.commit(put(round.to_string(), Durability::Buffered)).await.unwrap());
        if round == 0 {
            store.close().await.unwrap();
        }
    }
    assert!(revisions.is_sorted() && revisions[0] < revisions[2], "revisions go on");
}

#[tokio::test]
async fn folders_that_are_not_ours_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, key: &[u8], value: &[u8]| {
        let db = rocksdb::DB::open_default(folder.path().join(path).join("store")).unwrap();
        db.put(key, value).unwrap();
    };
    std::fs::create_dir(folder.path().join("foreign")).unwrap();
    write("foreign", b"key", b"value");
    let error = open(&folder.path().join("foreign")).unwrap_err().to_string();
    assert!(error.contains("isn't tokenhost's"), "{error}");

    drop(open(&folder.path().join("later")).unwrap());
    write("later", b"\0meta/format", &9_u64.to_be_bytes());
    let error = open(&folder.path().join("later")).unwrap_err();
    assert!(matches!(error, StoreError::TooNew { found: 9, known: FORMAT }), "{error}");

    let damaged = folder.path().join("damaged");
    let store = open(&damaged).unwrap();
    store.commit(put("a", Durability::Synced)).await.unwrap();
    store.close().await.unwrap();
    for file in std::fs::read_dir(damaged.join("store")).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("MANIFEST") {
            std::fs::write(path, "garbage").unwrap();
        }
    }
    let error = open(&damaged).unwrap_err();
    assert!(matches!(error, StoreError::Storage(_)), "{error}");

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(RocksStore::open(&file), Err(StoreError::Storage(_))));
}

/// What a power cut makes of the log's unsynced end: cut anywhere, or with a hole in it. All before it is there.
#[tokio::test]
async fn a_torn_log_keeps_all_before_the_tear() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live");
    let store = open(&live).unwrap();
    store.commit(put("synced", Durability::Synced)).await.unwrap();
    let log = newest_log(&live.join("store"));
    let synced = std::fs::metadata(&log).unwrap().len();
    for index in 0..20 {
        store.commit(put(format!("buffered {index:02}"), Durability::Buffered)).await.unwrap();
    }
    let whole = std::fs::read(&log).unwrap();
    assert!(whole.len() as u64 > synced);
    for (case, tear) in (synced as usize..whole.len()).step_by(61).enumerate() {
        for hole in [false, true] {
            let torn = folder.path().join(format!("torn {case} {hole}"));
            copy(&live.join("store"), &torn.join("store"));
            let mut log = whole.clone();
            if hole {
                let end = log.len().min(tear + 40);
                log[tear..end].fill(0);
            } else {
                log.truncate(tear);
            }
            std::fs::write(newest_log(&torn.join("store")), log).unwrap();
            let store = open(&torn).unwrap();
            assert!(has(&store, "synced").await, "torn at {tear}, hole: {hole}");
            let found = store.scan(Scan::prefix(*b"buffered", 99)).await.unwrap();
            let expected: Vec<_> = (0..found.len()).map(|index| format!("buffered {index:02}").into_bytes()).collect();
            assert_eq!(
                found.into_iter().map(|entry| entry.key).collect::<Vec<_>>(),
                expected,
                "no gap before the tear"
            );
        }
    }
}

/// The log that RocksDB writes to.
fn newest_log(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
}

/// Copies a folder of files, as a process that was killed at this moment leaves it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// A child that runs one of the ignored tests below.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    /// Starts it, within the commands that `wrapper` names.
    fn start(test: &str, folder: &Path, wrapper: &[&str]) -> Self {
        let program = std::env::current_exe().unwrap();
        let test = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
        let mut words = wrapper.iter().map(Path::new).chain([program.as_path()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["--ignored", "--exact", "--nocapture", "--test-threads=1"]).arg(test);
        let mut child = command.env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that the test printed by [`say`]. `None` at its end.
    fn try_line(&mut self) -> Option<String> {
        self.lines.by_ref().map(Result::unwrap).find_map(|line| Some(line.split_once("SAY ")?.1.to_owned()))
    }

    fn line(&mut self) -> String {
        self.try_line().expect("the child ended early")
    }

    /// Kills it and returns what it had said before.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let rest = std::iter::from_fn(|| self.try_line()).collect();
        self.child.wait().unwrap();
        rest
    }
}

/// Prints a line for the parent, at once.
fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "SAY {line}").unwrap();
    out.flush().unwrap();
}

fn child_folder() -> PathBuf {
    std::env::var_os(FOLDER).expect("run by another test").into()
}

/// The child of `kills_lose_nothing_acknowledged`: commits numbers and says each when it is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of another test"]
async fn child_counts() {
    let store = Arc::new(open(&child_folder()).unwrap());
    say("open");
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 0.. {
                    let durability = if number % 4 == 3 { Durability::Synced } else { Durability::Buffered };
                    let key = format!("{task} {}", table::number(number));
                    let mut batch = put(key.clone(), durability);
                    batch.put(format!("twin {key}"), "x");
                    store.commit(batch).await.unwrap();
                    say(key);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn kills_lose_nothing_acknowledged() {
    for lines in [1, 20, 300] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Running::start("child_counts", folder.path(), &[]);
        assert_eq!(child.line(), "open");
        let mut acknowledged: Vec<_> = (0..lines).map(|_| child.line()).collect();
        acknowledged.extend(child.kill());
        let store = open(folder.path()).unwrap();
        for key in &acknowledged {
            assert!(has(&store, key).await, "{key} of {}", acknowledged.len());
        }
        let twins = store.scan(Scan::prefix(*b"twin ", usize::MAX)).await.unwrap();
        assert!(twins.len() >= acknowledged.len());
        for twin in twins {
            assert!(has(&store, &twin.key[5..]).await, "a batch is there in full");
        }
    }
}

/// The child of the tests of full disks: fills the disk, looks around, has room made, and goes on. Twice.
#[tokio::test]
#[ignore = "the child of another test"]
async fn child_fills_the_disk() {
    let folder = child_folder();
    let store = open(&folder).unwrap();
    // Random, so that compression saves nothing.
    let value: Bytes = (0..16 << 10).map(|_| rand::random::<u8>()).collect();
    let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
    for round in 0..2 {
        assert_eq!(ask("fill"), "filled");
        let mut in_a_row = 0;
        // RocksDB tidying up may make some room by itself; the disk is full when three in a row are refused.
        while in_a_row < 3 {
            let key = format!("{round} {}", acknowledged.len() + refused.len());
            let mut batch = put(key.clone(), Durability::Synced);
            batch.put("last", key.clone());
            batch.put(format!("value {}", acknowledged.len() % 100), value.clone());
            match store.commit(batch).await {
                Ok(_) => {
                    acknowledged.push(key);
                    in_a_row = 0;
                }
                Err(StoreError::Full(_)) => {
                    refused.push(key);
                    in_a_row += 1;
                    check_disk(&store, &acknowledged, &refused).await;
                }
                Err(error) => panic!("{key}: {error}"),
            }
            assert!(acknowledged.len() + refused.len() < 20_000, "the disk never fills");
        }
        assert!(matches!(store.health().await, Ok(()) | Err(StoreError::Full(_))));
        assert_eq!(ask("make room"), "made");
        store.commit(put(format!("after {round}"), Durability::Synced)).await.unwrap();
        store.health().await.unwrap();
        check_disk(&store, &acknowledged, &refused).await;
    }
    store.close().await.unwrap();
    let store = open(&folder).unwrap();
    check_disk(&store, &acknowledged, &refused).await;
    assert!(has(&store, "after 0").await && has(&store, "after 1").await);
    ask("end");
}

/// The child of another test of full disks: batches so large that writes have to wait for a table that there is no room
/// for. RocksDB waits for as long as there is none; whoever commits is told.
#[tokio::test]
#[ignore = "the child of another test"]
async fn child_outruns_what_is_written_out() {
    let store = open(&child_folder()).unwrap();
    let mut noise = vec![0; 16 << 10];
    let mut commit = async |name: String| {
        let mut batch = put(name, Durability::Synced);
        for number in 0..640 {
            getrandom::fill(&mut noise).unwrap();
            batch.put(format!("value {number}"), noise.clone());
        }
        store.commit(batch).await
    };
    assert_eq!(ask("fill"), "filled");
    let mut acknowledged = Vec::new();
    let refused = loop {
        let name = format!("large {}", acknowledged.len());
        match commit(name.clone()).await {
            Ok(_) => acknowledged.push(name),
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 20, "the disk never fills");
    };
    assert!(matches!(refused, StoreError::Full(_)), "{refused}");
    assert_eq!(ask("make room"), "made");
    commit("after".into()).await.unwrap();
    for key in &acknowledged {
        assert!(has(&store, key).await, "{key} was acknowledged");
    }
    assert!(!has(&store, &format!("large {}", acknowledged.len())).await, "it was refused");
    store.close().await.unwrap();
    ask("end");
}

/// Reads go on, and show what was acknowledged and nothing else.
async fn check_disk(store: &RocksStore, acknowledged: &[String], refused: &[String]) {
    for key in acknowledged {
        assert!(has(store, key).await, "{key} was acknowledged");
    }
    for key in refused {
        assert!(!has(store, key).await, "{key} was refused");
    }
    let last = store.get(b"last").await.unwrap().map(|entry| entry.value);
    assert_eq!(last.as_deref(), acknowledged.last().map(|key| key.as_bytes()));
}

/// Says something to the parent and reads its answer.
fn ask(question: &str) -> String {
    say(question);
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).unwrap();
    answer.trim_end().to_owned()
}

/// Plays the parent of a child that fills a disk, and asks so many questions: `limit` fills the disk (true) or makes room
/// (false).
fn fill_a_disk(mut child: Running, expected: usize, mut limit: impl FnMut(&Child, bool)) {
    let mut questions = 0;
    while let Some(question) = child.try_line() {
        questions += 1;
        let answer = match question.as_str() {
            "fill" => {
                limit(&child.child, true);
                "filled"
            }
            "make room" => {
                limit(&child.child, false);
                "made"
            }
            _ => "",
        };
        writeln!(child.child.stdin.as_mut().unwrap(), "{answer}").unwrap();
    }
    assert!(child.child.wait().unwrap().success());
    assert_eq!(questions, expected);
}

/// A file system of its own that is really full. Where this machine lets nobody mount one, the next test stands alone.
#[test]
fn a_full_disk_loses_nothing_and_is_got_over() {
    const MOUNT: &str = r#"mount -t tmpfs -o size=64m none "$TOKENHOST_TEST_FOLDER" && exec "$@""#;
    let allowed = |words: &[&str]| {
        let outcome = Command::new(words[0]).args(&words[1..]).args(["mount", "-t", "tmpfs", "none", "/mnt"]).output();
        outcome.is_ok_and(|output| output.status.success())
    };
    let ways: [&[&str]; 2] = [&["unshare", "--user", "--map-root-user", "--mount"], &["unshare", "--mount"]];
    let Some(way) = ways.into_iter().find(|way| allowed(way)) else {
        println!("not tried: no file system can be mounted here");
        return;
    };
    let wrapper: Vec<&str> = way.iter().copied().chain(["sh", "-c", MOUNT, "sh"]).collect();
    let check = |test: &str, questions: usize, ballast: fn(&Path) -> u64| {
        let folder = tempfile::tempdir().unwrap();
        let child = Running::start(test, folder.path(), &wrapper);
        fill_a_disk(child, questions, |child, fill| {
            // The child's file system, as it sees it.
            let inside = PathBuf::from(format!("/proc/{}/root{}", child.id(), folder.path().display()));
            let file = inside.join("ballast");
            if fill {
                std::fs::write(file, vec![1; usize::try_from(ballast(&inside)).unwrap()]).unwrap();
            } else {
                std::fs::remove_file(file).unwrap();
            }
        });
    };
    check("child_fills_the_disk", 5, |_| 40 << 20);
    // Room for two large batches in logs, and none for the table that the first is written out to while the second comes.
    check("child_outruns_what_is_written_out", 3, |disk| {
        let found = rustix::fs::statvfs(disk).unwrap();
        found.f_bavail * found.f_frsize - (25 << 20)
    });
}

/// A limit on the size of files, which works everywhere, and leaves RocksDB with an error that it doesn't get over itself.
#[test]
fn a_file_size_limit_loses_nothing_and_is_got_over() {
    let folder = tempfile::tempdir().unwrap();
    // The signal would end the process; without it, writing fails.
    let wrapper = ["sh", "-c", r#"trap "" XFSZ; exec "$@""#, "sh"];
    let child = Running::start("child_fills_the_disk", folder.path(), &wrapper);
    fill_a_disk(child, 5, |child, fill| {
        let limit = if fill { "--fsize=1000000:unlimited" } else { "--fsize=unlimited" };
        let pid = child.id().to_string();
        assert!(Command::new("prlimit").args(["--pid", &pid, limit]).status().unwrap().success());
    });
}
