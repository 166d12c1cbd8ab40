//! The form of an inbound token: `tha_ID_SECRETCHECK`. It knows no principal and no store.
//!
//! The checksum lets a typo be refused without a read, and lets scanners of source code find leaked tokens.

use rand::RngExt;
use rand::distr::Alphanumeric;
use secrecy::SecretString;

/// Characters of a public id: 71 bits, so that ids of a million tokens don't meet.
pub(super) const ID_LENGTH: usize = 12;
/// Characters of a secret: 43 of 62 characters hold 256 bits.
const SECRET_LENGTH: usize = 43;
/// Characters of a checksum: 6 of 62 characters hold a CRC-32.
const CHECK_LENGTH: usize = 6;
/// Characters of a prefix.
const PREFIX_LENGTH: usize = 4;
/// All that the checksum is over.
const BODY_LENGTH: usize = PREFIX_LENGTH + ID_LENGTH + 1 + SECRET_LENGTH;
/// Characters of a token.
pub(super) const TOKEN_LENGTH: usize = BODY_LENGTH + CHECK_LENGTH;

/// The digits of base 62.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The public id of a token: 12 letters and digits.
pub type TokenId = [u8; ID_LENGTH];

/// What a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// An application, which is a principal of its own: `tha_`.
    Application,
    /// A user: `thp_`.
    Personal,
}

impl TokenKind {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Personal => "personal",
        }
    }

    /// What its tokens begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Application => "tha_",
            Self::Personal => "thp_",
        }
    }
}

/// A token in the right form, borrowed from what was presented. Whether it is known is not said.
#[derive(Clone, Copy)]
pub(super) struct Presented<'a> {
    /// What it belongs to.
    pub(super) kind: TokenKind,
    /// Its public id.
    pub(super) id: &'a TokenId,
    /// All but the checksum: what is digested, so that prefix and id are bound to the secret.
    pub(super) body: &'a [u8],
}

/// Reads a token. `None`: it is in no right form, or mistyped. Takes no longer for a longer text.
pub(super) fn parse(presented: &str) -> Option<Presented<'_>> {
    let token: &[u8; TOKEN_LENGTH] = presented.as_bytes().try_into().ok()?;
    let (prefix, rest) = token.split_first_chunk::<PREFIX_LENGTH>()?;
    let kind = match prefix {
        b"tha_" => TokenKind::Application,
        b"thp_" => TokenKind::Personal,
        _ => return None,
    };
    let (id, rest) = rest.split_first_chunk::<ID_LENGTH>()?;
    let (separator, secret_and_check) = rest.split_first()?;
    let (body, check) = token.split_at_checked(BODY_LENGTH)?;
    let digits = id.iter().chain(secret_and_check);
    (*separator == b'_' && digits.copied().all(|byte| byte.is_ascii_alphanumeric()) && check == checksum(body))
        .then_some(Presented { kind, id, body })
}

/// The public id of a token in the right form.
pub fn id_of(token: &str) -> Option<&str> {
    parse(token).map(|presented| id_text(presented.id))
}

/// A new public id.
pub(super) fn new_id() -> TokenId {
    let mut id = [0; ID_LENGTH];
    for digit in &mut id {
        *digit = rand::rng().sample(Alphanumeric);
    }
    id
}

/// A new token of this kind under an id: 256 random bits. The text is shown once and kept nowhere.
pub(super) fn with_id(kind: TokenKind, id: &TokenId) -> SecretString {
    // Full size at once: text that grew would leave copies of the secret behind.
    let mut token = String::with_capacity(TOKEN_LENGTH);
    token.push_str(kind.prefix());
    token.push_str(id_text(id));
    token.push('_');
    token.extend(rand::rng().sample_iter(Alphanumeric).take(SECRET_LENGTH).map(char::from));
    let check = checksum(token.as_bytes());
    token.extend(check.map(char::from));
    SecretString::from(token)
}

/// An id as text.
pub fn id_text(id: &TokenId) -> &str {
    // Ids are ASCII wherever they come from: `parse` and `new_id` make no others.
    std::str::from_utf8(id).unwrap_or_default()
}

/// An id from text; `None` where it is none.
pub fn parse_id(text: &str) -> Option<TokenId> {
    let id: TokenId = text.as_bytes().try_into().ok()?;
    id.iter().all(u8::is_ascii_alphanumeric).then_some(id)
}

/// CRC-32 (IEEE 802.3) in six digits of base 62, the highest first.
fn checksum(body: &[u8]) -> [u8; CHECK_LENGTH] {
    let mut rest = crc32fast::hash(body) as usize;
    let mut digits = [b'0'; CHECK_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest % DIGITS.len()];
        rest /= DIGITS.len();
    }
    digits
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn what_is_generated_is_read() {
        for kind in [TokenKind::Application, TokenKind::Personal] {
            let id = new_id();
            let token = with_id(kind, &id);
            let token = token.expose_secret();
            let presented = parse(token).unwrap();
            assert_eq!((presented.kind, *presented.id), (kind, id));
            assert_eq!(presented.body, &token.as_bytes()[..BODY_LENGTH]);
            assert_eq!(parse_id(id_text(&id)), Some(id));
            let again = with_id(kind, &id);
            assert_eq!(again.expose_secret()[..16], token[..16]);
            assert_ne!(again.expose_secret(), token);
        }
    }

    #[test]
    fn the_form_is_fixed() {
        // The checksum was computed apart from this code: zlib's crc32, written in base 62.
        let body = "tha_0123456789AB_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
        assert_eq!(body.len(), BODY_LENGTH);
        assert_eq!(checksum(body.as_bytes()), *b"3jnmDw");
    }

    #[test]
    fn typos_are_refused() {
        let token = with_id(TokenKind::Application, &new_id());
        let token = token.expose_secret();
        for index in 0..token.len() {
            for wrong in ["0", "A", "z", "_", "-", "", "é", "\0"] {
                let mistyped = format!("{}{wrong}{}", &token[..index], &token[index + 1..]);
                assert!(mistyped == token || parse(&mistyped).is_none(), "{mistyped}");
            }
            // Two neighbours exchanged.
            let mut exchanged = token.as_bytes().to_vec();
            exchanged.swap(index, (index + 1) % token.len());
            let exchanged = String::from_utf8(exchanged).unwrap();
            assert!(exchanged == token || parse(&exchanged).is_none(), "{exchanged}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let token = with_id(TokenKind::Personal, &new_id());
        let token = token.expose_secret();
        for text in [
            "",
            "thp_",
            &token[..token.len() - 1],
            &format!("{token} "),
            &format!("{token}{token}"),
            &token.replace("thp_", "tha_"),
            &token.replace("thp_", "thx_"),
            &token.replace("thp_", "ｔｈｐ_"),
            &token.to_uppercase(),
            &"é".repeat(TOKEN_LENGTH / 2),
            &"x".repeat(1 << 20),
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
