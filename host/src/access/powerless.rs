//! Who can do nothing with what they were given: told where they are made, rather than by a refusal later.

use super::profile::{ADMINISTRATOR, Profile, REST_SERVICES_USER};
use super::rights::Rights;
use super::{Access, AccessError, Policy, Standing};

/// What a user lacks to call anything but what is their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// A profile with a right.
    Rights,
    /// A profile that opens REST services, where these are secured.
    RestServices,
}

impl Access {
    /// What a user of this standing lacks, if anything.
    ///
    /// # Errors
    /// The store failed.
    pub async fn lack_of(&self, standing: &Standing) -> Result<Option<Lack>, AccessError> {
        // A profile that isn't there gives nothing.
        let (profiles, _) = self.profiles_of(standing).await?;
        Ok(lack(&profiles, &self.policy()))
    }
}

fn lack(profiles: &[Profile], policy: &Policy) -> Option<Lack> {
    let gives = |profile: &Profile| profile.rights != Rights::NONE || !profile.grants.is_empty();
    let opens = |profile: &Profile| matches!(profile.name.as_str(), ADMINISTRATOR | REST_SERVICES_USER);
    let is_open = !policy.secure_rest_services || policy.allow_rest_services_via_tokens || profiles.iter().any(opens);
    if !profiles.iter().any(gives) {
        return Some(Lack::Rights);
    }
    (!is_open).then_some(Lack::RestServices)
}

#[cfg(test)]
mod tests {
    use super::super::profile::shipped;
    use super::*;

    #[test]
    fn whoever_can_do_nothing_lacks_something() {
        let check = |names: &[&str], secure: bool, by_tokens: bool, expected: Option<Lack>| {
            let profiles: Vec<Profile> = names.iter().filter_map(|name| shipped(name)).collect();
            assert_eq!(profiles.len(), names.len());
            let policy =
                Policy { secure_rest_services: secure, allow_rest_services_via_tokens: by_tokens, ..Policy::default() };
            assert_eq!(lack(&profiles, &policy), expected, "{names:?} {secure} {by_tokens}");
        };
        check(&[], true, false, Some(Lack::Rights));
        check(&[REST_SERVICES_USER], true, false, Some(Lack::Rights));
        check(&["Auditor"], true, false, Some(Lack::RestServices));
        check(&["Auditor"], true, true, None);
        check(&["Auditor"], false, false, None);
        check(&["Auditor", REST_SERVICES_USER], true, false, None);
        check(&[ADMINISTRATOR], true, false, None);
    }
}
