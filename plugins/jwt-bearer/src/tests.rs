//! What the flow asks a provider.

use super::*;

fn account() -> Harness {
    Harness::new::<JwtBearer>()
        .value("issuer", "robot@project.example")
        .secret("private_key")
        .value("token_url", "https://id.example/token?tenant=7")
}

/// The request of an acquisition that sends these parameters and has these claims besides the fresh ones.
#[track_caller]
fn acquires(harness: Harness, parameters: &str, claims: &str) {
    let fresh = "07".repeat(16);
    assert_eq!(
        harness.acquire().request(),
        format!(
            "POST https://id.example/token?tenant=7\n\
             accept: application/json\n\
             content-type: application/x-www-form-urlencoded\n\
             \n\
             grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={{assertion}}{parameters}\n\
             {{assertion}} = jwt RS256 {{private_key}} [] \
             [{claims}\n/jti \"{fresh}\"\n/iat 1795341600\n/exp 1795341840]\n"
        )
    );
}

#[test]
fn a_service_account_acts_for_itself() {
    acquires(
        account(),
        "",
        "/iss \"robot@project.example\"\n/sub \"robot@project.example\"\n/aud \"https://id.example/token\"",
    );
}

#[test]
fn the_scope_stands_beside_or_within() {
    let account = || {
        account()
            .value("subject", "ada@example")
            .value("assertion_audience", "https://id.example")
            .value("scope", "a  b")
    };
    let claims = "/iss \"robot@project.example\"\n/sub \"ada@example\"\n/aud \"https://id.example\"";
    acquires(account(), "&scope=a b", claims);
    acquires(account().value("scope_in", "claim"), "", &format!("{claims}\n/scope \"a b\""));
}

#[test]
fn a_client_may_show_itself_too() {
    let run = account().value("client_id", "app").secret("client_secret").value("client_auth", "post").acquire();
    assert!(run.request().contains("&client_id=app&client_secret={client_secret}\n"));
    let run = account().value("client_id", "app").acquire();
    assert!(run.request().contains("assertion={assertion}&client_id=app\n"));
}

#[test]
fn it_refreshes_and_revokes_like_every_flow() {
    assert!(
        account().refresh().request().contains("\n\ngrant_type=refresh_token&refresh_token={token.refresh_token}\n")
    );
    let run = account().value("revocation_url", "https://id.example/revoke").revoke();
    assert!(run.request().contains("\n\ntoken={token.access_token}&token_type_hint=access_token\n"));
}
