//! The API's description as a page: plain HTML, made once from the document, without scripts and without anything fetched
//! from elsewhere.

use std::fmt::{self, Write as _};

use serde_json::Value;

/// The page's `Content-Security-Policy`: nothing but its own style.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// The page's style.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
    code,pre{font:14px/1.5 ui-monospace,monospace}pre{background:#f5f6f8;padding:.75rem;overflow:auto;border-radius:4px}\
    details{border-top:1px solid #dfe3e8;padding:.5rem 0}summary{cursor:pointer}b.method{display:inline-block;width:4.5rem}\
    td{padding:.1rem 1rem .1rem 0;vertical-align:top}";

/// The page of a document.
pub(super) fn page(document: &Value) -> String {
    let mut page = String::new();
    // Writing to a string can't fail.
    write(&mut page, document).unwrap_or_default();
    page
}

fn write(page: &mut String, document: &Value) -> fmt::Result {
    let title = Text(text(&document["info"], "title"));
    write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
    )?;
    paragraphs(page, text(&document["info"], "description"))?;
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(tag, "name");
        write!(page, "<h2 id={0}>{0}</h2>", Text(name))?;
        paragraphs(page, text(tag, "description"))?;
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == name)) {
                    self::operation(page, method, path, operation)?;
                }
            }
        }
    }
    page.push_str("<h2>Shapes</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let id = Text(name);
        let shape = serde_json::to_string_pretty(schema).unwrap_or_default();
        write!(page, "<details id=\"{id}\"><summary><code>{id}</code></summary><pre>{}</pre></details>", Text(&shape))?;
    }
    Ok(())
}

fn operation(page: &mut String, method: &str, path: &str, operation: &Value) -> fmt::Result {
    write!(
        page,
        "<details><summary><b class=method>{}</b> <code>{}</code> {}</summary>",
        Text(&method.to_uppercase()),
        Text(path),
        Text(text(operation, "summary"))
    )?;
    paragraphs(page, text(operation, "description"))?;
    page.push_str("<table>");
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, place) = (Text(text(parameter, "name")), Text(text(parameter, "in")));
        write!(page, "<tr><td><code>{name}</code><td>{place}<td>{}", Text(text(parameter, "description")))?;
    }
    if !operation["requestBody"].is_null() {
        write!(page, "<tr><td>body<td><td>")?;
        shapes(page, &operation["requestBody"]["content"])?;
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        write!(page, "<tr><td>{}<td>answer<td>{} ", Text(status), Text(text(response, "description")))?;
        shapes(page, &response["content"])?;
    }
    page.push_str("</table></details>");
    Ok(())
}

/// Media types, each with a link to its shape.
fn shapes(page: &mut String, content: &Value) -> fmt::Result {
    for (media_type, content) in content.as_object().into_iter().flatten() {
        match text(&content["schema"], "$ref").rsplit_once('/') {
            Some((_, shape)) => {
                write!(page, "{} <a href=\"#{1}\"><code>{1}</code></a> ", Text(media_type), Text(shape))?
            }
            None => write!(page, "{} ", Text(media_type))?,
        }
    }
    Ok(())
}

fn paragraphs(page: &mut String, text: &str) -> fmt::Result {
    text.split("\n\n").filter(|text| !text.is_empty()).try_for_each(|text| write!(page, "<p>{}</p>", Text(text)))
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// Text as HTML text, or as an attribute's value in double quotes.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_escaped_and_operations_stand_under_their_tag() {
        let page = page(&json!({
            "info": {"title": "<T>"},
            "tags": [{"name": "things", "description": "One.\n\nTwo."}],
            "paths": {"/x": {"get": {"tags": ["things"], "summary": "a \"b\"", "responses": {"200": {"description": "ok",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/X"}}}}}}, "put": {"tags": ["other"]}}},
            "components": {"schemas": {"X": {"type": "string"}}},
        }));
        assert!(page.contains("&lt;T&gt;") && !page.contains("<T>"), "{page}");
        assert!(page.contains("<p>One.</p><p>Two.</p>") && page.contains("a &quot;b&quot;"), "{page}");
        assert!(page.contains("GET</b> <code>/x</code>") && !page.contains("PUT"), "{page}");
        assert!(page.contains("<a href=\"#X\">") && page.contains("<details id=\"X\">"), "{page}");
    }
}
