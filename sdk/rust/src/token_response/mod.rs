//! The one reader of token responses (RFC 6749 sections 5.1 and 5.2), for what providers really send.
//!
//! It takes: JSON or a form under any content type, a byte order mark, the members up to three objects deeper,
//! their names in camelCase, numbers as strings, `expires_in` missing, null, zero or negative (then the lifetime is unknown),
//! `expires_at` in seconds, milliseconds or RFC 3339, scope as an array or with commas, errors with status 200.
//! Of duplicate members the last counts. It doesn't guess where two objects could be the token, and it never puts
//! any part of an answer that it can't read into a message: that may hold a token.
//!
//! `answer` makes members of bytes, `refusal` makes a failure of what is no token, `time` reads moments.

mod answer;
mod refusal;
mod time;

pub use answer::Answer;

use crate::types::{Context, Failure, Purpose, Response, Token};

/// Further names under which providers send a member.
const ALIASES: [(&str, &[&str]); 7] = [
    ("access_token", &["accessToken"]),
    ("refresh_token", &["refreshToken"]),
    ("token_type", &["tokenType"]),
    ("expires_in", &["expiresIn"]),
    ("expires_at", &["expiresAt", "expires_on", "expiresOn"]),
    ("refresh_expires_in", &["refresh_token_expires_in", "refreshExpiresIn", "refreshTokenExpiresIn"]),
    ("scope", &["scopes"]),
];

/// Lifetimes beyond this count as this: 100 years, in seconds. Nobody then needs to fear an overflow.
const LONGEST: u64 = 100 * 365 * 86_400;

/// Numbers from here on are milliseconds since the epoch, not seconds: as seconds they'd be in the year 5138.
const MILLISECONDS: u64 = 100_000_000_000;

/// The token in the answer to a token request.
///
/// # Errors
/// The answer holds no token: what the provider said, with a remedy that depends on what was asked for. After 429 and
/// 5xx it is *retry*, with the provider's `Retry-After`. Else a complete refusal means *reacquire* on refresh
/// and *reconfigure* on acquire. An answer that no token endpoint gives (a redirect, an HTML page) leaves the refresh
/// token unjudged: *retry* on refresh, *reconfigure* on acquire.
pub fn parse(context: &Context, purpose: Purpose, response: &Response) -> Result<Token, Failure> {
    let answer = Answer::read(response);
    if !(200..300).contains(&response.status) {
        return Err(refusal::by_status(context, purpose, response, answer.as_ref().ok()));
    }
    let answer = answer.map_err(|fault| refusal::unreadable(purpose, response, &fault))?;
    let Some(access_token) = answer.text("access_token") else {
        return Err(refusal::without_token(context, purpose, response, &answer));
    };
    // It ends up in a header (RFC 6749 appendix A.12 allows printable ASCII only).
    if !access_token.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(refusal::invalid(purpose, "an access_token with characters that can't stand in a header"));
    }
    Ok(Token {
        access_token: Some(access_token),
        refresh_token: answer.text("refresh_token"),
        token_type: answer.text("token_type").map(token_type),
        expires_in: answer.number("expires_in").map(|seconds| seconds.min(LONGEST)),
        expires_at: expires_at(&answer),
        refresh_expires_in: answer.number("refresh_expires_in").map(|seconds| seconds.min(LONGEST)),
        scope: answer.words("scope"),
        ..Token::default()
    })
}

/// Holds the answer to a revocation request (RFC 7009 section 2.2).
///
/// # Errors
/// The provider refused, and what it said.
pub fn revoked(context: &Context, response: &Response) -> Result<(), Failure> {
    if (200..300).contains(&response.status) {
        return Ok(());
    }
    Err(refusal::by_status(context, Purpose::Revoke, response, Answer::read(response).as_ref().ok()))
}

/// Scheme names are compared without case (RFC 9110 section 11.1), but services are seen that accept only `Bearer`.
/// Apigee says `BearerToken`, which is no scheme at all.
fn token_type(said: String) -> String {
    if said.eq_ignore_ascii_case("bearer") || said.eq_ignore_ascii_case("bearertoken") { "Bearer".into() } else { said }
}

/// Seconds since the epoch, of a number of seconds or milliseconds, or RFC 3339 text.
fn expires_at(answer: &Answer) -> Option<u64> {
    match answer.number("expires_at") {
        Some(number) if number >= MILLISECONDS => Some(number / 1000),
        Some(number) => Some(number),
        None => time::rfc3339(&answer.text("expires_at")?),
    }
}
