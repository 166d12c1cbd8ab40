//! The console: pages for people's browsers, made from what the API answers. One file per page or noun.
//!
//! It is a client of the API in the same process (`api::Inside`): it holds no right, check or rule of its own, reads no room
//! below, and sees no secret but a new one, once: no other call that it makes shows any. Pages are templates of the folder `console/`, work without
//! scripts where that is possible, and load nothing from elsewhere.

mod account;
mod address;
mod applications;
mod assets;
mod attempts;
mod audit;
mod authentication;
mod backups;
mod binding;
mod calls;
mod change;
mod doctor;
mod events;
mod fields;
mod flows;
mod integration_new;
mod integrations;
mod keys;
mod models;
mod once;
mod organizations;
mod overview;
mod page;
mod personal_token;
mod personal_tokens;
mod profiles;
mod settings;
mod standing;
mod templates;
mod tokens;
mod upload;
mod users;
mod visit;
mod webhooks;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Redirect;
use axum::routing::{any, get};
use tokio::sync::Semaphore;

use self::once::Forms;
use self::overview::Overviews;
use self::templates::Templates;
use crate::api::{Inside, within_spans};

/// What all pages share. Cheap to clone.
#[derive(Clone)]
struct Console(Arc<Shared>);

/// What is behind [`Console`].
struct Shared {
    /// The API.
    inside: Inside,
    /// The pages' templates.
    templates: Templates,
    /// Overviews that are still true.
    overviews: Overviews,
    /// Turns to have an upload in memory.
    uploads: Arc<Semaphore>,
    /// Forms that were sent already.
    forms: Forms,
}

impl std::ops::Deref for Console {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    /// What there is before anybody visits.
    fn new(inside: Inside) -> Self {
        let (templates, overviews) = (Templates::new(), Overviews::new());
        Self { inside, templates, overviews, uploads: upload::turns(), forms: Forms::new() }
    }
}

/// The console's routes, over the API.
pub fn router(inside: Inside) -> Router {
    let console = Console(Arc::new(Shared::new(inside)));
    let pages = routes()
        .layer(from_fn_with_state(console.clone(), page::framed))
        .layer(map_response(page::protect))
        .with_state(console);
    within_spans(pages)
}

/// All pages.
fn routes() -> Router<Console> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/console/") }))
        .route("/console", get(|| async { Redirect::permanent("/console/") }))
        .merge(assets::routes())
        .merge(overview::routes())
        .merge(models::routes())
        .merge(integration_new::routes())
        .merge(integrations::routes())
        .merge(binding::routes())
        .merge(tokens::routes())
        .merge(calls::routes())
        .merge(doctor::routes())
        .merge(attempts::routes())
        .merge(flows::routes())
        .merge(account::routes())
        .merge(users::routes())
        .merge(applications::routes())
        .merge(personal_tokens::routes())
        .merge(profiles::routes())
        .merge(organizations::routes())
        .merge(audit::routes())
        .merge(webhooks::routes())
        .merge(keys::routes())
        .merge(backups::routes())
        .merge(settings::routes())
        .merge(events::routes())
        .route("/console/{*rest}", any(|| async { StatusCode::NOT_FOUND }))
}

#[cfg(test)]
mod tests;
