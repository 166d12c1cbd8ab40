//! The project's one place with unsafe code. Each file argues why its own is sound, and offers a safe interface.
//!
//! It holds what can't be had otherwise and nothing else: what is cached, and what is counted, is decided by its users.

mod code;
mod map;
mod processor;

pub(crate) use self::code::{load, private_folder, sealed};
pub(crate) use self::map::{CHUNK_SLOTS, Chunk, CounterFile, SlotWords, read_slots};
pub(crate) use self::processor::thread_time;
