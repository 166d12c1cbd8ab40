//! Versions of the contract beside each other: what was built for an older one still runs.

use secrecy::ExposeSecret as _;

use super::guest::Guest;
use super::{context, engine};
use crate::flows::step::{Event, Purpose, Step};
use crate::flows::{Flows, Plugin};

/// A good flow for a version of the contract.
fn flow(name: &str, contract: &'static str) -> Vec<u8> {
    Guest { contract, ..Guest::good(name) }.build()
}

#[tokio::test]
async fn a_host_with_a_later_version_runs_both_at_once() {
    let flows = Flows::new(engine().clone());
    flows.install(flow("old", "0.1.0")).await.unwrap();
    flows.install(flow("new", "0.2.0")).await.unwrap();
    let contracts: Vec<_> = flows.list().iter().map(|plugin| plugin.contract()).collect();
    assert_eq!(contracts, ["0.2.0", "0.1.0"]);
    let (old, new) = (flows.get("old").unwrap(), flows.get("new").unwrap());
    let context = context();
    let begin = || Event::Begin(Purpose::Refresh);
    let (old, new) = tokio::join!(old.advance(&context, begin()), new.advance(&context, begin()));
    for run in [old, new] {
        let Ok(Step::Done(token)) = run.unwrap().outcome else { panic!("no token") };
        assert_eq!(token.access_token.unwrap().expose_secret(), "abc");
    }
}

#[tokio::test]
async fn an_upgrade_may_change_the_contract() {
    let flows = Flows::new(engine().clone());
    flows.install(flow("robot", "0.1.0")).await.unwrap();
    let running = flows.get("robot").unwrap();
    let installed = flows.install(flow("robot", "0.2.0")).await.unwrap();
    assert_eq!(installed.replaced.unwrap().contract(), "0.1.0");
    // An attempt under way ends with the component, and so with the version, that it began with.
    assert!(running.advance(&context(), Event::Begin(Purpose::Acquire)).await.is_ok());
}

#[tokio::test]
async fn one_version_is_not_another() {
    // Only the exported name says 0.1.0; the types are those of 0.2.0.
    let later = flow("liar", "0.2.0");
    let renamed = replaced(&later, b"tokenhost:flow/flow@0.2.0", b"tokenhost:flow/flow@0.1.0");
    let error = Plugin::load(engine(), renamed).await.unwrap_err().to_string();
    assert!(error.contains("tokenhost:flow/types@0.2.0"), "{error}");
    let unknown = replaced(&later, b"flow@0.2.0", b"flow@0.9.0");
    let error = Plugin::load(engine(), unknown).await.unwrap_err().to_string();
    assert!(error.contains("version 0.9.0 of the contract, and this host knows 0.2.0, 0.1.0"), "{error}");
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while at + from.len() <= bytes.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + from.len()].copy_from_slice(to);
        }
        at += 1;
    }
    bytes
}
