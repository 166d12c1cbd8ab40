//! What an integration is: a configured instance of a model.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ulid::Ulid;
use url::Url;

use super::belonging::Belongs;
use super::binding::{Binding, BindingChange, BindingRecord};
use super::calls::CallSettings;
use super::difference::Difference;
use super::parameters::NewParameter;
use crate::egress::Transport;
use crate::name::Name;
use crate::openapi::ExtraParameter;
use crate::organizations::default_name;
use crate::seal::{Keyring, SealError, Sealed, Sealing, Visit, bound_to};
use crate::secrets::Secrets;
use crate::store::table::Table;
use crate::store::{Batch, Revision};

/// The records of integrations, by name.
pub(super) const INTEGRATIONS: Table<IntegrationRecord> = Table::new("integration");

/// The name under which the client's key is sealed; no field can have it.
const CLIENT_KEY: &str = "transport.client_key";

/// The name under which a secret of a further scheme is sealed. No field's name holds a line break.
fn of_scheme(scheme: &str, name: &str) -> String {
    format!("{name}\n{scheme}")
}

/// A configured instance of a model, its secrets open.
#[derive(Clone, Debug)]
pub struct Integration {
    /// Its name.
    pub name: Name,
    /// The organization that it belongs to.
    pub organization: Name,
    /// The model that it was made from.
    pub model: Name,
    /// The security scheme's name.
    pub scheme: String,
    /// The key in the scheme's `flows`, or its `scheme`, that the flow serves.
    pub detail: Option<String>,
    /// The scheme object, copied when the integration was made.
    pub scheme_document: Value,
    /// The flow's name.
    pub flow: String,
    /// The API's server.
    pub server: Option<Url>,
    /// Field values that aren't secret, defaults included.
    pub values: BTreeMap<String, String>,
    /// Field values that are secret, and `parameters.NAME`.
    pub secrets: Secrets,
    /// What connections need below HTTP.
    pub transport: Transport,
    /// How its tokens are handled.
    pub settings: Settings,
    /// Extra parameters of its token requests that the document declares; those that were added are in the settings.
    pub parameters: Vec<ExtraParameter>,
    /// Further schemes that it is bound to, by name.
    pub further: BTreeMap<String, Binding>,
    /// Another one each time that its secrets would go elsewhere. What was got for an earlier target is void.
    pub target: Ulid,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Its record's revision.
    pub revision: Revision,
}

impl Integration {
    /// Makes a batch hold only while this integration's record is as it was read.
    pub fn expect(&self, batch: &mut Batch) {
        INTEGRATIONS.expect(batch, &[self.name.as_str()], Some(self.revision));
    }
}

impl Integration {
    /// Whether everything that can be changed is the same as in another one.
    pub(super) fn is_configured_like(&self, other: &Self) -> bool {
        fn secrets(secrets: &Secrets) -> BTreeMap<&str, &str> {
            secrets.iter().map(|(name, value)| (name, value.expose_secret())).collect()
        }
        fn transport(of: &Transport) -> (&Option<String>, &Option<Url>, &Option<String>, Option<&str>) {
            let key = of.client_key.as_ref().map(ExposeSecret::expose_secret);
            (&of.ca, &of.proxy, &of.client_certificate, key)
        }
        let is_bound_like = |other: &Self| {
            let pair = |one: &Self, other: &Self| {
                (&one.flow, &one.values, &one.parameters) == (&other.flow, &other.values, &other.parameters)
                    && secrets(&one.secrets) == secrets(&other.secrets)
            };
            self.schemes().eq(other.schemes())
                && self.bindings().zip(other.bindings()).all(|(one, other)| pair(&one, &other))
        };
        (&self.organization, &self.server, &self.settings) == (&other.organization, &other.server, &other.settings)
            && is_bound_like(other)
            && transport(&self.transport) == transport(&other.transport)
    }
}

/// How an integration's tokens are handled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Seconds that a token lives where the provider doesn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_lifetime: Option<u64>,
    /// What to do where a refresh token may or may not have been used up.
    #[serde(default)]
    pub uncertain: Uncertain,
    /// How its service is called.
    #[serde(default, skip_serializing_if = "CallSettings::is_default")]
    pub calls: CallSettings,
    /// Extra parameters of its token requests beside those of the document; where both have one of the same name and place,
    /// this one counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ExtraParameter>,
}

/// What to do with a refresh token that was sent and got no complete answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Uncertain {
    /// Acquire anew where the flow needs no person; else try it once more, after the access token has ended.
    #[default]
    Auto,
    /// Never send it again.
    Acquire,
    /// Send it once more at once. Providers that rotate refresh tokens may take that for theft.
    Retry,
}

/// What a new integration is made from.
#[derive(Clone, Debug)]
pub struct NewIntegration {
    /// Its name.
    pub name: Name,
    /// The organization that it belongs to; the model's where left out.
    pub organization: Option<Name>,
    /// The model.
    pub model: Name,
    /// The security scheme; may be left out where only one can be used.
    pub scheme: Option<String>,
    /// The flow; may be left out where only one serves the scheme.
    pub flow: Option<String>,
    /// The server; the model's first one where left out.
    pub server: Option<String>,
    /// Values by field name; none means: not set, not even by the document or a default.
    pub fields: BTreeMap<String, Option<String>>,
    /// Further schemes to bind, by name.
    pub further: BTreeMap<String, BindingChange>,
    /// What connections need below HTTP.
    pub transport: TransportChange,
    /// How its tokens are handled.
    pub settings: SettingsChange,
}

/// What of an integration is to change. What is left out stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The organization that it belongs to. Its secrets and its token stay.
    pub organization: Option<Name>,
    /// The server, or none.
    pub server: Option<Option<String>>,
    /// Values by field name; none unsets.
    pub fields: BTreeMap<String, Option<String>>,
    /// Further schemes to bind or change, by name; none unbinds.
    pub further: BTreeMap<String, Option<BindingChange>>,
    /// What connections need below HTTP.
    pub transport: TransportChange,
    /// How its tokens are handled.
    pub settings: SettingsChange,
    /// The revision that it must have.
    pub expected: Option<Revision>,
    /// Whether it is refused where secrets would go elsewhere and so be dropped.
    pub keeps_target: bool,
}

/// A change of what connections need below HTTP: left out, unset, or set.
#[derive(Clone, Debug, Default)]
pub struct TransportChange {
    /// PEM certificates to trust instead of the system's.
    pub ca: Option<Option<String>>,
    /// `http://host:port`.
    pub proxy: Option<Option<String>>,
    /// PEM certificate to show.
    pub client_certificate: Option<Option<String>>,
    /// PEM private key of that certificate.
    pub client_key: Option<Option<SecretString>>,
}

/// A change of how tokens are handled.
#[derive(Clone, Debug, Default)]
pub struct SettingsChange {
    /// Seconds that a token lives where the provider doesn't say.
    pub default_lifetime: Option<Option<u64>>,
    /// What to do with an uncertain refresh token.
    pub uncertain: Option<Uncertain>,
    /// How its service is called; all of it at once, or the defaults again.
    pub calls: Option<Option<CallSettings>>,
    /// Extra parameters of its token requests beside those of the document: all of them.
    pub parameters: Option<Vec<NewParameter>>,
}

/// The outcome of a change.
#[derive(Clone, Debug)]
pub struct Changed {
    /// As it is now.
    pub integration: Integration,
    /// Whether its token, and secrets that weren't given anew, were dropped because they would go elsewhere.
    pub dropped: bool,
    /// Whether all was so already.
    pub same: bool,
    /// What is another now, by name.
    pub difference: Difference,
}

/// What lists show of an integration.
#[derive(Clone, Debug)]
pub struct IntegrationSummary {
    /// Its name.
    pub name: Name,
    /// The organization that it belongs to.
    pub organization: Name,
    /// The model that it was made from.
    pub model: Name,
    /// The security scheme's name.
    pub scheme: String,
    /// The flow's name.
    pub flow: String,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Belongs for IntegrationSummary {
    fn name(&self) -> &Name {
        &self.name
    }

    fn organization(&self) -> &Name {
        &self.organization
    }
}

/// An integration at rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IntegrationRecord {
    name: Name,
    #[serde(default = "default_name")]
    organization: Name,
    model: Name,
    scheme: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    scheme_document: Value,
    flow: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<Url>,
    values: BTreeMap<String, String>,
    /// Sealed, by name; the client's key is among them.
    secrets: BTreeMap<String, Sealed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proxy: Option<Url>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_certificate: Option<String>,
    settings: Settings,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<ExtraParameter>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    further: BTreeMap<String, BindingRecord>,
    target: Ulid,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl IntegrationRecord {
    /// The record of an integration.
    pub(super) fn seal(integration: &Integration, keyring: &Keyring) -> Result<Self, SealError> {
        let own_key = INTEGRATIONS.key(&[integration.name.as_str()]);
        let client_key = integration.transport.client_key.as_ref().map(|key| (CLIENT_KEY, key));
        let secrets = (integration.secrets.iter().chain(client_key))
            .map(|(name, value)| Ok((name.to_owned(), keyring.seal_text(&bound_to(&own_key, name), value)?)))
            .collect::<Result<_, SealError>>()?;
        let further = (integration.further.iter()).map(|(scheme, binding)| {
            let seal = |name: &str, value: &_| keyring.seal_text(&bound_to(&own_key, &of_scheme(scheme, name)), value);
            Ok((scheme.clone(), BindingRecord::seal(binding, seal)?))
        });
        let further = further.collect::<Result<_, SealError>>()?;
        let Integration { name, organization, model, scheme, detail, scheme_document, flow, server, values, .. } =
            integration.clone();
        let Transport { ca, proxy, client_certificate, .. } = integration.transport.clone();
        Ok(Self {
            name,
            organization,
            model,
            scheme,
            detail,
            scheme_document,
            flow,
            server,
            values,
            secrets,
            ca,
            proxy,
            client_certificate,
            settings: integration.settings.clone(),
            parameters: integration.parameters.clone(),
            further,
            target: integration.target,
            created_at: integration.created_at,
            updated_at: integration.updated_at,
        })
    }

    /// The integration of a record.
    pub(super) fn open(self, revision: Revision, keyring: &Keyring) -> Result<Integration, SealError> {
        let own_key = INTEGRATIONS.key(&[self.name.as_str()]);
        let mut secrets = Secrets::default();
        for (name, value) in &self.secrets {
            secrets.insert(name.clone(), keyring.open_text(&bound_to(&own_key, name), value)?);
        }
        let client_key = secrets.remove(CLIENT_KEY);
        let further = self.further.into_iter().map(|(scheme, record)| {
            let open = |name: &str, value: &_| keyring.open_text(&bound_to(&own_key, &of_scheme(&scheme, name)), value);
            let binding = record.open(open)?;
            Ok((scheme, binding))
        });
        let further = further.collect::<Result<_, SealError>>()?;
        Ok(Integration {
            transport: Transport {
                ca: self.ca,
                proxy: self.proxy,
                client_certificate: self.client_certificate,
                client_key,
            },
            name: self.name,
            organization: self.organization,
            model: self.model,
            scheme: self.scheme,
            detail: self.detail,
            scheme_document: self.scheme_document,
            flow: self.flow,
            server: self.server,
            values: self.values,
            secrets,
            settings: self.settings,
            parameters: self.parameters,
            further,
            target: self.target,
            created_at: self.created_at,
            updated_at: self.updated_at,
            revision,
        })
    }

    /// The organization that it belongs to.
    pub(super) fn organization(&self) -> &Name {
        &self.organization
    }

    /// What lists show of it.
    pub(super) fn summary(self) -> IntegrationSummary {
        IntegrationSummary {
            name: self.name,
            organization: self.organization,
            model: self.model,
            scheme: self.scheme,
            flow: self.flow,
            updated_at: self.updated_at,
        }
    }
}

impl Sealing for IntegrationRecord {
    fn each_sealed(&mut self, _: &[String], visit: &mut Visit<'_>) -> Result<(), SealError> {
        let own_key = INTEGRATIONS.key(&[self.name.as_str()]);
        for (name, sealed) in &mut self.secrets {
            visit(&bound_to(&own_key, name), sealed)?;
        }
        for (scheme, binding) in &mut self.further {
            binding.each_sealed(|name, sealed| visit(&bound_to(&own_key, &of_scheme(scheme, name)), sealed))?;
        }
        Ok(())
    }
}
