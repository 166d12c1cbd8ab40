//! A daemon in this process, on a real store and a real socket: made, started, refused, stopped.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::config::{Egress as EgressSettings, KeySource, Log, Public};
use crate::seal::MasterKey;

/// Settings for a daemon in this folder.
fn config(folder: &Path) -> Config {
    Config {
        data: folder.join("data"),
        public_url: None,
        listen: "127.0.0.1:0".parse().unwrap(),
        key: KeySource::File(folder.join("keys/master.key")),
        key_next: None,
        flows: folder.to_owned(),
        public: Public::default(),
        connections: 100,
        egress: EgressSettings::default(),
        access: crate::access::Policy::default(),
        audit: crate::config::Audit::default(),
        events: crate::config::Events::default(),
        backup: None,
        log: Log::default(),
        telemetry: crate::config::Telemetry::default(),
        resolved: Vec::new(),
    }
}

/// The status of a call with this token.
async fn status(address: SocketAddr, token: &SecretString) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let token = token.expose_secret();
    let request = format!("GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuth-Token: {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_is_made_once_started_stopped_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let made = init(&config).await.unwrap();
    let key = made.key_file_made.unwrap();
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&config.data).unwrap().permissions().mode() & 0o777, 0o700);
    let again = init(&config).await.unwrap_err().to_string();
    assert!(again.contains("administrator already") && again.contains("init --rebuild"), "{again}");

    for _ in 0..2 {
        let daemon = Daemon::start(config.clone()).await.unwrap();
        assert_eq!(status(daemon.address(), &made.token).await, "200");
        daemon.stop().await.unwrap();
    }

    let rebuilt = rebuild(&config).await.unwrap();
    let daemon = Daemon::start(config).await.unwrap();
    assert_eq!(status(daemon.address(), &made.token).await, "401");
    assert_eq!(status(daemon.address(), &rebuilt.token).await, "200");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_a_daemon_from_starting_is_said() {
    async fn check(config: &Config, expected: &str) {
        match Daemon::start(config.clone()).await {
            Ok(_) => panic!("it starts, and shouldn't: {expected}"),
            Err(error) => assert!(format!("{error:#}").contains(expected), "{error:#}"),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let good = config(folder.path());
    check(&good, "run `tokenhost init` first").await;
    assert!(!good.data.exists());

    init(&good).await.unwrap();
    let other = MasterKey::generate("a test").unwrap();
    let given = Config { key: KeySource::Given(other.to_text().as_str().into()), ..good.clone() };
    check(&given, "is the wrong one").await;
    let missing = Config { key: KeySource::File(folder.path().join("nowhere")), ..good.clone() };
    check(&missing, "`tokenhost init` makes one").await;
    check(&missing, "was sealed with master key ").await;
    // Nor does a new key come to data that was sealed with another one.
    assert!(format!("{:#}", init(&missing).await.unwrap_err()).contains("was sealed with master key "));
    assert!(!folder.path().join("nowhere").exists());

    let daemon = Daemon::start(good.clone()).await.unwrap();
    check(&good, "is in use by another daemon").await;
    let second = tempfile::tempdir().unwrap();
    let taken = Config { listen: daemon.address(), ..config(second.path()) };
    init(&taken).await.unwrap();
    check(&taken, "can't listen on 127.0.0.1:").await;
    daemon.stop().await.unwrap();
}
