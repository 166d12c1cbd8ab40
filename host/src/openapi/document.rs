//! What the daemon knows of an imported document. Plain data that integrations keep in their records; no HTTP shape.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{SecurityScheme, Warning};

/// An imported document, whatever its version, in OpenAPI 3 terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// `info.title`; empty where there is none.
    pub title: String,
    /// `info.version`, the version of the API; empty where there is none.
    pub version: String,
    /// The version of OpenAPI as written, e.g. `3.0.3`, `2.0`.
    pub openapi: String,
    /// The API's servers, in order. May be empty, and may be relative.
    pub servers: Vec<Server>,
    /// All security schemes, in order, also those that can't be used.
    pub schemes: Vec<SecurityScheme>,
    /// The requirement of operations that have none of their own; one of them suffices. `None`: not said.
    pub security: Option<Vec<SecurityRequirement>>,
    /// All operations, in order.
    pub operations: Vec<Operation>,
    /// What was found to be wrong, and where.
    pub warnings: Vec<Warning>,
}

impl Document {
    /// The security scheme of this name.
    pub fn scheme(&self, name: &str) -> Option<&SecurityScheme> {
        self.schemes.iter().find(|scheme| scheme.name == name)
    }

    /// What this operation requires: one of these. `None`: the document doesn't say.
    pub fn security_of<'a>(&'a self, operation: &'a Operation) -> Option<&'a [SecurityRequirement]> {
        operation.security.as_deref().or(self.security.as_deref())
    }

    /// The servers of this operation, in order.
    pub fn servers_of<'a>(&'a self, operation: &'a Operation) -> &'a [Server] {
        if operation.servers.is_empty() { &self.servers } else { &operation.servers }
    }
}

/// Where an API is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The URL, variables replaced by their defaults; may be relative to where the document came from.
    pub url: String,
    /// For people.
    pub description: Option<String>,
}

/// Schemes, by name, that are all needed together, and the scopes (or roles) of each. Empty: no credentials needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecurityRequirement(pub BTreeMap<String, Vec<String>>);

/// One operation of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The HTTP method, in upper case unless from `additionalOperations`, whose methods are as written.
    pub method: String,
    /// The path template, e.g. `/users/{id}`.
    pub path: String,
    /// Unique among the operations, unless a warning says otherwise.
    pub operation_id: Option<String>,
    /// Requirements of its own, one of which suffices; an empty list: no credentials needed. `None`: the document's.
    pub security: Option<Vec<SecurityRequirement>>,
    /// Servers of its own or of its path. Empty: the document's.
    pub servers: Vec<Server>,
}
