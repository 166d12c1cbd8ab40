//! What a plugin can do wrong in a call, and what its author is told.

use secrecy::ExposeSecret as _;

use super::guest::{ACCESS_TOKEN, DONE, EXPIRES_AT, FAILED, Guest, TOKEN};
use super::{context, engine, load};
use crate::flows::step::{Event, Failure, Purpose, Remedy, Step};
use crate::flows::{Flow as _, Plugin};

/// Runs one step of a plugin that is bad in it, and looks for words in what is said.
async fn check(guest: Guest, words: &[&str]) {
    let plugin = load(&guest).await;
    let error = plugin.advance(&context(), Event::Begin(Purpose::Acquire)).await.unwrap_err();
    let said = error.to_string();
    let beginning = format!("flow {} 1.0.0 ({}): ", guest.name, &plugin.digest()[..12]);
    assert!(said.starts_with(&beginning), "{said}");
    for word in words {
        assert!(said.contains(word), "{said}\nshould contain {word}");
    }
}

#[tokio::test]
async fn a_good_plugin_answers() {
    let plugin = load(&Guest::good("good")).await;
    assert_eq!((plugin.description().name.as_str(), plugin.description().fields.len()), ("good", 1));
    assert_eq!((plugin.contract(), plugin.wasi().len()), ("0.1.0", 0));
    let run = plugin.advance(&context(), Event::Begin(Purpose::Acquire)).await.unwrap();
    let Ok(Step::Done(token)) = run.outcome else { panic!("{run:?}") };
    assert_eq!(token.access_token.unwrap().expose_secret(), "abc");
    assert_eq!((token.expires_in, token.scope, token.placing.signer.is_none()), (None, None, true));

    let plugin = load(&Guest::answering("failing", &format!("(i32.const {FAILED})"))).await;
    let run = plugin.advance(&context(), Event::Begin(Purpose::Acquire)).await.unwrap();
    let expected = Failure {
        code: "invalid_client".to_owned(),
        message: "No such client.".to_owned(),
        remedy: Remedy::Reconfigure,
    };
    assert_eq!(run.outcome.unwrap_err(), expected);
}

#[tokio::test]
async fn nothing_is_left_of_a_step_in_the_next() {
    // Each step counts on in its own memory, and answers with the count.
    let count = format!(
        "(i64.store (i32.const {at}) (i64.add (i64.load (i32.const {at})) (i64.const 1)))
         (i32.store (i32.const {EXPIRES_AT}) (i32.const 1)) (i32.const {DONE})",
        at = EXPIRES_AT + 8
    );
    let plugin = load(&Guest::answering("counting", &count)).await;
    for _ in 0..3 {
        let run = plugin.advance(&context(), Event::Begin(Purpose::Acquire)).await.unwrap();
        let Ok(Step::Done(token)) = run.outcome else { panic!("{run:?}") };
        assert_eq!(token.expires_at, Some(1));
    }
}

#[tokio::test]
async fn endless_loop() {
    check(
        Guest::answering("looping", "(loop $again (br $again)) (unreachable)"),
        &["0.1 s of processor time", "endless loop", "advance"],
    )
    .await;
}

#[tokio::test]
async fn memory_and_tables_without_end() {
    let grow = "(loop $again (drop (memory.grow (i32.const 64))) (br $again)) (unreachable)";
    check(Guest::answering("growing", grow), &["more than 256 MiB of memory", "advance"]).await;
    let mut tables = Guest::answering("growing", "(call $grow)");
    // One table can't exceed the pool's, so that growth fails, and the loop runs out of its time.
    tables.functions = "(table $t 0 funcref)
        (func $grow (result i32) (loop $again (drop (table.grow $t (ref.null func) (i32.const 10000))) (br $again)) (unreachable))"
        .to_owned();
    check(tables, &["processor time"]).await;
}

#[tokio::test]
async fn traps_name_the_functions() {
    let mut guest = Guest::answering("trapping", "(call $outer)");
    guest.functions = "(func $outer (result i32) (call $inner)) (func $inner (result i32) (unreachable))".to_owned();
    check(guest, &["it trapped", "`unreachable`", "in inner, called by outer, called by advance"]).await;
    check(Guest::answering("dividing", "(i32.div_u (i32.const 1) (i32.const 0))"), &["integer divide by zero"]).await;
    check(Guest::answering("wild", "(i32.load (i32.const -8))"), &["out of bounds memory access"]).await;
}

#[tokio::test]
async fn endless_recursion() {
    let mut guest = Guest::answering("recursing", "(call $deeper (i32.const 0))");
    guest.functions = "(func $deeper (param i32) (result i32)
        (i32.add (i32.const 1) (call $deeper (i32.add (local.get 0) (i32.const 1)))))"
        .to_owned();
    check(guest, &["nest too deeply", "recursion", "deeper"]).await;
}

#[tokio::test]
async fn an_answer_of_100_mb() {
    let mut guest = Guest::answering(
        "bragging",
        &format!(
            "(i32.store (i32.const {ACCESS_TOKEN}) (i32.const 0))
             (i32.store (i32.const {}) (i32.const 104857600)) (i32.const {DONE})",
            ACCESS_TOKEN + 4
        ),
    );
    guest.pages = 1700;
    check(guest, &["answered with more than 8 MiB"]).await;

    // The same few bytes a million times over.
    let mut guest = Guest::answering(
        "repeating",
        &format!("(i32.store (i32.const {}) (i32.const 4000000)) (i32.const {DONE})", TOKEN + 104),
    );
    guest.pages = 1700;
    check(guest, &["answered with more than 8 MiB"]).await;
}

#[tokio::test]
async fn garbage() {
    let not_in_contract = "its answer isn't one of the contract: ";
    for (answer, word) in [
        // Addresses that aren't there, or aren't aligned.
        ("(i32.const -16)".to_owned(), "out of bounds"),
        (format!("(i32.const {})", DONE + 1), "aligned"),
        (format!("(i32.store (i32.const {ACCESS_TOKEN}) (i32.const -4)) (i32.const {DONE})"), "out of bounds"),
        // Cases that the contract hasn't.
        (format!("(i32.store8 (i32.const {DONE}) (i32.const 7)) (i32.const {DONE})"), "discriminant"),
        (format!("(i32.store8 (i32.const {}) (i32.const 9)) (i32.const {DONE})", DONE + 8), "discriminant"),
        // Text that isn't UTF-8.
        (format!("(i32.store8 (i32.load (i32.const {ACCESS_TOKEN})) (i32.const 255)) (i32.const {DONE})"), "utf-8"),
        // What the types allow and the contract doesn't.
        (
            format!("(i32.store (i32.const {}) (i32.const 0)) (i32.const {DONE})", ACCESS_TOKEN + 4),
            "token.access-token is empty",
        ),
        (
            format!("(i32.store8 (i32.load (i32.const {ACCESS_TOKEN})) (i32.const 10)) (i32.const {DONE})"),
            "token.access-token has characters that no header can carry",
        ),
        (
            format!(
                "(i32.store (i32.const {EXPIRES_AT}) (i32.const 1)) (i64.store (i32.const {}) (i64.const -1)) (i32.const {DONE})",
                EXPIRES_AT + 8
            ),
            "token.expires-at is beyond the year 9999",
        ),
    ] {
        check(Guest::answering("babbling", &answer), &[not_in_contract, word]).await;
    }
}

#[tokio::test]
async fn what_is_bad_at_load() {
    let with = |change: fn(&mut Guest)| {
        let mut guest = Guest::good("bad");
        change(&mut guest);
        guest
    };
    for (guest, words) in [
        (with(|guest| guest.describe = "(unreachable)".to_owned()), &["`describe` failed", "unreachable"][..]),
        (
            with(|guest| guest.functions = "(func $spin (loop $again (br $again))) (start $spin)".to_owned()),
            &["`describe` failed", "processor time", "spin"],
        ),
        (with(|guest| guest.pages = 5000), &["`describe` failed", "more than 256 MiB of memory"]),
        (
            with(|guest| {
                guest.name = "Bad Name".to_owned();
                guest.version = "1".to_owned();
                guest.fields = vec!["a".to_owned(), "clientId".to_owned(), "a".to_owned()];
            }),
            &[
                "flow Bad Name 1 (",
                "name `Bad Name` isn't in kebab-case",
                "version `1` isn't a semantic version",
                "field `clientId` isn't named in snake_case",
                "two fields are named `a`",
            ],
        ),
    ] {
        let error = Plugin::load(engine(), guest.build()).await.unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{error}\nshould contain {word}");
        }
    }
}

#[tokio::test]
async fn an_interface_that_is_not_the_contracts() {
    // The right name, and nothing in it.
    let component = wat::parse_str(r#"(component (instance $i) (export "tokenhost:flow/flow@0.1.0" (instance $i)))"#);
    let error = Plugin::load(engine(), component.unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("its interface isn't that of the contract"), "{error}");
    assert!(error.starts_with("flow with digest "), "{error}");
}
