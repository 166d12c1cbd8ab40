//! The daemon that `make build` made, as a process of its own on folders of its own.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::{Client, PATIENCE};

/// How a daemon is to be.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Environment beside what every test needs; a later one wins.
    pub env: Vec<(String, String)>,
}

impl Options {
    /// With one more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }
}

/// A daemon. When it is dropped, it is ended at once.
pub struct Daemon {
    options: Options,
    folder: tempfile::TempDir,
    token: String,
    running: Option<Running>,
}

/// A process of a daemon.
struct Running {
    child: Child,
    url: String,
    /// Held, so that the daemon has a standard output for as long as it lives.
    _stdout: BufReader<ChildStdout>,
}

/// The executable, which stands above the test's own.
///
/// # Panics
/// It isn't there.
pub fn executable() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join("tokenhost")).find(|path| path.is_file());
    let Some(executable) = found else { panic!("there is no tokenhost near {}: run `make build`", own.display()) };
    let flows = executable.with_file_name("flows");
    assert!(flows.join("password.wasm").is_file(), "there are no flows in {}: run `make build`", flows.display());
    executable
}

/// Components from here on hold an interpreter, which takes seconds to compile on each new data folder: daemons of tests
/// serve those only where a test asks for them, by `TOKENHOST_FLOWS`.
const INTERPRETER: u64 = 1 << 20;

/// A folder with the flows that ship and compile at once.
fn small_flows(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    for entry in std::fs::read_dir(executable().with_file_name("flows")).unwrap() {
        let path = entry.unwrap().path();
        if path.metadata().unwrap().len() < INTERPRETER {
            std::os::unix::fs::symlink(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
    }
}

impl Daemon {
    /// A new daemon that may dial loopback over plain http.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// The same with further settings.
    pub async fn start_with(options: Options) -> Self {
        let mut daemon = Self::init(options).await;
        daemon.restart().await;
        daemon
    }

    /// A prepared data folder, and no process on it yet.
    ///
    /// # Panics
    /// `init` fails.
    pub async fn init(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        small_flows(&folder.path().join("flows"));
        let mut daemon = Self { options, folder, token: String::new(), running: None };
        let made = daemon.command(&["init", "--json"]).output().await.unwrap();
        assert!(made.status.success(), "init: {}", String::from_utf8_lossy(&made.stderr));
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        made["token"].as_str().unwrap().clone_into(&mut daemon.token);
        daemon
    }

    /// A daemon over a folder that holds `data` and `keys/master.key` of another one, and no process on it yet. The token is
    /// its first administrator's.
    pub fn over(folder: tempfile::TempDir, token: String) -> Self {
        small_flows(&folder.path().join("flows"));
        Self { options: Options::default(), folder, token, running: None }
    }

    /// The same with one more variable in its environment, from its next start on.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.options = self.options.env(name, value);
        self
    }

    /// Another machine: a folder of its own that has nothing but this one's master key, with what `restore` makes of a
    /// backup in it. It has the same administrator, and no process yet. Gives what `restore` said, too.
    ///
    /// # Panics
    /// `restore` fails.
    pub async fn restored(&self, backup: &Path) -> (Self, Value) {
        let folder = tempfile::tempdir().unwrap();
        small_flows(&folder.path().join("flows"));
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        std::fs::copy(self.folder().join("keys/master.key"), folder.path().join("keys/master.key")).unwrap();
        let other = Self { options: self.options.clone(), folder, token: self.token.clone(), running: None };
        let made = other.command(&["restore", "--json", backup.to_str().unwrap()]).output().await.unwrap();
        assert!(made.status.success(), "restore: {}", String::from_utf8_lossy(&made.stderr));
        (other, serde_json::from_slice(&made.stdout).unwrap())
    }

    /// The executable with this daemon's settings in its environment, and nothing else in it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(executable());
        command.args(arguments).env_clear().kill_on_drop(true).stdin(Stdio::null());
        command.env("HOME", self.folder.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
            .env("TOKENHOST_DATA", self.data())
            .env("TOKENHOST_KEY_FILE", self.folder.path().join("keys/master.key"));
        command.env("TOKENHOST_LISTEN", "127.0.0.1:0").env("TOKENHOST_LOG_LEVEL", "info,tokenhost=debug");
        command.env("TOKENHOST_FLOWS", self.folder.path().join("flows"));
        command.env("TOKENHOST_EGRESS_HTTP", "true").env("TOKENHOST_EGRESS_ALLOW", "127.0.0.0/8,::1/128");
        command.envs(self.options.env.iter().map(|(name, value)| (name, value)));
        if let Some(running) = &self.running {
            command.env("TOKENHOST_URL", &running.url).env("TOKENHOST_TOKEN", &self.token);
        }
        command
    }

    /// Starts it on its folder, where it isn't running, and returns when it answers calls.
    ///
    /// # Panics
    /// It doesn't start.
    pub async fn restart(&mut self) {
        if let Err(how) = self.try_restart().await {
            panic!("the daemon didn't start ({how}); its log:\n{}", self.log());
        }
    }

    /// The same where it may fail.
    ///
    /// # Errors
    /// It ended instead, with this status.
    ///
    /// # Panics
    /// It does neither.
    pub async fn try_restart(&mut self) -> Result<(), ExitStatus> {
        assert!(self.running.is_none(), "it is running");
        let log = OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut child = self.command(&["serve"]).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, stdout.read_line(&mut line)).await;
        read.unwrap_or_else(|_| panic!("the daemon isn't ready:\n{}", self.log())).unwrap();
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            return Err(child.wait().await.unwrap());
        };
        self.running = Some(Running { child, url: url.to_owned(), _stdout: stdout });
        Ok(())
    }

    /// Ends it as a power cut would, but for what the system has in its caches.
    ///
    /// # Panics
    /// It isn't running.
    pub async fn kill9(&mut self) {
        let mut running = self.running.take().unwrap();
        running.child.kill().await.unwrap();
    }

    /// Tells it to stop (SIGTERM). [`Daemon::ended`] waits until it has.
    ///
    /// # Panics
    /// It isn't running.
    pub async fn terminate(&self) {
        let pid = self.pid().to_string();
        let told = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().await.unwrap();
        assert!(told.success());
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// It doesn't.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut running = self.running.take().unwrap();
        let ended = tokio::time::timeout(PATIENCE, running.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it doesn't end:\n{}", self.log())).unwrap()
    }

    /// Stops it in good order.
    ///
    /// # Panics
    /// It ends in another way.
    pub async fn stop(&mut self) {
        self.terminate().await;
        let status = self.ended().await;
        assert!(status.success(), "{status}:\n{}", self.log());
    }

    /// Its process.
    ///
    /// # Panics
    /// It isn't running.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().and_then(|running| running.child.id()).unwrap()
    }

    /// Where its API is.
    ///
    /// # Panics
    /// It isn't running.
    pub fn url(&self) -> &str {
        &self.running.as_ref().unwrap().url
    }

    /// Its first administrator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A client of its first administrator.
    pub fn client(&self) -> Client {
        Client::new(self.url(), Some(&self.token))
    }

    /// Its folder: `data`, `keys` and `log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}
