//! `tokenhost plugin pack` and `plugin key`: a component becomes a signed package, with a publisher's key.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::exit::Failure;
use super::super::output::Output;
use super::{build, compiled, read};
use crate::flows::{Flow as _, Plugin};
use crate::package::{Manifest, Package, PrivateKey, PublicKey};

/// Pack a component with what is said of it, signed
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Makes NAME-VERSION.flow, which an operator installs who trusts your public key (`plugin key show`).\n\nExamples:\n  tokenhost plugin pack my-flow --key publisher.pem\n  tokenhost plugin pack my-flow.wasm --key publisher.pem --out dist/ --license MIT"
)]
pub(super) struct Pack {
    /// The component, or the folder of a flow, which is built first
    source: PathBuf,
    /// The publisher's private key (`plugin key new`)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where to put the package: a file or a folder [default: here]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where people read about the flow
    #[arg(long, value_name = "URL")]
    homepage: Option<String>,
    /// Its licence, as an SPDX expression
    #[arg(long, value_name = "SPDX")]
    license: Option<String>,
}

/// Publishers' keys
#[derive(Debug, clap::Args)]
pub(super) struct Key {
    /// What to do.
    #[command(subcommand)]
    command: KeyCommand,
}

/// What can be done with keys.
#[derive(Debug, clap::Subcommand)]
enum KeyCommand {
    /// Make a key to sign packages with, and print its public half
    #[command(
        after_help = "Keep the file secret: who has it signs in your name.\n\nExamples:\n  tokenhost plugin key new publisher.pem"
    )]
    New {
        /// Where to put it; must not exist
        file: PathBuf,
    },
    /// Print a key's public half, for operators to trust
    #[command(after_help = "Examples:\n  tokenhost plugin key show publisher.pem >publisher.pub")]
    Show {
        /// The private key
        file: PathBuf,
    },
}

impl Pack {
    /// Does it.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let key = load(&self.key)?;
        let component = match self.source.is_dir() {
            true => build::build(&self.source, None, &mut |line| output.note(line))?.component,
            false => self.source.clone(),
        };
        let bytes = read(&component)?;
        let plugin = Plugin::load(&compiled::engine()?, bytes.clone()).await.map_err(|error| {
            Failure::failed(error.to_string())
                .hint(format!("`tokenhost plugin check {}` says more.", component.display()))
        })?;
        let description = plugin.description();
        let manifest = Manifest {
            name: description.name.clone(),
            version: description.version.clone(),
            contract: plugin.contract().to_owned(),
            sha256: plugin.digest().to_owned(),
            size: bytes.len() as u64,
            publisher: key.public().id(),
            homepage: self.homepage,
            license: self.license,
        };
        let package = Package::write(&manifest, &bytes, &key).map_err(|error| Failure::failed(error.to_string()))?;
        let file = format!("{}-{}.flow", manifest.name, manifest.version);
        let path = match self.out {
            Some(out) if out.is_dir() => out.join(file),
            Some(out) => out,
            None => PathBuf::from(file),
        };
        std::fs::write(&path, &package)
            .map_err(|error| Failure::failed(format!("{} can't be written: {error}", path.display())))?;
        let place = path.display().to_string();
        let document = json!({
            "package": place, "name": manifest.name, "version": manifest.version, "sha256": manifest.sha256,
            "publisher": manifest.publisher, "size": package.len(),
        });
        output.show(&document, |_| {
            let kilobytes = package.len().div_ceil(1000);
            format!(
                "{place} ({kilobytes} KB, signed with key {})\nnow: tokenhost flow install {place}",
                manifest.publisher
            )
        })
    }
}

impl Key {
    /// Does it.
    pub(super) fn run(self, output: Output) -> Result<(), Failure> {
        let public = match self.command {
            KeyCommand::New { file } => {
                let key = PrivateKey::generate();
                let pem = key.to_pem().map_err(|error| Failure::failed(error.to_string()))?;
                let failed = |error: std::io::Error| {
                    let failure = Failure::failed(format!("{} can't be made: {error}", file.display()));
                    match error.kind() {
                        ErrorKind::AlreadyExists => failure.hint(format!(
                            "A key is never replaced. Its public half: tokenhost plugin key show {}",
                            file.display()
                        )),
                        _ => failure,
                    }
                };
                let mut made =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(failed)?;
                made.write_all(pem.as_bytes()).and_then(|()| made.sync_all()).map_err(failed)?;
                output.note(&format!("{} is the private key; keep it secret. Its public half:", file.display()));
                key.public()
            }
            KeyCommand::Show { file } => load(&file)?.public(),
        };
        show(&public, output)
    }
}

/// Prints a public key.
fn show(key: &PublicKey, output: Output) -> Result<(), Failure> {
    output.show(&json!({"key": key.to_string(), "key_id": key.id()}), |_| key.to_string())
}

/// The private key in a file.
fn load(file: &Path) -> Result<PrivateKey, Failure> {
    let place = file.display();
    let text = std::fs::read_to_string(file).map(zeroize::Zeroizing::new);
    let text = text.map_err(|error| Failure::failed(format!("{place} can't be read: {error}")))?;
    PrivateKey::from_pem(&text).map_err(|error| Failure::failed(format!("{place} {error}")))
}
