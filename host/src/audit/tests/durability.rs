//! Crashes, a store that fails, callers at once, and pruning.

use super::*;

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
    let other = Audit::open(world.store.clone(), &world.keyring, world.clock.clone(), world.audit.retention());
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
        let left = world.store.dump().iter().filter(|(key, _)| key.starts_with(&BY_OBJECT.key(&[]))).count() as u64;
        assert_eq!(left, kept, "nor in the other");

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
