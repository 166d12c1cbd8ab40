//! What one examination works with: the integration's own secrets and destinations, and a budget of requests.
//!
//! The present token and its refresh token aren't even among the secrets. What is asked for is said elsewhere (`attempt`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::DateTime;
use secrecy::SecretString;
use url::Url;

use crate::clock::SharedClock;
use crate::egress::{Answer, Destinations, Egress, Prepared};
use crate::flows::request::{Body, Method, Part, Request};
use crate::flows::step::{Purpose, Response, Unanswered};
use crate::flows::{Flow as _, Plugin};
use crate::integrations::Integration;
use crate::secrets::{Cleaner, Secrets, further};

/// Requests of one run, at most, metadata included.
pub(super) const REQUESTS: u32 = 16;
/// Requests of one run with a person's password in them, at most: providers lock users out after some more.
pub(super) const PASSWORDS: u32 = 3;
/// Between two requests.
const PACE: Duration = Duration::from_millis(200);
/// What a person would come back with: no provider gave such a code.
pub(super) const NO_CODE: &str = "tokenhost-doctor-asks-without-a-person";
/// The words of a secret's name that say that it is a person's.
const PERSONS: [&str; 5] = ["password", "passcode", "passphrase", "pin", "otp"];

/// What one run works with.
pub(super) struct Bench<'a> {
    /// What is examined.
    pub(super) integration: &'a Integration,
    /// Its flow.
    pub(super) plugin: &'a Plugin,
    /// What goes out goes through this.
    pub(super) egress: &'a Egress,
    /// The time.
    pub(super) clock: SharedClock,
    /// Where a person would be sent back to.
    pub(super) callback_url: String,
    /// The integration's secrets, the first value of each, and nothing of the present token.
    pub(super) secrets: Secrets,
    /// The names of those that the flow may read, by its operator's leave.
    pub(super) revealed: Vec<String>,
    /// Where requests may go.
    pub(super) to: Destinations,
    /// Text for people goes through this.
    pub(super) cleaner: Cleaner,
    /// What was answered to a plain `GET`, by URL: metadata is read once.
    pub(super) documents: BTreeMap<String, Response>,
    /// The fingerprints of the requests that were sent.
    pub(super) seen: BTreeSet<[u8; 32]>,
    /// Requests left.
    pub(super) requests: u32,
    /// Requests with a password left.
    pub(super) passwords: u32,
    /// Trials so far.
    pub(super) trials: u32,
    /// The provider's clock less ours, in seconds, once an answer told it.
    skew: Option<i64>,
}

impl<'a> Bench<'a> {
    /// A bench for one run.
    pub(super) fn new(
        integration: &'a Integration,
        plugin: &'a Plugin,
        egress: &'a Egress,
        clock: SharedClock,
        callback_url: String,
    ) -> Self {
        let mut secrets = integration.secrets.clone();
        let names: Vec<String> = secrets.names().map(str::to_owned).collect();
        for name in names.iter().filter(|name| further(name).is_some()) {
            secrets.remove(name);
        }
        let urls = plugin_urls(plugin, &integration.values);
        Self {
            to: Destinations::of(urls.iter().map(String::as_str)),
            cleaner: Cleaner::new(&integration.secrets),
            integration,
            plugin,
            egress,
            clock,
            callback_url,
            secrets,
            revealed: Vec::new(),
            documents: BTreeMap::new(),
            seen: BTreeSet::new(),
            requests: REQUESTS,
            passwords: PASSWORDS,
            trials: 0,
            skew: None,
        }
    }

    /// Requests that were sent.
    pub(super) fn sent(&self) -> u32 {
        REQUESTS - self.requests
    }

    /// Requests with a password that were sent.
    pub(super) fn passwords_sent(&self) -> u32 {
        PASSWORDS - self.passwords
    }

    /// The provider's clock less ours, in seconds.
    pub(super) fn skew(&self) -> Option<i64> {
        self.skew
    }

    /// Fetches a document without any credential.
    ///
    /// # Errors
    /// There was no answer; for people.
    pub(super) async fn fetch(&mut self, url: &Url) -> Result<Response, String> {
        let request = Request {
            method: Method::Get,
            url: url.to_string(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Empty,
            derived: Vec::new(),
        };
        let transport = &self.integration.transport;
        let prepared = self.egress.prepare(&request, &Secrets::default(), &[], &self.to, transport);
        let prepared = prepared.map_err(|refusal| self.cleaner.clean(&refusal.to_string()))?;
        let response = self.dispatch(prepared).await.map_err(|unanswered| unanswered.reason)?.0;
        self.documents.insert(url.to_string(), response.clone());
        Ok(response)
    }

    /// Sends a request, at its pace, and reads the provider's clock off the answer.
    pub(super) async fn dispatch(&mut self, prepared: Prepared) -> Result<(Response, Duration), Unanswered> {
        if self.requests < REQUESTS {
            tokio::time::sleep(PACE).await;
        }
        self.requests = self.requests.saturating_sub(1);
        match self.egress.send(prepared).await {
            Ok(Answer { response, left_at, taken, .. }) => {
                let date = response.headers.iter().find(|(name, _)| name == "date").map(|(_, value)| value.trim());
                if let Some(date) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
                    let half = i64::try_from(taken.as_secs() / 2).unwrap_or_default();
                    self.skew.get_or_insert(date.timestamp() - left_at.timestamp() - half);
                }
                Ok((response, taken))
            }
            Err(unsent) => {
                let unanswered = Unanswered::from(unsent);
                Err(Unanswered { reason: self.cleaner.clean(&unanswered.reason), ..unanswered })
            }
        }
    }

    /// The answer that is known to a request for a document.
    pub(super) fn known(&self, request: &Request) -> Option<Response> {
        self.documents.get(&request.url).filter(|_| is_plain(request)).cloned()
    }

    pub(super) fn prepare(&self, request: &Request) -> Result<Prepared, String> {
        let extras = self.integration.extras(request, Purpose::Acquire);
        let transport = &self.integration.transport;
        let prepared = self.egress.prepare(request, &self.secrets, &extras, &self.to, transport);
        prepared.map_err(|refusal| self.cleaner.clean(&refusal.to_string()))
    }

    /// Whether a person's secret is in a request.
    pub(super) fn has_password(&self, prepared: &Prepared) -> bool {
        let fields = &self.plugin.description().fields;
        let mut users = fields.iter().map(|field| field.name.as_str());
        let has_user = users.any(|name| matches!(name, "user" | "username" | "login" | "email"));
        prepared.secret_names().iter().any(|name| {
            let is_clients = name.starts_with("client_") || name.starts_with("parameters.") || name == "private_key";
            name.split('_').any(|word| PERSONS.contains(&word))
                || (has_user && !is_clients && self.secrets.get(name).is_some())
        })
    }

    /// The query with which a person would come back.
    pub(super) fn no_code(&self) -> Vec<(String, SecretString)> {
        let issuer = self.integration.values.get("issuer");
        let pairs = [("code", Some(NO_CODE)), ("state", Some(NO_CODE)), ("iss", issuer.map(String::as_str))];
        pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), SecretString::from(value?)))).collect()
    }
}

/// Whether a request asks for a document that everybody may have: nothing secret is in it.
pub(super) fn is_plain(request: &Request) -> bool {
    let is_text = |part: &Part| matches!(part, Part::Text(_));
    request.method == Method::Get
        && matches!(request.body, Body::Empty)
        && request.query.is_empty()
        && request.headers.iter().all(|(_, template)| template.iter().all(is_text))
}

/// The URLs to whose origins requests may go.
fn plugin_urls(plugin: &Plugin, values: &BTreeMap<String, String>) -> Vec<String> {
    let fields = plugin.description().fields.iter().filter(|field| field.is_url());
    fields.filter_map(|field| values.get(&field.name).cloned()).collect()
}
