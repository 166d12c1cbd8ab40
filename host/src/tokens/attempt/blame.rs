//! Which of the integration's fields is to blame for how a request ended, and what people are told to do about it.

use super::super::failure::{change_of, field_of, is_no_endpoint, url_field};
use super::{Attempt, Last};
use crate::egress::Fault;

impl Attempt {
    /// The field to look at, if one of the integration's is to blame.
    pub(super) fn blamed(&self, code: &str) -> Option<String> {
        let field = match self.last {
            Last::Unanswered(_, Fault::Tls) => return Some("transport.ca".to_owned()),
            Last::Unanswered(..) => return Some(self.asked()),
            Last::Answered(status, _) => match field_of(code) {
                Some("token_url") => return Some(self.asked()),
                None if is_no_endpoint(status) => return Some(self.asked()),
                field => field?,
            },
            Last::Nothing => field_of(code)?,
        };
        // Another flow may use the same word, and has no such field.
        self.flow.description().field(field).map(|field| field.name.clone())
    }

    /// The field whose URL was asked last.
    fn asked(&self) -> String {
        let sent = self.record.story.steps.iter().rev().find_map(|step| step.request.as_ref());
        let sent = sent.map(|request| request.url.as_str());
        url_field(self.flow.description(), &self.integration.values, sent).to_owned()
    }

    /// Notes for people which field to look at, and how it is changed.
    pub(super) fn hint(&mut self, code: &str, field: Option<&str>) {
        // The command is about the integration's first scheme.
        if self.record.story.key.scheme().is_some() {
            return;
        }
        let command = change_of(&self.integration.name, Some(self.flow.description()), code, field);
        if let (Some(field), Some(command)) = (field, command) {
            let console = "the integration's page of the console";
            self.note(&format!("look at the field {field}: `{command}` changes it, and so does {console}"));
        }
    }
}
