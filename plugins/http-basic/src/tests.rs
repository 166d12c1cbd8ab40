//! What the host is to compute.

use tokenhost_flow::types::Requirement;

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
    let key = integration().value("user_is", "secret").secret("user_key").acquire().placed();
    assert_eq!(key, format!("{header}{{basic}} = basic {{user_key}}:\n"));
    assert!(matches!(ada().revoke().outcome(), Ok(Step::Revoked)));
}

#[test]
fn the_user_is_one_or_the_other() {
    let key = || integration().value("user_is", "secret").secret("user_key").value("username", "ada");
    assert!(key().acquire().placed().ends_with("{basic} = basic {user_key}:\n"));
    let required: Vec<String> = HttpBasic::describe()
        .fields
        .iter()
        .filter(|field| field.required != Requirement::Never)
        .map(|field| field.name.clone())
        .collect();
    assert_eq!(required, ["username", "user_key"]);
}
