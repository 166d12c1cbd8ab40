//! The authorization-code grant (RFC 6749 section 4.1) with PKCE (RFC 7636): where a person is sent, what is read of their
//! return (RFC 9207), and the request that redeems the code.

use super::{ask, pkce, scope};
use crate::request::form;
use crate::types::{Context, Failure, Field, Part, Request, Returned};

/// `authorization_url`.
pub fn authorization_url() -> Field {
    Field::url("authorization_url", "Authorization URL")
        .help("The provider's page where the person signs in and consents.")
        .source("authorizationUrl")
}

/// What else can be said where a person is sent away: `authorize_parameters` and `issuer`.
pub fn authorize() -> [Field; 2] {
    [
        Field::words("authorize_parameters", "Further parameters").help(
            "What the provider wants besides in the person's request, as name=value separated by spaces, e.g. \
             prompt=consent access_type=offline. A space within a value is written %20.",
        ),
        Field::text("issuer", "Issuer").help(
            "The provider's issuer identifier. Set: a return must carry it as iss (RFC 9207), which keeps one provider's \
             code from being redeemed at another.",
        ),
    ]
}

/// Parameters that the flow sets itself.
const OWN: [&str; 7] =
    ["response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method", "scope"];

/// The URL to send a person to (RFC 6749 section 4.1.1, RFC 7636 section 4.3), with the challenge of this verifier.
///
/// # Errors
/// A field is not set or can't be used, or the host gave no callback.
pub fn url(context: &Context, verifier: &str) -> Result<String, Failure> {
    let base = context.required("authorization_url")?;
    if base.contains('#') {
        return Err(Failure::reconfigure(
            "invalid_field",
            "authorization_url has a fragment (#…), which can't be sent",
        ));
    }
    let (callback, state) = callback(context)?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", context.required("client_id")?)
        .append_pair("redirect_uri", callback)
        .append_pair("state", state)
        .append_pair("code_challenge", &pkce::challenge(verifier))
        .append_pair("code_challenge_method", "S256");
    if let Some(scope) = scope(context) {
        query.append_pair("scope", &scope);
    }
    if let Some(audience) = context.value("audience") {
        query.append_pair("audience", audience);
    }
    for resource in context.words("resource") {
        query.append_pair("resource", resource);
    }
    for word in context.words("authorize_parameters") {
        let pairs: Vec<_> = form_urlencoded::parse(word.as_bytes()).collect();
        match pairs.as_slice() {
            [(name, value)] if word.contains('=') && !name.is_empty() && !OWN.contains(&&**name) => {
                query.append_pair(name, value);
            }
            _ => {
                let message =
                    "authorize_parameters must be name=value, separated by spaces, and none that the flow sets itself";
                return Err(Failure::reconfigure("invalid_field", message));
            }
        }
    }
    let separator = match base.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    Ok(format!("{base}{separator}{}", query.finish()))
}

/// The code that a person came back with (RFC 6749 section 4.1.2).
///
/// # Errors
/// The provider sent them back with an error, or without a code, or it wasn't the provider that they were sent to.
pub fn code<'a>(context: &Context, returned: &'a Returned) -> Result<&'a str, Failure> {
    let parameter = |name: &str| {
        let value = returned.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    };
    if let Some(issuer) = context.value("issuer")
        && parameter("iss") != Some(issuer)
    {
        let message = match parameter("iss") {
            Some(_) => "the person came back from another issuer than the field issuer says; the code is not used",
            None => {
                "the person came back without iss, though the field issuer is set; unset it if this provider sends none"
            }
        };
        return Err(Failure::reconfigure("issuer_mismatch", message));
    }
    if let Some(error) = parameter("error") {
        return Err(refused(error, parameter("error_description")));
    }
    parameter("code").ok_or_else(|| {
        Failure::reconfigure("invalid_response", "the provider sent the person back with neither a code nor an error")
    })
}

/// The failure of an error that a person came back with (RFC 6749 section 4.1.2.1).
fn refused(error: &str, description: Option<&str>) -> Failure {
    let plain = |text: &str, most: usize| -> String {
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
    };
    let is_code =
        error.len() <= 64 && error.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    let code = if is_code { error } else { "provider_error" };
    let mut message = format!("the provider sent the person back with {}", plain(error, 64));
    if let Some(description) = description {
        message.push_str(": ");
        message.push_str(&plain(description, 300));
    }
    match error {
        "server_error" | "temporarily_unavailable" => return Failure::retry(code, message, None),
        "access_denied" => message.push_str(" (connect again, and consent)"),
        "invalid_scope" => message.push_str(" (check scope)"),
        "unauthorized_client" => message.push_str(" (the provider must allow this client to use this grant)"),
        "invalid_target" => message.push_str(" (check resource and audience)"),
        _ => {}
    }
    Failure::reconfigure(code, message)
}

/// The request that redeems a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
///
/// # Errors
/// A field is not set or can't be used, or the host gave no callback.
pub fn redeem(context: &Context, code: &str, verifier: &str) -> Result<Request, Failure> {
    let mut parameters = form()
        .text("grant_type", "authorization_code")
        .template("code", Part::sensitive(code))
        .text("redirect_uri", callback(context)?.0)
        .template("code_verifier", Part::sensitive(verifier));
    for resource in context.words("resource") {
        parameters = parameters.text("resource", resource);
    }
    ask(context, parameters)
}

/// Where the person is sent back to, and what the provider echoes.
fn callback(context: &Context) -> Result<(&str, &str), Failure> {
    match (&context.callback_url, &context.return_key) {
        (Some(url), Some(key)) => Ok((url, key)),
        _ => Err(Failure::reconfigure(
            "no_callback",
            "the host has nowhere to send a person back to; connect the integration",
        )),
    }
}
