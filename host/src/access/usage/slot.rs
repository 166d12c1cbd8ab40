//! One token's count in memory that outlives the process: what a slot's words mean, and counting itself. It knows no store
//! and doesn't decide which token gets which slot.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::super::token::TokenId;
use crate::trusted;

/// The first eight characters of the token's id; zero while the slot is free.
const ID: usize = 0;
/// Its last four characters, and in the upper half a check of all twelve.
const ID_END: usize = 1;
/// All uses.
const COUNT: usize = 2;
/// Milliseconds since 1970 at the last use; zero: never used.
const LAST_USE: usize = 3;
/// The address of the last use, as IPv6, in two words; zero: none known.
const ADDRESS: usize = 4;
/// The uses that are in the store, synced.
const FOLDED: usize = 6;
/// A check of the address, and in the upper half the lower half of the count when the address last changed.
const TOLD: usize = 7;

/// How often a token was used, and when and from where last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// Successful authentications, all of them.
    pub count: u64,
    /// The wall clock's time at the last one, in milliseconds' precision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_use: Option<DateTime<Utc>>,
    /// Where the last one came from, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// A token is used from another address than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The address before; `None` where there was none.
    pub previous: Option<IpAddr>,
    /// Uses since that address was told, or since the start of the daemon; without this one.
    pub uses: u64,
}

/// A token's count, to be kept for as long as the token may be used. Clones count into the same slot.
///
/// The place is there twice: shared, so that it is known whether anyone counts there, and copied, so that counting follows
/// one pointer less.
#[derive(Clone)]
pub struct Slot(pub(super) Arc<Place>, Place);

/// Where a count is.
#[derive(Clone)]
pub(super) struct Place {
    /// The chunk; `None`: uses aren't counted.
    chunk: Option<Arc<Chunk>>,
    /// The slot's number in it.
    index: usize,
}

/// Slots, and a lock for addresses, which don't fit into one atomic word.
pub(super) struct Chunk {
    /// The slots.
    memory: trusted::Chunk,
    /// Held while a slot's address changes or is read with its check.
    addresses: Mutex<()>,
}

impl Chunk {
    pub(super) fn new(memory: trusted::Chunk) -> Self {
        Self { memory, addresses: Mutex::new(()) }
    }

    /// The ids of its tokens with uses that aren't in the store; what is no token's id may be among them, where a slot
    /// changes hands at this moment.
    pub(super) fn changed(&self) -> impl Iterator<Item = TokenId> {
        (0..trusted::CHUNK_SLOTS).filter_map(|index| self.memory.slot(index)).filter_map(|words| {
            let is_changed = words[COUNT].load(Acquire) != words[FOLDED].load(Relaxed);
            is_changed.then(|| id([words[ID].load(Relaxed), words[ID_END].load(Relaxed)]))
        })
    }
}

impl Slot {
    /// The slot at this place.
    pub(super) fn new(place: Place) -> Self {
        Self(Arc::new(place.clone()), place)
    }

    /// Counts a use at this time (milliseconds since 1970). Takes no lock and makes no call unless the address changes,
    /// which it then tells. Where the address isn't known, the last known one stays.
    pub fn count(&self, now_ms: u64, address: Option<IpAddr>) -> Option<Moved> {
        let words = self.1.words()?;
        // Time and address first: who reads the new count, reads them too.
        words[LAST_USE].store(now_ms, Relaxed);
        let moved = address.and_then(|address| {
            let [high, low] = address_words(address);
            let same = words[ADDRESS].load(Relaxed) == high && words[ADDRESS + 1].load(Relaxed) == low;
            if same { None } else { self.1.moved(words, address) }
        });
        words[COUNT].fetch_add(1, Release);
        moved
    }

    /// Tells the uses from the present address that weren't told yet.
    pub fn settle(&self) -> Option<Moved> {
        let words = self.1.words()?;
        let _changing = self.1.addresses();
        let count = words[COUNT].load(Relaxed);
        let told = words[TOLD].load(Relaxed) >> 32;
        let uses = u64::from((count as u32).wrapping_sub(told as u32));
        let previous = address_of(words);
        if uses > 0 {
            set_address(words, previous, count);
        }
        (uses > 0).then_some(Moved { previous, uses })
    }

    /// Whether it counts at all. Where too many tokens are in use at once, some get a slot that doesn't.
    pub fn is_counting(&self) -> bool {
        self.1.chunk.is_some()
    }

    /// What was counted so far.
    pub fn read(&self) -> UsageRecord {
        self.1.read()
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Slot").field(&self.read()).finish()
    }
}

impl Place {
    pub(super) fn new(chunk: Arc<Chunk>, index: usize) -> Self {
        Self { chunk: Some(chunk), index }
    }

    /// A place that counts nothing.
    pub(super) fn nowhere() -> Self {
        Self { chunk: None, index: 0 }
    }

    /// The slot's words.
    fn words(&self) -> Option<&trusted::SlotWords> {
        self.chunk.as_ref()?.memory.slot(self.index)
    }

    /// Held while the address changes or is read.
    fn addresses(&self) -> Option<MutexGuard<'_, ()>> {
        self.chunk.as_ref().map(|chunk| chunk.addresses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the address, and tells the one before where it really is another.
    #[cold]
    fn moved(&self, words: &trusted::SlotWords, address: IpAddr) -> Option<Moved> {
        let _changing = self.addresses();
        let previous = address_of(words);
        let address = address.to_canonical();
        // Another thread may have set it meanwhile.
        if previous == Some(address) {
            return None;
        }
        let count = words[COUNT].load(Relaxed);
        let told = words[TOLD].load(Relaxed) >> 32;
        // A slot that is read with half of an address shows none: its check is gone meanwhile.
        words[TOLD].store(told << 32, Release);
        set_address(words, Some(address), count);
        let uses = u64::from((count as u32).wrapping_sub(told as u32));
        Some(Moved { previous, uses })
    }

    pub(super) fn read(&self) -> UsageRecord {
        let Some(words) = self.words() else { return UsageRecord::default() };
        let _unchanged = self.addresses();
        let count = words[COUNT].load(Acquire);
        UsageRecord { count, last_use: time(words[LAST_USE].load(Relaxed)), address: address_of(words) }
    }

    /// Gives the slot to a token, with what the store has. Its id comes last: what has none is no slot.
    pub(super) fn begin(&self, id: &TokenId, stored: &UsageRecord) {
        let Some(words) = self.words() else { return };
        words[COUNT].store(stored.count, Relaxed);
        words[FOLDED].store(stored.count, Relaxed);
        let last_use = stored.last_use.map_or(0, |at| u64::try_from(at.timestamp_millis()).unwrap_or_default());
        words[LAST_USE].store(last_use, Relaxed);
        set_address(words, stored.address, stored.count);
        let [first, last] = id_words(id);
        words[ID_END].store(last, Release);
        words[ID].store(first, Release);
    }

    /// Takes the slot from its token: without the first half of an id it is nobody's.
    pub(super) fn end(&self) {
        if let Some(words) = self.words() {
            words[ID].store(0, Release);
        }
    }

    /// Whether uses were counted that aren't in the store.
    pub(super) fn is_changed(&self) -> bool {
        self.words().is_some_and(|words| words[COUNT].load(Acquire) != words[FOLDED].load(Relaxed))
    }

    /// Says that so many uses are in the store, synced.
    pub(super) fn folded(&self, count: u64) {
        if let Some(words) = self.words() {
            words[FOLDED].store(count, Relaxed);
        }
    }
}

/// What an earlier process left in a slot.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing that the store doesn't have.
    Nothing,
    /// Uses of this token that aren't in the store.
    Uses(TokenId, UsageRecord),
    /// Something that no process has written.
    Damaged,
}

/// Reads a slot of an earlier process.
pub(super) fn left(slot: [u64; 8]) -> Left {
    if slot[ID] == 0 {
        return Left::Nothing;
    }
    let id = id([slot[ID], slot[ID_END]]);
    if !id.iter().all(u8::is_ascii_alphanumeric) || id_words(&id) != [slot[ID], slot[ID_END]] {
        return Left::Damaged;
    }
    if slot[COUNT] == slot[FOLDED] {
        return Left::Nothing;
    }
    let address = checked_address([slot[ADDRESS], slot[ADDRESS + 1]], slot[TOLD]);
    Left::Uses(id, UsageRecord { count: slot[COUNT], last_use: time(slot[LAST_USE]), address })
}

/// The id in these words, whatever it is.
fn id(words: [u64; 2]) -> TokenId {
    let ([a, b, c, d, e, f, g, h], [i, j, k, l]) = (words[0].to_ne_bytes(), (words[1] as u32).to_ne_bytes());
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

/// An id with its check.
fn id_words(id: &TokenId) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *id;
    let last = u32::from_ne_bytes([i, j, k, l]);
    [u64::from_ne_bytes([a, b, c, d, e, f, g, h]), u64::from(crc32fast::hash(id)) << 32 | u64::from(last)]
}

/// Sets address and check, and that it was told at this count.
fn set_address(words: &trusted::SlotWords, address: Option<IpAddr>, count: u64) {
    let address = address.map_or([0, 0], address_words);
    // In this order, for whoever reads the file: the check is gone before, and comes last.
    words[ADDRESS].store(address[0], Release);
    words[ADDRESS + 1].store(address[1], Release);
    words[TOLD].store(count << 32 | u64::from(address_check(address)), Release);
}

/// An address as two words; IPv4 is written as IPv6 (RFC 4291, section 2.5.5.2).
fn address_words(address: IpAddr) -> [u64; 2] {
    let bits = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
    .to_bits();
    [(bits >> 64) as u64, bits as u64]
}

/// The address in a slot, whose lock is held.
fn address_of(words: &trusted::SlotWords) -> Option<IpAddr> {
    let address = [words[ADDRESS].load(Relaxed), words[ADDRESS + 1].load(Relaxed)];
    checked_address(address, words[TOLD].load(Relaxed))
}

/// The address of these words, where the check says that it is whole.
fn checked_address(address: [u64; 2], told: u64) -> Option<IpAddr> {
    let known = address != [0, 0] && told as u32 == address_check(address);
    known.then(|| IpAddr::from(Ipv6Addr::from_bits(join(address))).to_canonical())
}

/// The check of an address.
fn address_check(address: [u64; 2]) -> u32 {
    crc32fast::hash(&join(address).to_ne_bytes())
}

/// Two words as one number, the upper first.
fn join([high, low]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// A time out of a slot; `None` for none, and for what can be none.
fn time(ms: u64) -> Option<DateTime<Utc>> {
    if ms == 0 { None } else { DateTime::from_timestamp_millis(i64::try_from(ms).ok()?) }
}
