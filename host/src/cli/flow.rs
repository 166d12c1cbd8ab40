//! `tokenhost flow …`: the flow plugins of a daemon. What works on a component's file without a daemon is in `plugin`.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Connection;
use super::exit::Failure;
use super::output::{Output, Pairs, cell, items, member, scalar, table};

/// The largest component that is sent, in bytes. A Python component has some 18 MB.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Flow plugins of the daemon
#[derive(Debug, clap::Args)]
pub(super) struct Flow {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with flows.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the flows
    #[command(after_help = "Examples:\n  tokenhost flow list\n  tokenhost flow list --json")]
    List,
    /// Show a flow: the schemes it serves and the fields it asks for
    #[command(after_help = "Examples:\n  tokenhost flow show client-credentials")]
    Show {
        /// The flow
        name: String,
    },
    /// Install a component as a flow, or another version of one
    #[command(after_help = "Examples:\n  tokenhost plugin check my-flow.wasm && tokenhost flow install my-flow.wasm")]
    Install {
        /// The component
        file: PathBuf,
    },
    /// Go back to the component that was served before the last installation
    #[command(after_help = "Examples:\n  tokenhost flow rollback my-flow")]
    Rollback {
        /// The flow
        name: String,
    },
    /// Remove an installed flow
    #[command(after_help = "Examples:\n  tokenhost flow remove my-flow")]
    Remove {
        /// The flow
        name: String,
    },
}

impl Flow {
    /// Does it.
    ///
    /// # Errors
    /// A file can't be read, or the daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.connection.client()?;
        match self.command {
            Command::List => {
                let flows = client.list(&["flows"], &[]).await?;
                output.show(&Value::Array(flows), list)
            }
            Command::Show { name } => output.show(&client.get(&["flows", &name], &[]).await?, show),
            Command::Install { file } => {
                let place = file.display();
                let component =
                    std::fs::read(&file).map_err(|error| Failure::failed(format!("{place} can't be read: {error}")))?;
                if component.len() as u64 > LARGEST {
                    return Err(Failure::failed(format!("{place} is larger than 64 MiB")));
                }
                let bytes = component.len();
                let answer =
                    client.upload(Method::POST, &["flows"], &[], "application/wasm", bytes, component.into()).await?;
                output.show(&answer.document, |flow| format!("{} is installed", identity(flow)))
            }
            Command::Rollback { name } => {
                let answer = client.call(Method::POST, &["flows", &name, "rollback"], &[], None).await?;
                output.show(&answer.document, |flow| format!("{} is served again", identity(flow)))
            }
            Command::Remove { name } => {
                client.call(Method::DELETE, &["flows", &name], &[], None).await?;
                output.show(&json!({"removed": name}), |_| format!("flow {name} is removed"))
            }
        }
    }
}

/// Flows as a table.
fn list(flows: &Value) -> String {
    let rows: Vec<_> = flows
        .as_array()
        .into_iter()
        .flatten()
        .map(|flow| [cell(flow, "name"), cell(flow, "version"), cell(flow, "title"), digest(flow)])
        .collect();
    if rows.is_empty() {
        return "no flows; is TOKENHOST_FLOWS of the daemon right?".to_owned();
    }
    table(["NAME", "VERSION", "TITLE", "SHA-256"], &rows)
}

/// A flow's name, version and abbreviated digest.
fn identity(flow: &Value) -> String {
    format!("flow {} {} (sha256:{})", cell(flow, "name"), cell(flow, "version"), digest(flow))
}

/// The first characters of a component's digest.
fn digest(flow: &Value) -> String {
    member(flow, "sha256").map_or_else(|| "-".to_owned(), |digest| digest.chars().take(12).collect())
}

/// One flow: what it says of itself.
pub(super) fn show(flow: &Value) -> String {
    let mut pairs = Pairs::default();
    pairs.add("flow", member(flow, "name"));
    pairs.add("version", member(flow, "version"));
    pairs.add("title", member(flow, "title"));
    pairs.add("sha256", member(flow, "sha256"));
    pairs.add("contract", member(flow, "contract"));
    let schemes: Vec<String> = items(flow, "handles").iter().map(scheme).collect();
    pairs.add("serves", Some(schemes.join(", ")).filter(|text| !text.is_empty()));
    let person = flow.get("unattended").and_then(Value::as_bool).map(|unattended| !unattended);
    pairs.add("a person", person.map(|needed| if needed { "is needed" } else { "is not needed" }.to_owned()));
    let mut text = pairs.to_text("");
    if let Some(summary) = member(flow, "summary") {
        text += &format!("\n{summary}\n");
    }
    let rows: Vec<_> = items(flow, "fields")
        .iter()
        .map(|field| [cell(field, "name"), kind(field), required(field), default(field), cell(field, "title")])
        .collect();
    if !rows.is_empty() {
        text += "\n";
        text += &table(["FIELD", "KIND", "REQUIRED", "DEFAULT", "TITLE"], &rows);
    }
    text
}

/// `oauth2 clientCredentials`.
fn scheme(scheme: &Value) -> String {
    match scheme {
        Value::Object(_) => {
            [member(scheme, "kind"), member(scheme, "detail")].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        other => scalar(other).unwrap_or_default(),
    }
}

/// What values a field takes: `secret`, or `basic | post | none`.
fn kind(field: &Value) -> String {
    let choices: Vec<String> = items(field, "choices").iter().filter_map(scalar).collect();
    if choices.is_empty() { cell(field, "kind") } else { choices.join(" | ") }
}

/// `always`, `never`, or the condition.
fn required(field: &Value) -> String {
    match field.get("required") {
        Some(Value::Object(condition)) => {
            let condition = condition.get("when").unwrap_or(&Value::Null);
            format!("if {} is {}", cell(condition, "field"), cell(condition, "one_of").replace(", ", " or "))
        }
        Some(Value::String(text)) if text == "never" => "no".to_owned(),
        _ => cell(field, "required"),
    }
}

/// The default, or where in the document the first value is.
fn default(field: &Value) -> String {
    match (member(field, "default"), member(field, "source")) {
        (Some(default), _) => default,
        (None, Some(source)) => format!("the document's {source}"),
        (None, None) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_shows_its_fields() {
        let flow = json!({
            "name": "client-credentials", "version": "0.1.0", "title": "Client credentials", "sha256": "abcdef0123456789",
            "unattended": true, "summary": "For machines.",
            "handles": [{"kind": "oauth2", "detail": "clientCredentials"}, {"kind": "named", "detail": null}],
            "fields": [
                {"name": "client_id", "title": "Client ID", "kind": "text", "required": "always"},
                {"name": "client_secret", "title": "Client secret", "kind": "secret",
                 "required": {"when": {"field": "client_auth", "one_of": ["basic", "post"]}}},
                {"name": "client_auth", "title": "How", "kind": "choice", "choices": ["basic", "none"], "required": "never", "default": "basic"},
                {"name": "token_url", "title": "Token URL", "kind": "url", "required": "always", "source": "tokenUrl"},
            ],
        });
        let text = show(&flow);
        for line in [
            "serves    oauth2 clientCredentials, named",
            "a person  is not needed",
            "FIELD          KIND          REQUIRED                         DEFAULT                  TITLE",
            "client_id      text          always                           -                        Client ID",
            "client_secret  secret        if client_auth is basic or post  -                        Client secret",
            "client_auth    basic | none  no                               basic                    How",
            "token_url      url           always                           the document's tokenUrl  Token URL",
        ] {
            assert!(text.lines().any(|got| got == line), "{line}\nis not in\n{text}");
        }
        assert_eq!(digest(&flow), "abcdef012345");
    }
}
