//! A real nginx in front of a small service, with the configuration of the guide as it is written there: who gets through,
//! what the service is told, and that a client can't tell it anything else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::net::{IpAddr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokenhost_tests::client::http;
use tokenhost_tests::{Daemon, Mock, Options, PATIENCE, eventually, mock};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// Where the client is, so that it is told from the proxy. All of 127.0.0.0/8 is loopback.
const CLIENT: &str = "127.0.0.2";

/// The configuration in the guide.
fn guide() -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/proxies.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, rest) = guide.split_once("```nginx\n").unwrap();
    rest.split_once("```\n").unwrap().0.to_owned()
}

/// nginx, from the path or from where Debian puts it.
fn executable() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join("nginx")).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("there is no nginx: run `make tools`"))
}

/// A running nginx. It ends when it is dropped.
struct Nginx {
    url: String,
    _child: Child,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// nginx with the guide's configuration: the daemon, the service and its own address are put in.
    async fn start(daemon: &str, service: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free when it was asked for; nobody else here takes ports below the ephemeral ones in the meantime but by chance.
        let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = guide();
        for (written, real) in [
            ("127.0.0.1:8420", daemon.trim_start_matches("http://").to_owned()),
            ("127.0.0.1:8080", format!("127.0.0.1:{port}")),
            ("127.0.0.1:3000", service.trim_start_matches("http://").to_owned()),
        ] {
            assert_eq!(server.matches(written).count(), 1, "{written} in the guide");
            server = server.replace(written, &real);
        }
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let folders: String = folders.map(|name| format!("{name}_temp_path {name};\n")).concat();
        let whole = format!(
            "daemon off;\nmaster_process off;\npid pid;\nevents {{}}\nhttp {{\naccess_log off;\n{folders}{server}}}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), whole).unwrap();
        let mut command = Command::new(executable());
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "error.log"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let nginx = Self { url: format!("http://127.0.0.1:{port}"), _child: child, folder };
        let listening = async || TcpStream::connect(("127.0.0.1", port)).await.ok();
        let waiting = tokio::time::timeout(PATIENCE / 2, eventually("nginx", listening)).await;
        assert!(waiting.is_ok(), "nginx doesn't listen: {}", nginx.log());
        nginx
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

/// Passes connections on to the daemon, and counts them.
async fn relay(daemon: &str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (count, daemon) = (Arc::new(AtomicUsize::new(0)), daemon.trim_start_matches("http://").to_owned());
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let daemon = daemon.clone();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(daemon).await.unwrap();
                // How a connection ends is the business of the two ends.
                drop(copy_bidirectional(&mut near, &mut far).await);
            });
        }
    });
    (url, count)
}

/// What came back to the client.
struct Got {
    status: u16,
    headers: reqwest::header::HeaderMap,
    /// What the service was told, where it was asked.
    told: Value,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// A client of the service, with these headers.
async fn call(nginx: &Nginx, method: &str, target: &str, headers: &[(&str, &str)]) -> Got {
    drop(http());
    let client = reqwest::Client::builder().no_proxy().local_address(CLIENT.parse::<IpAddr>().unwrap());
    let client = client.timeout(PATIENCE).build().unwrap();
    let mut request = client.request(method.parse().unwrap(), format!("{}{target}", nginx.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.body(if method == "POST" { "a=b" } else { "" }).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let told = serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default();
    Got { status, headers, told }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_lets_through_who_may_and_tells_the_service_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("tokenhost.toml");
    let access = "[access]\nscopes = [\"Grafana\"]\ntrusted_proxies = [\"127.0.0.1/32\"]\n";
    std::fs::write(&settings, access).unwrap();
    let daemon = Daemon::start_with(Options::default().env("TOKENHOST_CONFIG", settings.to_str().unwrap())).await;
    let client = daemon.client();
    let make = async |name: &str, scopes: Value| {
        let new = json!({"name": name, "profiles": ["REST Services User", "Auditor"], "scopes": scopes});
        let made = client.post("/v1/application-tokens", &new).await.expect(201);
        (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
    };
    let (id, token) = make("dashboards", json!(["Grafana"])).await;
    let (_, other) = make("exporter", json!(["Export"])).await;
    let (relayed, connections) = relay(daemon.url()).await;
    // The service tells what it was told.
    let service = Mock::start(|seen| mock::json(200, &json!({"target": seen.target, "headers": seen.headers}))).await;
    let nginx = Nginx::start(&relayed, &service.url).await;
    let bearer = format!("Bearer {token}");

    // With a token, and with everything that a client might tell the service in tokenhost's name.
    let forged = [
        ("authorization", bearer.as_str()),
        ("auth-token", token.as_str()),
        ("x-auth-principal", "root"),
        ("x-auth-kind", "user"),
        ("x-auth-profiles", "Administrator"),
        ("x-auth-organization", "forged"),
        ("x-auth-organizations", "forged"),
        ("x-auth-scopes", "forged"),
        ("x-auth-token-id", "forged"),
        ("remote-user", "root"),
        ("x_auth_principal", "root"),
        ("x-forwarded-for", "192.0.2.1"),
    ];
    for (method, target) in [("GET", "/a/b?auth_token=x&scope=rest-json"), ("POST", "/a"), ("PUT", "/v1/verify?x=%2F")]
    {
        let got = call(&nginx, method, target, &forged).await;
        assert_eq!(got.status, 200, "{method} {target} {}", nginx.log());
        assert_eq!(got.told["target"], target);
        let headers = &got.told["headers"];
        for (name, value) in [
            ("x-auth-principal", "dashboards"),
            ("x-auth-kind", "application"),
            ("x-auth-profiles", "REST Services User,Auditor"),
            ("x-auth-organization", "default"),
            ("x-auth-organizations", "*"),
            ("x-auth-scopes", "Grafana"),
            ("x-auth-token-id", &id),
            ("remote-user", "application/dashboards"),
        ] {
            assert_eq!(headers[name], value, "{name} in {headers}");
        }
        let text = headers.to_string();
        for absent in [token.as_str(), "root", "forged", "Administrator", "192.0.2.1"] {
            assert!(!text.contains(absent), "{absent} in {text}");
        }
        assert!(headers.get("authorization").is_none() && headers.get("auth-token").is_none(), "{headers}");
    }

    // Without one, with a wrong one, with one of another scope: the service hears nothing of it.
    let asked = service.seen().len();
    for (headers, status, challenge) in [
        (vec![], 401, "Bearer realm=\"tokenhost\""),
        (vec![("authorization", "Basic YWRhOnB3")], 401, "Bearer realm=\"tokenhost\""),
        (vec![("auth-token", "tha_wrong")], 401, "Bearer realm=\"tokenhost\", error=\"invalid_token\""),
        (
            vec![("auth-token", other.as_str())],
            403,
            "Bearer realm=\"tokenhost\", error=\"insufficient_scope\", scope=\"Grafana\"",
        ),
        (
            vec![("authorization", bearer.as_str()), ("auth-token", other.as_str())],
            401,
            "Bearer realm=\"tokenhost\", error=\"invalid_token\"",
        ),
    ] {
        let got = call(&nginx, "GET", &format!("/?auth_token={token}"), &headers).await;
        assert_eq!((got.status, got.header("www-authenticate")), (status, challenge), "{headers:?}");
        assert_eq!(got.header("x-support-id").len(), 150, "{:?}", got.headers);
        assert_eq!(got.headers.get_all("www-authenticate").iter().count(), 1);
    }
    assert_eq!(service.seen().len(), asked);

    // From where, and how often.
    let usage = client.get(&format!("/v1/application-tokens/{id}")).await.expect(200);
    assert_eq!((&usage["use_count"], &usage["last_use_address"]), (&json!(3), &json!(CLIENT)));

    // Connections to the daemon are kept.
    for _ in 0..20 {
        assert_eq!(call(&nginx, "GET", "/", &[("auth-token", &token)]).await.status, 200);
    }
    assert!(connections.load(Ordering::SeqCst) <= 2, "{connections:?} connections");

    // Rebuilt: the old value is refused by the very next request, and so on.
    let built = client.post(&format!("/v1/application-tokens/{id}/rebuild"), &json!({})).await.expect(200);
    assert_eq!(call(&nginx, "GET", "/", &[("auth-token", &token)]).await.status, 401);
    let token = built["token"].as_str().unwrap();
    assert_eq!(call(&nginx, "GET", "/", &[("auth-token", token)]).await.status, 200);
    client.call("PATCH", &format!("/v1/application-tokens/{id}"), &json!({"status": "disabled"})).await.expect(200);
    assert_eq!(call(&nginx, "GET", "/", &[("auth-token", token)]).await.status, 401);
    client.call("PATCH", &format!("/v1/application-tokens/{id}"), &json!({"status": "enabled"})).await.expect(200);
    assert_eq!(call(&nginx, "GET", "/", &[("auth-token", token)]).await.status, 200);
    client.call("DELETE", &format!("/v1/application-tokens/{id}"), &Value::Null).await.expect(204);
    assert_eq!(call(&nginx, "GET", "/", &[("auth-token", token)]).await.status, 401);
}
