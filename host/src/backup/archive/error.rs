//! Why an archive can't be read or written.

/// Why an archive can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It doesn't begin as one.
    #[error("this is no backup of tokenhost: it doesn't begin as one")]
    NotAnArchive,
    /// A later version wrote it.
    #[error(
        "the archive has format {found}, and this tokenhost reads formats up to {known}; take a later version of it"
    )]
    TooNew {
        /// The format found.
        found: u32,
        /// The newest that is understood here.
        known: u32,
    },
    /// It isn't what was written.
    #[error("the archive is damaged at byte {at}: {what}; take another copy of it, or another backup")]
    Damaged {
        /// How many bytes of it are as they were written, at least.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// It ends too early.
    #[error(
        "the archive is cut short: it ends after {at} bytes, and more has to follow; take another copy of it, or another backup"
    )]
    CutShort {
        /// Its length.
        at: u64,
    },
    /// The file, or what it is written to, failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Too much for one archive.
    #[error("there is more data than one archive holds")]
    TooLarge,
}
