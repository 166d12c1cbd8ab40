//! What an upgrade changes, told before it happens. What it means for integrations is said by who knows them.

use crate::flows::Flow as _;
use crate::flows::description::{Description, Field, FieldKind, Requirement, SchemeMatch};
use crate::flows::plugin::Plugin;
use crate::flows::resources::Resources;

/// What differs between the component that is served and another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The flow's name.
    pub flow: String,
    /// The present component.
    pub from: Side,
    /// The new one.
    pub to: Side,
    /// Whether the present one could be looked into: where its file was changed on disk, only its record is known, and all that
    /// the new one has counts as added.
    pub compared: bool,
    /// Schemes that only the new one serves.
    pub handles_added: Vec<String>,
    /// Schemes that it serves no longer.
    pub handles_removed: Vec<String>,
    /// Fields that only the new one has, and when each must be set.
    pub fields_added: Vec<FieldNote>,
    /// Fields that it asks for no longer.
    pub fields_removed: Vec<String>,
    /// Fields that both have, and what is another.
    pub fields_changed: Vec<FieldNote>,
    /// Interfaces that only the new one imports.
    pub imports_added: Vec<String>,
    /// Interfaces that it imports no longer.
    pub imports_removed: Vec<String>,
    /// Secrets, as `INTEGRATION/SECRET`, that the present component may read and the new one mayn't.
    pub revealed_void: Vec<String>,
    /// Whether the components come from different publishers.
    pub publisher_changes: bool,
}

/// One of two components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// Its version.
    pub version: String,
    /// Its SHA-256.
    pub sha256: String,
    /// The version of the contract that it implements.
    pub contract: String,
    /// Its size in bytes.
    pub size: u64,
    /// Who it is from: a publisher's name, `unsigned`, or `shipped`.
    pub publisher: String,
    /// Whether it works without a person; none: it isn't known.
    pub unattended: Option<bool>,
    /// What an instance needs; none: it isn't known.
    pub resources: Option<Resources>,
}

/// A field, and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldNote {
    /// Its name.
    pub field: String,
    /// What is to be said.
    pub note: String,
}

impl Side {
    /// A component that is loaded.
    pub(super) fn of(plugin: &Plugin, publisher: String) -> Self {
        Self {
            version: plugin.description().version.clone(),
            sha256: plugin.digest().to_owned(),
            contract: plugin.contract().to_owned(),
            size: plugin.size() as u64,
            publisher,
            unattended: Some(plugin.description().unattended),
            resources: Some(plugin.resources()),
        }
    }
}

/// What differs.
pub(super) fn difference(from: Side, old: Option<&Plugin>, to: Side, new: &Plugin) -> Difference {
    let nothing = Description { handles: Vec::new(), fields: Vec::new(), ..new.description().clone() };
    let (before, after) = (old.map_or(&nothing, |old| old.description()), new.description());
    let schemes = |description: &Description| description.handles.iter().map(scheme).collect::<Vec<_>>();
    let imports = |plugin: Option<&Plugin>| plugin.map(|plugin| plugin.wasi().to_vec()).unwrap_or_default();
    let (handled, handles) = (schemes(before), schemes(after));
    let (imported, imports) = (imports(old), imports(Some(new)));
    Difference {
        flow: after.name.clone(),
        from,
        to,
        compared: old.is_some(),
        handles_added: beyond(&handles, &handled),
        handles_removed: beyond(&handled, &handles),
        fields_added: (after.fields.iter())
            .filter(|field| before.field(&field.name).is_none())
            .map(|field| FieldNote { field: field.name.clone(), note: required(&field.required) })
            .collect(),
        fields_removed: (before.fields.iter())
            .filter(|field| after.field(&field.name).is_none())
            .map(|field| field.name.clone())
            .collect(),
        fields_changed: (before.fields.iter()).filter_map(|field| changes(field, after.field(&field.name)?)).collect(),
        imports_added: beyond(&imports, &imported),
        imports_removed: beyond(&imported, &imports),
        revealed_void: Vec::new(),
        publisher_changes: false,
    }
}

/// What is in the first list and not in the second.
fn beyond(these: &[String], those: &[String]) -> Vec<String> {
    these.iter().filter(|this| !those.contains(this)).cloned().collect()
}

/// `oauth2 clientCredentials`.
fn scheme(scheme: &SchemeMatch) -> String {
    match &scheme.detail {
        Some(detail) => format!("{} {detail}", scheme.kind),
        None => scheme.kind.clone(),
    }
}

/// What is another about a field that both components have.
fn changes(before: &Field, after: &Field) -> Option<FieldNote> {
    let mut notes = Vec::new();
    let mut note = |what: &str, before: String, after: String| {
        if before != after {
            notes.push(format!("{what}: {before} → {after}"));
        }
    };
    note("kind", kind(&before.kind), kind(&after.kind));
    note("required", required(&before.required), required(&after.required));
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    note("default", text(&before.default), text(&after.default));
    note("source", text(&before.source), text(&after.source));
    note("title", before.title.clone(), after.title.clone());
    (!notes.is_empty()).then(|| FieldNote { field: before.name.clone(), note: notes.join("; ") })
}

/// What values a field takes.
fn kind(kind: &FieldKind) -> String {
    kind.choices().map_or_else(|| kind.name().to_owned(), |choices| choices.join(" | "))
}

/// When a field must be set.
fn required(requirement: &Requirement) -> String {
    match requirement {
        Requirement::Always => "always".to_owned(),
        Requirement::Never => "never".to_owned(),
        Requirement::When(condition) => format!("if {} is {}", condition.field, condition.one_of.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::guest::Guest;
    use crate::flows::tests::load;

    #[tokio::test]
    async fn what_is_added_and_removed_is_told() {
        let mut old = Guest::good("robot");
        old.fields = vec!["client_id".to_owned(), "region".to_owned()];
        let mut new = Guest::good("robot");
        new.version = "2.0.0".to_owned();
        new.fields = vec!["client_id".to_owned(), "tenant".to_owned()];
        new.handles = Some(("http".to_owned(), Some("bearer".to_owned())));
        let (old, new) = (load(&old).await, load(&new).await);
        let side = |plugin: &Plugin| Side::of(plugin, "unsigned".to_owned());
        let found = difference(side(&old), Some(&old), side(&new), &new);
        assert_eq!((found.from.version.as_str(), found.to.version.as_str(), found.compared), ("1.0.0", "2.0.0", true));
        assert_eq!(
            (found.handles_added, found.handles_removed),
            (vec!["http bearer".to_owned()], vec!["oauth2 clientCredentials".to_owned()])
        );
        let note = |field: &str, note: &str| FieldNote { field: field.to_owned(), note: note.to_owned() };
        assert_eq!(
            (found.fields_added, found.fields_removed),
            (vec![note("tenant", "never")], vec!["region".to_owned()])
        );
        assert!(found.fields_changed.is_empty() && found.imports_added.is_empty() && found.from.resources.is_some());
        // Nothing is known of the old one: all is new.
        let found = difference(side(&old), None, side(&new), &new);
        assert_eq!((found.fields_added.len(), found.fields_removed.len(), found.compared), (2, 0, false));
    }

    #[test]
    fn changes_of_a_field_are_named() {
        let field = |kind, required, default: Option<&str>| Field {
            name: "client_auth".to_owned(),
            title: "How".to_owned(),
            help: "Whatever it says.".to_owned(),
            kind,
            required,
            default: default.map(str::to_owned),
            source: None,
        };
        let before = field(FieldKind::Text, Requirement::Never, None);
        assert_eq!(changes(&before, &before), None);
        let after = field(FieldKind::Choice(vec!["a".to_owned(), "b".to_owned()]), Requirement::Always, Some("a"));
        let found = changes(&before, &after).unwrap();
        assert_eq!(found.note, "kind: text → a | b; required: never → always; default: none → a");
    }
}
