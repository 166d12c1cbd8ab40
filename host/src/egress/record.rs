//! A request as it may be kept and shown: secrets as names, sensitive text as length and digest.

use serde::{Deserialize, Serialize};

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
