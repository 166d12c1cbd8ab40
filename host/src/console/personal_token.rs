//! A personal token: made, shown, changed, rebuilt, deleted. The same for one's own and for everyone's, which differ in where
//! they stand, and in that one's own need not say whose they are.

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::response::Redirect;
use axum::routing::{get, post};
use minijinja::{Value as Context, context};
use serde_json::{Value, json};

use super::change::{boxes, text, typed};
use super::fields::Fields;
use super::once::{Forms, Minted};
use super::page::{Failure, Page};
use super::visit::Visit;
use super::{Console, address, standing};

/// Where tokens are worked on.
pub(super) struct Desk {
    /// The API's list.
    api: &'static str,
    /// The page that lists them.
    list: &'static str,
    /// Where the page of a new one, and of each, stands.
    pages: &'static str,
    template: &'static str,
    /// Whether each is somebody's whom the form names.
    for_others: bool,
}

/// One's own.
pub(super) const OWN: Desk = Desk {
    api: "/v1/me/personal-tokens",
    list: "/console/account",
    pages: "/console/account/tokens",
    template: "account-token.html",
    for_others: false,
};

/// Everyone's.
pub(super) const EVERYONES: Desk = Desk {
    api: "/v1/personal-tokens",
    list: "/console/personal-tokens",
    pages: "/console/personal-tokens",
    template: "personal-token.html",
    for_others: true,
};

/// How long the old value works beside a new one.
pub(super) fn grace(fields: &Fields) -> Value {
    json!({"grace_seconds": fields.text("grace_seconds").and_then(|seconds| seconds.parse::<u64>().ok()).unwrap_or(0)})
}

/// What a form has beside the token: all scopes, and an id of its own.
async fn choices(visit: &Visit) -> Result<Context, Failure> {
    let scopes = visit.get("/v1/scopes").await?;
    Ok(context! { scopes => scopes["items"].clone(), form_id => Forms::id() })
}

impl Desk {
    /// The routes below the list.
    pub(super) fn routes(&'static self) -> Router<Console> {
        let at = |rest: &str| format!("{}{rest}", self.pages);
        Router::new()
            .route(self.pages, post(move |visit, fields| self.create(visit, fields)))
            .route(&at("/~new"), get(move |visit| self.blank(visit)))
            .route(
                &at("/{id}"),
                get(move |visit, id| self.show(visit, id))
                    .post(move |visit, id, fields| self.change(visit, id, fields)),
            )
            // Whoever comes back to the address of a form that was refused finds the page.
            .route(
                &at("/{id}/rebuild"),
                get(move |Path(id): Path<String>| async move { Redirect::to(&self.page(&id)) })
                    .post(move |visit, id, fields| self.rebuild(visit, id, fields)),
            )
            .route(&at("/{id}/delete"), post(move |visit, id| self.delete(visit, id)))
    }

    /// A token in the API.
    pub(super) fn path(&self, id: &str) -> String {
        self.api.to_owned() + &address::path(&[id])
    }

    /// A token's page.
    fn page(&self, id: &str) -> String {
        self.pages.to_owned() + &address::path(&[id])
    }

    async fn blank(&self, visit: Visit) -> Page {
        // Whoever may not make one is told so before they fill in a form.
        standing::peek(&visit, self.api).await?;
        let typed = json!({"user": visit.query("user"), "scopes": ["REST/JSON"]});
        let choices = choices(&visit).await?;
        visit.show(self.template, context! { typed, ..choices })
    }

    async fn create(&self, visit: Visit, fields: Fields) -> Page {
        let mut body =
            json!({"application": fields.text("application").unwrap_or_default(), "scopes": boxes(&fields, "scopes")});
        if let Value::Object(body) = &mut body {
            if self.for_others {
                body.insert("user".to_owned(), fields.text("user").unwrap_or_default().into());
            }
            if let Some(end) = fields.text("expiration_date") {
                body.insert("expiration_date".to_owned(), end.into());
            }
        }
        match visit.mint(&fields, self.api, &body, self.list).await {
            Minted::Shown(page) => page,
            Minted::Refused(answer) => {
                let values = context! { typed => typed(&fields, &["scopes"]), ..choices(&visit).await? };
                visit.again(self.template, &fields, &answer, values)
            }
        }
    }

    async fn show(&self, visit: Visit, Path(id): Path<String>) -> Page {
        let item = visit.get(&self.path(&id)).await?;
        let choices = choices(&visit).await?;
        visit.show(self.template, context! { typed => item.clone(), item, ..choices })
    }

    async fn change(&self, visit: Visit, Path(id): Path<String>, fields: Fields) -> Page {
        let item = visit.get(&self.path(&id)).await?;
        let wanted = json!({"application": text(&fields, "application"), "scopes": boxes(&fields, "scopes"),
            "expiration_date": fields.text("expiration_date").unwrap_or_default()});
        let answer = visit.change_to(&self.path(&id), &wanted, &item, &fields).await;
        if answer.status.is_success() {
            let next = if self.for_others { self.page(&id) } else { self.list.to_owned() };
            return visit.done(&next, "saved");
        }
        let values = context! { item, typed => typed(&fields, &["scopes"]), ..choices(&visit).await? };
        visit.again(self.template, &fields, &answer, values)
    }

    async fn rebuild(&self, visit: Visit, Path(id): Path<String>, fields: Fields) -> Page {
        let item = visit.get(&self.path(&id)).await?;
        let back = if self.for_others { self.page(&id) } else { self.list.to_owned() };
        match visit.mint(&fields, &(self.path(&id) + "/rebuild"), &grace(&fields), &back).await {
            Minted::Shown(page) => page,
            Minted::Refused(answer) => {
                let values = context! { typed => item.clone(), item, ..choices(&visit).await? };
                visit.again(self.template, &fields, &answer, values)
            }
        }
    }

    async fn delete(&self, visit: Visit, Path(id): Path<String>) -> Page {
        visit.tell(Method::DELETE, &self.path(&id), &Value::Null).await?;
        visit.done(self.list, "deleted")
    }
}
