//! The inputs of an integration's forms as the API takes them. What a flow's fields mean, and whether they are right, the API
//! says.

use serde_json::{Map, Value, json};

use super::change::number;
use super::fields::{FIELD, Fields, SECRET};

/// How the names of secret inputs begin that belong to connections and not to the flow.
const TRANSPORT: &str = "transport.";
/// What connections need below HTTP, and isn't secret.
const TRANSPORTS: [&str; 3] = ["ca", "proxy", "client_certificate"];

/// Values by field name. An emptied field is null, and so falls back to its default; an empty secret stays as it is.
pub(super) fn values(fields: &Fields) -> Value {
    let mut values = Map::new();
    for (name, value) in fields.under(FIELD) {
        let value = value.trim();
        values.insert(name.to_owned(), if value.is_empty() { Value::Null } else { value.into() });
    }
    for name in fields.all("unset") {
        values.insert(name.to_owned(), Value::Null);
    }
    for (name, value) in fields.under(SECRET).filter(|(name, value)| !name.starts_with(TRANSPORT) && !value.is_empty())
    {
        values.insert(name.to_owned(), lines(value).into());
    }
    Value::Object(values)
}

/// A change of an integration: of its own scheme and its settings, or of the further scheme that the form names.
pub(super) fn change(fields: &Fields) -> Value {
    if let Some(scheme) = fields.text("scheme") {
        return json!({"schemes": {scheme: {"fields": values(fields)}}});
    }
    let mut change = settings(fields);
    change.insert("fields".to_owned(), values(fields));
    Value::Object(change)
}

/// What isn't a field of the flow: server, organization, transport and how tokens are handled. Only what is another than it was
/// is asked for, since some of it needs further rights.
pub(super) fn settings(fields: &Fields) -> Map<String, Value> {
    let is_new = |name: &str| {
        let was = format!("was.{name}");
        fields.under(name).any(|(rest, _)| rest.is_empty()) && fields.text(name) != fields.text(&was)
    };
    let given = |name: &str| fields.text(name).map_or(Value::Null, |value| lines(value).into());
    let mut change = Map::new();
    if is_new("server") {
        change.insert("server".to_owned(), given("server"));
    }
    if is_new("organization") {
        change.insert("organization".to_owned(), given("organization"));
    }
    let mut transport = Map::new();
    for member in TRANSPORTS {
        let name = format!("{TRANSPORT}{member}");
        if is_new(&name) {
            transport.insert(member.to_owned(), given(&name));
        }
    }
    if let Some(key) = fields.exact("secret.transport.client_key") {
        transport.insert("client_key".to_owned(), lines(key).into());
    }
    if !transport.is_empty() {
        change.insert("transport".to_owned(), transport.into());
    }
    let mut settings = Map::new();
    if is_new("settings.default_lifetime") {
        let text = fields.text("settings.default_lifetime");
        let value = text.map_or(Value::Null, number);
        settings.insert("default_lifetime".to_owned(), value);
    }
    if is_new("settings.uncertain") {
        settings.insert("uncertain".to_owned(), given("settings.uncertain"));
    }
    if !settings.is_empty() {
        change.insert("settings".to_owned(), settings.into());
    }
    change
}

/// Text with the line breaks that it had before a form was made of it.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_touched_is_changed() {
        let check = |pairs: &[(&str, &str)], expected: Value| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(change(&Fields::of(pairs)), expected);
        };
        check(
            &[
                ("field.client_id", " x "),
                ("field.scope", ""),
                ("secret.client_secret", ""),
                ("secret.key", "a\r\nb"),
                ("unset", "old"),
                ("server", "https://a"),
                ("was.server", "https://a"),
                ("transport.proxy", ""),
                ("was.transport.proxy", "http://p"),
                ("transport.ca", ""),
                ("was.transport.ca", ""),
                ("settings.default_lifetime", "60"),
            ],
            json!({"fields": {"client_id": "x", "scope": null, "key": "a\nb", "old": null},
                "transport": {"proxy": null}, "settings": {"default_lifetime": 60}}),
        );
        check(
            &[("scheme", "api key"), ("field.client_id", "x"), ("server", "https://b")],
            json!({"schemes": {"api key": {"fields": {"client_id": "x"}}}}),
        );
        check(&[("secret.transport.client_key", "k")], json!({"fields": {}, "transport": {"client_key": "k"}}));
        check(
            &[("settings.default_lifetime", "soon")],
            json!({"fields": {}, "settings": {"default_lifetime": "soon"}}),
        );
    }
}
