//! `tokenhost integration …`: configured instances of a model, made, looked at, changed, tested.

mod call;
mod connect;
mod inputs;

use reqwest::Method;
use serde_json::{Map, Value, json};

use self::call::{Authorize, Call};
use self::connect::Connect;
use self::inputs::Inputs;
use super::attempt;
use super::client::{Client, Connection};
use super::exit::{Exit, Failure};
use super::output::{Output, Pairs, can_ask, cell, items, member, scalar, table};
use super::values::SecretReader;

/// Integrations: a model, a scheme, a flow, and the values that the flow needs
#[derive(Debug, clap::Args)]
pub(super) struct Integration {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with integrations.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make an integration of a model
    #[command(
        after_help = "A secret is never written on the command line, where `ps` and the shell's history show it: it is read from a file (NAME=@FILE), stdin (NAME=-) or an environment variable (NAME=env:VARIABLE). At a terminal, what is missing is asked for.\n\nExamples:\n  tokenhost integration create crm-prod --model crm --field client_id=abc \\\n      --secret client_secret=@secret.txt\n  pass show crm | tokenhost integration create crm-prod --model crm --field client_id=abc \\\n      --secret client_secret=-\n  tokenhost integration create crm-prod --model crm --scheme oauth2 --flow password \\\n      --server https://eu.crm.example --fields crm.toml --secret password=env:CRM_PASSWORD\n  tokenhost integration create crm-prod --model crm --scheme oauth2 --field client_id=abc \\\n      --secret client_secret=@secret.txt --bind api_key --secret api_key/api_key=@key.txt"
    )]
    Create {
        /// The new integration's name
        name: String,
        /// The model
        #[arg(long)]
        model: String,
        /// The security scheme; needed where the model has several and doesn't say by itself which is meant
        #[arg(long)]
        scheme: Option<String>,
        /// The flow; needed where several can serve the scheme
        #[arg(long)]
        flow: Option<String>,
        /// Fields, secrets, connection.
        #[command(flatten)]
        inputs: Box<Inputs>,
    },
    /// List the integrations
    #[command(after_help = "Examples:\n  tokenhost integration list\n  tokenhost integration list --json")]
    List,
    /// Show an integration and how its token is; secrets only as set or not
    #[command(
        after_help = "Examples:\n  tokenhost integration show crm-prod\n  tokenhost integration show crm-prod --json"
    )]
    Show {
        /// The integration
        name: String,
    },
    /// Change fields, secrets or the connection of an integration
    #[command(
        alias = "change",
        after_help = "Who changes where an integration's requests go (a URL's origin, the server, the proxy, the CA) gives its secrets anew in the same command; else they and the token are dropped.\n\nExamples:\n  tokenhost integration set crm-prod --secret client_secret=@new-secret.txt\n  tokenhost integration set crm-prod --field scope='read write' --unset audience\n  tokenhost integration set crm-prod --bind signed=http-basic --field signed/username=ada --secret signed/password=-\n  tokenhost integration set crm-prod --unset schemes.signed --calls calls.toml\n  tokenhost integration set crm-prod --proxy http://proxy.example:3128 --secret client_secret=-"
    )]
    Set {
        /// The integration
        name: String,
        /// Fields, secrets, connection.
        #[command(flatten)]
        inputs: Box<Inputs>,
        /// A field to clear; also `server`, `transport.proxy`, `settings.default_lifetime`, `schemes.SCHEME` and the like
        #[arg(long, value_name = "NAME")]
        unset: Vec<String>,
    },
    /// Delete an integration, its secrets and its token
    #[command(
        after_help = "Where the flow can, the token is revoked at the provider first.\n\nExamples:\n  tokenhost integration delete crm-prod\n  tokenhost integration delete crm-prod --no-revoke"
    )]
    Delete {
        /// The integration
        name: String,
        /// Leave the token as it is at the provider
        #[arg(long)]
        no_revoke: bool,
    },
    /// Tell in one line whether a token can be had, and if not, why and which field to look at
    #[command(
        after_help = "Makes a real attempt. Exit code 0: a token can be had; 1: it can't.\n\nExamples:\n  tokenhost integration test crm-prod"
    )]
    Test {
        /// The integration
        name: String,
    },
    /// Connect an integration whose flow needs a person: tell them what to do, and wait until there is a token
    #[command(
        after_help = "The person opens a page in a browser, signs in at the provider and consents; or enters a code there. The integration's present token is used until then. Exit code 0: it is connected; 1: it isn't.\n\nExamples:\n  tokenhost integration connect crm-prod\n  tokenhost integration connect crm-prod --no-browser\n  tokenhost integration connect crm-prod --no-wait --json"
    )]
    Connect(Connect),
    /// Call an operation of the service: with its parameters checked, and the credentials that it needs
    #[command(
        after_help = "All that is wrong with the parameters is told at once, and nothing is sent then. The body of the answer goes to stdout, its status to stderr; --json prints all of it. Exit code 0: the status is below 400; 1: it isn't.\n\nExamples:\n  tokenhost integration call crm-prod listContacts -p limit=10 -p tag=new -p tag=vip\n  tokenhost integration call crm-prod GET '/contacts/{id}' -p id=42 --json\n  tokenhost integration call crm-prod addContact --body contact.json --header Idempotency-Key=42\n  echo '{\"name\":\"Ada\"}' | tokenhost integration call crm-prod addContact --body -"
    )]
    Call(Box<Call>),
    /// Print the headers that a request of one's own needs
    #[command(
        after_help = "Query parameters and cookies, where there are some, stand in what --json prints.\n\nExamples:\n  tokenhost integration authorize crm-prod listContacts | curl -H @- https://crm.example/api/contacts\n  tokenhost integration authorize crm-prod GET /contacts/42 --json"
    )]
    Authorize(Authorize),
    /// Have the flow's present component read an answer that an earlier one couldn't
    #[command(
        after_help = "For after `flow upgrade`: where a provider's answer held a token that the earlier component couldn't read, it was kept. Exit code 0: a token came of it; 1: none did, and why.\n\nExamples:\n  tokenhost integration reparse crm-prod"
    )]
    Reparse {
        /// The integration
        name: String,
    },
    /// List the last attempts to get a token, newest first
    #[command(after_help = "Examples:\n  tokenhost integration attempts crm-prod")]
    Attempts {
        /// The integration
        name: String,
    },
    /// Show an attempt step by step, secrets as names
    #[command(after_help = "Examples:\n  tokenhost integration attempt crm-prod 01JD3Q5Z8Y0000000000000000")]
    Attempt {
        /// The integration
        name: String,
        /// The attempt, as `integration attempts` lists it
        id: String,
    },
}

impl Integration {
    /// Does it.
    ///
    /// # Errors
    /// The command line is wrong, a secret can't be read, or the daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self.command {
            Command::Create { name, model, scheme, flow, inputs } => {
                let mut body = inputs.body(&[])?;
                body.insert("name".to_owned(), name.into());
                body.insert("model".to_owned(), model.into());
                body.extend(scheme.map(|scheme| ("scheme".to_owned(), Value::from(scheme))));
                body.extend(flow.map(|flow| ("flow".to_owned(), Value::from(flow))));
                let client = self.connection.client()?;
                let integration = create(&client, body, &mut ask).await?;
                inputs.warn_of_secrets(&integration, output);
                output.show(&integration, show)
            }
            Command::List => {
                let integrations = self.connection.client()?.list(&["integrations"], &[]).await?;
                output.show(&Value::Array(integrations), list)
            }
            Command::Show { name } => {
                output.show(&self.connection.client()?.get(&["integrations", &name], &[]).await?, show)
            }
            Command::Set { name, inputs, unset } => {
                let body = inputs.body(&unset)?;
                if body.is_empty() {
                    return Err(Failure::usage("nothing to change was given; see --field, --secret, --unset"));
                }
                let client = self.connection.client()?;
                let path = ["integrations", name.as_str()];
                let changed = client.call(Method::PATCH, &path, &[], Some(&Value::Object(body))).await?;
                inputs.warn_of_secrets(&changed, output);
                if changed.get("dropped") == Some(&Value::Bool(true)) {
                    output.note(dropped(!items(&changed, "missing").is_empty()));
                }
                output.show(&changed, show)
            }
            Command::Delete { name, no_revoke } => {
                let path = ["integrations", name.as_str()];
                let query: &[(&str, &str)] = if no_revoke { &[("revoke", "false")] } else { &[] };
                let mut deleted = self.connection.client()?.call(Method::DELETE, &path, query, None).await?;
                if !deleted.is_object() {
                    deleted = json!({});
                }
                if let Some(why) = deleted.get("not_revoked").and_then(Value::as_str) {
                    output.note(&format!("its token was not revoked, and the provider may still take it: {why}"));
                }
                let revoked = deleted.get("revoked").and_then(Value::as_u64).unwrap_or_default() > 0;
                deleted["deleted"] = name.as_str().into();
                output.show(&deleted, |_| {
                    format!("integration {name} is deleted{}", if revoked { ", its token revoked" } else { "" })
                })
            }
            Command::Test { name } => {
                let path = ["integrations", name.as_str(), "test"];
                let verdict = self.connection.client()?.call(Method::POST, &path, &[], None).await?;
                output.show(&verdict, |verdict| cell(verdict, "line"))?;
                if verdict.get("ok") == Some(&Value::Bool(true)) { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
            }
            Command::Call(call) => call.run(&self.connection.client()?, output).await,
            Command::Authorize(authorize) => authorize.run(&self.connection.client()?, output).await,
            Command::Connect(connect) => connect.run(&self.connection.client()?, output).await,
            Command::Reparse { name } => {
                let path = ["integrations", name.as_str(), "token", "reparse"];
                let answer = self.connection.client()?.call(Method::POST, &path, &[], None).await?;
                output.show(&answer, |answer| format!("{name}: {}", cell(answer, "message")))?;
                let is_token = answer.get("outcome").and_then(Value::as_str) == Some("token");
                if is_token { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
            }
            Command::Attempts { name } => {
                let attempts = self.connection.client()?.list(&["integrations", &name, "attempts"], &[]).await?;
                output.show(&Value::Array(attempts), attempt::list)
            }
            Command::Attempt { name, id } => {
                let found = self.connection.client()?.get(&["integrations", &name, "attempts", &id], &[]).await?;
                output.show(&found, attempt::show)
            }
        }
    }
}

/// Creates an integration. The daemon says which fields are missing; where a person can be asked, they are, once.
async fn create(
    client: &Client,
    mut body: Map<String, Value>,
    ask: &mut dyn FnMut(&str) -> Option<Result<String, Failure>>,
) -> Result<Value, Failure> {
    let path = ["integrations"];
    let problem = match client.call(Method::POST, &path, &[], Some(&Value::Object(body.clone()))).await {
        Err(Failure::Problem(problem)) => problem,
        other => return other,
    };
    // Only what is all a person's to fill in: another fault would make the typing vain.
    let faults = problem.faults();
    let missing: Option<Vec<&str>> = faults
        .iter()
        .map(|(field, code, _)| if code == "missing" { field.strip_prefix("fields.") } else { None })
        .collect();
    let Some(missing) = missing.filter(|missing| !missing.is_empty()) else {
        return Err(Failure::Problem(problem));
    };
    let mut typed = Map::new();
    for name in missing {
        match ask(name) {
            Some(value) => typed.insert(name.to_owned(), value?.into()),
            None => return Err(Failure::Problem(problem)),
        };
    }
    match body.entry("fields").or_insert_with(|| json!({})) {
        Value::Object(fields) => fields.extend(typed),
        fields => *fields = Value::Object(typed),
    }
    client.call(Method::POST, &path, &[], Some(&Value::Object(body))).await
}

/// Asks the person at the terminal, without showing what is typed: any of them may be a secret. None where nobody is there.
fn ask(name: &str) -> Option<Result<String, Failure>> {
    use secrecy::ExposeSecret;
    can_ask().then(|| SecretReader::ask(name).map(|value| value.expose_secret().to_owned()))
}

/// What a person can do where only a person can bring a token.
fn remedy(integration: &Value) -> Option<String> {
    let token = integration.get("token")?;
    if let Some(connecting) = token.get("connecting").filter(|connecting| connecting.is_object()) {
        let (attempt, until) = (cell(connecting, "attempt"), cell(connecting, "expires_at"));
        return Some(format!("a person is connecting it: attempt {attempt}, until {until}"));
    }
    let is_needed = token.get("state").and_then(Value::as_str) == Some("person_needed");
    is_needed.then(|| format!("a person is needed: tokenhost integration connect {}", cell(integration, "name")))
}

/// Integrations as a table.
fn list(integrations: &Value) -> String {
    let rows: Vec<_> = integrations
        .as_array()
        .into_iter()
        .flatten()
        .map(|integration| {
            [
                cell(integration, "name"),
                cell(integration, "organization"),
                cell(integration, "model"),
                cell(integration, "scheme"),
                cell(integration, "flow"),
                cell(integration, "updated_at"),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "no integrations yet; `tokenhost integration create NAME --model MODEL …` makes one".to_owned();
    }
    table(["NAME", "ORGANIZATION", "MODEL", "SCHEME", "FLOW", "CHANGED"], &rows)
}

/// One integration.
fn show(integration: &Value) -> String {
    let mut pairs = Pairs::default();
    for name in ["name", "organization", "model", "scheme", "flow", "server"] {
        pairs.add(name, member(integration, name));
    }
    pairs.add("created", member(integration, "created_at"));
    pairs.add("changed", member(integration, "updated_at"));
    if let Some(token) = integration.get("token").filter(|token| token.is_object()) {
        pairs.add("token", self::token(token));
    }
    let mut text = pairs.to_text("");
    for (name, title) in [("fields", "Fields"), ("transport", "Connection"), ("settings", "Settings")] {
        let mut pairs = Pairs::default();
        for (name, value) in integration.get(name).and_then(Value::as_object).into_iter().flatten() {
            add(&mut pairs, name, value);
        }
        let lines = pairs.to_text("  ");
        if !lines.is_empty() {
            text += &format!("\n{title}:\n{lines}");
        }
    }
    for (scheme, bound) in integration.get("schemes").and_then(Value::as_object).into_iter().flatten() {
        let mut pairs = Pairs::default();
        for (name, value) in bound.get("fields").and_then(Value::as_object).into_iter().flatten() {
            pairs.add(name, self::value(value));
        }
        if let Some(token) = bound.get("token") {
            pairs.add("token", Some(self::token(token)));
        }
        text += &format!("\nScheme {scheme}, by {}:\n{}", cell(bound, "flow"), pairs.to_text("  "));
        for fault in items(bound, "missing") {
            text += &format!("\n  {}: {}", cell(fault, "field"), cell(fault, "message"));
        }
    }
    if let Some(remedy) = remedy(integration) {
        text += &format!("\n{remedy}");
    }
    for fault in items(integration, "missing") {
        text += &format!("\n{}: {}", cell(fault, "field"), cell(fault, "message"));
    }
    text
}

/// A member, each of those below it in a line of its own: `calls.breaker.failures`.
fn add(pairs: &mut Pairs, name: &str, value: &Value) {
    match value {
        Value::Object(members) if !members.contains_key("set") => {
            for (below, value) in members {
                add(pairs, &format!("{name}.{below}"), value);
            }
        }
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            let items: Vec<String> = items.iter().filter_map(scalar).collect();
            pairs.add(name, Some(items.join(", ")));
        }
        value => {
            pairs.add(name, self::value(value));
        }
    }
}

/// What a change of target cost. `missing`: secrets are gone that weren't given anew.
fn dropped(missing: bool) -> &'static str {
    if missing {
        "warning: its requests now go elsewhere, so its token was dropped, and so were secrets that weren't given anew; \
         set them with `tokenhost integration set`"
    } else {
        "its requests now go elsewhere, so its token was dropped"
    }
}

/// A field's value; of a secret, whether it is set.
fn value(value: &Value) -> Option<String> {
    match value.get("set").and_then(Value::as_bool) {
        Some(true) => Some("(secret, set)".to_owned()),
        Some(false) => Some("(secret, not set)".to_owned()),
        None => scalar(value),
    }
}

/// How the token is, in one line.
fn token(token: &Value) -> String {
    let mut text = cell(token, "state");
    for (name, label) in [("generation", ", generation "), ("expires_at", ", expires "), ("renewing", ", renewing: ")] {
        if let Some(value) = member(token, name).filter(|value| value != "false" && value != "0") {
            text += &format!("{label}{value}");
        }
    }
    if let Some(failure) = token.get("failure").filter(|failure| failure.is_object()) {
        text += &format!("\nlast failure: {}: {}", cell(failure, "code"), cell(failure, "message"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integration_shows_secrets_as_set_or_not() {
        let text = show(&json!({
            "name": "crm-prod", "model": "crm", "scheme": "oauth2", "flow": "client-credentials", "server": null,
            "fields": {"client_id": "abc", "client_secret": {"set": true}, "password": {"set": false}, "scope": null},
            "transport": {"proxy": "http://p:3128", "client_key": {"set": true}}, "settings": {},
            "missing": [{"field": "fields.password", "code": "missing", "message": "must be given"}],
            "token": {"state": "valid", "generation": 3, "renewing": false, "expires_at": "2026-11-22T10:00:00Z"},
        }));
        assert_eq!(
            text,
            "name    crm-prod\nmodel   crm\nscheme  oauth2\nflow    client-credentials\n\
             token   valid, generation 3, expires 2026-11-22T10:00:00Z\n\n\
             Fields:\n  client_id      abc\n  client_secret  (secret, set)\n  password       (secret, not set)\n\n\
             Connection:\n  proxy       http://p:3128\n  client_key  (secret, set)\n\n\
             fields.password: must be given"
        );
        let text = show(&json!({"name": "crm-prod", "token": {"state": "person_needed", "generation": 3}}));
        assert!(text.ends_with("a person is needed: tokenhost integration connect crm-prod"), "{text}");
    }
}
