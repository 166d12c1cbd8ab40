//! Further schemes that an integration serves, each with a flow and values of its own.
//!
//! Whoever works with one scheme gets the integration *as bound* to it, and needs to know of no other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use ulid::Ulid;

use super::integration::Integration;
use crate::openapi::ExtraParameter;
use crate::seal::{SealError, Sealed};
use crate::secrets::Secrets;

/// One scheme of an integration, and what serves it.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The key in the scheme's `flows`, or its `scheme`, that the flow serves.
    pub detail: Option<String>,
    /// The scheme object, copied when it was bound.
    pub scheme_document: Value,
    /// The flow's name.
    pub flow: String,
    /// Field values that aren't secret, defaults included.
    pub values: BTreeMap<String, String>,
    /// Field values that are secret, and `parameters.NAME`.
    pub secrets: Secrets,
    /// Extra parameters of its token requests.
    pub parameters: Vec<ExtraParameter>,
    /// Another one each time that its secrets would go elsewhere, and each time that the scheme is bound. What was got for
    /// an earlier target is void.
    pub target: Ulid,
}

/// A further scheme that is wanted, or a change of one. What is left out stays.
#[derive(Clone, Debug, Default)]
pub struct BindingChange {
    /// The flow; may be left out where only one serves the scheme. Another one begins anew.
    pub flow: Option<String>,
    /// Values by field name; none unsets.
    pub fields: BTreeMap<String, Option<String>>,
}

impl Integration {
    /// The integration as bound to one of its schemes; none where it isn't bound to it. No name: its first one.
    pub fn bound(&self, scheme: Option<&str>) -> Option<Self> {
        let Some(scheme) = scheme.filter(|scheme| *scheme != self.scheme) else { return Some(self.clone()) };
        let binding = self.further.get(scheme)?.clone();
        let mut bound = self.clone();
        scheme.clone_into(&mut bound.scheme);
        bound.further.clear();
        bound.bind(binding);
        Some(bound)
    }

    /// The names of all schemes that it is bound to, its first one in front.
    pub fn schemes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.scheme.as_str()).chain(self.further.keys().map(String::as_str))
    }

    /// The integration as bound to each of its schemes, its first one in front.
    pub fn bindings(&self) -> impl Iterator<Item = Self> {
        self.schemes().filter_map(|scheme| self.bound(Some(scheme)))
    }

    /// Takes on a binding in the place of its own.
    pub(super) fn bind(&mut self, binding: Binding) {
        self.detail = binding.detail;
        self.scheme_document = binding.scheme_document;
        self.flow = binding.flow;
        self.values = binding.values;
        self.secrets = binding.secrets;
        self.parameters = binding.parameters;
        self.target = binding.target;
    }

    /// Its own binding.
    pub(super) fn binding(&self) -> Binding {
        Binding {
            detail: self.detail.clone(),
            scheme_document: self.scheme_document.clone(),
            flow: self.flow.clone(),
            values: self.values.clone(),
            secrets: self.secrets.clone(),
            parameters: self.parameters.clone(),
            target: self.target,
        }
    }
}

/// A binding at rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BindingRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    scheme_document: Value,
    flow: String,
    values: BTreeMap<String, String>,
    /// Sealed, by name.
    secrets: BTreeMap<String, Sealed>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<ExtraParameter>,
    target: Ulid,
}

impl BindingRecord {
    /// The record of a binding; `seal` gets a secret's name and value.
    pub(super) fn seal(
        binding: &Binding,
        mut seal: impl FnMut(&str, &secrecy::SecretString) -> Result<Sealed, SealError>,
    ) -> Result<Self, SealError> {
        let secrets = binding.secrets.iter().map(|(name, value)| Ok((name.to_owned(), seal(name, value)?)));
        let secrets = secrets.collect::<Result<_, SealError>>()?;
        let Binding { detail, scheme_document, flow, values, parameters, target, .. } = binding.clone();
        Ok(Self { detail, scheme_document, flow, values, secrets, parameters, target })
    }

    /// Shows each secret, by name.
    pub(super) fn each_sealed(
        &mut self,
        mut visit: impl FnMut(&str, &mut Sealed) -> Result<(), SealError>,
    ) -> Result<(), SealError> {
        self.secrets.iter_mut().try_for_each(|(name, sealed)| visit(name, sealed))
    }

    /// The binding of a record; `open` gets a secret's name and what it was sealed to.
    pub(super) fn open(
        self,
        mut open: impl FnMut(&str, &Sealed) -> Result<secrecy::SecretString, SealError>,
    ) -> Result<Binding, SealError> {
        let mut secrets = Secrets::default();
        for (name, value) in &self.secrets {
            secrets.insert(name.clone(), open(name, value)?);
        }
        let Self { detail, scheme_document, flow, values, parameters, target, .. } = self;
        Ok(Binding { detail, scheme_document, flow, values, secrets, parameters, target })
    }
}
