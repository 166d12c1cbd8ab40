//! What callers see of an answer.

use http::HeaderValue;

use super::*;

#[test]
fn callers_see_neither_cookies_nor_the_connection() {
    let pairs =
        [("set-cookie", "a=b"), ("connection", "close, X-Hop"), ("x-hop", "1"), ("location", "/a"), ("etag", "x")];
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, HeaderValue::from_static(value));
    }
    let headers = shown(headers);
    let mut names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["etag", "location"]);
}
