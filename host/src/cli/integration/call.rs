//! `tokenhost integration call` and `authorize`: an operation of the service called, or what to add to a request of one's own.
//!
//! Values go to the daemon as they are typed; it knows the document, and says what is wrong with them.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::super::client::Client;
use super::super::exit::{Exit, Failure};
use super::super::output::{Output, cell, items};
use super::super::values::assignment;

/// The largest body that is read, in bytes; the daemon's limit holds beside it.
const LARGEST: u64 = 16 << 20;

/// Which operation of which integration.
#[derive(Debug, clap::Args)]
struct Target {
    /// The integration
    name: String,
    /// The operation's id; or its method, with PATH
    operation: String,
    /// The operation's path as the document writes it, e.g. /contacts/{id}
    path: Option<String>,
}

/// An operation to call.
#[derive(Debug, clap::Args)]
pub(super) struct Call {
    /// Which.
    #[command(flatten)]
    target: Target,
    /// A parameter: NAME=TEXT, or NAME:=JSON; given several times, a list. Where a name stands in several places: path.NAME,
    /// query.NAME, header.NAME or cookie.NAME
    #[arg(short = 'p', long = "parameter", value_name = "NAME=TEXT")]
    parameters: Vec<String>,
    /// The file with the body, or - for stdin; JSON is sent as JSON, other text as text, else as bytes
    #[arg(long, value_name = "FILE|-", allow_hyphen_values = true)]
    body: Option<String>,
    /// The body's media type [default: the first of the document's that fits]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// A further header, e.g. Idempotency-Key=42
    #[arg(long = "header", value_name = "NAME=TEXT")]
    headers: Vec<String>,
    /// Seconds to wait for the service [default: the integration's]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Write the answer's body to this file
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A request to authorize.
#[derive(Debug, clap::Args)]
pub(super) struct Authorize {
    /// Which.
    #[command(flatten)]
    target: Target,
    /// At least so many seconds must be left, as far as tokens last that long
    #[arg(long, value_name = "SECONDS")]
    min_ttl: Option<u64>,
    /// The hexadecimal SHA-256 of the request's body, where requests are signed
    #[arg(long, value_name = "HEX")]
    body_sha256: Option<String>,
}

impl Target {
    /// What names the operation in a request to the daemon.
    fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        // `GET /contacts/{id}` may come as one argument, too.
        let parts = match &self.path {
            Some(path) => Some((self.operation.as_str(), path.as_str())),
            None => self.operation.split_once(' ').filter(|(_, path)| path.starts_with('/')),
        };
        match parts {
            None => drop(body.insert("operation_id".to_owned(), self.operation.as_str().into())),
            Some((method, path)) => {
                body.insert("method".to_owned(), method.into());
                body.insert("path".to_owned(), path.into());
            }
        }
        body
    }
}

impl Call {
    /// Calls it, and prints the answer's body. The exit code is 1 where the service's status is 400 or more.
    ///
    /// # Errors
    /// The command line is wrong, a file can't be read or written, or there is no answer.
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let mut body = self.target.body();
        body.insert("parameters".to_owned(), Value::Object(parameters(&self.parameters)?));
        if let Some(file) = &self.body {
            body.insert("body".to_owned(), content(&read(file)?, self.content_type.as_deref()));
        }
        let mut headers = Map::new();
        for header in &self.headers {
            let (name, value) = assignment("--header", header)?;
            headers.insert(name, value.into());
        }
        body.insert("headers".to_owned(), Value::Object(headers));
        body.extend(self.content_type.map(|content_type| ("content_type".to_owned(), content_type.into())));
        body.extend(self.timeout.map(|seconds| ("timeout".to_owned(), seconds.into())));
        let path = ["integrations", self.target.name.as_str(), "call"];
        let mut answer = client.call(Method::POST, &path, &[], Some(&Value::Object(body))).await?;
        if let Some(file) = &self.output {
            write(file, &answer)?;
            if let Some(members) = answer.as_object_mut() {
                members.shift_remove("body");
                members.shift_remove("body_base64");
            }
        }
        if !output.is_json() {
            output.note(&summary(&answer));
        }
        output.show(&answer, text)?;
        let status = answer.get("status").and_then(Value::as_u64).unwrap_or_default();
        if status < 400 { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
    }
}

impl Authorize {
    /// Prints what to add: headers as `Name: value`, of which `curl -H @-` makes use.
    ///
    /// # Errors
    /// The command line is wrong, or there are no credentials.
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let mut body = self.target.body();
        body.extend(self.min_ttl.map(|seconds| ("min_ttl".to_owned(), seconds.into())));
        body.extend(self.body_sha256.map(|digest| ("body_sha256".to_owned(), digest.into())));
        let path = ["integrations", self.target.name.as_str(), "authorize"];
        let answer = client.call(Method::POST, &path, &[], Some(&Value::Object(body))).await?;
        if !output.is_json() && members(&answer, "query").next().is_some() {
            output.note("there are query parameters to add too; --json shows them");
        }
        output.show(&answer, |answer| {
            let headers = members(answer, "headers").map(|(name, value)| format!("{name}: {value}"));
            let cookies: Vec<_> = members(answer, "cookies").map(|(name, value)| format!("{name}={value}")).collect();
            let cookies = (!cookies.is_empty()).then(|| format!("cookie: {}", cookies.join("; ")));
            headers.chain(cookies).collect::<Vec<_>>().join("\n")
        })
    }
}

/// Parameters by name; one that is given several times is a list.
fn parameters(given: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut parameters: Map<String, Value> = Map::new();
    for text in given {
        let (name, value) = assignment("--parameter", text)?;
        let (name, value) = match name.strip_suffix(':') {
            Some(name) => {
                let read = serde_json::from_str(&value);
                (
                    name.to_owned(),
                    read.map_err(|error| Failure::usage(format!("--parameter {name}:= takes JSON: {error}")))?,
                )
            }
            None => (name, Value::from(value)),
        };
        match parameters.get_mut(&name) {
            None => drop(parameters.insert(name, value)),
            Some(Value::Array(several)) => several.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
    Ok(parameters)
}

/// The bytes of a file or stdin.
fn read(file: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = match file {
        "-" => std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes),
        file => std::fs::File::open(Path::new(file)).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| Failure::usage(format!("--body: {file} can't be read: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::usage(format!("--body: {file} has more than {LARGEST} bytes"))
            .hint("Send it through …/proxy/PATH."));
    }
    Ok(bytes)
}

/// A body as the daemon takes it.
fn content(bytes: &[u8], content_type: Option<&str>) -> Value {
    let takes_json = content_type.is_none_or(|content_type| {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        essence.ends_with("json") || essence.ends_with("form-data") || essence.ends_with("form-urlencoded")
    });
    if takes_json && let Ok(value) = serde_json::from_slice(bytes) {
        return value;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({"base64": STANDARD.encode(bytes)}),
    }
}

/// Writes the answer's body to a file.
fn write(file: &Path, answer: &Value) -> Result<(), Failure> {
    let bytes = match (answer.get("body"), answer.get("body_base64").and_then(Value::as_str)) {
        (_, Some(encoded)) => STANDARD.decode(encoded).unwrap_or_default(),
        (Some(Value::String(text)), None) => text.clone().into_bytes(),
        (Some(document), None) => format!("{document:#}\n").into_bytes(),
        (None, None) => Vec::new(),
    };
    let written = std::fs::File::create(file).and_then(|mut file| file.write_all(&bytes));
    written.map_err(|error| Failure::failed(format!("{} can't be written: {error}", file.display())))
}

/// The answer's body.
fn text(answer: &Value) -> String {
    match (answer.get("body"), answer.get("body_base64").and_then(Value::as_str)) {
        (_, Some(encoded)) => {
            let bytes = STANDARD.decode(encoded).unwrap_or_default().len();
            format!("({bytes} bytes that are no text; --output FILE writes them)")
        }
        (Some(Value::String(text)), None) => text.clone(),
        (Some(document), None) => format!("{document:#}"),
        (None, None) => String::new(),
    }
}

/// Status, time and tokens, in one line.
fn summary(answer: &Value) -> String {
    let number = |pointer: &str| answer.pointer(pointer).and_then(Value::as_f64).unwrap_or_default();
    let is = |pointer: &str| answer.pointer(pointer) == Some(&Value::Bool(true));
    let mut text = format!("{} in {:.0} ms", cell(answer, "status"), number("/timing/total_ms"));
    let tokens = answer.get("done").map(|done| items(done, "tokens")).unwrap_or_default();
    for token in tokens {
        text += &format!(", {} generation {}", cell(token, "scheme"), cell(token, "generation"));
    }
    if is("/done/renewed") {
        text += ", renewed";
    }
    if is("/done/retried") {
        text += ", sent twice: the service refused the first token";
    }
    text
}

/// The members of an object as text.
fn members<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a str)> {
    let members = answer.get(name).and_then(Value::as_object).into_iter().flatten();
    members.map(|(name, value)| (name, value.as_str().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_text_or_json_or_lists() {
        let given = ["a=1=2", "b:=[1]", "c=x", "c=y", "c=z", "d="].map(str::to_owned);
        let expected = json!({"a": "1=2", "b": [1], "c": ["x", "y", "z"], "d": ""});
        assert_eq!(Value::Object(parameters(&given).unwrap()), expected);
        assert!(parameters(&["a".to_owned()]).is_err() && parameters(&["a:=x".to_owned()]).is_err());
    }

    #[test]
    fn a_body_is_json_or_text_or_bytes() {
        assert_eq!(content(b"{\"a\":1}", None), json!({"a": 1}));
        assert_eq!(content(b"{\"a\":1}", Some("text/plain")), json!("{\"a\":1}"));
        assert_eq!(content(b"a", None), json!("a"));
        assert_eq!(content(b"\xff", None), json!({"base64": "/w=="}));
    }

    #[test]
    fn an_answer_is_told_in_one_line() {
        let answer = json!({
            "status": 200, "timing": {"total_ms": 12.34},
            "done": {"tokens": [{"scheme": "oauth", "generation": 3}], "renewed": true, "retried": true, "attempts": 2}
        });
        assert_eq!(
            summary(&answer),
            "200 in 12 ms, oauth generation 3, renewed, sent twice: the service refused the first token"
        );
        assert_eq!(text(&json!({"body_base64": "/w=="})), "(1 bytes that are no text; --output FILE writes them)");
    }
}
