//! The first page: what needs a person, with what helps as a button, and every integration with its state, the time left and
//! the history of its renewals as a small picture.
//!
//! A page is kept for as long as nothing that is stored has changed, and a second at most, since time passes too: so a look
//! costs what it costs to find out who looks.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use minijinja::context;
use moka::sync::Cache;

use super::page::{Failure, Page};
use super::visit::{Entry, VARY_ON_PART, Visit};
use super::{Console, address};
use crate::store::Revision;

/// Integrations on a page.
const ON_PAGE: &str = "50";
/// Pages kept: of so many visitors, or views of one.
const KEPT: u64 = 256;
/// How long one is kept where nothing changes.
const LIFE: Duration = Duration::from_secs(1);

/// Which page: who sees it, where it stands, and whether it is a part.
type Key = (String, String, bool);

/// Pages that are still true.
pub(super) struct Overviews(Cache<Key, (Revision, Bytes)>);

impl Overviews {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(KEPT).time_to_live(LIFE).build())
    }
}

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/", get(show))
}

async fn show(State(console): State<Console>, entry: Entry) -> Page {
    let key = (entry.visitor.label(), entry.uri().to_string(), entry.is_part);
    // Before anything is read: what changes meanwhile makes the page old.
    let revision = console.inside.revision();
    if let Some((made_at, page)) = console.overviews.0.get(&key)
        && made_at == revision
    {
        return Ok(html(page));
    }
    let visit = entry.look_around().await?;
    // Who may see nothing of this is led to what they may see, which says what is missing.
    match (visit.me["services"]["allowed"] == true, visit.me["account_menu"] == true) {
        (true, _) => {}
        (false, true) => return visit.done("/console/account", ""),
        (false, false) => return visit.show("closed.html", context! {}),
    }
    let made = make(visit).await?;
    console.overviews.0.insert(key, (revision, made.clone()));
    Ok(html(made))
}

fn html(page: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], [VARY_ON_PART], page).into_response()
}

async fn make(visit: Visit) -> Result<Bytes, Failure> {
    let status = visit.get("/v1/status?limit=20").await?;
    let (q, cursor) = (visit.query("q"), visit.query("cursor"));
    let wanted = [
        ("limit", Some(ON_PAGE)),
        ("with", Some("token,attempts")),
        ("q", q.as_deref()),
        ("cursor", cursor.as_deref()),
    ];
    let list = visit.get_if_allowed(&address::with("/v1/integrations", &wanted)).await?;
    let page = visit.show("overview.html", context! { status, list, q })?;
    let body = http_body_util::BodyExt::collect(page.into_body()).await;
    // Made from a text in memory: it can't fail.
    Ok(body.map(http_body_util::Collected::to_bytes).unwrap_or_default())
}
