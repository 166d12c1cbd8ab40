//! The API's own description is good enough: a generator that nobody here wrote makes a client of it, which is used against a
//! real daemon and a real provider (`tests/clients/generated.py`).

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use tokenhost_tests::{Daemon, Provider};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_generated_works() {
    let (daemon, provider) = tokio::join!(Daemon::start(), Provider::oidc(&[]));
    let output = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/generated.py"))
        .arg(provider.text("/openapi_url"))
        .env("TOKENHOST_URL", daemon.url())
        .env("TOKENHOST_TOKEN", daemon.token())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let [printed, failed] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success() && printed == "used\n", "{printed}\n{failed}\n{}", daemon.log());
}
