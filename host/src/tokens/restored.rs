//! What becomes of tokens and attempts where the store is put back to an earlier state: what was under way has ended, and a
//! refresh token may have been replaced since. It works on a store that nobody serves.

use chrono::{DateTime, Utc};

use super::journal::{ATTEMPTS, AttemptRecord, OPEN, Outcome, Stage};
use super::ledger::Ledger;
use super::record::{RefreshState, TOKENS, TokenRecord};
use crate::store::table::{Page, Versioned};
use crate::store::{Batch, Store, StoreError};

/// Records read, and written together, at most.
const AT_ONCE: usize = 500;
/// What stands in the story of an attempt that was under way.
const NOTE: &str = "the daemon was restored from a backup that was made while this was under way; it doesn't go on";

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Attempts that were under way, and have ended as interrupted.
    pub interrupted: u64,
    /// Tokens whose refresh token is uncertain now.
    pub uncertain: u64,
    /// Tokens whose refresh token stays as it is: their providers never gave another.
    pub certain: u64,
}

/// Ends attempts under way, and takes refresh tokens for uncertain that a provider may have replaced since the store was in
/// this state, at `since`. Doing it twice changes nothing more.
///
/// Whether a provider replaces refresh tokens isn't said by any standard answer: RFC 6749, section 6, leaves it to each. So
/// one that did it once is taken for one that does, and so is one that was never asked; only where each answer brought the
/// same one, or none, the stored one is believed to work still. To be wrong the other way would cost all of a person's
/// tokens: a provider that sees a replaced one again ends what it gave for it (RFC 9700, section 4.14.2).
///
/// # Errors
/// The storage failed.
pub async fn after_restore(store: &dyn Store, since: DateTime<Utc>, now: DateTime<Utc>) -> Result<Doubts, StoreError> {
    let mut doubts = Doubts::default();
    end_attempts(store, now, &mut doubts).await?;
    let mut walk = TOKENS.walk(store, &[], AT_ONCE);
    while let Some(records) = walk.next().await? {
        let mut batch = Batch::synced();
        for Versioned { value: mut record, revision, .. } in records {
            let was = (record.refresh, record.connecting, record.stalled);
            // The attempt that was to bring something has ended.
            (record.connecting, record.stalled) = (None, None);
            doubt(&mut record, since, &mut doubts);
            if was != (record.refresh, record.connecting, record.stalled) {
                Ledger::write_token(&mut batch, &record, Some(revision))?;
            }
        }
        if !batch.is_empty() {
            store.commit(batch).await?;
        }
    }
    Ok(doubts)
}

/// Takes a refresh token for uncertain, where it may be.
fn doubt(record: &mut TokenRecord, since: DateTime<Utc>, doubts: &mut Doubts) {
    let has_one = record.token.as_ref().is_some_and(super::record::StoredToken::has_refresh_token);
    match record.refresh {
        RefreshState::Ready if has_one && record.rotates == Some(false) => doubts.certain += 1,
        RefreshState::Ready if has_one => {
            record.refresh = RefreshState::Uncertain;
            record.restored = Some(since);
            doubts.uncertain += 1;
        }
        RefreshState::Uncertain if has_one => doubts.uncertain += 1,
        RefreshState::Ready | RefreshState::Uncertain | RefreshState::Spent => {}
    }
}

/// Ends all attempts under way.
async fn end_attempts(store: &dyn Store, now: DateTime<Utc>, doubts: &mut Doubts) -> Result<(), StoreError> {
    loop {
        let open = OPEN.list(store, &[], Page { limit: AT_ONCE, ..Page::default() }).await?;
        if open.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::synced();
        for entry in open {
            let Some(id) = entry.key.first() else { continue };
            // Also where its record is missing: an entry that stays would be met again for ever.
            OPEN.remove(&mut batch, &[id]);
            let integration = entry.value;
            let Some(found) = ATTEMPTS.get(store, &[&integration, id]).await? else { continue };
            let mut attempt = found.value;
            forget_what_was_sent(store, &mut batch, &attempt).await?;
            attempt.stage = Stage::Ended;
            // One that has an outcome only held an answer, for another version of its flow.
            if attempt.story.outcome.is_none() {
                attempt.story.outcome = Some(Outcome::Interrupted);
                attempt.story.finished_at = Some(now);
                doubts.interrupted += 1;
            }
            attempt.story.notes.push(NOTE.to_owned());
            Ledger::write_attempt(&mut batch, &attempt)?;
        }
        store.commit(batch).await?;
    }
}

/// What an attempt has sent that works once isn't known to work still, whatever its provider does otherwise.
async fn forget_what_was_sent(store: &dyn Store, batch: &mut Batch, attempt: &AttemptRecord) -> Result<(), StoreError> {
    let spends = matches!(attempt.stage, Stage::Sent { spends: true, .. } | Stage::Answered { spends: true, .. });
    if !spends || attempt.person.is_some() {
        return Ok(());
    }
    let key = &attempt.story.key;
    let slot = key.slot();
    let Some(found) = TOKENS.get(store, &[key.integration(), &slot]).await? else { return Ok(()) };
    let mut record = found.value;
    if record.refresh == RefreshState::Ready && record.generation == attempt.follows {
        record.refresh = RefreshState::Uncertain;
        Ledger::write_token(batch, &record, Some(found.revision))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::super::journal::AttemptStory;
    use super::super::key::TokenKey;
    use super::super::plan::Cause;
    use super::super::record::StoredToken;
    use super::super::record::tests::stored_token;
    use super::*;
    use crate::flows::step::Purpose;
    use crate::seal::Sealed;
    use crate::store::memory::MemoryStore;

    fn key(name: &str) -> TokenKey {
        TokenKey::of(&name.parse().unwrap())
    }

    async fn put(store: &MemoryStore, name: &str, token: &StoredToken, change: impl FnOnce(&mut TokenRecord)) {
        let mut record = TokenRecord::new(key(name), Ulid::nil());
        record.succeed(3, token.clone());
        change(&mut record);
        let mut batch = Batch::synced();
        Ledger::write_token(&mut batch, &record, None).unwrap();
        store.commit(batch).await.unwrap();
    }

    async fn refresh_of(store: &MemoryStore, name: &str) -> (RefreshState, bool) {
        let slot = key(name).slot();
        let record = TOKENS.get(store, &[name, &slot]).await.unwrap().unwrap().value;
        assert_eq!((record.connecting, record.stalled), (None, None), "{name}");
        (record.refresh, record.restored.is_some())
    }

    async fn put_attempt(store: &MemoryStore, name: &str, stage: Stage, outcome: Option<Outcome>) -> Ulid {
        let story = AttemptStory {
            id: Ulid::new(),
            key: key(name),
            purpose: Purpose::Refresh,
            cause: Cause::Needed,
            flow: "f".into(),
            started_at: DateTime::UNIX_EPOCH,
            finished_at: None,
            steps: Vec::new(),
            outcome,
            notes: Vec::new(),
        };
        let id = story.id;
        let seed = Sealed::from_bytes([&[1][..], &[0; 60]].concat()).unwrap();
        let digest = String::new();
        let attempt = AttemptRecord { story, target: Ulid::nil(), follows: 3, digest, seed, stage, person: None };
        let mut batch = Batch::synced();
        Ledger::write_attempt(&mut batch, &attempt).unwrap();
        store.commit(batch).await.unwrap();
        id
    }

    #[test]
    fn what_a_provider_may_have_replaced_is_uncertain_and_what_was_under_way_has_ended() {
        // They are sealed by a runtime of their own.
        let (with, without) = (stored_token(true), stored_token(false));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = MemoryStore::new();
            put(&store, "none", &without, |_| {}).await;
            put(&store, "unknown", &with, |record| record.connecting = Some(Ulid::new())).await;
            put(&store, "rotates", &with, |record| record.rotates = Some(true)).await;
            put(&store, "keeps", &with, |record| record.rotates = Some(false)).await;
            put(&store, "sent", &with, |record| record.rotates = Some(false)).await;
            put(&store, "spent", &with, |record| record.refresh = RefreshState::Spent).await;
            put(&store, "stalled", &with, |record| record.refresh = RefreshState::Spent).await;
            let sent = put_attempt(&store, "sent", Stage::Sent { spends: true, held: None }, None).await;
            let stalled = Stage::Sent { spends: false, held: None };
            let failed = Outcome::Failed { code: "x".into(), message: "y".into() };
            let held = put_attempt(&store, "stalled", stalled, Some(failed.clone())).await;

            let (since, now) = (DateTime::from_timestamp(5, 0).unwrap(), DateTime::from_timestamp(9, 0).unwrap());
            let doubts = after_restore(&store, since, now).await.unwrap();
            assert_eq!(doubts, Doubts { interrupted: 1, uncertain: 3, certain: 1 });
            let check = async |name: &str, expected| assert_eq!(refresh_of(&store, name).await, expected, "{name}");
            check("none", (RefreshState::Ready, false)).await;
            check("unknown", (RefreshState::Uncertain, true)).await;
            check("rotates", (RefreshState::Uncertain, true)).await;
            check("keeps", (RefreshState::Ready, false)).await;
            check("sent", (RefreshState::Uncertain, false)).await;
            check("spent", (RefreshState::Spent, false)).await;
            check("stalled", (RefreshState::Spent, false)).await;
            assert!(OPEN.list(&store, &[], Page { limit: 9, ..Page::default() }).await.unwrap().is_empty());
            for (name, id, outcome) in [("sent", sent, Outcome::Interrupted), ("stalled", held, failed)] {
                let attempt = ATTEMPTS.get(&store, &[name, &id.to_string()]).await.unwrap().unwrap().value;
                assert_eq!(attempt.story.outcome, Some(outcome));
                assert_eq!(attempt.story.notes, [NOTE]);
            }
            let commits = store.commits();
            let again = after_restore(&store, since, now).await.unwrap();
            assert_eq!((again, store.commits()), (Doubts { interrupted: 0, ..doubts }, commits), "once is enough");
        });
    }
}
