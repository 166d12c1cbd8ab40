//! Forms as request bodies, urlencoded or multipart: where old clients put their token and parameters.
//!
//! It reads them, bounded, for the gate and for the doors that take forms. What a field means is their business.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use secrecy::SecretString;

use super::body;
use super::credentials::PARAMETER;
use super::problem::{Code, Problem};

/// The largest form without a file. It is read before it is known who sends it.
pub(super) const FORM_BYTES: usize = 1 << 20;
/// What a form with a file may have beside it.
pub(super) const AROUND_FILE: usize = 64 << 10;
/// Fields of a form at most.
const MOST_FIELDS: usize = 64;

/// A form that was read.
#[derive(Clone, Default)]
pub(super) struct Form {
    /// Its fields, without the token.
    pub(super) fields: Vec<(String, String)>,
    /// The file in it.
    pub(super) file: Option<Bytes>,
    /// The tokens in it.
    tokens: Vec<SecretString>,
}

impl Form {
    /// The token in it, where there is exactly one.
    pub(super) fn token(&self) -> Option<&SecretString> {
        match self.tokens.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Whether it has several tokens.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.tokens.len() > 1
    }

    fn add(&mut self, name: String, value: String) -> Result<(), Problem> {
        if self.fields.len() + self.tokens.len() >= MOST_FIELDS {
            return Err(Problem::new(Code::TooLarge, format!("at most {MOST_FIELDS} fields are read here")));
        }
        match name.as_str() {
            PARAMETER => self.tokens.push(value.into()),
            _ => self.fields.push((name, value)),
        }
        Ok(())
    }
}

/// Whether the body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    matches!(body::media_type(headers).as_str(), "application/x-www-form-urlencoded" | "multipart/form-data")
}

/// Reads a form of at most so many bytes, with one file at most.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Form, Problem> {
    let mut form = Form::default();
    if body::media_type(headers) == "application/x-www-form-urlencoded" {
        let text = body::read(body, limit).await?;
        for (name, value) in form_urlencoded::parse(&text).into_owned() {
            form.add(name, value)?;
        }
        return Ok(form);
    }
    let malformed = |_| Problem::new(Code::Malformed, "the body is no multipart form (RFC 7578)");
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(content_type).map_err(malformed)?;
    let whole = body::read(body, limit).await?;
    let pieces = http_body_util::Full::new(whole).into_data_stream();
    let mut parts = multer::Multipart::new(pieces, boundary);
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        let name = part.name().unwrap_or_default().to_owned();
        if part.file_name().is_some() {
            let content = part.bytes().await.map_err(malformed)?;
            if form.file.replace(content).is_some() {
                return Err(Problem::new(Code::Malformed, "the form has more than one file"));
            }
        } else {
            let value = part.text().await.map_err(malformed)?;
            form.add(name, value)?;
        }
    }
    Ok(form)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    async fn check(content_type: &str, body: &str, expected: Result<(Option<&str>, usize, Option<&str>), Code>) {
        let headers = [(header::CONTENT_TYPE, content_type.parse().unwrap())].into_iter().collect();
        assert!(is_form(&headers));
        let found = read(&headers, Body::from(body.to_owned()), FORM_BYTES).await;
        let found = found.as_ref().map(|form| {
            let file = form.file.as_ref().map(|file| std::str::from_utf8(file).unwrap());
            (form.token().map(|token| token.expose_secret()), form.fields.len(), file)
        });
        assert_eq!(found.map_err(Problem::code), expected);
    }

    #[tokio::test]
    async fn both_forms_are_read() {
        check("application/x-www-form-urlencoded", "auth_token=tha_1&format=csv", Ok((Some("tha_1"), 1, None))).await;
        check("application/x-www-form-urlencoded", "auth_token=a&auth_token=b", Ok((None, 0, None))).await;
        let multipart = "--x\r\ncontent-disposition: form-data; name=\"auth_token\"\r\n\r\ntha_1\r\n\
            --x\r\ncontent-disposition: form-data; name=\"f\"; filename=\"a.csv\"\r\n\r\na,b\r\n--x--\r\n";
        check("multipart/form-data; boundary=x", multipart, Ok((Some("tha_1"), 0, Some("a,b")))).await;
        check("multipart/form-data", multipart, Err(Code::Malformed)).await;
        check("multipart/form-data; boundary=x", "rubbish", Err(Code::Malformed)).await;
        let many = "a=b&".repeat(100);
        check("application/x-www-form-urlencoded", &many, Err(Code::TooLarge)).await;
    }
}
