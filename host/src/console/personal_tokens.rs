//! Administration: everyone's personal tokens.

use axum::Router;
use axum::routing::get;
use minijinja::context;

use super::page::Page;
use super::personal_token::EVERYONES;
use super::visit::Visit;
use super::{Console, standing};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/personal-tokens", get(list)).merge(EVERYONES.routes())
}

async fn list(visit: Visit) -> Page {
    let list = standing::list(&visit, "/v1/personal-tokens", &["user", "state"]).await?;
    visit.show("personal-tokens.html", context! { list, user => visit.query("user"), state => visit.query("state") })
}
