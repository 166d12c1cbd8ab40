//! Where the flow sends a person, what it makes of their return, and what it asks the provider.

use tokenhost_flow::oauth::pkce;
use tokenhost_flow::types::Redirect;

use super::*;

fn crm() -> Harness {
    Harness::new::<AuthorizationCode>()
        .value("client_id", "crm app")
        .secret("client_secret")
        .value("authorization_url", "https://id.example/authorize?tenant=7")
        .value("token_url", "https://id.example/token")
        .context(|context| {
            context.callback_url = Some("https://tokens.example/v1/callback".into());
            context.return_key = Some("key".into());
        })
}

#[track_caller]
fn redirect(run: tokenhost_flow::harness::Run) -> Redirect {
    match run.outcome() {
        Ok(Step::Redirect(redirect)) => redirect,
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_needs_a_person() {
    let harness = crm();
    assert!(!harness.description().unattended);
    let names: Vec<&str> = harness.description().fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(
        names.join(" "),
        "client_id client_secret authorization_url token_url scope scope_separator audience resource \
         request_body authorize_parameters issuer \
         client_auth private_key key_id signing_algorithm assertion_audience \
         refresh refresh_url refresh_client_auth scope_on_refresh revocation_url"
    );
}

#[test]
fn a_person_is_sent_to_the_provider() {
    let check = |harness: Harness, expected: &str| assert_eq!(redirect(harness.acquire()).url, expected);
    let verifier = redirect(crm().acquire()).state;
    assert_eq!(verifier.len(), 43);
    let challenge = pkce::challenge(&verifier);
    let fixed = format!(
        "https://id.example/authorize?tenant=7&response_type=code&client_id=crm+app\
         &redirect_uri=https%3A%2F%2Ftokens.example%2Fv1%2Fcallback&state=key&code_challenge={challenge}&code_challenge_method=S256"
    );
    check(crm(), &fixed);
    check(
        crm()
            .value("scope", " read  write ")
            .value("audience", "https://api.example")
            .value("resource", "https://a.example")
            .value("authorize_parameters", "prompt=consent login_hint=ada%20l"),
        &format!(
            "{fixed}&scope=read+write&audience=https%3A%2F%2Fapi.example&resource=https%3A%2F%2Fa.example&prompt=consent&login_hint=ada+l"
        ),
    );
    for base in ["https://id.example/authorize", "https://id.example/authorize?"] {
        let url = redirect(crm().value("authorization_url", base).acquire()).url;
        assert!(url.starts_with("https://id.example/authorize?response_type=code&"), "{url}");
    }
    // Another attempt has another verifier.
    let other = crm().context(|context| context.entropy = vec![8; 32]);
    assert_ne!(redirect(other.acquire()).state, verifier);
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let check = |harness: Harness, expected: &str| {
        let line = harness.acquire().failure_line();
        assert!(line.starts_with(expected), "{line}");
    };
    check(crm().value("authorization_url", "https://id.example/#x"), "invalid_field, reconfigure: authorization_url");
    for bad in ["prompt", "=x", "state=mine", "a=1&b=2", "redirect_uri=https://evil.example"] {
        check(crm().value("authorize_parameters", bad), "invalid_field, reconfigure: authorize_parameters");
    }
    check(crm().context(|context| context.callback_url = None), "no_callback, reconfigure: ");
    assert!(crm().revoke().failure_line().starts_with("unsupported, reconfigure: "));
}

#[test]
fn a_code_is_redeemed() {
    let redeemed = crm().acquire().returned(&[("state", "key"), ("code", "c0de")]);
    assert_eq!(
        redeemed.request(),
        "POST https://id.example/token\n\
         accept: application/json\n\
         authorization: Basic {client_basic}\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         grant_type=authorization_code&code={sensitive}&redirect_uri=https://tokens.example/v1/callback&code_verifier={sensitive}\n\
         {client_basic} = basic-form crm app:{client_secret}\n"
    );
    let token = redeemed.answer(200, r#"{"access_token":"t","refresh_token":"r","expires_in":60}"#).token();
    assert_eq!((token.access_token.as_deref(), token.refresh_token.as_deref()), (Some("t"), Some("r")));
    let public = Harness::new::<AuthorizationCode>()
        .value("client_id", "app")
        .value("client_auth", "none")
        .value("authorization_url", "https://id.example/authorize")
        .value("token_url", "https://id.example/token")
        .context(|context| {
            context.callback_url = Some("https://t.example/cb".into());
            context.return_key = Some("key".into());
        });
    let request = public.acquire().returned(&[("code", "c")]).request();
    assert!(request.ends_with("code_verifier={sensitive}&client_id=app\n"), "{request}");
}

#[test]
fn a_return_without_a_code_is_told() {
    let check = |harness: Harness, query: &[(&str, &str)], expected: &str| {
        let line = harness.acquire().returned(query).failure_line();
        assert!(line.starts_with(expected), "{line}\n{expected}");
    };
    check(
        crm(),
        &[("error", "access_denied"), ("error_description", "no\nthanks")],
        "access_denied, reconfigure: the provider sent the person back with access_denied: no thanks (connect again, and consent)",
    );
    check(crm(), &[("error", "temporarily_unavailable")], "temporarily_unavailable, retry: ");
    check(crm(), &[("error", "a b")], "provider_error, reconfigure: ");
    check(crm(), &[("code", "")], "invalid_response, reconfigure: ");
    // RFC 9207: another provider's return, an error of one included, is no return.
    let strict = || crm().value("issuer", "https://id.example");
    check(strict(), &[("code", "c")], "issuer_mismatch, reconfigure: the person came back without iss");
    check(strict(), &[("code", "c"), ("iss", "https://evil.example")], "issuer_mismatch, reconfigure: ");
    check(strict(), &[("error", "access_denied"), ("iss", "https://evil.example")], "issuer_mismatch, reconfigure: ");
    let request = strict().acquire().returned(&[("code", "c"), ("iss", "https://id.example")]).request();
    assert!(request.contains("grant_type=authorization_code"), "{request}");
}

#[test]
fn a_token_is_refreshed() {
    let refreshing = crm().refresh();
    assert!(refreshing.request().contains("grant_type=refresh_token&refresh_token={token.refresh_token}"));
    assert_eq!(
        refreshing.answer(400, r#"{"error":"invalid_grant"}"#).failure_line(),
        "invalid_grant, reacquire: the provider answered HTTP 400, invalid_grant"
    );
    assert!(
        crm()
            .acquire()
            .returned(&[("code", "c")])
            .unanswered(true, "reset")
            .failure_line()
            .starts_with("no_answer, retry")
    );
}

#[test]
fn a_token_is_revoked() {
    let revoking = crm().value("revocation_url", "https://id.example/revoke").secret("token.refresh_token").revoke();
    assert!(revoking.request().contains("token={token.refresh_token}&token_type_hint=refresh_token"));
    assert!(matches!(revoking.answer(200, "").outcome(), Ok(tokenhost_flow::types::Step::Revoked)));
}
