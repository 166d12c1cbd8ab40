//! The log as a whole, against whoever can write to the database, crashes and a store that fails.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::chain::{ANCHOR, BY_TOKEN, ENDS, HEAD, RECORDS};
use super::*;
use crate::clock::TestClock;
use crate::seal::MasterKey;
use crate::store::Batch;
use crate::store::memory::{Fate, MemoryStore};
use crate::store::table::number;

/// A log and what it stands on.
pub(super) struct World {
    pub(super) store: Arc<MemoryStore>,
    pub(super) clock: Arc<TestClock>,
    pub(super) audit: Audit,
    keyring: Keyring,
}

/// An address of the network 10.0.0.0/8.
pub(super) fn address(number: u32) -> Option<IpAddr> {
    Some(Ipv4Addr::from(0x0a00_0000 | (number & 0x00ff_ffff)).into())
}

fn start() -> DateTime<Utc> {
    "2026-11-22T06:00:00Z".parse().unwrap()
}

impl World {
    pub(super) async fn new() -> Self {
        Self::keeping(Retention { days: None, records: None }).await
    }

    async fn keeping(retention: Retention) -> Self {
        let store = Arc::new(MemoryStore::new());
        let keyring = Keyring::load_or_create(&*store, &MasterKey::generate("a file").unwrap()).await.unwrap();
        let clock = TestClock::at(start());
        let audit = Audit::open(store.clone(), &keyring, clock.clone(), retention).await.unwrap();
        Self { store, clock, audit, keyring }
    }

    /// A log with so many records, one a minute.
    async fn with(records: u64) -> Self {
        let world = Self::new().await;
        world.fill(records).await;
        world
    }

    async fn fill(&self, records: u64) {
        for _ in 0..records {
            self.audit.append(vec![entry()]).await.unwrap();
            self.clock.advance(Duration::from_secs(60));
        }
    }

    /// The next process, on this store.
    async fn again(mut self, store: MemoryStore) -> Self {
        self.store = Arc::new(store);
        self.audit =
            Audit::open(self.store.clone(), &self.keyring, self.clock.clone(), self.audit.retention).await.unwrap();
        self
    }

    async fn restart(self) -> Self {
        let store = self.store.kill();
        self.again(store).await
    }

    /// What somebody does who can write to the database.
    async fn tamper(&self, change: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::synced();
        change(&mut batch);
        self.store.commit(batch).await.unwrap();
    }

    async fn raw(&self, seq: u64) -> String {
        let entry = self.store.get(&RECORDS.key(&[&number(seq)])).await.unwrap().unwrap();
        String::from_utf8(entry.value.to_vec()).unwrap()
    }

    async fn verified(&self) -> Verified {
        self.audit.verify(None, |_, _| {}).await.unwrap()
    }

    async fn broken(&self) -> (u64, Fault) {
        match self.audit.verify(None, |_, _| {}).await {
            Err(AuditError::Broken(broken)) => (broken.seq, broken.fault),
            outcome => panic!("{outcome:?}"),
        }
    }

    async fn page(&self, filter: Filter, window: Window) -> (Vec<u64>, Option<u64>) {
        let page = self.audit.list(&filter, window).await.unwrap();
        (page.records.iter().map(|record| record.seq).collect(), page.next)
    }
}

/// A record that has every field.
fn entry() -> Entry {
    let actor = Actor { kind: ActorKind::User, name: "ada".into(), token_id: Some("actorstoken1".into()) };
    let mut entry = Entry::new(actor, "personal_token.rebuild")
        .on("personal_token/objectstoken")
        .coming_from(address(7))
        .ended(Outcome::Failed, Some("conflict"))
        .about_token("objectstoken")
        .with_digest("token", "00ff")
        .detail("grace", "PT1H");
    entry.items.push(Item {
        token_id: Some("itemstoken".into()),
        address: address(8),
        door: "verify".into(),
        reason: Some("expired".into()),
        count: 3,
        first: start(),
        last: start(),
    });
    entry
}

const ALL: Window = Window { after: None, limit: 1000, newest_first: false };

#[tokio::test]
async fn what_is_appended_is_read_and_proved() {
    let world = World::new().await;
    assert_eq!((world.verified().await.records, world.verified().await.last), (0, 0));
    assert_eq!(world.audit.append(vec![entry(), entry()]).await.unwrap(), 2);
    assert_eq!(world.audit.append(vec![Entry::new(Actor::anonymous(), "x")]).await.unwrap(), 3);
    let page = world.audit.list(&Filter::default(), ALL).await.unwrap();
    assert_eq!(page.records[1], Record { seq: 2, at: start(), entry: entry() });
    assert_eq!((page.records.len(), page.next), (3, None));
    let mut told = Vec::new();
    let verified = world.audit.verify(None, |done, all| told.push((done, all))).await.unwrap();
    assert_eq!((verified.first, verified.last, verified.records), (1, 3, 3));
    assert_eq!(told, [(3, 3)]);
    assert_eq!(verified.head.to_string().parse::<Noted>().unwrap(), verified.head);
    for text in ["", "3", "3:", "x:00", &format!("-1:{}", verified.head.hash), &format!("{}0", verified.head)] {
        assert!(text.parse::<Noted>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn altering_anything_shows() {
    let world = World::with(3).await;
    let original = world.raw(2).await;
    let key = RECORDS.key(&[&number(2)]);
    let mut checked = 0;
    // Each character in turn, so each field of the record and the hash.
    for (at, found) in original.char_indices() {
        let other = if found == '1' { "2" } else { "1" };
        let mut altered = original.clone();
        altered.replace_range(at..at + found.len_utf8(), other);
        world.tamper(|batch| batch.put(key.clone(), altered)).await;
        assert_eq!(world.broken().await, (2, Fault::Altered), "character {at} of {original}");
        checked += 1;
    }
    assert!(checked > 500, "{checked}");
    for altered in [
        original.replace(",\"at\"", ", \"at\""),
        original.replacen('{', "{\"extra\":1,", 1),
        original.replace("\"record\":{", "\"record\":{\"extra\":1,"),
        String::new(),
    ] {
        assert_ne!(altered, original);
        world.tamper(|batch| batch.put(key.clone(), altered.clone())).await;
        assert_eq!(world.broken().await, (2, Fault::Altered), "{altered}");
    }
    world.tamper(|batch| batch.put(key, original)).await;
    assert_eq!(world.verified().await.records, 3);
}

#[tokio::test]
async fn deleting_reordering_adding_and_cutting_off_show() {
    let remove = |batch: &mut Batch, seq: u64| RECORDS.remove(batch, &[&number(seq)]);

    let world = World::with(5).await;
    for (seq, fault) in [(1, Fault::Missing), (3, Fault::Missing), (5, Fault::CutOff { head: 5 })] {
        let raw = world.raw(seq).await;
        world.tamper(|batch| remove(batch, seq)).await;
        assert_eq!(world.broken().await, (seq, fault));
        world.tamper(|batch| batch.put(RECORDS.key(&[&number(seq)]), raw)).await;
        world.verified().await;
    }

    let (second, third) = (world.raw(2).await, world.raw(3).await);
    world.tamper(|batch| batch.put(RECORDS.key(&[&number(2)]), third)).await;
    world.tamper(|batch| batch.put(RECORDS.key(&[&number(3)]), second.clone())).await;
    assert_eq!(world.broken().await, (2, Fault::Altered));

    for (seq, broken) in [(0, 1), (6, 6), (100, 6)] {
        let world = World::with(5).await;
        world.tamper(|batch| batch.put(RECORDS.key(&[&number(seq)]), second.clone())).await;
        assert_eq!(world.broken().await, (broken, Fault::Unknown), "{seq}");
    }
}

#[tokio::test]
async fn both_ends_are_sealed() {
    let world = World::with(5).await;
    let older = ENDS.get(&*world.store, &[HEAD]).await.unwrap().unwrap().value;
    world.fill(2).await;
    let head = ENDS.get(&*world.store, &[HEAD]).await.unwrap().unwrap().value;
    let put = |name: &'static str, end| move |batch: &mut Batch| ENDS.put(batch, &[name], &end).unwrap();

    // A head made of what the last records show.
    let forged = serde_json::to_string(&head).unwrap().replace("\"seq\":7", "\"seq\":6");
    world.tamper(|batch| batch.put(ENDS.key(&[HEAD]), forged)).await;
    assert_eq!(world.broken().await, (1, Fault::HeadAltered));
    world.tamper(|batch| ENDS.remove(batch, &[HEAD])).await;
    assert_eq!(world.broken().await, (1, Fault::Unknown));
    world.tamper(put(HEAD, older.clone())).await;
    assert_eq!(world.broken().await, (6, Fault::Unknown));
    world.tamper(put(HEAD, head.clone())).await;
    // A head is no anchor, so nobody can pass a cut at the beginning off as pruned.
    world.tamper(put(ANCHOR, older)).await;
    assert_eq!(world.broken().await, (1, Fault::AnchorAltered));
    world.tamper(|batch| ENDS.remove(batch, &[ANCHOR])).await;
    assert_eq!(world.verified().await.records, 7);
}

#[tokio::test]
async fn an_older_state_as_a_whole_shows_where_a_head_was_noted() {
    let world = World::with(5).await;
    let (before, early) = (world.store.dump(), world.verified().await.head);
    world.fill(3).await;
    let late = world.verified().await.head;
    for noted in [&early, &late] {
        assert!(world.audit.verify(Some(noted), |_, _| {}).await.unwrap().noted);
    }
    let wrong = Noted { hash: late.hash.clone(), ..early.clone() };
    let outcome = world.audit.verify(Some(&wrong), |_, _| {}).await;
    assert!(matches!(outcome, Err(AuditError::Broken(Broken { seq: 5, fault: Fault::NotAsNoted }))), "{outcome:?}");

    world.tamper(|batch| (6..9).for_each(|seq| RECORDS.remove(batch, &[&number(seq)]))).await;
    world.tamper(|batch| before.iter().for_each(|(key, value)| batch.put(key.clone(), value.clone()))).await;
    assert_eq!(world.verified().await.last, 5);
    let outcome = world.audit.verify(Some(&late), |_, _| {}).await;
    let expected = Broken { seq: 6, fault: Fault::CutOff { head: 8 } };
    assert!(matches!(&outcome, Err(AuditError::Broken(broken)) if *broken == expected), "{outcome:?}");
}

#[tokio::test]
async fn hiding_a_record_from_the_search_shows() {
    for id in ["actorstoken1", "objectstoken", "itemstoken"] {
        let world = World::with(2).await;
        world.tamper(|batch| BY_TOKEN.remove(batch, &[id, &number(2)])).await;
        assert_eq!(world.broken().await, (2, Fault::NotIndexed), "{id}");
    }
}

#[tokio::test]
async fn a_restart_mends_no_broken_end() {
    let remove_last = |batch: &mut Batch| RECORDS.remove(batch, &[&number(3)]);
    let cases: [(&str, fn(&mut Batch), u64, Fault); 5] = [
        ("the last record goes", |batch| RECORDS.remove(batch, &[&number(3)]), 3, Fault::Missing),
        ("the head goes", |batch| ENDS.remove(batch, &[HEAD]), 4, Fault::Missing),
        (
            "the head is spoilt",
            |batch| batch.put(ENDS.key(&[HEAD]), r#"{"seq":2,"hash":"","mac":""}"#),
            4,
            Fault::Missing,
        ),
        (
            "a record is added",
            |batch| batch.put(RECORDS.key(&[&number(4)]), r#"{"hash":"","record":{}}"#),
            4,
            Fault::Altered,
        ),
        ("all records go", |batch| (1..4).for_each(|seq| RECORDS.remove(batch, &[&number(seq)])), 1, Fault::Missing),
    ];
    for (what, change, seq, fault) in cases {
        let world = World::with(3).await;
        world.tamper(change).await;
        let world = world.restart().await;
        world.audit.append(vec![entry()]).await.unwrap();
        assert_eq!(world.broken().await, (seq, fault), "{what}");
        let world = world.restart().await;
        world.audit.append(vec![entry()]).await.unwrap();
        assert_eq!(world.broken().await, (seq, fault), "{what}, later");
        let filter = Filter { action: Some("audit.broken".into()), ..Filter::default() };
        let page = world.audit.list(&filter, ALL).await.unwrap();
        assert_eq!(page.records.len(), 1, "{what}");
        assert_eq!(page.unreadable, if fault == Fault::Altered { vec![4] } else { vec![] }, "{what}");
    }
    for (what, garbage) in
        [("a head", ENDS.key(&[HEAD])), ("a record", RECORDS.key(&[&number(3)])), ("a key", RECORDS.key(&["x"]))]
    {
        let world = World::with(3).await;
        world.tamper(|batch| batch.put(garbage, "{")).await;
        let world = world.restart().await;
        world.audit.append(vec![entry()]).await.unwrap();
        world.broken().await;
        let page = world.audit.list(&Filter::default(), ALL).await.unwrap();
        assert!(page.records.iter().any(|record| record.entry.action == "audit.broken"), "{what}");
    }
    // With both the head and the last record gone, the gap still says so.
    let world = World::with(3).await;
    world.tamper(|batch| ENDS.remove(batch, &[HEAD])).await;
    world.tamper(remove_last).await;
    let world = world.restart().await;
    world.audit.append(vec![entry()]).await.unwrap();
    assert_eq!(world.broken().await, (3, Fault::Missing));
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut() {
    for fate in [Fate::CrashBefore, Fate::CrashAfter] {
        let world = World::with(3).await;
        world.store.plan_nth(1, fate.clone());
        assert!(world.audit.append(vec![entry(), entry()]).await.is_err());
        let store = world.store.crash();
        let world = world.again(store).await;
        let kept = if matches!(fate, Fate::CrashAfter) { 5 } else { 3 };
        assert_eq!(world.verified().await.last, kept);
        assert_eq!(world.audit.append(vec![entry()]).await.unwrap(), kept + 1);
        assert_eq!(world.verified().await.records, kept + 1);
    }
}

#[tokio::test]
async fn a_failing_store_fails_the_append_and_leaves_the_chain_right() {
    let world = World::with(2).await;
    for error in [StoreError::Full("/".into()), StoreError::Storage("broken".into())] {
        world.store.plan_nth(1, Fate::Fail(error.clone()));
        let outcome = world.audit.append(vec![entry()]).await.unwrap_err();
        assert_eq!(outcome.to_string(), error.to_string());
    }
    assert_eq!(world.audit.append(vec![entry()]).await.unwrap(), 3);
    assert_eq!(world.verified().await.records, 3);
}

#[tokio::test]
async fn concurrent_appends_share_commits_and_one_chain() {
    let world = World::new().await;
    let before = world.store.commits();
    let appends = (0..2000_usize).map(|number| {
        let entries = vec![entry().detail("number", number.to_string()); 1 + number % 3];
        async { (entries.len(), world.audit.append(entries).await.unwrap()) }
    });
    let outcomes = futures_util::future::join_all(appends).await;
    let all: usize = outcomes.iter().map(|(length, _)| length).sum();
    assert!(world.store.commits() - before < 100, "{} commits", world.store.commits() - before);
    let verified = world.verified().await;
    assert_eq!(verified.records, all as u64);
    // Each got its own numbers, and its records stand together.
    for (index, (length, last)) in outcomes.into_iter().enumerate().step_by(97) {
        let window = Window { after: Some(last - length as u64), limit: length, newest_first: false };
        let page = world.audit.list(&Filter::default(), window).await.unwrap();
        assert!(page.records.iter().all(|record| record.entry.details["number"] == index.to_string()), "{index}");
    }
}

#[tokio::test]
async fn two_writers_of_one_store_keep_one_chain() {
    let world = World::new().await;
    let other = Audit::open(world.store.clone(), &world.keyring, world.clock.clone(), world.audit.retention);
    let other = other.await.unwrap();
    for number in 0..10 {
        let audit = if number % 3 == 0 { &world.audit } else { &other };
        assert_eq!(audit.append(vec![entry()]).await.unwrap(), number + 1);
    }
    assert_eq!(world.verified().await.records, 10);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_chain_right() {
    let world = World::new().await;
    for _ in 0..20 {
        let append = world.audit.append(vec![entry()]);
        drop(futures_util::future::select(Box::pin(append), std::future::ready(())).await);
    }
    let last = world.audit.append(vec![entry()]).await.unwrap();
    assert_eq!(world.verified().await.records, last);
}

#[tokio::test]
async fn filters_and_pages() {
    let world = World::new().await;
    let ada = Actor { kind: ActorKind::User, name: "ada".into(), token_id: None };
    for number in 0..700_u32 {
        let actor = if number % 7 == 0 { ada.clone() } else { Actor::system() };
        let action = if number % 2 == 0 { "model.update" } else { "integration.update" };
        let mut entry = Entry::new(actor, action).on(format!("integration/i{}", number % 5));
        if number == 333 {
            entry = entry.about_token("rare").with_digest("token", world.audit.digest(b"hunter2"));
        }
        world.audit.append(vec![entry]).await.unwrap();
        world.clock.advance(Duration::from_secs(60));
    }
    let minute = |minute| Some(start() + TimeDelta::minutes(minute));
    let some = |text: &str| Some(text.to_owned());
    let is = Filter::default;
    for (filter, count, first) in [
        (is(), 700, 1),
        (Filter { actor: some("ada"), ..is() }, 100, 1),
        (Filter { action: some("integration."), ..is() }, 350, 2),
        (Filter { action: some("integration"), ..is() }, 0, 0),
        (Filter { action: some("model.update"), object: some("integration/i4"), ..is() }, 70, 5),
        (Filter { object: some("integration/"), ..is() }, 700, 1),
        (Filter { token_id: some("rare"), ..is() }, 1, 334),
        (Filter { token_id: some("rar"), ..is() }, 0, 0),
        (Filter { digest: Some(world.audit.digest(b"hunter2")), ..is() }, 1, 334),
        (Filter { digest: Some(world.audit.digest(b"hunter3")), ..is() }, 0, 0),
        (Filter { since: minute(10), until: minute(12), ..is() }, 2, 11),
    ] {
        let (found, next) = world.page(filter.clone(), ALL).await;
        assert_eq!((found.len(), found.first().copied().unwrap_or_default(), next), (count, first, None), "{filter:?}");
        for newest_first in [false, true] {
            let (mut paged, mut window) = (Vec::new(), Window { after: None, limit: 9, newest_first });
            loop {
                let (found, next) = world.page(filter.clone(), window).await;
                paged.extend(found);
                window.after = next;
                if next.is_none() {
                    break;
                }
            }
            if newest_first {
                paged.reverse();
            }
            assert_eq!(paged, found, "{filter:?} {newest_first}");
        }
    }
}

#[tokio::test]
async fn a_page_of_what_is_rare_is_bounded_and_goes_on() {
    let world = World::new().await;
    for _ in 0..6 {
        world.audit.append(vec![Entry::new(Actor::system(), "common"); 1000]).await.unwrap();
    }
    world.audit.append(vec![Entry::new(Actor::system(), "rare")]).await.unwrap();
    let filter = Filter { action: Some("rare".into()), ..Filter::default() };
    let (found, next) = world.page(filter.clone(), ALL).await;
    assert!(found.is_empty() && next.is_some());
    assert_eq!(world.page(filter, Window { after: next, ..ALL }).await, (vec![6001], None));
}

#[tokio::test]
async fn a_token_is_found_with_its_own_items_only() {
    let world = World::with(2).await;
    for id in ["actorstoken1", "objectstoken", "itemstoken"] {
        let page = world.audit.of_token(id, ALL).await.unwrap();
        assert_eq!(page.records.len(), 2, "{id}");
        assert_eq!(page.records[0].entry.items.len(), usize::from(id == "itemstoken"));
    }
    assert!(world.audit.of_token("objectstoke", ALL).await.unwrap().records.is_empty());
    let found = world.audit.find("objectstoken").await.unwrap();
    assert_eq!((found.changes.len(), found.uses.len(), found.changes[0].seq), (2, 0, 2));
}

#[tokio::test]
async fn digests_tell_secrets_apart_and_need_the_key() {
    let (world, other) = (World::new().await, World::new().await);
    let digest = world.audit.digest(b"hunter2");
    assert_eq!((digest.len(), &digest), (64, &world.audit.digest(b"hunter2")));
    assert_ne!(digest, world.audit.digest(b"hunter3"));
    assert_ne!(digest, other.audit.digest(b"hunter2"));
}

#[tokio::test]
async fn what_is_pruned_is_gone_and_the_rest_is_proved() {
    for (retention, kept) in [
        (Retention { days: None, records: Some(4) }, 4),
        (Retention { days: Some(2), records: None }, 3),
        (Retention { days: Some(2), records: Some(2) }, 2),
        (Retention { days: Some(0), records: None }, 1),
        (Retention { days: None, records: Some(0) }, 1),
        (Retention::default(), 1200),
    ] {
        let world = World::keeping(retention).await;
        // More than a page of the walk.
        world.audit.append(vec![entry(); 1197]).await.unwrap();
        world.clock.advance(Duration::from_secs(3 * 86_400));
        world.fill(3).await;
        let head = world.verified().await.head;
        let pruned = world.audit.prune().await.unwrap();
        let first = 1201 - kept;
        assert_eq!(pruned, Pruned { records: first - 1, first, broken: None }, "{retention:?}");

        let verified = world.audit.verify(Some(&head), |_, _| {}).await.unwrap();
        let told = u64::from(kept < 1200);
        assert_eq!((verified.first, verified.records, verified.noted), (first, kept + told, true), "{retention:?}");
        let (found, _) = world.page(Filter { token_id: Some("itemstoken".into()), ..Filter::default() }, ALL).await;
        assert_eq!(found.first(), Some(&first));
        let left = world.store.dump().iter().filter(|(key, _)| key.starts_with(&BY_TOKEN.key(&[]))).count() as u64;
        assert_eq!(left, 3 * kept, "nothing of pruned records is left in the index");

        let world = world.restart().await;
        world.audit.append(vec![entry()]).await.unwrap();
        assert_eq!(world.verified().await.records, kept + told + 1);
        if told == 1 {
            world.tamper(|batch| ENDS.remove(batch, &[ANCHOR])).await;
            assert_eq!(world.broken().await, (1, Fault::Missing));
        }
    }
}

#[tokio::test]
async fn pruning_removes_no_evidence_and_survives_a_crash() {
    let world = World::keeping(Retention { days: None, records: Some(2) }).await;
    world.fill(10).await;
    world.store.plan_nth(1, Fate::CrashBefore);
    assert!(world.audit.prune().await.is_err());
    let store = world.store.crash();
    let world = world.again(store).await;
    assert_eq!(world.verified().await.records, 10);

    let altered = world.raw(5).await.replace("ada", "eve");
    world.tamper(|batch| batch.put(RECORDS.key(&[&number(5)]), altered)).await;
    let pruned = world.audit.prune().await.unwrap();
    let broken = Broken { seq: 5, fault: Fault::Altered };
    assert_eq!(pruned, Pruned { records: 4, first: 5, broken: Some(broken) });
    assert_eq!(world.broken().await, (5, Fault::Altered));
}

#[tokio::test]
async fn it_is_proved_while_appends_go_on() {
    let world = World::with(1).await;
    let appending = async {
        for _ in 0..300 {
            world.audit.append(vec![entry(); 5]).await.unwrap();
        }
    };
    let verifying = async {
        for _ in 0..20 {
            world.verified().await;
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(appending, verifying);
    assert_eq!(world.verified().await.records, 1501);
}
