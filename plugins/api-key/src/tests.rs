//! Where the key goes.

use super::*;

fn integration() -> Harness {
    Harness::new::<ApiKey>().secret("api_key").value("parameter", "X-Key")
}

#[test]
fn the_key_goes_where_the_document_says() {
    let check = |location: &str, expected: &str| {
        assert_eq!(integration().value("location", location).acquire().placed(), expected);
    };
    check("header", "X-Key: {api_key}\n");
    check("query", "?X-Key={api_key}\n");
    check("cookie", "cookie X-Key={api_key}\n");
    assert_eq!(integration().acquire().placed(), "X-Key: {api_key}\n");
    assert_eq!(integration().value("prefix", "Token").refresh().placed(), "X-Key: Token {api_key}\n");
}

#[test]
fn the_document_fills_the_fields_in() {
    let description = ApiKey::describe();
    let sources: Vec<(&str, Option<&str>)> =
        description.fields.iter().map(|field| (field.name.as_str(), field.source.as_deref())).collect();
    assert_eq!(sources, [("api_key", None), ("location", Some("in")), ("parameter", Some("name")), ("prefix", None)]);
}

#[test]
fn nothing_is_requested_or_known_of_it() {
    let token = integration().acquire().token();
    assert_eq!((token.access_token, token.expires_in), (None, None));
    assert!(matches!(integration().revoke().outcome(), Ok(Step::Revoked)));
    let line = integration().step(Event::Elapsed(String::new())).failure_line();
    assert_eq!(line, "unexpected_event, retry: the flow was given the end of a wait that it did not ask for");
}
