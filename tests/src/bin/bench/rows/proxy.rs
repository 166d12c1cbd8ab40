//! Requests passed on to a service, against nginx as a plain reverse proxy to the same one, and against the service itself:
//! requests a second of small answers, how long each takes, the proxies' own processor time, bytes a second of large ones, and
//! the memory that it takes.
//!
//! The service is nginx with two files. The reverse proxy is set as its guides say: two workers, HTTP/1.1, and connections to
//! the service that are kept. Both proxies keep the caller's connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::name;
use crate::crowd::{Crowd, Question};
use crate::figures::{median, seconds};
use crate::home::Home;
use crate::process::Server;
use crate::report::{Line, Reach, Report};

/// Connections that ask for small answers, each with one request under way.
const CONNECTIONS: usize = 32;
/// Connections that ask for large ones.
const STREAMS: usize = 4;
/// How often all take turns.
const ROUNDS: usize = 9;
/// How long each turn is.
const TURN: Duration = Duration::from_millis(1000);
/// At the start, for caches and pools to fill.
const WARM_UP: Duration = Duration::from_millis(500);
/// The small answer.
const SMALL: &str = "{\"ok\":true,\"things\":[1,2,3]}\n";
/// The large one, in bytes.
const LARGE: usize = 10 << 20;

pub(super) fn measure(runtime: &Runtime, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("small"), SMALL)?;
    std::fs::write(folder.path().join("large"), vec![b'x'; LARGE])?;
    let service = Nginx::start(&format!(
        "server {{ listen 127.0.0.1:PORT backlog=4096; root {}; keepalive_requests 1000000000; }}",
        folder.path().display()
    ))?;
    let reverse = Nginx::start(&format!(
        "upstream service {{ server {}; keepalive 64; keepalive_requests 1000000000; }}\n\
         server {{ listen 127.0.0.1:PORT backlog=4096; keepalive_requests 1000000000; location / {{\n\
         proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}",
        service.server.address
    ))?;
    let home = runtime.block_on(Home::with_integration(name(0)?))?;
    let ours = home.daemon()?;
    let integration = format!("/v1/integrations/{}", name(0)?);
    let fields = serde_json::json!({"client_secret": "k7c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5"});
    let server = serde_json::json!({"server": format!("http://{}", service.server.address), "fields": fields});
    ours.call("PATCH", &integration, &home.token, &server.to_string())?;
    let token = serde_json::json!({"access_token": "x".repeat(800), "expires_in": 5_000_000, "scope": "read write"});
    ours.call("PUT", &format!("{integration}/token"), &home.token, &token.to_string())?;
    let proxy = format!("{integration}/proxy");
    for (server, prefix) in [(&ours, proxy.as_str()), (&reverse.server, ""), (&service.server, "")] {
        ensure!(server.call("GET", &format!("{prefix}/small"), &home.token, "")? == SMALL, "another answer");
    }

    let mut sides = [
        Side::new(&ours, &proxy, &home.token)?,
        Side::new(&reverse.server, "", &home.token)?,
        Side::new(&service.server, "", &home.token)?,
    ];
    small(report, &mut sides)?;
    large(report, &mut sides)
}

/// A server, and what came of its turns.
struct Side<'a> {
    server: &'a Server,
    crowd: Crowd,
    /// The request for the large answer.
    large: Vec<u8>,
    rates: Vec<f64>,
    costs: Vec<f64>,
    middles: Vec<f64>,
    slowest: Vec<f64>,
    streams: Vec<f64>,
}

impl<'a> Side<'a> {
    fn new(server: &'a Server, prefix: &str, token: &str) -> anyhow::Result<Self> {
        let crowd = Crowd::gather(server.address, &Question::get(&format!("{prefix}/small"), token)?, CONNECTIONS)?;
        let large =
            format!("GET {prefix}/large HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n").into();
        let (rates, costs, middles, slowest, streams) = Default::default();
        Ok(Self { server, crowd, large, rates, costs, middles, slowest, streams })
    }

    fn turn(&mut self) -> anyhow::Result<()> {
        let before = self.server.processor_seconds()?;
        let mut asked = self.crowd.ask_for(TURN)?;
        self.costs.push((self.server.processor_seconds()? - before) / asked.answers);
        self.rates.push(asked.answers / asked.seconds);
        asked.waits.sort_unstable();
        let share = |share: usize| asked.waits.get(asked.waits.len() * share / 100).copied().unwrap_or_default();
        self.middles.push(share(50).as_secs_f64());
        self.slowest.push(share(99).as_secs_f64());
        Ok(())
    }

    fn stream(&mut self) -> anyhow::Result<()> {
        self.streams.push(stream(self.server.address, &self.large)?);
        Ok(())
    }
}

/// Small answers.
fn small(report: &mut Report, sides: &mut [Side<'_>; 3]) -> anyhow::Result<()> {
    for side in sides.iter_mut() {
        side.crowd.ask_for(WARM_UP)?;
    }
    for round in 0..ROUNDS {
        // Who begins changes, too.
        for number in 0..3 {
            sides[(round + number) % 3].turn()?;
        }
        report.progress(|| format!("turn {} of {ROUNDS}", round + 1));
    }
    let [ours, nginx, direct] = sides;
    let ratios = |one: &[f64], other: &[f64]| median(one.iter().zip(other).map(|(one, other)| one / other).collect());
    let rate = |side: &Side<'_>| format!("{:.0}/s", median(side.rates.clone()));
    let time = |times: &[f64]| seconds(median(times.to_vec()));
    for (against, other, reach) in
        [("nginx", &*nginx, Reach::AtLeast(0.6)), ("the service itself", &*direct, Reach::None)]
    {
        report.add(Line {
            what: format!("…/proxy, small answers: requests a second, against {against}"),
            ours: rate(ours),
            baseline: rate(other),
            figure: ratios(&ours.rates, &other.rates),
            reach,
        });
        for (what, mine, theirs) in
            [("median", &ours.middles, &other.middles), ("99 of 100 within", &ours.slowest, &other.slowest)]
        {
            report.add(Line {
                what: format!("…/proxy, small answers: {what}, against {against} (inverse)"),
                ours: time(mine),
                baseline: time(theirs),
                figure: ratios(theirs, mine),
                reach: Reach::None,
            });
        }
    }
    report.add(Line {
        what: "…/proxy, small answers: proxy's processor time each, against nginx (inverse)".into(),
        ours: time(&ours.costs),
        baseline: time(&nginx.costs),
        figure: ratios(&nginx.costs, &ours.costs),
        reach: Reach::None,
    });
    Ok(())
}

/// Large answers, and the memory that they take.
fn large(report: &mut Report, sides: &mut [Side<'_>; 3]) -> anyhow::Result<()> {
    for side in sides.iter_mut() {
        stream(side.server.address, &side.large)?;
    }
    let before = sides[0].server.resident()?;
    let mut most = before;
    for round in 0..ROUNDS {
        for number in 0..3 {
            sides[(round + number) % 3].stream()?;
        }
        most = most.max(sides[0].server.resident()?);
        report.progress(|| format!("turn {} of {ROUNDS}", round + 1));
    }
    let [ours, nginx, direct] = sides;
    let rate = |side: &Side<'_>| format!("{:.0} MiB/s", median(side.streams.clone()) / f64::from(1 << 20));
    for (against, other, reach) in
        [("nginx", &*nginx, Reach::AtLeast(0.9)), ("the service itself", &*direct, Reach::None)]
    {
        report.add(Line {
            what: format!("…/proxy, 10 MiB answers: bytes a second, against {against}"),
            ours: rate(ours),
            baseline: rate(other),
            figure: median(ours.streams.iter().zip(&other.streams).map(|(one, other)| one / other).collect()),
            reach,
        });
    }
    let mebibytes = |bytes: f64| format!("{:.1} MiB", bytes / f64::from(1 << 20));
    report.add(Line {
        what: "…/proxy, resident memory: most while 10 MiB answers pass, against after the first of them".into(),
        ours: mebibytes(most),
        baseline: mebibytes(before),
        figure: most / before,
        reach: Reach::AtMost(1.5),
    });
    Ok(())
}

/// Asks for the large answer on several connections for a turn. Bytes a second.
fn stream(address: SocketAddr, request: &[u8]) -> anyhow::Result<f64> {
    let began = Instant::now();
    let bytes = std::thread::scope(|scope| {
        let streaming: Vec<_> = (0..STREAMS).map(|_| scope.spawn(|| drain(address, request, began))).collect();
        let mut bytes = 0;
        for one in streaming {
            bytes += one.join().map_err(|_| anyhow::anyhow!("a caller panicked"))??;
        }
        anyhow::Ok(bytes)
    })?;
    Ok(bytes as f64 / began.elapsed().as_secs_f64())
}

/// One of these connections: whole answers until the turn is over. Bytes of bodies.
fn drain(address: SocketAddr, request: &[u8], began: Instant) -> anyhow::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    while began.elapsed() < TURN {
        stream.write_all(request)?;
        let mut head = Vec::new();
        let mut left = loop {
            let read = stream.read(&mut buffer)?;
            ensure!(read > 0, "the server ended the connection");
            head.extend_from_slice(&buffer[..read]);
            if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                ensure!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head[..end]));
                break LARGE - (head.len() - end - 4);
            }
        };
        while left > 0 {
            let read = stream.read(&mut buffer)?;
            ensure!(read > 0, "the server ended the connection");
            left = left.checked_sub(read).context("more came than was announced")?;
        }
        bytes += LARGE;
    }
    Ok(bytes)
}

/// A running nginx with two workers.
struct Nginx {
    server: Server,
    _folder: TempDir,
}

impl Nginx {
    /// With these settings of `http`; `PORT` stands for a free one.
    fn start(settings: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let settings = settings.replace("PORT", &address.port().to_string());
        let names = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = names.map(|name| format!("{name}_temp_path {name};\n")).concat();
        let whole = format!(
            "daemon off;\nuser root;\nworker_processes 2;\npid pid;\nevents {{ worker_connections 4096; }}\n\
             http {{\naccess_log off;\nsendfile on;\ntcp_nopush on;\n{temporary}{settings}\n}}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), whole)?;
        let arguments =
            ["-p", &folder.path().to_string_lossy(), "-c", "nginx.conf", "-e", "error.log"].map(str::to_owned);
        let server = Server::at(address, executable()?, &arguments)
            .with_context(|| std::fs::read_to_string(folder.path().join("error.log")).unwrap_or_default())?;
        Ok(Self { server, _folder: folder })
    }
}

/// nginx, from the path or from where Debian puts it.
fn executable() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join("nginx")).find(|path: &PathBuf| Path::is_file(path));
    found.context("there is no nginx: run `make tools`")
}
