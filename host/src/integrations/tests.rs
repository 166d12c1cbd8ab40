//! Models and integrations within organizations: what is read, kept in memory, listed and let go.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;
use serde_json::json;

use super::belonging::{self, Belonging, Belongs};
use super::integration::{INTEGRATIONS, IntegrationRecord};
use super::{ModelError, Models};
use crate::clock::TestClock;
use crate::name::Name;
use crate::openapi::{OperationDetail, Place};
use crate::organizations::{NewOrganization, OrganizationError, Organizations};
use crate::store::memory::MemoryStore;
use crate::store::table::Table;
use crate::store::{Batch, Store};

/// The smallest document that can be imported.
const DOCUMENT: &[u8] = br#"{"openapi":"3.1.0","info":{"title":"CRM","version":"2"},"paths":{}}"#;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn names(texts: &[&str]) -> BTreeSet<Name> {
    texts.iter().map(|text| name(text)).collect()
}

/// Models, and the organizations `north` and `south`.
async fn world() -> (Arc<MemoryStore>, Arc<Organizations>, Models) {
    let store = Arc::new(MemoryStore::new());
    let clock = TestClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let organizations = Arc::new(Organizations::open(Arc::clone(&shared), clock.clone()).await.unwrap());
    for text in ["north", "south"] {
        organizations
            .create(NewOrganization { name: name(text), title: None, parent: None, source: None })
            .await
            .unwrap();
    }
    let models = Models::new(shared, clock, Arc::clone(&organizations));
    (store, organizations, models)
}

async fn listed(models: &Models, after: Option<&str>, limit: usize, within: Option<&[&str]>) -> Vec<String> {
    let within = within.map(names);
    let visible = |_: &Name, organization: &Name| within.as_ref().is_none_or(|within| within.contains(organization));
    let found = models.list(after.map(name).as_ref(), limit, Some(&visible)).await.unwrap();
    found.iter().map(|model| model.name.to_string()).collect()
}

#[tokio::test]
async fn a_model_holds_its_organization_until_it_is_moved_or_deleted() {
    let (_store, organizations, models) = world().await;
    let (crm, north, south) = (name("crm"), name("north"), name("south"));
    let unknown = models.import(crm.clone(), Some(name("none")), DOCUMENT, false).await.unwrap_err();
    assert!(matches!(unknown, ModelError::OrganizationNotFound(_)), "{unknown}");
    assert!(models.get(&crm).await.is_err());

    models.import(crm.clone(), Some(north.clone()), DOCUMENT, false).await.unwrap();
    let again = models.import(crm.clone(), Some(south.clone()), DOCUMENT, false).await.unwrap_err();
    assert!(matches!(again, ModelError::Exists(_)), "{again}");
    let error = organizations.delete(&north).await.unwrap_err();
    assert!(matches!(&error, OrganizationError::InUse(uses) if *uses == [("model".to_owned(), "crm".to_owned())]));

    // A replacement that names none leaves it there, and one that names another moves it.
    assert_eq!(models.import(crm.clone(), None, DOCUMENT, true).await.unwrap().organization, north);
    assert_eq!(models.import(crm.clone(), Some(south.clone()), DOCUMENT, true).await.unwrap().organization, south);
    assert_eq!(models.get(&crm).await.unwrap().organization, south);
    organizations.delete(&north).await.unwrap();
    organizations.delete(&south).await.unwrap_err();
    models.delete(&crm).await.unwrap();
    organizations.delete(&south).await.unwrap();

    assert_eq!(models.import(crm, None, DOCUMENT, true).await.unwrap().organization.as_str(), "default");
}

#[tokio::test]
async fn lists_show_only_some_organizations_and_full_pages() {
    let (_store, _organizations, models) = world().await;
    for (text, organization) in
        [("a", "north"), ("b", "default"), ("c", "south"), ("d", "north"), ("e", "default"), ("f", "north")]
    {
        models.import(name(text), Some(name(organization)), DOCUMENT, false).await.unwrap();
    }
    assert_eq!(listed(&models, None, 9, None).await.concat(), "abcdef");
    assert_eq!(listed(&models, None, 9, Some(&["north"])).await.concat(), "adf");
    assert_eq!(listed(&models, None, 2, Some(&["north"])).await.concat(), "ad");
    assert_eq!(listed(&models, Some("d"), 2, Some(&["north"])).await.concat(), "f");
    assert_eq!(listed(&models, Some("a"), 2, Some(&["default", "south"])).await.concat(), "bc");
    assert_eq!(listed(&models, None, 9, Some(&["none"])).await.concat(), "");
    assert_eq!(listed(&models, None, 9, Some(&[])).await.concat(), "");
}

/// A record of a test's own table.
struct Thing(Name, Name);

impl Belongs for Thing {
    fn name(&self) -> &Name {
        &self.0
    }

    fn organization(&self) -> &Name {
        &self.1
    }
}

#[tokio::test]
async fn a_page_is_filled_from_as_many_reads_as_it_takes() {
    const THINGS: Table<(Name, Name)> = Table::new("thing");
    let store = MemoryStore::new();
    let mut batch = Batch::synced();
    for number in 0..2500 {
        let (thing, organization) = (format!("t{number:04}"), if number % 1000 == 7 { "rare" } else { "common" });
        THINGS.put(&mut batch, &[&thing], &(name(&thing), name(organization))).unwrap();
    }
    store.commit(batch).await.unwrap();
    let check = async |after: Option<&str>, limit, within: &[&str], expected: &[&str]| {
        let (after, within) = (after.map(name), names(within));
        let view = |(thing, organization)| Thing(thing, organization);
        let found = belonging::list(
            &THINGS,
            &store,
            after.as_ref(),
            limit,
            Some(&|_: &Name, organization: &Name| within.contains(organization)),
            view,
        )
        .await
        .unwrap();
        assert_eq!(found.iter().map(|thing| thing.0.as_str()).collect::<Vec<_>>(), expected);
    };
    check(None, 10, &["rare"], &["t0007", "t1007", "t2007"]).await;
    check(None, 2, &["rare"], &["t0007", "t1007"]).await;
    check(Some("t1007"), 2, &["rare"], &["t2007"]).await;
    check(Some("t2006"), 3, &["rare", "common"], &["t2007", "t2008", "t2009"]).await;
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_kept_after_it() {
    let (_store, organizations, _models) = world().await;
    let belonging = Belonging::new(organizations);
    let (crm, north, south) = (name("crm"), name("north"), name("south"));
    let of = async |read: &Name| belonging.of(&crm, async || Ok(Some(read.clone()))).await.unwrap().unwrap();
    let during = belonging
        .of(&crm, async || {
            belonging.forget(&crm);
            Ok(Some(north.clone()))
        })
        .await
        .unwrap();
    assert_eq!(during, Some(north.clone()));
    assert_eq!(of(&south).await, south, "the read that a change overtook was not kept");
    assert_eq!(of(&north).await, south, "from memory");
    belonging.forget(&crm);
    assert_eq!(of(&north).await, north);
    assert_eq!(belonging.of(&name("none"), async || Ok(None)).await.unwrap(), None);
}

#[tokio::test]
async fn records_from_before_there_were_organizations_belong_to_default() {
    let (store, _organizations, models) = world().await;
    models.import(name("crm"), Some(name("north")), DOCUMENT, false).await.unwrap();
    let mut batch = Batch::synced();
    for (key, value) in store.dump() {
        let Ok(mut record) = serde_json::from_slice::<serde_json::Value>(&value) else { continue };
        if key.starts_with(b"model\0") || key.starts_with(b"model-summary\0") {
            assert_eq!(record.as_object_mut().unwrap().remove("organization"), Some(json!("north")));
            batch.put(key, record.to_string());
        }
    }
    let integration = json!({
        "name": "old", "model": "crm", "scheme": "key", "scheme_document": {}, "flow": "api-key", "values": {},
        "secrets": {}, "settings": {}, "target": "01JD3Q5Z8Y0000000000000000",
        "created_at": "2026-11-22T10:00:00Z", "updated_at": "2026-11-22T10:00:00Z",
    });
    batch.put(INTEGRATIONS.key(&["old"]), integration.to_string());
    store.commit(batch).await.unwrap();
    assert_eq!(models.get(&name("crm")).await.unwrap().organization.as_str(), "default");
    assert_eq!(listed(&models, None, 9, Some(&["default"])).await, ["crm"]);
    let old = INTEGRATIONS.get(&*store, &["old"]).await.unwrap().unwrap();
    assert_eq!(IntegrationRecord::organization(&old.value).as_str(), "default");
    // One that moves away has nothing to let go, and is held from then on.
    let moved = models.import(name("crm"), Some(name("south")), DOCUMENT, true).await.unwrap();
    assert_eq!(moved.organization.as_str(), "south");
}

#[tokio::test]
async fn a_model_keeps_its_document_for_the_details_of_its_operations() {
    let (store, _, models) = world().await;
    let crm = name("crm");
    let document = |place: &str| {
        let operation = json!({"parameters": [{"name": "a", "in": place}]});
        json!({"openapi": "3.1.0", "info": {"title": "CRM", "version": "2"}, "paths": {"/a": {"get": operation}}})
            .to_string()
    };
    let place = |detail: Result<Arc<OperationDetail>, ModelError>| detail.unwrap().parameters[0].place;
    let first = models.import(crm.clone(), None, document("query").as_bytes(), false).await.unwrap();
    assert_eq!(place(models.detail(&crm, &first.digest, "GET", "/a").await), Place::Query);
    let none = models.detail(&crm, &first.digest, "GET", "/b").await.unwrap_err();
    assert!(matches!(none, ModelError::NoOperation(_)), "{none}");

    // Another document is told from the one that was read before; what is in memory still holds for that.
    let second = models.import(crm.clone(), None, document("header").as_bytes(), true).await.unwrap();
    let old = models.detail(&crm, &first.digest, "PUT", "/a").await.unwrap_err();
    assert!(matches!(old, ModelError::Replaced(_)), "{old}");
    assert_eq!(place(models.detail(&crm, &first.digest, "GET", "/a").await), Place::Query);
    assert_eq!(place(models.detail(&crm, &second.digest, "GET", "/a").await), Place::Header);

    // As in a store of an earlier version.
    let key = Table::<()>::new("model-document").key(&["crm"]);
    let mut batch = Batch::synced();
    batch.remove(key.clone());
    store.commit(batch).await.unwrap();
    let missing = models.detail(&crm, &second.digest, "PUT", "/a").await.unwrap_err();
    assert!(missing.to_string().contains("import it again"), "{missing}");
    models.import(crm.clone(), None, document("header").as_bytes(), true).await.unwrap();
    assert!(store.get(&key).await.unwrap().is_some());
    models.delete(&crm).await.unwrap();
    assert!(store.get(&key).await.unwrap().is_none());
}
