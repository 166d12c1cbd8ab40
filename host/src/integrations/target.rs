//! Where an integration's secrets go, and whether a change sends them elsewhere (rule 4).

use std::collections::BTreeMap;

use url::Url;

use super::integration::Integration;
use crate::flows::Description;

/// Everything that decides who gets an integration's secrets of one scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The origins of its URL fields, by name.
    origins: BTreeMap<String, String>,
    /// The origin of its server.
    server: Option<String>,
    proxy: Option<String>,
    ca: Option<String>,
}

impl Target {
    /// Where this integration's secrets go.
    pub(super) fn of(integration: &Integration, flow: &Description) -> Self {
        let urls = flow.fields.iter().filter(|field| field.is_url());
        let origin =
            |text: &String| Url::parse(text).map_or_else(|_| text.clone(), |url| url.origin().ascii_serialization());
        Self {
            origins: urls
                .filter_map(|field| Some((field.name.clone(), origin(integration.values.get(&field.name)?))))
                .collect(),
            server: integration.server.as_ref().map(|server| server.origin().ascii_serialization()),
            proxy: integration.transport.proxy.as_ref().map(Url::to_string),
            ca: integration.transport.ca.clone(),
        }
    }
}
