//! Authentications and refusals, counted in memory and recorded in sums: a request writes nothing.
//!
//! It bounds what it remembers and what it writes, whatever callers send. What wasn't flushed when the process dies
//! isn't in the log; use counts that must be exact are kept elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Audit;
use super::record::{Actor, ActorKind, Entry, Item, MAX_ITEMS, MAX_TOKEN_ID, Outcome};
use crate::clock::SharedClock;
use crate::store::StoreError;

/// The action of records that sum up authentications.
pub const USES: &str = "uses";
/// The action of records that sum up refusals.
pub const REFUSALS: &str = "refusals";
/// The door of an item that sums up what there was no room for.
const OTHERS: &str = "others";
/// Different combinations of token, address, door and reason that are remembered between two flushes; for uses and
/// refusals each. All others are one sum for each reason.
const MAX_KEYS: usize = 4096;
/// Parts that are locked by themselves, so that callers seldom wait for each other.
const SHARDS: usize = 16;
/// Items of refusals that may be written at once, and in each [`REFILL`]; so a flood that goes on for days writes some
/// 30 MB a day, not gigabytes. Beyond that they are one sum for each reason.
const BUDGET: f64 = 4096.0;
/// How long it takes until as many may be written again.
const REFILL: Duration = Duration::from_secs(3600);

/// What is counted by itself for a token: address, door, reason.
type Key = (Option<IpAddr>, &'static str, Option<&'static str>);

/// How often, and when.
#[derive(Clone, Copy, Debug)]
struct Count {
    /// How many times.
    count: u64,
    /// The first time.
    first: DateTime<Utc>,
    /// The last time.
    last: DateTime<Utc>,
}

impl Count {
    /// Adds another.
    fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// A token (empty: none was presented) and what is counted by itself for it.
type Counted = (Box<str>, Key, Count);

/// One part of the counts.
#[derive(Default)]
struct Shard {
    /// By token, so that finding one needs no copy of its id.
    tokens: HashMap<Box<str>, HashMap<Key, Count>>,
    /// What there was no room for, by reason. Reasons are constants of this program, so there are few.
    others: HashMap<Option<&'static str>, Count>,
}

/// Counts by token, address, door and reason.
struct Counts {
    /// Chooses the shard. Keyed at random, so that nobody can aim at one.
    hasher: RandomState,
    /// By token.
    shards: [Mutex<Shard>; SHARDS],
    /// Keys in all shards.
    keys: AtomicUsize,
}

impl Counts {
    /// None.
    fn new() -> Self {
        Self { hasher: RandomState::new(), shards: Default::default(), keys: AtomicUsize::new(0) }
    }

    /// Adds to a count.
    fn add(&self, token: &str, key: Key, count: Count) {
        let token = if token.len() > MAX_TOKEN_ID { "" } else { token };
        let index = usize::try_from(self.hasher.hash_one(token) % SHARDS as u64).unwrap_or_default();
        let Some(shard) = self.shards.get(index) else { return };
        let mut shard = lock(shard);
        if let Some(known) = shard.tokens.get_mut(token).and_then(|keys| keys.get_mut(&key)) {
            known.add(&count);
        } else if self.keys.fetch_add(1, Ordering::Relaxed) < MAX_KEYS {
            match shard.tokens.get_mut(token) {
                Some(keys) => drop(keys.insert(key, count)),
                None => drop(shard.tokens.insert(token.into(), HashMap::from([(key, count)]))),
            }
        } else {
            self.keys.fetch_sub(1, Ordering::Relaxed);
            shard.others.entry(key.2).and_modify(|others| others.add(&count)).or_insert(count);
        }
    }

    /// Takes all counts, and the sums of what there was no room for.
    fn take(&self) -> (Vec<Counted>, HashMap<Option<&'static str>, Count>) {
        let mut counted = Vec::new();
        let mut others = HashMap::new();
        for shard in &self.shards {
            let taken = {
                let mut shard = lock(shard);
                let taken = std::mem::take(&mut *shard);
                self.keys.fetch_sub(taken.tokens.values().map(HashMap::len).sum(), Ordering::Relaxed);
                taken
            };
            for (token, keys) in taken.tokens {
                counted.extend(keys.into_iter().map(|(key, count)| (token.clone(), key, count)));
            }
            for (reason, count) in taken.others {
                sum_up(&mut others, reason, count);
            }
        }
        (counted, others)
    }

    /// Puts back what couldn't be written.
    fn put_back(&self, counted: Vec<Counted>, others: HashMap<Option<&'static str>, Count>) {
        for (token, key, count) in counted {
            self.add(&token, key, count);
        }
        if let Some(shard) = self.shards.first() {
            let mut shard = lock(shard);
            for (reason, count) in others {
                sum_up(&mut shard.others, reason, count);
            }
        }
    }
}

/// Adds a count to the sum of its reason.
fn sum_up(others: &mut HashMap<Option<&'static str>, Count>, reason: Option<&'static str>, count: Count) {
    others.entry(reason).and_modify(|sum| sum.add(&count)).or_insert(count);
}

/// How many items of refusals may be written.
struct Budget {
    /// So many.
    left: f64,
    /// As of this moment of the monotonic clock.
    at: Duration,
}

/// Counts authentications and refusals until they are flushed to the log.
pub struct Tally {
    /// What time it is.
    clock: SharedClock,
    /// Authentications.
    uses: Counts,
    /// Refusals.
    refusals: Counts,
    /// How many items of refusals may be written. Held while flushing.
    budget: tokio::sync::Mutex<Budget>,
}

impl Tally {
    /// A tally in which nothing is counted.
    pub fn new(clock: SharedClock) -> Self {
        let budget = Budget { left: BUDGET, at: clock.elapsed() };
        Self { clock, uses: Counts::new(), refusals: Counts::new(), budget: tokio::sync::Mutex::new(budget) }
    }

    /// Counts authentications by a token. Neither waits nor allocates where token, address and door are known.
    pub fn used(&self, token_id: &str, address: Option<IpAddr>, door: &'static str, count: u64) {
        self.add(&self.uses, token_id, (address, door, None), count);
    }

    /// Counts a refusal. The token's id is what was claimed: whether there is such a token isn't said.
    pub fn refused(&self, reason: &'static str, token_id: Option<&str>, address: Option<IpAddr>, door: &'static str) {
        self.add(&self.refusals, token_id.unwrap_or_default(), (address, door, Some(reason)), 1);
    }

    /// Appends what was counted since the last flush, at most 500 items in a record, and returns how many records. To be
    /// called every minute or so, at the stop, and before a token's uses are looked for.
    ///
    /// # Errors
    /// The store failed: the counts stay, and the next flush tries again.
    pub async fn flush(&self, audit: &Audit) -> Result<usize, StoreError> {
        let mut budget = self.budget.lock().await;
        let now = self.clock.elapsed();
        let refilled = now.saturating_sub(budget.at).as_secs_f64() / REFILL.as_secs_f64() * BUDGET;
        *budget = Budget { left: (budget.left + refilled).min(BUDGET), at: now };

        let uses = self.uses.take();
        let (mut refusals, mut others) = self.refusals.take();
        // What was refused most often is told apart as long as there is room.
        refusals.sort_by_key(|(_, _, count)| std::cmp::Reverse(count.count));
        let room = refusals.iter().zip(1_u32..).take_while(|(_, number)| f64::from(*number) <= budget.left).count();
        for (_, key, count) in refusals.split_off(room) {
            sum_up(&mut others, key.2, count);
        }
        let mut entries = records(USES, ActorKind::System, Outcome::Done, &uses.0, &uses.1);
        entries.extend(records(REFUSALS, ActorKind::Anonymous, Outcome::Refused, &refusals, &others));
        let written = entries.len();
        if written > 0
            && let Err(error) = audit.append(entries).await
        {
            self.uses.put_back(uses.0, uses.1);
            self.refusals.put_back(refusals, others);
            return Err(error);
        }
        budget.left -= refusals.iter().map(|_| 1.0).sum::<f64>();
        Ok(written)
    }

    /// Adds to a count.
    fn add(&self, counts: &Counts, token: &str, key: Key, count: u64) {
        let now = self.clock.now();
        let key = (key.0.map(|address| address.to_canonical()), key.1, key.2);
        counts.add(token, key, Count { count, first: now, last: now });
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |counts: &Counts| counts.keys.load(Ordering::Relaxed);
        f.debug_struct("Tally").field("uses", &keys(&self.uses)).field("refusals", &keys(&self.refusals)).finish()
    }
}

/// Whether a record sums up uses or refusals.
pub(super) fn is_sum(entry: &Entry) -> bool {
    entry.action == USES || entry.action == REFUSALS
}

/// Adds an item to another of the same kind.
pub(super) fn merge(item: &mut Item, other: &Item) {
    item.count = item.count.saturating_add(other.count);
    item.first = item.first.min(other.first);
    item.last = item.last.max(other.last);
}

/// Records that sum up what was counted.
fn records(
    action: &str,
    kind: ActorKind,
    outcome: Outcome,
    counted: &[Counted],
    others: &HashMap<Option<&'static str>, Count>,
) -> Vec<Entry> {
    let item = |token: &str, address, door: &str, reason: Option<&str>, count: &Count| Item {
        token_id: (!token.is_empty()).then(|| token.to_owned()),
        address,
        door: door.to_owned(),
        reason: reason.map(str::to_owned),
        count: count.count,
        first: count.first,
        last: count.last,
    };
    let known = counted.iter().map(|(token, key, count)| item(token, key.0, key.1, key.2, count));
    let mut items: Vec<Item> =
        known.chain(others.iter().map(|(reason, count)| item("", None, OTHERS, *reason, count))).collect();
    // In order, so that a token's items stand together.
    items.sort_by(|one, other| {
        (&one.token_id, one.address, &one.door).cmp(&(&other.token_id, other.address, &other.door))
    });
    let entry = |items: &[Item]| Entry {
        actor: Actor { kind, ..Actor::system() },
        action: action.to_owned(),
        outcome,
        items: items.to_vec(),
        ..Entry::default()
    };
    items.chunks(MAX_ITEMS).map(entry).collect()
}

/// Locks a shard; nothing that is done under the lock can leave it in disorder.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{World, address};
    use super::super::{Filter, Window};
    use super::*;
    use crate::store::memory::Fate;

    const ALL: Window = Window { after: None, limit: 1000, newest_first: false };

    /// All items of all records with this action.
    async fn items(world: &World, action: &str) -> Vec<Item> {
        let filter = Filter { action: Some(action.into()), ..Filter::default() };
        let page = world.audit.list(&filter, ALL).await.unwrap();
        page.records.into_iter().flat_map(|record| record.entry.items).collect()
    }

    #[tokio::test]
    async fn uses_are_found_by_token_with_address_and_count() {
        let world = World::new().await;
        let tally = Tally::new(world.clock.clone());
        tally.used("mine", address(1), "verify", 1);
        tally.used("mine", address(1), "verify", 2);
        tally.used("mine", address(2), "forward-auth", 1);
        tally.used("other", address(1), "verify", 7);
        tally.refused("expired", Some("mine"), address(3), "verify");
        assert_eq!(tally.flush(&world.audit).await.unwrap(), 2);
        assert_eq!(tally.flush(&world.audit).await.unwrap(), 0);
        world.clock.advance(Duration::from_secs(60));
        tally.used("mine", address(1), "verify", 4);
        // The same address in the form that a dual-stack socket shows.
        tally.used("mine", Some("::ffff:10.0.0.1".parse().unwrap()), "verify", 1);
        assert_eq!(tally.flush(&world.audit).await.unwrap(), 1);

        let found = world.audit.find("mine").await.unwrap();
        let seen: Vec<_> = found.uses.iter().map(|item| (item.address, item.reason.as_deref(), item.count)).collect();
        assert_eq!(seen[0], (address(1), None, 8));
        assert!(seen.contains(&(address(2), None, 1)) && seen.contains(&(address(3), Some("expired"), 1)), "{seen:?}");
        assert_eq!((seen.len(), found.changes.len(), found.more), (3, 0, false));
        assert_eq!(found.uses[0].last - found.uses[0].first, chrono::TimeDelta::seconds(60));
        world.audit.verify(None, |_, _| {}).await.unwrap();
    }

    #[tokio::test]
    async fn a_flood_writes_a_bounded_number_of_records() {
        let world = World::new().await;
        let tally = Tally::new(world.clock.clone());
        tally.used("mine", address(1), "verify", 1);
        let reasons = ["unknown", "malformed"];
        for number in 0..1_000_000_usize {
            let id = format!("{number:012}");
            tally.refused(reasons[number % 2], Some(&id), address(number as u32), "verify");
        }
        let written = tally.flush(&world.audit).await.unwrap();
        assert!(written <= 1 + MAX_KEYS.div_ceil(MAX_ITEMS) + 1, "{written}");
        let refusals = items(&world, REFUSALS).await;
        assert_eq!(refusals.iter().map(|item| item.count).sum::<u64>(), 1_000_000);
        assert_eq!(refusals.iter().filter(|item| item.door == OTHERS).count(), reasons.len());
        assert_eq!(items(&world, USES).await[0].count, 1, "a flood of refusals displaces no use");

        // It goes on: the budget is spent, so all that is written is one sum for each reason.
        for _ in 0..3 {
            for number in 0..10_000_usize {
                tally.refused(reasons[number % 2], Some(&format!("{number:012}")), address(1), "verify");
            }
            assert_eq!(tally.flush(&world.audit).await.unwrap(), 1);
        }
        let all = items(&world, REFUSALS).await;
        assert_eq!(all.len(), refusals.len() + 3 * reasons.len());
        // An hour later there is room again.
        world.clock.advance(REFILL);
        tally.refused("expired", Some("mine"), address(1), "verify");
        tally.flush(&world.audit).await.unwrap();
        assert_eq!(world.audit.find("mine").await.unwrap().uses.len(), 2);
        world.audit.verify(None, |_, _| {}).await.unwrap();
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_written_later() {
        let world = World::new().await;
        let tally = Tally::new(world.clock.clone());
        for number in 0..MAX_KEYS + 10 {
            tally.used(&format!("token{number}"), address(1), "verify", 1);
        }
        tally.refused("unknown", None, None, "verify");
        world.store.plan_nth(1, Fate::Fail(StoreError::Full("/".into())));
        assert!(matches!(tally.flush(&world.audit).await, Err(StoreError::Full(_))));
        tally.used("token1", address(1), "verify", 1);
        tally.flush(&world.audit).await.unwrap();
        let sum: u64 = items(&world, USES).await.iter().map(|item| item.count).sum();
        assert_eq!(sum, MAX_KEYS as u64 + 11);
        assert_eq!(items(&world, REFUSALS).await.len(), 1);
    }
}
