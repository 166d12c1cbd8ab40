//! Flags that users and application tokens have in common: status, contact, profiles, allowed organizations.

use super::noun::Body;

/// Status, contact, profiles, allowed organizations.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Standing {
    /// A profile; once for each. Together they are all profiles it is to have
    #[arg(long, value_name = "NAME")]
    profile: Vec<String>,
    /// An organization that limits what it sees, with all that is part of it; once for each. Without any, nothing does
    #[arg(long, value_name = "NAME")]
    allowed_organization: Vec<String>,
    /// Whether it is let in at all
    #[arg(long, value_parser = ["enabled", "disabled"])]
    status: Option<String>,
    /// The contact's first name
    #[arg(long, value_name = "NAME")]
    first_name: Option<String>,
    /// The contact's name: a person's or a team's
    #[arg(long, value_name = "NAME")]
    contact_name: Option<String>,
    /// The contact's mail address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// The organization that it belongs to; `default` where a new one names none
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
}

impl Standing {
    /// Adds what was given.
    pub(super) fn add_to(self, body: &mut Body) {
        body.list("profiles", self.profile)
            .list("allowed_organizations", self.allowed_organization)
            .set("status", self.status)
            .set("contact.first_name", self.first_name)
            .set("contact.name", self.contact_name)
            .set("contact.email", self.email)
            .set("contact.organization", self.organization);
    }
}
