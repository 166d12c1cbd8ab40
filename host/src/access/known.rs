//! Tokens that were seen to be right, in memory: verifying one again takes a hash, one look-up and no waiting.
//!
//! Nothing here is the only copy of anything. A change is told before it is acknowledged: of a token by its id, of anything
//! that principals are resolved from by a new generation, under which every entry is looked up anew.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::digest::{Digest, PepperId};
use super::principal::Principal;
use super::token::TokenId;
use super::usage::Slot;
use crate::clock::Clock;
use crate::text::Label;

/// Tokens in memory at most, some 300 bytes each; others cost a read at each use.
const MOST: usize = 4_000_000;

/// A token that was seen to be right.
pub struct Known {
    /// Its digest.
    pub(super) digest: Digest,
    /// The pepper that the digest was made under.
    pub(super) pepper: PepperId,
    /// Who presents it.
    pub principal: Arc<Principal>,
    /// The generation of principals that it was resolved in.
    pub(super) generation: u64,
    /// When it ends, on both clocks: a wall clock that steps back makes no token live longer.
    pub(super) ends: Option<(DateTime<Utc>, Duration)>,
    /// Where its uses are counted.
    pub(super) slot: Slot,
    /// When its value was made.
    pub issued_at: DateTime<Utc>,
    /// What people call it, where it is a personal token.
    pub label: Option<Label>,
    /// What a room above made of it, see [`Known::kept`].
    pub(super) kept: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Known {
    /// When this value ends, if it ever does: with its token, or before that where another replaced it.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.ends.map(|(wall, _)| wall)
    }

    /// What was made of it once and is kept for as long as it is true, such as the answer that tells who it is. There is
    /// one place: another type finds it taken, and `None`.
    pub fn kept<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.kept.get_or_init(|| Box::new(make())).downcast_ref()
    }

    /// Whether its time is over on either clock.
    pub(super) fn is_over(&self, clock: &dyn Clock) -> bool {
        self.ends.is_some_and(|(wall, monotonic)| clock.now() >= wall || clock.elapsed() >= monotonic)
    }
}

/// The tokens in memory.
pub(super) struct Cache {
    tokens: DashMap<TokenId, Arc<Known>>,
    /// Grows with every change of what principals are resolved from.
    generation: AtomicU64,
    /// Grows with every change of a token.
    changes: AtomicU64,
}

/// The state of the cache before records were read. What was read may be cached only while it is still so.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) generation: u64,
    changes: u64,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { tokens: DashMap::new(), generation: AtomicU64::new(0), changes: AtomicU64::new(0) }
    }

    /// The token of this id, if it was seen and nothing was changed since.
    pub(super) fn get(&self, id: &TokenId) -> Option<Arc<Known>> {
        let known = Arc::clone(&*self.tokens.get(id)?);
        (known.generation == self.generation.load(Ordering::Acquire)).then_some(known)
    }

    /// To be called before records are read.
    pub(super) fn moment(&self) -> Moment {
        Moment { generation: self.generation.load(Ordering::SeqCst), changes: self.changes.load(Ordering::SeqCst) }
    }

    /// Remembers what was read since `moment`, unless a token was changed meanwhile.
    pub(super) fn insert(&self, id: TokenId, known: Arc<Known>, moment: Moment) {
        let full = self.tokens.len() >= MOST;
        // The entry is locked while the count is looked at. A change counts first and removes then: either it is seen
        // here, or its removal comes after this insertion.
        match self.tokens.entry(id) {
            Entry::Occupied(mut entry) if self.changes.load(Ordering::SeqCst) == moment.changes => {
                entry.insert(known);
            }
            Entry::Vacant(entry) if !full && self.changes.load(Ordering::SeqCst) == moment.changes => {
                entry.insert(known);
            }
            _ => {}
        }
    }

    /// Forgets a token. To be called after its change was committed, before that is acknowledged.
    pub(super) fn forget_token(&self, id: &TokenId) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.tokens.remove(id);
    }

    /// Forgets what all principals are. To be called after a change of a user, a profile or an organization was
    /// committed, before that is acknowledged.
    pub(super) fn forget_principals(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Goes through all of them.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&TokenId, &Known)) {
        for entry in &self.tokens {
            visit(entry.key(), entry.value());
        }
    }
}
