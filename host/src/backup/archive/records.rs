//! What is in the frames: entries of the store, files, and at the end what there should be.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ArchiveError, FrameReader, FrameWriter};

/// Begins an entry of the store.
const ENTRY: u8 = 1;
/// Begins a file.
const FILE: u8 = 2;
/// Begins the trailer.
const TRAILER: u8 = 3;
/// Bytes of a key, a file's name, or the trailer at most.
const MOST_NAME: u32 = 1 << 20;
/// Bytes of a value at most.
const MOST_VALUE: u32 = 1 << 30;
/// Bytes read at once where a record says that it has very many.
const AT_ONCE: usize = 1 << 20;

/// What is in an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Entries of the store.
    pub entries: u64,
    /// Files of the data folder.
    pub files: u64,
    /// Bytes of both, before they were compressed.
    pub bytes: u64,
    /// The store's last revision.
    pub revision: u64,
    /// Entries by the name of their table.
    pub tables: BTreeMap<String, u64>,
}

/// The end of an archive.
#[derive(Serialize, Deserialize)]
struct Trailer {
    /// What there should be.
    summary: Summary,
    /// SHA-256 of all before the trailer, in hexadecimal.
    sha256: String,
}

/// Writes records.
pub(in super::super) struct RecordWriter<W> {
    frames: FrameWriter<W>,
    summary: Summary,
    digest: Sha256,
}

impl<W: Write> RecordWriter<W> {
    /// Writes into these frames.
    pub(in super::super) fn new(frames: FrameWriter<W>) -> Self {
        Self { frames, summary: Summary::default(), digest: Sha256::new() }
    }

    /// Writes an entry of the store.
    ///
    /// # Errors
    /// The file failed, or the entry is larger than any.
    pub(in super::super) fn entry(&mut self, key: &[u8], revision: u64, value: &[u8]) -> Result<(), ArchiveError> {
        self.put(&[ENTRY])?;
        self.sized(key, MOST_NAME)?;
        self.put(&revision.to_be_bytes())?;
        self.sized(value, MOST_VALUE)?;
        self.summary.entries += 1;
        // A table's name ends with a zero byte, as all parts of a key do.
        let table = key.split(|byte| *byte == 0).next().unwrap_or_default();
        *self.summary.tables.entry(String::from_utf8_lossy(table).into_owned()).or_default() += 1;
        Ok(())
    }

    /// Writes a file of so many bytes.
    ///
    /// # Errors
    /// The file failed, or is shorter now.
    pub(in super::super) fn file(&mut self, name: &str, size: u64, from: &mut impl Read) -> Result<(), ArchiveError> {
        self.put(&[FILE])?;
        self.sized(name.as_bytes(), MOST_NAME)?;
        self.put(&size.to_be_bytes())?;
        let (mut left, mut buffer) = (size, vec![0; 64 << 10]);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = from.read(buffer.get_mut(..most).unwrap_or_default())?;
            if read == 0 {
                return Err(std::io::Error::other(format!("{name} became shorter while it was read")).into());
            }
            let read = buffer.get(..read).unwrap_or_default();
            left -= read.len() as u64;
            self.digest.update(read);
            self.summary.bytes += read.len() as u64;
            self.frames.put(read)?;
        }
        self.summary.files += 1;
        Ok(())
    }

    /// Writes the end, and returns what was written to, what is in it, and how many bytes it has.
    ///
    /// # Errors
    /// The file failed.
    pub(in super::super) fn finish(mut self, revision: u64) -> Result<(W, Summary, u64), ArchiveError> {
        self.summary.revision = revision;
        let trailer = Trailer { summary: self.summary, sha256: hex::encode(self.digest.finalize()) };
        let json = serde_json::to_vec(&trailer).map_err(std::io::Error::other)?;
        let length = u32::try_from(json.len()).map_err(|_| ArchiveError::TooLarge)?;
        self.frames.put(&[TRAILER])?;
        self.frames.put(&length.to_be_bytes())?;
        self.frames.put(&json)?;
        let (out, bytes) = self.frames.finish()?;
        Ok((out, trailer.summary, bytes))
    }

    /// Bytes of the archive so far.
    pub(in super::super) fn written(&self) -> u64 {
        self.frames.written()
    }

    /// Writes bytes with their length before.
    fn sized(&mut self, bytes: &[u8], most: u32) -> Result<(), ArchiveError> {
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= most).ok_or(ArchiveError::TooLarge)?;
        self.put(&length.to_be_bytes())?;
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.digest.update(bytes);
        self.summary.bytes += bytes.len() as u64;
        self.frames.put(bytes)
    }
}

/// A record.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Item {
    /// An entry of the store.
    Entry {
        /// Its key.
        key: Vec<u8>,
        /// The batch that wrote it.
        revision: u64,
        /// Its bytes.
        value: Vec<u8>,
    },
    /// A file; its bytes are to be taken by [`RecordReader::copy`] before the next record.
    File {
        /// Its path in the data folder.
        name: String,
        /// Its size in bytes.
        size: u64,
    },
    /// The end. All is as it was written.
    End(Summary),
}

/// Reads records.
pub(in super::super) struct RecordReader<R> {
    frames: FrameReader<R>,
    /// What was read so far.
    summary: Summary,
    digest: Sha256,
}

impl<R: Read> RecordReader<R> {
    /// Reads out of these frames.
    pub(in super::super) fn new(frames: FrameReader<R>) -> Self {
        Self { frames, summary: Summary::default(), digest: Sha256::new() }
    }

    /// The next record.
    ///
    /// # Errors
    /// The archive is damaged or cut short, or the file failed.
    pub(in super::super) fn next(&mut self) -> Result<Item, ArchiveError> {
        let begin = self.digest.clone();
        match self.number::<1>()? {
            [ENTRY] => {
                let key = self.sized(MOST_NAME)?;
                let revision = u64::from_be_bytes(self.number()?);
                let value = self.sized(MOST_VALUE)?;
                self.summary.entries += 1;
                let table = key.split(|byte| *byte == 0).next().unwrap_or_default();
                *self.summary.tables.entry(String::from_utf8_lossy(table).into_owned()).or_default() += 1;
                Ok(Item::Entry { key, revision, value })
            }
            [FILE] => {
                let name = self.sized(MOST_NAME)?;
                let name = String::from_utf8(name).map_err(|_| self.frames.damaged("a file's name is no text"))?;
                self.summary.files += 1;
                Ok(Item::File { name, size: u64::from_be_bytes(self.number()?) })
            }
            [TRAILER] => {
                self.summary.bytes -= 1;
                let before = std::mem::take(&mut self.summary);
                let json = self.sized(MOST_NAME)?;
                let trailer: Trailer =
                    serde_json::from_slice(&json).map_err(|_| self.frames.damaged("its end isn't in its form"))?;
                let found = Summary { revision: trailer.summary.revision, ..before };
                if found != trailer.summary || trailer.sha256 != hex::encode(begin.finalize()) {
                    return Err(self.frames.damaged("it holds something else than its end says"));
                }
                match self.frames.some(1)? {
                    [] => Ok(Item::End(found)),
                    _ => Err(self.frames.damaged("something follows its end")),
                }
            }
            _ => Err(self.frames.damaged("a record isn't in its form")),
        }
    }

    /// Takes the bytes of a file.
    ///
    /// # Errors
    /// The archive is damaged or cut short, or one of the files failed.
    pub(in super::super) fn copy(&mut self, size: u64, to: &mut impl Write) -> Result<(), ArchiveError> {
        let mut left = size;
        while left > 0 {
            let some = self.frames.some(usize::try_from(left).unwrap_or(usize::MAX))?;
            if some.is_empty() {
                return Err(ArchiveError::CutShort { at: self.frames.at() });
            }
            self.digest.update(some);
            self.summary.bytes += some.len() as u64;
            left -= some.len() as u64;
            to.write_all(some)?;
        }
        Ok(())
    }

    /// Bytes of the archive that were read so far.
    pub(in super::super) fn at(&self) -> u64 {
        self.frames.at()
    }

    /// Bytes with their length before.
    fn sized(&mut self, most: u32) -> Result<Vec<u8>, ArchiveError> {
        let length = u32::from_be_bytes(self.number()?);
        if length > most {
            return Err(self.frames.damaged("a record's length can't be right"));
        }
        let mut bytes = Vec::with_capacity((length as usize).min(AT_ONCE));
        self.copy(length.into(), &mut bytes)?;
        Ok(bytes)
    }

    /// So many bytes.
    fn number<const N: usize>(&mut self) -> Result<[u8; N], ArchiveError> {
        let mut number = [0; N];
        self.copy(N as u64, &mut number.as_mut_slice())?;
        Ok(number)
    }
}
