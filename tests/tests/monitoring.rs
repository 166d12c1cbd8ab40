//! Metrics, alert rules and dashboard, held together by Prometheus' own tools: what they name is there, they are well formed, and
//! a real Prometheus fires an alert where a provider fails. And the number of series has a bound, whatever callers do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokenhost::telemetry::METRICS;
use tokenhost_tests::{Client, Daemon, Mock, client, eventually, mock};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

/// Series that there are at most.
const MOST_SERIES: usize = 4_000;

fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitoring")
}

/// Runs `promtool` in the folder of the rules.
async fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(monitoring()).stdin(Stdio::piped());
    let mut tool = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("promtool; run `make tools`");
    let mut stdin = tool.stdin.take().unwrap();
    // It may end without having read all.
    drop(stdin.write_all(input.as_bytes()).await);
    drop(stdin);
    tool.wait_with_output().await.unwrap()
}

fn is_clean(output: &Output) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

async fn metrics(client: &Client) -> String {
    client.get("/metrics").await.text
}

/// A provider that gives tokens to one client and refuses another.
async fn provider() -> Mock {
    Mock::start(|seen| {
        if seen.target.starts_with("/bad") {
            return mock::json(401, &json!({"error": "invalid_client"}));
        }
        mock::json(200, &json!({"access_token": "at", "token_type": "Bearer", "expires_in": 3600}))
    })
    .await
}

/// A daemon that has done a bit of everything.
async fn busy(provider: &Mock) -> Daemon {
    let daemon = Daemon::start().await;
    let client = daemon.client();
    for name in ["good", "bad"] {
        client.import_oauth(name, &format!("{}/{name}", provider.url)).await;
        let fields = json!({"client_id": "me", "client_secret": "hunter2-secret"});
        let server = format!("{}/api", provider.url);
        client
            .integrate(
                json!({"name": name, "model": name, "flow": "client-credentials", "fields": fields, "server": server}),
            )
            .await;
    }
    client.token("good").await.expect(200);
    client.token("bad").await.expect(503);
    client.get("/v1/integrations/good/proxy/x").await;
    daemon
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    let is_metric = |word: &&str| word.starts_with("tokenhost_") || word.starts_with("process_");
    let base =
        |word: &str| word.trim_end_matches("_bucket").trim_end_matches("_count").trim_end_matches("_sum").to_owned();
    words.filter(is_metric).map(base).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rules_and_the_dashboard_name_is_there_and_well_formed() {
    is_clean(&promtool(&["check", "rules", "alerts.yaml"], "").await);
    is_clean(&promtool(&["test", "rules", "alerts_test.yaml"], "").await);

    let provider = provider().await;
    let daemon = busy(&provider).await;
    let text = eventually("a look at what is only looked at", async || {
        let text = metrics(&daemon.client()).await;
        text.contains("tokenhost_integrations{state=\"failing\"} 1").then_some(text)
    })
    .await;
    is_clean(&promtool(&["check", "metrics"], &text).await);
    let exposed = names(&text);
    // These are there once a flow is faulty, or a backup was made, and not before.
    let later = [
        "tokenhost_flow_faults_total",
        "tokenhost_flow_quarantined",
        "tokenhost_backup_last_success_timestamp_seconds",
    ]
    .map(str::to_owned);
    for metric in METRICS {
        assert!(
            exposed.contains(metric.name) || later.contains(&metric.name.to_owned()),
            "{} isn't exposed",
            metric.name
        );
    }
    let mut wanted = names(&std::fs::read_to_string(monitoring().join("alerts.yaml")).unwrap());
    wanted.extend(queries().iter().flat_map(|query| names(query)));
    assert!(wanted.len() > 25, "{wanted:?}");
    for name in wanted {
        assert!(exposed.contains(&name) || later.contains(&name), "{name} is asked for, and isn't exposed");
    }
    // Each alert has a section in the guide.
    let guide = std::fs::read_to_string(monitoring().join("../monitoring.md")).unwrap();
    let rules = std::fs::read_to_string(monitoring().join("alerts.yaml")).unwrap();
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    for alert in &alerts {
        assert!(guide.contains(&format!("\n### {alert}\n")), "docs/monitoring.md says nothing of {alert}");
        assert!(rules.contains(&format!("docs/monitoring.md#{}", alert.to_lowercase())), "{alert} has no runbook");
    }
    assert_eq!(guide.matches("\n### Tokenhost").count(), alerts.len(), "the guide has sections of no alert");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_callers_do_there_are_few_series() {
    let provider = provider().await;
    let daemon = busy(&provider).await;
    let (client, http) = (daemon.client(), client::http());
    for round in 0..60 {
        let noise = format!("x{round}-{}", "%22%0a".repeat(round % 7));
        let method = reqwest::Method::from_bytes(format!("M{round}").as_bytes()).unwrap();
        for path in
            [format!("/{noise}"), format!("/v1/{noise}"), format!("/v1/forward-auth/{noise}"), "/v1/models".to_owned()]
        {
            drop(http.request(method.clone(), format!("{}{path}", daemon.url())).send().await);
        }
        for path in
            [format!("/v1/models/{noise}"), format!("/v1/integrations/{noise}/token"), format!("/v1/audit/{round}")]
        {
            drop(client.get(&path).await);
        }
        let refused = http.get(format!("{}/v1/models", daemon.url())).header("Auth-Token", format!("tha_{noise}"));
        assert_eq!(refused.send().await.unwrap().status(), 401);
        let new = json!({"name": format!("i{round}"), "model": "good", "flow": "client-credentials",
            "fields": {"client_id": "me", "client_secret": "hunter2-secret"}});
        client.integrate(new).await;
    }
    let text = metrics(&client).await;
    let series = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
    assert!(series < MOST_SERIES / 4, "{series} series");
    assert!(!text.contains("x12") && !text.contains("i59") && !text.contains("M59"), "a caller's word is a label");
    // All routes there are, with all that can be said of each, stay below the bound that is stated.
    let table = series_of_all_routes(&client).await;
    assert!(table + series < MOST_SERIES, "{table} for all routes, and {series}");
    let guide = std::fs::read_to_string(monitoring().join("../monitoring.md")).unwrap();
    assert!(guide.contains("It is below 4,000"), "the guide states another bound");
}

/// How many series there are when each route was answered with each class of status.
async fn series_of_all_routes(client: &Client) -> usize {
    let document = client.get("/openapi.json").await.json();
    let routes: usize =
        document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
    let paths = document["paths"].as_object().unwrap().len();
    // Five classes each; and of each path a histogram of eight buckets, the infinite one, sum and count.
    routes * 5 + paths * 11
}

/// All queries of the dashboard, with its variables put in.
fn queries() -> Vec<String> {
    let text = std::fs::read_to_string(monitoring().join("dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let put = |query: &str| query.replace("$__rate_interval", "1m").replace("$instance", ".*");
    targets.map(|target| put(target["expr"].as_str().unwrap())).collect()
}

/// A real Prometheus.
struct Prometheus {
    url: String,
    _child: Child,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// One that scrapes this daemon, with the rules as they are, but without their patience.
    async fn start(daemon: &Daemon) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let rules = std::fs::read_to_string(monitoring().join("alerts.yaml")).unwrap();
        let hasty =
            |line: &str| if line.trim().starts_with("for:") { "        for: 0s".to_owned() } else { line.to_owned() };
        let rules: Vec<String> = rules.lines().map(hasty).collect();
        std::fs::write(path("alerts.yaml"), rules.join("\n")).unwrap();
        std::fs::write(path("token"), daemon.token()).unwrap();
        let target = daemon.url().strip_prefix("http://").unwrap();
        let config = json!({
            "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
            "rule_files": ["alerts.yaml"],
            "scrape_configs": [{"job_name": "tokenhost", "authorization": {"credentials_file": "token"},
                "static_configs": [{"targets": [target]}]}],
        });
        // JSON is YAML.
        std::fs::write(path("prometheus.yml"), config.to_string()).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", path("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", path("data").display()));
        command.args(["--web.listen-address=127.0.0.1:0", "--log.format=logfmt"]).kill_on_drop(true);
        let mut child =
            command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("prometheus; run `make tools`");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = async {
            let mut said = String::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
                    return format!("http://{}", address.trim());
                }
                said += &(line + "\n");
            }
            panic!("{said}")
        };
        let url = tokio::time::timeout(tokenhost_tests::PATIENCE, listening).await.expect("prometheus isn't ready");
        // What it says from now on is read, so that it never waits.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { url, _child: child, _folder: folder }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{path}", self.url), query).unwrap();
        let text = match client::http().get(url).send().await {
            Ok(answer) => answer.text().await.unwrap(),
            Err(_) => return Value::Null,
        };
        serde_json::from_str(&text).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_the_daemon_and_an_alert_fires_where_a_provider_fails() {
    let provider = provider().await;
    let daemon = busy(&provider).await;
    let prometheus = Prometheus::start(&daemon).await;
    let alert = eventually("the alert", async || {
        let alerts = prometheus.get("alerts", &[]).await;
        let alerts = alerts["data"]["alerts"].as_array().cloned().unwrap_or_default();
        alerts
            .into_iter()
            .find(|alert| alert["labels"]["alertname"] == "TokenhostTokensFailing" && alert["state"] == "firing")
    })
    .await;
    assert_eq!(alert["annotations"]["summary"], "1 integrations have no token that works");
    let target = prometheus.get("targets", &[]).await;
    assert_eq!(target["data"]["activeTargets"][0]["health"], "up", "{target}");
    for query in queries() {
        let answer = prometheus.get("query", &[("query", &query)]).await;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
    }
    let answer = prometheus.get("query", &[("query", "sum(tokenhost_integrations{state=\"healthy\"})")]).await;
    assert_eq!(answer["data"]["result"][0]["value"][1], "1", "{answer}");
}
