//! Where people may be sent.

use crate::clock::SystemClock;
use crate::egress::{Destinations, Egress, Policy};

#[test]
fn people_are_sent_over_https_and_to_the_integrations_own_origins() {
    let own = Destinations::of(["https://id.example/token"]);
    let check = |allow_http: bool, url: &str, to: Option<&Destinations>, expected: Result<&str, &str>| {
        let egress = Egress::new(Policy { allow_http, ..Policy::default() }, SystemClock::shared());
        let found = egress.check_link(url, to).map_err(|problem| problem.to_string());
        match (&found, expected) {
            (Ok(shown), Ok(expected)) => assert_eq!(shown, expected),
            (Err(problem), Err(part)) => assert!(problem.contains(part), "{problem}"),
            _ => panic!("{url}: {found:?}"),
        }
    };
    check(false, "https://id.example/authorize?state=x#y", Some(&own), Ok("https://id.example/authorize"));
    check(false, "https://ID.example:443/a", Some(&own), Ok("https://id.example/a"));
    check(false, "https://evil.example/authorize", Some(&own), Err("none of this integration's own origins"));
    check(false, "https://id.example:8443/authorize", Some(&own), Err("none of this integration's own origins"));
    check(false, "https://id.example@evil.example/", Some(&own), Err("user or password"));
    check(false, "https://elsewhere.example/device?user_code=x", None, Ok("https://elsewhere.example/device"));
    // An address isn't the daemon's to dial here.
    check(false, "https://127.0.0.1/device", None, Ok("https://127.0.0.1/device"));
    check(false, "http://id.example/", None, Err("TOKENHOST_EGRESS_HTTP"));
    check(true, "http://id.example/", None, Ok("http://id.example/"));
    check(true, "javascript:alert(1)", None, Err("isn't https"));
    check(true, "/authorize", None, Err("no absolute URL"));
}
