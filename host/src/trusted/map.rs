//! A file of counters that the operating system keeps when the process is killed: fixed slots of eight atomic words, mapped
//! in chunks. It doesn't know what the words mean, and promises nothing for a power cut.
//!
//! Why this is sound:
//!
//! * Memory of a chunk is touched only through `&AtomicU64`, by all threads alike: there is no other reference to it, nor
//!   does anything here read or write a mapped file by other means. A map is page-aligned, which is enough for `AtomicU64`,
//!   and every pattern of bits is a valid one.
//! * A reference to a slot borrows from its [`Chunk`], which unmaps when it is dropped, and not before.
//! * A mapped file is never shortened: that a chunk's bytes exist is seen to by writing them before they are mapped, and no
//!   function here truncates. To start anew is to remove the file's name and make another file.
//! * Other processes: the file is new (`O_EXCL`), private to this user (0600) and in the data folder, which one daemon has
//!   to itself by the database's lock. This user could write the file nevertheless, as it could write this process's memory.
//!   What it writes shows up as other values of atomics, for which users are prepared, since the bytes come from a disk.
//!
//! Zeros are written and not only promised (`ftruncate`), so that a full disk is an error of [`CounterFile::grow`]. What is
//! left of SIGBUS is a disk that fails under a mapped page, or a file system that copies on write and is full when it does;
//! that ends the process, and is no undefined behaviour.
#![expect(unsafe_code, reason = "the one place that may: see above")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapOptions, MmapRaw};

/// The length of a slot in bytes: a line of the processor's cache, so that slots don't slow each other down.
pub(crate) const SLOT_BYTES: usize = 64;
/// Slots of a chunk.
pub(crate) const CHUNK_SLOTS: usize = 4096;
/// The length of a chunk in bytes: a multiple of all page sizes in use (4 to 64 KiB).
const CHUNK_BYTES: usize = SLOT_BYTES * CHUNK_SLOTS;

/// The words of a slot, in the byte order of the machine.
pub(crate) type SlotWords = [AtomicU64; SLOT_BYTES / 8];

const _: () = assert!(size_of::<SlotWords>() == SLOT_BYTES);

/// Slots in memory, those of a file or anonymous ones. They begin as zeros.
pub(crate) struct Chunk {
    /// The mapped memory: `CHUNK_BYTES` of it, as `new` makes sure.
    map: MmapRaw,
}

impl Chunk {
    /// Slots that end with the process.
    ///
    /// # Errors
    /// There is no memory.
    pub(crate) fn in_memory() -> io::Result<Self> {
        Self::new(MmapOptions::new().len(CHUNK_BYTES).map_anon()?.into())
    }

    /// Holds the map's length against what `slot` relies on.
    fn new(map: MmapRaw) -> io::Result<Self> {
        if map.len() == CHUNK_BYTES && map.as_ptr().cast::<SlotWords>().is_aligned() {
            Ok(Self { map })
        } else {
            Err(io::Error::other("the operating system mapped something else than was asked for"))
        }
    }

    /// The slot of this number; `None` from [`CHUNK_SLOTS`] on.
    pub(crate) fn slot(&self, index: usize) -> Option<&SlotWords> {
        // SAFETY: `new` saw that the map has the length of these slots and their alignment, and it stays mapped while
        // `self` lives, which the reference doesn't outlast. Memory that is only ever used through atomics may be shared
        // (see the top), and has no invalid values.
        let slots = unsafe { &*self.map.as_mut_ptr().cast_const().cast::<[SlotWords; CHUNK_SLOTS]>() };
        slots.get(index)
    }
}

/// A file of slots that this process made and has to itself. Its chunks stay mapped when it is dropped.
pub(crate) struct CounterFile {
    /// The file.
    file: File,
    /// Its length as far as it was written in full, in chunks.
    chunks: u64,
}

impl CounterFile {
    /// Makes an empty file in place of what has this name.
    ///
    /// # Errors
    /// What has this name can't be removed, or the file not made.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        Ok(Self { file, chunks: 0 })
    }

    /// This file, which can't be written, as on a full disk.
    #[cfg(test)]
    pub(crate) fn that_cannot_grow(path: &Path) -> Self {
        Self { file: File::open(path).unwrap(), chunks: 0 }
    }

    /// Adds a chunk of zeros to the file and maps it.
    ///
    /// # Errors
    /// The disk is full, or another fault of it; may be tried again.
    pub(crate) fn grow(&mut self) -> io::Result<Chunk> {
        let offset = self.chunks.saturating_mul(CHUNK_BYTES as u64);
        // From where the last whole chunk ends: an earlier try may have written a part of this one.
        self.file.seek(io::SeekFrom::Start(offset))?;
        self.file.write_all(&vec![0; CHUNK_BYTES])?;
        let chunk = Chunk::new(MmapOptions::new().offset(offset).len(CHUNK_BYTES).map_raw(&self.file)?)?;
        self.chunks += 1;
        Ok(chunk)
    }
}

/// Reads the slots of a file that an earlier process left, in order, without mapping it; at most `limit` of them. Returns
/// whether the file ended with a whole slot, or `None` where there is no file.
///
/// # Errors
/// It can't be read, or isn't a file of this user.
pub(crate) fn read_slots(
    path: &Path,
    limit: usize,
    mut visit: impl FnMut([u64; SLOT_BYTES / 8]),
) -> io::Result<Option<bool>> {
    // Not to wait for a pipe's other end, where somebody put one there.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.uid() != super::code::this_user() {
        return Err(io::Error::other("it isn't a file of the user that runs this process"));
    }
    let mut buffer = Vec::with_capacity(CHUNK_BYTES);
    let mut left = limit;
    while left > 0 {
        buffer.clear();
        (&file).take(CHUNK_BYTES as u64).read_to_end(&mut buffer)?;
        let (words, end) = buffer.as_chunks::<8>();
        let (slots, cut) = words.as_chunks::<{ SLOT_BYTES / 8 }>();
        for slot in slots.iter().take(left) {
            visit(slot.map(u64::from_ne_bytes));
        }
        if slots.len() < CHUNK_SLOTS {
            return Ok(Some(cut.is_empty() && end.is_empty()));
        }
        left = left.saturating_sub(slots.len());
    }
    Ok(Some(true))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    fn slots(path: &Path) -> Vec<[u64; 8]> {
        let mut all = Vec::new();
        assert_eq!(read_slots(path, usize::MAX, |slot| all.push(slot)).unwrap(), Some(true));
        all
    }

    #[test]
    fn what_was_stored_is_in_the_file_without_any_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts");
        let mut file = CounterFile::create(&path).unwrap();
        let (first, second) = (file.grow().unwrap(), file.grow().unwrap());
        first.slot(0).unwrap()[0].store(1, Relaxed);
        first.slot(CHUNK_SLOTS - 1).unwrap()[7].store(2, Relaxed);
        second.slot(1).unwrap()[3].fetch_add(3, Relaxed);
        assert!(first.slot(CHUNK_SLOTS).is_none());
        let read = slots(&path);
        assert_eq!((read.len(), read[0][0], read[CHUNK_SLOTS - 1][7]), (2 * CHUNK_SLOTS, 1, 2));
        assert_eq!(read[CHUNK_SLOTS + 1], [0, 0, 0, 3, 0, 0, 0, 0]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_new_file_leaves_the_old_ones_map_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts");
        let old = CounterFile::create(&path).unwrap().grow().unwrap();
        let _new = CounterFile::create(&path).unwrap();
        old.slot(5).unwrap()[0].store(1, Relaxed);
        assert_eq!(old.slot(5).unwrap()[0].load(Relaxed), 1);
        assert_eq!(slots(&path).len(), 0);
    }

    #[test]
    fn links_folders_and_short_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts");
        assert_eq!(read_slots(&path, 9, |_| panic!()).unwrap(), None);
        fs::write(&path, [1; 65]).unwrap();
        let mut seen = 0;
        assert_eq!(read_slots(&path, 9, |_| seen += 1).unwrap(), Some(false));
        assert_eq!(seen, 1);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read_slots(&link, 9, |_| panic!()).is_err());
        assert!(read_slots(folder.path(), 9, |_| panic!()).is_err());
        CounterFile::create(&link).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 65, "a link is replaced, and what it leads to left alone");
    }
}
