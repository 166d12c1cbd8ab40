//! The doctor: why an integration gets no token, found out by test requests, and what would help.
//!
//! It takes a while: the page is sent bit by bit, each finding as soon as it is known, so that it shows how far it is without a
//! script. Who leaves the page ends the examination.

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Path;
use axum::http::{Method, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use futures_util::{StreamExt as _, stream};
use minijinja::{Value as Context, context};
use serde_json::Value;

use super::fields::Fields;
use super::integrations::{at, in_api};
use super::page::{Failure, Page};
use super::visit::Visit;
use super::{Console, address};

/// Where findings stand in the page: a comment of its template.
const PLACE: &str = "<!-- findings -->";
/// The longest finding, in bytes: a trial with all that was sent and answered is far shorter.
const LONGEST: usize = 4 << 20;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/integrations/{integration}/doctor", get(show).post(examine))
}

async fn values(visit: &Visit, integration: &str) -> Result<Context, Failure> {
    let found = visit.get(&in_api(integration, &[])).await?;
    Ok(context! { integration => found, at => at(integration) })
}

async fn show(visit: Visit, Path(integration): Path<String>) -> Page {
    let values = values(&visit, &integration).await?;
    visit.show("doctor.html", context! { scheme => visit.query("scheme"), ..values })
}

async fn examine(visit: Visit, Path(integration): Path<String>, fields: Fields) -> Page {
    let (scheme, all) = (fields.text("scheme"), fields.is_on("all"));
    let values = values(&visit, &integration).await?;
    let values = context! { scheme, all, ..values };
    let wanted = [("scheme", scheme), ("all", all.then_some("true"))];
    let path = address::with(&in_api(&integration, &["doctor"]), &wanted);
    let lines = match visit.visitor.follow(Method::POST, &path).await {
        Ok(body) => Lines { body: body.into_data_stream(), buffer: Vec::new() },
        Err(answer) => return visit.again("doctor.html", &fields, &answer, values),
    };
    let page = visit.render("doctor.html", context! { examines => true, ..values.clone() })?;
    let (head, tail) = page.split_once(PLACE).unwrap_or((page.as_str(), ""));
    let begun = Examination { visit, values, lines, head: Some(head.to_owned()), tail: Some(tail.to_owned()) };
    let content_type = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    Ok((content_type, Body::from_stream(stream::unfold(begun, Examination::next))).into_response())
}

/// A page under way.
struct Examination {
    visit: Visit,
    /// What its findings are shown with.
    values: Context,
    /// What the API finds.
    lines: Lines,
    /// What stands before the findings, until it was sent.
    head: Option<String>,
    /// What stands behind them, until it was sent.
    tail: Option<String>,
}

impl Examination {
    /// The next bit of the page.
    async fn next(mut self) -> Option<(Result<Bytes, axum::Error>, Self)> {
        if let Some(head) = self.head.take() {
            return Some((Ok(head.into()), self));
        }
        self.tail.as_ref()?;
        let finding = self.lines.next().await;
        let is_last = finding.as_ref().is_none_or(|finding| finding["kind"] == "verdict");
        let shown = self.visit.render("finding.html", context! { finding, ..self.values.clone() });
        // What can't be shown was logged.
        let mut shown = shown.unwrap_or_default();
        if is_last {
            shown.push_str(&self.tail.take().unwrap_or_default());
        }
        Some((Ok(shown.into()), self))
    }
}

/// Lines of JSON, as they come.
struct Lines {
    body: BodyDataStream,
    /// What came of the next line.
    buffer: Vec<u8>,
}

impl Lines {
    /// The next one; none once there is none, or what comes is none.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                return serde_json::from_slice(&line).ok();
            }
            let bytes = self.body.next().await?.ok()?;
            if self.buffer.len() + bytes.len() > LONGEST {
                return None;
            }
            self.buffer.extend_from_slice(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_told_apart_however_they_come() {
        let parts =
            ["{\"a\":", "1}\n{\"a\"", ":2}\n", "{\"a\":3}"].map(|part| Ok::<_, std::io::Error>(Bytes::from(part)));
        let body = Body::from_stream(stream::iter(parts)).into_data_stream();
        let mut lines = Lines { body, buffer: Vec::new() };
        assert_eq!(lines.next().await.unwrap()["a"], 1);
        assert_eq!(lines.next().await.unwrap()["a"], 2);
        // What isn't ended was cut off.
        assert!(lines.next().await.is_none());
    }
}
