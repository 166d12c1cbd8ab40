//! `conformance.json` beside a flow: what the kit can't find out by itself.
//!
//! Field values, the answers of the flow's own provider, the token that it then has, and cases that don't apply. All optional.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::answers;
use super::provider::Reply;

/// The largest file that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// What `conformance.json` says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Values of fields that are no secrets. `{provider}` stands for the kit's provider.
    pub values: BTreeMap<String, String>,
    /// Values of secret fields.
    pub secrets: BTreeMap<String, String>,
    /// What the flow's own provider answers in the ordinary case, by path. Each URL field has the path `/NAME_OF_THE_FIELD` where
    /// `values` doesn't say otherwise. Without it, an ordinary token response answers all.
    pub answers: BTreeMap<String, AnswerSpec>,
    /// Members of the token that the flow must have then: those of the contract in snake_case, and `values` and `secrets`.
    pub token: Option<Value>,
    /// Cases that don't apply, and why.
    pub skip: BTreeMap<String, String>,
}

/// An answer of a provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerSpec {
    /// The HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// A JSON body.
    pub json: Option<Value>,
    /// Any other body.
    pub body: Option<String>,
}

/// How the same answer can come over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// As it is.
    Plain,
    /// Compressed.
    Gzip,
    /// In pieces, slowly.
    Pieces,
}

impl Wrapping {
    /// The wrapping that a case of the kit is about, if it is about one.
    pub(super) fn of(case: &str) -> Option<Self> {
        match case {
            "ordinary" => Some(Self::Plain),
            "gzip" => Some(Self::Gzip),
            "slow" => Some(Self::Pieces),
            _ => None,
        }
    }
}

impl Default for AnswerSpec {
    fn default() -> Self {
        Self { status: 200, headers: BTreeMap::new(), json: None, body: None }
    }
}

impl AnswerSpec {
    /// The answer on the wire; `{provider}` in it becomes the provider's URL.
    pub(super) fn reply(&self, base: &str) -> Reply {
        self.reply_in(Wrapping::Plain, base)
    }

    /// The same, in another wrapping.
    pub(super) fn reply_in(&self, wrapping: Wrapping, base: &str) -> Reply {
        let mut headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = match (&self.json, &self.body) {
            (Some(json), _) => {
                if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                    headers.push(("content-type", "application/json"));
                }
                json.to_string()
            }
            (None, Some(body)) => body.clone(),
            (None, None) => String::new(),
        };
        let body = placed(&body, base);
        match wrapping {
            Wrapping::Plain => answers::answer(self.status, &headers, body),
            Wrapping::Gzip => {
                headers.push(("content-encoding", "gzip"));
                answers::answer(self.status, &headers, answers::gzip(&body))
            }
            Wrapping::Pieces => Reply::Pieces(answers::bytes(self.status, &headers, body.as_bytes())),
        }
    }
}

impl Config {
    /// Reads a file's content.
    ///
    /// # Errors
    /// It is too large, or isn't what the kit knows; says where.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LARGEST {
            return Err("it is larger than 1 MiB".to_owned());
        }
        serde_json::from_str(text).map_err(|error| {
            format!("{error}. It may have values, secrets, answers, token and skip; docs/conformance.md tells of each")
        })
    }
}

/// A text with the provider's URL in the place of `{provider}`.
pub(super) fn placed(text: &str, base: &str) -> String {
    text.replace("{provider}", base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_refused_with_what_is_known() {
        let config = Config::parse(
            r#"{"values":{"login_url":"{provider}/in"},"answers":{"/in":{"json":{"a":1}}},"skip":{"gzip":"never"}}"#,
        );
        let reply = config.unwrap().answers["/in"].reply("http://kit");
        let Reply::Bytes(bytes) = reply else { panic!("{reply:?}") };
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("{\"a\":1}"), "{text}");
        assert!(text.contains("content-type: application/json"), "{text}");
        let error = Config::parse("{\n\"valuse\":{}}").unwrap_err();
        assert!(error.contains("valuse") && error.contains("line 2") && error.contains("answers"), "{error}");
        assert_eq!(placed("{provider}/x", "http://kit"), "http://kit/x");
    }
}
