//! The scopes that tokens can have: those that ship, each with a door of the API behind it, and those that operators add for
//! services behind a proxy.

use crate::text::Scope;

use crate::config::SHIPPED_SCOPES;

/// Scopes at most, the shipped ones included: each is one bit of a set.
const MOST_SCOPES: usize = 64;

/// A set of scopes, by their place in [`Scopes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(pub(super) u64);

/// The place of a scope in [`Scopes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeId(u32);

impl ScopeSet {
    /// Whether the scope is in it.
    pub fn contains(self, scope: ScopeId) -> bool {
        self.0 >> scope.0 & 1 == 1
    }

    /// With this scope.
    #[must_use]
    pub(super) fn with(self, scope: ScopeId) -> Self {
        Self(self.0 | 1 << scope.0)
    }
}

/// The scopes that tokens can have: those that ship, then those that operators add.
#[derive(Clone, Debug)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Calls of the API.
    pub const REST: ScopeId = ScopeId(0);
    /// `/v1/export`.
    pub const EXPORT: ScopeId = ScopeId(1);
    /// `/v1/import`.
    pub const IMPORT: ScopeId = ScopeId(2);
    /// `/v1/synchro`.
    pub const SYNCHRO: ScopeId = ScopeId(3);

    /// The shipped ones and these. Those that are there twice, or too many, are left out: `config` refuses them by name.
    pub fn new(added: &[Scope]) -> Self {
        let mut all: Vec<Scope> = SHIPPED_SCOPES.iter().filter_map(|name| name.parse().ok()).collect();
        for scope in added {
            if all.len() < MOST_SCOPES && all.iter().all(|known| known.in_url() != scope.in_url()) {
                all.push(scope.clone());
            }
        }
        Self(all)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (ScopeId, &Scope)> {
        (0..).map(ScopeId).zip(&self.0)
    }

    /// The scope of this name.
    pub fn find(&self, name: &str) -> Option<ScopeId> {
        self.iter().find(|(_, scope)| scope.as_str() == name).map(|(id, _)| id)
    }

    /// The scope of this form in a URL.
    pub fn in_url(&self, text: &str) -> Option<ScopeId> {
        self.iter().find(|(_, scope)| scope.is_in_url(text)).map(|(id, _)| id)
    }

    /// What a scope is called.
    pub fn name(&self, id: ScopeId) -> &str {
        self.0.get(id.0 as usize).map_or("", Scope::as_str)
    }

    /// Their names, for messages.
    pub fn names(&self) -> String {
        self.0.iter().map(Scope::as_str).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_scopes_have_their_places() {
        let scopes =
            Scopes::new(&["Grafana".parse().unwrap(), "grafana".parse().unwrap(), "REST/JSON".parse().unwrap()]);
        for (id, name) in [
            (Scopes::REST, SHIPPED_SCOPES[0]),
            (Scopes::EXPORT, SHIPPED_SCOPES[1]),
            (Scopes::IMPORT, SHIPPED_SCOPES[2]),
            (Scopes::SYNCHRO, SHIPPED_SCOPES[3]),
            (ScopeId(4), "Grafana"),
        ] {
            assert_eq!((scopes.name(id), scopes.find(name)), (name, Some(id)));
            assert_eq!(scopes.in_url(&name.to_lowercase().replace('/', "-")), Some(id));
        }
        assert_eq!(scopes.iter().count(), 5);
        let set = ScopeSet::default().with(Scopes::EXPORT);
        assert!(set.contains(Scopes::EXPORT) && !set.contains(Scopes::REST));
    }
}
