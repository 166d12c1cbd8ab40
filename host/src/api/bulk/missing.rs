//! What a source made and lists no longer: found, and disabled or deleted as its policy says.

use std::collections::BTreeSet;

use serde::Deserialize;
use utoipa::ToSchema;

use super::super::organizations::check_reach;
use super::super::problem::Problem;
use super::apply::Run;
use super::report::{Done, Line, Status};
use super::rows::Kind;
use crate::access::application::{ApplicationChange, ApplicationToken};
use crate::access::user::{User, UserChange};
use crate::access::{self, TokenId, TokenState, id_text};
use crate::name::Name;
use crate::organizations::Organization;
use crate::text::Login;

/// Things read at once.
const PAGE: usize = 200;

/// What becomes of what a source lists no longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnMissing {
    /// It is disabled.
    #[default]
    Disable,
    /// It is deleted.
    Delete,
    /// It stays as it is, and belongs to the source.
    Keep,
}

impl Run {
    /// Does what the policy says to all of a kind that the source made and the caller sees, and that isn't listed.
    ///
    /// # Errors
    /// What is missing can't be found out. What becomes of each is in its line.
    pub(super) async fn missing(
        &self,
        kind: Kind,
        listed: &BTreeSet<String>,
        policy: OnMissing,
    ) -> Result<Vec<Line>, Problem> {
        let mut lines = Vec::new();
        if policy == OnMissing::Keep || self.is_broken() {
            return Ok(lines);
        }
        match kind {
            Kind::Users => {
                for user in self.missing_users(listed).await? {
                    let outcome = self.end_user(&user, policy).await;
                    lines.extend(line(kind, user.login.as_str(), outcome));
                }
            }
            Kind::ApplicationTokens => {
                for token in self.missing_applications(listed).await? {
                    let outcome = self.end_application(&token, policy).await;
                    lines.extend(line(kind, token.name.as_str(), outcome));
                }
            }
            Kind::Organizations if policy == OnMissing::Delete => {
                for organization in self.missing_organizations(listed).await? {
                    let outcome = self.end_organization(&organization).await;
                    lines.extend(line(kind, organization.as_str(), outcome));
                }
            }
            Kind::Organizations | Kind::PersonalTokens | Kind::Integrations => {}
        }
        Ok(lines)
    }

    async fn missing_users(&self, listed: &BTreeSet<String>) -> Result<Vec<User>, Problem> {
        let (api, caller, _) = self.parts();
        let mut missing = Vec::new();
        let mut after: Option<Login> = None;
        loop {
            let page = api.access.users(after.as_ref(), PAGE).await?;
            after = page.last().filter(|_| page.len() == PAGE).map(|last| last.login.clone());
            missing.extend(page.into_iter().filter(|user| {
                self.owns(user.source.as_ref())
                    && !listed.contains(user.login.as_str())
                    && caller.sees(&user.standing.contact.organization)
            }));
            if after.is_none() {
                return Ok(missing);
            }
        }
    }

    async fn missing_applications(&self, listed: &BTreeSet<String>) -> Result<Vec<ApplicationToken>, Problem> {
        let (api, caller, _) = self.parts();
        let mut missing = Vec::new();
        let mut after: Option<TokenId> = None;
        loop {
            let page = api.access.applications(after.as_ref(), PAGE).await?;
            after = page.last().filter(|_| page.len() == PAGE).map(|last| last.id);
            missing.extend(page.into_iter().filter(|token| {
                self.owns(token.source.as_ref())
                    && token.state != TokenState::Deleted
                    && !listed.contains(token.name.as_str())
                    && caller.sees(&token.standing.contact.organization)
            }));
            if after.is_none() {
                return Ok(missing);
            }
        }
    }

    /// Those that are part of others come first.
    async fn missing_organizations(&self, listed: &BTreeSet<String>) -> Result<Vec<Name>, Problem> {
        let (api, caller, _) = self.parts();
        let mut missing: Vec<Organization> = Vec::new();
        let mut after: Option<Name> = None;
        loop {
            let page = api.organizations.list(after.as_ref(), PAGE).await?;
            after = page.last().filter(|_| page.len() == PAGE).map(|last| last.name.clone());
            missing.extend(page.into_iter().filter(|one| {
                self.owns(one.source.as_ref()) && !listed.contains(one.name.as_str()) && caller.sees(&one.name)
            }));
            if after.is_none() {
                break;
            }
        }
        let tree = api.organizations.tree();
        missing.sort_by_key(|one| std::cmp::Reverse(tree.ancestry(&one.name).count()));
        Ok(missing.into_iter().map(|one| one.name).collect())
    }

    async fn end_user(&self, user: &User, policy: OnMissing) -> Result<Option<Done>, Problem> {
        let (api, caller, dry_run) = self.parts();
        let object = format!("users/{}", user.login);
        if policy == OnMissing::Delete {
            if !dry_run {
                api.access.delete_user(caller, &user.login).await?;
                self.record("user.delete", &object, |entry| entry).await;
            }
            return Ok(Some(Done::new(Status::Deleted)));
        }
        if user.standing.status == access::Status::Disabled {
            return Ok(None);
        }
        let change = UserChange { standing: Self::disabled(), expected: Some(user.revision), ..UserChange::default() };
        api.access.change_user(caller, &user.login, change, dry_run).await?;
        self.record("user.change", &object, |entry| entry.detail("status", "disabled")).await;
        Ok(Some(Done::new(Status::Disabled)))
    }

    async fn end_application(&self, token: &ApplicationToken, policy: OnMissing) -> Result<Option<Done>, Problem> {
        let (api, caller, dry_run) = self.parts();
        let id = id_text(&token.id);
        let object = format!("application-tokens/{id}");
        if policy == OnMissing::Delete {
            if !dry_run {
                api.access.delete_application(caller, &token.id).await?;
                self.record("application_token.delete", &object, |entry| entry.about_token(id)).await;
            }
            return Ok(Some(Done::of_token(Status::Deleted, id)));
        }
        if token.standing.status == access::Status::Disabled {
            return Ok(None);
        }
        let expected = Some(token.revision);
        let change = ApplicationChange { standing: Self::disabled(), expected, ..ApplicationChange::default() };
        api.access.change_application(caller, &token.id, change, dry_run).await?;
        let disabled = self
            .record("application_token.change", &object, |entry| entry.about_token(id).detail("status", "disabled"));
        disabled.await;
        Ok(Some(Done::of_token(Status::Disabled, id)))
    }

    async fn end_organization(&self, name: &Name) -> Result<Option<Done>, Problem> {
        let (api, caller, dry_run) = self.parts();
        check_reach(caller, Some(name), None)?;
        if !dry_run {
            api.organizations.delete(name).await?;
            self.record("organization.delete", &format!("organizations/{name}"), |entry| entry).await;
        }
        Ok(Some(Done::new(Status::Deleted)))
    }
}

/// The line of what isn't listed, if anything became of it.
fn line(kind: Kind, key: &str, outcome: Result<Option<Done>, Problem>) -> Option<Line> {
    outcome.transpose().map(|outcome| Line::new(None, kind, Some(key), outcome))
}
