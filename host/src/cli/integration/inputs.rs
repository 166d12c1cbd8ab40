//! What `integration create` and `integration set` take alike, and the request made from it.
//!
//! It judges nothing: which fields there are, and what they may be, the daemon knows from the flow.

use std::path::PathBuf;

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::super::exit::Failure;
use super::super::output::Output;
use super::super::values::{SECRET_HELP, SecretReader, Source, assignment, fields_file, object_file};

/// Fields, secrets, and how to connect.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Inputs {
    /// The organization that it belongs to; a new one's is its model's, if not given
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
    /// Base URL of the service, for the document's relative URLs
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A field that is no secret; of a further scheme, SCHEME/NAME
    #[arg(long, value_name = "NAME=VALUE")]
    field: Vec<String>,
    #[arg(long, value_name = "NAME=SOURCE", help = format!("A secret, of a further scheme as SCHEME/NAME: {SECRET_HELP}"))]
    secret: Vec<String>,
    /// A further security scheme to serve; its flow is needed where several can serve it
    #[arg(long, value_name = "SCHEME[=FLOW]")]
    bind: Vec<String>,
    /// A file with fields by name: a JSON object, or TOML
    #[arg(long, value_name = "FILE")]
    fields: Option<PathBuf>,
    /// PEM certificates of the authorities to trust for the provider, instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// An HTTP proxy for the token requests
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// PEM certificate to show to the provider
    #[arg(long, value_name = "FILE")]
    client_certificate: Option<PathBuf>,
    /// PEM private key of that certificate
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// How long a token lasts where the provider doesn't say
    #[arg(long, value_name = "SECONDS")]
    default_lifetime: Option<u64>,
    /// An extra parameter of the token requests, in header, body or query; `token:` or `refresh:` before it limits it to one of them; without a VALUE it is set as a field, parameters.NAME. Replaces those that were added before
    #[arg(long, value_name = "[USE:]IN:NAME[=VALUE]")]
    parameter: Vec<String>,
    /// How the service is called (`settings.calls`), all of it at once: a JSON object, or TOML
    #[arg(long, value_name = "FILE")]
    calls: Option<PathBuf>,
    /// What to do when nobody knows whether a refresh token was used up
    #[arg(long, value_parser = ["auto", "acquire", "retry"])]
    uncertain: Option<String>,
}

impl Inputs {
    /// The members of the request. `unset`: what is to be cleared, `server`, `transport.*`, `settings.*`, `schemes.*`, else a
    /// field.
    ///
    /// # Errors
    /// Something is malformed, given twice, or can't be read.
    pub(super) fn body(&self, unset: &[String]) -> Result<Map<String, Value>, Failure> {
        let mut secrets = SecretReader::default();
        let mut fields = Map::new();
        if let Some(path) = &self.fields {
            fields.extend(fields_file(path)?.into_iter().map(|(name, value)| (name, Value::from(value))));
        }
        let mut given = Vec::new();
        for text in &self.field {
            let (name, value) = assignment("--field", text)?;
            fields.insert(name.clone(), value.into());
            given.push(name);
        }
        for text in &self.secret {
            let (name, value) = secrets.assignment("--secret", text)?;
            fields.insert(name.clone(), value.expose_secret().into());
            given.push(name);
        }
        given.sort_unstable();
        if let Some([name, _]) = given.array_windows().find(|[first, second]| first == second) {
            return Err(Failure::usage(format!("{name} is given twice")));
        }

        let mut file = |path: &Option<PathBuf>| {
            let read = path.as_ref().map(|path| secrets.read(&Source::File(path.clone())));
            // PEM wants its last line ended; nothing here is longer kept than the request that carries it.
            read.transpose().map(|text| text.map(|text| Value::from(format!("{}\n", text.expose_secret()))))
        };
        let mut transport = Map::new();
        for (name, value) in [
            ("ca", file(&self.ca)?),
            ("proxy", self.proxy.as_deref().map(Value::from)),
            ("client_certificate", file(&self.client_certificate)?),
            ("client_key", file(&self.client_key)?),
        ] {
            transport.extend(value.map(|value| (name.to_owned(), value)));
        }
        let mut settings = Map::new();
        settings.extend(self.default_lifetime.map(|seconds| ("default_lifetime".to_owned(), seconds.into())));
        settings.extend(self.uncertain.as_deref().map(|way| ("uncertain".to_owned(), way.into())));
        if let Some(path) = &self.calls {
            settings.insert("calls".to_owned(), object_file(path)?);
        }
        let mut schemes = Map::new();
        for text in &self.bind {
            let (scheme, flow) =
                text.split_once('=').map_or((text.as_str(), None), |(scheme, flow)| (scheme, Some(flow)));
            let bound = flow.map_or_else(|| json!({}), |flow| json!({"flow": flow}));
            if schemes.insert(scheme.to_owned(), bound).is_some() {
                return Err(Failure::usage(format!("{scheme} is bound twice")));
            }
        }

        let mut body = Map::new();
        body.extend(self.organization.as_deref().map(|name| ("organization".to_owned(), name.into())));
        body.extend(self.server.as_deref().map(|server| ("server".to_owned(), server.into())));
        if !self.parameter.is_empty() {
            let parameters = self.parameter.iter().map(|text| parameter(text)).collect::<Result<_, _>>()?;
            body.insert("parameters".to_owned(), Value::Array(parameters));
        }
        for name in unset {
            if name == "parameters" {
                if body.insert(name.clone(), Value::Array(Vec::new())).is_some() {
                    return Err(Failure::usage("--parameter is given, and parameters are unset"));
                }
                continue;
            }
            let (place, name) = match name.split_once('.') {
                None if name == "server" => (&mut body, name.as_str()),
                Some(("transport", name)) => (&mut transport, name),
                Some(("settings", name)) => (&mut settings, name),
                Some(("schemes", name)) => (&mut schemes, name),
                Some(("fields", name)) => (&mut fields, name),
                _ => (&mut fields, name.as_str()),
            };
            if place.insert(name.to_owned(), Value::Null).is_some() {
                return Err(Failure::usage(format!("{name} is both given and unset")));
            }
        }
        // A field of a further scheme stands below it.
        let (own, further): (Map<_, _>, Map<_, _>) = fields.into_iter().partition(|(name, _)| !name.contains('/'));
        for (name, value) in further {
            let Some((scheme, name)) = name.rsplit_once('/') else { continue };
            let bound = schemes.entry(scheme).or_insert_with(|| json!({}));
            if bound.is_null() {
                return Err(Failure::usage(format!("{scheme} is unset, and its {name} is given")));
            }
            bound["fields"][name] = value;
        }
        let members = [("fields", own), ("schemes", schemes), ("transport", transport), ("settings", settings)];
        for (name, members) in members {
            if !members.is_empty() {
                body.insert(name.to_owned(), Value::Object(members));
            }
        }
        Ok(body)
    }

    /// Tells a person that a `--field` turned out to be a secret, which others could see there.
    pub(super) fn warn_of_secrets(&self, integration: &Value, output: Output) {
        for name in self.field.iter().filter_map(|text| assignment("--field", text).ok()).map(|(name, _)| name) {
            let holder = match name.rsplit_once('/') {
                Some((scheme, field)) => integration.get("schemes").and_then(|all| Some((all.get(scheme)?, field))),
                None => Some((integration, name.as_str())),
            };
            let is_secret = holder.and_then(|(holder, field)| holder.get("fields")?.get(field)?.get("set")).is_some();
            if is_secret {
                output.note(&format!(
                    "warning: {name} is a secret and stood on the command line, where `ps` and the shell's history show \
                     it; next time write --secret {name}=@FILE"
                ));
            }
        }
    }
}

/// An extra parameter out of `[USE:]IN:NAME[=VALUE]`. Whether there is such a place, the daemon says.
fn parameter(text: &str) -> Result<Value, Failure> {
    let (uses, rest) = match text.split_once(':') {
        Some((one @ ("token" | "refresh"), rest)) => (Some(one), rest),
        _ => (None, text),
    };
    let Some((place, rest)) = rest.split_once(':').filter(|(place, _)| matches!(*place, "header" | "body" | "query"))
    else {
        // A value, which may be one that nobody is to see, isn't repeated.
        let shown = text.split_once('=').map_or(text, |(name, _)| name);
        return Err(Failure::usage(format!(
            "--parameter {shown}: [token:|refresh:]header|body|query:NAME[=VALUE] is wanted, such as body:audience=crm"
        )));
    };
    let (name, value) = rest.split_once('=').map_or((rest, None), |(name, value)| (name, Some(value)));
    let mut parameter = Map::from_iter([("name".to_owned(), name.into()), ("in".to_owned(), place.into())]);
    parameter.extend(uses.map(|one| ("use_in".to_owned(), Value::from(vec![one]))));
    parameter.extend(value.map(|value| ("value".to_owned(), value.into())));
    Ok(Value::Object(parameter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn the_request_has_what_was_given_and_nulls_for_what_is_unset() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let inputs = Inputs {
            organization: Some("north".into()),
            server: Some("https://eu".into()),
            field: words(&["scope=a=b c", "client_id=abc"]),
            secret: words(&[&format!("client_secret=@{}", file("secret", "hunter2\n").display())]),
            fields: Some(file("fields.json", r#"{"client_id":"replaced","audience":"x"}"#)),
            ca: Some(file("ca.pem", "PEM\n")),
            uncertain: Some("retry".into()),
            ..Inputs::default()
        };
        assert_eq!(
            Value::Object(inputs.body(&words(&["resource", "transport.proxy", "settings.default_lifetime"])).unwrap()),
            json!({
                "organization": "north",
                "server": "https://eu",
                "fields": {"client_id": "abc", "audience": "x", "scope": "a=b c", "client_secret": "hunter2", "resource": null},
                "transport": {"ca": "PEM\n", "proxy": null},
                "settings": {"uncertain": "retry", "default_lifetime": null},
            })
        );
        assert_eq!(Inputs::default().body(&[]).unwrap(), Map::new());
        assert_eq!(Value::Object(Inputs::default().body(&words(&["server"])).unwrap()), json!({"server": null}));
    }

    #[test]
    fn extra_parameters_say_where_they_go() {
        let body = |parameters: &[&str], unset: &[&str]| {
            let inputs = Inputs { parameter: words(parameters), ..Inputs::default() };
            inputs.body(&words(unset)).map(Value::Object)
        };
        let given = ["body:audience=https://crm:8080/?a=b", "token:header:X-Tenant=t1", "refresh:query:key"];
        assert_eq!(
            body(&given, &[]).unwrap(),
            json!({"parameters": [
                {"name": "audience", "in": "body", "value": "https://crm:8080/?a=b"},
                {"name": "X-Tenant", "in": "header", "use_in": ["token"], "value": "t1"},
                {"name": "key", "in": "query", "use_in": ["refresh"]},
            ]})
        );
        assert_eq!(body(&[], &["parameters"]).unwrap(), json!({"parameters": []}));
        for wrong in ["audience=hunter2", "cookie:a=hunter2", "token:a=hunter2", ""] {
            let failure = body(&[wrong], &[]).unwrap_err();
            assert!(failure.code() == 2 && !failure.text().contains("hunter2"), "{}", failure.text());
        }
        assert_eq!(body(&["body:a=1"], &["parameters"]).unwrap_err().code(), 2);
    }

    #[test]
    fn further_schemes_have_members_of_their_own() {
        let inputs = Inputs {
            field: words(&["scope=a", "my/key/region=eu"]),
            bind: words(&["my/key=api-key", "sign"]),
            ..Inputs::default()
        };
        assert_eq!(
            Value::Object(inputs.body(&words(&["schemes.old", "sign/user"])).unwrap()),
            json!({
                "fields": {"scope": "a"},
                "schemes": {
                    "my/key": {"flow": "api-key", "fields": {"region": "eu"}}, "sign": {"fields": {"user": null}}, "old": null
                },
            })
        );
        let twice = Inputs { bind: words(&["a", "a=b"]), ..Inputs::default() };
        assert_eq!(twice.body(&[]).unwrap_err().code(), 2);
        assert_eq!(inputs.body(&words(&["schemes.sign"])).unwrap_err().code(), 2, "bound and unbound");
    }

    #[test]
    fn contradictions_are_usage_errors() {
        let check = |field: &[&str], secret: &[&str], unset: &[&str]| {
            let inputs = Inputs { field: words(field), secret: words(secret), ..Inputs::default() };
            let failure = inputs.body(&words(unset)).unwrap_err();
            assert_eq!(failure.code(), 2, "{field:?} {secret:?} {unset:?}");
            assert!(!failure.text().contains("hunter2"), "{}", failure.text());
        };
        check(&["a=1", "a=2"], &[], &[]);
        check(&["a=1"], &[], &["a"]);
        check(&["a"], &[], &[]);
        check(&[], &["a=hunter2"], &[]);
        check(&[], &["hunter2"], &[]);
    }
}
