//! A token as other programs want it: alone, as a header, as variables, as a Kubernetes credential, as a line of netrc.
//!
//! Pure: what it needs beside the token is given. What can't be written in a form is refused, never mended.

use serde_json::{Value, json};

use super::super::exit::Failure;
use super::super::output::member;

/// The version of Kubernetes' client authentication API that `exec-credential` speaks (kubernetes.io, "client-go credential
/// plugins").
const EXEC_CREDENTIAL: &str = "client.authentication.k8s.io/v1";

/// How a token is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) enum Form {
    /// Lines for people
    Text,
    /// All that is known of it, as a JSON object
    Json,
    /// The access token alone
    Raw,
    /// The header for a request: `Authorization: Bearer …`
    Header,
    /// Variables NAME_ACCESS_TOKEN, NAME_TOKEN_TYPE, NAME_EXPIRES_AT and NAME_GENERATION, quoted where a shell needs it
    Env,
    /// An ExecCredential of Kubernetes, for `users[].user.exec` of a kubeconfig
    ExecCredential,
    /// A line for the host of the integration's server, with the token as the password
    Netrc,
}

/// What a form says beside the token.
#[derive(Debug)]
pub(in super::super) struct Subject<'a> {
    /// The integration.
    pub(in super::super) name: &'a str,
    /// The integration's server, where it has one. Only netrc needs it.
    pub(in super::super) server: Option<&'a str>,
    /// The login beside the token in netrc.
    pub(in super::super) login: &'a str,
}

impl Form {
    /// The token in this form, ended by a line break.
    ///
    /// # Errors
    /// The token has no access token, or can't be written so.
    pub(in super::super) fn render(self, subject: &Subject<'_>, token: &Value) -> Result<String, Failure> {
        Ok(match self {
            Self::Text => super::show(token),
            Self::Json => format!("{token:#}\n"),
            Self::Raw => format!("{}\n", access_token(token)?),
            Self::Header => format!("{}\n", authorization(token)?),
            Self::Env => env(subject.name, token)?,
            Self::ExecCredential => format!("{}\n", exec_credential(token)?),
            Self::Netrc => netrc(subject, token)?,
        })
    }
}

/// The access token in an answer.
fn access_token(token: &Value) -> Result<&str, Failure> {
    token
        .get("access_token")
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::failed("the daemon's answer holds no access_token"))
}

/// The header that carries it (RFC 6750 section 2.1). Some providers write the type in lower case, some services want it as
/// the RFC writes it.
fn authorization(token: &Value) -> Result<String, Failure> {
    let kind = token.get("token_type").and_then(Value::as_str).unwrap_or("Bearer");
    let kind = if kind.eq_ignore_ascii_case("bearer") { "Bearer" } else { kind };
    Ok(format!("Authorization: {kind} {}", access_token(token)?))
}

/// Assignments that POSIX shells, systemd and docker read alike, as long as nothing needs quotes.
fn env(name: &str, token: &Value) -> Result<String, Failure> {
    access_token(token)?;
    let prefix: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    // POSIX 3.216: a variable's name doesn't begin with a digit.
    let prefix = if prefix.starts_with(|c: char| c.is_ascii_digit()) { format!("_{prefix}") } else { prefix };
    let mut text = String::new();
    for member_name in ["access_token", "token_type", "expires_at", "generation"] {
        if let Some(value) = member(token, member_name) {
            text += &format!("{prefix}_{}={}\n", member_name.to_ascii_uppercase(), quoted(&value)?);
        }
    }
    Ok(text)
}

/// A word that a shell takes as it is.
fn quoted(text: &str) -> Result<String, Failure> {
    if text.contains(|c: char| c.is_control()) {
        return Err(Failure::failed("the token holds control characters, which no line of variables can carry"));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:+=,@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Ok(format!("'{}'", text.replace('\'', r"'\''")))
    }
}

/// The object that kubectl reads from its helper.
fn exec_credential(token: &Value) -> Result<Value, Failure> {
    let mut status = json!({"token": access_token(token)?});
    if let (Some(status), Some(end)) = (status.as_object_mut(), token.get("expires_at").filter(|end| end.is_string())) {
        status.insert("expirationTimestamp".to_owned(), end.clone());
    }
    Ok(json!({"apiVersion": EXEC_CREDENTIAL, "kind": "ExecCredential", "status": status}))
}

/// A line as ftp's netrc(5) has it: words without quotes, which curl, git, Go and Python's netrc read alike.
fn netrc(subject: &Subject<'_>, token: &Value) -> Result<String, Failure> {
    let host = subject.server.and_then(|server| url::Url::parse(server).ok()?.host_str().map(str::to_owned));
    let Some(host) = host else {
        return Err(Failure::failed(format!("the integration {} has no server, whose host netrc names", subject.name))
            .hint("Set one: tokenhost integration set NAME --server https://…"));
    };
    let token = access_token(token)?;
    for (what, word) in [("token", token), ("login", subject.login)] {
        let bare = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '#');
        if word.is_empty() || !word.chars().all(bare) {
            return Err(Failure::failed(format!("the {what} has characters that netrc can't hold")));
        }
    }
    Ok(format!("machine {host} login {} password {token}\n", subject.login))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(form: Form, token: &Value) -> Result<String, String> {
        let subject = Subject { name: "1st-crm.prod", server: Some("https://crm.example:8443/api"), login: "oauth2" };
        form.render(&subject, token).map_err(|failure| failure.text())
    }

    #[test]
    fn the_header_writes_bearer_as_the_rfc_does() {
        let check = |token: Value, expected: Option<&str>| {
            assert_eq!(render(Form::Header, &token).ok().as_deref(), expected, "{token}");
        };
        check(json!({"access_token": "abc", "token_type": "bearer"}), Some("Authorization: Bearer abc\n"));
        check(json!({"access_token": "abc"}), Some("Authorization: Bearer abc\n"));
        check(json!({"access_token": "abc", "token_type": "DPoP"}), Some("Authorization: DPoP abc\n"));
        check(json!({"token_type": "Bearer"}), None);
    }

    #[test]
    fn each_form_is_what_its_reader_expects() {
        let token = json!({
            "access_token": "a.b-c", "token_type": "Bearer", "expires_at": "2026-11-22T10:00:00Z", "expires_in": 60,
            "generation": 3,
        });
        let check = |form: Form, expected: &str| assert_eq!(render(form, &token).as_deref(), Ok(expected), "{form:?}");
        check(Form::Raw, "a.b-c\n");
        check(
            Form::Env,
            "_1ST_CRM_PROD_ACCESS_TOKEN=a.b-c\n_1ST_CRM_PROD_TOKEN_TYPE=Bearer\n\
             _1ST_CRM_PROD_EXPIRES_AT=2026-11-22T10:00:00Z\n_1ST_CRM_PROD_GENERATION=3\n",
        );
        check(
            Form::ExecCredential,
            "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\
             \"status\":{\"token\":\"a.b-c\",\"expirationTimestamp\":\"2026-11-22T10:00:00Z\"}}\n",
        );
        check(Form::Netrc, "machine crm.example login oauth2 password a.b-c\n");
        let endless = json!({"access_token": "x", "generation": 1});
        assert!(!render(Form::ExecCredential, &endless).unwrap().contains("expirationTimestamp"));
        assert_eq!(render(Form::Env, &endless).unwrap(), "_1ST_CRM_PROD_ACCESS_TOKEN=x\n_1ST_CRM_PROD_GENERATION=1\n");
    }

    #[test]
    fn a_shell_reads_back_what_was_written() {
        for text in ["a b", "$(touch x)", "it's", "`x`", "", "a\"b", "a;b|c&d", "*?~", "é"] {
            let script = format!("X={}\nprintf %s \"$X\"", quoted(text).unwrap());
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
        assert!(quoted("a\nb").is_err());
    }

    #[test]
    fn what_a_form_cannot_hold_is_refused_and_not_repeated() {
        let check = |form: Form, token: Value| {
            let refusal = render(form, &token).unwrap_err();
            assert!(!refusal.contains("hunter"), "{refusal}");
        };
        check(Form::Netrc, json!({"access_token": "hunter 2"}));
        check(Form::Netrc, json!({"access_token": "hunter#2"}));
        check(Form::Env, json!({"access_token": "hunter\n2"}));
        check(Form::Raw, json!({"token": "hunter"}));
        let homeless = Subject { name: "crm", server: None, login: "x" };
        let refusal = Form::Netrc.render(&homeless, &json!({"access_token": "a"})).unwrap_err();
        assert!(refusal.text().contains("--server"), "{}", refusal.text());
    }
}
