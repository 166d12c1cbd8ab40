//! What the flow asks a provider. Client authentication, scope and refresh are those of every OAuth flow, and tested
//! with client credentials.

use super::*;

fn ada() -> Harness {
    Harness::new::<Password>()
        .value("client_id", "app")
        .secret("client_secret")
        .value("username", "ada@example.org")
        .secret("password")
        .value("token_url", "https://id.example/token")
}

#[test]
fn fields_in_order() {
    let harness = Harness::new::<Password>();
    let names: Vec<&str> = harness.description().fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(
        names.join(" "),
        "client_id client_secret username password token_url scope scope_separator audience resource \
         request_body client_auth \
         private_key key_id signing_algorithm assertion_audience \
         refresh refresh_url refresh_client_auth scope_on_refresh revocation_url"
    );
    assert!(harness.description().unattended);
}

#[test]
fn acquires() {
    assert_eq!(
        ada().value("scope", "read write").acquire().request(),
        "POST https://id.example/token\n\
         accept: application/json\n\
         authorization: Basic {client_basic}\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         grant_type=password&username=ada@example.org&password={password}&scope=read write\n\
         {client_basic} = basic-form app:{client_secret}\n"
    );
}

#[test]
fn refreshes_without_the_password() {
    assert_eq!(
        ada().value("client_auth", "none").refresh().request(),
        "POST https://id.example/token\n\
         accept: application/json\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         grant_type=refresh_token&refresh_token={token.refresh_token}&client_id=app\n"
    );
}

#[test]
fn a_refresh_without_refresh_token_keeps_the_old_one() {
    let token = ada().refresh().answer(200, r#"{"access_token":"new"}"#).token();
    assert_eq!(token.refresh_token, None);
}
