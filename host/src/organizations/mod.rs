//! Organizations: the forest that models, integrations and principals belong to.
//!
//! It says which organizations there are, who is whose child, and what still uses one. It doesn't know what a user of an
//! organization is, nor who may see what: `access` decides that, from the tree.

mod error;
mod keeper;
mod organization;
mod tree;

#[cfg(test)]
mod tests;

pub use self::error::{OrganizationError, OrganizationFault};
pub use self::keeper::Organizations;
pub use self::organization::{Change, NewOrganization, Organization, default_name};
pub use self::tree::{MAX_DEPTH, MAX_ORGANIZATIONS, Tree};
