//! Tokens that were seen to be right, in memory: verifying one again takes a hash, one look-up and no waiting.
//!
//! Nothing here is the only copy of anything. A change is told before it is acknowledged: of a token by its id, of anything
//! that principals are resolved from by a new generation, under which every entry is looked up anew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::digest::{Digest, PepperId};
use super::principal::Principal;
use super::scopes::ScopeSet;
use super::token::TokenId;
use super::usage::Slot;
use crate::clock::Clock;
use crate::text::Label;

/// Tokens in memory at most, some 1.5 KB each; others cost a read at each use.
const MOST: usize = 2_000_000;

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
    /// The scopes in which its principal is let in, read here so that verifying follows one pointer less.
    pub(super) open: ScopeSet,
    /// What a room above wrote of it.
    pub written: Written,
}

/// What a room above wrote of a token, each once and for as long as it is true. Their form is that room's business. Here
/// and not behind another pointer: among a million tokens, each pointer that is followed costs as much as a digest.
#[derive(Default)]
pub struct Written {
    /// The answer that tells who presents it.
    pub verified: OnceLock<Box<[u8]>>,
    /// The same in the form of another standard.
    pub introspected: OnceLock<Box<[u8]>>,
    /// The same as headers.
    pub headers: OnceLock<Box<[u8]>>,
}

impl Known {
    /// When this value ends, if it ever does: with its token, or before that where another replaced it.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.ends.map(|(wall, _)| wall)
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
