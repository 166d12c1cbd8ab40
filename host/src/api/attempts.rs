//! Attempts over HTTP: what happened, step by step, with secrets as names. Only what the record shows anyway.

use axum::extract::{Path, State};
use axum::http::Uri;
use serde::Serialize;
use ulid::Ulid;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::models::name;
use super::page::{Page, Wanted};
use super::problem::{Code, Problem};
use super::query::Query;
use super::state::Api;
use super::time::Time;
use crate::egress::{self, BodyRecord, RequestRecord};
use crate::flows::step::Purpose;
use crate::tokens::{self, AttemptStory, Cause, StepStory};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// One run of a flow, from its start to a token or a failure.
#[derive(Debug, Serialize, ToSchema)]
struct Attempt {
    /// Its id; grows with time.
    id: String,
    /// Which token: the integration, and the scopes where they aren't its own.
    key: String,
    /// `acquire`, `refresh` or `revoke`.
    purpose: &'static str,
    /// Why it was made: `needed`, `ageing`, `rejected`, `asked` or `connect`.
    cause: &'static str,
    /// The flow's name, version and abbreviated digest.
    flow: String,
    /// When it began.
    started_at: Time,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Time>,
    /// How it ended; absent while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    /// What happened, in order.
    steps: Vec<Step>,
    /// Decisions worth telling, e.g. that a refresh token was sent again.
    notes: Vec<String>,
}

/// How an attempt ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
enum Outcome {
    /// With a token.
    Token {
        /// Its number.
        generation: u64,
    },
    /// Without one.
    Failed {
        /// The provider's error code (RFC 6749 section 5.2) or the daemon's own.
        code: String,
        /// For people.
        message: String,
    },
    /// The provider has ended the token, as was asked.
    Revoked,
    /// The daemon stopped before an answer was stored.
    Interrupted,
    /// The integration or its token was changed meanwhile; what came was thrown away.
    Void,
}

/// One call of the flow, and what it led to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Step {
    /// What the flow was told.
    event: String,
    /// What it wanted.
    step: String,
    /// The time that it was given, in seconds since the Unix epoch.
    now: u64,
    /// The request that was sent, secrets as names.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<SentRequest>,
    /// What came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Answer>,
    /// Where a person was sent, without the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_to: Option<String>,
    /// What a person came back with: values only where they can be no secret.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    returned: Vec<Pair>,
    /// How many steps of the same kind this one stands for besides itself, while a provider was asked again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats: Option<u32>,
    /// What the plugin printed.
    #[serde(skip_serializing_if = "String::is_empty")]
    printed: String,
    /// Why it failed, or why no answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// A request that was sent, secrets as names.
#[derive(Debug, Serialize, ToSchema)]
struct SentRequest {
    /// The HTTP method.
    method: String,
    /// The URL without its query.
    url: String,
    /// The query.
    query: Vec<Pair>,
    /// The headers that the flow or the integration set.
    headers: Vec<Pair>,
    /// The body.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<SentBody>,
}

/// The body of a request that was sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SentBody {
    /// The parameters of a form.
    Form(Vec<Pair>),
    /// The members of a JSON document, by pointer.
    Json(Vec<Pair>),
    /// Any other content.
    Raw(RawBody),
}

/// Content that is neither a form nor JSON.
#[derive(Debug, Serialize, ToSchema)]
struct RawBody {
    /// Its type.
    content_type: String,
    /// What is shown of it.
    content: String,
}

/// A name and what is shown of its value.
#[derive(Debug, Serialize, ToSchema)]
struct Pair {
    /// The name.
    name: String,
    /// What is shown of the value.
    value: String,
}

/// What is shown of a provider's answer.
#[derive(Debug, Serialize, ToSchema)]
struct Answer {
    /// The HTTP status.
    status: u16,
    /// The names of its headers.
    headers: Vec<String>,
    /// The keys of its JSON object.
    json_keys: Vec<String>,
    /// The size of its body.
    bytes: u64,
    /// How long it took.
    milliseconds: u64,
}

/// An attempt in the history of an integration.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttemptSummary {
    /// Its id.
    id: String,
    /// `acquire`, `refresh` or `revoke`.
    purpose: &'static str,
    /// When it began.
    started_at: Time,
    /// How it ended: `token`, `failed`, `revoked`, `interrupted` or `void`; `running`: it goes on.
    result: &'static str,
}

impl From<AttemptStory> for AttemptSummary {
    fn from(story: AttemptStory) -> Self {
        Self {
            id: story.id.to_string(),
            purpose: purpose(story.purpose),
            started_at: story.started_at.into(),
            result: match story.outcome {
                None => "running",
                Some(tokens::Outcome::Token { .. }) => "token",
                Some(tokens::Outcome::Failed { .. }) => "failed",
                Some(tokens::Outcome::Revoked) => "revoked",
                Some(tokens::Outcome::Interrupted) => "interrupted",
                Some(tokens::Outcome::Void) => "void",
            },
        }
    }
}

/// What an attempt is for.
fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Acquire => "acquire",
        Purpose::Refresh => "refresh",
        Purpose::Revoke => "revoke",
    }
}

impl From<AttemptStory> for Attempt {
    fn from(story: AttemptStory) -> Self {
        Self {
            id: story.id.to_string(),
            key: story.key.to_string(),
            purpose: purpose(story.purpose),
            cause: match story.cause {
                Cause::Needed => "needed",
                Cause::Ageing => "ageing",
                Cause::Rejected => "rejected",
                Cause::Asked => "asked",
                Cause::Deleted => "deleted",
                Cause::Connect => "connect",
            },
            flow: story.flow,
            started_at: story.started_at.into(),
            finished_at: story.finished_at.map(Time::from),
            outcome: story.outcome.map(|outcome| match outcome {
                tokens::Outcome::Token { generation } => Outcome::Token { generation },
                tokens::Outcome::Failed { code, message } => Outcome::Failed { code, message },
                tokens::Outcome::Revoked => Outcome::Revoked,
                tokens::Outcome::Interrupted => Outcome::Interrupted,
                tokens::Outcome::Void => Outcome::Void,
            }),
            steps: story.steps.into_iter().map(Step::from).collect(),
            notes: story.notes,
        }
    }
}

impl From<StepStory> for Step {
    fn from(story: StepStory) -> Self {
        Self {
            event: story.event,
            step: story.step,
            now: story.now,
            request: story.request.map(SentRequest::from),
            answer: story.answer.map(|answer| Answer {
                status: answer.status,
                headers: answer.headers,
                json_keys: answer.json_keys,
                bytes: answer.bytes,
                milliseconds: answer.milliseconds,
            }),
            sent_to: story.sent_to,
            returned: pairs(story.returned),
            repeats: Some(story.repeats).filter(|repeats| *repeats > 0),
            printed: story.printed,
            problem: story.problem,
        }
    }
}

impl From<RequestRecord> for SentRequest {
    fn from(record: RequestRecord) -> Self {
        Self {
            method: record.method,
            url: record.url,
            query: pairs(record.query),
            headers: pairs(record.headers),
            body: match record.body {
                BodyRecord::Empty => None,
                BodyRecord::Form(parameters) => Some(SentBody::Form(pairs(parameters))),
                BodyRecord::Json(members) => Some(SentBody::Json(pairs(members))),
                BodyRecord::Raw { content_type, content } => Some(SentBody::Raw(RawBody { content_type, content })),
            },
        }
    }
}

fn pairs(pairs: Vec<egress::Pair>) -> Vec<Pair> {
    pairs.into_iter().map(|pair| Pair { name: pair.name, value: pair.value }).collect()
}

/// Lists the last attempts of an integration, the newest first
#[utoipa::path(get, path = "/v1/integrations/{integration}/attempts", tag = "attempts",
    params(("integration" = String, Path, description = "The integration"), super::Paging),
    responses((status = 200, description = "A page of attempts", body = Page<Attempt>)))]
async fn list(
    State(api): State<Api>,
    Path(integration): Path<String>,
    uri: Uri,
) -> Result<axum::Json<Page<Attempt>>, Problem> {
    let wanted = Wanted::<Ulid>::of(&uri)?;
    let read = api.tokens.attempts(&name(&integration, "integration")?, wanted.after, wanted.to_read()).await?;
    Ok(axum::Json(wanted.page(read, |story| story.id.to_string(), Attempt::from)))
}

/// Shows an attempt
#[utoipa::path(get, path = "/v1/integrations/{integration}/attempts/{attempt}", tag = "attempts",
    params(("integration" = String, Path, description = "The integration"), ("attempt" = String, Path, description = "Its id")),
    responses((status = 200, description = "The attempt", body = Attempt)))]
async fn get(
    State(api): State<Api>,
    Path((integration, attempt)): Path<(String, String)>,
    uri: Uri,
) -> Result<axum::Json<Attempt>, Problem> {
    Query::of(&uri).finish()?;
    let id: Ulid =
        attempt.parse().map_err(|_| Problem::new(Code::NotFound, "there is no such attempt: that is no id"))?;
    Ok(axum::Json(api.tokens.attempt_story(&name(&integration, "integration")?, id).await?.into()))
}
