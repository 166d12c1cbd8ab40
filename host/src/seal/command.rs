//! The master key out of a command's output, as of a key-management service's client: run once, bounded in time and size.
//!
//! No shell takes part. What the command says on its standard error is told where it fails, cleaned of what it printed.

use std::io::{Error, ErrorKind};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::master::MAX_TEXT_BYTES;
use super::{MasterKey, SealError};
use crate::secrets::Cleaner;

/// How long a command may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of its standard error that are kept.
const TOLD_BYTES: usize = 1024;
/// Variables that hold keys of this daemon, which the command doesn't get.
const OWN_KEYS: [&str; 2] = ["TOKENHOST_KEY", "TOKENHOST_KEY_NEXT"];

/// What a command printed, and how it ended.
struct Ended {
    status: ExitStatus,
    printed: Zeroizing<Vec<u8>>,
    told: Vec<u8>,
}

impl MasterKey {
    /// The key that a command prints on its standard output, in the forms of [`MasterKey::from_text`]. It gets this process's
    /// environment, without the variables that hold a key, and no input. `setting` names it in messages.
    ///
    /// # Errors
    /// It can't be run, takes longer than `patience`, prints more than 1 KiB, fails, or prints no key.
    pub async fn from_command(setting: &str, command: &[String], patience: Duration) -> Result<Self, SealError> {
        let name = command.first().map_or("", String::as_str);
        let origin = format!("the output of the command {name} ({setting})");
        let fault = |fault: String| SealError::MasterKey { origin: origin.clone(), fault };
        if name.is_empty() {
            return Err(fault("it names no program".into()));
        }
        let ended = match tokio::time::timeout(patience, run(command)).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
                return Err(fault("there is no such program".into()));
            }
            Ok(Err(error)) => return Err(fault(error.to_string())),
            Err(_) => return Err(fault(format!("it took longer than {} s and was ended", patience.as_secs()))),
        };
        if !ended.status.success() {
            return Err(fault(format!("{}{}", ended.status, complaint(&ended))));
        }
        if ended.printed.len() as u64 > MAX_TEXT_BYTES {
            return Err(fault(format!("it printed more than {MAX_TEXT_BYTES} bytes")));
        }
        let text = std::str::from_utf8(&ended.printed).map_err(|_| fault("what it printed isn't text".into()))?;
        Self::from_text(origin, &SecretString::from(text))
    }
}

/// Runs it to its end. Dropped before, the process is killed.
async fn run(command: &[String]) -> Result<Ended, Error> {
    let (name, arguments) = command.split_first().ok_or(ErrorKind::NotFound)?;
    let mut run = Command::new(name);
    run.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for variable in OWN_KEYS {
        run.env_remove(variable);
    }
    let mut child = run.spawn()?;
    // Reserved at once: a buffer that grew would leave copies of the key behind.
    let mut printed = Zeroizing::new(Vec::with_capacity(2 * MAX_TEXT_BYTES as usize));
    let mut told = Vec::with_capacity(TOLD_BYTES);
    let (out, error) = (child.stdout.take(), child.stderr.take());
    let (out, error, status) = tokio::join!(
        drain(out, &mut printed, MAX_TEXT_BYTES as usize + 1),
        drain(error, &mut told, TOLD_BYTES),
        child.wait()
    );
    out?;
    error?;
    Ok(Ended { status: status?, printed, told })
}

/// Reads all of it, and keeps the beginning: who writes more isn't held up.
async fn drain(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>, most: usize) -> Result<(), Error> {
    let Some(mut from) = from else { return Ok(()) };
    let mut piece = Zeroizing::new([0; 512]);
    loop {
        let read = from.read(piece.as_mut_slice()).await?;
        if read == 0 {
            return Ok(());
        }
        let wanted = read.min(most.saturating_sub(into.len()));
        into.extend_from_slice(piece.get(..wanted).unwrap_or_default());
    }
}

/// What it said of its failure, in a line without control characters and without what it printed.
fn complaint(ended: &Ended) -> String {
    let mut cleaner = Cleaner::default();
    cleaner.add_bytes("output", &ended.printed);
    let told = cleaner.clean(&String::from_utf8_lossy(&ended.told));
    let told: Vec<&str> =
        told.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let told: String = told.join(" ").chars().take(300).collect();
    if told.is_empty() { String::new() } else { format!(": {told}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    async fn sh(script: &str, patience: Duration) -> Result<MasterKey, SealError> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        MasterKey::from_command("key_command", &command, patience).await
    }

    #[tokio::test]
    async fn the_key_is_what_it_prints() {
        let key = sh(&format!("cat; echo noise >&2; echo ' {KEY}'"), PATIENCE).await.unwrap();
        assert_eq!(key.to_text().as_str(), KEY);
        assert_eq!(key.origin(), "the output of the command /bin/sh (key_command)");
        // Much on the standard error holds nobody up.
        sh(&format!("head -c 300000 /dev/zero >&2; echo {KEY}"), PATIENCE).await.unwrap();
    }

    #[tokio::test]
    async fn what_fails_is_told_without_the_key() {
        let check = async |script: &str, patience: Duration, expected: &str| {
            let error = sh(script, patience).await.unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("(key_command)"), "{script}: {error}");
            assert!(!error.contains("0a0b0c0d") && !error.contains('\u{1b}'), "{script}: {error}");
            assert!(error.len() < 500, "{error}");
        };
        let shouted = format!("echo {KEY}; printf 'denied \\033[1m for {KEY}\\n' >&2; exit 3");
        check(&shouted, PATIENCE, "exit status: 3: denied [1m for [output]").await;
        check("head -c 3000 /dev/zero | tr '\\0' x >&2; exit 1", PATIENCE, "xxxxxxxx").await;
        check("exec sleep 600", Duration::from_millis(50), "it took longer than 0 s and was ended").await;
        check("head -c 2000 /dev/zero | tr '\\0' a", PATIENCE, "more than 1024 bytes").await;
        check("head -c 300000 /dev/zero", PATIENCE, "more than 1024 bytes").await;
        check("printf '\\377'", PATIENCE, "isn't text").await;
        check("true", PATIENCE, "it is empty").await;
        check("echo hello", PATIENCE, "neither 64 hexadecimal digits nor").await;
        for (command, expected) in [(&["/nowhere/kms"][..], "no such program"), (&[], "it names no program")] {
            let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            let error = MasterKey::from_command("key_command", &command, PATIENCE).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
