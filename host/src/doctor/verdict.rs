//! One sentence about what is the matter, out of all trials. Decided without asking anybody.
//!
//! Wrong credentials are told from a wrong way of sending them by comparing the answers: what is refused alike in every way
//! is what was sent; what comes further in one way than in another is how.

use std::collections::BTreeMap;

use super::finding::{Cause, Changes, Check, Ended, Grade, Trial, Verdict};
use super::variant::{is_client_refused, rank};

/// What the verdict is made from.
pub(super) struct Evidence<'a> {
    /// The integration's name.
    pub(super) integration: &'a str,
    /// Its values.
    pub(super) values: &'a BTreeMap<String, String>,
    /// All trials, the integration's own settings first.
    pub(super) trials: &'a [Trial],
    /// All checks.
    pub(super) checks: &'a [Check],
    /// Requests that were sent.
    pub(super) requests: u32,
    /// Why it ended before all was tried.
    pub(super) stopped: Option<&'a str>,
}

/// What it comes to.
pub(super) fn verdict(evidence: &Evidence<'_>) -> Verdict {
    let (cause, mut sentence, settings) = judge(evidence);
    if let Some(clock) = evidence.checks.iter().find(|check| check.name == "clock" && check.grade == Grade::Bad) {
        sentence = format!("{sentence}; besides, {}", clock.text);
    }
    Verdict { cause, sentence: format!("{sentence}."), settings, requests: evidence.requests }
}

fn judge(evidence: &Evidence<'_>) -> (Cause, String, Changes) {
    let name = evidence.integration;
    let none = Changes::new();
    if let Some(check) = evidence.checks.iter().find(|check| check.name == "fields" && check.grade == Grade::Bad) {
        return (Cause::Incomplete, format!("{name} isn't filled in: {}", check.text), none);
    }
    let Some(first) = evidence.trials.first() else {
        return (Cause::Unknown, evidence.stopped.unwrap_or("nothing could be tried").to_owned(), none);
    };
    if first.ended == Ended::Token && first.status.is_none() {
        let why = "its flow asks nobody for a token, and only a call shows whether the service takes the credentials";
        return (Cause::Works, format!("nothing is wrong with {name} as far as can be told: {why}"), none);
    }
    if first.worked() {
        let how = match first.ended {
            Ended::Accepted => "the provider takes the client with the present settings; the rest needs a person",
            _ => "the provider gives a token with the present settings",
        };
        return (Cause::Works, format!("{name} works: {how}"), none);
    }
    if let Some(found) = evidence.trials.iter().find(|trial| trial.worked()) {
        let wants = changes_text(&found.changes, evidence.values);
        let what = if found.ended == Ended::Accepted { "takes the client" } else { "gives a token" };
        return (Cause::Settings, format!("the provider {what} with {wants}"), found.changes.clone());
    }
    // Of equal ones the first: it differs least from the integration's own.
    let mut best = first;
    for trial in evidence.trials {
        if rank(trial) > rank(best) {
            best = trial;
        }
    }
    let (cause, sentence) = failed(evidence, first, best);
    let sentence = match evidence.stopped {
        Some(why) => format!("{sentence}; {why}"),
        None => sentence,
    };
    (cause, sentence, none)
}

/// What it comes to where no trial worked.
fn failed(evidence: &Evidence<'_>, first: &Trial, best: &Trial) -> (Cause, String) {
    let said = said(best);
    let aside = match best.changes.is_empty() {
        true => String::new(),
        false => format!(" with {}", changes_text(&best.changes, evidence.values)),
    };
    let refused = evidence.trials.iter().filter(|trial| is_client_refused(trial.code(), trial.status)).count();
    match (best.ended, best.code(), best.status) {
        (Ended::Unanswered, ..) => {
            (Cause::Unreachable, format!("the provider gives no complete answer: {}", first.message))
        }
        (Ended::Unsendable, ..) => (Cause::Unreachable, format!("no request can be sent: {}", first.message)),
        (_, "slow_down" | "too_many_requests" | "rate_limit_exceeded", _) | (_, _, Some(429)) => {
            (Cause::SlowDown, format!("the provider asks for a pause, so nothing more was tried: {said}"))
        }
        (_, "invalid_grant", _) => {
            let what = match best.password {
                true => "username or password is wrong, or this user may not sign in that way",
                false => "what the token is asked with is wrong, expired, or not for this client",
            };
            (
                Cause::Credentials,
                format!("the provider takes the client{aside}, and refuses the grant: {what} ({said})"),
            )
        }
        (_, "invalid_scope" | "invalid_target", _) => {
            let field = if best.code() == "invalid_scope" { "scope" } else { "resource or audience" };
            (
                Cause::Request,
                format!("the provider takes the client{aside}, and refuses what is asked for: change {field} ({said})"),
            )
        }
        (_, code, status) if is_client_refused(code, status) && refused == 1 => (
            Cause::Credentials,
            format!(
                "the provider refuses the client, and there is no other way to show it: client_id or its secret is wrong ({said})"
            ),
        ),
        (_, code, status) if is_client_refused(code, status) => (
            Cause::Credentials,
            format!(
                "the provider refuses the client in each of the {refused} ways that were tried: not the way is wrong, but \
                 client_id or its secret, or this provider doesn't know the client ({said})"
            ),
        ),
        (_, "unauthorized_client" | "access_denied", _) => {
            (Cause::Request, format!("the provider knows the client, and doesn't let it use this grant ({said})"))
        }
        (_, "unsupported_grant_type", _) => (
            Cause::Request,
            format!("the provider doesn't offer this grant at token_url, in whatever way it is asked ({said})"),
        ),
        (_, "invalid_response" | "redirected", _) | (_, _, Some(404 | 405)) => {
            (Cause::Endpoint, format!("token_url doesn't answer as a token endpoint ({said})"))
        }
        (_, _, Some(500..)) => {
            (Cause::Unknown, format!("the provider fails by itself; try later, or ask who runs it ({said})"))
        }
        (_, code, _) => {
            let hint = ["audience", "resource", "scope"].into_iter().find(|field| {
                best.message.to_ascii_lowercase().contains(field) && !evidence.values.contains_key(*field)
            });
            match hint {
                Some(field) => (
                    Cause::Request,
                    format!("the provider says something of {field}, which isn't set: set it ({said})"),
                ),
                None if code == "invalid_request" => (
                    Cause::Unknown,
                    format!(
                        "the provider finds something missing or malformed in every request that was tried ({said})"
                    ),
                ),
                None => (Cause::Unknown, format!("the provider refuses, and no way that was tried is better ({said})")),
            }
        }
    }
}

/// What the provider said in a trial, short.
fn said(trial: &Trial) -> String {
    let short: String = trial.message.chars().take(300).collect();
    match (short.is_empty(), trial.code(), trial.status) {
        (false, ..) => short,
        (true, "", Some(status)) => format!("HTTP {status}"),
        (true, code, _) => code.to_owned(),
    }
}

/// Changes for people: `client_auth=post (now basic)`.
pub(super) fn changes_text(changes: &Changes, values: &BTreeMap<String, String>) -> String {
    let pairs = changes.iter().map(|(name, value)| {
        let now = values.get(name).map_or("unset", String::as_str);
        match value {
            Some(value) => format!("{name}={value} (now {now})"),
            None => format!("no {name} (now {now})"),
        }
    });
    pairs.collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::super::variant::tests::trial;
    use super::*;

    /// Fields that are set otherwise, or not.
    type Changes<'a> = &'a [(&'a str, Option<&'a str>)];

    /// The verdict on trials of these changes.
    #[track_caller]
    fn check(trials: Vec<(Changes<'_>, Trial)>, expected: (Cause, &str)) {
        let trials: Vec<Trial> = trials
            .into_iter()
            .map(|(changes, trial)| {
                let changes = changes.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
                Trial { changes: changes.collect(), ..trial }
            })
            .collect();
        let values = BTreeMap::from([("client_auth".to_owned(), "basic".to_owned())]);
        let evidence =
            Evidence { integration: "crm", values: &values, trials: &trials, checks: &[], requests: 3, stopped: None };
        let verdict = verdict(&evidence);
        assert_eq!(verdict.cause, expected.0, "{verdict:?}");
        assert!(verdict.sentence.contains(expected.1), "{verdict:?}");
        assert!(
            verdict.sentence.ends_with('.') && !verdict.sentence.trim_end_matches('.').contains(". "),
            "{verdict:?}"
        );
        let found = trials.iter().find(|trial| trial.worked()).map(|trial| trial.changes.clone());
        assert_eq!(verdict.settings, found.unwrap_or_default());
    }

    #[test]
    fn wrong_credentials_are_told_from_a_wrong_way_of_sending_them() {
        let refused = || trial(Ended::Failed, 401, "invalid_client");
        let post: &[(&str, Option<&str>)] = &[("client_auth", Some("post"))];
        let token = || trial(Ended::Token, 200, "");
        check(vec![(&[], token())], (Cause::Works, "crm works"));
        check(vec![(&[], trial(Ended::Token, 0, ""))], (Cause::Works, "asks nobody for a token"));
        check(vec![(&[], refused()), (post, token())], (Cause::Settings, "client_auth=post (now basic)"));
        check(vec![(&[], refused()), (post, refused())], (Cause::Credentials, "in each of the 2 ways"));
        check(vec![(&[], refused())], (Cause::Credentials, "no other way"));
        let mut password = trial(Ended::Failed, 400, "invalid_grant");
        password.password = true;
        check(
            vec![(&[], refused()), (post, password)],
            (Cause::Credentials, "client_auth=post (now basic), and refuses the grant: username or password"),
        );
        let scope = trial(Ended::Failed, 400, "invalid_scope");
        check(vec![(&[], scope.clone())], (Cause::Request, "change scope"));
        check(vec![(&[], scope), (&[("scope", None)], token())], (Cause::Settings, "no scope (now unset)"));
        check(
            vec![(&[], refused()), (post, trial(Ended::Accepted, 400, "invalid_grant"))],
            (Cause::Settings, "takes the client"),
        );
    }

    #[test]
    fn what_isnt_about_credentials_is_told_as_what_it_is() {
        let mut gone = trial(Ended::Unanswered, 0, "unanswered");
        gone.message = "https://id.example could not be reached".to_owned();
        check(vec![(&[], gone)], (Cause::Unreachable, "https://id.example could not be reached"));
        check(vec![(&[], trial(Ended::Failed, 404, "http_404"))], (Cause::Endpoint, "token_url"));
        check(vec![(&[], trial(Ended::Failed, 429, "http_429"))], (Cause::SlowDown, "pause"));
        check(vec![(&[], trial(Ended::Failed, 503, "http_503"))], (Cause::Unknown, "by itself"));
        let mut audience = trial(Ended::Failed, 400, "invalid_request");
        audience.message = "Missing required parameter: audience".to_owned();
        check(vec![(&[], audience)], (Cause::Request, "audience, which isn't set"));
    }
}
