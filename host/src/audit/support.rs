//! Support ids: what a refused caller gets to quote, with the reason sealed in itself. Nothing is stored.
//!
//! All are equally long and look random, so that they tell a caller nothing. What they hold was true when they were
//! made; it isn't looked up again.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use chrono::{DateTime, Utc};

use crate::seal::Keyring;

/// Characters of a support id.
pub const SUPPORT_ID_LENGTH: usize = 150;
/// XChaCha20's nonce, drawn at random.
const NONCE: usize = 24;
/// Poly1305's tag.
const TAG: usize = 16;
/// What is sealed, always filled up to this length.
const PLAIN: usize = SUPPORT_ID_LENGTH * 3 / 4 - NONCE - TAG;
/// The only form so far.
const VERSION: u8 = 1;
/// What support ids are bound to.
const BOUND: &[u8] = b"tokenhost support id";
/// The longest code that isn't among [`CODES`], token id, scope and door, in bytes.
const MAX_CODE: usize = 24;
/// See [`MAX_CODE`].
const MAX_TOKEN: usize = 20;
/// See [`MAX_CODE`].
const MAX_SCOPE: usize = 20;
/// See [`MAX_CODE`].
const MAX_DOOR: usize = 24;

/// Codes that take one byte: their place here, from 1. New ones are added at the end only.
const CODES: [&str; 16] = [
    "malformed",
    "unknown",
    "rebuilt",
    "deleted",
    "expired",
    "principal_disabled",
    "profile_not_allowed",
    "scope_mismatch",
    "rest_profile_missing",
    "organization_not_allowed",
    "login_type_not_allowed",
    "rate_limited",
    "no_credentials",
    "forbidden",
    "cross_site",
    "bad_password",
];

/// Why somebody was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The stable code; at most 24 bytes are kept.
    pub code: String,
    /// When, to the second.
    pub at: DateTime<Utc>,
    /// The public id of the token that was presented. One longer than 20 bytes is left out.
    pub token_id: Option<String>,
    /// From where.
    pub address: Option<IpAddr>,
    /// The scope that was asked for; at most 20 bytes are kept.
    pub scope: Option<String>,
    /// The door or route; at most 24 bytes are kept.
    pub door: String,
    /// What else is worth knowing. Some 10 to 40 bytes are kept, as many as there is room for.
    pub detail: Option<String>,
}

/// Makes and explains support ids.
pub struct SupportIds(XChaCha20Poly1305);

impl SupportIds {
    /// The support ids of this installation.
    pub fn new(keyring: &Keyring) -> Self {
        Self(XChaCha20Poly1305::new((&*keyring.subkey("support id")).into()))
    }

    /// A support id that holds this reason: always 150 letters, digits, `-` and `_`.
    pub fn issue(&self, reason: &Reason) -> String {
        let plain = encode(reason);
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce);
        // 72 bytes are never too many; without an id, the log still has the reason.
        let sealed = self.0.encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: BOUND }).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat())
    }

    /// The reason that a support id holds. `None`: it isn't one of this installation's, or it was altered. White space
    /// around it, as copying leaves it, is ignored.
    pub fn explain(&self, id: &str) -> Option<Reason> {
        let id = id.trim();
        if id.len() != SUPPORT_ID_LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        decode(&self.0.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: BOUND }).ok()?)
    }
}

impl fmt::Debug for SupportIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupportIds").finish_non_exhaustive()
    }
}

/// What is sealed: what matters most comes first, the detail takes what is left, zeros fill up.
fn encode(reason: &Reason) -> Vec<u8> {
    let mut plain = Vec::with_capacity(PLAIN);
    plain.push(VERSION);
    // 40 bits of seconds last for 34,000 years.
    let seconds = u64::try_from(reason.at.timestamp()).unwrap_or_default().to_be_bytes();
    plain.extend(seconds.iter().skip(3));
    match CODES.iter().zip(1_u8..).find(|(code, _)| **code == reason.code) {
        Some((_, number)) => plain.push(number),
        None => {
            plain.push(0);
            put_text(&mut plain, &reason.code, MAX_CODE);
        }
    }
    match reason.address {
        None => plain.push(0),
        Some(IpAddr::V4(address)) => {
            plain.push(4);
            plain.extend(address.octets());
        }
        Some(IpAddr::V6(address)) => {
            plain.push(6);
            plain.extend(address.octets());
        }
    }
    let token = reason.token_id.as_deref().filter(|id| id.len() <= MAX_TOKEN);
    put_text(&mut plain, token.unwrap_or_default(), MAX_TOKEN);
    put_text(&mut plain, reason.scope.as_deref().unwrap_or_default(), MAX_SCOPE);
    put_text(&mut plain, &reason.door, MAX_DOOR);
    put_text(&mut plain, reason.detail.as_deref().unwrap_or_default(), PLAIN);
    plain.resize(PLAIN, 0);
    plain
}

/// Adds a text after its length, as much of it as is allowed and has room.
fn put_text(plain: &mut Vec<u8>, text: &str, most: usize) {
    let Some(room) = PLAIN.checked_sub(plain.len() + 1) else { return };
    let text = text.get(..text.floor_char_boundary(most.min(room))).unwrap_or_default();
    plain.push(u8::try_from(text.len()).unwrap_or_default());
    plain.extend_from_slice(text.as_bytes());
}

/// Reads what [`encode`] wrote.
fn decode(plain: &[u8]) -> Option<Reason> {
    let mut rest = plain;
    if take(&mut rest, 1)? != [VERSION] {
        return None;
    }
    let seconds = take(&mut rest, 5)?.iter().fold(0_i64, |seconds, byte| seconds << 8 | i64::from(*byte));
    let code = match take(&mut rest, 1)?.first()? {
        0 => take_text(&mut rest)?,
        number => (*CODES.get(usize::from(*number) - 1)?).to_owned(),
    };
    let address = match take(&mut rest, 1)?.first()? {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(take(&mut rest, 4)?).ok()?)),
        6 => Some(IpAddr::from(<[u8; 16]>::try_from(take(&mut rest, 16)?).ok()?)),
        _ => None,
    };
    // Where there was no room for a text, not even for its length, there is nothing left.
    let mut text = || if rest.is_empty() { Some(String::new()) } else { take_text(&mut rest) };
    let (token, scope, door, detail) = (text()?, text()?, text()?, text()?);
    let some = |text: String| (!text.is_empty()).then_some(text);
    let at = DateTime::from_timestamp(seconds, 0)?;
    Some(Reason { code, at, token_id: some(token), address, scope: some(scope), door, detail: some(detail) })
}

/// Takes so many bytes.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// Takes a text after its length.
fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::from(*take(rest, 1)?.first()?);
    String::from_utf8(take(rest, length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::MasterKey;
    use crate::store::memory::MemoryStore;

    async fn ids() -> SupportIds {
        let master = MasterKey::generate("a file").unwrap();
        SupportIds::new(&Keyring::load_or_create(&MemoryStore::new(), &master).await.unwrap())
    }

    fn reason() -> Reason {
        Reason {
            code: "scope_mismatch".into(),
            at: DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
            token_id: Some("Ab3dEf6hIj9l".into()),
            address: Some("192.0.2.7".parse().unwrap()),
            scope: Some("REST/JSON".into()),
            door: "forward-auth".into(),
            detail: Some("has Export only".into()),
        }
    }

    #[tokio::test]
    async fn a_reason_comes_back_and_all_ids_are_equally_long() {
        let ids = ids().await;
        let nothing = Reason {
            code: String::new(),
            token_id: None,
            address: None,
            scope: None,
            door: String::new(),
            detail: None,
            ..reason()
        };
        let v6 = Reason { address: Some("2001:db8::1".parse().unwrap()), detail: None, ..reason() };
        let own_code = Reason { code: "something_else".into(), detail: Some("é".into()), ..reason() };
        let mut all = vec![reason(), nothing, v6, own_code];
        all.extend(CODES.map(|code| Reason { code: code.into(), ..reason() }));
        for reason in all {
            let id = ids.issue(&reason);
            assert_eq!(id.len(), SUPPORT_ID_LENGTH);
            assert!(!id.contains(&reason.code) || reason.code.is_empty());
            assert_eq!(ids.explain(&format!(" {id}\n")), Some(reason.clone()));
            assert_ne!(ids.issue(&reason), id, "the nonce is fresh");
        }
    }

    #[tokio::test]
    async fn what_is_too_long_is_cut_and_what_matters_stays() {
        let ids = ids().await;
        let long = "é".repeat(10_000);
        let longest = Reason {
            code: long.clone(),
            address: Some("2001:db8::1".parse().unwrap()),
            scope: Some(long.clone()),
            door: long.clone(),
            detail: Some(long.clone()),
            ..reason()
        };
        for (given, code) in
            [(longest.clone(), "é".repeat(12)), (Reason { code: "expired".into(), ..longest }, "expired".into())]
        {
            let id = ids.issue(&given);
            assert_eq!(id.len(), SUPPORT_ID_LENGTH);
            let found = ids.explain(&id).unwrap();
            assert_eq!((found.code, found.address, found.token_id), (code, given.address, given.token_id));
        }
        let found = ids.explain(&ids.issue(&Reason { token_id: Some(long.clone()), ..reason() })).unwrap();
        assert_eq!(found, Reason { token_id: None, ..reason() });
        let found = ids.explain(&ids.issue(&Reason { detail: Some(long), ..reason() })).unwrap().detail.unwrap();
        assert!(found.len() >= 16 && found.chars().all(|char| char == 'é'), "{found}");
    }

    #[tokio::test]
    async fn altered_cut_and_foreign_ids_explain_nothing() {
        let (ids, foreign) = (ids().await, ids().await);
        let id = ids.issue(&reason());
        assert_eq!(foreign.explain(&id), None);
        for at in 0..id.len() {
            let mut altered = id.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(ids.explain(std::str::from_utf8(&altered).unwrap()), None, "character {at}");
            assert_eq!(ids.explain(&id[..at]), None, "{at} characters");
        }
        for text in ["", "é", &format!("{id}A"), &"é".repeat(75), &"=".repeat(150), &"A".repeat(150)] {
            assert_eq!(ids.explain(text), None, "{text}");
        }
    }
}
