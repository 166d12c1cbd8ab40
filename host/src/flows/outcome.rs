//! Holds a step's outcome against what the contract means beyond its types: sizes, counts, names that can be sent.
//!
//! The messages say where, and never repeat what a plugin or provider wrote. Where a request may go is `egress`'s.

use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;

use super::request::{Body, Derivation, Derived, JsonValue, Member, Part, Request, Template};
use super::step::{Failure, FlowToken, Location, Step, Wait};
use super::validate::is_web_url;

/// How big the flow's notes may be, in bytes: they are written with each step of each attempt.
const STATE: usize = 64 << 10;

/// How long a token may be, in bytes; no server takes longer headers.
const TOKEN: usize = 128 << 10;

/// How many parameters, headers, parts or derived values one list may have.
const ENTRIES: usize = 256;

/// How many JSON members a body may have.
const MEMBERS: usize = 2_000;

/// The last moment that has a date with four digits, in milliseconds: beyond it a number is garbage.
const LAST_MOMENT: u64 = 253_402_300_799_999;

/// How long a URL or scope may be, in bytes; servers refuse longer ones.
const URL: usize = 8 << 10;

/// How long a name may be, in bytes.
const NAME: usize = 200;

/// How long a text for people may be, in bytes.
const PROSE: usize = 4_000;

/// All that is wrong with a step's outcome, by place.
pub(super) fn faults(outcome: &Result<Step, Failure>) -> Vec<String> {
    let mut faults = Faults(Vec::new());
    match outcome {
        Ok(Step::Send(sent, state)) => {
            faults.state(state.expose_secret());
            request(&mut faults, sent);
        }
        Ok(Step::Wait(Wait { prompt, state, .. })) => {
            faults.state(state.expose_secret());
            if let Some(prompt) = prompt {
                faults.hold(prompt.message.len() <= PROSE, "wait.prompt.message", "is too long");
                let url = prompt.url.as_deref();
                faults.hold(url.is_none_or(is_web_url), "wait.prompt.url", "isn't an absolute http or https URL");
                faults.hold(
                    prompt.code.as_ref().is_none_or(|code| code.len() <= NAME),
                    "wait.prompt.code",
                    "is too long",
                );
            }
        }
        Ok(Step::Redirect(url, state)) => {
            faults.state(state.expose_secret());
            faults.hold(is_web_url(url), "redirect.url", "isn't an absolute http or https URL");
        }
        Ok(Step::Done(done)) => token(&mut faults, done),
        Ok(Step::Revoked) => {}
        Err(Failure { code, message, .. }) => {
            let visible = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            let code = !code.is_empty() && code.len() <= NAME && visible(code);
            faults.hold(code, "failure.code", "is empty, too long or not ASCII");
            faults.hold(message.len() <= STATE, "failure.message", "is too long");
        }
    }
    faults.0
}

/// The faults found so far, each with its place.
struct Faults(Vec<String>);

impl Faults {
    fn hold(&mut self, holds: bool, place: &str, problem: &str) {
        // A list may have thousands of faults, and ten tell as much.
        if !holds && self.0.len() < 10 {
            self.0.push(format!("{place} {problem}"));
        }
    }

    fn state(&mut self, state: &str) {
        self.hold(state.len() <= STATE, "state", "is bigger than 64 KiB");
    }

    /// A template outside of derivations.
    fn template(&mut self, place: &str, template: &Template) {
        self.hold(template.len() <= ENTRIES, place, "has too many parts");
        let body = template.iter().any(|part| matches!(part, Part::Body));
        self.hold(!body, place, "places the body, which only a derivation may");
    }

    fn templates(&mut self, place: &str, templates: &[(String, Template)], name: fn(&str) -> bool) {
        self.hold(templates.len() <= ENTRIES, place, "has too many entries");
        for (index, (key, value)) in templates.iter().take(ENTRIES).enumerate() {
            self.hold(name(key), &format!("{place}[{index}]"), "has a name that can't be sent");
            self.template(&format!("{place}[{index}]"), value);
        }
    }

    fn members(&mut self, place: &str, members: &[Member], in_derivation: bool) {
        self.hold(members.len() <= MEMBERS, place, "has too many members");
        for (index, member) in members.iter().take(MEMBERS).enumerate() {
            let pointer = member.pointer.is_empty() || member.pointer.starts_with('/');
            let pointer = pointer && member.pointer.len() <= NAME;
            self.hold(pointer, &format!("{place}[{index}].pointer"), "isn't a JSON pointer (RFC 6901)");
            match &member.value {
                JsonValue::Text(text) if !in_derivation => self.template(&format!("{place}[{index}]"), text),
                JsonValue::Text(_) => {}
                JsonValue::Literal(literal) => {
                    let valid = serde_json::from_str::<serde::de::IgnoredAny>(literal).is_ok();
                    self.hold(valid, &format!("{place}[{index}].literal"), "isn't JSON");
                }
            }
        }
    }

    fn derived(&mut self, place: &str, derived: &[Derived]) {
        self.hold(derived.len() <= ENTRIES, place, "has too many entries");
        let mut names = BTreeSet::new();
        for (index, value) in derived.iter().take(ENTRIES).enumerate() {
            let named = !value.name.is_empty() && value.name.len() <= NAME;
            self.hold(named, &format!("{place}[{index}].name"), "is empty or too long");
            self.hold(names.insert(&value.name), &format!("{place}[{index}].name"), "is there twice");
            if let Derivation::Jwt { header, claims, .. } = &value.value {
                self.members(&format!("{place}[{index}].header"), header, true);
                self.members(&format!("{place}[{index}].claims"), claims, true);
            }
        }
    }
}

fn is_parameter(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME
}

fn is_header(name: &str) -> bool {
    name.len() <= NAME && http::HeaderName::from_bytes(name.as_bytes()).is_ok()
}

fn request(faults: &mut Faults, request: &Request) {
    faults.hold(request.url.len() <= URL, "request.url", "is longer than 8 KiB");
    faults.templates("request.query", &request.query, is_parameter);
    faults.templates("request.headers", &request.headers, is_header);
    match &request.body {
        Body::Empty => {}
        Body::Form(form) => faults.templates("request.body", form, is_parameter),
        Body::Json(members) => faults.members("request.body", members, false),
        Body::Raw(raw) => {
            let content_type = http::HeaderValue::from_str(&raw.content_type).is_ok();
            faults.hold(content_type && raw.content_type.len() <= NAME, "request.body.content-type", "can't be sent");
            faults.template("request.body", &raw.content);
        }
    }
    faults.derived("request.derived", &request.derived);
}

fn token(faults: &mut Faults, token: &FlowToken) {
    for (place, secret) in [("token.access-token", &token.access_token), ("token.refresh-token", &token.refresh_token)]
    {
        let fits = secret.as_ref().is_none_or(|secret| (1..=TOKEN).contains(&secret.expose_secret().len()));
        faults.hold(fits, place, "is empty or longer than 128 KiB");
    }
    if token.placing.placements.is_empty() {
        // It goes into a header: RFC 6749 appendix A.12, RFC 9110 section 11.1.
        let visible = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let sendable = token.access_token.as_ref().is_none_or(|secret| visible(secret.expose_secret()));
        faults.hold(sendable, "token.access-token", "has characters that no header can carry");
        let scheme = token.token_type.as_deref().is_none_or(is_header);
        faults.hold(scheme, "token.token-type", "isn't the name of an authentication scheme");
    }
    faults.hold(token.scope.as_ref().is_none_or(|scope| scope.len() <= URL), "token.scope", "is longer than 8 KiB");
    let moments = [
        ("token.expires-in", token.expires_in),
        ("token.expires-at", token.expires_at),
        ("token.refresh-expires-in", token.refresh_expires_in),
    ];
    for (place, moment) in moments {
        faults.hold(moment.is_none_or(|moment| moment <= LAST_MOMENT), place, "is beyond the year 9999");
    }
    let (values, secrets) = (token.values.iter().map(|(name, value)| (name, value.len())), token.secrets.iter());
    let named = values.chain(secrets.map(|(name, value)| (name, value.expose_secret().len())));
    faults.hold(token.values.len() + token.secrets.len() <= ENTRIES, "token", "has too many values and secrets");
    let mut names = BTreeSet::new();
    for (name, length) in named.take(ENTRIES) {
        faults.hold(is_parameter(name), "token.values or token.secrets", "has a name that is empty or too long");
        faults.hold(names.insert(name), "token.values or token.secrets", "has a name twice");
        faults.hold(length <= TOKEN, "token.values or token.secrets", "has a value longer than 128 KiB");
    }
    faults.hold(token.placing.placements.len() <= ENTRIES, "token.placements", "has too many entries");
    for (index, placement) in token.placing.placements.iter().take(ENTRIES).enumerate() {
        let name = match placement.location {
            Location::Query => is_parameter(&placement.name),
            Location::Header | Location::Cookie => is_header(&placement.name),
        };
        faults.hold(name, &format!("token.placements[{index}]"), "has a name that can't be sent");
        faults.hold(placement.value.len() <= ENTRIES, &format!("token.placements[{index}]"), "has too many parts");
    }
    faults.derived("token.derived", &token.placing.derived);
    if let Some(signer) = &token.placing.signer {
        faults.hold(is_parameter(&signer.name), "token.signer.name", "is empty or too long");
        faults.templates("token.signer.parameters", &signer.parameters, is_parameter);
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::flows::request::{Escape, Method, Raw};
    use crate::flows::step::{Placement, Prompt, Remedy};

    fn text(text: &str) -> Template {
        vec![Part::Text(text.to_owned())]
    }

    fn sent() -> Request {
        Request {
            method: Method::Post,
            url: "https://provider.example/token".to_owned(),
            query: vec![("a".to_owned(), text("b"))],
            headers: vec![("accept".to_owned(), text("application/json"))],
            body: Body::Form(vec![("grant_type".to_owned(), text("password"))]),
            derived: vec![Derived {
                name: "signature".to_owned(),
                value: Derivation::Transform { value: vec![Part::Body], how: vec![] },
            }],
        }
    }

    #[test]
    fn requests() {
        let fault = |change: &dyn Fn(&mut Request), state: &str| {
            let mut request = sent();
            change(&mut request);
            faults(&Ok(Step::Send(request, SecretString::from(state)))).join("; ")
        };
        assert_eq!(fault(&|_| {}, "state"), "");
        assert_eq!(fault(&|_| {}, &"x".repeat(STATE + 1)), "state is bigger than 64 KiB");
        assert!(fault(&|it| it.url = "x".repeat(URL + 1), "").starts_with("request.url is longer"));
        assert_eq!(
            fault(&|it| it.headers[0].0 = "a b".to_owned(), ""),
            "request.headers[0] has a name that can't be sent"
        );
        assert_eq!(
            fault(&|it| it.headers = vec![it.headers[0].clone(); ENTRIES + 1], ""),
            "request.headers has too many entries"
        );
        assert_eq!(
            fault(&|it| it.body = Body::Form(vec![(String::new(), vec![Part::Body])]), ""),
            "request.body[0] has a name that can't be sent; request.body[0] places the body, which only a derivation may"
        );
        let json = |pointer: &str, literal: &str| {
            let value = JsonValue::Literal(literal.to_owned());
            Body::Json(vec![Member { pointer: pointer.to_owned(), value }])
        };
        assert_eq!(fault(&|it| it.body = json("/a", "{\"b\": [1]}"), ""), "");
        assert_eq!(
            fault(&|it| it.body = json("a", "{"), ""),
            "request.body[0].pointer isn't a JSON pointer (RFC 6901); request.body[0].literal isn't JSON"
        );
        let raw = |content_type: &str| {
            let (content_type, content) = (content_type.to_owned(), text("<a/>"));
            Body::Raw(Raw { content_type, content, escape: Escape::Xml })
        };
        assert_eq!(fault(&|it| it.body = raw("text/xml"), ""), "");
        assert_eq!(fault(&|it| it.body = raw("text/xml\r\na: b"), ""), "request.body.content-type can't be sent");
        assert_eq!(fault(&|it| it.derived.push(it.derived[0].clone()), ""), "request.derived[1].name is there twice");
    }

    #[test]
    fn tokens() {
        let fault = |change: &dyn Fn(&mut FlowToken)| {
            let access_token = Some(SecretString::from("abc"));
            let mut token = FlowToken { access_token, token_type: Some("Bearer".to_owned()), ..FlowToken::default() };
            change(&mut token);
            faults(&Ok(Step::Done(Box::new(token)))).join("; ")
        };
        assert_eq!(fault(&|_| {}), "");
        assert_eq!(fault(&|it| it.access_token = None), "", "after a refresh the old one stays");
        assert!(fault(&|it| it.access_token = Some("".into())).starts_with("token.access-token is empty"));
        assert!(fault(&|it| it.access_token = Some("a\r\nb".into())).contains("no header can carry"));
        assert!(fault(&|it| it.refresh_token = Some("x".repeat(TOKEN + 1).into())).contains("token.refresh-token"));
        assert!(fault(&|it| it.token_type = Some("Bear er".into())).contains("token.token-type"));
        assert!(fault(&|it| it.expires_in = Some(u64::MAX)).contains("token.expires-in is beyond the year 9999"));
        assert!(fault(&|it| it.scope = Some("x".repeat(URL + 1))).contains("token.scope"));
        assert!(
            fault(&|it| {
                it.values.push(("a".to_owned(), String::new()));
                it.secrets.push(("a".to_owned(), "b".into()));
            })
            .contains("has a name twice")
        );
        // Where the token goes is then the flow's own affair.
        let placed = |name: &str| Placement { location: Location::Header, name: name.to_owned(), value: text("x") };
        assert_eq!(
            fault(&|it| {
                it.placing.placements = vec![placed("x-key")];
                it.access_token = Some("ä".into());
            }),
            ""
        );
        assert!(fault(&|it| it.placing.placements = vec![placed("x key")]).contains("token.placements[0]"));
    }

    #[test]
    fn other_steps_and_failures() {
        let wait = |url: Option<&str>| {
            let prompt = Prompt { message: "Go there".to_owned(), url: url.map(str::to_owned), code: None };
            faults(&Ok(Step::Wait(Wait { seconds: 5, prompt: Some(prompt), state: "".into() })))
        };
        assert_eq!(wait(Some("https://provider.example/device")), [""; 0]);
        assert_eq!(wait(Some("javascript:alert(1)")), ["wait.prompt.url isn't an absolute http or https URL"]);
        let redirect = |url: &str| faults(&Ok(Step::Redirect(url.to_owned(), "".into())));
        assert_eq!(redirect("https://provider.example/authorize?a=b"), [""; 0]);
        assert_eq!(redirect("data:text/html,x").len(), 1);
        assert_eq!(faults(&Ok(Step::Revoked)), [""; 0]);
        let failure = |code: &str| {
            let (code, message) = (code.to_owned(), "Something.".to_owned());
            faults(&Err(Failure { code, message, remedy: Remedy::Reacquire }))
        };
        assert_eq!(failure("invalid_grant"), [""; 0]);
        assert_eq!(failure("").len() + failure("a\nb").len() + failure(&"x".repeat(300)).len(), 3);
    }

    #[test]
    fn messages_repeat_nothing_that_was_answered() {
        let secret = "s3cr3t value";
        let mut request = sent();
        request.headers[0].0 = secret.to_owned();
        request.body =
            Body::Json(vec![Member { pointer: secret.to_owned(), value: JsonValue::Literal(secret.to_owned()) }]);
        let found = faults(&Ok(Step::Send(request, "".into()))).join("; ");
        assert!(!found.is_empty() && !found.contains("s3cr3t"), "{found}");
    }
}
