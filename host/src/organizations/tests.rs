//! Organizations over a store that forgets, conflicts and dies on demand.

use std::sync::{Arc, Mutex};

use chrono::DateTime;

use super::organization::{GUARDS, ORGANIZATIONS, Record};
use super::*;
use crate::clock::TestClock;
use crate::name::Name;
use crate::store::memory::{Fate, MemoryStore};
use crate::store::{Batch, Store, StoreError};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn new(text: &str, parent: Option<&str>) -> NewOrganization {
    NewOrganization { name: name(text), title: None, parent: parent.map(name), source: None }
}

async fn open(store: &Arc<MemoryStore>) -> Organizations {
    let clock = TestClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
    Organizations::open(Arc::clone(store) as Arc<dyn Store>, clock).await.unwrap()
}

/// `acme` over `north` and `south`, and `other` alone.
async fn filled() -> (Arc<MemoryStore>, Organizations) {
    let store = Arc::new(MemoryStore::new());
    let organizations = open(&store).await;
    for (child, parent) in [("acme", None), ("north", Some("acme")), ("south", Some("acme")), ("other", None)] {
        organizations.create(new(child, parent)).await.unwrap();
    }
    (store, organizations)
}

async fn use_by(organizations: &Organizations, store: &MemoryStore, organization: &str, user: &str) {
    let mut batch = Batch::synced();
    organizations.use_in(&mut batch, &name(organization), "integration", user).await.unwrap();
    store.commit(batch).await.unwrap();
}

#[tokio::test]
async fn default_always_exists_and_stands_at_the_top() {
    let store = Arc::new(MemoryStore::new());
    let organizations = open(&store).await;
    let default = organizations.read(&default_name()).await.unwrap();
    assert_eq!((default.name.as_str(), default.title, default.parent), ("default", None, None));
    assert!(matches!(organizations.delete(&default_name()).await, Err(OrganizationError::Default)));

    organizations.create(new("acme", None)).await.unwrap();
    let under = Change { parent: Some(Some(name("acme"))), ..Change::default() };
    let error = organizations.change(&default_name(), under).await.unwrap_err();
    assert!(error.to_string().contains("part of no other"), "{error}");
    let titled = Change { title: Some(Some("Everything else".to_owned())), ..Change::default() };
    organizations.change(&default_name(), titled).await.unwrap();

    let commits = store.commits();
    let again = open(&store).await;
    assert_eq!(store.commits(), commits, "it isn't made twice");
    assert_eq!(again.read(&default_name()).await.unwrap().title.as_deref(), Some("Everything else"));
}

#[tokio::test]
async fn the_tree_has_each_change_and_is_the_same_after_a_crash() {
    let (store, organizations) = filled().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    organizations.subscribe(Box::new(move |name| telling.lock().unwrap().push(name.to_string())));
    let reach = |tree: &Tree| tree.expand([&name("acme")]).iter().map(Name::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(reach(&organizations.tree()), "acme north south");

    let before = organizations.tree();
    let moved = Change { parent: Some(None), ..Change::default() };
    organizations.change(&name("south"), moved).await.unwrap();
    organizations.create(new("deep", Some("north"))).await.unwrap();
    organizations.delete(&name("other")).await.unwrap();
    assert_eq!(reach(&organizations.tree()), "acme deep north");
    assert_eq!(reach(&before), "acme north south", "a snapshot never changes");
    assert_eq!(*told.lock().unwrap(), ["south", "deep", "other"]);

    let listed = organizations.list(Some(&name("acme")), 3).await.unwrap();
    assert_eq!(listed.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["deep", "default", "north"]);
    let survivor = Arc::new(store.crash());
    assert_eq!(*open(&survivor).await.tree(), *organizations.tree());
}

#[tokio::test]
async fn what_is_wrong_is_told_all_at_once_and_changes_nothing() {
    let (_store, organizations) = filled().await;
    let tree = organizations.tree();
    let check = async |organization: &str, title: Option<&str>, parent: Option<&str>, expected: &[&str]| {
        let title = title.map(str::to_owned);
        let outcome = match tree.contains(&name(organization)) {
            true => {
                let change = Change { title: title.map(Some), parent: parent.map(name).map(Some), expected: None };
                organizations.change(&name(organization), change).await
            }
            false => {
                let new = NewOrganization { name: name(organization), title, parent: parent.map(name), source: None };
                organizations.create(new).await
            }
        };
        let Err(OrganizationError::Invalid(faults)) = outcome else { panic!("{organization}: {outcome:?}") };
        let found: Vec<_> = faults.iter().map(|fault| format!("{}:{}", fault.field(), fault.code())).collect();
        assert_eq!(found, expected, "{organization}");
    };
    let long = "x".repeat(201);
    check("new", Some(""), Some("none"), &["title:malformed", "parent:unknown"]).await;
    check("new", Some(&long), None, &["title:malformed"]).await;
    check("acme", Some("a\nb"), Some("north"), &["title:malformed", "parent:not_allowed"]).await;
    check("acme", None, Some("acme"), &["parent:not_allowed"]).await;
    assert!(matches!(organizations.create(new("acme", None)).await, Err(OrganizationError::Exists(_))));
    assert_eq!(organizations.tree(), tree);
}

#[tokio::test]
async fn two_moves_at_once_never_make_a_circle() {
    let (_store, organizations) = filled().await;
    let under = |parent: &str| Change { parent: Some(Some(name(parent))), ..Change::default() };
    let (acme, other) = (name("acme"), name("other"));
    let (first, second) =
        tokio::join!(organizations.change(&acme, under("other")), organizations.change(&other, under("acme")));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
}

#[tokio::test]
async fn a_change_is_held_against_the_revision_that_was_read() {
    let (_store, organizations) = filled().await;
    let read = organizations.read(&name("acme")).await.unwrap();
    let change =
        |title: &str| Change { title: Some(Some(title.into())), expected: Some(read.revision), ..Change::default() };
    let changed = organizations.change(&name("acme"), change("Acme")).await.unwrap();
    assert!(changed.revision > read.revision);
    assert!(matches!(organizations.change(&name("acme"), change("Again")).await, Err(OrganizationError::Changed)));
    assert_eq!(organizations.read(&name("acme")).await.unwrap(), changed);
}

#[tokio::test]
async fn what_is_needed_is_not_deleted() {
    let (store, organizations) = filled().await;
    let error = organizations.delete(&name("acme")).await.unwrap_err();
    assert!(error.to_string().ends_with("north, south"), "{error}");
    for number in 0..12 {
        use_by(&organizations, &store, "north", &format!("i{number:02}")).await;
    }
    use_by(&organizations, &store, "default", "anything").await;
    let Err(OrganizationError::InUse(uses)) = organizations.delete(&name("north")).await else { panic!() };
    assert_eq!((uses.len(), uses[9].clone()), (10, ("integration".to_owned(), "i09".to_owned())));

    let mut batch = Batch::synced();
    for number in 0..12 {
        organizations.release(&mut batch, &name("north"), "integration", &format!("i{number:02}"));
    }
    store.commit(batch).await.unwrap();
    organizations.delete(&name("north")).await.unwrap();
    assert!(matches!(organizations.delete(&name("north")).await, Err(OrganizationError::NotFound(_))));
    let mut batch = Batch::synced();
    let outcome = organizations.use_in(&mut batch, &name("north"), "integration", "late").await;
    assert!(matches!(outcome, Err(OrganizationError::NotFound(_))) && batch.is_empty());
}

#[tokio::test]
async fn of_a_use_and_a_deletion_only_one_succeeds() {
    let (store, organizations) = filled().await;
    // The use was prepared before the deletion and comes after it.
    let mut late = Batch::synced();
    organizations.use_in(&mut late, &name("south"), "model", "late").await.unwrap();
    organizations.delete(&name("south")).await.unwrap();
    assert!(matches!(store.commit(late).await, Err(StoreError::Conflict)));

    // A deletion that was prepared before a use and comes after it would break what it expects: the guard is another.
    use_by(&organizations, &store, "other", "early").await;
    let first = GUARDS.get(&*store, &["other"]).await.unwrap().unwrap().revision;
    use_by(&organizations, &store, "other", "second").await;
    assert_ne!(GUARDS.get(&*store, &["other"]).await.unwrap().unwrap().revision, first);
}

#[tokio::test]
async fn a_deletion_that_conflicts_looks_again() {
    let (store, organizations) = filled().await;
    let commits = store.commits();
    store.plan_nth(1, Fate::Fail(StoreError::Conflict));
    organizations.delete(&name("other")).await.unwrap();
    assert_eq!(store.commits(), commits + 2);
    assert!(!organizations.tree().contains(&name("other")));
}

#[tokio::test]
async fn a_change_whose_caller_goes_away_still_reaches_the_tree() {
    let (_store, organizations) = filled().await;
    let other = name("other");
    let change = organizations.delete(&other);
    // Polled once, so that it has begun, and dropped.
    tokio::select! {
        biased;
        outcome = change => panic!("it ended at once: {outcome:?}"),
        () = std::future::ready(()) => {}
    }
    while organizations.tree().contains(&other) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_failed_change_leaves_the_tree_as_it_was() {
    let (store, organizations) = filled().await;
    let tree = organizations.tree();
    store.plan_nth(1, Fate::Fail(StoreError::Full("the disk".to_owned())));
    let outcome = organizations.create(new("late", None)).await;
    assert!(matches!(outcome, Err(OrganizationError::Store(StoreError::Full(_)))), "{outcome:?}");
    assert_eq!(organizations.tree(), tree);
    organizations.create(new("late", None)).await.unwrap();
}

#[tokio::test]
async fn there_are_no_more_than_so_many() {
    let store = Arc::new(MemoryStore::new());
    let organizations = open(&store).await;
    let mut one = organizations.create(new("o0002", None)).await.unwrap();
    let mut batch = Batch::synced();
    for number in 3..=MAX_ORGANIZATIONS {
        one.name = name(&format!("o{number:04}"));
        ORGANIZATIONS.put(&mut batch, &[one.name.as_str()], &Record::of(&one)).unwrap();
    }
    store.commit(batch).await.unwrap();
    let organizations = open(&store).await;
    assert_eq!(organizations.tree().len(), MAX_ORGANIZATIONS);
    let outcome = organizations.create(new("late", None)).await;
    assert!(matches!(outcome, Err(OrganizationError::TooMany)), "{outcome:?}");
    organizations.delete(&name("o0002")).await.unwrap();
    organizations.create(new("late", None)).await.unwrap();
}
