//! The encodings in which a secret is likely to be echoed. Finds nothing itself.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A value in every encoding but base64, each once.
pub(super) fn of(value: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    hexadecimal(value, &mut forms);
    if value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte)) {
        return forms; // as most tokens are: nothing else changes them
    }
    percent(value, &mut forms);
    if let Ok(text) = std::str::from_utf8(value) {
        json(text, &mut forms);
        markup(text, &mut forms);
    }
    forms.remove(value);
    forms
}

/// A value in base64 and base64url, at each of the three offsets it may have in what was encoded, and how many of the characters
/// are the same whatever follows.
pub(super) fn base64(value: &[u8]) -> Vec<(Vec<u8>, usize)> {
    let mut forms = Vec::with_capacity(6);
    for offset in 0..3 {
        let mut shifted = vec![0; offset];
        shifted.extend_from_slice(value);
        // Characters that bits of the bytes before go into.
        let skipped = (offset * 8).div_ceil(6);
        let certain = shifted.len() * 8 / 6 - skipped;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            forms.push((engine.encode(&shifted).into_bytes().split_off(skipped), certain));
        }
    }
    forms
}

/// Hexadecimal, in both cases.
fn hexadecimal(value: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    forms.insert(hex::encode(value).into_bytes());
    forms.insert(hex::encode_upper(value).into_bytes());
}

/// Percent encodings, in both cases of the digits. They differ in what they leave alone and in what becomes of a space.
fn percent(value: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    const KEPT: [&[u8]; 6] = [
        b"-._~",                 // RFC 3986
        b"-._",                  // PHP's urlencode, Java's URLEncoder but for `*`
        b"*-._",                 // WHATWG forms
        b"-._~!*'()",            // encodeURIComponent
        b"-._~/",                // Python's quote
        b"-._~!*'();/?:@&=+$,#", // encodeURI
    ];
    for kept in KEPT {
        for space in ["%20", "+"] {
            for upper in [true, false] {
                let mut form = String::with_capacity(value.len());
                for byte in value {
                    let _ = match byte {
                        b' ' => form.write_str(space),
                        byte if byte.is_ascii_alphanumeric() || kept.contains(byte) => {
                            form.write_char(char::from(*byte))
                        }
                        byte if upper => write!(form, "%{byte:02X}"),
                        byte => write!(form, "%{byte:02x}"),
                    };
                }
                forms.insert(form.into_bytes());
            }
        }
    }
}

/// The inside of JSON strings: with and without `\/`, non-ASCII as it is or as `\u`, markup as it is or as `\u`.
fn json(text: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let changes = |character: char| !character.is_ascii() || character < ' ' || "\"\\/<>&'".contains(character);
    if !text.contains(changes) {
        return;
    }
    for slash in [false, true] {
        for ascii in [false, true] {
            for safe in [false, true] {
                for upper in [false, true] {
                    let mut form = String::with_capacity(text.len());
                    for character in text.chars() {
                        json_character(&mut form, character, slash, ascii, safe, upper);
                    }
                    forms.insert(form.into_bytes());
                }
            }
        }
    }
}

/// One character in a JSON string.
fn json_character(form: &mut String, character: char, slash: bool, ascii: bool, safe: bool, upper: bool) {
    let short = match character {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        '\n' => Some("\\n"),
        '\r' => Some("\\r"),
        '\t' => Some("\\t"),
        '\u{8}' => Some("\\b"),
        '\u{c}' => Some("\\f"),
        '/' if slash => Some("\\/"),
        _ => None,
    };
    if let Some(short) = short {
        form.push_str(short);
    } else if character < ' ' || (ascii && !character.is_ascii()) || (safe && "<>&'".contains(character)) {
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = if upper { write!(form, "\\u{unit:04X}") } else { write!(form, "\\u{unit:04x}") };
        }
    } else {
        form.push(character);
    }
}

/// Text of XML and HTML. Always `&`, `<` and `>`; quotes and slashes as the many libraries do or don't.
fn markup(text: &str, forms: &mut BTreeSet<Vec<u8>>) {
    if !text.contains(['&', '<', '>', '"', '\'', '/', '=', '`']) {
        return;
    }
    for quote in ["\"", "&quot;", "&#34;", "&#x22;"] {
        for apostrophe in ["'", "&apos;", "&#39;", "&#039;", "&#x27;"] {
            // OWASP's rule and the template languages that follow it.
            for (slash, equals, backtick) in
                [("/", "=", "`"), ("&#x2F;", "=", "`"), ("&#x2F;", "&#x3D;", "&#x60;"), ("&#47;", "=", "`")]
            {
                let mut form = String::with_capacity(text.len());
                for character in text.chars() {
                    match character {
                        '&' => form.push_str("&amp;"),
                        '<' => form.push_str("&lt;"),
                        '>' => form.push_str("&gt;"),
                        '"' => form.push_str(quote),
                        '\'' => form.push_str(apostrophe),
                        '/' => form.push_str(slash),
                        '=' => form.push_str(equals),
                        '`' => form.push_str(backtick),
                        other => form.push(other),
                    }
                }
                forms.insert(form.into_bytes());
            }
        }
    }
}
