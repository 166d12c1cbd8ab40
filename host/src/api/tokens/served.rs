//! The JSON of a served token, written by hand: it is what the hottest call spends its time on.

use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::time::Time;
use crate::tokens::Served;

/// What a served token's JSON has beside its texts, in bytes; a longer one grows its buffer once.
const ROOM: usize = 256;

/// A valid token.
#[derive(Serialize, ToSchema)]
pub(super) struct Token<'a> {
    /// The token itself (RFC 6749 section 1.4).
    access_token: &'a str,
    /// How it is used; mostly `Bearer`.
    token_type: &'a str,
    /// The scopes that the provider granted, space-separated.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    /// When it ends, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    /// Whole seconds left, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    /// When the request for it left.
    created_at: Time,
    /// Its number within the integration; name it in a rejection.
    generation: u64,
}

/// The JSON of a [`Token`]; none where there is nothing to hand out, since requests carry the integration's own secrets. By
/// hand: a general serialiser looks at each byte of a long token, which costs more than all else.
pub(super) fn render(served: &Served) -> Option<Vec<u8>> {
    let token = &*served.token;
    let access_token = token.access_token.as_ref()?.expose_secret();
    let mut json = Vec::with_capacity(access_token.len() + token.scope.as_ref().map_or(0, String::len) + ROOM);
    json.extend(b"{\"access_token\":");
    write_text(&mut json, access_token);
    json.extend(b",\"token_type\":");
    write_text(&mut json, &token.token_type);
    if let Some(scope) = &token.scope {
        json.extend(b",\"scope\":");
        write_text(&mut json, scope);
    }
    if let Some(end) = token.expires_at {
        json.extend(b",\"expires_at\":\"");
        Time::from(end).write(&mut json);
        json.push(b'"');
    }
    if let Some(left) = served.expires_in {
        json.extend(b",\"expires_in\":");
        json.extend(left.to_string().into_bytes());
    }
    json.extend(b",\"created_at\":\"");
    Time::from(token.created_at).write(&mut json);
    json.extend(b"\",\"generation\":");
    json.extend(token.generation.to_string().into_bytes());
    json.push(b'}');
    Some(json)
}

/// Appends a JSON string (RFC 8259 section 7).
fn write_text(json: &mut Vec<u8>, text: &str) {
    // No early end, so that the compiler looks at many bytes at once.
    let is_plain = text.bytes().fold(true, |plain, byte| plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\'));
    if is_plain {
        json.push(b'"');
        json.extend(text.as_bytes());
        json.push(b'"');
    } else {
        json.extend(serde_json::Value::from(text).to_string().into_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;

    use super::*;
    use crate::tokens::Token as Kept;

    #[test]
    fn a_token_is_written_as_it_is_described() {
        let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let check = |access_token: &str, scope: Option<&str>, expires_in: Option<u64>, expected: Option<&str>| {
            let token = Kept {
                access_token: Some(access_token.into()),
                refresh_token: Some("never".into()),
                token_type: "Bearer".into(),
                scope: scope.map(str::to_owned),
                created_at: at,
                expires_at: expires_in.map(|_| at + chrono::TimeDelta::seconds(60)),
                expiry_source: None,
                refresh_expires_at: None,
                values: Vec::new(),
                secrets: Vec::new(),
                placing: crate::flows::step::Placing::default(),
                local: false,
                generation: 3,
            };
            let described = Token {
                access_token,
                token_type: "Bearer",
                scope,
                expires_at: token.expires_at.map(Time::from),
                expires_in,
                created_at: at.into(),
                generation: 3,
            };
            let described = serde_json::to_string(&described).unwrap();
            let rendered = String::from_utf8(render(&Served { token: Arc::new(token), expires_in }).unwrap()).unwrap();
            assert_eq!(rendered, described);
            assert!(expected.is_none_or(|expected| rendered == expected), "{rendered}");
        };
        check(
            "a",
            Some("r w"),
            Some(59),
            Some(
                r#"{"access_token":"a","token_type":"Bearer","scope":"r w","expires_at":"2026-11-18T11:07:40Z","expires_in":59,"created_at":"2026-11-18T11:06:40Z","generation":3}"#,
            ),
        );
        for odd in ["", "\"", "\\", "\n\u{1f} \u{7f}\u{e9}", "\u{1f600}", &"x".repeat(5000), &("x".repeat(40) + "\"")] {
            check(odd, Some(odd), None, None);
            check(odd, None, Some(u64::MAX), None);
        }
    }
}
