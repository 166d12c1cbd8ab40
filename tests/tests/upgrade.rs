//! Data folders of released formats, opened by this program: all that was in them is there. And an upgrade of a large one,
//! ended by `kill -9` again and again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tokenhost::audit::{Actor, Audit, Entry, Retention};
use tokenhost::clock::SystemClock;
use tokenhost::seal::{Keyring, MasterKey};
use tokenhost::store::rocks::RocksStore;
use tokenhost::store::{FORMAT, Store};
use tokenhost_tests::{Client, Daemon};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// The folder that a daemon of this format left, and what its maker found in it.
fn unpack(format: u64) -> (tempfile::TempDir, Value) {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/store/format-{format}.tar.gz"));
    let folder = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(unpacked.success());
    let keys = folder.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    std::fs::rename(folder.path().join("master.key"), keys.join("master.key")).unwrap();
    let expected = std::fs::read(folder.path().join("expected.json")).unwrap();
    (folder, serde_json::from_slice(&expected).unwrap())
}

/// Copies of the database that lie in a data folder.
fn copies(data: &Path) -> Vec<PathBuf> {
    let entries = data.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("store.before-format-")).collect()
}

/// A text of what was expected.
fn text<'a>(expected: &'a Value, name: &str) -> &'a str {
    expected[name].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn format_1_is_found_in_full() {
    let (folder, expected) = unpack(1);
    let token = text(&expected, "administrator").to_owned();
    let settings = folder.path().join("tokenhost.toml");
    std::fs::write(&settings, "[access]\npersonal_tokens_allowed_profiles = ['REST Services User']\n").unwrap();
    let mut daemon = Daemon::over(folder, token).with_env("TOKENHOST_CONFIG", settings.to_str().unwrap());

    let plan = daemon.command(&["upgrade", "--check", "--json"]).output().await.unwrap();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!((&plan["format"], &plan["wanted"]), (&json!(1), &json!(FORMAT)), "{plan}");
    assert!(copies(&daemon.data()).is_empty(), "looking changes nothing");
    daemon.restart().await;
    assert!(daemon.log().contains("upgrade: the database has format 2"), "{}", daemon.log());
    assert_eq!(copies(&daemon.data()).len(), 1);

    // Outbound tokens are served as they were; nobody was asked for them, since there is no provider.
    for (integration, was) in expected["tokens"].as_object().unwrap() {
        let mut served = daemon.client().get(&format!("/v1/integrations/{integration}/token")).await.expect(200);
        served.as_object_mut().unwrap().remove("expires_in");
        assert_eq!(&served, was, "{integration}");
    }
    for (integration, count) in expected["attempts"].as_object().unwrap() {
        let attempts = daemon.client().get(&format!("/v1/integrations/{integration}/attempts")).await.expect(200);
        assert_eq!(attempts["items"].as_array().unwrap().len() as u64, count.as_u64().unwrap(), "{integration}");
    }
    // Inbound ones are verified, and their uses counted from where they were.
    let me = async |name: &str| Client::new(daemon.url(), Some(text(&expected, name))).get("/v1/me").await.status;
    // Known, and no more: it has no profile that opens this door.
    assert_eq!(me("application").await, 403);
    assert_eq!(me("deleted").await, 401);
    // Personal tokens live ten years at most, and this one was made in 2026.
    assert_eq!(me("personal").await, 200);
    let path = format!("/v1/personal-tokens/{}", text(&expected, "personal_id"));
    let personal = daemon.client().get(&path).await.expect(200);
    assert_eq!(personal["use_count"].as_u64().unwrap(), expected["uses"].as_u64().unwrap() + 1);
    for (path, name) in [("/v1/users/ada", "login"), ("/v1/webhooks/ops", "name"), ("/v1/models/crm-north", "name")] {
        let found = daemon.client().get(path).await.expect(200);
        assert_eq!(found[name], path.rsplit_once('/').unwrap().1, "{found}");
    }

    let proof = daemon.client().post("/v1/audit/verify", &json!({})).await.expect(200);
    assert_eq!(proof["ok"], true, "{proof}");
    let found = daemon.client().get("/v1/audit?object=integrations/crm-prod&limit=1000").await.expect(200);
    let found: Vec<&Value> = found["items"].as_array().unwrap().iter().map(|record| &record["seq"]).collect();
    let was: Vec<&Value> = expected["audit_of_crm_prod"].as_array().unwrap().iter().collect();
    assert_eq!(found, was);

    daemon.stop().await;
    let before = daemon.log();
    daemon.restart().await;
    assert!(!daemon.log()[before.len()..].contains("upgrade:"), "once is enough");
    daemon.stop().await;
    let done = daemon.command(&["upgrade"]).output().await.unwrap();
    assert_eq!(String::from_utf8(done.stdout).unwrap(), "the database has format 2 already\n");
}

/// Records in the audit log of the large folder.
const RECORDS: usize = 100_000;

/// Fills the audit log of a folder of format 1 as a program of that time would have.
async fn fill(folder: &Path) {
    let data = folder.join("data");
    let store: Arc<dyn Store> = Arc::new(RocksStore::open_any(&data.join("store")).unwrap());
    let master = MasterKey::from_file(&folder.join("keys/master.key"), &data).unwrap();
    let keyring = Keyring::load(&*store, &master).await.unwrap().unwrap();
    let audit = Audit::open(Arc::clone(&store), &keyring, SystemClock::shared(), Retention::default()).await.unwrap();
    for part in 0..RECORDS / 500 {
        let entry = |index| Entry::new(Actor::system(), "model.update").on(format!("models/m{part}-{}", index % 50));
        audit.append((0..500).map(entry).collect()).await.unwrap();
    }
    audit.close().await;
    drop(store);
    // What this program's log wrote beside, and that one's didn't.
    let database = rocksdb::DB::open_default(data.join("store")).unwrap();
    let all = rocksdb::IteratorMode::From(b"audit-object\0", rocksdb::Direction::Forward);
    let keys: Vec<_> = database.iterator(all).map(|entry| entry.unwrap().0).collect();
    let mut batch = rocksdb::WriteBatch::default();
    let indexed = keys.iter().filter(|key| key.starts_with(b"audit-object\0"));
    assert!(indexed.map(|key| batch.delete(key)).count() >= RECORDS);
    database.write(batch).unwrap();
    assert_eq!(database.get(b"\0meta/format").unwrap().unwrap(), 1_u64.to_be_bytes());
}

/// The records that a line on standard error says were dealt with.
fn done(line: &str) -> Option<u64> {
    line.strip_prefix("upgrade: format 2: ")?.rsplit_once(": ")?.1.split_once(" of ")?.0.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_goes_on_after_kill_9() {
    let (folder, expected) = unpack(1);
    fill(folder.path()).await;
    let mut daemon = Daemon::over(folder, text(&expected, "administrator").to_owned());
    let (mut kills, mut reached) = (0, 0);
    loop {
        let mut upgrade = daemon.command(&["upgrade"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(upgrade.stderr.take().unwrap()).lines();
        let (mut first, mut said) = (None, String::new());
        while let Some(line) = lines.next_line().await.unwrap() {
            said += &format!("{line}\n");
            let Some(done) = done(&line) else { continue };
            let begun = *first.get_or_insert(done);
            assert!(begun >= reached, "it began at {begun} again, and had reached {reached}");
            // Somewhere in the middle, and not where it says something: while it goes on with the next parts.
            if done > begun && done < RECORDS as u64 {
                reached = done;
                upgrade.kill().await.unwrap();
            }
        }
        let status = upgrade.wait().await.unwrap();
        if status.success() {
            break;
        }
        assert!(status.code().is_none(), "it ended by itself ({status}):\n{said}");
        kills += 1;
    }
    assert!(kills >= 3, "it was too quick to be killed: {kills}");
    assert_eq!(copies(&daemon.data()).len(), 1, "the copy of the first run is the only one");

    daemon.restart().await;
    // Proves also that each record is found by its object.
    let proof = daemon.client().post("/v1/audit/verify", &json!({})).await.expect(200);
    assert_eq!(proof["ok"], true, "{proof}");
    assert!(proof["records"].as_u64().unwrap() >= RECORDS as u64, "{proof}");
    let found = daemon.client().get("/v1/audit?object=models/m199-49&limit=1000").await.expect(200);
    assert_eq!((found["items"].as_array().unwrap().len(), &found["next"]), (10, &Value::Null));
}
