//! The shelf over a real engine, with components without a toolchain.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;

use super::{LimitChanges, Parts, Shelf, ShelfError, Terms};
use crate::audit::{Audit, Filter, Retention, Window};
use crate::clock::TestClock;
use crate::flows::Catalog as _;
use crate::flows::component::digest;
use crate::flows::registry::Flows;
use crate::flows::step::{Event, Purpose};
use crate::flows::tests::guest::Guest;
use crate::flows::tests::{context, engine};
use crate::name::Name;
use crate::notices::{self, Kind, Notices};
use crate::package::{Manifest, Package, PrivateKey};
use crate::seal::{Keyring, MasterKey};
use crate::store::memory::MemoryStore;

/// What a shelf stands on, and stays when the daemon goes.
struct World {
    store: Arc<MemoryStore>,
    clock: Arc<TestClock>,
    folder: tempfile::TempDir,
    keyring: Keyring,
    /// Components that ship.
    shipped: Vec<Vec<u8>>,
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let keyring = Keyring::load_or_create(&*store, &MasterKey::generate("a test").unwrap()).await.unwrap();
        let clock = TestClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        Self { store, clock, folder: tempfile::tempdir().unwrap(), keyring, shipped: Vec::new() }
    }

    /// A daemon's start.
    async fn open(&self) -> (Arc<Shelf>, Arc<Audit>) {
        let flows = Arc::new(Flows::new(engine().clone()));
        for component in &self.shipped {
            flows.install(component.clone()).await.unwrap();
        }
        let audit = Audit::open(self.store.clone(), &self.keyring, self.clock.clone(), Retention::default()).await;
        let audit = Arc::new(audit.unwrap());
        let folder = self.folder.path().join("flows");
        let parts =
            Parts { store: self.store.clone(), clock: self.clock.clone(), flows, audit: Arc::clone(&audit), folder };
        (Shelf::open(parts).await.unwrap(), audit)
    }

    /// The only file of a flow with this digest.
    fn file(&self, name: &str, component: &[u8]) -> std::path::PathBuf {
        self.folder.path().join("flows").join(format!("{name}-{}.wasm", &digest(component)[..16]))
    }
}

fn version(name: &str, version: &str) -> Vec<u8> {
    let mut guest = Guest::good(name);
    guest.version = version.to_owned();
    guest.build()
}

fn unsigned() -> Terms {
    Terms { unsigned: true, publisher_change: false, by: "user/ada".to_owned() }
}

fn robot() -> Name {
    "robot".parse().unwrap()
}

async fn upgrade(shelf: &Shelf, bytes: Vec<u8>, terms: &Terms) -> Result<(), ShelfError> {
    let prepared = shelf.prepare(&robot(), bytes.into(), terms).await?;
    shelf.upgrade(prepared, terms).await.map(drop)
}

fn served(shelf: &Shelf) -> Option<String> {
    Some(shelf.get("robot")?.description().version.clone())
}

#[tokio::test]
async fn what_is_installed_is_served_after_a_restart_and_goes_back_and_forth() {
    let world = World::new().await;
    let (shelf, _) = world.open().await;
    assert!(matches!(
        shelf.install(version("robot", "1.0.0").into(), &Terms::default()).await,
        Err(ShelfError::Unsigned)
    ));
    shelf.install(version("robot", "1.0.0").into(), &unsigned()).await.unwrap();
    assert!(matches!(
        shelf.install(version("robot", "1.0.0").into(), &unsigned()).await,
        Err(ShelfError::Installed(_))
    ));
    // Whoever runs, ends with what it began with.
    let running = shelf.get("robot").unwrap();
    for number in 1..=6 {
        upgrade(&shelf, version("robot", &format!("1.{number}.0")), &unsigned()).await.unwrap();
    }
    assert!(running.advance(&context(), Event::Begin(Purpose::Acquire)).await.unwrap().outcome.is_ok());
    let versions = |shelf: &Shelf| {
        let record = shelf.standing("robot").unwrap().record.unwrap();
        record.versions.iter().map(|version| version.version.clone()).collect::<Vec<_>>()
    };
    assert_eq!(versions(&shelf), ["1.6.0", "1.5.0", "1.4.0", "1.3.0", "1.2.0"]);
    assert_eq!(std::fs::read_dir(world.folder.path().join("flows")).unwrap().count(), 5);
    shelf.roll_back(&robot(), None).await.unwrap();
    shelf.roll_back(&robot(), None).await.unwrap();
    assert_eq!(served(&shelf).as_deref(), Some("1.4.0"));

    let (shelf, _) = world.open().await;
    assert_eq!((served(&shelf).as_deref(), versions(&shelf).len()), (Some("1.4.0"), 5));
    shelf.roll_back(&robot(), Some(&digest(&version("robot", "1.6.0"))[..12])).await.unwrap();
    assert_eq!(served(&shelf).as_deref(), Some("1.6.0"));
    assert!(matches!(shelf.roll_back(&robot(), Some("0123456789")).await, Err(ShelfError::NoForerunner(_))));
    shelf.remove(&robot()).await.unwrap();
    assert!(served(&shelf).is_none() && shelf.standing("robot").is_none());
    assert_eq!(std::fs::read_dir(world.folder.path().join("flows")).unwrap().count(), 0);
    assert!(matches!(shelf.remove(&robot()).await, Err(ShelfError::NotInstalled(_))));
    assert!(matches!(
        shelf.prepare(&robot(), version("robot", "1.0.0").into(), &unsigned()).await,
        Err(ShelfError::NothingToUpgrade(_))
    ));
    assert!(world.open().await.0.list().is_empty());
}

#[tokio::test]
async fn a_file_that_was_changed_is_not_loaded_and_says_so() {
    let mut world = World::new().await;
    world.shipped.push(version("robot", "0.9.0"));
    let (shelf, _) = world.open().await;
    let (first, second) = (version("robot", "1.0.0"), version("robot", "2.0.0"));
    let terms = Terms { publisher_change: true, ..unsigned() };
    upgrade(&shelf, first.clone(), &terms).await.unwrap();
    upgrade(&shelf, second.clone(), &terms).await.unwrap();
    std::fs::write(world.file("robot", &first), version("robot", "6.6.6")).unwrap();
    let error = shelf.roll_back(&robot(), None).await.unwrap_err().to_string();
    assert!(error.contains("isn't the component that was installed") && error.contains(&digest(&first)), "{error}");
    assert_eq!(served(&shelf).as_deref(), Some("2.0.0"));

    std::fs::write(world.file("robot", &second), version("robot", "6.6.6")).unwrap();
    std::fs::write(world.folder.path().join("flows/dropped.wasm"), version("dropped", "1.0.0")).unwrap();
    let (shelf, _) = world.open().await;
    // Neither what is there now, nor the one that ships in its place; nor what nobody installed.
    assert!(served(&shelf).is_none() && shelf.get("dropped").is_none());
    assert_eq!(shelf.problems(), 1);
    let standing = &shelf.list()[0];
    assert!(standing.problem.as_ref().unwrap().contains(&digest(&second)), "{standing:?}");
    let barred = shelf.absent("robot").unwrap();
    assert_eq!(barred.code, "flow_not_served");
    assert!(barred.message.contains("flow robot isn't served") && barred.message.contains("flow upgrade FILE"));
    // Who installs it again, has it again.
    let prepared = shelf.prepare(&robot(), second.clone().into(), &unsigned()).await.unwrap();
    assert!(!prepared.difference.compared && prepared.difference.from.version == "2.0.0");
    shelf.upgrade(prepared, &unsigned()).await.unwrap();
    assert_eq!((served(&shelf).as_deref(), shelf.problems()), (Some("2.0.0"), 0));
    shelf.remove(&robot()).await.unwrap();
    assert_eq!(served(&shelf).as_deref(), Some("0.9.0"));
}

/// A package of a component.
fn packed(component: &[u8], name: &str, version: &str, key: &PrivateKey) -> Vec<u8> {
    let manifest = Manifest {
        name: name.to_owned(),
        version: version.to_owned(),
        contract: "0.1.0".to_owned(),
        sha256: digest(component),
        size: component.len() as u64,
        publisher: key.public().id(),
        homepage: None,
        license: Some("MIT".to_owned()),
    };
    Package::write(&manifest, component, key).unwrap()
}

#[tokio::test]
async fn only_what_a_trusted_publisher_signed_is_taken() {
    let world = World::new().await;
    let (shelf, _) = world.open().await;
    let (acme, other) = (PrivateKey::generate(), PrivateKey::generate());
    let component = version("robot", "1.0.0");
    let package = packed(&component, "robot", "1.0.0", &acme);
    let strict = Terms { by: "user/ada".to_owned(), ..Terms::default() };
    let install = async |bytes: Vec<u8>| shelf.install(Bytes::from(bytes), &strict).await.map(drop);
    let error = install(package.clone()).await.unwrap_err().to_string();
    assert!(error.contains(&acme.public().id()) && error.contains("flow trust"), "{error}");
    let name: Name = "acme".parse().unwrap();
    shelf.trust(name.clone(), &acme.public().to_string(), "user/ada").await.unwrap();
    assert!(matches!(
        shelf.trust("again".parse().unwrap(), &acme.public().to_string(), "x").await,
        Err(ShelfError::PublisherExists(_))
    ));
    assert!(matches!(
        shelf.trust(name.clone(), &other.public().to_string(), "x").await,
        Err(ShelfError::PublisherExists(_))
    ));
    assert!(matches!(shelf.trust("x".parse().unwrap(), "no key", "x").await, Err(ShelfError::Key(_))));
    assert!(matches!(install(packed(&component, "other", "1.0.0", &acme)).await, Err(ShelfError::Mislabelled { .. })));
    install(package).await.unwrap();
    let record = shelf.standing("robot").unwrap().record.unwrap();
    let version_of = record.version().unwrap();
    assert_eq!(version_of.publisher.as_ref().unwrap().name, name);
    assert_eq!((version_of.installed_by.as_str(), version_of.license.as_deref()), ("user/ada", Some("MIT")));

    // From somebody else, even where nobody needs to have signed.
    let second = version("robot", "2.0.0");
    let prepared = shelf.prepare(&robot(), second.clone().into(), &unsigned()).await.unwrap();
    assert!(prepared.difference.publisher_changes);
    assert!(matches!(shelf.upgrade(prepared, &unsigned()).await, Err(ShelfError::OtherPublisher { .. })));
    upgrade(&shelf, packed(&second, "robot", "2.0.0", &acme), &strict).await.unwrap();
    // What was signed stays when its publisher is trusted no longer; more of it isn't taken.
    shelf.distrust(&name).await.unwrap();
    assert!(matches!(shelf.distrust(&name).await, Err(ShelfError::NoPublisher(_))));
    assert_eq!(served(&world.open().await.0).as_deref(), Some("2.0.0"));
    let third = packed(&version("robot", "3.0.0"), "robot", "3.0.0", &acme);
    assert!(matches!(upgrade(&shelf, third, &strict).await, Err(ShelfError::Untrusted(_))));
    assert!(shelf.publishers(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_flow_that_fails_again_and_again_is_put_under_quarantine_until_it_is_released() {
    let world = World::new().await;
    let (shelf, audit) = world.open().await;
    let kept = notices::Retention::default();
    let notices = Notices::open(world.store.clone(), world.clock.clone(), kept).await.unwrap();
    shelf.tell_to(Arc::clone(&notices));
    shelf.install(version("robot", "1.0.0").into(), &unsigned()).await.unwrap();
    let flow = shelf.get("robot").unwrap();
    for _ in 0..4 {
        shelf.report(&*flow, "crm", Err("it trapped"));
    }
    shelf.report(&*flow, "crm", Ok(()));
    for _ in 0..4 {
        shelf.report(&*flow, "crm", Err("it trapped"));
        shelf.admit(&*flow, true).unwrap();
    }
    shelf.report(&*flow, "crm", Err("it trapped"));
    let barred = shelf.admit(&*flow, false).unwrap_err();
    assert_eq!(barred.code, "flow_quarantined");
    assert!(barred.message.contains("it trapped") && barred.message.contains("flow release robot"), "{barred:?}");
    notices.settled().await;
    let told = notices.before(None, 10).await.unwrap();
    assert_eq!((told.len(), told[0].kind, told[0].flow.as_deref()), (1, Kind::FlowQuarantined, Some("robot")));
    assert_eq!(told[0].remedy, "tokenhost flow release robot");
    // It is on disk before long, and in the audit log.
    let quarantines = Filter { action: Some("flow.quarantine".to_owned()), ..Filter::default() };
    let written = async || {
        let found = audit.list(&quarantines, Window { after: None, limit: 10, newest_first: true }).await;
        !found.unwrap().records.is_empty()
    };
    while !written().await {
        tokio::task::yield_now().await;
    }
    let (shelf, _) = world.open().await;
    assert!(shelf.admit(&*shelf.get("robot").unwrap(), true).is_err());
    shelf.release(&robot()).await.unwrap();
    shelf.admit(&*shelf.get("robot").unwrap(), true).unwrap();
    assert!(matches!(shelf.release(&robot()).await, Err(ShelfError::NotQuarantined(_))));
    let (shelf, _) = world.open().await;
    let flow = shelf.get("robot").unwrap();
    shelf.admit(&*flow, true).unwrap();

    // Another component lifts it too; and what the old one still does is no fault of the new one.
    for _ in 0..5 {
        shelf.report(&*flow, "crm", Err("it trapped"));
    }
    assert!(shelf.admit(&*flow, true).is_err());
    upgrade(&shelf, version("robot", "1.1.0"), &unsigned()).await.unwrap();
    for _ in 0..5 {
        shelf.report(&*flow, "crm", Err("it trapped"));
    }
    shelf.admit(&*shelf.get("robot").unwrap(), true).unwrap();
}

#[tokio::test]
async fn limits_hold_for_the_present_component_and_the_next() {
    let world = World::new().await;
    let (shelf, _) = world.open().await;
    shelf.install(version("robot", "1.0.0").into(), &unsigned()).await.unwrap();
    let running = shelf.get("robot").unwrap();
    let limits = LimitChanges { memory: Some(2 << 20), attempts_per_minute: Some(2), ..LimitChanges::default() };
    shelf.limit(&robot(), limits).await.unwrap();
    let error = running.advance(&context(), Event::Begin(Purpose::Acquire)).await.unwrap_err().fault;
    assert!(error.contains("more than 2 MiB of memory") && error.contains("flow limit robot --memory"), "{error}");
    upgrade(&shelf, version("robot", "1.1.0"), &unsigned()).await.unwrap();
    let (shelf, _) = world.open().await;
    let flow = shelf.get("robot").unwrap();
    assert_eq!((flow.limits().memory, flow.limits().attempts_per_minute), (2 << 20, Some(2)));
    shelf.admit(&*flow, true).unwrap();
    shelf.admit(&*flow, true).unwrap();
    let barred = shelf.admit(&*flow, true).unwrap_err();
    assert_eq!((barred.code, barred.retry_after), ("limit_exceeded", Duration::from_secs(60)));
    assert!(barred.message.contains("flow limit robot --attempts-per-minute"), "{barred:?}");
    // What goes on from a stored answer isn't one more.
    shelf.admit(&*flow, false).unwrap();
    world.clock.advance(Duration::from_secs(60));
    shelf.admit(&*flow, true).unwrap();
    shelf.limit(&robot(), LimitChanges::default()).await.unwrap();
    assert_eq!(flow.limits(), engine().limits());
    assert!(matches!(shelf.limit(&"none".parse().unwrap(), limits).await, Err(ShelfError::NotFound(_))));
}

#[tokio::test]
async fn a_secret_is_revealed_to_one_component_alone() {
    let world = World::new().await;
    let (shelf, _) = world.open().await;
    shelf.install(version("robot", "1.0.0").into(), &unsigned()).await.unwrap();
    let crm: Name = "crm".parse().unwrap();
    let made_at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let revealed = |shelf: &Shelf, name: &str| shelf.revealed(&*shelf.get("robot").unwrap(), name, made_at);
    assert!(revealed(&shelf, "crm").is_empty());
    shelf.reveal(&robot(), (&crm, made_at), "client_secret", "user/ada").await.unwrap();
    assert_eq!(revealed(&shelf, "crm"), ["client_secret"]);
    assert!(revealed(&shelf, "hr").is_empty());
    // Another integration of the same name, made later, is another one.
    let later = made_at + chrono::TimeDelta::seconds(1);
    assert!(shelf.revealed(&*shelf.get("robot").unwrap(), "crm", later).is_empty());
    let (shelf, _) = world.open().await;
    assert_eq!(revealed(&shelf, "crm"), ["client_secret"]);

    let second = version("robot", "1.1.0");
    let prepared = shelf.prepare(&robot(), second.into(), &unsigned()).await.unwrap();
    assert_eq!(prepared.difference.revealed_void, ["crm/client_secret"]);
    shelf.upgrade(prepared, &unsigned()).await.unwrap();
    assert!(revealed(&shelf, "crm").is_empty());
    shelf.roll_back(&robot(), None).await.unwrap();
    assert_eq!(revealed(&shelf, "crm"), ["client_secret"]);
    shelf.conceal(&robot(), &crm, "client_secret").await.unwrap();
    assert!(revealed(&shelf, "crm").is_empty());
    assert!(matches!(shelf.conceal(&robot(), &crm, "client_secret").await, Err(ShelfError::NotRevealed { .. })));
}
