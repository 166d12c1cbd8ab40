//! Makes, changes, reads and deletes the profiles that operators add.

use super::Access;
use super::error::AccessError;
use super::principal::Principal;
use super::profile::{Grant, PROFILES, Profile, ProfileRecord, all_shipped, shipped};
use super::rights::{Right, Rights};
use super::standing::{Standing, parse, parse_all};
use crate::fault::{FaultCode, FieldFault};
use crate::store::table::Page;
use crate::store::{Batch, Revision};
use crate::text::{self, ProfileName};

/// Profiles at most, beside the shipped ones: so many, that all of them are read where someone asks for all.
const MOST_PROFILES: usize = 1000;
/// Grants of one profile at most.
const MOST_GRANTS: usize = 100;
/// The longest description.
const DESCRIPTION_LENGTH: usize = 500;

/// What of a profile is to change, or what a new one is to be, as it was written.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// What it is for.
    pub description: Option<String>,
    /// Rights on all that the principal sees.
    pub rights: Option<Vec<String>>,
    /// Rights on some of it.
    pub grants: Option<Vec<GrantInput>>,
    /// The revision that it must have.
    pub expected: Option<Revision>,
}

/// A grant as it was written.
#[derive(Clone, Debug, Default)]
pub struct GrantInput {
    /// Which rights.
    pub rights: Vec<String>,
    /// On all that these organizations hold.
    pub organizations: Vec<String>,
    /// On these integrations.
    pub integrations: Vec<String>,
    /// Only to call these operations of theirs.
    pub operations: Vec<String>,
}

impl Access {
    /// Reads a profile.
    ///
    /// # Errors
    /// There is none of this name, or the storage failed.
    pub async fn profile(&self, name: &ProfileName) -> Result<Profile, AccessError> {
        let missing = || AccessError::not_found("profile", name);
        self.find_profile(name).await?.ok_or_else(missing)
    }

    async fn find_profile(&self, name: &ProfileName) -> Result<Option<Profile>, AccessError> {
        if let Some(profile) = shipped(name.as_str()) {
            return Ok(Some(profile));
        }
        let found = PROFILES.get(&*self.store, &[name.as_str()]).await?;
        Ok(found.map(|found| Profile::of(name.clone(), found.value, found.revision)))
    }

    /// All profiles: those that ship, then the others by name.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn profiles(&self) -> Result<Vec<Profile>, AccessError> {
        let page = Page { limit: MOST_PROFILES, ..Page::default() };
        let added = PROFILES.list(&*self.store, &[], page).await?.into_iter().filter_map(|found| {
            let name = found.key.first()?.parse().ok()?;
            Some(Profile::of(name, found.value, found.revision))
        });
        Ok(all_shipped().chain(added).collect())
    }

    /// Makes a profile.
    ///
    /// # Errors
    /// Inputs are wrong (all that are, at once), the name is taken, the giver lacks a right, or the storage failed.
    pub async fn create_profile(&self, by: &Principal, name: &str, new: ProfileChange) -> Result<Profile, AccessError> {
        let mut faults = Vec::new();
        let name: Option<ProfileName> = parse("name", name, &mut faults);
        let record = ProfileRecord {
            description: String::new(),
            rights: Vec::new(),
            grants: Vec::new(),
            updated_at: self.clock.now(),
        };
        let record = self.apply_to_profile(by, record, new, faults)?;
        let Some(name) = name else { return Err(AccessError::Changed) };
        let same = |profile: &Profile| profile.name.as_str().eq_ignore_ascii_case(name.as_str());
        let all = self.profiles().await?;
        if all.iter().any(same) {
            return Err(AccessError::Exists { what: "profile", name: name.to_string() });
        }
        if all.len() >= MOST_PROFILES {
            return Err(AccessError::InUse(format!("there are {MOST_PROFILES} profiles; delete one first")));
        }
        let mut batch = Batch::synced();
        PROFILES.expect(&mut batch, &[name.as_str()], None);
        PROFILES.put(&mut batch, &[name.as_str()], &record)?;
        let revision = self.store.commit(batch).await?;
        self.cache.forget_principals();
        Ok(Profile::of(name, record, revision))
    }

    /// Changes a profile that operators added. What its holders may do changes with the next request.
    ///
    /// # Errors
    /// As for [`Access::create_profile`]; shipped ones never change.
    pub async fn change_profile(
        &self,
        by: &Principal,
        name: &ProfileName,
        change: ProfileChange,
    ) -> Result<Profile, AccessError> {
        let profile = self.own_profile(name).await?;
        if change.expected.is_some_and(|expected| expected != profile.revision) {
            return Err(AccessError::Changed);
        }
        let record = ProfileRecord {
            description: profile.description,
            rights: profile.rights.iter().collect(),
            grants: profile.grants,
            updated_at: self.clock.now(),
        };
        let record = self.apply_to_profile(by, record, change, Vec::new())?;
        let mut batch = Batch::synced();
        PROFILES.expect(&mut batch, &[name.as_str()], Some(profile.revision));
        PROFILES.put(&mut batch, &[name.as_str()], &record)?;
        let revision = self.store.commit(batch).await?;
        self.cache.forget_principals();
        Ok(Profile::of(name.clone(), record, revision))
    }

    /// Deletes a profile that operators added. Its holders lose what it gave with the next request.
    ///
    /// # Errors
    /// There is none of this name, it ships, or the storage failed.
    pub async fn delete_profile(&self, by: &Principal, name: &ProfileName) -> Result<(), AccessError> {
        let profile = self.own_profile(name).await?;
        self.check_rights(by, profile.rights)?;
        let mut batch = Batch::synced();
        PROFILES.expect(&mut batch, &[name.as_str()], Some(profile.revision));
        PROFILES.remove(&mut batch, &[name.as_str()]);
        self.store.commit(batch).await?;
        self.cache.forget_principals();
        Ok(())
    }

    /// A profile that can be changed.
    async fn own_profile(&self, name: &ProfileName) -> Result<Profile, AccessError> {
        let profile = self.profile(name).await?;
        if profile.shipped {
            return Err(AccessError::InUse(format!(
                "the profile {name} ships with tokenhost and never changes; make one of your own"
            )));
        }
        Ok(profile)
    }

    fn check_rights(&self, by: &Principal, rights: Rights) -> Result<(), AccessError> {
        match rights.iter().find(|right| !by.may(*right)) {
            Some(right) => Err(AccessError::Forbidden(format!(
                "the profile gives the right {}, which you don't have yourself",
                right.as_str()
            ))),
            None => Ok(()),
        }
    }

    fn apply_to_profile(
        &self,
        by: &Principal,
        mut record: ProfileRecord,
        change: ProfileChange,
        mut faults: Vec<FieldFault>,
    ) -> Result<ProfileRecord, AccessError> {
        if let Some(description) = change.description {
            if description.chars().count() > DESCRIPTION_LENGTH || description.chars().any(char::is_control) {
                let message = format!("must be at most {DESCRIPTION_LENGTH} characters without control characters");
                faults.push(FieldFault::new("description", FaultCode::Malformed, message));
            }
            record.description = description;
        }
        if let Some(rights) = change.rights {
            record.rights = parse_rights("rights", &rights, &mut faults);
        }
        if let Some(grants) = change.grants {
            if grants.len() > MOST_GRANTS {
                let message = format!("has {} items; at most {MOST_GRANTS} are allowed", grants.len());
                faults.push(FieldFault::new("grants", FaultCode::Malformed, message));
            }
            let tree = self.organizations.tree();
            record.grants = Vec::new();
            for (index, grant) in grants.iter().take(MOST_GRANTS).enumerate() {
                let field = |member: &str| format!("grants[{index}].{member}");
                let organizations = parse_all(&field("organizations"), &grant.organizations, &mut faults);
                for name in organizations.iter().filter(|name| !tree.contains(name)) {
                    let message = format!("there is no organization {name}");
                    faults.push(FieldFault::new(field("organizations"), FaultCode::Unknown, message));
                }
                let rights = parse_rights(&field("rights"), &grant.rights, &mut faults);
                let integrations = parse_all(&field("integrations"), &grant.integrations, &mut faults);
                if organizations.is_empty() && integrations.is_empty() {
                    let message =
                        "names neither organizations nor integrations; rights on everything stand in `rights`";
                    faults.push(FieldFault::new(format!("grants[{index}]"), FaultCode::Missing, message));
                }
                let operations = parse_all(&field("operations"), &grant.operations, &mut faults);
                if !operations.is_empty() && rights.iter().any(|right| *right != Right::UseTokens) {
                    let message = "limits use_tokens alone; put other rights into a grant of their own";
                    faults.push(FieldFault::new(field("operations"), FaultCode::NotAllowed, message));
                }
                record.grants.push(Grant { rights, organizations, integrations, operations });
            }
        }
        if !faults.is_empty() {
            return Err(AccessError::Invalid(faults));
        }
        let granted = record.grants.iter().flat_map(|grant| grant.rights.iter().copied());
        self.check_rights(by, record.rights.iter().copied().chain(granted).collect())?;
        record.updated_at = self.clock.now();
        Ok(record)
    }

    /// The profiles that a standing names, and the names of those that aren't there, which give nothing.
    pub(super) async fn profiles_of<'a>(
        &self,
        standing: &'a Standing,
    ) -> Result<(Vec<Profile>, Vec<&'a ProfileName>), AccessError> {
        let (mut profiles, mut missing) = (Vec::with_capacity(standing.profiles.len()), Vec::new());
        for name in &standing.profiles {
            match self.find_profile(name).await? {
                Some(profile) => profiles.push(profile),
                None => missing.push(name),
            }
        }
        Ok((profiles, missing))
    }

    /// The same for a standing that is to be: those that aren't there are faults.
    pub(super) async fn profiles_wanted(
        &self,
        standing: &Standing,
        faults: &mut Vec<FieldFault>,
    ) -> Result<Vec<Profile>, AccessError> {
        let (profiles, missing) = self.profiles_of(standing).await?;
        if !missing.is_empty() {
            let known: Vec<String> = self.profiles().await?.iter().map(|profile| profile.name.to_string()).collect();
            faults.extend(missing.into_iter().map(|name| {
                let message = format!("there is no profile {name}; {}", text::meant(name.as_str(), &known));
                FieldFault::new("profiles", FaultCode::Unknown, message)
            }));
        }
        Ok(profiles)
    }
}

fn parse_rights(field: &str, names: &[String], faults: &mut Vec<FieldFault>) -> Vec<Right> {
    let mut rights = Vec::new();
    for (index, name) in names.iter().take(Right::ALL.len() * 2).enumerate() {
        match Right::of_name(name) {
            Some(right) if !rights.contains(&right) => rights.push(right),
            Some(_) => {}
            None => {
                let all: Vec<&str> = Right::ALL.into_iter().map(Right::as_str).collect();
                let message = format!("is no right; there are {}", all.join(", "));
                faults.push(FieldFault::new(format!("{field}[{index}]"), FaultCode::Unknown, message));
            }
        }
    }
    rights
}
