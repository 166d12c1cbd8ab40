//! Runs a flow natively, as the host would, so that it is tested by `cargo test` without WebAssembly.
//!
//! It sends nothing: a test looks at the request, secrets shown as names, and gives the answer itself. What the host
//! would refuse, it refuses by a panic that says so: values without a field, required fields that are not set, secrets
//! that are not set, and requests to an origin of none of the URL fields. It computes no derived values.

#![expect(clippy::panic, reason = "a test bench: a panic is how a test fails")]

mod render;

use crate::flow::Flow;
use crate::types::{
    Answered, Context, Description, Event, Failure, Field, FieldKind, Purpose, Remedy, Requirement, Response, Returned,
    Scheme, Step, Token, Unanswered,
};

/// An integration as a flow sees it, for tests.
#[derive(Clone, Debug)]
pub struct Harness {
    /// What the flow says of itself.
    description: Description,
    /// The flow's next step.
    advance: fn(&Context, Event) -> Result<Step, Failure>,
    /// What the flow is given at the next step.
    context: Context,
    /// What the provider's metadata document said, in which further requests may go to the endpoints.
    metadata: String,
}

impl Harness {
    /// An integration of this flow in which only the fields' defaults are set. It is 2026-11-22T10:00:00Z.
    pub fn new<F: Flow>() -> Self {
        let description = F::describe();
        assert_eq!(description, F::describe(), "describe() must always give the same answer");
        let defaults = description.fields.iter().filter_map(|field| Some((field.name.clone(), field.default.clone()?)));
        let context = Context {
            scheme: Scheme { name: "test".into(), document: "{}".into() },
            values: defaults.collect(),
            secrets: Vec::new(),
            revealed: Vec::new(),
            now: 1_795_341_600,
            entropy: vec![7; 32],
            callback_url: None,
            return_key: None,
        };
        Self { description, advance: F::advance, context, metadata: String::new() }
    }

    /// What the flow says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Sets a field that is no secret, or `token.NAME`.
    #[must_use]
    pub fn value(mut self, name: &str, value: &str) -> Self {
        if !name.starts_with("token.") && matches!(self.field(name).kind, FieldKind::Secret) {
            panic!("{name} is a secret: set it by secret(\"{name}\")");
        }
        self.context.values.retain(|(known, _)| known != name);
        self.context.values.push((name.into(), value.into()));
        self
    }

    /// Says that a secret is set: a field, or of the present token `token.NAME`.
    #[must_use]
    pub fn secret(mut self, name: &str) -> Self {
        if !name.starts_with("token.") && !matches!(self.field(name).kind, FieldKind::Secret) {
            panic!("{name} is no secret: set it by value(\"{name}\", …)");
        }
        self.context.secrets.push(name.into());
        self
    }

    /// Changes anything else of the context: the scheme, the time, the callback.
    #[must_use]
    pub fn context(mut self, change: impl FnOnce(&mut Context)) -> Self {
        change(&mut self.context);
        self
    }

    /// Starts an attempt that acquires a token.
    pub fn acquire(self) -> Run {
        self.begin(Purpose::Acquire)
    }

    /// Starts an attempt that refreshes a token; it has a refresh token.
    pub fn refresh(self) -> Run {
        self.secret("token.refresh_token").begin(Purpose::Refresh)
    }

    /// Starts an attempt that revokes a token.
    pub fn revoke(self) -> Run {
        self.secret("token.access_token").begin(Purpose::Revoke)
    }

    /// Starts an attempt, after the host's check that each required field is set.
    pub fn begin(self, purpose: Purpose) -> Run {
        let missing: Vec<&str> =
            self.description.fields.iter().filter(|field| self.lacks(field)).map(|field| field.name.as_str()).collect();
        assert!(missing.is_empty(), "the host would refuse this integration: required and not set: {missing:?}");
        self.step(Event::Begin(purpose))
    }

    /// One step, from any event.
    pub fn step(self, event: Event) -> Run {
        let outcome = (self.advance)(&self.context, event);
        if let Ok(Step::Send(send)) = &outcome {
            render::check(&send.request, &self.description, &self.context, &self.metadata);
        }
        if let Ok(Step::Done(token)) = &outcome {
            render::check_token(token, &self.context);
        }
        Run { harness: self, outcome }
    }

    /// The field of this name.
    fn field(&self, name: &str) -> &Field {
        let Some(field) = self.description.fields.iter().find(|field| field.name == name) else {
            panic!("flow {} has no field {name}", self.description.name);
        };
        field
    }

    /// Whether a URL is the value of a metadata field.
    fn is_metadata(&self, url: &str) -> bool {
        let fields = self.description.fields.iter().filter(|field| matches!(field.kind, FieldKind::MetadataUrl));
        fields.into_iter().any(|field| self.context.value(&field.name) == Some(url))
    }

    /// Whether a field must be set and isn't.
    fn lacks(&self, field: &Field) -> bool {
        let required = match &field.required {
            Requirement::Always => true,
            Requirement::Never => false,
            Requirement::When(condition) => {
                let value = self.context.value(&condition.field).unwrap_or_default();
                condition.one_of.iter().any(|one| one == value)
            }
        };
        required && self.context.value(&field.name).is_none() && !self.context.has_secret(&field.name)
    }
}

/// An attempt after one of its steps.
#[derive(Clone, Debug)]
pub struct Run {
    /// The integration.
    harness: Harness,
    /// What the step came to.
    outcome: Result<Step, Failure>,
}

impl Run {
    /// The request that the flow wants sent, as text: method and URL, headers, body, then what the host computes.
    /// Secrets and derived values stand as `{name}`, sensitive text as `{sensitive}`. Nothing is encoded.
    pub fn request(&self) -> String {
        match &self.outcome {
            Ok(Step::Send(send)) => render::request(&send.request),
            other => panic!("expected a request, got {other:?}"),
        }
    }

    /// The flow's notes after this step.
    pub fn state(&self) -> &str {
        match &self.outcome {
            Ok(Step::Send(send)) => &send.state,
            Ok(Step::Wait(wait)) => &wait.state,
            Ok(Step::Redirect(redirect)) => &redirect.state,
            other => panic!("expected a step with a state, got {other:?}"),
        }
    }

    /// The provider answers with JSON.
    pub fn answer(self, status: u16, body: &str) -> Self {
        self.answer_with(response(status, &[("content-type", "application/json")], body))
    }

    /// The provider answers with anything.
    pub fn answer_with(mut self, response: Response) -> Self {
        let state = self.state().to_owned();
        if let Ok(Step::Send(send)) = &self.outcome
            && self.harness.is_metadata(&send.request.url)
        {
            self.harness.metadata = String::from_utf8_lossy(&response.body).into_owned();
        }
        self.harness.step(Event::Answered(Answered { state, response }))
    }

    /// The request gets no complete answer; `left` says whether any of it may have reached the provider.
    pub fn unanswered(self, left: bool, reason: &str) -> Self {
        let state = self.state().to_owned();
        self.harness.step(Event::Unanswered(Unanswered { state, left, reason: reason.into() }))
    }

    /// The wait is over.
    pub fn elapsed(self) -> Self {
        let state = self.state().to_owned();
        self.harness.step(Event::Elapsed(state))
    }

    /// The person comes back with these query parameters.
    pub fn returned(self, query: &[(&str, &str)]) -> Self {
        let state = self.state().to_owned();
        let query = query.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        self.harness.step(Event::Returned(Returned { state, query }))
    }

    /// What the step came to.
    pub fn outcome(self) -> Result<Step, Failure> {
        self.outcome
    }

    /// How the token that the attempt ended with goes into a request, as text: its placements, its signer, then what the
    /// host computes. Secrets and derived values stand as `{name}`. Empty where the host's own way is left to it.
    pub fn placed(&self) -> String {
        match &self.outcome {
            Ok(Step::Done(token)) => render::token(token),
            other => panic!("expected a token, got {other:?}"),
        }
    }

    /// The token that the attempt ended with.
    pub fn token(self) -> Token {
        match self.outcome {
            Ok(Step::Done(token)) => token,
            other => panic!("expected a token, got {other:?}"),
        }
    }

    /// The failure that the attempt ended with.
    pub fn failure(self) -> Failure {
        match self.outcome {
            Err(failure) => failure,
            other => panic!("expected a failure, got {other:?}"),
        }
    }

    /// The failure that the attempt ended with, as one line: code, remedy, message.
    pub fn failure_line(self) -> String {
        let failure = self.failure();
        let remedy = match failure.remedy {
            Remedy::Retry(None) => "retry".into(),
            Remedy::Retry(Some(seconds)) => format!("retry after {seconds}"),
            Remedy::Reacquire => "reacquire".into(),
            Remedy::Reconfigure => String::from("reconfigure"),
        };
        format!("{}, {remedy}: {}", failure.code, failure.message)
    }
}

/// An answer of a provider, for tests.
pub fn response(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Response {
    let headers = headers.iter().map(|&(name, value)| (name.to_ascii_lowercase(), value.into())).collect();
    Response { status, headers, body: body.as_ref().to_vec() }
}
