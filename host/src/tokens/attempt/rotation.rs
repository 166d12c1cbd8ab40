//! Secrets with several values: where a provider refuses the client, the attempt is made again with the next value, so that
//! the rotation of a secret causes no outage. The flow sees one name. Which value worked is remembered with the key.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::super::record::RefreshState;
use super::{Attempt, Last};
use crate::flows::step::Failure;
use crate::secrets::{Secrets, further};

/// The error code by which a provider refuses the client itself (RFC 6749 section 5.2).
const CLIENT_REFUSED: &str = "invalid_client";

/// Which of several values a provider took last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tokens) struct Proven {
    /// When the integration was last changed then. Once it is changed again, its order counts anew.
    since: DateTime<Utc>,
    /// The number of the value, by the secret's name; the first one is 1.
    values: BTreeMap<String, u8>,
}

/// The further values of an attempt's secrets.
pub(super) struct Rotation {
    /// Those not tried yet, in order, by the secret's name.
    left: BTreeMap<String, VecDeque<(u8, SecretString)>>,
    /// The numbers of those in use, of the secrets that have several.
    in_use: BTreeMap<String, u8>,
    /// When the integration was last changed.
    since: DateTime<Utc>,
    /// The secrets that the last request held.
    pub(super) sent: BTreeSet<String>,
}

impl Rotation {
    /// Takes the further values out of the secrets, and puts the one that was proven in front.
    pub(super) fn of(secrets: &mut Secrets, since: DateTime<Utc>, proven: Option<&Proven>) -> Self {
        let mut left: BTreeMap<String, VecDeque<(u8, SecretString)>> = BTreeMap::new();
        let names: Vec<String> = secrets.names().map(str::to_owned).collect();
        for name in names {
            if let Some((first, number)) = further(&name).filter(|(first, _)| secrets.get(first).is_some())
                && let Some(value) = secrets.remove(&name)
            {
                left.entry(first.to_owned()).or_default().push_back((number, value));
            }
        }
        let mut rotation =
            Self { in_use: left.keys().map(|name| (name.clone(), 1)).collect(), left, since, sent: BTreeSet::new() };
        for (name, number) in proven.filter(|proven| proven.since == since).into_iter().flat_map(|it| &it.values) {
            rotation.put_in_front(secrets, name, *number);
        }
        rotation
    }

    /// Uses this value first; the others keep their order.
    fn put_in_front(&mut self, secrets: &mut Secrets, name: &str, number: u8) {
        let Some(left) = self.left.get_mut(name) else { return };
        let Some(at) = left.iter().position(|(known, _)| *known == number) else { return };
        if let (Some((number, value)), Some(first)) = (left.remove(at), secrets.remove(name)) {
            left.push_front((1, first));
            secrets.insert(name, value);
            self.in_use.insert(name.to_owned(), number);
        }
    }

    /// Puts the next value of a secret that was sent in its place. Returns the secret's name and the value's number.
    fn next(&mut self, secrets: &mut Secrets) -> Option<(String, u8)> {
        let name = self.sent.iter().find(|name| self.left.get(*name).is_some_and(|left| !left.is_empty()))?.clone();
        let (number, value) = self.left.get_mut(&name)?.pop_front()?;
        secrets.insert(&name, value);
        self.in_use.insert(name.clone(), number);
        Some((name, number))
    }

    /// What to remember after a success; none where the first values are in use.
    pub(super) fn proven(&self) -> Option<Proven> {
        let values: BTreeMap<String, u8> = self
            .in_use
            .iter()
            .filter(|(_, number)| **number > 1)
            .map(|(name, number)| (name.clone(), *number))
            .collect();
        (!values.is_empty()).then_some(Proven { since: self.since, values })
    }
}

impl Attempt {
    /// Whether the attempt goes on, from the start of its purpose, with the next value of a secret.
    pub(super) fn rotate(&mut self, failure: &Failure) -> bool {
        if failure.code != CLIENT_REFUSED || !matches!(self.last, Last::Answered(..499, _)) {
            return false;
        }
        let Some((name, number)) = self.rotation.next(&mut self.secrets) else { return false };
        let message = self.cleaner.clean(&failure.message);
        self.tell(|story| story.problem = Some(format!("{CLIENT_REFUSED}: {message}")));
        self.note(&format!("the provider refused the client; tried again with value {number} of {name}"));
        // A refused client spends no refresh token.
        if self.refresh != RefreshState::Spent {
            self.refresh = RefreshState::Ready;
        }
        self.last = Last::Nothing;
        true
    }
}
