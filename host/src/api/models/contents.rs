//! What a model's document holds: its operations, and what integrations could be made of a security scheme.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::Uri;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::super::page::{Page, Wanted};
use super::super::problem::{Code, Problem};
use super::super::query::Query;
use super::super::state::Api;
use super::{Scheme, name};

/// An operation of a model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelOperation)]
pub(super) struct Operation {
    /// The HTTP method.
    method: String,
    /// The path, with its parameters in braces.
    path: String,
    /// Its name in the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation_id: Option<String>,
    /// What a call needs: all schemes of one of these, by name with the scopes. Empty: nothing. Absent: the document doesn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    security: Option<Vec<BTreeMap<String, Vec<String>>>>,
}

/// Which operations.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used; `operations` reads the parameters")]
pub(super) struct Search {
    /// A part of the method and path, or of the operation's name
    q: Option<String>,
}

/// Lists the operations of a model, in the document's order
#[utoipa::path(get, path = "/v1/models/{model}/operations", tag = "models",
    params(("model" = String, Path, description = "Its name"), super::super::Paging, Search),
    responses((status = 200, description = "A page of operations", body = Page<Operation>)))]
pub(super) async fn operations(
    State(api): State<Api>,
    Path(model): Path<String>,
    uri: Uri,
) -> Result<axum::Json<Page<Operation>>, Problem> {
    let mut query = Query::of(&uri);
    let wanted = Wanted::<usize>::read(&mut query);
    let part = query.text("q").map(|part| part.to_lowercase());
    query.finish()?;
    let document = api.models.get(&name(&model, "model")?).await?.document;
    let fits = |operation: &crate::openapi::Operation| {
        let Some(part) = &part else { return true };
        let named = operation.operation_id.as_ref().is_some_and(|id| id.to_lowercase().contains(part));
        named || format!("{} {}", operation.method, operation.path).to_lowercase().contains(part)
    };
    // The place in the document is what the cursor holds.
    let from = wanted.after.map_or(0, |after| after.saturating_add(1));
    let found = document.operations.iter().enumerate().skip(from).filter(|(_, operation)| fits(operation));
    let page = wanted.page(
        found.take(wanted.to_read()).collect(),
        |(place, _)| place.to_string(),
        |(_, operation)| Operation {
            method: operation.method.clone(),
            path: operation.path.clone(),
            operation_id: operation.operation_id.clone(),
            security: document
                .security_of(operation)
                .map(|alternatives| alternatives.iter().map(|requirement| requirement.0.clone()).collect()),
        },
    );
    Ok(axum::Json(page))
}

/// What integrations could be made of a security scheme.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Offers {
    /// The scheme.
    scheme: Scheme,
    /// The ways to serve it.
    offers: Vec<Offer>,
}

/// One way to serve a security scheme.
#[derive(Debug, Serialize, ToSchema)]
struct Offer {
    /// The flow, which says what its fields are (`GET /v1/flows/{flow}`).
    flow: String,
    /// The key in the scheme's `flows`, or its `scheme`, that it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// First values by field, of the document and of the flow: what a new integration has where nobody gives another.
    fields: BTreeMap<String, String>,
    /// Why a field has no first value although the document has one for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    hints: BTreeMap<String, String>,
    /// Scopes that the document names, with what it says of them: 500 at most.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    scopes: BTreeMap<String, String>,
    /// Further fields, for extra parameters of token requests that the document declares.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<String>,
}

/// Shows which flows serve a security scheme, and with which first values
#[utoipa::path(get, path = "/v1/models/{model}/schemes/{scheme}", tag = "models",
    params(("model" = String, Path, description = "The model"), ("scheme" = String, Path, description = "The scheme's name")),
    responses((status = 200, description = "What could be made of it", body = Offers)))]
pub(super) async fn offers(
    State(api): State<Api>,
    Path((model, scheme)): Path<(String, String)>,
    uri: Uri,
) -> Result<axum::Json<Offers>, Problem> {
    Query::of(&uri).finish()?;
    let model = api.models.get(&name(&model, "model")?).await?;
    let found = model.document.scheme(&scheme);
    let found = found.ok_or_else(|| Problem::new(Code::NotFound, "the model has no such security scheme"))?;
    let offers = api.integrations.offers(&model, found).into_iter().map(|offer| Offer {
        flow: offer.flow,
        detail: offer.detail,
        fields: offer.values,
        hints: offer.hints,
        scopes: offer.scopes,
        parameters: offer.parameters,
    });
    Ok(axum::Json(Offers { offers: offers.collect(), scheme: Scheme::of(found.clone(), &api.flows) }))
}
