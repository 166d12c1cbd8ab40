//! The archive's form: a plain header, sealed frames, and in these the records, in a stream of which no more than one record
//! and one frame are ever in memory.
//!
//! ```text
//! header   "tokenhost backup", version (u32), length (u32), JSON, SHA-256 of all before: the same in every version
//! frames   length (u32; its highest bit: the last frame), sealed block; up to the end of the file
//! records  in the opened blocks, one after another: entries, files, and the trailer with what there should be
//! ```
//!
//! Frames are sealed by XChaCha20-Poly1305 in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online
//! authenticated-encryption and its nonce-reuse misuse-resistance", 2015), so that none can be left out, put elsewhere or
//! taken for the last one. All are bound to the header. It opens no store and knows of no record what it means.

mod error;
mod frames;
mod header;
mod records;
#[cfg(test)]
mod tests;

pub use self::error::ArchiveError;
pub(super) use self::frames::{FrameReader, FrameWriter, skip};
pub use self::header::Header;
pub(super) use self::header::{HeaderRead, WrappedKey};
pub use self::records::Summary;
pub(super) use self::records::{Item, RecordReader, RecordWriter};
