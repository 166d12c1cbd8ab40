//! Operations and what they require. Of an operation only its name, security and servers are read.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::error::DocumentError;
use super::outline::METHODS;
use super::references::Expander;
use super::servers::{self, text};
use super::warnings::{Warnings, member};
use super::{Operation, SecurityRequirement, Server, swagger2};

/// Most that all operations together may take, in bytes. A path, its servers and requirements count once for each of its
/// operations, so that a small document could grow without bound.
const MAX_SIZE: usize = 64 << 20;
/// What an operation takes besides its text, about.
const OPERATION: usize = 256;

/// Reads operations, one after the other.
pub(super) struct Operations<'a> {
    /// The document.
    pub(super) root: &'a Value,
    /// Whether it is Swagger 2.0.
    pub(super) swagger: bool,
    /// The names of its security schemes.
    pub(super) schemes: &'a BTreeSet<String>,
    /// For path items that stand elsewhere.
    pub(super) expander: Expander<'a>,
    /// What was found so far.
    found: Vec<Operation>,
    /// Bytes that it takes, about.
    size: usize,
    /// Operation ids so far.
    ids: HashSet<String>,
}

impl<'a> Operations<'a> {
    /// A reader of the operations of this document.
    pub(super) fn new(root: &'a Value, swagger: bool, schemes: &'a BTreeSet<String>, expander: Expander<'a>) -> Self {
        Self { root, swagger, schemes, expander, found: Vec::new(), size: 0, ids: HashSet::new() }
    }

    /// All operations under `paths`.
    ///
    /// # Errors
    /// They take too much memory.
    pub(super) fn read(mut self, warnings: &mut Warnings) -> Result<Vec<Operation>, DocumentError> {
        let root = self.root;
        match root.get("paths") {
            None => {}
            Some(Value::Object(paths)) => {
                for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
                    self.path(path, item, warnings)?;
                }
            }
            Some(_) => warnings.add("/paths", "isn't an object; taken as empty"),
        }
        Ok(self.found)
    }

    /// The operations of one path.
    fn path(&mut self, path: &str, item: &'a Value, warnings: &mut Warnings) -> Result<(), DocumentError> {
        let pointer = member("/paths", path);
        if !path.starts_with('/') {
            warnings
                .add_once(&pointer, "a path doesn't begin with `/`; its operations are kept, but no request fits them");
        }
        let item = match self.expander.expand(item, &pointer, warnings) {
            Ok(item) => item,
            Err(problem) => {
                warnings.add(&pointer, format!("this path's operations are left out: {problem}"));
                return Ok(());
            }
        };
        let Some(members) = item.as_object() else {
            warnings.add(&pointer, "isn't a path item object; left out");
            return Ok(());
        };
        let shared = servers::read(members.get("servers"), &member(&pointer, "servers"), warnings);
        for (name, value) in members {
            let pointer = member(&pointer, name);
            if METHODS.contains(&name.as_str()) {
                self.operation(name.to_ascii_uppercase(), path, value, &shared, &pointer, warnings)?;
            } else if name == "additionalOperations" {
                let Some(additional) = value.as_object() else {
                    warnings.add(pointer, "isn't an object; left out");
                    continue;
                };
                for (method, value) in additional {
                    self.operation(method.clone(), path, value, &shared, &member(&pointer, method), warnings)?;
                }
            }
        }
        Ok(())
    }

    /// One operation.
    fn operation(
        &mut self,
        method: String,
        path: &str,
        value: &Value,
        shared: &[Server],
        pointer: &str,
        warnings: &mut Warnings,
    ) -> Result<(), DocumentError> {
        if !value.is_object() {
            warnings.add(pointer, "isn't an operation object; left out");
            return Ok(());
        }
        let operation_id = text(value, "operationId").filter(|id| !id.is_empty());
        match &operation_id {
            Some(id) if !self.ids.insert(id.clone()) => {
                warnings.add(member(pointer, "operationId"), "stands for another operation already")
            }
            None if value.get("operationId").is_some() => {
                warnings.add(member(pointer, "operationId"), "isn't a name; taken as absent")
            }
            _ => {}
        }
        let security = security(value.get("security"), &member(pointer, "security"), self.schemes, warnings);
        let mut servers = if self.swagger {
            let schemes = value.get("schemes").filter(|schemes| schemes.is_array());
            schemes
                .map(|schemes| swagger2::servers(self.root, schemes, &member(pointer, "schemes"), warnings))
                .unwrap_or_default()
        } else {
            servers::read(value.get("servers"), &member(pointer, "servers"), warnings)
        };
        if servers.is_empty() {
            self.size += size(shared);
            self.check()?;
            servers = shared.to_vec();
        } else {
            self.size += size(&servers);
        }
        self.size += OPERATION + path.len() + method.len() + 2 * operation_id.as_deref().map_or(0, str::len);
        self.check()?;
        self.found.push(Operation { method, path: path.to_owned(), operation_id, security, servers });
        Ok(())
    }

    /// Whether there is room for what has been counted.
    fn check(&self) -> Result<(), DocumentError> {
        if self.size > MAX_SIZE {
            return Err(DocumentError::TooMuch {
                what: "bytes in operations, their paths and servers",
                limit: MAX_SIZE,
            });
        }
        Ok(())
    }
}

/// What servers take, about.
fn size(servers: &[Server]) -> usize {
    servers.iter().map(|server| 48 + server.url.len() + server.description.as_deref().map_or(0, str::len)).sum()
}

/// The requirements of a `security` member, one of which suffices; `None` where it is absent or no list.
pub(super) fn security(
    value: Option<&Value>,
    pointer: &str,
    schemes: &BTreeSet<String>,
    warnings: &mut Warnings,
) -> Option<Vec<SecurityRequirement>> {
    let Some(items) = value?.as_array() else {
        warnings.add(pointer, "isn't a list of security requirements; taken as absent");
        return None;
    };
    let mut requirements = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let pointer = member(pointer, &index.to_string());
        // An unreadable one isn't taken for an empty one: that would say that no credentials are needed.
        let Some(members) = item.as_object() else {
            warnings.add(pointer, "isn't a security requirement object; left out");
            continue;
        };
        let mut requirement = BTreeMap::new();
        for (scheme, scopes) in members {
            if !schemes.contains(scheme) {
                warnings.add_once(member(&pointer, scheme), format!("there is no security scheme `{scheme}`"));
            }
            let names = scopes.as_array().map(Vec::as_slice).unwrap_or_default();
            if !scopes.is_array() || !names.iter().all(Value::is_string) {
                warnings.add(member(&pointer, scheme), "isn't a list of scopes; what is no text is left out");
            }
            requirement.insert(scheme.clone(), names.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        }
        requirements.push(SecurityRequirement(requirement));
    }
    Some(requirements)
}
