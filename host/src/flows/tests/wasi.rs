//! The empty WASI, seen from inside a component that uses it.

use super::guest::{DONE, EXPIRES_AT, EXPIRES_IN, Guest, REFRESH_EXPIRES_IN};
use super::{context, engine, load};
use crate::flows::sandbox::PRINTED_LIMIT;
use crate::flows::step::{Event, FlowToken, Purpose, Step};
use crate::flows::{Flow as _, Plugin};

/// As much of WASI as the guests here call.
const PACKAGES: &str = "
    package wasi:io@0.2.0 {
        interface error { resource error; }
        interface poll { resource pollable { block: func(); } }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource input-stream { blocking-read: func(len: u64) -> result<list<u8>, stream-error>; }
            resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
        }
    }
    package wasi:clocks@0.2.0 {
        interface monotonic-clock {
            use wasi:io/poll@0.2.0.{pollable};
            now: func() -> u64;
            subscribe-duration: func(when: u64) -> pollable;
        }
        interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
    }
    package wasi:random@0.2.0 {
        interface random { get-random-u64: func() -> u64; }
        interface insecure { get-insecure-random-u64: func() -> u64; }
        interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }
    }
    package wasi:cli@0.2.0 {
        interface stdout { use wasi:io/streams@0.2.0.{output-stream}; get-stdout: func() -> output-stream; }
        interface stdin { use wasi:io/streams@0.2.0.{input-stream}; get-stdin: func() -> input-stream; }
        interface environment { get-environment: func() -> list<tuple<string, string>>; get-arguments: func() -> list<string>; }
        interface exit { exit: func(status: result); }
    }
    package wasi:filesystem@0.2.0 {
        interface types { resource descriptor; }
        interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }
    }";

const WORLD: &str = "
    import wasi:clocks/monotonic-clock@0.2.0; import wasi:clocks/wall-clock@0.2.0;
    import wasi:random/random@0.2.0; import wasi:random/insecure@0.2.0; import wasi:random/insecure-seed@0.2.0;
    import wasi:cli/stdout@0.2.0; import wasi:cli/stdin@0.2.0; import wasi:cli/environment@0.2.0; import wasi:cli/exit@0.2.0;
    import wasi:filesystem/preopens@0.2.0;";

const IMPORTS: &str = r#"
    (import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $monotonic (result i64)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $sleep (param i64) (result i32)))
    (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
    (import "wasi:random/insecure@0.2.0" "get-insecure-random-u64" (func $insecure (result i64)))
    (import "wasi:random/insecure-seed@0.2.0" "insecure-seed" (func $seed (param i32)))
    (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))
    (import "wasi:cli/stdin@0.2.0" "get-stdin" (func $stdin (result i32)))
    (import "wasi:io/streams@0.2.0" "[method]input-stream.blocking-read" (func $read (param i32 i64 i32)))
    (import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
    (import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))
    (import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $directories (param i32)))
    (import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))"#;

/// A component that imports WASI and answers what this body says.
fn guest(advance: &str) -> Guest {
    let mut guest = Guest::answering("wasi", advance);
    guest.imports = IMPORTS.to_owned();
    guest.world = WORLD.to_owned();
    guest.packages = PACKAGES.to_owned();
    guest
}

/// Sets one of the token's numbers to the value of an expression.
fn set(number: u32, value: &str) -> String {
    format!("(i32.store (i32.const {number}) (i32.const 1)) (i64.store (i32.const {}) {value})", number + 8)
}

async fn token(plugin: &Plugin, now: u64, entropy: u8) -> FlowToken {
    let mut context = context();
    context.now = now;
    context.entropy = [entropy; 32];
    let run = plugin.advance(&context, Event::Begin(Purpose::Acquire)).await.unwrap_or_else(|error| panic!("{error}"));
    let Ok(Step::Done(token)) = run.outcome else { panic!("{run:?}") };
    *token
}

#[tokio::test]
async fn clocks_stand_at_the_steps_moment_and_sleep_takes_no_time() {
    let body = [
        // A year of sleep.
        "(call $block (call $sleep (i64.const 31536000000000000)))".to_owned(),
        "(call $wall (i32.const 512))".to_owned(),
        set(EXPIRES_IN, "(i64.load (i32.const 512))"),
        set(EXPIRES_AT, "(i64.extend_i32_u (i32.load (i32.const 520)))"),
        set(REFRESH_EXPIRES_IN, "(call $monotonic)"),
        format!("(i32.const {DONE})"),
    ];
    let plugin = load(&guest(&body.concat())).await;
    assert_eq!(plugin.wasi().len(), 14, "{:?}", plugin.wasi());
    for now in [0, 1_790_000_000] {
        let token = token(&plugin, now, 1).await;
        assert_eq!((token.expires_in, token.expires_at, token.refresh_expires_in), (Some(now), Some(0), Some(0)));
    }
}

#[tokio::test]
async fn random_numbers_are_made_of_the_steps_entropy_alone() {
    let body = [
        set(EXPIRES_IN, "(i64.shr_u (call $random) (i64.const 32))"),
        set(EXPIRES_AT, "(i64.shr_u (call $insecure) (i64.const 32))"),
        "(call $seed (i32.const 512))".to_owned(),
        set(REFRESH_EXPIRES_IN, "(i64.shr_u (i64.load (i32.const 512)) (i64.const 32))"),
        format!("(i32.const {DONE})"),
    ];
    let plugin = load(&guest(&body.concat())).await;
    let mut seen = Vec::new();
    for (now, entropy) in [(1, 1), (2, 1), (1, 2)] {
        let token = token(&plugin, now, entropy).await;
        seen.push([token.expires_in, token.expires_at, token.refresh_expires_in].map(Option::unwrap));
    }
    assert_eq!(seen[0], seen[1], "the moment doesn't matter");
    let mut all = [seen[0], seen[2]].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 6, "entropy and door do: {seen:?}");
    // The published ChaCha20: a recorded step gives the same numbers in every later version.
    assert_eq!(seen[0], FIXED);
}

/// What the entropy `[1; 32]` gives: the second word of the key stream of each door's nonce, 1, 2 and 3.
const FIXED: [u64; 3] = [417_816_145, 3_612_633_749, 1_402_865_316];

#[tokio::test]
async fn there_is_nothing_in_the_world() {
    // The lengths of environment, arguments and folders, and whether reading stdin says that it is closed.
    let body = [
        "(call $environment (i32.const 512)) (call $arguments (i32.const 520)) (call $directories (i32.const 528))"
            .to_owned(),
        set(
            EXPIRES_IN,
            "(i64.extend_i32_u (i32.or (i32.load (i32.const 516)) (i32.or (i32.load (i32.const 524)) (i32.load (i32.const 532)))))",
        ),
        "(call $read (call $stdin) (i64.const 10) (i32.const 544))".to_owned(),
        set(EXPIRES_AT, "(i64.extend_i32_u (i32.load8_u (i32.const 544)))"),
        set(REFRESH_EXPIRES_IN, "(i64.extend_i32_u (i32.load8_u (i32.const 548)))"),
        format!("(i32.const {DONE})"),
    ];
    let plugin = load(&guest(&body.concat())).await;
    let token = token(&plugin, 1, 1).await;
    assert_eq!(token.expires_in, Some(0));
    assert_eq!((token.expires_at, token.refresh_expires_in), (Some(1), Some(1)), "err(closed)");
}

#[tokio::test]
async fn prints_are_kept_and_bounded() {
    let print = "(call $write (call $stdout) (i32.const 600) (i32.const 4) (i32.const 512))";
    let word = "(i32.store (i32.const 600) (i32.const 0x0a736579))";
    let plugin = load(&guest(&format!("{word} {print} {print} (i32.const {DONE})"))).await;
    let run = plugin.advance(&context(), Event::Begin(Purpose::Acquire)).await.unwrap();
    assert_eq!(run.printed, "yes\nyes\n");
    assert!(!format!("{run:?}").contains("yes"), "it may hold secrets");

    let once = "(call $write (local.get $out) (i32.const 600) (i32.const 400) (i32.const 512))";
    let endless =
        format!("(local $out i32) (local.set $out (call $stdout)) (loop $again {once} (br $again)) (unreachable)");
    let plugin = load(&guest(&endless)).await;
    let error = plugin.advance(&context(), Event::Begin(Purpose::Acquire)).await.unwrap_err();
    assert!(error.fault.contains("processor time"), "{error}");
    assert_eq!(error.printed.len(), PRINTED_LIMIT);

    // What was printed before a trap is what an interpreter has to say of it.
    let plugin = load(&guest(&format!("{word} {print} (unreachable)"))).await;
    let error = plugin.advance(&context(), Event::Begin(Purpose::Acquire)).await.unwrap_err();
    assert_eq!(error.printed, "yes\n");
    assert!(!error.to_string().contains("yes"));
}

#[tokio::test]
async fn exit_and_hoarding_are_faults() {
    let plugin = load(&guest("(call $exit (i32.const 1)) (unreachable)")).await;
    let error = plugin.advance(&context(), Event::Begin(Purpose::Acquire)).await.unwrap_err();
    assert!(error.fault.contains("exit code 1"), "{error}");
    let hoard = "(loop $again (drop (call $sleep (i64.const 1))) (br $again)) (unreachable)";
    let plugin = load(&guest(hoard)).await;
    let error = plugin.advance(&context(), Event::Begin(Purpose::Acquire)).await.unwrap_err();
    assert!(!error.fault.contains("processor time"), "{error}");
}

#[tokio::test]
async fn a_function_that_the_granted_interface_has_not() {
    let mut guest = guest("(call $fly) (unreachable)");
    guest.imports.push_str(r#"(import "wasi:random/random@0.2.0" "fly" (func $fly))"#);
    guest.packages = guest.packages.replace("interface random {", "interface random { fly: func();");
    let error = Plugin::load(engine(), guest.build()).await.unwrap_err().to_string();
    assert!(error.contains("its interface isn't that of the contract") && error.contains("fly"), "{error}");
}
