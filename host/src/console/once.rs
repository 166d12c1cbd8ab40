//! Forms that are sent once: those whose answer shows a new token's value, or another secret that was made. The page of such an answer that is loaded again sends
//! its form again, and would make another token that nobody asked for.
//!
//! What was sent is known for a day, in memory: browsers ask before they send a form again, so this guards against a mistake
//! and not against anybody.

use std::time::Duration;

use axum::http::Method;
use minijinja::context;
use moka::sync::Cache;
use serde_json::Value;

use super::fields::Fields;
use super::page::Page;
use super::visit::Visit;
use crate::api::Answer;

/// Forms that are remembered at most.
const KEPT: u64 = 10_000;
/// For how long.
const LIFE: Duration = Duration::from_secs(24 * 3_600);
/// The longest id that one of these has.
const LONGEST: usize = 64;

/// The forms that were sent: by whom, and which.
pub(super) struct Forms(Cache<(String, String), ()>);

impl Forms {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(KEPT).time_to_live(LIFE).build())
    }

    /// The id of a new form.
    pub(super) fn id() -> String {
        hex::encode(rand::random::<[u8; 12]>())
    }

    /// Whether a form is sent for the first time.
    pub(super) fn is_first(&self, who: &str, id: &str) -> bool {
        if id.is_empty() || id.len() > LONGEST {
            return false;
        }
        self.0.entry((who.to_owned(), id.to_owned())).or_insert(()).is_fresh()
    }

    /// A form that did nothing may be sent again.
    pub(super) fn give_back(&self, who: &str, id: &str) {
        self.0.invalidate(&(who.to_owned(), id.to_owned()));
    }
}

/// What came of a form that makes a token's value.
pub(super) enum Minted {
    /// The page that shows it.
    Shown(Page),
    /// It was refused: the form is shown again.
    Refused(Answer),
}

impl Visit {
    /// Makes a token, or another value of one, and shows it on the page that answers the form: no address, redirect or
    /// stored page has it.
    pub(super) async fn mint(&self, fields: &Fields, path: &str, body: &Value, back: &str) -> Minted {
        self.mint_on("token-value.html", fields, path, body, back).await
    }

    /// The same for another secret than a token's value, which is the answer's `token` on a page of its own.
    pub(super) async fn mint_on(
        &self,
        template: &str,
        fields: &Fields,
        path: &str,
        body: &Value,
        back: &str,
    ) -> Minted {
        let (forms, who) = (&self.console.forms, self.visitor.label());
        let id = fields.text("form").unwrap_or_default();
        if !forms.is_first(&who, id) {
            return Minted::Shown(self.show(template, context! { back }));
        }
        let answer = self.ask(Method::POST, path, body).await;
        if !answer.status.is_success() {
            forms.give_back(&who, id);
            return Minted::Refused(answer);
        }
        Minted::Shown(self.show(template, context! { token => answer.value, back }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_sent_once() {
        let forms = Forms::new();
        let id = Forms::id();
        assert_ne!(id, Forms::id());
        assert!(forms.is_first("user/ada", &id) && !forms.is_first("user/ada", &id));
        assert!(forms.is_first("user/bob", &id), "another's form of the same id");
        forms.give_back("user/ada", &id);
        assert!(forms.is_first("user/ada", &id));
        assert!(!forms.is_first("user/ada", "") && !forms.is_first("user/ada", &"x".repeat(65)));
    }
}
