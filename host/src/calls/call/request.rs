//! The request of a call, before its credentials.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use url::Url;

use super::{ACCEPT, Call, USER_AGENT};
use crate::calls::authorization::{BodyDigest, Wanted};
use crate::calls::error::CallError;
use crate::calls::parameters::{self, Given, is_reserved_header};
use crate::calls::service::Service;
use crate::fault::{FaultCode, FieldFault};
use crate::openapi::{Operation, OperationDetail, Place};

/// A request without credentials.
pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// `None`: there is none, which isn't the same as an empty one.
    pub(super) body: Option<Bytes>,
}

impl Prepared {
    /// The request that a caller wants of an operation.
    pub(super) fn new(
        service: &Service,
        operation: &Operation,
        detail: &OperationDetail,
        call: &Call,
    ) -> Result<Self, CallError> {
        let mut faults = Vec::new();
        let mut headers = HeaderMap::from_iter([(header::USER_AGENT, USER_AGENT), (header::ACCEPT, ACCEPT)]);
        for (name, value) in &call.headers {
            match given_header(name, value) {
                Ok((name, value)) => drop(headers.insert(name, value)),
                Err((code, message)) => faults.push(FieldFault::new(format!("headers.{name}"), code, message)),
            }
        }
        let given = Given {
            parameters: &call.parameters,
            body: call.body.as_ref(),
            content_type: call.content_type.as_deref(),
        };
        let supplied = |place: Place, name: &str| is_credential(service, place, name);
        let written = match parameters::write(detail, &operation.path, given, &supplied) {
            Ok(written) if faults.is_empty() => written,
            Ok(_) => return Err(CallError::Invalid(faults)),
            Err(more) => {
                faults.extend(more);
                return Err(CallError::Invalid(faults));
            }
        };
        headers.extend(written.headers);
        if !written.cookies.is_empty() {
            let cookies = HeaderValue::from_str(&written.cookies.join("; ")).map_err(|_| CallError::Unwritable)?;
            headers.insert(header::COOKIE, cookies);
        }
        let body = written.body.map(|(content_type, bytes)| {
            headers.insert(header::CONTENT_TYPE, content_type);
            bytes
        });
        let mut url = service.base_of(operation)?;
        url.set_path(&format!("{}{}", url.path().trim_end_matches('/'), written.path));
        url.set_query(Some(written.query.as_str()).filter(|query| !query.is_empty()));
        url.set_fragment(None);
        let method = operation.method.parse().map_err(|_| CallError::Unwritable)?;
        Ok(Self { method, url, headers, body })
    }

    /// What credentials are wanted for.
    pub(super) fn wanted(&self, min_ttl: Duration) -> Wanted {
        Wanted {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: self.body.clone().map_or(BodyDigest::Empty, BodyDigest::Bytes),
            min_ttl,
            challenge: None,
        }
    }

    /// Whether the request may be sent again after this answer: its method is idempotent (RFC 9110 section 9.2.2), it has an
    /// idempotency key, or the service refused it unread.
    pub(super) fn may_repeat(&self, status: StatusCode) -> bool {
        let idempotent =
            [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE].contains(&self.method);
        idempotent || status == StatusCode::UNAUTHORIZED || self.headers.contains_key("idempotency-key")
    }
}

/// A header of the caller's own.
fn given_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), (FaultCode, &'static str)> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| (FaultCode::Malformed, "is no name that a header can have"))?;
    if parsed == header::AUTHORIZATION {
        return Err((FaultCode::NotAllowed, "is set by the integration's credentials"));
    }
    if parsed == header::CONTENT_TYPE {
        return Err((FaultCode::NotAllowed, "is set by the body; choose it by `content_type`"));
    }
    if is_reserved_header(name) {
        return Err((FaultCode::NotAllowed, "is the connection's, and not for callers to set"));
    }
    let value = HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| (FaultCode::Malformed, "has a line break or another character that a header can't hold"))?;
    Ok((parsed, value))
}

/// Whether one of the document's security schemes puts a credential there: documents describe some as parameters too.
fn is_credential(service: &Service, place: Place, name: &str) -> bool {
    service.schemes().iter().any(|scheme| {
        let text = |member: &str| scheme.document.get(member).and_then(serde_json::Value::as_str);
        let known = match scheme.kind.as_str() {
            "apiKey" => text("name"),
            _ => Some("Authorization"),
        };
        let stands = if scheme.kind == "apiKey" { text("in") } else { Some("header") };
        let is_named = |known: &str| match place {
            Place::Header => known.eq_ignore_ascii_case(name),
            _ => known == name,
        };
        stands == Some(place.as_str()) && known.is_some_and(is_named)
    })
}
