//! A flow that does harm, in the way that its field `how` names; for tests, never for use.

#![allow(clippy::panic, clippy::panic_in_result_fn, reason = "harm is what it is for")]

use tokenhost_flow::prelude::*;

/// The flow.
#[derive(Debug)]
pub struct Hostile;

/// The ways, and one in which it does none.
const WAYS: [&str; 8] = ["loop", "hoard", "panic", "overflow", "recurse", "big", "swell", "good"];

impl Flow for Hostile {
    fn describe() -> Description {
        Description::new("hostile-rust", "1.0.0", "A hostile flow")
            .summary("Never use it.")
            .handles("oauth2", "clientCredentials")
            .field(Field::choice("how", "How", &WAYS).help("In which way it does harm.").required())
    }

    fn advance(context: &Context, _: Event) -> Result<Step, Failure> {
        let token = match context.required("how")? {
            "loop" => endless(),
            "hoard" => hoard(),
            "panic" => panic!("s3cr3t"),
            "overflow" => vec![0_u8; usize::MAX - std::hint::black_box(1)].len().to_string(),
            "recurse" => deeper(context.now).to_string(),
            "big" => "x".repeat(100 << 20),
            "swell" => swell("x".into()),
            _ => "good".into(),
        };
        Ok(Step::Done(Token::new(token)))
    }
}

fn endless() -> String {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}

fn hoard() -> String {
    let mut all = Vec::new();
    loop {
        all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

fn swell(mut text: String) -> String {
    loop {
        text = std::hint::black_box(text.repeat(2));
    }
}

#[expect(unconditional_recursion, reason = "harm is what it is for")]
fn deeper(depth: u64) -> u64 {
    std::hint::black_box(deeper(std::hint::black_box(depth + 1)) + 1)
}

tokenhost_flow::export!(Hostile);
