use std::io::Cursor;

use rand::{RngExt as _, SeedableRng as _};
use zeroize::Zeroizing;

use super::*;

const KEY: [u8; 32] = [7; 32];

fn header() -> Header {
    Header {
        id: "01K".into(),
        made_at: "2026-11-22T10:00:00Z".parse().unwrap(),
        tokenhost: "0.1.0".into(),
        database: 1,
        instance: "i".into(),
        salt: "s".into(),
        keys: vec![WrappedKey::new(b"key\0root\0", b"{}")],
    }
}

/// Something that can't be compressed.
fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    rand::rngs::StdRng::seed_from_u64(bytes as u64).fill(noise.as_mut_slice());
    noise
}

/// An archive of some small records and one of this size, and where its frames begin.
fn archive(size: usize) -> (Vec<u8>, Vec<usize>) {
    let mut out = Vec::new();
    let (bound, written) = header().write(&mut out).unwrap();
    let mut records = RecordWriter::new(FrameWriter::new(out, &Zeroizing::new(KEY), bound, written));
    records.entry(b"key\0root\0", 1, b"{}").unwrap();
    records.file("flows/a.wasm", 3, &mut &b"abc"[..]).unwrap();
    records.entry(b"token\0crm\0", 9, &noise(size)).unwrap();
    records.entry(b"token\0erp\0", 10, b"").unwrap();
    let (out, summary, bytes) = records.finish(11).unwrap();
    assert_eq!((bytes, summary.entries, summary.files, summary.revision), (out.len() as u64, 3, 1, 11));
    let mut frames = vec![written as usize];
    while let Some(begin) = frames.last().copied().filter(|begin| *begin < out.len()) {
        let length = u32::from_be_bytes(out[begin..begin + 4].try_into().unwrap()) & (u32::MAX >> 1);
        frames.push(begin + 4 + length as usize);
    }
    assert_eq!(frames.last(), Some(&out.len()));
    (out, frames)
}

/// Everything in an archive.
fn read(bytes: &[u8], key: [u8; 32]) -> Result<(Header, Vec<Item>), ArchiveError> {
    let mut from = Cursor::new(bytes);
    let HeaderRead { header, digest, bytes } = Header::read(&mut from)?;
    let mut records = RecordReader::new(FrameReader::new(from, &Zeroizing::new(key), digest, bytes));
    let mut items = Vec::new();
    loop {
        let item = records.next()?;
        match &item {
            Item::File { size, .. } => records.copy(*size, &mut std::io::sink())?,
            Item::End(_) => {
                items.push(item);
                return Ok((header, items));
            }
            Item::Entry { .. } => {}
        }
        items.push(item);
    }
}

#[test]
fn what_was_written_is_read() {
    // Around a block's length too: the last frame is never empty of meaning, nor taken for one before.
    for size in [0, 1, 1000, (256 << 10) - 300, (256 << 10) - 200, 256 << 10, (512 << 10) + 1] {
        let (bytes, _) = archive(size);
        let (found, items) = read(&bytes, KEY).unwrap();
        assert_eq!(found, header());
        let [
            Item::Entry { revision: 1, .. },
            Item::File { name, size: 3 },
            Item::Entry { value, .. },
            _,
            Item::End(summary),
        ] = items.as_slice()
        else {
            panic!("{} items", items.len());
        };
        assert_eq!((name.as_str(), value.len()), ("flows/a.wasm", size));
        assert_eq!(summary.tables, [("key".to_owned(), 1), ("token".to_owned(), 2)].into());
    }
}

#[test]
fn an_archive_that_is_cut_short_anywhere_says_so() {
    let (small, _) = archive(10);
    for length in 0..small.len() {
        let error = read(&small[..length], KEY).map(drop).unwrap_err();
        match length {
            0 => assert!(matches!(error, ArchiveError::NotAnArchive), "{error}"),
            _ => assert!(matches!(error, ArchiveError::CutShort { at } if at <= length as u64), "{length}: {error}"),
        }
    }
    let (large, frames) = archive(600 << 10);
    assert!(frames.len() > 3, "it has several frames");
    for boundary in &frames[..frames.len() - 1] {
        for length in [boundary - 1, *boundary, boundary + 1, boundary + 4, boundary + 5] {
            let error = read(&large[..length], KEY).map(drop).unwrap_err();
            assert!(matches!(error, ArchiveError::CutShort { .. }), "{length}: {error}");
        }
    }
}

#[test]
fn that_an_archive_goes_to_its_end_is_seen_without_a_key() {
    let (bytes, frames) = archive(600 << 10);
    let outline = |bytes: &[u8]| {
        let mut from = Cursor::new(bytes);
        Header::read(&mut from).and_then(|read| skip(&mut from, read.bytes))
    };
    outline(&bytes).unwrap();
    let near = frames[..frames.len() - 1].iter().flat_map(|begin| [*begin, begin + 3, begin + 4, begin + 5]);
    for length in near.chain([bytes.len() - 1]) {
        assert!(matches!(outline(&bytes[..length]), Err(ArchiveError::CutShort { .. })), "{length}");
    }
    assert!(matches!(outline(&[&bytes[..], b"x"].concat()), Err(ArchiveError::Damaged { .. })));
}

#[test]
fn an_archive_that_was_altered_anywhere_says_so() {
    let (bytes, _) = archive(10);
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut altered = bytes.clone();
            altered[at] ^= 1 << bit;
            let error = read(&altered, KEY).map(drop).unwrap_err();
            // A length that grew looks as if something were missing.
            let expected = match at {
                0..16 => matches!(error, ArchiveError::NotAnArchive),
                _ => matches!(error, ArchiveError::Damaged { .. } | ArchiveError::CutShort { .. }),
            };
            assert!(expected, "byte {at}, bit {bit}: {error}");
        }
    }
    let (large, frames) = archive(600 << 10);
    let mut random = rand::rngs::StdRng::seed_from_u64(1);
    let places = frames[..frames.len() - 1].iter().flat_map(|begin| [*begin, begin + 3, begin + 4, begin + 5]);
    let more: Vec<usize> = (0..100).map(|_| random.random_range(16..large.len())).collect();
    for at in places.chain(more) {
        let mut altered = large.clone();
        altered[at] ^= 1 << (at % 8);
        let error = read(&altered, KEY).map(drop).unwrap_err();
        assert!(matches!(error, ArchiveError::Damaged { .. } | ArchiveError::CutShort { .. }), "byte {at}: {error}");
    }
}

#[test]
fn frames_stay_where_they_were_written() {
    let (bytes, frames) = archive(900 << 10);
    let frame = |index: usize| &bytes[frames[index]..frames[index + 1]];
    let head = &bytes[..frames[0]];
    let last = frames.len() - 2;
    let all: Vec<&[u8]> = (0..=last).map(frame).collect();
    let put = |frames: &[&[u8]]| [&[head], frames].concat().concat();
    assert_eq!(put(&all), bytes);
    let mut other = Vec::new();
    Header { id: "02".into(), ..header() }.write(&mut other).unwrap();
    let swapped = [&[all[1], all[0]], &all[2..]].concat();
    for (what, altered) in [
        ("left out", put(&all[1..])),
        ("swapped", put(&swapped)),
        ("twice", put(&[&all[..1], &all[..]].concat())),
        ("under another header", [&other, &bytes[frames[0]..]].concat()),
        ("followed by something", [bytes.as_slice(), b"x"].concat()),
        ("followed by itself", [bytes.as_slice(), &bytes].concat()),
    ] {
        let error = read(&altered, KEY).map(drop).unwrap_err();
        assert!(matches!(error, ArchiveError::Damaged { .. }), "{what}: {error}");
    }
}

#[test]
fn another_key_opens_nothing_and_another_form_is_named() {
    let (bytes, _) = archive(10);
    assert!(matches!(read(&bytes, [8; 32]), Err(ArchiveError::Damaged { .. })));
    for (what, text) in [("a text", &b"{\"a\": 1, \"b\": 2, \"c\": 3}"[..]), ("nothing", b""), ("zeros", &[0; 100])] {
        assert!(matches!(read(text, KEY), Err(ArchiveError::NotAnArchive)), "{what}");
    }
    let mut later = Vec::new();
    header().write_as(2, &mut later).unwrap();
    let error = read(&later, KEY).map(drop).unwrap_err();
    assert!(matches!(error, ArchiveError::TooNew { found: 2, known: 1 }), "{error}");
}
