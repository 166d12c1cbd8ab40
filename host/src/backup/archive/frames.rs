//! A stream of bytes as sealed frames: compressed block by block, sealed in order, and opened again only as a whole.
//!
//! What is read was authenticated before it is given out, and an archive that ends before its last frame never ends well.

use std::io::{Read, Seek, SeekFrom, Write};

use aead_stream::{DecryptorBE32, EncryptorBE32};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use zeroize::Zeroizing;

use super::ArchiveError;

/// Bytes of a block before it is compressed, at most.
const BLOCK_BYTES: usize = 256 << 10;
/// Bytes of a sealed block at most: what can't be compressed stays as it is, with a byte that says so, and a tag.
const FRAME_BYTES: usize = BLOCK_BYTES + 1 + 16;
/// The bit of a frame's length that says that it is the last one.
const LAST: u32 = 1 << 31;
/// A block as it is.
const PLAIN: u8 = 0;
/// A block in DEFLATE (RFC 1951).
const DEFLATED: u8 = 1;
/// The nonce's part that is the same in all frames. The key is one archive's alone, so it needn't differ.
const NONCE: [u8; 19] = [0; 19];

/// Writes bytes as frames.
pub(in super::super) struct FrameWriter<W> {
    out: W,
    cipher: EncryptorBE32<XChaCha20Poly1305>,
    /// What all frames are bound to.
    bound: [u8; 32],
    /// What isn't written yet.
    block: Vec<u8>,
    /// Bytes written so far.
    written: u64,
}

impl<W: Write> FrameWriter<W> {
    /// Writes after a header of so many bytes, to whose digest the frames are bound.
    pub(in super::super) fn new(out: W, key: &Zeroizing<[u8; 32]>, bound: [u8; 32], written: u64) -> Self {
        let cipher = EncryptorBE32::from_aead(XChaCha20Poly1305::new((&**key).into()), &NONCE.into());
        Self { out, cipher, bound, block: Vec::with_capacity(BLOCK_BYTES), written }
    }

    /// Writes some bytes; most of the time they only wait for the block to be full.
    ///
    /// # Errors
    /// The file failed, or there are too many frames.
    pub(in super::super) fn put(&mut self, mut bytes: &[u8]) -> Result<(), ArchiveError> {
        while !bytes.is_empty() {
            // The last block is the last frame: a full one waits for more.
            if self.block.len() >= BLOCK_BYTES {
                let mut sealed = self.packed();
                self.cipher.encrypt_next_in_place(&self.bound, &mut sealed).map_err(|_| ArchiveError::TooLarge)?;
                self.send(&sealed, 0)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Writes the last frame, and returns what was written to, and how many bytes the archive has.
    ///
    /// # Errors
    /// As for [`FrameWriter::put`].
    pub(in super::super) fn finish(mut self) -> Result<(W, u64), ArchiveError> {
        let mut sealed = self.packed();
        let cipher = self.cipher;
        cipher.encrypt_last_in_place(&self.bound, &mut sealed).map_err(|_| ArchiveError::TooLarge)?;
        let length = sealed.len() as u32 | LAST;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&sealed)?;
        self.out.flush()?;
        Ok((self.out, self.written + 4 + sealed.len() as u64))
    }

    /// Bytes written so far, the header's among them.
    pub(in super::super) fn written(&self) -> u64 {
        self.written
    }

    /// Takes the block, compressed where that helps.
    fn packed(&mut self) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(FRAME_BYTES), Compression::fast());
        let packed = encoder.write_all(&self.block).and_then(|()| encoder.finish());
        let mut frame = Vec::with_capacity(FRAME_BYTES);
        match packed {
            Ok(packed) if packed.len() < self.block.len() => {
                frame.push(DEFLATED);
                frame.extend_from_slice(&packed);
            }
            _ => {
                frame.push(PLAIN);
                frame.extend_from_slice(&self.block);
            }
        }
        self.block.clear();
        frame
    }

    fn send(&mut self, sealed: &[u8], flag: u32) -> Result<(), ArchiveError> {
        self.out.write_all(&(sealed.len() as u32 | flag).to_be_bytes())?;
        self.out.write_all(sealed)?;
        self.written += 4 + sealed.len() as u64;
        Ok(())
    }
}

/// Goes over all frames without opening them, after so many bytes of a header: to the last one, after which nothing comes.
///
/// # Errors
/// The archive is cut short, or something follows it; or the file failed.
pub(in super::super) fn skip(from: &mut (impl Read + Seek), header: u64) -> Result<(), ArchiveError> {
    let end = from.seek(SeekFrom::End(0))?;
    let mut at = header;
    loop {
        from.seek(SeekFrom::Start(at))?;
        let mut length = [0; 4];
        if end < at + 4 {
            return Err(ArchiveError::CutShort { at: end });
        }
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        at += 4 + u64::from(length & !LAST);
        match (length & LAST != 0, at.cmp(&end)) {
            (_, std::cmp::Ordering::Greater) => return Err(ArchiveError::CutShort { at: end }),
            (true, std::cmp::Ordering::Equal) => return Ok(()),
            (true, _) => return Err(ArchiveError::Damaged { at, what: "something follows its end" }),
            (false, _) => {}
        }
    }
}

/// Reads the bytes of frames.
pub(in super::super) struct FrameReader<R> {
    from: R,
    /// `None` once the last frame was opened.
    cipher: Option<DecryptorBE32<XChaCha20Poly1305>>,
    /// What all frames are bound to.
    bound: [u8; 32],
    /// The opened block.
    block: Vec<u8>,
    /// How much of it was given out.
    taken: usize,
    /// Bytes of the archive that were read.
    at: u64,
}

impl<R: Read> FrameReader<R> {
    /// Reads after a header of so many bytes, to whose digest the frames are bound.
    pub(in super::super) fn new(from: R, key: &Zeroizing<[u8; 32]>, bound: [u8; 32], at: u64) -> Self {
        let cipher = DecryptorBE32::from_aead(XChaCha20Poly1305::new((&**key).into()), &NONCE.into());
        Self { from, cipher: Some(cipher), bound, block: Vec::new(), taken: 0, at }
    }

    /// Some of the next bytes, at most so many; none at the end.
    ///
    /// # Errors
    /// The archive is damaged or cut short, or the file failed.
    pub(in super::super) fn some(&mut self, most: usize) -> Result<&[u8], ArchiveError> {
        while self.taken >= self.block.len() {
            if self.cipher.is_none() {
                return Ok(&[]);
            }
            self.next_block()?;
        }
        let end = self.block.len().min(self.taken.saturating_add(most));
        let some = self.block.get(self.taken..end).unwrap_or_default();
        self.taken = end;
        Ok(some)
    }

    /// Bytes of the archive that were read so far.
    pub(in super::super) fn at(&self) -> u64 {
        self.at
    }

    /// An error about what was read last.
    pub(in super::super) fn damaged(&self, what: &'static str) -> ArchiveError {
        ArchiveError::Damaged { at: self.at, what }
    }

    /// Opens the next frame.
    fn next_block(&mut self) -> Result<(), ArchiveError> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = u32::from_be_bytes(length);
        let (is_last, length) = (length & LAST != 0, (length & !LAST) as usize);
        if length > FRAME_BYTES {
            return Err(self.damaged("a frame's length can't be right"));
        }
        let mut sealed = vec![0; length];
        let begin = self.at;
        self.fill(&mut sealed)?;
        let altered = ArchiveError::Damaged { at: begin, what: "what is sealed there was altered" };
        match (self.cipher.take(), is_last) {
            (Some(mut cipher), false) => {
                cipher.decrypt_next_in_place(&self.bound, &mut sealed).map_err(|_| altered)?;
                self.cipher = Some(cipher);
            }
            (Some(cipher), true) => cipher.decrypt_last_in_place(&self.bound, &mut sealed).map_err(|_| altered)?,
            (None, _) => return Err(altered),
        }
        if is_last && self.from.read(&mut [0; 1])? != 0 {
            return Err(self.damaged("something follows its end"));
        }
        self.taken = 0;
        self.block = match sealed.split_first() {
            Some((&PLAIN, block)) => block.to_vec(),
            Some((&DEFLATED, packed)) => {
                let mut block = Vec::with_capacity(BLOCK_BYTES);
                let unpacked = DeflateDecoder::new(packed).take(BLOCK_BYTES as u64 + 1).read_to_end(&mut block);
                if unpacked.is_err() || block.len() > BLOCK_BYTES {
                    return Err(self.damaged("a block can't be unpacked"));
                }
                block
            }
            _ => return Err(self.damaged("a block isn't in its form")),
        };
        Ok(())
    }

    /// Reads all of this.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ArchiveError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.from.read(rest) {
                Ok(0) => return Err(ArchiveError::CutShort { at: self.at }),
                Ok(read) => {
                    filled += read;
                    self.at += read as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
