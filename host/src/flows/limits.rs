//! What a flow may use, for each step and each attempt. The values are the operator's, the defaults the engine's.
//!
//! Steps are held against these in `run`, attempts where they are made. Nothing is counted here.

use std::time::Duration;

use super::engine::{ANSWER_LIMIT, CPU_BUDGET, MEMORY_LIMIT};

/// Steps of one attempt; no flow that doesn't poll takes more than a few.
const STEPS: u32 = 200;

/// Requests of one attempt.
const REQUESTS: u32 = 100;

/// What a flow may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processor time of one step, counted in ticks of 10 ms.
    pub step_time: Duration,
    /// Linear memory of one step, in bytes.
    pub memory: usize,
    /// The answer of one step in the host's memory, in bytes.
    pub output: usize,
    /// Steps of one attempt.
    pub steps: u32,
    /// Requests of one attempt.
    pub requests: u32,
    /// Attempts that may begin within a minute; none: as many as there are.
    pub attempts_per_minute: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            step_time: CPU_BUDGET,
            memory: MEMORY_LIMIT,
            output: ANSWER_LIMIT,
            steps: STEPS,
            requests: REQUESTS,
            attempts_per_minute: None,
        }
    }
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::step_time`]
    StepTime,
    /// [`Limits::memory`]
    Memory,
    /// [`Limits::output`]
    Output,
    /// [`Limits::steps`]
    Steps,
    /// [`Limits::requests`]
    Requests,
    /// [`Limits::attempts_per_minute`]
    AttemptsPerMinute,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::StepTime, Self::Memory, Self::Output, Self::Steps, Self::Requests, Self::AttemptsPerMinute];

    /// Its name, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StepTime => "step_time",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::Steps => "steps",
            Self::Requests => "requests",
            Self::AttemptsPerMinute => "attempts_per_minute",
        }
    }

    /// The smallest and the largest value that makes sense: milliseconds, bytes, or a number.
    pub const fn range(self) -> (u64, u64) {
        match self {
            Self::StepTime => (10, 60_000),
            // Less holds no program; more than the pool can give would be no limit.
            Self::Memory => (1 << 20, 2 << 30),
            Self::Output => (1 << 10, 64 << 20),
            Self::Steps => (1, 10_000),
            Self::Requests => (1, 5_000),
            Self::AttemptsPerMinute => (1, 100_000),
        }
    }

    /// What an operator does who wants to allow more.
    pub fn remedy(self, flow: &str) -> String {
        format!("`tokenhost flow limit {flow} --{}` raises the limit", self.as_str().replace('_', "-"))
    }
}

/// A size for people: in the largest unit in which it is a whole number.
pub fn size(bytes: usize) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_whole_units() {
        for (bytes, expected) in
            [(8 << 20, "8 MiB"), ((8 << 20) + (1 << 10), "8193 KiB"), (1500, "1500 bytes"), (0, "0 bytes")]
        {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn the_defaults_are_within_their_ranges() {
        let limits = Limits::default();
        for (limit, value) in [
            (Limit::StepTime, limits.step_time.as_millis() as u64),
            (Limit::Memory, limits.memory as u64),
            (Limit::Output, limits.output as u64),
            (Limit::Steps, limits.steps.into()),
            (Limit::Requests, limits.requests.into()),
        ] {
            let (least, most) = limit.range();
            assert!((least..=most).contains(&value), "{limit:?}");
        }
    }
}
