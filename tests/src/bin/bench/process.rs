//! A server in a process of its own: started, asked for its processor time and memory, and ended with its owner.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Ticks in a second, in which the kernel tells processor time (`USER_HZ`: 100 on every Linux).
const TICKS: f64 = 100.0;

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Kept open: the baseline ends where it is closed.
    _input: Option<ChildStdin>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From its start to its being ready.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts a program that prints `listening on http://…`, after giving it this input.
    pub(crate) fn start<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        program: PathBuf,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (K, V)>,
        input: &str,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(&program);
        command.args(arguments).env_clear().envs(environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let began = Instant::now();
        let mut child = command.spawn().with_context(|| format!("{} can't be started", program.display()))?;
        let mut stdin = child.stdin.take();
        if let Some(stdin) = &mut stdin {
            stdin.write_all(input.as_bytes())?;
        }
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let started_in = began.elapsed();
        // Owned from here on, so that it ends where its line makes no sense.
        let mut server = Self { child, _input: stdin, address: ([127, 0, 0, 1], 0).into(), started_in };
        let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        server.address = address.with_context(|| format!("{} didn't get ready: {line:?}", program.display()))?;
        Ok(server)
    }

    /// Starts a program that listens at this address, and waits until it does.
    pub(crate) fn at(address: SocketAddr, program: PathBuf, arguments: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let child = command.spawn().with_context(|| format!("{} can't be started", program.display()))?;
        let mut server = Self { child, _input: None, address, started_in: Duration::ZERO };
        while TcpStream::connect(address).is_err() {
            if server.child.try_wait()?.is_some() || began.elapsed() > PATIENCE {
                bail!("{} doesn't listen", program.display());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        server.started_in = began.elapsed();
        Ok(server)
    }

    /// The processes that it has started.
    fn children(&self) -> Vec<String> {
        let own = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        children.split_whitespace().map(str::to_owned).collect()
    }

    /// Processor time that it and the processes that it has started have used so far, in seconds.
    pub(crate) fn processor_seconds(&self) -> anyhow::Result<f64> {
        let mut seconds = Self::processor_seconds_of(&self.child.id().to_string())?;
        for child in self.children() {
            seconds += Self::processor_seconds_of(&child)?;
        }
        Ok(seconds)
    }

    /// The same of one process.
    fn processor_seconds_of(process: &str) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The second field, the name, may hold anything; `utime` and `stime` are the 14th and 15th.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).context("no such field");
        Ok((ticks(11)? + ticks(12)?) / TICKS)
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024.0)
    }

    /// One call on a connection of its own. The body of its answer, which must be a 200.
    pub(crate) fn call(&self, method: &str, path: &str, token: &str, body: &str) -> anyhow::Result<String> {
        Ok(self.whole(method, path, token, body)?.body)
    }

    /// The same with the answer's head.
    pub(crate) fn whole(&self, method: &str, path: &str, token: &str, body: &str) -> anyhow::Result<Whole> {
        let mut stream = TcpStream::connect(self.address)?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}",
            self.address
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no complete answer")?;
        if !head.starts_with("HTTP/1.1 200") {
            bail!("{method} {path}: {} {body}", head.lines().next().unwrap_or_default());
        }
        Ok(Whole { head: head.to_owned(), body: body.to_owned() })
    }
}

/// An answer, whole.
pub(crate) struct Whole {
    head: String,
    pub(crate) body: String,
}

impl Whole {
    /// Its headers, but for those of the connection.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.filter(|(name, _)| !name.eq_ignore_ascii_case("connection"))
    }

    /// All of it that stays the same from one call to the next, in some order.
    pub(crate) fn lasting(&self) -> (Vec<(&str, &str)>, &str) {
        let mut headers: Vec<_> = self.headers().filter(|(name, _)| !name.eq_ignore_ascii_case("date")).collect();
        headers.sort_unstable();
        (headers, &self.body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Workers outlive a master that is killed.
        for child in self.children() {
            drop(Command::new("kill").args(["-KILL", &child]).status());
        }
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The folder where make puts what it builds, in which this program lies.
pub(crate) fn built() -> anyhow::Result<PathBuf> {
    let executable = std::env::current_exe().context("the executable's own path isn't known")?;
    Ok(executable.parent().context("the executable lies in no folder")?.to_owned())
}
