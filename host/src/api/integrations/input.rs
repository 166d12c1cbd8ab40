//! What clients send to make and change integrations. Refusals name the member; values, which may be secrets, have no
//! `Debug` and are never repeated.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::calls::CallSettings;
use super::parameters::Parameter;
use crate::integrations;

/// What a new integration is made from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewIntegration {
    /// Its name, which is its id: 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`.
    pub(super) name: String,
    /// The organization that it belongs to, where it isn't the model's.
    pub(super) organization: Option<String>,
    /// The model that it is made from.
    pub(super) model: String,
    /// The security scheme; needed where the model has several that can be used.
    pub(super) scheme: Option<String>,
    /// The flow; needed where several serve the scheme.
    pub(super) flow: Option<String>,
    /// The server's URL, where it isn't the model's first.
    pub(super) server: Option<String>,
    /// Values by field name, secrets too; null unsets what the document or the flow would give.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    pub(super) fields: BTreeMap<String, Option<Value>>,
    /// Further security schemes that it serves, by name.
    #[serde(default)]
    pub(super) schemes: BTreeMap<String, SchemeChange>,
    /// What connections need below HTTP.
    #[serde(default)]
    pub(super) transport: TransportChange,
    /// How its tokens are handled.
    #[serde(default)]
    pub(super) settings: SettingsChange,
    /// Extra parameters of its token requests, beside those that the document declares.
    #[serde(default)]
    pub(super) parameters: Vec<Parameter>,
}

/// What of an integration is to change; what is left out stays, and null unsets.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Change {
    /// The organization that it belongs to. Its secrets and its token stay.
    pub(super) organization: Option<String>,
    /// The server's URL.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(super) server: Option<Option<String>>,
    /// Values by field name, secrets too.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    pub(super) fields: BTreeMap<String, Option<Value>>,
    /// Further security schemes, by name: bound, changed, or with null unbound. One that isn't named stays.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, SchemeChange>)]
    pub(super) schemes: BTreeMap<String, Option<SchemeChange>>,
    /// What connections need below HTTP.
    #[serde(default)]
    pub(super) transport: TransportChange,
    /// How its tokens are handled.
    #[serde(default)]
    pub(super) settings: SettingsChange,
    /// Extra parameters of its token requests, beside those that the document declares: all of them, in place of those that
    /// were added before.
    pub(super) parameters: Option<Vec<Parameter>>,
}

/// A further security scheme: what serves it, and with which values.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SchemeChange {
    /// The flow; needed where several serve the scheme. Another one than before begins anew.
    flow: Option<String>,
    /// Values by field name, secrets too; null unsets.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    fields: BTreeMap<String, Option<Value>>,
}

/// What connections need below HTTP; null unsets.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransportChange {
    /// PEM certificates of the authorities to trust instead of the system's.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(super) ca: Option<Option<String>>,
    /// An HTTP proxy, `http://host:port`; needs a right of its own.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(super) proxy: Option<Option<String>>,
    /// PEM certificate to show.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(super) client_certificate: Option<Option<String>>,
    /// PEM private key of that certificate; a secret.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(super) client_key: Option<Option<String>>,
}

/// How an integration's tokens are handled; null unsets.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsChange {
    /// Seconds that a token lives where the provider doesn't say.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    pub(super) default_lifetime: Option<Option<u64>>,
    /// What to do with a refresh token that was sent and got no complete answer.
    pub(super) uncertain: Option<Uncertain>,
    /// How its service is called: all of it at once; null brings back the defaults.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<CallSettings>)]
    pub(super) calls: Option<Option<CallSettings>>,
}

/// What to do with a refresh token that was sent and got no complete answer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Uncertain {
    /// Acquire anew where the flow needs no person; else try it once more, after the access token has ended.
    Auto,
    /// Never send it again.
    Acquire,
    /// Send it once more at once.
    Retry,
}

/// A field's value: text, or a boolean or whole number as text. Has no `Debug`: it may be a secret.
pub(super) struct Value(String);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a boolean, a whole number or null")
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value(text.to_owned()))
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
                Ok(Value(flag.to_string()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
                Ok(Value(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
                Ok(Value(number.to_string()))
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}

/// Tells a member that is null from one that isn't there.
pub(in crate::api) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Values by field name, as the room below takes them.
pub(super) fn texts(fields: BTreeMap<String, Option<Value>>) -> BTreeMap<String, Option<String>> {
    fields.into_iter().map(|(name, value)| (name, value.map(|Value(text)| text))).collect()
}

impl From<SchemeChange> for integrations::BindingChange {
    fn from(change: SchemeChange) -> Self {
        Self { flow: change.flow, fields: texts(change.fields) }
    }
}

impl From<TransportChange> for integrations::TransportChange {
    fn from(change: TransportChange) -> Self {
        Self {
            ca: change.ca,
            proxy: change.proxy,
            client_certificate: change.client_certificate,
            client_key: change.client_key.map(|key| key.map(SecretString::from)),
        }
    }
}

impl SettingsChange {
    /// The same as the room below takes it, with the extra parameters, which clients give beside the settings.
    pub(super) fn with_parameters(self, parameters: Option<Vec<Parameter>>) -> integrations::SettingsChange {
        integrations::SettingsChange {
            default_lifetime: self.default_lifetime,
            uncertain: self.uncertain.map(Into::into),
            calls: self.calls.map(|calls| calls.map(Into::into)),
            parameters: parameters.map(|given| given.into_iter().map(Into::into).collect()),
        }
    }
}

impl From<Uncertain> for integrations::Uncertain {
    fn from(uncertain: Uncertain) -> Self {
        match uncertain {
            Uncertain::Auto => Self::Auto,
            Uncertain::Acquire => Self::Acquire,
            Uncertain::Retry => Self::Retry,
        }
    }
}

impl From<integrations::Uncertain> for Uncertain {
    fn from(uncertain: integrations::Uncertain) -> Self {
        match uncertain {
            integrations::Uncertain::Auto => Self::Auto,
            integrations::Uncertain::Acquire => Self::Acquire,
            integrations::Uncertain::Retry => Self::Retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::body::parse;
    use super::*;

    #[test]
    fn null_is_told_from_absent_and_scalars_become_text() {
        let change: Change = parse(
            br#"{"server":null,"fields":{"a":"x","b":true,"c":-5,"d":null},"transport":{"proxy":null},"settings":{"uncertain":"retry"}}"#,
        )
        .ok()
        .unwrap();
        assert_eq!(change.server, Some(None));
        let fields = texts(change.fields);
        let expected = [("a", Some("x")), ("b", Some("true")), ("c", Some("-5")), ("d", None)];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))).into());
        assert_eq!((change.transport.proxy, change.transport.ca), (Some(None), None));
        assert_eq!(change.settings.default_lifetime, None);
        assert!(matches!(change.settings.uncertain, Some(Uncertain::Retry)));
    }

    #[test]
    fn a_bad_value_is_refused_without_repeating_it() {
        let problem = parse::<Change>(br#"{"fields":{"client_secret":["hunter2"]}}"#).err().unwrap();
        let text = format!("{problem:?}");
        assert!(text.contains("fields.client_secret") && text.contains("a whole number or null"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
