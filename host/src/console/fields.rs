//! What a form sends: names and values, read once, and shown again where they weren't accepted. Secrets never are.

use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Map, Value};

/// The largest form; documents are uploaded in another way.
const BYTES: usize = 1 << 20;

/// How the names of inputs begin whose values are secrets.
pub(super) const SECRET: &str = "secret.";

/// How the names of inputs begin that are fields of a flow, and no secrets.
pub(super) const FIELD: &str = "field.";

/// The inputs of a form, in order.
#[derive(Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Inputs that were read elsewhere.
    pub(super) fn of(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The value of an input, trimmed. None: it is empty, or not there.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// The value of an input as it was typed. None: it is empty, or not there.
    pub(super) fn exact(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// Whether a box is checked.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// All values of an input that may stand there several times.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.trim().is_empty()).map(|(_, value)| value.trim())
    }

    /// The inputs whose names begin so, by the rest of their names.
    pub(super) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// The inputs of a form that was sent so.
    #[cfg(test)]
    pub(super) fn parsed(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// What may be shown again: all but secrets and passwords.
    pub(super) fn shown(&self) -> Value {
        let mut shown = Map::new();
        for (name, value) in &self.0 {
            // A flow's fields that are secret are under `secret.`: the others have names such as `field.token_url`.
            let is_hidden = name.starts_with(SECRET) || name.contains("password") || name.contains("token");
            if is_hidden && !name.starts_with(FIELD) {
                continue;
            }
            match shown.get_mut(name) {
                Some(Value::Array(values)) => values.push(value.as_str().into()),
                Some(first) => *first = Value::Array(vec![first.take(), value.as_str().into()]),
                None => drop(shown.insert(name.clone(), value.as_str().into())),
            }
        }
        Value::Object(shown)
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response());
        }
        let body = Limited::new(request.into_body(), BYTES).collect().await;
        let bytes = body.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE.into_response())?.to_bytes();
        Ok(Self(form_urlencoded::parse(&bytes).into_owned().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_read_by_name_and_secrets_arent_shown_again() {
        let text =
            "name=+crm+&secret.client_secret=s3&scope=a&scope=b&field.token_url=x&password=p&words=a,b%0D%0Ac&empty=+";
        let fields = Fields(form_urlencoded::parse(text.as_bytes()).into_owned().collect());
        assert_eq!((fields.text("name"), fields.text("empty"), fields.text("none")), (Some("crm"), None, None));
        assert_eq!(fields.exact("name"), Some(" crm "));
        assert_eq!(fields.all("scope").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(fields.under(FIELD).collect::<Vec<_>>(), [("token_url", "x")]);
        assert_eq!(fields.under(SECRET).collect::<Vec<_>>(), [("client_secret", "s3")]);
        let shown = fields.shown();
        assert!(!shown.to_string().contains("s3") && !shown.to_string().contains("\"p\""), "{shown}");
        assert_eq!(shown["scope"], serde_json::json!(["a", "b"]));
        assert_eq!(shown["field.token_url"], "x");
    }
}
