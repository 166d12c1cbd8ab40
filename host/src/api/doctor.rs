//! The doctor over HTTP: findings as lines of JSON, each sent as soon as it is known.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::attempts::Step;
use super::caller::Caller;
use super::connect::CALLBACK;
use super::models::name;
use super::problem::{Code, Problem};
use super::query::Query;
use super::state::Api;
use crate::access::Right;
use crate::doctor::{Changes, DoctorError, Finding};

/// The media type of lines of JSON.
const LINES: &str = "application/x-ndjson";

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(examine))
}

/// Fields and their values, by name; null: the field is unset.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct FieldChanges(std::collections::BTreeMap<String, Option<String>>);

/// One line of an examination: `kind` says which.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum DoctorFinding {
    /// Something looked at beside the trials.
    Check {
        /// `fields`, `reachable`, `metadata`, `clock`, `lockout` or `person`.
        name: &'static str,
        /// `good`, `note` or `bad`.
        grade: &'static str,
        /// For people.
        text: String,
    },
    /// One way of asking for a token, tried.
    Trial {
        /// Its number, from 1.
        number: u32,
        /// The fields in which it differs from the integration; null: the field is unset. Empty: the present settings.
        #[schema(value_type = FieldChanges)]
        changes: Changes,
        /// `token`, `accepted` (the client is taken, the rest needs a person), `failed`, `unanswered` or `unsendable`.
        result: &'static str,
        /// The last answer's HTTP status.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// The error's code (RFC 6749 section 5.2) or the flow's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// For people.
        #[serde(skip_serializing_if = "String::is_empty")]
        message: String,
        /// How long the provider took.
        milliseconds: u64,
        /// Whether a person's password was in it.
        password: bool,
        /// What was sent and answered, as attempts show it: secrets as names.
        steps: Vec<Step>,
    },
    /// What it comes to; the last line.
    Verdict {
        /// `works`, `settings`, `credentials`, `request`, `unreachable`, `endpoint`, `incomplete`, `slow_down` or `unknown`.
        cause: &'static str,
        /// What is the matter, in one sentence.
        sentence: String,
        /// The fields to set where other settings worked; null: to unset. They go into `PATCH /v1/integrations/{integration}`.
        #[schema(value_type = FieldChanges)]
        settings: Changes,
        /// Requests that were sent.
        requests: u32,
    },
}

impl From<Finding> for DoctorFinding {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Check(check) => Self::Check { name: check.name, grade: check.grade.as_str(), text: check.text },
            Finding::Trial(trial) => Self::Trial {
                number: trial.number,
                changes: trial.changes,
                result: trial.ended.as_str(),
                status: trial.status,
                code: trial.code,
                message: trial.message,
                milliseconds: trial.milliseconds,
                password: trial.password,
                steps: trial.steps.into_iter().map(Step::from).collect(),
            },
            Finding::Verdict(verdict) => Self::Verdict {
                cause: verdict.cause.as_str(),
                sentence: verdict.sentence,
                settings: verdict.settings,
                requests: verdict.requests,
            },
        }
    }
}

impl From<DoctorError> for Problem {
    fn from(error: DoctorError) -> Self {
        match error {
            DoctorError::Busy(why) => Self::new(Code::TooSoon, why).retry_after(std::time::Duration::from_secs(5)),
            DoctorError::NoFlow(_) => Self::new(Code::FlowMissing, error.to_string()),
            DoctorError::Barred(barred) => Self::new(Code::TokenFailed, barred.message).retry_after(barred.retry_after),
            DoctorError::Integration(error) => error.into(),
        }
    }
}

/// Finds out by test requests why no token can be had, and which settings would get one
///
/// Sends at most 16 requests, at most 3 of them with a person's password, and never a refresh token; a token that comes is
/// thrown away, and nothing is recorded but that somebody asked. Answers with one JSON document a line, as each is found; the last
/// is the verdict. It ends where the caller goes away.
#[utoipa::path(post, path = "/v1/integrations/{integration}/doctor", tag = "integrations",
    params(("integration" = String, Path, description = "Its name"),
        ("scheme" = Option<String>, Query, description = "One of its further security schemes"),
        ("all" = Option<bool>, Query, description = "Whether to go on after the first success, to see what else works")),
    responses((status = 200, description = "What is found, a line each", body = DoctorFinding, content_type = "application/x-ndjson")))]
async fn examine(
    State(api): State<Api>,
    Path(integration): Path<String>,
    uri: Uri,
    caller: Caller,
) -> Result<Response, Problem> {
    let mut query = Query::of(&uri);
    let all = query.flag("all");
    let scheme = query.text("scheme").filter(|scheme| !scheme.is_empty());
    query.finish()?;
    let name = name(&integration, "integration")?;
    // The gate has asked for the right to change it; this uses its credentials too.
    if let Some(organization) = api.integrations.organization_of(&name).await? {
        caller.require_on(Right::UseTokens, &name, &organization).await?;
    }
    let findings = api.doctor.examine(&name, scheme.as_deref(), all, format!("{}{CALLBACK}", api.public_url)).await?;
    let mut response = Body::from_stream(stream::unfold(findings, next)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(LINES));
    Ok(response)
}

/// The next line.
async fn next(mut findings: mpsc::Receiver<Finding>) -> Option<(Result<Bytes, Infallible>, mpsc::Receiver<Finding>)> {
    let finding = DoctorFinding::from(findings.recv().await?);
    let mut line = serde_json::to_vec(&finding).ok()?;
    line.push(b'\n');
    Some((Ok(line.into()), findings))
}
