//! What an organization is.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::store::Revision;
use crate::store::table::Table;

/// The records of organizations, by name.
pub(super) const ORGANIZATIONS: Table<Record> = Table::new("organization");
/// Written anew with each use of an organization, by name, so that its deletion and a new use can't both succeed.
pub(super) const GUARDS: Table<()> = Table::new("organization-guard");
/// What belongs to an organization, by organization, kind and name.
pub(super) const USES: Table<()> = Table::new("organization-use");

/// The longest title, in characters.
pub(super) const MAX_TITLE: usize = 200;

/// The organization of everything that names none.
const DEFAULT: &str = "default";

/// The name of the organization that always exists, and that everything belongs to which names none.
pub fn default_name() -> Name {
    Name::known(DEFAULT)
}

/// Whether it is the organization that always exists.
pub(super) fn is_default(name: &Name) -> bool {
    name.as_str() == DEFAULT
}

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its name.
    pub name: Name,
    /// What people call it.
    pub title: Option<String>,
    /// The one that it is a part of.
    pub parent: Option<Name>,
    /// The source that keeps it in step, if there is one.
    pub source: Option<Name>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Its record's revision.
    pub revision: Revision,
}

/// What a new organization is made from.
#[derive(Clone, Debug)]
pub struct NewOrganization {
    /// Its name.
    pub name: Name,
    /// What people call it.
    pub title: Option<String>,
    /// The one that it is a part of.
    pub parent: Option<Name>,
    /// The source that keeps it in step, if there is one.
    pub source: Option<Name>,
}

/// What of an organization is to change. What is left out stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What people call it, or nothing.
    pub title: Option<Option<String>>,
    /// The one that it is a part of, or none.
    pub parent: Option<Option<Name>>,
    /// The revision that it must have.
    pub expected: Option<Revision>,
}

/// An organization at rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// See [`Organization::name`].
    name: Name,
    /// See [`Organization::title`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// See [`Organization::parent`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<Name>,
    /// See [`Organization::source`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Name>,
    /// See [`Organization::created_at`].
    created_at: DateTime<Utc>,
    /// See [`Organization::updated_at`].
    updated_at: DateTime<Utc>,
}

impl Record {
    /// The record of an organization.
    pub(super) fn of(organization: &Organization) -> Self {
        let Organization { name, title, parent, source, created_at, updated_at, revision: _ } = organization.clone();
        Self { name, title, parent, source, created_at, updated_at }
    }

    /// The organization of a record.
    pub(super) fn organization(self, revision: Revision) -> Organization {
        let Self { name, title, parent, source, created_at, updated_at } = self;
        Organization { name, title, parent, source, created_at, updated_at, revision }
    }
}
