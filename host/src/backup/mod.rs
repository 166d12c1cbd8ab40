//! Backups: the whole daemon in one sealed file, made while it serves, and a data folder made of such a file.
//!
//! What is in one: all entries of the store at one moment, the installed flows, and the counts of uses; not the settings, and
//! not the master key, without which nothing of it can be read. It decides nothing about records; what a restoration makes
//! uncertain is said by the rooms that own them (`tokens::after_restore`).

mod archive;
mod error;
mod folder;
mod keeper;
mod make;
mod mark;
mod read;
mod restore;
mod staging;
#[cfg(test)]
mod tests;

pub use self::archive::{ArchiveError, Header, Summary};
pub use self::error::BackupError;
pub use self::folder::{Kept, list};
pub use self::keeper::{Backups, Failure, Parts, Pieces, Standing};
pub use self::make::{Made, Source, Temporary, clear, write};
pub use self::mark::Restoration;
pub use self::read::{Archive, Checked, check, header};
pub use self::restore::{Restored, restore};

/// The database, within the data folder.
pub const STORE: &str = "store";
/// Installed flows, within the data folder.
pub const FLOWS: &str = "flows";
/// How often inbound tokens were used, within the data folder.
pub const COUNTS: &str = "usage";
