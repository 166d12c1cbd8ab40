//! What the flow asks a provider, and what it makes of the answers.

use super::*;

fn workload() -> Harness {
    Harness::new::<TokenExchange>()
        .secret("subject_token")
        .value("subject_token_type", "jwt")
        .value("client_auth", "none")
        .value("token_url", "https://sts.example/token")
}

#[test]
fn exchanges_one_token() {
    assert_eq!(
        workload().acquire().request(),
        "POST https://sts.example/token\n\
         accept: application/json\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={subject_token}\
         &subject_token_type=urn:ietf:params:oauth:token-type:jwt\n"
    );
}

#[test]
fn acts_for_another_at_services() {
    let run = workload()
        .secret("actor_token")
        .value("requested_token_type", "access_token")
        .value("audience", "billing")
        .value("resource", "https://a.example https://b.example")
        .value("scope", "read")
        .value("client_id", "gateway")
        .secret("client_secret")
        .value("client_auth", "post")
        .acquire();
    assert!(
        run.request().ends_with(
            "&subject_token_type=urn:ietf:params:oauth:token-type:jwt&actor_token={actor_token}\
             &actor_token_type=urn:ietf:params:oauth:token-type:access_token\
             &requested_token_type=urn:ietf:params:oauth:token-type:access_token\
             &scope=read&audience=billing&resource=https://a.example&resource=https://b.example\
             &client_id=gateway&client_secret={client_secret}\n"
        ),
        "{}",
        run.request()
    );
}

#[test]
fn says_what_was_issued() {
    let answer =
        r#"{"access_token":"t","issued_token_type":"urn:ietf:params:oauth:token-type:jwt","token_type":"N_A"}"#;
    let token = workload().acquire().answer(200, answer).token();
    assert_eq!(token.values, [("issued_token_type".to_owned(), "urn:ietf:params:oauth:token-type:jwt".to_owned())]);
    let refused = workload().acquire().answer(400, r#"{"error":"invalid_target"}"#);
    assert!(refused.failure_line().starts_with("invalid_target, reconfigure: "));
}
