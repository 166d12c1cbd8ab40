//! Flows that ask nobody: their token is made of the integration's own secrets, by name, and done at once.
//!
//! What a provider answers is nothing to them. What has to hold is that the host could fill in what the token names.

use super::judge::{self, Miss};
use crate::egress::sign::SIGNERS;
use crate::flows::request::{Derivation, JsonValue, Member, Part, Template};
use crate::flows::step::{FlowToken, Remedy};
use crate::secrets::Secrets;
use crate::trial::walk::End;

/// Whether an attempt that sent so many requests ended as such a flow ends it: with a token that has no value of its own.
pub(super) fn is_at_once(requests: usize, end: &End) -> bool {
    matches!(end, End::Token(token) if requests == 0 && token.access_token.is_none() && token.refresh_token.is_none())
}

/// Holds the token of such a flow, and what it answers to a refresh, against what the host can do with it.
pub(super) fn judge(acquired: &End, refreshed: &End, secrets: &Secrets) -> Result<(), Miss> {
    let End::Token(token) = acquired else {
        return Err(Miss::new("a token", judge::end(acquired)));
    };
    match refreshed {
        End::Token(_) => {}
        End::Failed(failure) if failure.remedy == Remedy::Reacquire => {}
        end => {
            return Err(Miss::new("the token again, or a failure with the remedy reacquire", judge::end(end)));
        }
    }
    if let Some(signer) = &token.placing.signer
        && !SIGNERS.contains(&signer.name.as_str())
    {
        let expected = format!("a signer that the host has: {}", SIGNERS.join(", "));
        return Err(Miss::new(expected, format!("the signer {:?}", signer.name)));
    }
    let unset = unset(token, secrets);
    if unset.is_empty() {
        return Ok(());
    }
    Err(Miss::new("a token that names secrets which are set", format!("it names {}", unset.join(", "))))
}

/// The names in a token's placements, signer and derived values that stand for nothing.
fn unset(token: &FlowToken, secrets: &Secrets) -> Vec<String> {
    let mut known: Vec<String> = secrets.names().map(str::to_owned).collect();
    known.extend(token.secrets.iter().map(|(name, _)| format!("token.{name}")));
    let mut unset = Vec::new();
    let mut look = |parts: Vec<&Part>, known: &[String]| {
        for part in parts {
            if let Part::Secret(name) = part
                && !known.contains(name)
                && !unset.contains(name)
            {
                unset.push(name.clone());
            }
        }
    };
    for derived in &token.placing.derived {
        let mut parts: Vec<&Part> = Vec::new();
        let key;
        match &derived.value {
            Derivation::Basic { user, password, .. } => parts.extend(user.iter().chain(password)),
            Derivation::Jwt { key: name, header, claims, .. } => {
                key = Part::Secret(name.clone());
                parts.push(&key);
                parts.extend(header.iter().chain(claims).filter_map(text).flatten());
            }
            Derivation::Hmac { key, message, .. } => parts.extend(key.iter().chain(message)),
            Derivation::Digest { message, .. } => parts.extend(message),
            Derivation::Transform { value, .. } => parts.extend(value),
        }
        look(parts, &known);
        known.push(derived.name.clone());
    }
    let placed = token.placing.placements.iter().flat_map(|placement| &placement.value);
    let signed = token.placing.signer.iter().flat_map(|signer| &signer.parameters).flat_map(|(_, value)| value);
    look(placed.chain(signed).collect(), &known);
    unset
}

/// The template of a member, if it has one.
fn text(member: &Member) -> Option<&Template> {
    match &member.value {
        JsonValue::Text(template) => Some(template),
        JsonValue::Literal(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::request::{BasicEncoding, Derived};
    use crate::flows::step::{Failure, Location, Placement, Placing, Signer};

    fn placed(names: &[&str]) -> FlowToken {
        let value = names.iter().map(|name| Part::Secret((*name).to_owned())).collect();
        let placement = Placement { location: Location::Header, name: "x-key".to_owned(), value };
        FlowToken { placing: Placing { placements: vec![placement], ..Placing::default() }, ..FlowToken::default() }
    }

    fn ended(token: FlowToken) -> End {
        End::Token(Box::new(token))
    }

    #[test]
    fn only_what_is_set_can_be_filled_in() {
        let mut secrets = Secrets::default();
        secrets.insert("api_key", "k".into());
        let check = |token: FlowToken, expected: Result<(), &str>| {
            let outcome = judge(&ended(token), &ended(FlowToken::default()), &secrets);
            assert_eq!(outcome.map_err(|miss| miss.got), expected.map_err(str::to_owned));
        };
        check(FlowToken::default(), Ok(()));
        check(placed(&["api_key"]), Ok(()));
        check(placed(&["api_key", "other", "basic"]), Err("it names other, basic"));
        let basic = |user: &str| Derived {
            name: "basic".to_owned(),
            value: Derivation::Basic {
                user: vec![Part::Secret(user.to_owned())],
                password: Vec::new(),
                encoding: BasicEncoding::None,
            },
        };
        let computed = |user: &str| {
            let mut token = placed(&["basic"]);
            token.placing.derived.push(basic(user));
            token
        };
        check(computed("api_key"), Ok(()));
        check(computed("nope"), Err("it names nope"));
        let signed = |name: &str| {
            let mut token = FlowToken::default();
            token.placing.signer = Some(Signer { name: name.to_owned(), parameters: Vec::new() });
            token
        };
        check(signed("http-digest"), Ok(()));
        check(signed("magic"), Err("the signer \"magic\""));
    }

    #[test]
    fn a_refresh_makes_the_same_or_asks_to_begin_anew() {
        let failed = |remedy| End::Failed(Failure { code: "no".to_owned(), message: String::new(), remedy });
        let check = |refreshed: End, holds: bool| {
            assert_eq!(judge(&ended(FlowToken::default()), &refreshed, &Secrets::default()).is_ok(), holds);
        };
        check(failed(Remedy::Reacquire), true);
        check(failed(Remedy::Reconfigure), false);
        check(End::Revoked, false);
        assert!(!is_at_once(1, &ended(FlowToken::default())));
        let valued = FlowToken { access_token: Some("made up".into()), ..FlowToken::default() };
        assert!(is_at_once(0, &ended(FlowToken::default())) && !is_at_once(0, &ended(valued)));
    }
}
