//! The forest of organizations in memory: a snapshot that never changes, so that every answer of it is consistent.
//!
//! It reads no store. Records that another version or a damaged folder left in a circle, or below a parent that isn't
//! there, are walked no further than [`MAX_DEPTH`], and never loop.

use std::collections::{BTreeMap, BTreeSet};

use super::error::OrganizationFault;
use crate::name::Name;

/// The most organizations above each other, the topmost included.
pub const MAX_DEPTH: usize = 32;

/// The most organizations.
pub const MAX_ORGANIZATIONS: usize = 10_000;

/// Which organizations there are, and which is a part of which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// All of them, each with its parent.
    parents: BTreeMap<Name, Option<Name>>,
    /// Those that have children.
    children: BTreeMap<Name, BTreeSet<Name>>,
}

impl Tree {
    /// Whether there is such an organization.
    pub fn contains(&self, organization: &Name) -> bool {
        self.parents.contains_key(organization)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.parents.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// The organization, then its parent, and so on to the topmost. Nothing where there is no such organization.
    pub fn ancestry<'a>(&'a self, organization: &'a Name) -> impl Iterator<Item = &'a Name> {
        let first = self.contains(organization).then_some(organization);
        std::iter::successors(first, |name| self.parents.get(*name)?.as_ref().filter(|parent| self.contains(parent)))
            .take(MAX_DEPTH)
    }

    /// The organizations that are directly part of this one, by name.
    pub fn children<'a>(&'a self, organization: &Name) -> impl Iterator<Item = &'a Name> {
        self.children.get(organization).into_iter().flatten()
    }

    /// These organizations, and all that are part of them, and so on down. Those that don't exist are left out.
    pub fn expand<'a>(&'a self, organizations: impl IntoIterator<Item = &'a Name>) -> BTreeSet<Name> {
        let mut all = BTreeSet::new();
        let mut waiting: Vec<&Name> = organizations.into_iter().filter(|name| self.contains(name)).collect();
        while let Some(name) = waiting.pop() {
            if all.insert(name.clone()) {
                waiting.extend(self.children(name));
            }
        }
        all
    }

    /// Whether the organization is one of these or a part of one of them. No organization that doesn't exist is.
    pub fn is_within(&self, organization: &Name, within: &BTreeSet<Name>) -> bool {
        self.ancestry(organization).any(|name| within.contains(name))
    }

    /// How many levels there are from this organization down, itself included.
    fn height(&self, organization: &Name) -> usize {
        let mut level = vec![organization];
        let mut height = 0;
        while !level.is_empty() && height < MAX_DEPTH {
            height += 1;
            level = level.into_iter().flat_map(|name| self.children(name)).collect();
        }
        height
    }

    /// Whether the organization, which may be a new one, can be a part of that parent.
    ///
    /// # Errors
    /// There is no such parent, it is the organization itself or within it, or there would be too many levels.
    pub(super) fn check_parent(&self, organization: &Name, parent: Option<&Name>) -> Result<(), OrganizationFault> {
        let Some(parent) = parent else { return Ok(()) };
        if !self.contains(parent) {
            return Err(OrganizationFault::NoParent(parent.clone()));
        }
        if self.ancestry(parent).any(|name| name == organization) {
            return Err(OrganizationFault::Circle(parent.clone()));
        }
        if self.ancestry(parent).count() + self.height(organization) > MAX_DEPTH {
            return Err(OrganizationFault::TooDeep);
        }
        Ok(())
    }

    /// Adds an organization, or gives it this parent instead.
    pub(super) fn put(&mut self, organization: Name, parent: Option<Name>) {
        self.unlink(&organization);
        if let Some(parent) = &parent {
            self.children.entry(parent.clone()).or_default().insert(organization.clone());
        }
        self.parents.insert(organization, parent);
    }

    /// Takes an organization out.
    pub(super) fn remove(&mut self, organization: &Name) {
        self.unlink(organization);
        self.parents.remove(organization);
    }

    /// Makes an organization no longer a child of its parent.
    fn unlink(&mut self, organization: &Name) {
        let Some(Some(parent)) = self.parents.get(organization) else { return };
        if let Some(children) = self.children.get_mut(parent) {
            children.remove(organization);
            if children.is_empty() {
                self.children.remove(parent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn set(names: &[&str]) -> BTreeSet<Name> {
        names.iter().map(|text| name(text)).collect()
    }

    /// `a` over `b` and `c`, `c` over `d`, and `e` alone.
    fn tree() -> Tree {
        let mut tree = Tree::default();
        for (child, parent) in [("a", None), ("b", Some("a")), ("c", Some("a")), ("d", Some("c")), ("e", None)] {
            tree.put(name(child), parent.map(name));
        }
        tree
    }

    #[test]
    fn what_is_within_what() {
        let tree = tree();
        let check = |organization: &str, within: &[&str], expected: bool| {
            let within = set(within);
            assert_eq!(tree.is_within(&name(organization), &within), expected, "{organization} in {within:?}");
            assert_eq!(tree.expand(&within).contains(&name(organization)), expected, "{organization} in {within:?}");
        };
        check("a", &["a"], true);
        check("d", &["a"], true);
        check("d", &["c", "e"], true);
        check("b", &["c"], false);
        check("a", &["d"], false);
        check("e", &["a"], false);
        check("a", &[], false);
        check("none", &["none"], false);
        assert_eq!(tree.expand(&set(&["c", "none"])), set(&["c", "d"]));
    }

    #[test]
    fn what_can_be_a_part_of_what() {
        let tree = tree();
        let check = |organization: &str, parent: Option<&str>, expected: Result<(), &str>| {
            let found = tree.check_parent(&name(organization), parent.map(name).as_ref());
            match (found, expected) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(part)) if error.to_string().contains(part) => {}
                (found, _) => panic!("{organization} in {parent:?}: {found:?}, expected {expected:?}"),
            }
        };
        check("e", Some("d"), Ok(()));
        check("new", Some("d"), Ok(()));
        check("d", None, Ok(()));
        check("a", Some("a"), Err("a is this organization"));
        check("a", Some("d"), Err("d is this organization"));
        check("new", Some("new"), Err("no organization new"));
        check("e", Some("none"), Err("no organization none"));
    }

    #[test]
    fn moves_and_removals_leave_nothing_behind() {
        let mut tree = tree();
        tree.put(name("c"), Some(name("e")));
        assert_eq!(tree.expand(&set(&["a"])), set(&["a", "b"]));
        assert_eq!(tree.expand(&set(&["e"])), set(&["c", "d", "e"]));
        tree.remove(&name("d"));
        assert!(!tree.contains(&name("d")) && tree.children(&name("c")).next().is_none());
        tree.put(name("c"), Some(name("a")));
        tree.put(name("d"), Some(name("c")));
        assert_eq!(tree, self::tree());
    }

    #[test]
    fn depth_is_bounded_and_a_circle_on_disk_does_no_harm() {
        let mut tree = Tree::default();
        let level = |number: usize| name(&format!("l{number}"));
        tree.put(level(1), None);
        for number in 2..=MAX_DEPTH {
            let (child, parent) = (level(number), level(number - 1));
            tree.check_parent(&child, Some(&parent)).unwrap();
            tree.put(child, Some(parent));
        }
        assert!(tree.is_within(&level(MAX_DEPTH), &set(&["l1"])));
        tree.put(name("tall"), None);
        tree.put(name("below"), Some(name("tall")));
        for (child, parent, deep) in [("new", 32, true), ("new", 31, false), ("tall", 31, true), ("tall", 30, false)] {
            let found = tree.check_parent(&name(child), Some(&level(parent)));
            assert_eq!(matches!(found, Err(OrganizationFault::TooDeep)), deep, "{child} in l{parent}");
        }

        tree.put(level(1), Some(level(3)));
        assert!(!tree.is_within(&level(1), &set(&["tall"])));
        assert_eq!(tree.expand(&set(&["l1"])).len(), MAX_DEPTH);
        tree.check_parent(&level(2), Some(&name("below"))).unwrap_err();
    }
}
