//! Which headers pass: neither those of one connection (RFC 9110 section 7.6.1), nor the caller's credentials for the daemon,
//! nor what of a service would take hold of the daemon's own origin in a browser.

use http::header::{self, Entry};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What the daemon calls itself where the caller doesn't say who it is.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("tokenhost/", env!("CARGO_PKG_VERSION")));

/// The daemon among the proxies of a request (RFC 9110 section 7.6.3).
const VIA: HeaderValue = HeaderValue::from_static("1.1 tokenhost");

/// Daemons that a request may pass. One more is a circle.
const PASSES: usize = 4;

/// Headers of one connection, which `Connection` need not name.
const OF_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What else of a request isn't the service's business: the caller's credentials for the daemon, who the caller is and how it
/// came here, and what is said anew.
const OF_CALLER: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("auth-token"),
    header::COOKIE,
    header::FORWARDED,
    HeaderName::from_static("x-real-ip"),
    header::HOST,
    header::CONTENT_LENGTH,
    header::EXPECT,
];

/// What a service may not say to a browser that takes the daemon for the speaker.
const OF_SERVICE: [HeaderName; 9] = [
    header::SET_COOKIE,
    HeaderName::from_static("set-cookie2"),
    header::PROXY_AUTHENTICATE,
    header::STRICT_TRANSPORT_SECURITY,
    header::ALT_SVC,
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("service-worker-allowed"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("report-to"),
];

/// A request comes from itself, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request has come through tokenhost {PASSES} times: an integration's server leads back to the daemon")]
pub struct Circle;

/// Removes the headers of a connection, those that `Connection` names too. Whether it asks for a WebSocket: the only protocol
/// that a connection is handed over to, since others would carry requests that nobody looks at.
pub(in crate::calls) fn of_connection(headers: &mut HeaderMap) -> bool {
    let Some(connection) = headers.get(header::CONNECTION) else {
        for name in &OF_CONNECTION {
            headers.remove(name);
        }
        return false;
    };
    // The usual values name nothing else.
    let is_plain = |value: &HeaderValue| matches!(value.as_bytes(), b"close" | b"keep-alive" | b"Keep-Alive");
    let mut asks = false;
    if !is_plain(connection) || headers.get_all(header::CONNECTION).iter().nth(1).is_some() {
        let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
        let named: Vec<String> =
            values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect();
        let mut protocols = headers.get_all(header::UPGRADE).iter();
        let is_websocket = protocols.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
        asks = is_websocket && protocols.next().is_none() && named.iter().any(|name| name == "upgrade");
        for name in named {
            headers.remove(name.as_str());
        }
    }
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
    asks
}

/// Makes a caller's headers those of a request to the service, without credentials. `private`: what else of them is between
/// callers and the daemon. Whether they ask for a WebSocket.
///
/// # Errors
/// The request goes in a circle.
pub fn to_service(headers: &mut HeaderMap, private: &[HeaderName]) -> Result<bool, Circle> {
    let is_upgrade = of_connection(headers);
    for name in OF_CALLER.iter().chain(private) {
        headers.remove(name);
    }
    let forwarded = |name: &&HeaderName| name.as_str().starts_with("x-forwarded-");
    if headers.keys().any(|name| forwarded(&name)) {
        let names: Vec<HeaderName> = headers.keys().filter(forwarded).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
    let vias = headers.get_all(header::VIA).iter().filter_map(|value| value.to_str().ok());
    if vias.flat_map(|value| value.split(',')).filter(|via| via.trim().ends_with(" tokenhost")).count() >= PASSES {
        return Err(Circle);
    }
    headers.append(header::VIA, VIA);
    if let Entry::Vacant(entry) = headers.entry(header::USER_AGENT) {
        entry.insert(USER_AGENT);
    }
    if is_upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    Ok(is_upgrade)
}

/// Makes a service's headers those of an answer to the caller, but for `Location`.
pub fn to_caller(headers: &mut HeaderMap) {
    of_connection(headers);
    for name in &OF_SERVICE {
        headers.remove(name);
    }
    // Beside what the service says: a browser holds to all of them.
    headers.append(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.append(header::VIA, VIA);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &str) -> HeaderMap {
        let lines = lines.split('\n').map(str::trim).filter(|line| !line.is_empty());
        let pair = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.parse::<HeaderName>().unwrap(), value.trim().parse::<HeaderValue>().unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.map(pair) {
            headers.append(name, value);
        }
        headers
    }

    fn shown(headers: &HeaderMap) -> String {
        let mut lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines.join("\n")
    }

    #[test]
    fn a_request_loses_what_is_between_caller_and_daemon() {
        let private = [HeaderName::from_static("x-remote-user")];
        let check = |given: &str, upgrades: bool, expected: &str| {
            let mut headers = map(given);
            assert_eq!(to_service(&mut headers, &private), Ok(upgrades), "{given}");
            headers.remove(header::VIA);
            headers.remove(header::USER_AGENT);
            let expected: Vec<&str> = expected.split('\n').map(str::trim).collect();
            assert_eq!(shown(&headers), expected.join("\n"), "{given}");
        };
        check("Accept: a\nX-A: 1\nX-A: 2\nIdempotency-Key: k", false, "accept: a\nidempotency-key: k\nx-a: 1\nx-a: 2");
        check(
            "Authorization: Bearer t\nAuth-Token: t\nCookie: a=b\nProxy-Authorization: Basic x\nHost: h\nContent-Length: 3
             X-Forwarded-For: 1.2.3.4\nX-Forwarded-Prefix: /x\nForwarded: for=x\nX-Real-IP: x\nX-Remote-User: ada\nExpect: 100-continue\nx: y",
            false,
            "x: y",
        );
        check(
            "Connection: close, X-One,x-two , \nConnection: x-three\nX-One: 1\nX-Two: 2\nX-Three: 3\nX-Four: 4\nKeep-Alive: 5
             Proxy-Connection: x\nTE: trailers\nTrailer: x\nTransfer-Encoding: chunked\nUpgrade: h2c",
            false,
            "x-four: 4",
        );
        check("Connection: keep-alive\nUpgrade: websocket", false, "");
        check("Upgrade: websocket", false, "");
        check("Connection: Upgrade\nUpgrade: h2c", false, "");
        check("Connection: Upgrade\nUpgrade: websocket\nUpgrade: h2c", false, "");
        check("Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c, websocket\nHTTP2-Settings: x", false, "");
        check(
            "Connection: keep-alive, Upgrade\nUpgrade: WebSocket\nSec-WebSocket-Key: k",
            true,
            "connection: upgrade\nsec-websocket-key: k\nupgrade: websocket",
        );
        check("Connection: authorization, accept\nAccept: x\nAuthorization: y", false, "");
    }

    #[test]
    fn who_asks_and_through_whom_is_told() {
        let mut headers = map("Via: 1.0 fred, 1.1 tokenhost\nUser-Agent: mine");
        to_service(&mut headers, &[]).unwrap();
        assert_eq!(shown(&headers), "user-agent: mine\nvia: 1.0 fred, 1.1 tokenhost\nvia: 1.1 tokenhost");
        let mut headers = HeaderMap::new();
        to_service(&mut headers, &[]).unwrap();
        assert!(shown(&headers).starts_with("user-agent: tokenhost/"), "{headers:?}");
        for _ in 1..PASSES {
            to_service(&mut headers, &[]).unwrap();
        }
        assert_eq!(to_service(&mut headers, &[]), Err(Circle));
    }

    #[test]
    fn an_answer_loses_what_would_take_hold_of_the_daemons_origin() {
        let mut headers = map(
            "Set-Cookie: a=b\nSet-Cookie: c=d\nStrict-Transport-Security: max-age=1\nAlt-Svc: h3\nClear-Site-Data: x
             Connection: keep-alive, x-hop\nX-Hop: 1\nKeep-Alive: timeout=5\nTransfer-Encoding: chunked\nProxy-Authenticate: Basic
             Content-Security-Policy: default-src 'self'\nContent-Type: text/html\nWWW-Authenticate: Bearer\nETag: x",
        );
        to_caller(&mut headers);
        assert_eq!(
            shown(&headers),
            "content-security-policy: default-src 'self'\ncontent-security-policy: sandbox\ncontent-type: text/html\n\
             etag: x\nvia: 1.1 tokenhost\nwww-authenticate: Bearer\nx-content-type-options: nosniff"
        );
    }
}
