//! Device authorization (RFC 8628): a person enters a code elsewhere, and meanwhile the token endpoint is asked again and
//! again.

use serde_json::{Value, json};

use super::client::{ClientAuth, authenticated};
use super::{ask, scope};
use crate::request::form;
use crate::token_response::{self, Answer};
use crate::types::{Context, Failure, Field, Part, Prompt, Purpose, Request, Response, Token, Wait};

/// `device_authorization_url`.
pub fn device_authorization_url() -> Field {
    Field::url("device_authorization_url", "Device authorization URL")
        .help("Where the code for the person is requested (RFC 8628 section 3.1).")
        .source("deviceAuthorizationUrl")
}

/// Seconds between two requests where the provider doesn't say (section 3.2).
const INTERVAL: u64 = 5;
/// Seconds that are added at each `slow_down` (section 3.5).
const SLOWER: u64 = 5;
/// The longest pause, in seconds: a provider that wants more would have its codes expire.
const LONGEST: u64 = 300;
/// Seconds that a code counts for where the provider, against section 3.2, doesn't say.
const LIFETIME: u64 = 900;

/// A device authorization under way, kept in the flow's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What the token endpoint knows it by.
    device_code: String,
    /// Seconds between two requests.
    interval: u64,
    /// When the code ends, in seconds since the Unix epoch.
    expires_at: u64,
}

/// The request for a code (section 3.1).
///
/// # Errors
/// A field is not set or can't be used.
pub fn authorize(context: &Context) -> Result<Request, Failure> {
    let mut parameters =
        form().optional("scope", scope(context).as_deref()).optional("audience", context.value("audience"));
    for resource in context.words("resource") {
        parameters = parameters.text("resource", resource);
    }
    let url = context.required("device_authorization_url")?;
    authenticated(context, url, parameters, ClientAuth::of(context, "client_auth")?)
}

impl Device {
    /// What the provider answered to the request for a code (section 3.2), and what the person has to do.
    ///
    /// # Errors
    /// It refused, or a member is missing.
    pub fn begin(context: &Context, response: &Response) -> Result<(Self, Wait), Failure> {
        let refused = || match token_response::parse(context, Purpose::Acquire, response) {
            Err(failure) if !(200..300).contains(&response.status) => failure,
            _ => {
                let message =
                    "the answer has no device_code, user_code or verification_uri; check device_authorization_url";
                Failure::reconfigure("invalid_response", message)
            }
        };
        if !(200..300).contains(&response.status) {
            return Err(refused());
        }
        let answer = Answer::read(response).map_err(|_| refused())?;
        let text = |names: &[&str]| names.iter().find_map(|name| answer.text(name));
        let (Some(device_code), Some(user_code), Some(page)) =
            (text(&["device_code"]), text(&["user_code"]), text(&["verification_uri", "verification_url"]))
        else {
            return Err(refused());
        };
        let lifetime = answer.number("expires_in").unwrap_or(LIFETIME);
        let device = Self {
            device_code,
            interval: answer.number("interval").unwrap_or(INTERVAL).min(LONGEST),
            expires_at: context.now.saturating_add(lifetime),
        };
        let minutes = (lifetime / 60).max(1);
        let message = format!("Open the page, sign in, and enter the code. It counts for {minutes} min.");
        let url = text(&["verification_uri_complete", "verification_url_complete"]).unwrap_or(page);
        let prompt = Prompt { message, url: Some(url), code: Some(user_code) };
        let wait = Wait { prompt: Some(prompt), ..device.wait() };
        Ok((device, wait))
    }

    /// The request that asks whether the person is done (section 3.4).
    ///
    /// # Errors
    /// The code has expired, or a field is not set or can't be used.
    pub fn poll(&self, context: &Context) -> Result<Request, Failure> {
        if context.now >= self.expires_at {
            return Err(expired());
        }
        let parameters = form()
            .text("grant_type", "urn:ietf:params:oauth:grant-type:device_code")
            .template("device_code", Part::sensitive(&self.device_code));
        ask(context, parameters)
    }

    /// What the provider answered: the token, or another wait (section 3.5).
    ///
    /// # Errors
    /// The person refused, the code has expired, or the provider refused the client.
    pub fn polled(mut self, context: &Context, response: &Response) -> Result<Result<Token, Wait>, Failure> {
        let failure = match token_response::parse(context, Purpose::Acquire, response) {
            Ok(token) => return Ok(Ok(token)),
            Err(failure) => failure,
        };
        match failure.code.as_str() {
            "authorization_pending" => Ok(Err(self.wait())),
            "slow_down" => {
                self.interval = (self.interval + SLOWER).min(LONGEST);
                Ok(Err(self.wait()))
            }
            "expired_token" => Err(expired()),
            "access_denied" => Err(Failure::reconfigure(
                "access_denied",
                "the person, or the provider, denied it; connect again, and consent",
            )),
            _ if response.status == 429 || response.status >= 500 => Ok(Err(self.later())),
            _ => Err(failure),
        }
    }

    /// Another wait after a request that got no answer: twice as long as the last (section 3.5).
    pub fn later(mut self) -> Wait {
        self.interval = (self.interval * 2).min(LONGEST);
        self.wait()
    }

    /// The wait until the next request.
    fn wait(&self) -> Wait {
        Wait { seconds: u32::try_from(self.interval).unwrap_or(u32::MAX), prompt: None, state: self.state() }
    }

    /// It as the flow's state.
    pub fn state(&self) -> String {
        json!({"device_code": self.device_code, "interval": self.interval, "expires_at": self.expires_at}).to_string()
    }

    /// It out of the flow's state. None: the state is another.
    pub fn of_state(state: &str) -> Option<Self> {
        let state: Value = serde_json::from_str(state).ok()?;
        Some(Self {
            device_code: state.get("device_code")?.as_str()?.to_owned(),
            interval: state.get("interval")?.as_u64()?.max(1),
            expires_at: state.get("expires_at")?.as_u64()?,
        })
    }
}

fn expired() -> Failure {
    Failure::reconfigure("expired_token", "the code has expired before it was entered; connect again")
}
