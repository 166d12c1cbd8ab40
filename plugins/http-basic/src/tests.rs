//! What the host is to compute.

use super::*;

fn integration() -> Harness {
    Harness::new::<HttpBasic>()
}

#[test]
fn user_and_password() {
    let ada = || integration().value("username", "ada").secret("password");
    let header = "Authorization: Basic {basic}\n";
    assert_eq!(ada().acquire().placed(), format!("{header}{{basic}} = basic ada:{{password}}\n"));
    let encoded = ada().value("encoding", "percent").refresh().placed();
    assert_eq!(encoded, format!("{header}{{basic}} = basic-percent ada:{{password}}\n"));
    let key = integration().secret("user_key").acquire().placed();
    assert_eq!(key, format!("{header}{{basic}} = basic {{user_key}}:\n"));
    assert!(matches!(ada().revoke().outcome(), Ok(Step::Revoked)));
}

#[test]
fn one_user() {
    let check = |harness: Harness, expected: &str| assert_eq!(harness.acquire().failure_line(), expected);
    check(integration().secret("password"), "missing_field, reconfigure: neither username nor user_key is set");
    check(
        integration().value("username", "ada").secret("user_key"),
        "invalid_field, reconfigure: username and user_key are both set; keep one",
    );
}
