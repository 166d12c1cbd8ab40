//! Text cleaned of secrets, plain and encoded. What the encodings are is in `encodings`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Secrets, encodings};

/// The longest piece of an encoded secret that is searched for; where it is found, the match is followed on. So a secret that
/// was cut off somewhere behind it is found too. (Secrets that begin alike, as JWTs do, are told apart by the longer match.)
const HEAD: usize = 32;

/// Values below this length, in bytes, count only as whole words and unencoded: a PIN of `1` is in every other text, and
/// replacing it there would spoil the text and tell the PIN. From this length on all encodings count.
const SHORT: usize = 4;

/// Lines of this length, in bytes, of a secret of many lines, such as a PEM key, count by themselves.
const LINE: usize = 16;

/// Replaces secrets in text by `[name]`, in every encoding in which they are likely to be echoed: plain, base64 and base64url at
/// any offset, percent and form, hex, and escaped for JSON, XML and HTML.
///
/// Takes time linear in the text (times the number of secrets that end alike) and replaces too much rather than too little:
/// where secrets overlap, all of it goes. Equal input gives equal output.
#[derive(Default)]
pub struct Cleaner {
    /// The encoded secrets.
    patterns: Vec<Pattern>,
    /// Finds their heads; made when first needed.
    searcher: OnceLock<Option<Searcher>>,
}

/// One encoded form of a secret.
struct Pattern {
    /// All of it.
    encoded: Zeroizing<Vec<u8>>,
    /// How much of it is searched for.
    head: usize,
    /// What stands in its place.
    label: String,
    /// Whether only a whole word counts.
    word: bool,
    /// Whether `=` behind it belongs to it.
    padded: bool,
}

/// Finds heads in text.
struct Searcher {
    /// Finds each head once, where several patterns have it.
    automaton: AhoCorasick,
    /// The patterns that have the head.
    patterns: Vec<Vec<usize>>,
}

/// A piece of text that has to go.
struct Found<'a> {
    /// Its first byte.
    start: usize,
    /// The byte after its last.
    end: usize,
    /// What stands in its place, and how long the match was that says so.
    label: (&'a str, usize),
}

impl fmt::Debug for Cleaner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cleaner").field("patterns", &self.patterns.len()).finish_non_exhaustive()
    }
}

impl Cleaner {
    /// A cleaner for these secrets.
    pub fn new(secrets: &Secrets) -> Self {
        let mut cleaner = Self::default();
        for (name, value) in secrets.iter() {
            cleaner.add(name, value);
        }
        cleaner
    }

    /// Looks for one more secret.
    pub fn add(&mut self, name: &str, value: &SecretString) {
        self.add_bytes(name, value.expose_secret().as_bytes());
    }

    /// Looks for one more secret, which need not be text.
    pub fn add_bytes(&mut self, name: &str, value: &[u8]) {
        self.searcher = OnceLock::new();
        let label = format!("[{name}]");
        self.add_value(&label, value);
        let trimmed = value.trim_ascii();
        if trimmed.len() < value.len() {
            self.add_value(&label, trimmed);
        }
        let lines = trimmed.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        for line in lines.filter(|line| (LINE..trimmed.len()).contains(&line.len()) && !line.starts_with(b"-----")) {
            self.add_value(&label, line);
        }
    }

    /// Looks for one value in all encodings.
    fn add_value(&mut self, label: &str, value: &[u8]) {
        if value.is_empty() {
            return;
        }
        let short = value.len() < SHORT;
        self.add_pattern(label, value.to_vec(), value.len(), short, false);
        if short {
            return;
        }
        for encoded in encodings::of(value) {
            let length = encoded.len();
            self.add_pattern(label, encoded, length, false, false);
        }
        for (encoded, certain) in encodings::base64(value) {
            self.add_pattern(label, encoded, certain, false, true);
        }
    }

    /// Looks for one encoded form, of which at least so many bytes are the same whatever follows it.
    fn add_pattern(&mut self, label: &str, encoded: Vec<u8>, certain: usize, word: bool, padded: bool) {
        let (encoded, head) = (Zeroizing::new(encoded), certain.min(HEAD));
        self.patterns.push(Pattern { encoded, head, label: label.to_owned(), word, padded });
    }

    /// The text without the secrets.
    pub fn clean(&self, text: &str) -> String {
        // Text that can't be searched is withheld, not shown.
        let Some(searcher) = self.searcher.get_or_init(|| Searcher::new(&self.patterns)) else {
            return "[withheld: there are too many secrets to search it for]".to_owned();
        };
        let mut clean = String::with_capacity(text.len());
        let mut kept = 0;
        for found in self.find(searcher, text.as_bytes()) {
            // A match may begin or end inside a character, if the secret is no text.
            let start = text.floor_char_boundary(found.start).max(kept);
            clean.push_str(&text[kept..start]);
            clean.push_str(found.label.0);
            kept = text.ceil_char_boundary(found.end);
        }
        clean.push_str(&text[kept..]);
        clean
    }

    /// All that has to go, in order; pieces that overlap are one, named by the longest match in it.
    fn find(&self, searcher: &Searcher, text: &[u8]) -> Vec<Found<'_>> {
        let mut all: Vec<Found<'_>> = Vec::new();
        // How far each pattern has been followed, so that no byte is compared twice with the same pattern.
        let mut followed = vec![0; self.patterns.len()];
        for hit in searcher.automaton.find_overlapping_iter(text) {
            for &index in &searcher.patterns[hit.pattern()] {
                let pattern = &self.patterns[index];
                if pattern.word && !is_word(text, hit.start(), hit.end()) {
                    continue;
                }
                let mut end = hit.end().max(followed[index].min(hit.start() + pattern.encoded.len()));
                let rest = pattern.encoded.get(end - hit.start()..).unwrap_or_default();
                end += rest.iter().zip(&text[end..]).take_while(|(secret, byte)| secret == byte).count();
                followed[index] = end;
                let length = end - hit.start();
                if pattern.padded && length == pattern.encoded.len() {
                    end += text[end..].iter().take(2).take_while(|byte| **byte == b'=').count();
                }
                all.push(Found { start: hit.start(), end, label: (&pattern.label, length) });
            }
        }
        merged(all)
    }
}

impl Searcher {
    /// A searcher for these patterns; none if they are beyond two thousand million states.
    fn new(patterns: &[Pattern]) -> Option<Self> {
        let mut heads: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
        for (index, pattern) in patterns.iter().enumerate() {
            heads.entry(&pattern.encoded[..pattern.head]).or_default().push(index);
        }
        // The kind that is made fastest: texts are short, and each attempt has a cleaner of its own.
        let kind = Some(AhoCorasickKind::NoncontiguousNFA);
        let automaton = AhoCorasick::builder().kind(kind).build(heads.keys()).ok()?;
        Some(Self { automaton, patterns: heads.into_values().collect() })
    }
}

/// Joins pieces that overlap.
fn merged(mut all: Vec<Found<'_>>) -> Vec<Found<'_>> {
    all.sort_by(|a, b| a.start.cmp(&b.start).then(b.end.cmp(&a.end)).then(a.label.cmp(&b.label)));
    let mut merged: Vec<Found<'_>> = Vec::with_capacity(all.len());
    for found in all {
        match merged.last_mut() {
            Some(last) if found.start < last.end => {
                last.end = last.end.max(found.end);
                if found.label.1 > last.label.1 {
                    last.label = found.label;
                }
            }
            _ => merged.push(found),
        }
    }
    merged
}

/// Whether a piece of text stands by itself.
fn is_word(text: &[u8], start: usize, end: usize) -> bool {
    let inside = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
    !inside(start.checked_sub(1).and_then(|before| text.get(before))) && !inside(text.get(end))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    fn cleaner(secrets: &[(&str, &str)]) -> Cleaner {
        let mut all = Secrets::default();
        for (name, value) in secrets {
            all.insert(*name, (*value).into());
        }
        Cleaner::new(&all)
    }

    #[track_caller]
    fn check(secrets: &[(&str, &str)], text: &str, expected: &str) {
        assert_eq!(cleaner(secrets).clean(text), expected, "{text}");
    }

    #[test]
    fn a_secret_is_replaced_by_its_name() {
        check(
            &[("client_secret", "hunter2")],
            "bad secret hunter2, hunter2!",
            "bad secret [client_secret], [client_secret]!",
        );
        check(&[], "nothing to hide", "nothing to hide");
        check(&[("empty", "")], "nothing to hide", "nothing to hide");
        check(&[("a", "word")], "", "");
        check(&[("a", "pässword")], "ein pässword", "ein [a]");
    }

    #[test]
    fn encoded_secrets_are_found() {
        let secret = "p/w \"<é&'>+=`~*";
        for text in [
            "p/w \"<é&'>+=`~*",
            "p%2Fw%20%22%3C%C3%A9%26%27%3E%2B%3D%60~%2A",
            "p%2fw%20%22%3c%c3%a9%26%27%3e%2b%3d%60~%2a",
            "p%2Fw+%22%3C%C3%A9%26%27%3E%2B%3D%60%7E*",
            "p%2Fw%20%22%3C%C3%A9%26'%3E%2B%3D%60~*",
            "p/w%20%22%3C%C3%A9%26%27%3E%2B%3D%60~%2A",
            "p/w%20%22%3C%C3%A9&'%3E+=%60~*",
            r#"p/w \"<é&'>+=`~*"#,
            r#"p\/w \"<\u00e9&'>+=`~*"#,
            r#"p/w \"\u003c\u00e9\u0026\u0027\u003e+=`~*"#,
            r#"p/w \"\u003Cé\u0026\u0027\u003E+=`~*"#,
            "p/w &quot;&lt;é&amp;&apos;&gt;+=`~*",
            "p/w \"&lt;é&amp;'&gt;+=`~*",
            "p/w &#34;&lt;é&amp;&#39;&gt;+=`~*",
            "p&#x2F;w &quot;&lt;é&amp;&#x27;&gt;+&#x3D;&#x60;~*",
            "702f7720223cc3a926273e2b3d607e2a",
            "702F7720223CC3A926273E2B3D607E2A",
        ] {
            check(&[("x", secret)], &format!("a {text} b"), "a [x] b");
        }
    }

    #[test]
    fn base64_is_found_at_every_offset_and_with_any_neighbour() {
        let secret = "s3cr?t>>";
        for before in ["", "u", "us", "use", "user:"] {
            for after in ["", "1", "12", "123"] {
                let plain = format!("{before}{secret}{after}");
                for encoded in [STANDARD.encode(&plain), URL_SAFE_NO_PAD.encode(&plain)] {
                    let clean = cleaner(&[("x", secret)]).clean(&format!("Basic {encoded} sent"));
                    let left = clean.replace("[x]", "").replace("Basic ", "").replace(" sent", "");
                    assert!(clean.contains("[x]"), "{plain}: {clean}");
                    // Only characters that neighbours share may stay: at most one on each side.
                    let neighbours = (before.len() * 8).div_ceil(6) + (after.len() * 8).div_ceil(6) + 2;
                    assert!(left.trim_end_matches('=').len() <= neighbours, "{plain}: {clean}");
                }
            }
        }
        check(&[("x", secret)], &format!("<{}>", STANDARD.encode(secret)), "<[x]>");
    }

    #[test]
    fn short_values_count_only_as_words() {
        check(&[("pin", "1")], "HTTP 1.1 gave 401 to 1", "HTTP [pin].[pin] gave 401 to [pin]");
        check(&[("pin", "ab")], "about ab, cab 6162 é ab", "about [pin], cab 6162 é [pin]");
        check(&[("pin", "abc")], "pin=abc&x=abcd", "pin=[pin]&x=abcd");
        check(&[("pin", "abcd")], "abcde 61626364", "[pin]e [pin]");
    }

    #[test]
    fn longer_and_overlapping_secrets_go_whole() {
        let both: &[(&str, &str)] = &[("short", "abcd"), ("long", "abcdefgh")];
        check(both, "abcd abcdefgh abcdef", "[short] [long] [short]ef");
        check(&[("a", "abcdef"), ("b", "defghi")], "-abcdefghi-", "-[a]-");
        check(&[("a", "abcdef"), ("b", "defghijk")], "-abcdefghijk-", "-[b]-");
        check(&[("a", "abcd"), ("b", "efgh")], "abcdefgh", "[a][b]");
        check(&[("a", "same1"), ("b", "same1")], "same1", "[a]");
    }

    #[test]
    fn a_long_secret_is_found_whole_and_cut_off() {
        let start = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.";
        let (one, two) = (format!("{start}{}", "A1b".repeat(900)), format!("{start}{}", "A1c".repeat(900)));
        let both: &[(&str, &str)] = &[("one", &one), ("two", &two)];
        check(both, &format!("<{one}|{two}>"), "<[one]|[two]>");
        check(both, &format!("<{}…>", &two[..500]), "<[two]…>");
        check(both, &format!("<{}>", STANDARD.encode(&one)), "<[one]>");
        check(both, &format!("<{}>", hex::encode_upper(&two)), "<[two]>");
    }

    #[test]
    fn lines_of_a_key_and_its_trimmed_form_are_found() {
        let key =
            "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n-----END PRIVATE KEY-----\n";
        let secrets: &[(&str, &str)] = &[("key", key), ("line", " trailing-break\n")];
        check(secrets, "can't read MIGHAgEAMBMGByqGSM49", "can't read [key]");
        check(secrets, &key.replace('\n', "\\n"), "[key]");
        check(
            secrets,
            &key.replace('\n', "\r\n"),
            "-----BEGIN PRIVATE KEY-----\r\n[key]\r\n[key]\r\n-----END PRIVATE KEY-----\r\n",
        );
        check(secrets, "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----");
        check(secrets, "x trailing-break y", "x [line] y");
    }

    #[test]
    fn values_that_are_no_text_are_found_encoded() {
        let mut cleaner = Cleaner::default();
        cleaner.add_bytes("mac", &[0xff, 0xa9, 0x80, 0xc3, 0x28]);
        assert_eq!(cleaner.clean("ffa980c328 /6mAwyg= é"), "[mac] [mac] é");
        cleaner.add_bytes("half", &[0xa9, 0xc3, 0xa9, 0xc3]);
        assert_eq!(cleaner.clean("xéééy"), "x[half]y");
        assert!(!format!("{cleaner:?}").contains("ffa9"), "{cleaner:?}");
    }

    /// A small generator, so that a failure can be repeated.
    fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
        let mut state = seed;
        move |below| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        }
    }

    #[test]
    fn no_secret_is_left_in_any_text() {
        const LETTERS: &[char] = &['a', 'b', 'b', '"', '&', '/', 'é', ' ', '%', '+', '\\', '\n', '€', '='];
        for seed in 0..400 {
            let mut number = numbers(seed);
            let mut random = |length: usize| (0..length).map(|_| LETTERS[number(LETTERS.len())]).collect::<String>();
            let values: Vec<String> = [4, 5, 9, 40].map(&mut random).to_vec();
            let names = ["S0", "S1", "S2", "S3"];
            let secrets: Vec<(&str, &str)> = names.into_iter().zip(values.iter().map(String::as_str)).collect();
            let cleaner = cleaner(&secrets);
            let mut text = random(30);
            for value in &values {
                let percent: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
                let json = serde_json::to_string(value).unwrap();
                for echo in [value.clone(), percent, json, hex::encode(value), STANDARD.encode(format!("u:{value}"))] {
                    text.push_str(&random(3));
                    text.push_str(&echo);
                }
            }
            let clean = cleaner.clean(&text);
            assert_eq!(clean, cleaner.clean(&text), "the same each time");
            for value in &values {
                let json = serde_json::to_string(value).unwrap();
                for form in [value.clone(), json[1..json.len() - 1].to_owned(), hex::encode(value)] {
                    assert!(!clean.contains(&form), "seed {seed}: {form:?} in {clean:?}");
                }
            }
            assert_eq!(
                cleaner.clean(&clean.replace(['[', ']'], "")),
                clean.replace(['[', ']'], ""),
                "seed {seed}: nothing is left to clean"
            );
        }
    }

    #[test]
    fn repetitive_text_and_secrets_take_linear_work() {
        let secret = "a".repeat(200_000);
        let clean = cleaner(&[("x", &secret)]).clean(&"a".repeat(1_000_000));
        assert_eq!(clean, "[x]");
    }
}
