//! What the commands of all nouns have in common: lists and items out of JSON, bodies out of flags, values that are shown once.
//!
//! Knows no noun; each says in a [`Noun`] what it is called and which members people see.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::exit::Failure;
use super::output::{Output, Pairs, scalar, table};

/// Members that are lists: unset, they are empty rather than null.
const LISTS: [&str; 8] =
    ["profiles", "allowed_organizations", "scopes", "rights", "grants", "kinds", "integrations", "organizations"];

/// A kind of thing that the daemon keeps.
pub(super) struct Noun<const N: usize> {
    /// What it is called.
    pub(super) word: &'static str,
    /// Where it is in the API.
    pub(super) path: &'static [&'static str],
    /// The columns of a list: heading and member.
    pub(super) columns: [(&'static str, &'static str); N],
    /// The lines of one: label and member.
    pub(super) lines: &'static [(&'static str, &'static str)],
    /// What a list says where there are none.
    pub(super) none: &'static str,
}

/// A member by its path (`contact.email`), as text.
fn text(document: &Value, path: &str) -> Option<String> {
    let found = path.split('.').try_fold(document, |value, name| value.get(name))?;
    described(found).filter(|text| !text.is_empty())
}

/// A value as text for people; an object as its members, one after the other.
fn described(value: &Value) -> Option<String> {
    match value {
        Value::Object(members) => {
            let member = |(name, value)| described(value).map(|value| format!("{name}: {value}"));
            Some(members.iter().filter_map(member).collect::<Vec<_>>().join("; "))
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            Some(items.iter().filter_map(described).collect::<Vec<_>>().join("\n"))
        }
        other => scalar(other),
    }
}

impl<const N: usize> Noun<N> {
    /// Items as a table.
    pub(super) fn table(&self, items: &Value) -> String {
        let cell = |item: &Value, path| text(item, path).unwrap_or_else(|| "-".to_owned());
        let row = |item| self.columns.map(|(_, path)| cell(item, path));
        let rows: Vec<_> = items.as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() { self.none.to_owned() } else { table(self.columns.map(|(heading, _)| heading), &rows) }
    }

    /// One item as lines.
    pub(super) fn item(&self, item: &Value) -> String {
        let mut pairs = Pairs::default();
        for (label, path) in self.lines {
            pairs.add(label, text(item, path));
        }
        pairs.to_text("")
    }

    /// The path of one of them.
    fn of<'a>(&self, id: &'a str) -> Vec<&'a str> {
        self.path.iter().copied().chain([id]).collect()
    }

    /// Lists them.
    ///
    /// # Errors
    /// The daemon refuses.
    pub(super) async fn list(&self, client: &Client, query: &[(&str, &str)], output: Output) -> Result<(), Failure> {
        let items = client.list(self.path, query).await?;
        output.show(&Value::Array(items), |items| self.table(items))
    }

    /// Shows one.
    ///
    /// # Errors
    /// There is none, or the daemon refuses.
    pub(super) async fn show(&self, client: &Client, id: &str, output: Output) -> Result<(), Failure> {
        output.show(&client.get(&self.of(id), &[]).await?, |item| self.item(item))
    }

    /// Makes one. A value that is shown once stands alone on stdout.
    ///
    /// # Errors
    /// The daemon refuses.
    pub(super) async fn create(&self, client: &Client, body: Body, output: Output) -> Result<(), Failure> {
        let made = client.call(Method::POST, self.path, &[], Some(&Value::Object(body.0))).await?;
        self.made(&made, output)
    }

    /// Changes one.
    ///
    /// # Errors
    /// There is nothing to change, there is no such thing, or the daemon refuses.
    pub(super) async fn change(&self, client: &Client, id: &str, body: Body, output: Output) -> Result<(), Failure> {
        if body.0.is_empty() {
            return Err(Failure::usage(format!(
                "nothing to change was given; see the flags of `{} --help`",
                self.word
            )));
        }
        let changed = client.call(Method::PATCH, &self.of(id), &[], Some(&Value::Object(body.0))).await?;
        output.show(&changed, |item| self.item(item))
    }

    /// Deletes one.
    ///
    /// # Errors
    /// There is none, or the daemon refuses.
    pub(super) async fn delete(&self, client: &Client, id: &str, output: Output) -> Result<(), Failure> {
        client.call(Method::DELETE, &self.of(id), &[], None).await?;
        output.show(&json!({"deleted": id}), |_| format!("{} {id} is deleted", self.word))
    }

    /// Replaces a token's value, and shows the new one once.
    ///
    /// # Errors
    /// There is none, or the daemon refuses.
    pub(super) async fn rebuild(&self, client: &Client, id: &str, grace: u64, output: Output) -> Result<(), Failure> {
        let path: Vec<&str> = self.of(id).into_iter().chain(["rebuild"]).collect();
        let rebuilt = client.call(Method::POST, &path, &[], Some(&json!({"grace_seconds": grace}))).await?;
        self.made(&rebuilt, output)
    }

    /// Shows what was made.
    fn made(&self, made: &Value, output: Output) -> Result<(), Failure> {
        let Some(token) = made.get("token").and_then(Value::as_str) else {
            return output.show(made, |item| self.item(item));
        };
        if !output.is_json() {
            let id = text(made, "id").unwrap_or_default();
            let mut hint = format!("{} {id}: the token below is shown this once and kept nowhere", self.word);
            for (label, path) in [("it ends", "expiration_date"), ("the old one works until", "old_value_valid_until")]
            {
                hint += &text(made, path).map_or_else(String::new, |time| format!("; {label} {time}"));
            }
            output.note(&hint);
        }
        output.show(made, |_| token.to_owned())
    }
}

/// A request's body, member by member.
#[derive(Debug, Default)]
pub(super) struct Body(Map<String, Value>);

impl Body {
    /// As JSON.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// Sets a member, by its path (`contact.email`), where there is a value.
    pub(super) fn set<T: Into<Value>>(&mut self, path: &str, value: Option<T>) -> &mut Self {
        if let Some(value) = value {
            self.put(path, value.into());
        }
        self
    }

    /// Sets a list, where it has items.
    pub(super) fn list(&mut self, path: &str, items: Vec<String>) -> &mut Self {
        self.set(path, Some(items).filter(|items| !items.is_empty()))
    }

    /// Unsets members.
    ///
    /// # Errors
    /// One is set, too.
    pub(super) fn unset(&mut self, paths: &[String]) -> Result<&mut Self, Failure> {
        for path in paths {
            let empty = if LISTS.contains(&path.as_str()) { json!([]) } else { Value::Null };
            if self.put(path, empty) {
                return Err(Failure::usage(format!("{path} is both given and unset")));
            }
        }
        Ok(self)
    }

    /// Puts a value; returns whether there was one.
    fn put(&mut self, path: &str, value: Value) -> bool {
        let Some((outer, inner)) = path.split_once('.') else {
            return self.0.insert(path.to_owned(), value).is_some();
        };
        match self.0.entry(outer).or_insert_with(|| json!({})) {
            Value::Object(members) => members.insert(inner.to_owned(), value).is_some(),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THING: Noun<2> = Noun {
        word: "thing",
        path: &["things"],
        columns: [("NAME", "name"), ("EMAIL", "contact.email")],
        lines: &[("name", "name"), ("email", "contact.email"), ("scopes", "scopes"), ("grants", "grants")],
        none: "no things yet",
    };

    #[test]
    fn items_are_shown_by_their_members() {
        let item = json!({"name": "a", "contact": {"email": "a@b"}, "scopes": ["x", "y"],
            "grants": [{"rights": ["r", "s"], "organizations": ["o"]}, {"rights": ["r"], "integrations": ["i"]}]});
        assert_eq!(
            THING.item(&item),
            "name    a\nemail   a@b\nscopes  x, y\n\
             grants  rights: r, s; organizations: o\n        rights: r; integrations: i\n"
        );
        assert_eq!(THING.table(&json!([item, {"name": "b", "contact": {}}])), "NAME  EMAIL\na     a@b\nb     -\n");
        assert_eq!(THING.table(&json!([])), "no things yet");
        assert_eq!(THING.item(&json!({"name": "b", "scopes": []})), "name  b\n");
    }

    #[test]
    fn bodies_have_what_was_given_and_nothing_twice() {
        let mut body = Body::default();
        body.set("status", Some("disabled")).set("language", None::<String>).set("contact.name", Some("A"));
        body.list("profiles", vec!["P".to_owned()]).list("scopes", Vec::new());
        body.unset(&["contact.email".to_owned(), "allowed_organizations".to_owned(), "password".to_owned()]).unwrap();
        assert_eq!(
            Value::Object(body.0.clone()),
            json!({"status": "disabled", "contact": {"name": "A", "email": null}, "profiles": ["P"],
                "allowed_organizations": [], "password": null})
        );
        for twice in ["status", "contact.name", "status.x", "profiles"] {
            assert_eq!(body.unset(&[twice.to_owned()]).unwrap_err().code(), 2, "{twice}");
        }
    }
}
