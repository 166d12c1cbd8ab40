//! `tokenhost plugin dev`: builds a flow at each change of its sources, and swaps it into a development daemon.
//!
//! The daemon is one that runs already, or a throw-away one in this process, whose data ends with it. A build that fails is told,
//! and the flow that was served stays.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::super::client::{Client, Connection};
use super::super::exit::Failure;
use super::super::flow::upgrade;
use super::super::output::{Output, cell};
use super::build;
use super::watch::Watch;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{Config, KeySource, Overrides};
use crate::daemon::{self, Daemon};

/// Build a flow at each change, and swap it into a development daemon
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --daemon (or TOKENHOST_URL) it starts a daemon of its own on a free port, which may dial this machine and plain http, and whose data is gone when it ends. Never point it at a daemon that others use: it installs unsigned components. Ctrl-C ends it.\n\nExamples:\n  tokenhost plugin dev my-flow\n  tokenhost plugin dev my-flow.wasm                        # another tool builds it\n  tokenhost plugin dev my-flow --daemon http://127.0.0.1:8420"
)]
pub(super) struct Dev {
    /// The flow's folder, or a component that another tool makes
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    target: PathBuf,
    /// The port of the throw-away daemon [default: one that the system chooses]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
}

/// Where components go.
struct Target {
    /// The daemon's API.
    client: Client,
    /// Whether the daemon asks for the word that an unsigned component is meant.
    says_unsigned: bool,
    /// The throw-away daemon and its folder, which go together.
    own: Option<(Daemon, tempfile::TempDir)>,
}

impl Dev {
    /// Runs it until it is told to stop.
    ///
    /// # Errors
    /// There is nothing to watch, or no daemon.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let clock = SystemClock::shared();
        // What isn't there, or is no project, doesn't become one by waiting.
        if !self.target.is_file() {
            build::Language::of(&self.target).map_err(|error| Failure::failed(format!("{error:#}")))?;
        }
        let mut watch = Watch::new(&self.target)?;
        let target = self.target(output).await?;
        let mut last = None;
        let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            // Before the build reads them: what changes during it is built next.
            watch.look();
            tokio::select! {
                _ = &mut stop => break,
                said = turn(watch.root(), &target, &mut last, &clock, output) => tell(&said, output)?,
            }
            tokio::select! {
                _ = &mut stop => break,
                () = watch.changed() => {}
            }
        }
        match target.own {
            Some((daemon, _folder)) => daemon.stop().await.map_err(Failure::from),
            None => Ok(()),
        }
    }

    /// The daemon: one that runs, or a new one.
    async fn target(&self, output: Output) -> Result<Target, Failure> {
        if self.connection.is_given() {
            let client = self.connection.client()?;
            // A daemon from before packages doesn't know the parameter, and refuses what it doesn't know.
            let says_unsigned = knows_unsigned(&client.document().await?);
            return Ok(Target { client, says_unsigned, own: None });
        }
        let (daemon, folder, token) = throw_away(self.port).await?;
        let url = format!("http://{}", daemon.address());
        let client = Client::new(&url, &token)?;
        let document = json!({"daemon": url, "token": token.expose_secret()});
        if output.is_json() {
            output.raw(&format!("{document}\n"))?;
        } else {
            output.text(&format!(
                "a daemon for this session, gone when it ends:\n  export TOKENHOST_URL={url}\n  export TOKENHOST_TOKEN={}\n",
                token.expose_secret()
            ))?;
        }
        let says_unsigned =
            serde_json::from_str(&crate::api::openapi_json()).is_ok_and(|document| knows_unsigned(&document));
        Ok(Target { client, says_unsigned, own: Some((daemon, folder)) })
    }
}

impl Target {
    /// Has the daemon serve a component, whether or not it has a flow of that name. Gives the flow's name, version and digest.
    async fn swap(&self, component: &[u8]) -> Result<Value, Failure> {
        let upload = async |path: &[&str], query: &[(&str, &str)]| {
            let (size, body) = (component.len(), component.to_vec().into());
            self.client.upload(Method::POST, path, query, "application/wasm", size, body).await
        };
        let query: &[(&str, &str)] = if self.says_unsigned { &[("allow_unsigned", "true")] } else { &[] };
        match upload(&["flows"], query).await {
            Err(failure) if failure.json().is_some_and(|problem| problem["code"] == "exists") => {
                let name = upgrade::name(component).await?;
                let query = [("allow_unsigned", "true"), ("allow_publisher_change", "true")];
                let upgraded = upload(&["flows", &name, "upgrade"], &query).await?;
                let (version, sha256) = (&upgraded["to"]["version"], &upgraded["to"]["sha256"]);
                Ok(json!({"name": name, "version": version, "sha256": sha256}))
            }
            answer => answer,
        }
    }
}

/// Whether a daemon's API knows `POST /v1/flows?allow_unsigned=true`.
fn knows_unsigned(openapi: &Value) -> bool {
    let parameters = openapi.pointer("/paths/~1v1~1flows/post/parameters").and_then(Value::as_array);
    parameters.into_iter().flatten().any(|parameter| parameter["name"] == "allow_unsigned")
}

/// A daemon of its own, in this process.
async fn throw_away(port: u16) -> Result<(Daemon, tempfile::TempDir, SecretString), Failure> {
    let folder = tempfile::Builder::new()
        .prefix("tokenhost-dev-")
        .tempdir()
        .map_err(|error| Failure::failed(format!("there is no place for temporary files: {error}")))?;
    let (data, keys) = (folder.path().join("data"), folder.path().join("keys/master.key"));
    let text = |path: &Path| Some(path.display().to_string());
    let overrides = Overrides {
        data: text(&data),
        key_file: text(&keys),
        listen: Some(format!("127.0.0.1:{port}")),
        egress_allow: Some("127.0.0.0/8,::1/128".to_owned()),
        egress_http: Some("true".to_owned()),
        ..Overrides::default()
    };
    let mut config = Config::load(&overrides).map_err(|error| Failure::usage(error.to_string()))?;
    // Whatever the environment says of the key of another daemon.
    config.key = KeySource::File(keys);
    if !config.flows.is_dir() {
        // The flows that ship aren't there: then there is only the one under development.
        config.flows = folder.path().join("flows");
        std::fs::create_dir(&config.flows).map_err(|error| Failure::failed(error.to_string()))?;
    }
    let made = daemon::init(&config).await?;
    let daemon = Daemon::start(config).await?;
    Ok((daemon, folder, made.token))
}

/// Builds and swaps, once; gives what there is to tell.
async fn turn(root: &Path, target: &Target, last: &mut Option<Vec<u8>>, clock: &SharedClock, output: Output) -> Value {
    let began = clock.elapsed();
    let component = match component(root, output).await {
        Ok(component) => component,
        Err(problem) => return json!({"result": "not built", "problem": problem}),
    };
    let built = clock.elapsed().saturating_sub(began);
    if last.as_ref() == Some(&component) {
        return json!({"result": "unchanged", "milliseconds": milliseconds(built)});
    }
    let size = component.len();
    match target.swap(&component).await {
        Ok(flow) => {
            *last = Some(component);
            json!({
                "result": "swapped", "flow": cell(&flow, "name"), "version": cell(&flow, "version"),
                "sha256": cell(&flow, "sha256"), "size": size, "built_milliseconds": milliseconds(built),
                "at": clock.now().format("%H:%M:%S").to_string(),
            })
        }
        Err(failure) => json!({"result": "refused", "problem": failure.text()}),
    }
}

/// The component that the sources make, or that stands in the file.
async fn component(root: &Path, output: Output) -> Result<Vec<u8>, String> {
    if !root.is_dir() {
        return std::fs::read(root).map_err(|error| format!("{} can't be read: {error}", root.display()));
    }
    let dir = root.to_owned();
    let built = tokio::task::spawn_blocking(move || build::build(&dir, None, &mut |line| output.note(line)));
    let built = built.await.map_err(|error| error.to_string())?.map_err(|error| format!("{error:#}"))?;
    std::fs::read(&built.component).map_err(|error| format!("{} can't be read: {error}", built.component.display()))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Tells what came of a change: one line for a program, a line or more for people.
fn tell(said: &Value, output: Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.raw(&format!("{said}\n"));
    }
    output.text(&line(said))
}

/// The same for people.
fn line(said: &Value) -> String {
    let seconds = |name: &str| {
        let milliseconds = said[name].as_u64().unwrap_or_default();
        format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
    };
    match said["result"].as_str() {
        Some("swapped") => format!(
            "{}  {} {} (sha256:{}) is served; {} KB, built in {}",
            cell(said, "at"),
            cell(said, "flow"),
            cell(said, "version"),
            cell(said, "sha256").chars().take(12).collect::<String>(),
            said["size"].as_u64().unwrap_or_default().div_ceil(1000),
            seconds("built_milliseconds")
        ),
        Some("unchanged") => "built again; the component is the same".to_owned(),
        Some("refused") => {
            format!("the daemon refused the component:\n{}\nwaiting for the next change", cell(said, "problem"))
        }
        _ => format!("{}\nnot built; waiting for the next change", cell(said, "problem")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_in_a_line() {
        let swapped = json!({
            "result": "swapped", "flow": "robot", "version": "0.1.0", "sha256": "abcdef0123456789", "size": 180_001,
            "built_milliseconds": 3250, "at": "10:12:03",
        });
        assert_eq!(line(&swapped), "10:12:03  robot 0.1.0 (sha256:abcdef012345) is served; 181 KB, built in 3.2 s");
        let failed = json!({"result": "not built", "problem": "robot doesn't compile:\nerror: x"});
        assert_eq!(line(&failed), "robot doesn't compile:\nerror: x\nnot built; waiting for the next change");
    }

    #[test]
    fn the_daemon_is_asked_only_for_what_it_knows() {
        let parameters = |names: &[&str]| {
            let parameters: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            json!({"paths": {"/v1/flows": {"post": {"parameters": parameters}}}})
        };
        assert!(knows_unsigned(&parameters(&["a", "allow_unsigned"])));
        assert!(!knows_unsigned(&parameters(&["a"])));
        assert!(!knows_unsigned(&json!({})));
    }
}
