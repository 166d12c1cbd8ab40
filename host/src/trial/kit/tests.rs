//! The kit on plugins with faults, which it has to find. On good flows, and on faults that need a compiler, it is tested at the
//! command line (`tests/tests/authors.rs`).

use super::{CaseReport, Config, Kit, Script, Verdict};
use crate::flows::tests::guest::{DONE, FAILED, Guest, TOKEN};
use crate::flows::tests::load;

/// Runs cases on a plugin.
async fn run(guest: &Guest, config: &str, only: &[&str], own: &[(String, Script)]) -> Vec<CaseReport> {
    let plugin = load(guest).await;
    let mut kit = Kit::new(&plugin, Config::parse(config).unwrap()).await.unwrap_or_else(|error| panic!("{error}"));
    let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
    kit.run(&only, own, |_| {}).await
}

/// Runs one case on a plugin, which has to fail it: with what was expected and what came.
async fn check(guest: Guest, case: &str, expected: &str, got: &str) {
    let reports = run(&guest, "{}", &[case], &[]).await;
    let Some(Verdict::Failed(miss)) = reports.first().map(|report| &report.verdict) else { panic!("{reports:#?}") };
    assert!(miss.expected.contains(expected) && miss.got.contains(got), "{miss:#?}");
}

#[tokio::test]
async fn plugins_that_are_no_flows_fail_and_are_told_why() {
    check(Guest::good("constant"), "ordinary", "access_token kit-access-token", "access_token abc").await;
    check(
        Guest::answering("failing", &format!("(i32.const {FAILED})")),
        "ordinary",
        "a token",
        "invalid_client, reconfigure: No such client.; where the provider's answers are no OAuth token responses, give them in \
         conformance.json",
    )
    .await;
    check(Guest::answering("trapping", "(unreachable)"), "ordinary", "a token", "a fault of the component: it trapped")
        .await;
    check(Guest::answering("looping", "(loop $again (br $again)) (unreachable)"), "revoke", "revoked", "endless loop")
        .await;
    check(Guest::answering("trapping", "(unreachable)"), "foreign-state", "a failure, for each", "on `answered`").await;
    check(Guest::answering("trapping", "(unreachable)"), "strange-events", "a failure", "on `elapsed`").await;
}

#[tokio::test]
async fn a_flow_that_asks_nobody_is_held_by_its_token_alone() {
    let nothing = format!("(i32.store8 (i32.const {TOKEN}) (i32.const 0)) (i32.const {DONE})");
    let reports = run(&Guest::answering("at-once", &nothing), "{}", &[], &[]).await;
    let names: Vec<&str> = reports.iter().map(|report| report.name.as_str()).collect();
    assert_eq!(names, ["at-once", "revoke", "foreign-state", "strange-events"]);
    assert_eq!(reports[0].verdict, Verdict::Passed, "{reports:#?}");
}

#[tokio::test]
async fn a_case_can_be_skipped_with_a_reason() {
    let reports =
        run(&Guest::good("constant"), r#"{"skip":{"ordinary":"it has a token of its own"}}"#, &["ordinary"], &[]).await;
    assert_eq!(reports[0].verdict, Verdict::Skipped("it has a token of its own".to_owned()));
}

#[tokio::test]
async fn own_answers_and_own_cases_run() {
    let guest = Guest::answering("constant", &format!("(i32.const {DONE})"));
    let config = r#"{"answers":{"/x":{}},"token":{"access_token":"abc","expires_in":null}}"#;
    let own = |expect: &str| vec![("mine".to_owned(), Script::parse(&format!(r#"{{"expect":{expect}}}"#)).unwrap())];
    let reports =
        run(&guest, config, &["own-answers", "ordinary", "mine"], &own(r#"{"token":{"access_token":"abc"}}"#)).await;
    let passed: Vec<(&str, bool)> =
        reports.iter().map(|report| (report.name.as_str(), report.verdict == Verdict::Passed)).collect();
    assert_eq!(
        passed,
        [("ordinary", true), ("ordinary", false), ("own-answers", true), ("mine", true)],
        "{reports:#?}"
    );
    // What has answers of its own isn't held against the kit's token responses.
    assert!(matches!(reports[1].verdict, Verdict::Skipped(_)), "{reports:#?}");
    let reports = run(&guest, config, &["gzip", "scope-commas"], &[]).await;
    assert_eq!(reports[0].verdict, Verdict::Passed, "{reports:#?}");
    assert!(matches!(reports[2].verdict, Verdict::Skipped(_)), "{reports:#?}");
    let reports = run(&guest, config, &["mine"], &own(r#"{"token":{"access_token":"x"}}"#)).await;
    assert!(matches!(reports[0].verdict, Verdict::Failed(_)), "{reports:#?}");
}
