//! What is decided about flows, over HTTP: limits, release from quarantine, secrets revealed.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::body::Json;
use super::super::caller::Caller;
use super::super::models::name;
use super::super::problem::{Fault, Problem};
use super::super::state::Api;
use super::view::{Flow, Revealed};
use super::{label, shown};
use crate::flows::Limit;
use crate::integrations::IntegrationError;
use crate::shelf::LimitChanges;

/// What to change about a flow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowChange {
    /// Its limits. What is absent stays, what is null is the engine's again.
    #[serde(default)]
    limits: NewLimits,
}

/// Limits of a flow. What is absent stays, what is null is the engine's again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct NewLimits {
    /// Processor time of one step, in milliseconds.
    #[serde(deserialize_with = "given")]
    step_time: Option<Option<u64>>,
    /// Memory of one step, in bytes.
    #[serde(deserialize_with = "given")]
    memory: Option<Option<u64>>,
    /// The answer of one step, in bytes.
    #[serde(deserialize_with = "given")]
    output: Option<Option<u64>>,
    /// Steps of one attempt.
    #[serde(deserialize_with = "given")]
    steps: Option<Option<u64>>,
    /// Requests of one attempt.
    #[serde(deserialize_with = "given")]
    requests: Option<Option<u64>>,
    /// Attempts that may begin within a minute.
    #[serde(deserialize_with = "given")]
    attempts_per_minute: Option<Option<u64>>,
}

/// A member that is there, be it null.
fn given<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl NewLimits {
    /// These over those that were set, or all that is wrong with them.
    fn over(&self, mut limits: LimitChanges) -> Result<LimitChanges, Problem> {
        let mut faults = Vec::new();
        for limit in Limit::ALL {
            let given = match limit {
                Limit::StepTime => self.step_time,
                Limit::Memory => self.memory,
                Limit::Output => self.output,
                Limit::Steps => self.steps,
                Limit::Requests => self.requests,
                Limit::AttemptsPerMinute => self.attempts_per_minute,
            };
            let Some(given) = given else { continue };
            let (least, most) = limit.range();
            if given.is_some_and(|value| !(least..=most).contains(&value)) {
                let unit = match limit {
                    Limit::StepTime => " milliseconds",
                    Limit::Memory | Limit::Output => " bytes",
                    Limit::Steps | Limit::Requests | Limit::AttemptsPerMinute => "",
                };
                let message = format!("must be from {least} to {most}{unit}, or null");
                faults.push(Fault::new(format!("limits.{}", limit.as_str()), "not_allowed", message));
            }
            *limits.of(limit) = given;
        }
        if faults.is_empty() { Ok(limits) } else { Err(Problem::invalid(faults)) }
    }
}

/// Changes a flow's limits
///
/// They hold at once, for attempts under way too.
#[utoipa::path(patch, path = "/v1/flows/{flow}", tag = "flows", params(("flow" = String, Path, description = "Its name")),
    responses((status = 200, description = "The flow as it is now", body = Flow)))]
pub(super) async fn change(
    State(api): State<Api>,
    Path(flow): Path<String>,
    caller: Caller,
    Json(change): Json<FlowChange>,
) -> Result<axum::Json<Flow>, Problem> {
    caller.require_all("flows are everyone's").await?;
    let flow = name(&flow, "flow")?;
    let standing = api.shelf.standing(flow.as_str()).ok_or_else(|| Problem::not_found("flow", &flow))?;
    let mut limits = change.limits.over(standing.record.map(|record| record.limits).unwrap_or_default())?;
    api.shelf.limit(&flow, limits).await?;
    for limit in Limit::ALL {
        if let Some(value) = limits.of(limit) {
            caller.note_detail(limit.as_str(), value.to_string());
        }
    }
    shown(&api, &flow)
}

/// Lets a flow run again that is under quarantine
#[utoipa::path(post, path = "/v1/flows/{flow}/release", tag = "flows", params(("flow" = String, Path, description = "Its name")),
    responses((status = 200, description = "The flow as it is now", body = Flow)))]
pub(super) async fn release(
    State(api): State<Api>,
    Path(flow): Path<String>,
    caller: Caller,
) -> Result<axum::Json<Flow>, Problem> {
    caller.require_all("flows are everyone's").await?;
    let flow = name(&flow, "flow")?;
    api.shelf.release(&flow).await?;
    tracing::info!(%flow, "flow released from quarantine");
    shown(&api, &flow)
}

/// Lets the present component of a flow read one secret of one integration
///
/// Another component of the same flow, be it a later version, reads nothing.
#[utoipa::path(put, path = "/v1/flows/{flow}/revealed/{integration}/{secret}", tag = "flows",
    params(("flow" = String, Path, description = "Its name"), ("integration" = String, Path, description = "Whose secret"),
        ("secret" = String, Path, description = "Which secret")),
    responses((status = 200, description = "What was granted", body = Revealed)))]
pub(super) async fn reveal(
    State(api): State<Api>,
    Path((flow, integration, secret)): Path<(String, String, String)>,
    caller: Caller,
) -> Result<axum::Json<Revealed>, Problem> {
    caller.require_all("flows are everyone's").await?;
    let (flow, integration) = (name(&flow, "flow")?, name(&integration, "integration")?);
    let found = match api.integrations.read(&integration).await {
        Err(IntegrationError::NotFound(_)) => return Err(Problem::not_found("integration", &integration)),
        found => found?,
    };
    if found.flow != flow.as_str() {
        let message = format!("uses the flow {}, and not {flow}", found.flow);
        return Err(Problem::invalid(vec![Fault::new("integration", "not_allowed", message)]));
    }
    let known = api.integrations.secret_inputs(&found);
    if !known.contains_key(&secret) {
        let known: Vec<&str> = known.keys().map(String::as_str).collect();
        let message = format!("{integration} has no such secret; it has {}", known.join(", "));
        return Err(Problem::invalid(vec![Fault::new("secret", "unknown", message)]));
    }
    let grant = api.shelf.reveal(&flow, (&integration, found.created_at), &secret, &label(&caller)).await?;
    caller.note_detail("sha256", grant.sha256.clone());
    tracing::warn!(%flow, %integration, secret, "a flow may read a secret");
    Ok(axum::Json(Revealed::of(&grant, &grant.sha256)))
}

/// Withdraws what was revealed
#[utoipa::path(delete, path = "/v1/flows/{flow}/revealed/{integration}/{secret}", tag = "flows",
    params(("flow" = String, Path, description = "Its name"), ("integration" = String, Path, description = "Whose secret"),
        ("secret" = String, Path, description = "Which secret")),
    responses((status = 204, description = "It is withdrawn")))]
pub(super) async fn conceal(
    State(api): State<Api>,
    Path((flow, integration, secret)): Path<(String, String, String)>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    caller.require_all("flows are everyone's").await?;
    api.shelf.conceal(&name(&flow, "flow")?, &name(&integration, "integration")?, &secret).await?;
    Ok(StatusCode::NO_CONTENT)
}
