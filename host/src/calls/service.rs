//! An integration with its model's operations, as calls need them: put together once, and kept in memory.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use http::Method;
use url::Url;

use super::dispatch::DispatchError;
use super::error::CallError;
use super::paths::Paths;
use super::requirement::{Alternative, solve, words};
use crate::egress::{Egress, Way};
use crate::integrations::{Integration, Model};
use crate::openapi::{Document, Operation, SecurityScheme, resolve_url};

/// The operations of one document, to look them up.
#[derive(Debug)]
pub(super) struct Operations {
    /// The document.
    document: Document,
    /// The digest of its bytes.
    pub(super) digest: String,
    /// Places in the document's operations, by operation id.
    by_id: HashMap<String, usize>,
    /// The same by method and path.
    paths: Paths,
}

/// An integration, and what can be called with it.
#[derive(Debug)]
pub struct Service {
    /// The integration, its secrets open.
    pub integration: Integration,
    /// The integration as bound to each of its schemes.
    pub(super) bindings: HashMap<String, Integration>,
    /// The operations of its model.
    pub(super) operations: Arc<Operations>,
    /// The way to its server, once it was asked for.
    way: OnceLock<Arc<Way>>,
}

impl Operations {
    /// The operations of a model.
    pub(super) fn of(model: Model) -> Self {
        let (mut by_id, mut paths) = (HashMap::new(), Paths::default());
        for (at, operation) in model.document.operations.iter().enumerate() {
            if let Some(id) = &operation.operation_id {
                by_id.entry(id.clone()).or_insert(at);
            }
            paths.add(&operation.method, &operation.path, at);
        }
        Self { document: model.document, digest: model.digest, by_id, paths }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.document.operations.len()
    }
}

impl Service {
    /// An integration with its model's operations.
    pub(super) fn new(integration: Integration, operations: Arc<Operations>) -> Self {
        let bindings = integration.bindings().map(|bound| (bound.scheme.clone(), bound)).collect();
        Self { integration, bindings, operations, way: OnceLock::new() }
    }

    /// The SHA-256 of the model's document, in lower-case hexadecimal.
    pub fn digest(&self) -> &str {
        &self.operations.digest
    }

    /// The security schemes that an operation is called with.
    ///
    /// # Errors
    /// The integration can serve none of the alternatives.
    pub(super) fn schemes_of(&self, operation: &Operation) -> Result<Vec<&SecurityScheme>, CallError> {
        let names: Vec<&str> = match self.alternative(Some(operation))? {
            Alternative::Nothing => Vec::new(),
            Alternative::Own => vec![self.integration.scheme.as_str()],
            Alternative::Schemes(requirement) => requirement.0.keys().map(String::as_str).collect(),
        };
        Ok(names.into_iter().filter_map(|name| self.operations.document.scheme(name)).collect())
    }

    /// The operation of this id.
    pub fn operation_by_id(&self, id: &str) -> Option<&Operation> {
        self.operations.by_id.get(id).and_then(|at| self.operations.document.operations.get(*at))
    }

    /// The operation that a path fits, below the server's base: as it stands in a request, without query. `HEAD` is a `GET`
    /// where the document has none of its own.
    pub fn operation_at(&self, method: &Method, path: &str) -> Option<&Operation> {
        let paths = &self.operations.paths;
        let found = paths.find(method.as_str(), path);
        let found = found.or_else(|| if method == Method::HEAD { paths.find("GET", path) } else { None });
        let (at, _) = found?;
        self.operations.document.operations.get(at)
    }

    /// The operation of this method and template, as the document writes it.
    pub fn operation_of(&self, method: &str, template: &str) -> Option<&Operation> {
        let is_meant = |one: &&Operation| one.path == template && one.method.eq_ignore_ascii_case(method);
        self.operations.document.operations.iter().find(is_meant)
    }

    /// The service's base: the integration's own server.
    ///
    /// # Errors
    /// It has none.
    pub fn base(&self) -> Result<&Url, CallError> {
        let server = self.integration.server.as_ref();
        server.ok_or_else(|| CallError::NoServer(self.integration.name.clone()))
    }

    /// The way to the service.
    ///
    /// # Errors
    /// The integration has no server, or the policy forbids it.
    pub(super) fn way(&self, egress: &Egress) -> Result<Arc<Way>, DispatchError> {
        if let Some(way) = self.way.get() {
            return Ok(Arc::clone(way));
        }
        let way = egress.way(self.base()?, &self.integration.transport)?;
        Ok(Arc::clone(self.way.get_or_init(|| way)))
    }

    /// The base of an operation: the integration's server, with the path of the operation's own server where it has one.
    ///
    /// # Errors
    /// The integration has no server, or the operation is served at another origin: credentials don't go there.
    pub fn base_of(&self, operation: &Operation) -> Result<Url, CallError> {
        let own = self.base()?;
        let document = &self.operations.document;
        let Some(server) = operation.servers.first() else { return Ok(own.clone()) };
        let Ok(url) = resolve_url(&server.url, Some(own)) else { return Ok(own.clone()) };
        // Where the integration goes to another server than the document's, as to one for tests, so do its operations.
        let is_documents =
            |one: &crate::openapi::Server| Url::parse(&one.url).is_ok_and(|known| known.origin() == url.origin());
        if url.origin() != own.origin() && !document.servers.iter().any(is_documents) {
            let shown = |url: &Url| url.origin().ascii_serialization();
            return Err(CallError::OtherServer { operation: shown(&url), integration: shown(own) });
        }
        let mut base = own.clone();
        base.set_path(url.path());
        Ok(base)
    }

    /// What an operation is called with; for a path that is no operation's, what the document asks of all.
    ///
    /// # Errors
    /// The integration can serve none of the alternatives.
    pub(super) fn alternative<'a>(&'a self, operation: Option<&'a Operation>) -> Result<Alternative<'a>, CallError> {
        let document = &self.operations.document;
        let security = match operation {
            Some(operation) => document.security_of(operation),
            None => document.security.as_deref(),
        };
        let preferred = &self.integration.settings.calls.prefer;
        let is_bound = |scheme: &str| self.bindings.contains_key(scheme);
        solve(security, preferred, is_bound).ok_or_else(|| CallError::NotServed {
            integration: self.integration.name.clone(),
            needs: words(security.unwrap_or_default()),
            bound: self.integration.schemes().collect::<Vec<_>>().join(", "),
        })
    }
}
