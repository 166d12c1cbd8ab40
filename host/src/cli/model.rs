//! `tokenhost model …`: OpenAPI documents, imported and looked at.

use std::convert::Infallible;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::exit::Failure;
use super::output::{Output, Pairs, cell, items, member, scalar, table};

/// The largest document that a daemon takes, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// An upload that takes longer shows how far it is.
const SHOW_PROGRESS_AFTER: Duration = Duration::from_secs(2);

/// How much of a document goes out at a time, in bytes.
const CHUNK: usize = 64 * 1024;

/// Integration models: imported OpenAPI documents
#[derive(Debug, clap::Args)]
pub(super) struct Model {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with models.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Import an OpenAPI or Swagger document
    #[command(
        override_usage = "tokenhost model import [NAME] FILE\n       tokenhost model import NAME -\n       tokenhost model import NAME --url URL",
        after_help = "Examples:\n  tokenhost model import crm crm.yaml\n  tokenhost model import crm.json                # the model is called `crm`\n  curl -s https://crm.example/openapi.json | tokenhost model import crm -\n  tokenhost model import crm --url https://crm.example/openapi.json\n  tokenhost model import --replace crm crm.yaml"
    )]
    Import {
        /// The model's name and the document's file; `-` is stdin. Without a name: that of the file
        #[arg(value_name = "NAME | FILE", num_args = 1..=2, required = true)]
        arguments: Vec<String>,
        /// Let the daemon fetch the document from here
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Put it in the place of a model of the same name
        #[arg(long)]
        replace: bool,
        /// The organization that it belongs to; `default`, or where the replaced one was, if not given
        #[arg(long, value_name = "NAME")]
        organization: Option<String>,
    },
    /// List the models
    #[command(after_help = "Examples:\n  tokenhost model list\n  tokenhost model list --json")]
    List,
    /// Show a model: its schemes, the flows that can serve them, warnings
    #[command(after_help = "Examples:\n  tokenhost model show crm\n  tokenhost model show crm --json")]
    Show {
        /// The model
        name: String,
    },
    /// Delete a model that no integration uses
    #[command(after_help = "Examples:\n  tokenhost model delete crm")]
    Delete {
        /// The model
        name: String,
    },
}

impl Model {
    /// Does it.
    ///
    /// # Errors
    /// The command line is wrong, a file can't be read, or the daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self.command {
            Command::Import { arguments, url, replace, organization } => {
                let (name, source) = arguments_of_import(&arguments, url)?;
                let client = self.connection.client()?;
                let model = import(&client, &name, source, replace, organization.as_deref()).await?;
                output.show(&model, show)
            }
            Command::List => {
                let models = self.connection.client()?.list(&["models"], &[]).await?;
                output.show(&Value::Array(models), list)
            }
            Command::Show { name } => {
                let model = self.connection.client()?.get(&["models", &name], &[]).await?;
                output.show(&model, show)
            }
            Command::Delete { name } => {
                self.connection.client()?.call(Method::DELETE, &["models", &name], &[], None).await?;
                output.show(&json!({"deleted": name}), |_| format!("model {name} is deleted"))
            }
        }
    }
}

/// Where a document comes from.
#[derive(Debug, PartialEq, Eq)]
enum Document {
    /// A file.
    File(String),
    /// stdin.
    Stdin,
    /// The daemon fetches it.
    Url(String),
}

/// The model's name and the document's place.
fn arguments_of_import(arguments: &[String], url: Option<String>) -> Result<(String, Document), Failure> {
    match (arguments, url) {
        ([name], Some(url)) => Ok((name.clone(), Document::Url(url))),
        (_, Some(_)) => Err(Failure::usage("with --url there is a name and no file")),
        ([file], None) if file == "-" => Err(Failure::usage("a document from stdin needs a name before the `-`")),
        ([file], None) if is_url(file) => Err(from_url(file)),
        ([file], None) => match name_of(file) {
            Some(name) => Ok((name, Document::File(file.clone()))),
            None => Err(Failure::usage(format!("no name can be made of {file:?}; give one before the file"))),
        },
        ([name, file], None) if file == "-" => Ok((name.clone(), Document::Stdin)),
        ([_, file], None) if is_url(file) => Err(from_url(file)),
        ([name, file], None) => Ok((name.clone(), Document::File(file.clone()))),
        _ => Err(Failure::usage("a file is needed, `-` or --url")),
    }
}

/// Whether it looks like a URL.
fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// A URL stands where a file was expected.
fn from_url(url: &str) -> Failure {
    Failure::usage("a document from the web is fetched by the daemon")
        .hint(format!("tokenhost model import NAME --url {url}"))
}

/// A model's name out of a file's: `My CRM.yaml` is `my-crm`.
fn name_of(file: &str) -> Option<String> {
    let stem = Path::new(file).file_stem()?.to_str()?.to_lowercase();
    let name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect();
    let name: String = name.trim_matches(['.', '_', '-']).chars().take(64).collect();
    (!name.is_empty()).then_some(name)
}

/// Imports a document, and gives the model.
async fn import(
    client: &Client,
    name: &str,
    source: Document,
    replace: bool,
    organization: Option<&str>,
) -> Result<Value, Failure> {
    // A new model is posted under its name; one that replaces is put in its place.
    let (method, path): (_, &[&str]) =
        if replace { (Method::PUT, &["models", name]) } else { (Method::POST, &["models"]) };
    let named = Some(("name", name)).filter(|_| !replace);
    let query: Vec<_> =
        named.into_iter().chain(organization.map(|organization| ("organization", organization))).collect();
    let (bytes, file) = match source {
        Document::Url(url) => {
            return client.call(method, path, &query, Some(&json!({"url": url}))).await;
        }
        Document::Stdin => (read(std::io::stdin().lock(), "stdin")?, "-".to_owned()),
        Document::File(file) => {
            let open = std::fs::File::open(&file)
                .map_err(|error| Failure::failed(format!("{file} can't be read: {error}")))?;
            (read(open, &file)?, file)
        }
    };
    let length = bytes.len();
    let content_type = if is_json(&bytes) { "application/json" } else { "application/yaml" };
    client.upload(method, path, &query, content_type, length, chunked(bytes, file)).await
}

/// Whether a document is JSON rather than YAML: its first character says so.
fn is_json(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// The whole document.
fn read(reader: impl Read, place: &str) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    reader
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::failed(format!("{place} can't be read: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::failed(format!("{place} is larger than 64 MiB, the most that is imported")));
    }
    Ok(bytes.into())
}

/// The document in pieces; at a terminal, one that takes long shows on stderr how far it is.
fn chunked(bytes: Bytes, file: String) -> reqwest::Body {
    let began = Instant::now();
    let total = bytes.len();
    let at_terminal = std::io::stderr().is_terminal();
    let mut shown = false;
    let pieces = (0..total).step_by(CHUNK).map(move |start| {
        let end = (start + CHUNK).min(total);
        if at_terminal && began.elapsed() >= SHOW_PROGRESS_AFTER {
            shown = true;
            eprint!("\rsending {file}: {} of {} MiB", end >> 20, total >> 20);
        }
        if shown && end == total {
            eprintln!();
        }
        Ok::<_, Infallible>(bytes.slice(start..end))
    });
    reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
}

/// Models as a table.
fn list(models: &Value) -> String {
    let rows: Vec<_> = models
        .as_array()
        .into_iter()
        .flatten()
        .map(|model| ["name", "organization", "title", "version", "imported_at"].map(|member| cell(model, member)))
        .collect();
    if rows.is_empty() {
        return "no models yet; `tokenhost model import FILE` makes one".to_owned();
    }
    table(["NAME", "ORGANIZATION", "TITLE", "VERSION", "IMPORTED"], &rows)
}

/// One model.
fn show(model: &Value) -> String {
    let mut pairs = Pairs::default();
    pairs
        .add("model", member(model, "name"))
        .add("organization", member(model, "organization"))
        .add("title", member(model, "title"))
        .add("version", member(model, "version"))
        .add(
            "servers",
            Some(items(model, "servers").iter().filter_map(server).collect::<Vec<_>>().join("\n"))
                .filter(|text| !text.is_empty()),
        )
        .add("imported", member(model, "imported_at"));
    let mut text = pairs.to_text("");
    let rows: Vec<_> =
        items(model, "schemes").iter().map(|scheme| [cell(scheme, "name"), kind(scheme), served_by(scheme)]).collect();
    text += "\n";
    text += &if rows.is_empty() {
        "It has no security schemes.\n".to_owned()
    } else {
        table(["SCHEME", "TYPE", "FLOWS THAT CAN SERVE IT"], &rows)
    };
    let warnings = items(model, "warnings");
    if !warnings.is_empty() {
        text += "\nWarnings:\n";
        for warning in warnings {
            text += &format!("  {}\n", self::warning(warning));
        }
    }
    text
}

/// A server's URL: a string, or an object with one.
fn server(server: &Value) -> Option<String> {
    member(server, "url").or_else(|| scalar(server))
}

/// A warning, and where in the document.
fn warning(warning: &Value) -> String {
    match (member(warning, "message"), member(warning, "pointer")) {
        (Some(message), Some(pointer)) if !pointer.is_empty() => format!("{pointer}: {message}"),
        (Some(message), _) => message,
        (None, _) => scalar(warning).unwrap_or_default(),
    }
}

/// `oauth2 (clientCredentials, password)`, or why the scheme can't be used.
fn kind(scheme: &Value) -> String {
    let kind = cell(scheme, "type");
    match member(scheme, "flows").or_else(|| member(scheme, "scheme")).filter(|detail| !detail.is_empty()) {
        Some(detail) => format!("{kind} ({detail})"),
        None => kind,
    }
}

/// The names of the flows, or that there are none.
fn served_by(scheme: &Value) -> String {
    match member(scheme, "served_by").filter(|flows| !flows.is_empty()) {
        Some(flows) => flows,
        None => member(scheme, "unusable").unwrap_or_else(|| "none installed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_finds_name_and_document() {
        let check = |arguments: &[&str], url: Option<&str>, expected: Option<(&str, Document)>| {
            let words: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
            let got = arguments_of_import(&words, url.map(str::to_owned)).ok();
            assert_eq!(got, expected.map(|(name, document)| (name.to_owned(), document)), "{arguments:?}");
        };
        check(&["crm", "a.yaml"], None, Some(("crm", Document::File("a.yaml".into()))));
        check(&["/tmp/My CRM.v2.yaml"], None, Some(("my-crm.v2", Document::File("/tmp/My CRM.v2.yaml".into()))));
        check(&["crm", "-"], None, Some(("crm", Document::Stdin)));
        check(&["crm"], Some("https://a/b"), Some(("crm", Document::Url("https://a/b".into()))));
        check(&["-"], None, None);
        check(&["crm", "a.yaml"], Some("https://a/b"), None);
        check(&["https://a/b.json"], None, None);
        check(&["crm", "https://a/b.json"], None, None);
        check(&["..."], None, None);
    }

    #[test]
    fn json_is_told_from_yaml() {
        for (text, expected) in
            [("{}", true), (" \n{", true), ("\u{feff}{", true), ("openapi: 3.1.0", false), ("", false)]
        {
            assert_eq!(is_json(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_model_shows_schemes_flows_and_warnings() {
        let text = show(&json!({
            "name": "crm", "title": "CRM", "version": "1.2", "servers": ["https://crm.example"],
            "warnings": [{"pointer": "/paths", "message": "is no object"}, {"pointer": "", "message": "plain"}],
            "schemes": [
                {"name": "oauth2", "type": "oauth2", "flows": ["clientCredentials"], "served_by": ["client-credentials"]},
                {"name": "key", "type": "apiKey", "flows": [], "served_by": []},
            ],
        }));
        assert_eq!(
            text,
            "model    crm\ntitle    CRM\nversion  1.2\nservers  https://crm.example\n\n\
             SCHEME  TYPE                        FLOWS THAT CAN SERVE IT\n\
             oauth2  oauth2 (clientCredentials)  client-credentials\n\
             key     apiKey                      none installed\n\n\
             Warnings:\n  /paths: is no object\n  plain\n"
        );
    }
}
