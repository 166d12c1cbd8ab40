//! Against whoever can write to the database.

use super::*;

/// What somebody does to the database.
type Change = fn(&mut Batch);

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
    let world = World::with(2).await;
    let object = entry().object;
    world.tamper(|batch| BY_OBJECT.remove(batch, &[&object, &number(2)])).await;
    assert_eq!(world.broken().await, (2, Fault::NotIndexed), "{object}");
}

#[tokio::test]
async fn a_restart_mends_no_broken_end() {
    let remove_last = |batch: &mut Batch| RECORDS.remove(batch, &[&number(3)]);
    let cases: [(&str, Change, u64, Fault); 5] = [
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
