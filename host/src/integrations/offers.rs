//! What an integration could be made of: the flows that serve a scheme, each with the first values that the document and the
//! flow give its fields. It makes nothing, and checks no input.

use std::collections::BTreeMap;

use url::Url;

use super::choice::candidates;
use super::extras::input_name;
use super::fields::Form;
use super::keeper::Integrations;
use super::model::Model;
use crate::openapi::SecurityScheme;

/// Scopes that are offered at most: more than anybody chooses among.
const MOST_SCOPES: usize = 500;

/// One way to serve a scheme.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The flow's name.
    pub flow: String,
    /// The part of the scheme that it serves: the key in its `flows`, or its `scheme`.
    pub detail: Option<String>,
    /// First values of fields that aren't secret.
    pub values: BTreeMap<String, String>,
    /// Why a field has no first value although the document has one for it.
    pub hints: BTreeMap<String, String>,
    /// Scopes that the document names, with what they are for.
    pub scopes: BTreeMap<String, String>,
    /// The names of inputs beside the flow's fields, for extra parameters that the document declares.
    pub parameters: Vec<String>,
}

impl Integrations {
    /// The ways to serve a scheme of a model with its first server.
    pub fn offers(&self, model: &Model, scheme: &SecurityScheme) -> Vec<Offer> {
        let server = model.document.servers.iter().find_map(|server| Url::parse(&server.url).ok());
        let offer = |(detail, flow): (Option<String>, std::sync::Arc<dyn crate::flows::Flow>)| {
            let of_flow = |of: &Option<String>| of.is_none() || *of == detail;
            let parameters: Vec<_> = scheme.parameters.iter().filter(|one| of_flow(&one.detail)).cloned().collect();
            let form = Form {
                flow: flow.description(),
                parameters: &parameters,
                added: &[],
                allow_http: self.egress.allows_http(),
            };
            let (values, hints) = form.first_values(scheme, detail.as_deref(), server.as_ref());
            let mut parameters: Vec<String> = parameters.iter().map(input_name).collect();
            parameters.sort();
            parameters.dedup();
            let scopes = scheme.scopes(detail.as_deref()).filter(|(name, _)| !name.is_empty()).take(MOST_SCOPES);
            let scopes = scopes.map(|(name, about)| (name.to_owned(), about.to_owned())).collect();
            Offer { flow: flow.description().name.clone(), detail, values, hints, scopes, parameters }
        };
        candidates(&*self.flows, scheme).into_iter().map(offer).collect()
    }
}
