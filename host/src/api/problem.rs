//! Problems: the one shape of every error answer (RFC 9457), and the stable codes that clients may rely on.
//!
//! Two-sided: what a client may know stands in the answer, what only the operator may know is logged under the answer's
//! support id. No text here ever repeats a value of a request.

use std::fmt::Display;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use ulid::Ulid;
use utoipa::ToSchema;

use crate::store::StoreError;

/// The media type of RFC 9457 section 3.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Declares the codes: variant, code, status, title.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident $code:literal $status:ident $title:literal;)+) => {
        /// What kind of problem it is. Codes are never changed, and never given another meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
        pub(super) enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $code)] $variant,)+
        }

        impl Code {
            /// All codes, and what each means.
            pub(super) const ALL: &[(Self, &str)] = &[$((Self::$variant, concat!($($doc),+)),)+];

            /// The HTTP status that goes with it.
            pub(super) fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// A few words for people, the same for every problem of this code.
            fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// The code as text.
            pub(super) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }
    };
}

codes! {
    /// The body is not what its content type says, or has members of the wrong type.
    Malformed "malformed" BAD_REQUEST "the request can't be read";
    /// There is no token with the call, or none that is valid.
    Unauthenticated "unauthenticated" UNAUTHORIZED "no valid token";
    /// The token is valid, and lacks the right.
    Forbidden "forbidden" FORBIDDEN "not allowed";
    /// There is no such thing, or no such path.
    NotFound "not_found" NOT_FOUND "not found";
    /// The path has other methods.
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "method not allowed";
    /// The body took too long to arrive.
    Timeout "timeout" REQUEST_TIMEOUT "the request took too long";
    /// The name is taken.
    Exists "exists" CONFLICT "it exists already";
    /// Something else still needs it.
    InUse "in_use" CONFLICT "it is in use";
    /// The security scheme has no token: its requests carry the integration's own credentials.
    NoTokenValue "no_token_value" CONFLICT "there is no token to hand out";
    /// The integration isn't bound to a security scheme that is asked for.
    NotBound "not_bound" CONFLICT "not bound to the security scheme";
    /// The operation is served at another origin than the integration's server.
    OtherServer "other_server" CONFLICT "served elsewhere";
    /// The integration's credentials can't be put into this request, or it can't be signed.
    CredentialsUnusable "credentials_unusable" CONFLICT "the credentials can't be used";
    /// The integration's secrets would go elsewhere, and so be dropped, which `drop=false` forbids; `errors` names each.
    TargetChanged "target_changed" CONFLICT "its secrets would go elsewhere";
    /// It was changed while it was being worked on.
    Changed "changed" CONFLICT "it was changed meanwhile";
    /// Values that the integration's flow needs aren't set; `errors` names each.
    Incomplete "incomplete" CONFLICT "the integration isn't complete";
    /// A person has to sign in or consent before there can be a token.
    PersonNeeded "person_needed" CONFLICT "a person is needed";
    /// The integration's flow isn't installed.
    FlowMissing "flow_missing" CONFLICT "the flow is missing";
    /// `If-Match` names another revision than the present one.
    PreconditionFailed "precondition_failed" PRECONDITION_FAILED "it has another revision";
    /// The body is larger than is read.
    TooLarge "too_large" PAYLOAD_TOO_LARGE "the request is too large";
    /// The content type isn't one that is read here.
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "unsupported content type";
    /// Parameters or members are missing, unknown or not what they may be; `errors` names each.
    Invalid "invalid" UNPROCESSABLE_ENTITY "not valid";
    /// The document is no OpenAPI document that can be imported.
    DocumentInvalid "document_invalid" UNPROCESSABLE_ENTITY "the document can't be imported";
    /// What a request of the operation looks like isn't known: the model's document wasn't kept when it was imported.
    DocumentMissing "document_missing" CONFLICT "the document is missing";
    /// The keys can't be changed now, or the key that is needed can't be had; `detail` says why and what to do.
    KeyUnusable "key_unusable" CONFLICT "the keys can't be changed";
    /// The component is no flow plugin that can be installed.
    FlowInvalid "flow_invalid" UNPROCESSABLE_ENTITY "the component can't be installed";
    /// Nobody who is trusted signed the component, or somebody else than signed the present one.
    FlowUntrusted "flow_untrusted" UNPROCESSABLE_ENTITY "the component isn't trusted";
    /// The component's file isn't what was installed, so that it isn't served.
    FlowChanged "flow_changed" CONFLICT "the flow was changed on disk";
    /// The flow isn't under quarantine.
    NotQuarantined "not_quarantined" CONFLICT "it isn't under quarantine";
    /// The document wasn't had from its URL.
    FetchFailed "fetch_failed" BAD_GATEWAY "the document can't be fetched";
    /// The service wasn't reached, or broke off before its answer was complete; `detail` says which.
    ServiceUnreachable "service_unreachable" BAD_GATEWAY "the service can't be reached";
    /// The service took too long to answer.
    ServiceTimeout "service_timeout" GATEWAY_TIMEOUT "the service took too long";
    /// The service failed several times in a row, or asked to be left alone, and isn't called now; `Retry-After` says until when.
    ServiceUnavailable "service_unavailable" SERVICE_UNAVAILABLE "the service isn't called now";
    /// More calls were made than the integration's limits or the service allow; `Retry-After` says when to come again.
    TooManyCalls "too_many_calls" TOO_MANY_REQUESTS "too many calls";
    /// It was asked for more often than is allowed.
    TooSoon "too_soon" TOO_MANY_REQUESTS "too soon";
    /// The caller, or all callers together, have as many streams open as there may be.
    TooManyStreams "too_many_streams" TOO_MANY_REQUESTS "too many streams";
    /// There is no token, since the last attempt failed.
    TokenFailed "token_failed" SERVICE_UNAVAILABLE "no token can be had";
    /// There is no token yet; the attempt goes on.
    TokenPending "token_pending" SERVICE_UNAVAILABLE "no token yet";
    /// The daemon stops or starts.
    Unavailable "unavailable" SERVICE_UNAVAILABLE "not ready";
    /// The data folder's disk is full; nothing was changed.
    StorageFull "storage_full" INSUFFICIENT_STORAGE "the disk is full";
    /// The daemon failed; its log has the reason under the support id.
    Internal "internal" INTERNAL_SERVER_ERROR "internal error";
}

/// An error answer.
#[derive(Debug)]
pub(super) struct Problem(Box<Content>);

/// What a problem has, on both sides.
#[derive(Debug)]
struct Content {
    /// What the client is told.
    body: Body,
    /// What goes into `Retry-After`, rounded up to whole seconds.
    retry_after: Option<Duration>,
}

/// The answer's document (RFC 9457 section 3), with members of its own.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body {
    /// Identifies the kind of problem: `urn:tokenhost:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// A few words for people, the same for every problem of this code.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The kind of problem, for programs.
    code: Code,
    /// What is wrong in this case, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What is wrong, by parameter or member: all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
    /// Of a failed attempt: the provider's error code (RFC 6749 section 5.2) or the daemon's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Of a failed attempt: the integration's field to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Of a failed attempt: its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<String>,
    /// Seconds after which the same call may succeed; the header `Retry-After` says the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    /// By which the operator finds the exact reason in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    support_id: Option<String>,
}

/// What is wrong with one parameter or member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Fault {
    /// Where, e.g. `fields.client_id`.
    pub(super) field: String,
    /// `missing`, `unknown`, `malformed`, `not_allowed` or `ambiguous`.
    pub(super) code: &'static str,
    /// For people. Never repeats the value.
    pub(super) message: String,
}

impl Fault {
    /// One fault.
    pub(super) fn new(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }
}

impl Problem {
    /// A problem of this kind; `detail` says what is wrong in this case and what to do.
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = Some(detail.into()).filter(|detail| !detail.is_empty());
        Self(Box::new(Content {
            body: Body {
                kind: format!("urn:tokenhost:problem:{}", code.as_str()),
                title: code.title(),
                status: code.status().as_u16(),
                code,
                detail,
                errors: Vec::new(),
                reason: None,
                field: None,
                attempt: None,
                retry_after: None,
                support_id: None,
            },
            retry_after: None,
        }))
    }

    /// There is no such thing.
    pub(super) fn not_found(what: &str, name: impl Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {what} {name}"))
    }

    /// Parameters or members that aren't what they may be.
    pub(super) fn invalid(errors: Vec<Fault>) -> Self {
        Self::of_faults(Code::Invalid, errors)
    }

    /// A problem of this kind that consists of faults by field.
    pub(super) fn of_faults(code: Code, errors: Vec<Fault>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", one.field, one.message),
            several => format!("{} fields aren't valid", several.len()),
        };
        Self::new(code, detail).with_errors(errors)
    }

    /// The daemon failed. The reason is logged, and the client gets a support id.
    pub(super) fn internal(reason: impl Display) -> Self {
        let problem = Self::new(Code::Internal, "the daemon failed; its log has the reason").with_support_id();
        tracing::error!(support_id = problem.support_id(), "{reason}");
        problem
    }

    /// With another text on what is wrong in this case.
    #[must_use]
    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.body.detail = Some(detail.into());
        self
    }

    /// With what is wrong by field.
    #[must_use]
    pub(super) fn with_errors(mut self, errors: Vec<Fault>) -> Self {
        self.0.body.errors = errors;
        self
    }

    /// With the time after which the same call may succeed.
    #[must_use]
    pub(super) fn retry_after(mut self, after: Duration) -> Self {
        // Rounded up, and at least one second: a client that comes back at once comes too early.
        let seconds = (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1);
        self.0.retry_after = Some(Duration::from_secs(seconds));
        self.0.body.retry_after = Some(seconds);
        self
    }

    /// With what is known of the attempt that failed.
    #[must_use]
    pub(super) fn of_attempt(mut self, reason: String, field: Option<String>, attempt: Option<Ulid>) -> Self {
        self.0.body.reason = Some(reason);
        self.0.body.field = field;
        self.0.body.attempt = attempt.map(|attempt| attempt.to_string());
        self
    }

    /// With a new support id, under which the caller logs the reason.
    #[must_use]
    pub(super) fn with_support_id(mut self) -> Self {
        self.0.body.support_id = Some(Ulid::new().to_string());
        self
    }

    /// With a support id that carries its reason.
    #[must_use]
    pub(super) fn with_support(mut self, id: String) -> Self {
        self.0.body.support_id = Some(id);
        self
    }

    /// What a client is told of it where it isn't the whole answer: code, detail, and faults by field.
    pub(super) fn into_parts(self) -> (Option<Code>, Option<String>, Vec<Fault>) {
        let Body { code, detail, errors, .. } = self.0.body;
        (Some(code), detail, errors)
    }

    /// The support id, or an empty text.
    pub(super) fn support_id(&self) -> &str {
        self.0.body.support_id.as_deref().unwrap_or_default()
    }

    /// What the client is told.
    #[cfg(test)]
    pub(super) fn document(&self) -> serde_json::Value {
        serde_json::to_value(&self.0.body).unwrap()
    }

    /// The kind.
    pub(super) fn code(&self) -> Code {
        self.0.body.code
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::new(Code::Changed, "it was changed meanwhile; read it and try again"),
            StoreError::Full(_) => {
                tracing::error!("{error}");
                Self::new(Code::StorageFull, "the data folder's disk is full; nothing was changed")
            }
            _ => Self::internal(error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Content { body, retry_after } = *self.0;
        // A struct of texts and numbers always serialises.
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (body.code.status(), bytes).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
        }
        if body.code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tokenhost\""));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_errors() {
        let texts: BTreeSet<&str> = Code::ALL.iter().map(|(code, _)| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for (code, meaning) in Code::ALL {
            let (text, status) = (code.as_str(), code.status());
            assert!(status.is_client_error() || status.is_server_error(), "{text}");
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{text}\""));
            assert!(!code.title().is_empty() && !meaning.trim().is_empty());
        }
    }

    #[tokio::test]
    async fn a_problem_is_told_in_body_and_headers() {
        let problem = Problem::new(Code::TokenFailed, "no").retry_after(Duration::from_millis(1500)).of_attempt(
            "invalid_client".into(),
            Some("client_secret".into()),
            None,
        );
        let response = problem.into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "urn:tokenhost:problem:token_failed", "title": "no token can be had", "status": 503,
                "code": "token_failed", "detail": "no", "reason": "invalid_client", "field": "client_secret", "retry_after": 2
            })
        );
    }
}
