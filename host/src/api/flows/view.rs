//! What flows are over HTTP: what they say of themselves, and what was installed and decided.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::time::Time;
use crate::flows::description::{self, Requirement, SchemeMatch};
use crate::flows::{Flow as _, Limit, Limits};
use crate::shelf::{self, Difference, Standing};

/// A flow plugin.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Flow {
    /// Its name, which is its id.
    name: String,
    /// Its own version.
    version: String,
    /// Its name for people.
    title: String,
    /// When to choose it.
    summary: String,
    /// The component's SHA-256, in hexadecimal.
    sha256: String,
    /// The version of the contract that it implements.
    contract: String,
    /// Whether it can acquire a token without a person.
    unattended: bool,
    /// The schemes that it can serve.
    handles: Vec<Handled>,
    /// What it asks for, in the order of a form.
    fields: Vec<Field>,
    /// `shipped` with the program, or `installed`.
    origin: &'static str,
    /// Whether it is served. What isn't, is described by what was noted when it was installed.
    served: bool,
    /// Why it isn't served.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// The name of the publisher who signed it; none: it isn't signed, or ships.
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    /// Why it isn't run.
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<Quarantine>,
    /// What it may use.
    limits: FlowLimits,
    /// The components that were installed, the last first.
    versions: Vec<Version>,
    /// Secrets that a component of it may read.
    revealed: Vec<Revealed>,
}

/// Why a flow isn't run.
#[derive(Debug, Serialize, ToSchema)]
struct Quarantine {
    /// Since when.
    since: Time,
    /// What it did, and how often.
    reason: String,
    /// The component that did it.
    sha256: String,
}

/// What a flow may use.
#[derive(Debug, Serialize, ToSchema)]
struct FlowLimits {
    /// Processor time of one step, in milliseconds.
    step_time: u64,
    /// Memory of one step, in bytes.
    memory: u64,
    /// The answer of one step, in bytes.
    output: u64,
    /// Steps of one attempt.
    steps: u64,
    /// Requests of one attempt.
    requests: u64,
    /// Attempts that may begin within a minute; none: as many as there are.
    attempts_per_minute: Option<u64>,
    /// Those that were set; the others are the engine's.
    changed: Vec<&'static str>,
}

/// A component that was installed.
#[derive(Debug, Serialize, ToSchema)]
struct Version {
    /// Its SHA-256, in hexadecimal.
    sha256: String,
    /// What it calls its version.
    version: String,
    /// The version of the contract that it implements.
    contract: String,
    /// Its size in bytes.
    size: u64,
    /// When it was installed.
    installed_at: DateTime<Utc>,
    /// Who installed it.
    installed_by: String,
    /// Who signed it; none: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    /// The id of the key that it is signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher_key: Option<String>,
    /// Where people read about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<String>,
    /// Its licence.
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<String>,
    /// Whether it is the one that is served.
    present: bool,
}

/// A secret that one component may read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Revealed {
    /// The integration whose secret it is.
    integration: String,
    /// The secret's name.
    secret: String,
    /// The component that may read it, and no other.
    sha256: String,
    /// When it was granted.
    granted_at: DateTime<Utc>,
    /// By whom.
    granted_by: String,
    /// Whether the component is the one that is served.
    holds: bool,
}

/// A scheme that a flow can serve.
#[derive(Debug, Serialize, ToSchema)]
struct Handled {
    /// The scheme's `type`, or `named`: only where a document picks the flow by name.
    kind: String,
    /// The key in `flows`, or the `scheme` of `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// One input that a flow asks for.
#[derive(Debug, Serialize, ToSchema)]
struct Field {
    /// Its name.
    name: String,
    /// The label for people.
    title: String,
    /// One or two sentences for people.
    help: String,
    /// `text`, `secret`, `url`, `metadata_url`, `choice`, `flag` or `words`.
    kind: &'static str,
    /// Of a choice: what can be chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    choices: Option<Vec<String>>,
    /// When it must be set.
    required: Required,
    /// The value where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    /// Where the scheme's flow object has the first value.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

/// When a field must be set.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Required {
    /// In every integration.
    Always,
    /// It may stay unset.
    Never,
    /// While another field has one of these values.
    When(While),
}

/// The values of another field, while which a field must be set.
#[derive(Debug, Serialize, ToSchema)]
struct While {
    /// The other field.
    field: String,
    /// Its values.
    one_of: Vec<String>,
}

impl From<&Standing> for Flow {
    fn from(standing: &Standing) -> Self {
        let (record, plugin) = (standing.record.as_deref(), standing.plugin.as_deref());
        let version = record.and_then(shelf::FlowRecord::version);
        let description = plugin.map(|plugin| plugin.description().clone());
        let handled = |scheme: SchemeMatch| Handled { kind: scheme.kind, detail: scheme.detail };
        let noted = |of: fn(&shelf::Version) -> &String| version.map(of).cloned().unwrap_or_default();
        let sha256 = plugin.map_or_else(|| noted(|version| &version.sha256), |plugin| plugin.digest().to_owned());
        let grants = record.map(|record| record.grants.as_slice()).unwrap_or_default();
        let versions = record.map(|record| record.versions.as_slice()).unwrap_or_default();
        let present = record.and_then(|record| record.present.as_deref());
        Self {
            name: standing.name.clone(),
            contract: plugin.map_or_else(|| noted(|version| &version.contract), |plugin| plugin.contract().to_owned()),
            origin: if standing.is_shipped() { "shipped" } else { "installed" },
            served: plugin.is_some(),
            problem: standing.problem.clone(),
            publisher: version.and_then(|version| version.publisher.as_ref()).map(|signer| signer.name.to_string()),
            quarantine: record.and_then(|record| record.quarantine.clone()).map(|quarantine| Quarantine {
                since: quarantine.since.into(),
                reason: quarantine.reason,
                sha256: quarantine.sha256,
            }),
            limits: FlowLimits::of(&standing.limits, record),
            versions: versions.iter().map(|version| Version::of(version, present)).collect(),
            revealed: grants.iter().map(|grant| Revealed::of(grant, &sha256)).collect(),
            sha256,
            version: description
                .as_ref()
                .map_or_else(|| noted(|version| &version.version), |said| said.version.clone()),
            title: description.as_ref().map_or_else(|| noted(|version| &version.title), |said| said.title.clone()),
            summary: description.as_ref().map(|said| said.summary.clone()).unwrap_or_default(),
            unattended: description.as_ref().is_some_and(|said| said.unattended),
            handles: description.iter().flat_map(|said| said.handles.clone()).map(handled).collect(),
            fields: description.into_iter().flat_map(|said| said.fields).map(Field::from).collect(),
        }
    }
}

impl FlowLimits {
    fn of(limits: &Limits, record: Option<&shelf::FlowRecord>) -> Self {
        let mut changes = record.map(|record| record.limits).unwrap_or_default();
        Self {
            step_time: u64::try_from(limits.step_time.as_millis()).unwrap_or(u64::MAX),
            memory: limits.memory as u64,
            output: limits.output as u64,
            steps: limits.steps.into(),
            requests: limits.requests.into(),
            attempts_per_minute: limits.attempts_per_minute.map(u64::from),
            changed: Limit::ALL
                .iter()
                .filter(|limit| changes.of(**limit).is_some())
                .map(|limit| limit.as_str())
                .collect(),
        }
    }
}

impl Version {
    fn of(version: &shelf::Version, present: Option<&str>) -> Self {
        let shelf::Version { sha256, version: own, contract, installed_by, homepage, license, .. } = version.clone();
        Self {
            present: present == Some(sha256.as_str()),
            sha256,
            version: own,
            contract,
            size: version.size,
            installed_at: version.installed_at,
            installed_by,
            publisher: version.publisher.as_ref().map(|signer| signer.name.to_string()),
            publisher_key: version.publisher.as_ref().map(|signer| signer.key.clone()),
            homepage,
            license,
        }
    }
}

impl Revealed {
    /// A grant, as it stands for the component that is served.
    pub(super) fn of(grant: &shelf::Grant, served: &str) -> Self {
        Self {
            integration: grant.integration.to_string(),
            secret: grant.secret.clone(),
            sha256: grant.sha256.clone(),
            granted_at: grant.granted_at,
            granted_by: grant.granted_by.clone(),
            holds: grant.sha256 == served,
        }
    }
}

impl From<description::Field> for Field {
    fn from(field: description::Field) -> Self {
        Self {
            name: field.name,
            title: field.title,
            help: field.help,
            kind: field.kind.name(),
            choices: field.kind.choices().map(<[String]>::to_vec),
            required: match field.required {
                Requirement::Always => Required::Always,
                Requirement::Never => Required::Never,
                Requirement::When(condition) => {
                    Required::When(While { field: condition.field, one_of: condition.one_of })
                }
            },
            default: field.default,
            source: field.source,
        }
    }
}

/// What an upgrade changes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Upgrade {
    /// Whether it was done.
    pub(super) done: bool,
    /// The flow's name.
    flow: String,
    /// The present component.
    from: Side,
    /// The new one.
    to: Side,
    /// Whether the present one could be looked into; else all that the new one has counts as added.
    compared: bool,
    /// Whether the two come from different publishers, so that `allow_publisher_change` is needed.
    publisher_changes: bool,
    /// Schemes that only the new one serves.
    handles_added: Vec<String>,
    /// Schemes that it serves no longer.
    handles_removed: Vec<String>,
    /// Fields that only the new one has, and when each must be set.
    fields_added: BTreeMap<String, String>,
    /// Fields that it asks for no longer.
    fields_removed: Vec<String>,
    /// Fields that both have, and what is another.
    fields_changed: BTreeMap<String, String>,
    /// Interfaces that only the new one imports.
    imports_added: Vec<String>,
    /// Interfaces that it imports no longer.
    imports_removed: Vec<String>,
    /// Secrets, as `INTEGRATION/SECRET`, that the new one can't read and the present one can.
    revealed_void: Vec<String>,
    /// Integrations that use the flow.
    pub(super) integrations: Vec<String>,
    /// Those that lack values which the new one needs, and which.
    pub(super) incomplete: BTreeMap<String, Vec<String>>,
}

/// One of two components.
#[derive(Debug, Serialize, ToSchema)]
struct Side {
    /// Its version.
    version: String,
    /// Its SHA-256, in hexadecimal.
    sha256: String,
    /// The version of the contract that it implements.
    contract: String,
    /// Its size in bytes.
    size: u64,
    /// Who it is from: a publisher's name, `unsigned`, or `shipped`.
    publisher: String,
    /// Whether it works without a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    unattended: Option<bool>,
    /// What an instance needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<Resources>,
}

/// What an instance of a component needs before its first step.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Resources {
    /// Linear memories.
    memories: u64,
    /// Linear memory at first, in bytes.
    memory_bytes: u64,
    /// Tables.
    tables: u64,
    /// Elements of the largest of them at first.
    table_elements: u64,
}

impl From<&Difference> for Upgrade {
    fn from(difference: &Difference) -> Self {
        let Difference { flow, from, to, compared, handles_added, handles_removed, fields_removed, .. } =
            difference.clone();
        let notes =
            |notes: &[shelf::FieldNote]| notes.iter().map(|note| (note.field.clone(), note.note.clone())).collect();
        Self {
            done: false,
            flow,
            from: from.into(),
            to: to.into(),
            compared,
            publisher_changes: difference.publisher_changes,
            handles_added,
            handles_removed,
            fields_added: notes(&difference.fields_added),
            fields_removed,
            fields_changed: notes(&difference.fields_changed),
            imports_added: difference.imports_added.clone(),
            imports_removed: difference.imports_removed.clone(),
            revealed_void: difference.revealed_void.clone(),
            integrations: Vec::new(),
            incomplete: BTreeMap::new(),
        }
    }
}

impl From<shelf::Side> for Side {
    fn from(side: shelf::Side) -> Self {
        let shelf::Side { version, sha256, contract, size, publisher, unattended, resources } = side;
        let resources = resources.map(|needed| Resources {
            memories: needed.memories,
            memory_bytes: needed.memory_bytes,
            tables: needed.tables,
            table_elements: needed.table_elements,
        });
        Self { version, sha256, contract, size, publisher, unattended, resources }
    }
}
