//! Filters, pages, and what is found of a token.

use super::*;

#[tokio::test]
async fn filters_and_pages() {
    let world = World::new().await;
    let ada = Actor { kind: ActorKind::User, name: "ada".into(), token_id: None };
    for number in 0..700_u32 {
        let actor = if number % 7 == 0 { ada.clone() } else { Actor::system() };
        let action = if number % 2 == 0 { "model.update" } else { "integration.update" };
        let mut entry = Entry::new(actor, action).on(format!("integration/i{}", number % 5));
        if number == 333 {
            entry = entry.about_token("rare").with_digest("token", world.audit.digest(b"hunter2"));
        }
        world.audit.append(vec![entry]).await.unwrap();
        world.clock.advance(Duration::from_secs(60));
    }
    let minute = |minute| Some(start() + TimeDelta::minutes(minute));
    let some = |text: &str| Some(text.to_owned());
    let is = Filter::default;
    for (filter, count, first) in [
        (is(), 700, 1),
        (Filter { actor: some("ada"), ..is() }, 100, 1),
        (Filter { action: some("integration."), ..is() }, 350, 2),
        (Filter { action: some("integration"), ..is() }, 0, 0),
        (Filter { action: some("model.update"), object: some("integration/i4"), ..is() }, 70, 5),
        (Filter { object: some("integration/"), ..is() }, 700, 1),
        (Filter { token_id: some("rare"), ..is() }, 1, 334),
        (Filter { token_id: some("rar"), ..is() }, 0, 0),
        (Filter { digest: Some(world.audit.digest(b"hunter2")), ..is() }, 1, 334),
        (Filter { digest: Some(world.audit.digest(b"hunter3")), ..is() }, 0, 0),
        (Filter { since: minute(10), until: minute(12), ..is() }, 2, 11),
    ] {
        let (found, next) = world.page(filter.clone(), ALL).await;
        assert_eq!((found.len(), found.first().copied().unwrap_or_default(), next), (count, first, None), "{filter:?}");
        for newest_first in [false, true] {
            let (mut paged, mut window) = (Vec::new(), Window { after: None, limit: 9, newest_first });
            loop {
                let (found, next) = world.page(filter.clone(), window).await;
                paged.extend(found);
                window.after = next;
                if next.is_none() {
                    break;
                }
            }
            if newest_first {
                paged.reverse();
            }
            assert_eq!(paged, found, "{filter:?} {newest_first}");
        }
    }
}

#[tokio::test]
async fn a_page_of_what_is_rare_is_bounded_and_goes_on() {
    let world = World::new().await;
    for _ in 0..6 {
        world.audit.append(vec![Entry::new(Actor::system(), "common"); 1000]).await.unwrap();
    }
    world.audit.append(vec![Entry::new(Actor::system(), "rare")]).await.unwrap();
    let filter = Filter { action: Some("rare".into()), ..Filter::default() };
    let (found, next) = world.page(filter.clone(), ALL).await;
    assert!(found.is_empty() && next.is_some());
    assert_eq!(world.page(filter, Window { after: next, ..ALL }).await, (vec![6001], None));
}

#[tokio::test]
async fn one_object_is_found_at_once_also_in_a_log_that_had_no_such_index() {
    let world = World::new().await;
    for _ in 0..6 {
        world.audit.append(vec![Entry::new(Actor::system(), "common").on("model/common"); 1000]).await.unwrap();
    }
    world.audit.append(vec![Entry::new(Actor::system(), "made").on("model/rare")]).await.unwrap();
    let filter = Filter { object: Some("model/rare".into()), ..Filter::default() };
    assert_eq!(world.page(filter.clone(), ALL).await, (vec![6001], None));

    let indexed: Vec<_> =
        world.store.dump().into_iter().filter(|(key, _)| key.starts_with(&BY_OBJECT.key(&[]))).collect();
    world.tamper(|batch| indexed.iter().for_each(|(key, _)| batch.remove(key.clone()))).await;
    assert_eq!(world.page(filter.clone(), ALL).await, (vec![], None));
    assert_eq!(super::super::count_about(&*world.store).await.unwrap(), 6001);
    let (mut after, mut parts) = (None, 0);
    loop {
        let mut batch = Batch::buffered();
        let (last, _) = super::super::index_objects(&*world.store, after, 1000, &mut batch).await.unwrap();
        world.store.commit(batch).await.unwrap();
        parts += 1;
        after = last;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((parts, world.page(filter, ALL).await), (7, (vec![6001], None)));
    let again: Vec<_> =
        world.store.dump().into_iter().filter(|(key, _)| key.starts_with(&BY_OBJECT.key(&[]))).collect();
    assert_eq!(again, indexed);
    assert_eq!(world.verified().await.records, 6001);
}

#[tokio::test]
async fn a_token_is_found_with_its_own_items_only() {
    let world = World::with(2).await;
    for id in ["actorstoken1", "objectstoken", "itemstoken"] {
        let page = world.audit.of_token(id, ALL).await.unwrap();
        assert_eq!(page.records.len(), 2, "{id}");
        assert_eq!(page.records[0].entry.items.len(), usize::from(id == "itemstoken"));
    }
    assert!(world.audit.of_token("objectstoke", ALL).await.unwrap().records.is_empty());
    let found = world.audit.find("objectstoken").await.unwrap();
    assert_eq!((found.changes.len(), found.uses.len(), found.changes[0].seq), (2, 0, 2));
}

#[tokio::test]
async fn digests_tell_secrets_apart_and_need_the_key() {
    let (world, other) = (World::new().await, World::new().await);
    let digest = world.audit.digest(b"hunter2");
    assert_eq!((digest.len(), &digest), (64, &world.audit.digest(b"hunter2")));
    assert_ne!(digest, world.audit.digest(b"hunter3"));
    assert_ne!(digest, other.audit.digest(b"hunter2"));
}
