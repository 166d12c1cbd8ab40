//! Bad plugins while others work: rule 11.

use std::sync::Arc;
use std::time::Duration;

use super::guest::Guest;
use super::{context, load};
use crate::flows::step::{Event, Purpose};
use crate::flows::{Engine, EngineOptions, Flow, Plugin};

const LOOP: &str = "(loop $again (br $again)) (unreachable)";

/// Looks again until it holds.
async fn eventually(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_looping_plugins_disturb_nobody() {
    // So much time that no loop ends by itself while the test runs.
    let options = EngineOptions { cpu_budget: Duration::from_secs(3600), ..EngineOptions::default() };
    let engine = Engine::new(options).unwrap();
    let free = engine.slots().available_permits();
    let mut loops = Vec::new();
    for name in ["first", "second"] {
        let plugin = Arc::new(Plugin::load(&engine, Guest::answering(name, LOOP).build()).await.unwrap());
        // More than its share of slots.
        for _ in 0..40 {
            let plugin = Arc::clone(&plugin);
            loops.push(tokio::spawn(async move { plugin.advance(&context(), Event::Begin(Purpose::Acquire)).await }));
        }
    }
    let share = engine.slots_per_plugin();
    eventually(|| engine.slots().available_permits() == free - 2 * share).await;

    let good = Arc::new(Plugin::load(&engine, Guest::good("good").build()).await.unwrap());
    let steps: Vec<_> = (0..100)
        .map(|_| {
            let good = Arc::clone(&good);
            tokio::spawn(async move { good.advance(&context(), Event::Begin(Purpose::Acquire)).await })
        })
        .collect();
    for step in steps {
        assert!(step.await.unwrap().unwrap().outcome.is_ok());
    }
    assert!(loops.iter().all(|looping| !looping.is_finished()));

    // Whoever waits for a step can stop waiting; its slot is free again.
    loops.iter().for_each(tokio::task::JoinHandle::abort);
    eventually(|| engine.slots().available_permits() == free).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_end_and_the_next_step_works() {
    let looping = Arc::new(load(&Guest::answering("looping", LOOP)).await);
    let running: Vec<_> = (0..4)
        .map(|_| {
            let looping = Arc::clone(&looping);
            tokio::spawn(async move { looping.advance(&context(), Event::Begin(Purpose::Acquire)).await })
        })
        .collect();
    for step in running {
        assert!(step.await.unwrap().unwrap_err().fault.contains("processor time"));
    }
}

#[tokio::test]
async fn more_steps_than_slots_queue() {
    let engine = Engine::new(EngineOptions { slots: 2, ..EngineOptions::default() }).unwrap();
    let good = Arc::new(Plugin::load(&engine, Guest::good("good").build()).await.unwrap());
    let slow = Guest::answering("slow", "(local $i i32) (loop $again
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000000)))) (i32.const 1024)");
    let slow = Arc::new(Plugin::load(&engine, slow.build()).await.unwrap());
    let steps: Vec<_> = (0..40)
        .map(|index| {
            let plugin = Arc::clone(if index % 10 == 0 { &slow } else { &good });
            tokio::spawn(async move { plugin.advance(&context(), Event::Begin(Purpose::Acquire)).await })
        })
        .collect();
    for step in steps {
        assert!(step.await.unwrap().unwrap().outcome.is_ok());
    }
}
