//! What is known of a token that somebody found, for those who read the audit log: whose it is, and whether its value is one
//! that works. It lets nobody in and counts no use.

use super::Access;
use super::application::{self, ApplicationToken};
use super::credential::Presentation;
use super::personal::{self, PersonalToken};
use super::token::{self, Presented, TokenId, TokenKind};
use super::user::USERS;
use crate::store::StoreError;

/// A token of either kind, without its value.
#[derive(Clone, Debug)]
pub enum AnyToken {
    /// An application's.
    Application(ApplicationToken),
    /// A user's.
    Personal(PersonalToken),
}

/// Which value of a token was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundValue {
    /// The present one.
    Current,
    /// An earlier one, which works beside the present one yet.
    EarlierInGrace,
    /// An earlier one, which was replaced.
    Earlier,
    /// One whose digest is under a pepper that was retired and isn't accepted any more.
    Retired,
    /// None that the token ever had, as far as is remembered.
    Wrong,
    /// One that is cut, extended or mistyped.
    Mistyped,
    /// None: only the id was given.
    NotGiven,
}

impl FoundValue {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::EarlierInGrace => "earlier_in_grace",
            Self::Earlier => "earlier",
            Self::Retired => "retired",
            Self::Wrong => "wrong",
            Self::Mistyped => "mistyped",
            Self::NotGiven => "not_given",
        }
    }
}

/// What is known of a token.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// Its public id.
    pub id: TokenId,
    /// The token; none: there is none of this id.
    pub token: Option<AnyToken>,
    /// Which of its values was found. Of a token that there isn't, every value is wrong.
    pub value: FoundValue,
}

/// What was asked about.
struct Sought<'a> {
    id: TokenId,
    /// Its kind, where the prefix says it.
    kind: Option<TokenKind>,
    /// The whole token, where it is one.
    whole: Option<Presented<'a>>,
}

impl<'a> Sought<'a> {
    /// Reads a token, a token that is mistyped behind its id, or an id alone.
    fn read(text: &'a str) -> Option<Self> {
        if let Some(whole) = token::parse(text) {
            return Some(Self { id: *whole.id, kind: Some(whole.kind), whole: Some(whole) });
        }
        for kind in [TokenKind::Application, TokenKind::Personal] {
            if let Some(rest) = text.strip_prefix(kind.prefix()) {
                let id = rest.get(..token::ID_LENGTH).and_then(token::parse_id)?;
                return Some(Self { id, kind: Some(kind), whole: None });
            }
        }
        token::parse_id(text).map(|id| Self { id, kind: None, whole: None })
    }
}

impl Access {
    /// What is known of a token: given whole, cut or mistyped behind its id, or by its id alone. `None`: it is none of these.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn inquire(&self, text: &str) -> Result<Option<Inquiry>, StoreError> {
        let Some(sought) = Sought::read(text.trim()) else { return Ok(None) };
        let id = token::id_text(&sought.id);
        let may_be = |kind| sought.kind.is_none_or(|sought| sought == kind);
        let mut found = None;
        if may_be(TokenKind::Application)
            && let Some(record) = application::TOKENS.get(&*self.store, &[id]).await?
        {
            let credential = record.value.credential.clone();
            let token = record.value.open(sought.id, self.clock.now(), record.revision);
            found = Some((AnyToken::Application(token), credential));
        }
        if found.is_none()
            && may_be(TokenKind::Personal)
            && let Some(record) = personal::TOKENS.get(&*self.store, &[id]).await?
        {
            let credential = record.value.credential.clone();
            let user = USERS.get(&*self.store, &[record.value.user.as_str()]).await?;
            let user = user.as_ref().map(|user| &user.value);
            let token = self.open_personal(sought.id, record.value, user, record.revision);
            found = Some((AnyToken::Personal(token), credential));
        }
        let now = self.clock.now();
        let accepts = |pepper| self.peppers.accepts(pepper, now, self.policy().allow_fallback_token);
        let value = match (&sought.whole, &found) {
            (None, _) if sought.kind.is_none() => FoundValue::NotGiven,
            (None, _) => FoundValue::Mistyped,
            (Some(_), None) => FoundValue::Wrong,
            (Some(whole), Some((_, credential))) => match credential.compare(&self.peppers, whole, now) {
                Presentation::Current(pepper, _) if accepts(pepper) => FoundValue::Current,
                Presentation::InGrace(pepper, _, _) if accepts(pepper) => FoundValue::EarlierInGrace,
                Presentation::Current(..) | Presentation::InGrace(..) => FoundValue::Retired,
                Presentation::Rebuilt => FoundValue::Earlier,
                Presentation::Wrong => FoundValue::Wrong,
            },
        };
        Ok(Some(Inquiry { id: sought.id, token: found.map(|(token, _)| token), value }))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn tokens_and_ids_are_told_apart() {
        let check = |text: &str, expected: Option<(Option<TokenKind>, bool)>| {
            let found = Sought::read(text);
            assert_eq!(found.map(|found| (found.kind, found.whole.is_some())), expected, "{text}");
        };
        let id = token::new_id();
        let whole = token::with_id(TokenKind::Personal, &id);
        let whole = whole.expose_secret();
        check(whole, Some((Some(TokenKind::Personal), true)));
        check(&whole[..whole.len() - 1], Some((Some(TokenKind::Personal), false)));
        check(&format!("{whole}x"), Some((Some(TokenKind::Personal), false)));
        check(&whole[..16], Some((Some(TokenKind::Personal), false)));
        check(&whole[..15], None);
        check(token::id_text(&id), Some((None, false)));
        check("tha_0123456789ab_", Some((Some(TokenKind::Application), false)));
        for none in ["", "tha_", "thx_0123456789ab", "0123456789a", "0123456789aé", "tha_012345678é_ab"] {
            check(none, None);
        }
    }
}
