//! The request of a call, before its credentials.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::{Call, CallFailure};
use crate::calls::dispatch::Outbound;
use crate::calls::parameters::{self, Given, is_reserved_header};
use crate::calls::payload::Payload;
use crate::calls::service::Service;
use crate::fault::{FaultCode, FieldFault};
use crate::openapi::{Operation, OperationDetail, Place, SecurityScheme};

/// What the daemon calls itself.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("tokenhost/", env!("CARGO_PKG_VERSION")));
/// What is wanted where the caller doesn't say.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, */*;q=0.8");

/// The request that a caller wants of an operation.
pub(super) fn outbound(
    service: &Service,
    operation: &Operation,
    detail: &OperationDetail,
    call: &Call,
) -> Result<Outbound, CallFailure> {
    let mut faults = Vec::new();
    let mut headers = HeaderMap::from_iter([(header::USER_AGENT, USER_AGENT), (header::ACCEPT, ACCEPT)]);
    for (name, value) in &call.headers {
        match given_header(name, value) {
            Ok((name, value)) => drop(headers.insert(name, value)),
            Err((code, message)) => faults.push(FieldFault::new(format!("headers.{name}"), code, message)),
        }
    }
    let given =
        Given { parameters: &call.parameters, body: call.body.as_ref(), content_type: call.content_type.as_deref() };
    let schemes = service.schemes_of(operation)?;
    let supplied = |place: Place, name: &str| is_credential(&schemes, place, name);
    let written = parameters::write(detail, &operation.path, given, &supplied);
    let written = match written {
        Ok(written) if faults.is_empty() => written,
        Ok(_) => return Err(CallFailure::Invalid(faults)),
        Err(more) => return Err(CallFailure::Invalid(faults.into_iter().chain(more).collect())),
    };
    headers.extend(written.headers);
    if let Ok(cookies) = HeaderValue::from_str(&written.cookies.join("; "))
        && !cookies.is_empty()
    {
        headers.insert(header::COOKIE, cookies);
    }
    let body = match written.body {
        Some((content_type, bytes)) => {
            headers.insert(header::CONTENT_TYPE, content_type);
            bytes
        }
        None => Bytes::new(),
    };
    let mut url = service.base_of(operation)?;
    url.set_path(&format!("{}{}", url.path().trim_end_matches('/'), written.path));
    url.set_query(Some(written.query.as_str()).filter(|query| !query.is_empty()));
    url.set_fragment(None);
    // A service sends back what it got by `TRACE`, credentials too (RFC 9110 section 9.3.8).
    let method =
        operation.method.parse::<Method>().ok().filter(|method| *method != Method::TRACE && *method != Method::CONNECT);
    let method = method.ok_or_else(|| {
        let message = "its method isn't one that a call with credentials can have";
        CallFailure::Invalid(vec![FieldFault::new("operation_id", FaultCode::NotAllowed, message)])
    })?;
    Ok(Outbound { method, url, headers, body: Payload::Bytes(body), min_ttl: call.min_ttl, timeout: call.timeout })
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

/// Whether one of the security schemes that the operation is called with puts a credential there: documents describe some
/// as parameters too.
fn is_credential(schemes: &[&SecurityScheme], place: Place, name: &str) -> bool {
    schemes.iter().any(|scheme| {
        let text = |member: &str| scheme.document.get(member).and_then(serde_json::Value::as_str);
        let (stands, known) = match scheme.kind.as_str() {
            "apiKey" => (text("in"), text("name")),
            _ => (Some("header"), Some("Authorization")),
        };
        let is_named = |known: &str| match place {
            Place::Header => known.eq_ignore_ascii_case(name),
            _ => known == name,
        };
        stands == Some(place.as_str()) && known.is_some_and(is_named)
    })
}
