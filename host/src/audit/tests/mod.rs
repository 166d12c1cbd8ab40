//! The log as a whole.

mod durability;
mod reading;
mod tampering;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::chain::{ANCHOR, BY_OBJECT, BY_TOKEN, ENDS, HEAD, RECORDS};
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
            Audit::open(self.store.clone(), &self.keyring, self.clock.clone(), self.audit.retention()).await.unwrap();
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
