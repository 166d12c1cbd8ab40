//! Whether the disk has room for what RocksDB writes next, found out by writing as much.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use super::StoreError;
use super::database::WRITE_BUFFER_BYTES;

/// Room that must be free: what a log holds is written out to a table, and a new log begun.
const ROOM_BYTES: usize = WRITE_BUFFER_BYTES + (2 << 20);
/// The file that is written, and removed.
const ROOM_FILE: &str = "room.tmp";

/// Tries whether there is room in a folder.
///
/// # Errors
/// [`StoreError::Full`]: there isn't; else the disk refused.
pub(super) fn make_sure_of_room(folder: &Path) -> Result<(), StoreError> {
    let path = folder.join(ROOM_FILE);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0; ROOM_BYTES])?;
        file.sync_all()
    });
    let removed = std::fs::remove_file(&path);
    written.and(removed).map_err(|error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StoreError::Full(error.to_string())
        }
        _ => StoreError::Storage(error.to_string()),
    })
}
