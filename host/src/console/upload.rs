//! What a form with a file sends (RFC 7578): its other inputs, and the content of the one file.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Console;
use super::fields::Fields;

/// The largest upload: of a file, or of what is pasted, as much as the API takes, and the other inputs.
const BYTES: u64 = 66 << 20;
/// How long an upload may take.
const TIME: Duration = Duration::from_secs(120);
/// Uploads that are in memory at once; others wait.
const AT_ONCE: usize = 4;
/// The most inputs.
const INPUTS: usize = 200;
/// The input that is the file.
const FILE: &str = "file";
/// The input into which a document is pasted.
const PASTED: &str = "document";

/// A form with a file.
pub(super) struct Upload {
    /// Its other inputs.
    pub(super) fields: Fields,
    /// The file's content. None: none was chosen.
    pub(super) file: Option<Bytes>,
    /// Its turn; none: it needs none.
    _turn: Option<OwnedSemaphorePermit>,
}

/// Turns to have an upload in memory.
pub(super) fn turns() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(AT_ONCE))
}

impl Upload {
    /// Whether it has a document, in any of the three ways to give one.
    pub(super) fn has_document(&self) -> bool {
        self.file.is_some() || self.fields.exact(PASTED).is_some() || self.fields.text("url").is_some()
    }

    /// What an import takes out of it: the file, else what was pasted, else where it is to be fetched.
    pub(super) fn document(&self) -> (&'static str, Bytes) {
        let pasted = || self.fields.exact(PASTED).map(|text| Bytes::copy_from_slice(text.as_bytes()));
        match (self.file.clone().or_else(pasted), self.fields.text("url")) {
            (Some(document), _) => ("application/octet-stream", document),
            (None, Some(url)) => ("application/json", Bytes::from(json!({"url": url}).to_string())),
            (None, None) => ("application/octet-stream", Bytes::new()),
        }
    }
}

impl FromRequest<Console> for Upload {
    type Rejection = Response;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Response> {
        let turn = Arc::clone(&console.uploads).acquire_owned().await;
        let turn = turn.map_err(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())?;
        let upload = tokio::time::timeout(TIME, Self::read(request)).await;
        let upload = upload.map_err(|_| StatusCode::REQUEST_TIMEOUT.into_response())??;
        Ok(Self { _turn: Some(turn), ..upload })
    }
}

impl Upload {
    /// The upload of a request.
    async fn read(request: Request) -> Result<Self, Response> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = multer::parse_boundary(content_type.unwrap_or_default());
        let boundary = boundary.map_err(|_| StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response())?;
        read(request.into_body(), boundary).await.map_err(|error| {
            let status = match error {
                multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => {
                    StatusCode::PAYLOAD_TOO_LARGE
                }
                _ => StatusCode::BAD_REQUEST,
            };
            status.into_response()
        })
    }
}

async fn read(body: Body, boundary: String) -> Result<Upload, multer::Error> {
    let limits = multer::Constraints::new().size_limit(multer::SizeLimit::new().whole_stream(BYTES));
    let mut form = multer::Multipart::with_constraints(body.into_data_stream(), boundary, limits);
    let (mut pairs, mut file) = (Vec::new(), None);
    while let Some(input) = form.next_field().await? {
        let name = input.name().unwrap_or_default().to_owned();
        match name.as_str() {
            FILE => file = Some(input.bytes().await?).filter(|content| !content.is_empty()),
            _ if pairs.len() < INPUTS => pairs.push((name, input.text().await?)),
            _ => return Err(multer::Error::IncompleteStream),
        }
    }
    Ok(Upload { fields: Fields::of(pairs), file, _turn: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(parts: &[(&str, &str)]) -> Request {
        let mut body = String::new();
        for (name, content) in parts {
            let file = if *name == FILE { "; filename=\"x.json\"" } else { "" };
            body.push_str(&format!(
                "--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
            ));
        }
        body.push_str("--b--\r\n");
        let mut request = Request::new(Body::from(body));
        request.headers_mut().insert(header::CONTENT_TYPE, "multipart/form-data; boundary=b".parse().unwrap());
        request
    }

    #[tokio::test]
    async fn a_document_comes_as_a_file_pasted_or_by_url() {
        async fn check(parts: &[(&str, &str)], expected: (&str, &str)) {
            let upload = Upload::read(form(parts)).await.ok().unwrap();
            assert_eq!(upload.fields.text("name"), Some("crm"));
            assert_eq!(upload.has_document(), !expected.1.is_empty(), "{parts:?}");
            let (content_type, document) = upload.document();
            assert_eq!((content_type, std::str::from_utf8(&document).unwrap()), expected, "{parts:?}");
        }
        let octets = "application/octet-stream";
        check(&[("name", "crm"), ("file", "{}"), ("document", "a"), ("url", "b")], (octets, "{}")).await;
        check(&[("name", "crm"), ("file", ""), ("document", "a: b\r\n")], (octets, "a: b\r\n")).await;
        check(
            &[("name", "crm"), ("file", ""), ("document", ""), ("url", " b ")],
            ("application/json", r#"{"url":"b"}"#),
        )
        .await;
        check(&[("name", "crm"), ("file", "")], (octets, "")).await;
    }

    #[tokio::test]
    async fn what_is_no_such_form_is_refused() {
        let mut other = form(&[]);
        other.headers_mut().insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
        let refused = Upload::read(other).await.err().unwrap();
        assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let many = vec![("x", "y"); INPUTS + 1];
        let refused = Upload::read(form(&many)).await.err().unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    }
}
