//! A refusal of the daemon (RFC 9457, `application/problem+json`), told to a person.
//!
//! Reads loosely: a later daemon may add members, and a proxy in between may answer with anything at all.

use serde_json::{Value, json};

use super::exit::Exit;
use super::output::{items, member};

/// An answer with an error status.
#[derive(Debug)]
pub(super) struct Problem {
    /// The HTTP status.
    status: u16,
    /// The `Retry-After` header, in seconds.
    retry_after: Option<u64>,
    /// The problem object; made from the status where the answer holds none.
    document: Value,
    /// Of a name that there isn't: the one that was perhaps meant.
    meant: Option<String>,
}

impl Problem {
    /// A problem out of an answer. `body` may be anything.
    pub(super) fn new(status: u16, retry_after: Option<u64>, body: &[u8]) -> Self {
        let document = match serde_json::from_slice::<Value>(body) {
            Ok(document) if document.get("title").is_some_and(Value::is_string) => document,
            // Not the daemon's: the text itself is no help and could be long.
            _ => json!({
                "status": status,
                "title": "something that is no tokenhost daemon answered",
                "detail": format!("HTTP status {status}; is TOKENHOST_URL (or --daemon) right?"),
            }),
        };
        Self { status, retry_after, document, meant: None }
    }

    /// The same, of a name that there isn't, with the one that was perhaps meant.
    pub(super) fn meaning(self, meant: Option<String>) -> Self {
        Self { meant, ..self }
    }

    /// The problem object as it came.
    pub(super) fn document(&self) -> &Value {
        &self.document
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// The kind of problem, e.g. `person_needed`, where a daemon says it.
    pub(super) fn code(&self) -> Option<&str> {
        self.document.get("code").and_then(Value::as_str)
    }

    /// Seconds after which the daemon wants to be asked again.
    pub(super) fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// Faulty fields, each with its code and message: `("fields.client_id", "missing", "…")`.
    pub(super) fn faults(&self) -> Vec<(String, String, String)> {
        items(&self.document, "errors")
            .iter()
            .map(|fault| {
                let part = |name| member(fault, name).unwrap_or_default();
                (part("field"), part("code"), part("message"))
            })
            .collect()
    }

    /// The exit code that stands for it.
    pub(super) fn exit(&self) -> Exit {
        match self.status {
            401 | 403 => Exit::Refused,
            404 => Exit::NotFound,
            _ => Exit::Failed,
        }
    }

    /// What to do about it, where that can be told from here.
    fn hint(&self) -> Option<String> {
        match (self.status, self.retry_after) {
            _ if self.meant.is_some() => self.meant.as_ref().map(|meant| format!("Did you mean {meant:?}?")),
            (401, _) => Some(
                "Set TOKENHOST_TOKEN, or --token-file, to an application token of this daemon (`tokenhost init` made the \
                 first)."
                    .to_owned(),
            ),
            (403, _) => Some("The token is valid; what it belongs to lacks the right for this.".to_owned()),
            (_, Some(seconds)) => Some(format!("Try again in {seconds} s.")),
            _ => None,
        }
    }

    /// The message for people: title, each field's fault on its own line, what to do, support id.
    pub(super) fn to_text(&self) -> String {
        let title = member(&self.document, "title").unwrap_or_default();
        let mut text = format!("error: {title}");
        let faults: Vec<String> =
            self.faults().into_iter().map(|(field, _, message)| format!("{field}: {message}")).collect();
        // Of a single fault, the detail is that fault.
        let detail = member(&self.document, "detail").filter(|detail| *detail != title && !faults.contains(detail));
        for line in detail.into_iter().chain(faults) {
            text += &format!("\n  {line}");
        }
        // What else the daemon says for people of the case, e.g. the field to look at.
        for (name, label) in [("field", "look at"), ("attempt", "attempt"), ("support_id", "support id")] {
            if name == "support_id"
                && let Some(hint) = self.hint()
            {
                text += &format!("\n  {hint}");
            }
            if let Some(value) = member(&self.document, name) {
                text += &format!("\n  {label}: {value}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_told_to_people() {
        let check = |status: u16, retry_after: Option<u64>, body: &str, exit: Exit, text: &str| {
            let problem = Problem::new(status, retry_after, body.as_bytes());
            assert_eq!(problem.to_text(), text);
            assert_eq!(problem.exit(), exit, "{body}");
        };
        check(
            422,
            None,
            r#"{"title":"The integration is not valid","status":422,"code":"invalid","support_id":"01J",
                "errors":[{"field":"fields.client_id","code":"missing","message":"is missing"},
                          {"field":"server","code":"malformed","message":"is no absolute URL"}]}"#,
            Exit::Failed,
            "error: The integration is not valid\n  fields.client_id: is missing\n  server: is no absolute URL\n  support id: 01J",
        );
        check(
            422,
            None,
            r#"{"title":"not valid","detail":"name: is none","errors":[{"field":"name","code":"malformed","message":"is none"}]}"#,
            Exit::Failed,
            "error: not valid\n  name: is none",
        );
        check(
            404,
            None,
            r#"{"title":"Not found","detail":"no integration crm","status":404,"code":"not_found"}"#,
            Exit::NotFound,
            "error: Not found\n  no integration crm",
        );
        check(
            503,
            Some(7),
            r#"{"title":"No token","detail":"invalid_client: no","field":"client_secret","attempt":"01K","status":503}"#,
            Exit::Failed,
            "error: No token\n  invalid_client: no\n  look at: client_secret\n  attempt: 01K\n  Try again in 7 s.",
        );
        check(
            403,
            None,
            r#"{"title":"Not allowed","support_id":"01L"}"#,
            Exit::Refused,
            "error: Not allowed\n  The token is valid; what it belongs to lacks the right for this.\n  support id: 01L",
        );
        check(
            502,
            None,
            "<html>Bad gateway</html>",
            Exit::Failed,
            "error: something that is no tokenhost daemon answered\n  HTTP status 502; is TOKENHOST_URL (or --daemon) right?",
        );
        assert_eq!(Problem::new(401, None, b"").exit(), Exit::Refused);
        assert_eq!(Problem::new(403, None, br#"{"title":7}"#).exit(), Exit::Refused);
    }
}
