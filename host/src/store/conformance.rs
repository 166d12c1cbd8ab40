//! What every store must do: the same tests against memory and disk.

use std::sync::Arc;

use super::memory::MemoryStore;
use super::rocks::RocksStore;
use super::*;

/// Runs a test against a fresh store of each kind.
async fn on_each<F: Future<Output = ()>>(test: impl Fn(Arc<dyn Store>) -> F) {
    test(Arc::new(MemoryStore::new())).await;
    let folder = tempfile::tempdir().unwrap();
    test(Arc::new(RocksStore::open(&folder.path().join("store")).unwrap())).await;
}

/// A batch that sets these.
fn puts(pairs: &[(&str, &str)]) -> Batch {
    let mut batch = Batch::synced();
    for (key, value) in pairs {
        batch.put(*key, value.to_string());
    }
    batch
}

/// A key's value and revision.
async fn read(store: &dyn Store, key: &str) -> Option<(String, Revision)> {
    let entry = store.get(key.as_bytes()).await.unwrap()?;
    assert_eq!(entry.key, key.as_bytes());
    Some((String::from_utf8(entry.value.to_vec()).unwrap(), entry.revision))
}

#[tokio::test]
async fn what_is_committed_is_read_with_its_revision() {
    on_each(|store| async move {
        assert_eq!(read(&*store, "a").await, None);
        let first = store.commit(puts(&[("a", "1"), ("b", ""), ("a", "2")])).await.unwrap();
        assert_eq!(read(&*store, "a").await, Some(("2".into(), first)), "the last write to a key counts");
        assert_eq!(read(&*store, "b").await, Some((String::new(), first)), "an empty value is a value");
        let mut batch = puts(&[("c", "3")]);
        batch.remove("b");
        batch.remove("never there");
        let second = store.commit(batch).await.unwrap();
        assert!(second > first);
        assert_eq!((read(&*store, "b").await, read(&*store, "c").await), (None, Some(("3".into(), second))));
        assert_eq!(read(&*store, "a").await, Some(("2".into(), first)), "others keep their revision");
        let large = Bytes::from(vec![7; 3 << 20]);
        let mut batch = Batch::buffered();
        batch.put("large", large.clone());
        store.commit(batch).await.unwrap();
        assert_eq!(store.get(b"large").await.unwrap().unwrap().value, large);
    })
    .await;
}

#[tokio::test]
async fn expectations_decide_the_whole_batch() {
    on_each(|store| async move {
        let one = store.commit(puts(&[("a", "1")])).await.unwrap();
        let two = store.commit(puts(&[("b", "1")])).await.unwrap();
        type Expected<'a> = &'a [(&'a str, Option<Revision>)];
        let cases: [(Expected<'_>, bool); 10] = [
            (&[], true),
            (&[("a", Some(one))], true),
            (&[("a", Some(one)), ("b", Some(two))], true),
            (&[("a", Some(one)), ("b", Some(one))], false),
            (&[("a", None)], false),
            (&[("a", Some(0))], false),
            (&[("a", Some(two))], false),
            (&[("none", None)], true),
            (&[("none", Some(one))], false),
            (&[("none", Some(0))], false),
        ];
        for (index, (expected, goes_through)) in cases.into_iter().enumerate() {
            let key = format!("case {index}");
            let before = store.revision();
            let mut batch = puts(&[(key.as_str(), "x"), ("common", key.as_str())]);
            for (key, revision) in expected {
                batch.expect(*key, *revision);
            }
            let outcome = store.commit(batch).await;
            assert_eq!(outcome.is_ok(), goes_through, "{expected:?}");
            assert_eq!(store.revision(), *outcome.as_ref().unwrap_or(&before), "{expected:?}");
            assert!(outcome.is_ok() || matches!(outcome, Err(StoreError::Conflict)));
            assert_eq!(read(&*store, &key).await.is_some(), goes_through, "{expected:?}");
            let common = read(&*store, "common").await.unwrap().0;
            assert_eq!(common == key, goes_through, "{expected:?}: nothing of a refused batch is written");
        }
        // A key that was removed and made again isn't the one expected.
        let mut batch = Batch::synced();
        batch.remove("a");
        store.commit(batch).await.unwrap();
        store.commit(puts(&[("a", "1")])).await.unwrap();
        let mut batch = puts(&[("a", "3")]);
        batch.expect("a", Some(one));
        assert!(matches!(store.commit(batch).await, Err(StoreError::Conflict)));
    })
    .await;
}

#[tokio::test]
async fn scans_are_ordered_and_bounded() {
    on_each(|store| async move {
        let keys = ["a", "a\u{1}", "aa", "ab", "b", "b\u{7f}", "c"];
        let mut batch = Batch::buffered();
        for key in keys {
            batch.put(key, key);
        }
        batch.put([0xff, 0xff], "last");
        store.commit(batch).await.unwrap();
        let every = ["a", "a\u{1}", "aa", "ab", "b", "b\u{7f}", "c", "\u{fffd}\u{fffd}"];
        let a = ["a", "a\u{1}", "aa", "ab"];
        let backwards = |keys: &[&'static str]| keys.iter().rev().copied().collect::<Vec<_>>();
        type Keys = Vec<&'static str>;
        type Case<'a> = (&'a [u8], Option<&'a [u8]>, usize, Keys, Keys);
        let cases: [Case<'_>; 13] = [
            (b"", None, 99, every.to_vec(), backwards(&every)),
            (b"a", None, 99, a.to_vec(), backwards(&a)),
            (b"a", None, 2, vec!["a", "a\u{1}"], vec!["ab", "aa"]),
            (b"a", None, 0, vec![], vec![]),
            (b"a", Some(b"aa"), 99, vec!["ab"], vec!["a\u{1}", "a"]),
            (b"a", Some(b"a9"), 1, vec!["aa"], vec!["a\u{1}"]),
            (b"a", Some(b"ab"), 99, vec![], vec!["aa", "a\u{1}", "a"]),
            (b"a", Some(b"b"), 99, vec![], backwards(&a)),
            (b"b", Some(b"a"), 99, vec!["b", "b\u{7f}"], vec![]),
            (b"b", Some(b"c"), 99, vec![], vec!["b\u{7f}", "b"]),
            (b"d", None, 99, vec![], vec![]),
            (b"\xff", None, 99, vec!["\u{fffd}\u{fffd}"], vec!["\u{fffd}\u{fffd}"]),
            (b"", Some(b"c"), 99, vec!["\u{fffd}\u{fffd}"], vec!["b\u{7f}", "b", "ab", "aa", "a\u{1}", "a"]),
        ];
        for (prefix, after, limit, forward, reverse) in cases {
            for (is_reverse, expected) in [(false, forward), (true, reverse)] {
                let after = after.map(<[u8]>::to_vec);
                let scan = Scan { prefix: prefix.to_vec(), after, limit, reverse: is_reverse };
                let found = store.scan(scan.clone()).await.unwrap();
                let found: Vec<_> = found.iter().map(|entry| String::from_utf8_lossy(&entry.key)).collect();
                assert_eq!(found, expected, "{scan:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn long_scans_miss_nothing() {
    on_each(|store| async move {
        let mut batch = Batch::buffered();
        for number in 0..3000 {
            batch.put(table::number(number), number.to_string());
        }
        let revision = store.commit(batch).await.unwrap();
        let found = store.scan(Scan::prefix(*b"0", 5000)).await.unwrap();
        assert_eq!(found.len(), 3000);
        for (number, entry) in found.iter().enumerate() {
            assert_eq!((&*entry.value, entry.revision), (number.to_string().as_bytes(), revision));
        }
    })
    .await;
}

#[tokio::test]
async fn the_stores_own_keys_are_refused() {
    on_each(|store| async move {
        for key in [&b""[..], b"\0", b"\0meta/revision"] {
            let (mut write, mut expect) = (Batch::synced(), Batch::synced());
            write.put(key, "x");
            expect.expect(key, None);
            for batch in [write, expect] {
                assert!(matches!(store.commit(batch).await, Err(StoreError::Storage(_))), "{key:?}");
            }
        }
        assert!(store.scan(Scan::prefix(*b"", 9)).await.unwrap().is_empty());
    })
    .await;
}

/// Many tasks count in one record: each increment expects the revision it read, so none is lost, whoever shares a group.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_changes_conflict_and_are_not_lost() {
    const TASKS: usize = 8;
    const EACH: usize = 25;
    on_each(|store| async move {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut conflicts = 0;
                    for _ in 0..EACH {
                        loop {
                            let before = read(&*store, "count").await;
                            let count = before.as_ref().map_or(0, |(count, _)| count.parse::<usize>().unwrap());
                            let mut batch = puts(&[("count", &(count + 1).to_string())]);
                            batch.expect("count", before.map(|(_, revision)| revision));
                            match store.commit(batch).await {
                                Ok(_) => break,
                                Err(StoreError::Conflict) => conflicts += 1,
                                Err(error) => panic!("{error}"),
                            }
                        }
                    }
                    conflicts
                })
            })
            .collect();
        for task in tasks {
            let _: usize = task.await.unwrap();
        }
        assert_eq!(read(&*store, "count").await.unwrap().0, (TASKS * EACH).to_string());
    })
    .await;
}

/// Where batches wait together, the first that changes a key wins and only those that expected otherwise are refused.
#[tokio::test]
async fn a_conflict_within_a_group_fails_only_its_batch() {
    on_each(|store| async move {
        let revision = store.commit(puts(&[("a", "0")])).await.unwrap();
        let batches: Vec<_> = (0..40)
            .map(|index| {
                let mut batch = puts(&[(if index % 2 == 0 { "a" } else { "b" }, &index.to_string())]);
                batch.put(format!("own {index}"), "x");
                if index % 2 == 0 {
                    batch.expect("a", Some(revision));
                }
                batch
            })
            .collect();
        let outcomes = futures_util::future::join_all(batches.into_iter().map(|batch| store.commit(batch))).await;
        let winners: Vec<_> = (0..40).filter(|index| outcomes[*index].is_ok()).collect();
        assert_eq!(winners.iter().filter(|index| **index % 2 == 0).count(), 1, "one of those that expect wins");
        assert_eq!(
            winners.iter().filter(|index| **index % 2 == 1).count(),
            20,
            "the others have nothing to do with it"
        );
        let winner = winners.iter().find(|index| **index % 2 == 0).unwrap();
        assert_eq!(read(&*store, "a").await.unwrap().0, winner.to_string());
        for index in 0..40 {
            assert_eq!(read(&*store, &format!("own {index}")).await.is_some(), winners.contains(&index));
        }
    })
    .await;
}
