//! Why an organization can't be had, made, changed, used or deleted.

use std::fmt;

use super::organization::MAX_TITLE;
use super::tree::{MAX_DEPTH, MAX_ORGANIZATIONS};
use crate::name::Name;
use crate::store::StoreError;

/// What is wrong with one input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrganizationFault {
    /// The title isn't what a title may be.
    #[error("has 1 to {MAX_TITLE} characters, none of which is a control character")]
    Title,
    /// There is no organization of the parent's name.
    #[error("there is no organization {0}; make that one first")]
    NoParent(Name),
    /// It would be a part of itself.
    #[error("{0} is this organization or a part of it")]
    Circle(Name),
    /// There would be too many above each other.
    #[error("organizations would be more than {MAX_DEPTH} deep; choose one further up")]
    TooDeep,
    /// The one that always exists stands at the top.
    #[error("the organization `default` is part of no other")]
    DefaultParent,
}

impl OrganizationFault {
    /// Which input: `title` or `parent`.
    pub fn field(&self) -> &'static str {
        if matches!(self, Self::Title) { "title" } else { "parent" }
    }

    /// In what way it is wrong: `malformed`, `unknown` or `not_allowed`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Title => "malformed",
            Self::NoParent(_) => "unknown",
            Self::Circle(_) | Self::TooDeep | Self::DefaultParent => "not_allowed",
        }
    }
}

/// Why an organization can't be had, made, changed, used or deleted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OrganizationError {
    /// There is no such organization.
    #[error("there is no organization {0}; make it first")]
    NotFound(Name),
    /// The name is taken.
    #[error("there is an organization {0} already; give this one another name, or change that one")]
    Exists(Name),
    /// There are as many as there can be.
    #[error("there are {MAX_ORGANIZATIONS} organizations, and no more are possible; delete one that isn't used")]
    TooMany,
    /// Inputs are wrong: all that are, at once.
    #[error("{}", join(.0, |fault| format!("{}: {fault}", fault.field())))]
    Invalid(Vec<OrganizationFault>),
    /// It always exists.
    #[error("the organization `default` can't be deleted: everything that names no other belongs to it")]
    Default,
    /// Others are parts of it; the first ten.
    #[error("other organizations are part of this one: {}", join(.0, Name::to_string))]
    HasChildren(Vec<Name>),
    /// Something belongs to it: kind and name of each, the first ten.
    #[error("these belong to this organization: {}", join(.0, |(kind, user)| format!("{kind} {user}")))]
    InUse(Vec<(String, String)>),
    /// Somebody else changed it since it was read.
    #[error("the organization was changed meanwhile; read it again and repeat the change")]
    Changed,
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn join<T>(items: &[T], text: impl Fn(&T) -> String) -> impl fmt::Display {
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}
