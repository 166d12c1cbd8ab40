//! Schemes bound to flows: chosen, filled in, changed. Each binding of an integration goes through here, its first one too.

use std::collections::BTreeMap;

use ulid::Ulid;
use url::Url;

use super::binding::{Binding, BindingChange};
use super::choice::{Choice, Wish, choose};
use super::error::{FaultCode, FieldFault, IntegrationError, ModelError};
use super::extras::input_name;
use super::fields::{Form, Values};
use super::integration::{Change, Integration};
use super::keeper::Integrations;
use super::model::Model;
use super::target::Target;
use crate::flows::Flow;
use crate::openapi::ExtraParameter;
use crate::secrets::Secrets;

/// What schemes of one integration are bound on.
pub(super) struct Ground<'a> {
    /// The integration's model.
    pub(super) model: &'a Model,
    /// Its server.
    pub(super) server: Option<&'a Url>,
    /// The extra parameters that were added to the document's.
    pub(super) added: &'a [ExtraParameter],
}

impl Integrations {
    /// The names of an integration's secret inputs, and whether each is set; none where its flow isn't installed.
    pub fn secret_inputs(&self, integration: &Integration) -> BTreeMap<String, bool> {
        let flow = self.flows.get(&integration.flow);
        let fields = flow.iter().flat_map(|flow| flow.description().fields.iter().filter(|field| field.is_secret()));
        let parameters = integration.parameters.iter().chain(&integration.settings.parameters).map(input_name);
        let names = fields.map(|field| field.name.clone()).chain(parameters);
        let set = integration.secrets.names().map(str::to_owned);
        names.chain(set).map(|name| (name.clone(), integration.secrets.get(&name).is_some())).collect()
    }

    /// What must be set before a token can be got; empty unless a change of target dropped secrets.
    pub fn missing(&self, integration: &Integration) -> Vec<FieldFault> {
        self.flows.get(&integration.flow).map(|flow| self.missing_for(integration, &*flow)).unwrap_or_default()
    }

    /// What would have to be set if this were the integration's flow.
    pub fn missing_for(&self, integration: &Integration, flow: &dyn Flow) -> Vec<FieldFault> {
        let form = self.form(flow, integration);
        form.missing(&values_of(integration), &BTreeMap::new())
    }

    fn form<'a>(&self, flow: &'a dyn Flow, integration: &'a Integration) -> Form<'a> {
        Form {
            flow: flow.description(),
            parameters: &integration.parameters,
            added: &integration.settings.parameters,
            allow_http: self.egress.allows_http(),
        }
    }

    /// A further scheme, bound.
    pub(super) fn bind_further(
        &self,
        scheme: &str,
        wanted: &BindingChange,
        is_twice: bool,
        ground: &Ground<'_>,
        faults: &mut Vec<FieldFault>,
    ) -> Option<(String, Binding)> {
        let place = place_of(scheme);
        if is_twice {
            let message = "is the integration's own scheme already";
            faults.push(FieldFault::new(place.trim_end_matches('.'), FaultCode::Ambiguous, message));
            return None;
        }
        let wish = Wish { scheme: Some(scheme), flow: wanted.flow.as_deref(), place: &place };
        self.bind(&wish, &wanted.fields, ground, faults)
    }

    /// A scheme of a model, bound to a flow with first values and these inputs.
    pub(super) fn bind(
        &self,
        wish: &Wish<'_>,
        inputs: &BTreeMap<String, Option<String>>,
        ground: &Ground<'_>,
        faults: &mut Vec<FieldFault>,
    ) -> Option<(String, Binding)> {
        let Choice { scheme, detail, flow } = choose(&*self.flows, wish, ground.model, faults)?;
        let of_flow = |of: &Option<String>| of.is_none() || *of == detail;
        let parameters: Vec<_> = scheme.parameters.iter().filter(|one| of_flow(&one.detail)).cloned().collect();
        let form = Form {
            flow: flow.description(),
            parameters: &parameters,
            added: ground.added,
            allow_http: self.egress.allows_http(),
        };
        let (plain, hints) = form.first_values(scheme, detail.as_deref(), ground.server);
        let mut values = Values::default();
        // The document's values go through the same checks as those that people give.
        let plain = plain.into_iter().map(|(name, value)| (name, Some(value)));
        let inputs: BTreeMap<_, _> = plain.chain(inputs.clone()).collect();
        let mut found = Vec::new();
        form.apply(&mut values, &inputs, &mut found);
        let missing = form.missing(&values, &hints);
        // One that was given and is malformed isn't missing too.
        let missing: Vec<_> =
            missing.into_iter().filter(|missing| found.iter().all(|fault| fault.field != missing.field)).collect();
        faults.extend(found.into_iter().chain(missing).map(|fault| fault.within(wish.place)));
        let binding = Binding {
            detail,
            scheme_document: scheme.document.clone(),
            flow: flow.description().name.clone(),
            values: values.plain,
            secrets: values.secret,
            parameters,
            target: Ulid::new(),
        };
        Some((scheme.name.clone(), binding))
    }

    /// The further schemes of an integration as they are after a change, and whether secrets of theirs would go elsewhere.
    pub(super) async fn rebind_further(
        &self,
        original: &Integration,
        integration: &Integration,
        change: &Change,
        faults: &mut Vec<FieldFault>,
    ) -> Result<(BTreeMap<String, Binding>, bool), IntegrationError> {
        let (mut further, mut dropped) = (BTreeMap::new(), false);
        for before in original.bindings().skip(1) {
            let scheme = before.scheme.clone();
            let inputs = match change.further.get(&scheme) {
                Some(None) => continue,
                // Another flow is another beginning, below.
                Some(Some(wanted)) if wanted.flow.as_ref().is_some_and(|flow| *flow != before.flow) => continue,
                Some(Some(wanted)) => &wanted.fields,
                None => &BTreeMap::new(),
            };
            let mut after = integration.clone();
            scheme.clone_into(&mut after.scheme);
            after.bind(before.binding());
            let (after, retargeted) = self.rebind(&before, after, inputs, &place_of(&scheme), faults)?;
            dropped |= retargeted;
            further.insert(scheme, after.binding());
        }
        let added = change.further.iter().filter_map(|(scheme, wanted)| Some((scheme, wanted.as_ref()?)));
        let added: Vec<_> = added.filter(|(scheme, _)| !further.contains_key(*scheme)).collect();
        if !added.is_empty() {
            let model = match self.models.get(&integration.model).await {
                Ok(model) => model,
                Err(ModelError::Store(error)) => return Err(error.into()),
                Err(_) => return Err(IntegrationError::ModelNotFound(integration.model.clone())),
            };
            let (server, parameters) = (integration.server.as_ref(), &integration.settings.parameters);
            let ground = Ground { model: &model, server, added: parameters };
            for (scheme, wanted) in added {
                let is_twice = *scheme == integration.scheme;
                further.extend(self.bind_further(scheme, wanted, is_twice, &ground, faults));
            }
        }
        for (scheme, wanted) in &change.further {
            if wanted.is_none() && !original.further.contains_key(scheme) {
                let message = "isn't bound, so that it can't be unbound";
                faults.push(FieldFault::new(place_of(scheme).trim_end_matches('.'), FaultCode::Unknown, message));
            }
        }
        Ok((further, dropped))
    }

    /// Puts inputs over the values of one binding. Where its secrets would go elsewhere, those that aren't given anew go, and
    /// it has another target; says whether that is so.
    pub(super) fn rebind(
        &self,
        before: &Integration,
        mut after: Integration,
        inputs: &BTreeMap<String, Option<String>>,
        place: &str,
        faults: &mut Vec<FieldFault>,
    ) -> Result<(Integration, bool), IntegrationError> {
        let flow = self.flows.get(&before.flow).ok_or_else(|| {
            let message = format!("the flow {} isn't installed, so that no input can be checked", before.flow);
            IntegrationError::Invalid(vec![FieldFault::new(format!("{place}flow"), FaultCode::NotAllowed, message)])
        })?;
        let was_complete = self.missing(before).is_empty();
        let mut found = Vec::new();
        let mut values = values_of(&after);
        self.form(&*flow, &after).apply(&mut values, inputs, &mut found);
        (after.values, after.secrets) = (values.plain, values.secret);
        after.forget_removed_parameters(before);
        let dropped = Target::of(&after, flow.description()) != Target::of(before, flow.description());
        if !dropped && was_complete {
            let missing = self.missing(&after);
            let is_new = |missing: &FieldFault| found.iter().all(|fault| fault.field != missing.field);
            let missing: Vec<_> = missing.into_iter().filter(is_new).collect();
            found.extend(missing);
        }
        faults.extend(found.into_iter().map(|fault| fault.within(place)));
        if dropped {
            after.target = Ulid::new();
            let given = |name: &str| matches!(inputs.get(name), Some(Some(_)));
            let mut kept = Secrets::default();
            for (name, value) in after.secrets.iter().filter(|(name, _)| given(name)) {
                kept.insert(name, value.clone());
            }
            after.secrets = kept;
        }
        Ok((after, dropped))
    }
}

/// What stands before the names of a further scheme's fields in faults.
pub(super) fn place_of(scheme: &str) -> String {
    let shown: String = scheme.chars().take(64).collect();
    format!("schemes.{shown}.")
}

fn values_of(integration: &Integration) -> Values {
    Values { plain: integration.values.clone(), secret: integration.secrets.clone() }
}
