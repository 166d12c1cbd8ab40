//! Webhooks over a real receiver, a fake clock and a store that can be killed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chrono::DateTime;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::watch;

use super::signature::signatures;
use super::{Parts, WebhookChange, WebhookError, Webhooks};
use crate::clock::TestClock;
use crate::egress::{Egress, Policy};
use crate::name::Name;
use crate::notices::{Kind, Notice, Notices, Retention};
use crate::organizations::Organizations;
use crate::seal::{Keyring, MasterKey};
use crate::store::memory::MemoryStore;

/// What a receiver got.
#[derive(Clone)]
struct Got {
    id: String,
    timestamp: i64,
    signature: String,
    body: Bytes,
}

impl Got {
    fn message(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body["data"]["message"].as_str().unwrap().to_owned()
    }
}

/// A receiver that answers with a status that a test sets.
#[derive(Clone)]
struct Receiver {
    url: String,
    status: Arc<Mutex<u16>>,
    got: watch::Sender<Vec<Got>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Self { url, status: Arc::new(Mutex::new(204)), got: watch::Sender::new(Vec::new()) };
        let router = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn answer(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    /// What came, once so much did.
    async fn got(&self, count: usize) -> Vec<Got> {
        let mut got = self.got.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(60), got.wait_for(|got| got.len() >= count));
        waited.await.unwrap_or_else(|_| panic!("{count} wanted")).unwrap().clone()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    let got = Got {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp").parse().unwrap(),
        signature: text("webhook-signature"),
        body,
    };
    let status = StatusCode::from_u16(*receiver.status.lock().unwrap()).unwrap();
    receiver.got.send_modify(|all| all.push(got));
    status
}

struct World {
    store: Arc<MemoryStore>,
    clock: Arc<TestClock>,
    master: Arc<MasterKey>,
    notices: Arc<Notices>,
    webhooks: Webhooks,
}

impl World {
    async fn new() -> Self {
        let clock = TestClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        Self::on(Arc::new(MemoryStore::new()), clock, Arc::new(MasterKey::generate("a test").unwrap())).await
    }

    async fn on(store: Arc<MemoryStore>, clock: Arc<TestClock>, master: Arc<MasterKey>) -> Self {
        let policy =
            Policy { allow_networks: vec!["127.0.0.0/8".parse().unwrap()], allow_http: true, ..Policy::default() };
        let notices = Notices::open(store.clone(), clock.clone(), Retention::default()).await.unwrap();
        let parts = Parts {
            store: store.clone(),
            keyring: Arc::new(Keyring::load_or_create(&*store, &master).await.unwrap()),
            clock: clock.clone(),
            organizations: Arc::new(Organizations::open(store.clone(), clock.clone()).await.unwrap()),
            notices: notices.clone(),
            egress: Arc::new(Egress::new(policy, clock.clone())),
        };
        let webhooks = Webhooks::open(parts).await.unwrap();
        Self { store, clock, master, notices, webhooks }
    }

    async fn after_kill(&self) -> Self {
        Self::on(Arc::new(self.store.kill()), self.clock.clone(), self.master.clone()).await
    }

    async fn tell(&self, kind: Kind, text: &str, integration: &str) {
        let organization = "default".parse().unwrap();
        self.notices.tell(Notice::new(kind, text).on(&integration.parse().unwrap(), &organization));
        self.notices.settled().await;
    }

    /// Waits until the webhook is so.
    async fn until(&self, is: impl Fn(&super::Webhook, &super::Progress) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                let (webhook, progress) = self.webhooks.read(&name()).unwrap();
                if is(&webhook, &progress) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{:?}", self.webhooks.read(&name()).unwrap().1));
    }

    /// Has the task look anew, as after some time that only the clock of a test lets pass.
    async fn wake(&self) {
        self.webhooks.change(&name(), WebhookChange::default()).await.unwrap();
    }
}

fn name() -> Name {
    "ops".parse().unwrap()
}

fn to(receiver: &Receiver) -> WebhookChange {
    WebhookChange { url: Some(receiver.url.clone()), ..WebhookChange::default() }
}

fn is_signed(got: &Got, secret: &SecretString) -> bool {
    let expected = signatures(std::slice::from_ref(secret), &got.id, got.timestamp, &got.body);
    got.signature.split(' ').any(|one| one == expected)
}

#[tokio::test]
async fn events_from_its_making_on_are_delivered_once_in_order_and_signed() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.tell(Kind::PersonNeeded, "before", "crm").await;
    let (_, _, secret) = world.webhooks.create(name(), to(&receiver)).await.unwrap();
    for text in ["one", "two"] {
        world.tell(Kind::PersonNeeded, text, "crm").await;
    }
    let got = receiver.got(2).await;
    assert_eq!(got.iter().map(Got::message).collect::<Vec<_>>(), ["one", "two"]);
    assert!(got.iter().all(|got| is_signed(got, &secret) && got.timestamp == 1_800_000_000));
    let body: Value = serde_json::from_slice(&got[0].body).unwrap();
    assert_eq!((&body["type"], &body["data"]["integration"]), (&"token.person_needed".into(), &"crm".into()));
    assert_eq!(body["data"]["id"], got[0].id.as_str());
    world.until(|_, progress| progress.delivered == 2).await;
    // What was acknowledged isn't delivered again after a kill; what comes then is.
    let world = world.after_kill().await;
    world.tell(Kind::PersonNeeded, "three", "crm").await;
    let got = receiver.got(3).await;
    assert_eq!((got.len(), got[2].message().as_str()), (3, "three"));
}

#[tokio::test]
async fn what_fails_is_tried_again_under_the_same_id_across_a_kill() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    receiver.answer(503);
    world.webhooks.create(name(), to(&receiver)).await.unwrap();
    world.tell(Kind::PersonNeeded, "one", "crm").await;
    let first = receiver.got(1).await[0].clone();
    world.until(|_, progress| progress.waiting() == 1).await;
    receiver.answer(200);
    world.clock.advance(Duration::from_secs(3600));
    let world = world.after_kill().await;
    let got = receiver.got(2).await;
    assert_eq!((got[1].id.as_str(), got[1].message().as_str()), (first.id.as_str(), "one"));
    assert_eq!(got[1].timestamp, first.timestamp + 3600, "the signature is that of this try");
    world.until(|_, progress| progress.waiting() == 0 && progress.delivered == 1).await;
    let (_, progress) = world.webhooks.read(&name()).unwrap();
    let last: Vec<_> = progress.last.iter().map(|delivery| (delivery.tries, delivery.status)).collect();
    assert_eq!(last, [(2, Some(200)), (1, Some(503))]);
}

#[tokio::test]
async fn only_what_is_wanted_goes_out() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    let change = WebhookChange {
        kinds: Some(vec!["token.person_needed".to_owned()]),
        integrations: Some(vec!["crm".to_owned()]),
        organizations: Some(vec!["default".to_owned()]),
        ..to(&receiver)
    };
    world.webhooks.create(name(), change).await.unwrap();
    world.tell(Kind::PersonNeeded, "of another", "erp").await;
    world.tell(Kind::TokenRenewed, "of another kind", "crm").await;
    world.tell(Kind::PersonNeeded, "this", "crm").await;
    assert_eq!(receiver.got(1).await[0].message(), "this");
    world.until(|_, progress| progress.delivered == 1).await;
    assert_eq!(receiver.got(1).await.len(), 1);
}

#[tokio::test]
async fn one_that_fails_for_long_is_disabled_which_is_an_event_and_can_be_undone() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    receiver.answer(500);
    world.webhooks.create(name(), to(&receiver)).await.unwrap();
    for text in ["one", "two", "three"] {
        world.tell(Kind::PersonNeeded, text, "crm").await;
    }
    world.until(|_, progress| progress.is_down()).await;
    // Its task waits by the real clock; the event's own time is the test's. A test of it wakes the task.
    world.clock.advance(Duration::from_secs(49 * 3600));
    assert_eq!(world.webhooks.test(&name()).await.unwrap().status, Some(500));
    world.until(|webhook, _| webhook.disabled.is_some()).await;
    world.notices.settled().await;
    let last = world.notices.before(None, 1).await.unwrap().remove(0);
    assert_eq!((last.kind, &last.webhook), (Kind::WebhookDisabled, &Some(name())));
    assert!(last.message.contains("status 500") && last.remedy.contains("--enable"), "{last:?}");

    let world = world.after_kill().await;
    receiver.answer(200);
    let enable = WebhookChange { enabled: Some(true), ..WebhookChange::default() };
    world.webhooks.change(&name(), enable).await.unwrap();
    world.until(|webhook, progress| webhook.disabled.is_none() && progress.delivered == 3).await;
}

#[tokio::test]
async fn a_rotated_secret_signs_beside_the_new_one_for_its_grace() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    let (_, _, old) = world.webhooks.create(name(), to(&receiver)).await.unwrap();
    let (_, new) = world.webhooks.rotate(&name(), Duration::from_secs(60)).await.unwrap();
    let world = world.after_kill().await;
    assert!(world.webhooks.test(&name()).await.unwrap().is_done());
    world.clock.advance(Duration::from_secs(61));
    assert!(world.webhooks.test(&name()).await.unwrap().is_done());
    let got = receiver.got(2).await;
    assert!(is_signed(&got[0], &old) && is_signed(&got[0], &new));
    assert!(!is_signed(&got[1], &old) && is_signed(&got[1], &new));
    let debug = format!("{:?}", world.webhooks.read(&name()).unwrap());
    assert!(!debug.contains("whsec_"), "{debug}");
}

#[tokio::test]
async fn gone_means_gone_and_a_deleted_one_leaves_nothing() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    receiver.answer(410);
    world.webhooks.create(name(), to(&receiver)).await.unwrap();
    world.tell(Kind::PersonNeeded, "one", "crm").await;
    world.until(|webhook, _| webhook.disabled.is_some()).await;
    world.wake().await;
    world.webhooks.delete(&name()).await.unwrap();
    let world = world.after_kill().await;
    assert!(matches!(world.webhooks.read(&name()), Err(WebhookError::NotFound(_))));
    assert!(world.webhooks.list().is_empty());
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let world = World::new().await;
    let wrong = WebhookChange {
        url: Some("ftp://x".to_owned()),
        kinds: Some(vec!["token.eaten".to_owned(), "webhook.test".to_owned()]),
        integrations: Some(vec!["A B".to_owned()]),
        organizations: Some(vec!["nowhere".to_owned()]),
        ..WebhookChange::default()
    };
    let Err(WebhookError::Invalid(faults)) = world.webhooks.create(name(), wrong).await else { panic!("it was made") };
    let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["kinds", "kinds", "integrations", "organizations", "url"]);
    for url in ["http://169.254.169.254/latest", "http://user:pw@127.0.0.1/", "nothing"] {
        let change = WebhookChange { url: Some(url.to_owned()), ..WebhookChange::default() };
        assert!(matches!(world.webhooks.create(name(), change).await, Err(WebhookError::Invalid(_))), "{url}");
    }
}
