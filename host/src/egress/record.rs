//! A request as it may be kept and shown: secrets as names, sensitive text as length and digest.

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use url::Url;

use super::policy::shown;
use super::template::sensitive;
use crate::flows::request::{Body, JsonValue, Member, Method, Part, Request};
use crate::secrets::Cleaner;

/// The longest text of one part that a record keeps, in bytes.
const SHOWN: usize = 1024;

/// What was sent, without what nobody may read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The HTTP method.
    pub method: String,
    /// The URL without its query.
    pub url: String,
    /// The query. What the URL had of its own is shown by name only.
    pub query: Vec<Pair>,
    /// The headers that the flow or the integration set.
    pub headers: Vec<Pair>,
    /// The body.
    pub body: BodyRecord,
}

/// A name and what a record shows of its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// What is shown of the value.
    pub value: String,
}

impl Pair {
    /// A pair whose value is cut where it is very long.
    pub(super) fn new(name: &str, value: &str) -> Self {
        Self { name: cut(name), value: cut(value) }
    }
}

/// What a record shows of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyRecord {
    /// There was none.
    #[default]
    Empty,
    /// The parameters of a form.
    Form(Vec<Pair>),
    /// The members of a JSON document, by pointer, in the order in which they were set.
    Json(Vec<Pair>),
    /// Any other content.
    Raw {
        /// The `Content-Type`.
        content_type: String,
        /// What is shown of the content.
        content: String,
    },
}

impl RequestRecord {
    /// The record of a request that isn't made ready to be sent: no name is resolved and nothing computed, so no secret need be
    /// known. It is the one that [`Prepared`](super::Prepared) would have, but for what an integration adds.
    pub fn outline(request: &Request) -> Self {
        let pairs = |templates: &[(String, Vec<Part>)]| -> Vec<Pair> {
            templates.iter().map(|(name, template)| Pair::new(name, &outlined(template))).collect()
        };
        let (url, mut query) = match Url::parse(&request.url) {
            Ok(url) => (shown(&url), url.query_pairs().map(|(name, _)| Pair::new(&name, "…")).collect()),
            Err(_) => (cut(&request.url), Vec::new()),
        };
        query.extend(pairs(&request.query));
        let member = |member: &Member| match &member.value {
            JsonValue::Text(template) => Pair::new(&member.pointer, &outlined(template)),
            JsonValue::Literal(literal) => Pair::new(&member.pointer, literal),
        };
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        };
        let body = match &request.body {
            Body::Empty => BodyRecord::Empty,
            Body::Form(form) => BodyRecord::Form(pairs(form)),
            Body::Json(members) => BodyRecord::Json(members.iter().map(member).collect()),
            Body::Raw(raw) => {
                BodyRecord::Raw { content_type: cut(&raw.content_type), content: cut(&outlined(&raw.content)) }
            }
        };
        Self { method: method.to_owned(), url, query, headers: pairs(&request.headers), body }
    }

    /// Replaces secrets that a flow wrote out as plain text, because a provider or the operator let it see them.
    pub fn clean(&mut self, cleaner: &Cleaner) {
        let clean = |text: &mut String| *text = cleaner.clean(text);
        clean(&mut self.url);
        let pairs = self.query.iter_mut().chain(&mut self.headers);
        let body: &mut [Pair] = match &mut self.body {
            BodyRecord::Empty => &mut [],
            BodyRecord::Form(pairs) | BodyRecord::Json(pairs) => pairs,
            BodyRecord::Raw { content_type, content } => {
                clean(content_type);
                clean(content);
                &mut []
            }
        };
        for pair in pairs.chain(body) {
            clean(&mut pair.name);
            clean(&mut pair.value);
        }
    }
}

/// A template, names in the places of secrets.
fn outlined(template: &[Part]) -> String {
    let parts = template.iter().map(|part| match part {
        Part::Text(text) => text.clone(),
        Part::Sensitive(text) => sensitive(text.expose_secret().as_bytes()),
        Part::Secret(name) => format!("[{name}]"),
        Part::Body => "[body]".to_owned(),
    });
    parts.collect()
}

/// Text, cut where it is very long.
pub(super) fn cut(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(SHOWN);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secrets;

    #[test]
    fn a_record_survives_serialization_and_is_cleaned_everywhere() {
        let word = "hunter2-hunter2";
        let pair = |name: &str| vec![Pair::new(name, word)];
        let mut record = RequestRecord {
            method: "POST".to_owned(),
            url: format!("https://a.example/{word}"),
            query: pair("q"),
            headers: pair("h"),
            body: BodyRecord::Raw { content_type: "text/plain".to_owned(), content: format!("<{word}>") },
        };
        let copy: RequestRecord = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        assert_eq!(copy, record);
        let mut secrets = Secrets::default();
        secrets.insert("password", word.into());
        let cleaner = Cleaner::new(&secrets);
        record.clean(&cleaner);
        let mut form = RequestRecord { body: BodyRecord::Form(pair(word)), ..RequestRecord::default() };
        form.clean(&cleaner);
        let text = format!("{record:?}{form:?}");
        assert!(!text.contains(word), "{text}");
        assert_eq!(text.matches("[password]").count(), 6, "{text}");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(cut(&"a".repeat(SHOWN)).len(), SHOWN);
        let long = format!("a{}", "é".repeat(SHOWN));
        assert_eq!(cut(&long), format!("a{}… (2049 bytes)", "é".repeat(SHOWN / 2 - 1)));
    }
}
