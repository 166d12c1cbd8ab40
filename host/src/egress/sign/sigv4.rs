//! AWS Signature Version 4, by AWS's own crate.
//!
//! Here stands what a signature covers, which services sign differently, and how region and service are read from a host name
//! (AWS General Reference, "Signature Version 4 signing process" and "AWS service endpoints").

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningParams, SigningSettings,
    UriPathNormalizationMode, sign as signature,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use chrono::{DateTime, Utc};
use http::HeaderName;
use http::header::{CONTENT_TYPE, HOST};
use url::Url;

use super::{Body, Outline, SignError, Signed, parameter, required, sensitive};
use crate::secrets::Secrets;

/// Headers that the signature makes itself.
const OWN: [&str; 3] = ["x-amz-date", "x-amz-content-sha256", "x-amz-security-token"];

/// Services that take `x-amz-content-sha256` for granted, or ask for it.
const DIGESTED: [&str; 7] =
    ["aoss", "glacier", "s3", "s3-object-lambda", "s3-outposts", "s3express", "vpc-lattice-svcs"];

/// What the names of AWS's hosts end with.
const SUFFIXES: [&str; 4] = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".on.aws"];

/// Services of one endpoint for all regions, and the region that signs for them.
const GLOBAL: [(&str, &str); 11] = [
    ("budgets", "us-east-1"),
    ("ce", "us-east-1"),
    ("cloudfront", "us-east-1"),
    ("globalaccelerator", "us-west-2"),
    ("iam", "us-east-1"),
    ("importexport", "us-east-1"),
    ("organizations", "us-east-1"),
    ("route53", "us-east-1"),
    ("shield", "us-east-1"),
    ("sts", "us-east-1"),
    ("waf", "us-east-1"),
];

/// Signs a request.
pub(super) fn sign(parameters: &Secrets, outline: &Outline<'_>, now: DateTime<Utc>) -> Result<Signed, SignError> {
    let scope = Scope::of(parameters, outline.url)?;
    let session = parameter(parameters, "session_token")?.map(str::to_owned);
    if session.as_ref().is_some_and(|token| !token.is_ascii()) {
        return Err(SignError::Parameter { name: "session_token", problem: "has characters that no header can carry" });
    }
    let key = required(parameters, "access_key_id")?;
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(SignError::Parameter { name: "access_key_id", problem: "has characters that no access key has" });
    }
    let identity: Identity =
        Credentials::new(key, required(parameters, "secret_access_key")?, session, None, "tokenhost").into();

    let is_s3 = scope.service.starts_with("s3");
    let streamed = matches!(outline.body, Body::Unknown);
    let mut settings = SigningSettings::default();
    if is_s3 {
        // An object's key is signed as it stands: `a//b` and `a/../b` are names.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    if streamed || DIGESTED.contains(&scope.service.as_str()) {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let time = SystemTime::UNIX_EPOCH
        .checked_add((now - DateTime::UNIX_EPOCH).to_std().unwrap_or_default())
        .ok_or_else(|| SignError::Request("the time is out of range".to_owned()))?;
    let signing: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region(&scope.region)
        .name(&scope.service)
        .time(time)
        .settings(settings)
        .build()
        .map_err(|_| SignError::Request("a parameter is missing".to_owned()))?
        .into();

    let headers = covered(outline)?;
    let body = match outline.body {
        Body::Empty => SignableBody::Bytes(&[]),
        Body::Bytes(bytes) => SignableBody::Bytes(bytes),
        Body::Sha256(digest) => SignableBody::Precomputed(hex::encode(digest)),
        Body::Unknown => SignableBody::UnsignedPayload,
    };
    // The crate's messages repeat the request's text.
    let refused = |_| SignError::Request("its URL or a header isn't what AWS can sign".to_owned());
    let request = SignableRequest::new(
        outline.method.as_str(),
        outline.url.as_str(),
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        body,
    )
    .map_err(refused)?;
    let (instructions, _) = signature(request, &signing).map_err(refused)?.into_parts();
    let (added, _) = instructions.into_parts();
    added.into_iter().map(|header| Ok((HeaderName::from_static(header.name()), sensitive(header.value())?))).collect()
}

/// The headers that the signature covers: the host, which must be, what says what the body is, and all of AWS's own.
fn covered(outline: &Outline<'_>) -> Result<Vec<(String, String)>, SignError> {
    let mut covered = vec![(HOST.as_str().to_owned(), host(outline.url))];
    for (name, value) in outline.headers {
        let is_own = OWN.contains(&name.as_str());
        let is_covered = name == CONTENT_TYPE || name == "content-md5" || name.as_str().starts_with("x-amz-");
        if is_covered && !is_own {
            let value = value.to_str().map_err(|_| {
                SignError::Request(format!("the header {name} has characters that a signature can't cover"))
            })?;
            covered.push((name.as_str().to_owned(), value.to_owned()));
        }
    }
    Ok(covered)
}

/// The `Host` header of a request to this URL: a port only where it isn't the scheme's own (RFC 9110 section 7.2).
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What a signature is good for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// E.g. `eu-central-1`.
    pub(super) region: String,
    /// As signatures name it, e.g. `execute-api`.
    pub(super) service: String,
}

impl Scope {
    /// Out of the parameters; what isn't set there, out of the host's name.
    fn of(parameters: &Secrets, url: &Url) -> Result<Self, SignError> {
        let told = Self::read(url.host_str().unwrap_or_default());
        let (service, region) = told.map_or((None, None), |(service, region)| (Some(service), region));
        let take = |name: &'static str, read: Option<String>| {
            let value = match parameter(parameters, name)? {
                Some(set) => set.to_owned(),
                None => read.ok_or(SignError::Parameter {
                    name,
                    problem: "is not set, and the host's name doesn't tell it: set the field",
                })?,
            };
            match value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
                true => Ok(value),
                false => Err(SignError::Parameter { name, problem: "has a character that AWS has in none" }),
            }
        };
        Ok(Self { region: take("region", region)?, service: take("service", service)? })
    }

    /// Service and, if it is there or known, region in the name of an AWS host.
    pub(super) fn read(host: &str) -> Option<(String, Option<String>)> {
        let host = host.to_ascii_lowercase();
        let name = SUFFIXES.iter().find_map(|suffix| host.strip_suffix(suffix))?;
        // `dualstack` and `fips` say how one gets there, not what is there.
        let labels: Vec<&str> =
            name.split('.').filter(|label| !matches!(*label, "dualstack" | "fips" | "vpce" | "")).collect();
        let at = labels.iter().rposition(|label| is_region(label));
        let (label, region) = match at {
            // `ID.execute-api.REGION`, `BUCKET.s3.REGION`; but `REGION.SERVICE` of queues and of older endpoints.
            Some(0) => (labels.get(1)?, labels.first()),
            Some(at) => match labels.get(at + 1) {
                // `DOMAIN.REGION.es`.
                Some(after) => (after, labels.get(at)),
                None => (labels.get(at.checked_sub(1)?)?, labels.get(at)),
            },
            None => (labels.last()?, None),
        };
        let mut region = region.map(|region| (*region).to_owned());
        let mut label = label.strip_suffix("-fips").unwrap_or(label);
        // `s3-eu-west-1.amazonaws.com`, as it was before 2019.
        if let Some(old) = label.strip_prefix("s3-").filter(|old| is_region(old)) {
            (label, region) = ("s3", Some(old.to_owned()));
        }
        let service = signing_name(label).to_owned();
        if region.is_none() {
            region = match GLOBAL.iter().find(|(name, _)| *name == service) {
                Some((_, region)) => Some((*region).to_owned()),
                // `BUCKET.s3.amazonaws.com` is in Virginia or redirects.
                None if service == "s3" => Some("us-east-1".to_owned()),
                None => None,
            };
        }
        Some((service, region))
    }
}

/// Whether a label is a region's name: `eu-central-1`, `us-gov-west-1`, `us-iso-east-1`.
fn is_region(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    (3..=4).contains(&parts.len())
        && first.len() == 2
        && first.bytes().all(|byte| byte.is_ascii_lowercase())
        && matches!(last.as_bytes(), [b'1'..=b'9'])
        && parts
            .iter()
            .skip(1)
            .rev()
            .skip(1)
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// What signatures call a service whose endpoints are called otherwise.
fn signing_name(label: &str) -> &str {
    match label {
        "email" | "email-smtp" => "ses",
        "queue" => "sqs",
        "s3-control" | "s3-accelerate" | "s3-website" => "s3",
        "bedrock-runtime" | "bedrock-agent" | "bedrock-agent-runtime" => "bedrock",
        "runtime-lex" | "models-v2-lex" | "runtime-v2-lex" => "lex",
        "appsync-api" => "appsync",
        "lambda-url" => "lambda",
        label => label,
    }
}
