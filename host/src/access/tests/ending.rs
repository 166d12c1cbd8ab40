//! Personal tokens that end soon are found, told once for each number of days, and forgotten where they were changed.

use std::sync::Arc;

use chrono::TimeDelta;
use ulid::Ulid;

use super::*;
use crate::clock::Clock as _;
use crate::notices::{Kind, Notices, Retention};

#[tokio::test]
async fn a_token_that_ends_soon_is_told_once_for_each_number_of_days() {
    let world = World::new().await;
    let notices =
        Notices::open(Arc::clone(&world.store) as Arc<dyn Store>, world.clock.clone(), Retention::default()).await;
    let notices = notices.unwrap();
    let (id, _) = world.personal(&["REST/JSON"]).await;
    let look = async || {
        let count = world.access.tell_ending(&notices, &[7, 1]).await.unwrap();
        notices.settled().await;
        (count, notices.after(Ulid::nil(), 100).await.unwrap().len(), world.access.ending().await.unwrap().len())
    };
    let end = |days| PersonalChange {
        expires_at: Some(world.clock.now() + TimeDelta::days(days)),
        ..PersonalChange::default()
    };
    world.access.change_personal(&world.admin, &id, end(30), false).await.unwrap();
    assert_eq!(look().await, (0, 0, 0));
    world.clock.advance(DAY * 24);
    assert_eq!(look().await, (1, 1, 1));
    world.clock.advance(DAY);
    assert_eq!(look().await, (1, 1, 1));
    world.clock.advance(DAY * 4 + DAY / 2);
    assert_eq!(look().await, (1, 2, 1));
    let event = notices.after(Ulid::nil(), 1).await.unwrap().remove(0);
    assert_eq!((event.kind, event.user.as_deref()), (Kind::PersonalTokenExpiring, Some("ada")));
    assert_eq!(event.personal_token.as_deref(), Some(id_text(&id)));
    assert!(event.message.contains("nightly") && event.remedy.contains("--ends"), "{event:?}");
    // A later date, and it ends soon no more; a new end is told anew.
    world.access.change_personal(&world.admin, &id, end(20), false).await.unwrap();
    assert!(world.access.ending().await.unwrap().is_empty());
    assert_eq!(look().await, (0, 2, 0));
    world.clock.advance(DAY * 15);
    assert_eq!(look().await, (1, 3, 1));
    world.access.delete_personal(&world.admin, &id).await.unwrap();
    assert_eq!(look().await, (0, 3, 0));
}
