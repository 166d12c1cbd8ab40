//! Signatures held against those of others: botocore's and the RFC's, and what can't be signed.

use chrono::TimeZone as _;
use serde_json::Value;

use super::sigv4::Scope;
use super::*;

fn secrets(pairs: &[(&str, &str)]) -> Secrets {
    let mut secrets = Secrets::default();
    for (name, value) in pairs {
        secrets.insert(*name, (*value).into());
    }
    secrets
}

fn aws(more: &[(&str, &str)]) -> Secrets {
    let key = [("access_key_id", "AKIDEXAMPLE"), ("secret_access_key", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")];
    secrets(&[&key, more].concat())
}

fn moment() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2015, 8, 30, 12, 36, 0).unwrap()
}

fn get<'a>(url: &'a Url, headers: &'a HeaderMap) -> Outline<'a> {
    Outline { method: &Method::GET, url, headers, body: Body::Empty }
}

fn texts(signed: &Signed) -> Vec<(String, String)> {
    assert!(signed.iter().all(|(_, value)| value.is_sensitive()));
    let mut texts: Vec<(String, String)> =
        signed.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    texts.sort();
    texts
}

#[test]
fn requests_are_signed_as_botocore_signs_them() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("vectors/sigv4.json")).unwrap();
    assert!(vectors.len() >= 15);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str();
        let mut parameters = vec![("region", text("region").unwrap()), ("service", text("service").unwrap())];
        parameters.extend(text("session_token").map(|token| ("session_token", token)));
        let headers: HeaderMap = (vector["headers"].as_object().unwrap().iter())
            .map(|(name, value)| (name.parse().unwrap(), value.as_str().unwrap().parse().unwrap()))
            .collect();
        let mut expected: Vec<(String, String)> = (vector["expected"].as_object().unwrap().iter())
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        expected.sort();
        let url = Url::parse(text("url").unwrap()).unwrap();
        let method = text("method").unwrap().parse().unwrap();
        let digest = text("sha256").map(|digest| hex::decode(digest).unwrap().try_into().unwrap());
        let bodies = match text("body") {
            None => vec![Body::Unknown],
            Some("") => vec![Body::Empty, Body::Bytes(b""), Body::Sha256(digest.unwrap())],
            Some(body) => vec![Body::Bytes(body.as_bytes()), Body::Sha256(digest.unwrap())],
        };
        for body in bodies {
            let outline = Outline { method: &method, url: &url, headers: &headers, body };
            let signed = sign(AWS_SIGV4, &aws(&parameters), &outline, moment(), None).unwrap();
            assert_eq!(texts(&signed), expected, "{}", vector["name"]);
        }
    }
}

#[test]
fn the_first_of_aws_own_test_suite() {
    // `get-vanilla`, whose signature AWS publishes.
    let (url, headers) = (Url::parse("https://example.amazonaws.com/").unwrap(), HeaderMap::new());
    let parameters = aws(&[("region", "us-east-1"), ("service", "service")]);
    let signed = sign(AWS_SIGV4, &parameters, &get(&url, &headers), moment(), None).unwrap();
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
        SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    let expected = [("authorization", authorization), ("x-amz-date", "20150830T123600Z")];
    assert_eq!(texts(&signed), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn headers_that_may_change_on_their_way_are_not_signed() {
    let url = Url::parse("https://sqs.eu-central-1.amazonaws.com/").unwrap();
    let plain = sign(AWS_SIGV4, &aws(&[]), &get(&url, &HeaderMap::new()), moment(), None).unwrap();
    let mut headers = HeaderMap::new();
    for name in ["user-agent", "accept", "authorization", "x-amz-date", "x-amz-security-token"] {
        headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("of the caller"));
    }
    let full = sign(AWS_SIGV4, &aws(&[]), &get(&url, &headers), moment(), None).unwrap();
    assert_eq!(texts(&plain), texts(&full));
    headers.insert("x-amz-target", HeaderValue::from_static("a"));
    let covered = sign(AWS_SIGV4, &aws(&[]), &get(&url, &headers), moment(), None).unwrap();
    assert!(texts(&covered)[0].1.contains("SignedHeaders=host;x-amz-date;x-amz-target,"), "{covered:?}");
}

#[test]
fn a_streamed_body_says_that_it_is_not_signed() {
    let (url, headers) = (Url::parse("https://aoss.eu-central-1.amazonaws.com/").unwrap(), HeaderMap::new());
    let outline = Outline { method: &Method::PUT, body: Body::Unknown, ..get(&url, &headers) };
    let signed = texts(&sign(AWS_SIGV4, &aws(&[]), &outline, moment(), None).unwrap());
    assert!(signed.contains(&("x-amz-content-sha256".to_owned(), "UNSIGNED-PAYLOAD".to_owned())), "{signed:?}");
}

#[test]
fn service_and_region_are_read_from_the_host() {
    let check = |host: &str, expected: Option<(&str, Option<&str>)>| {
        let expected = expected.map(|(service, region)| (service.to_owned(), region.map(str::to_owned)));
        assert_eq!(Scope::read(host), expected, "{host}");
    };
    let both = |service, region| Some((service, Some(region)));
    check("sqs.eu-central-1.amazonaws.com", both("sqs", "eu-central-1"));
    check("SQS.EU-Central-1.AmazonAWS.com", both("sqs", "eu-central-1"));
    check("abc.execute-api.us-east-1.amazonaws.com", both("execute-api", "us-east-1"));
    check("s3.eu-west-1.amazonaws.com", both("s3", "eu-west-1"));
    check("my.bucket.s3.dualstack.eu-west-1.amazonaws.com", both("s3", "eu-west-1"));
    check("bucket.s3-eu-west-1.amazonaws.com", both("s3", "eu-west-1"));
    check("bucket.s3.amazonaws.com", both("s3", "us-east-1"));
    check("dynamodb-fips.us-gov-west-1.amazonaws.com", both("dynamodb", "us-gov-west-1"));
    check("search-logs-abc.eu-west-1.es.amazonaws.com", both("es", "eu-west-1"));
    check("eu-west-1.queue.amazonaws.com", both("sqs", "eu-west-1"));
    check("email.us-east-1.amazonaws.com", both("ses", "us-east-1"));
    check("bedrock-runtime.us-west-2.amazonaws.com", both("bedrock", "us-west-2"));
    check("ec2.cn-north-1.amazonaws.com.cn", both("ec2", "cn-north-1"));
    check("abc.lambda-url.eu-west-3.on.aws", both("lambda", "eu-west-3"));
    check("iam.amazonaws.com", both("iam", "us-east-1"));
    check("globalaccelerator.amazonaws.com", both("globalaccelerator", "us-west-2"));
    check("data.amazonaws.com", Some(("data", None)));
    check("amazonaws.com", None);
    check("amazonaws.com.evil.example", None);
    check("api.example.org", None);
}

#[test]
fn what_cannot_be_signed_is_told_by_the_parameter() {
    let check = |url: &str, parameters: Secrets, expected: &str| {
        let (url, headers) = (Url::parse(url).unwrap(), HeaderMap::new());
        let error = sign(AWS_SIGV4, &parameters, &get(&url, &headers), moment(), None).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let host = "https://sqs.eu-central-1.amazonaws.com/";
    check(host, secrets(&[]), "the signer's parameter access_key_id is not set");
    check(host, secrets(&[("access_key_id", "a")]), "the signer's parameter secret_access_key is not set");
    check(
        host,
        aws(&[("session_token", "a\n")]),
        "the signer's parameter session_token has a control character, such as a line break at its end",
    );
    check(host, aws(&[("region", "x/y")]), "the signer's parameter region has a character that AWS has in none");
    check(
        "https://api.example.org/",
        aws(&[]),
        "the signer's parameter region is not set, and the host's name doesn't tell it: set the field",
    );
    check(
        "https://data.amazonaws.com/",
        aws(&[]),
        "the signer's parameter region is not set, and the host's name doesn't tell it: set the field",
    );
    let (url, headers) = (Url::parse(host).unwrap(), HeaderMap::new());
    let error = sign("aws-sigv5", &aws(&[]), &get(&url, &headers), moment(), None).unwrap_err();
    assert_eq!(error.to_string(), "there is no signer \"aws-sigv5\"; there are aws-sigv4 and http-digest");
}

/// The challenge of RFC 7616 section 3.9.1.
fn challenge(algorithm: &str, more: &str) -> HeaderValue {
    let text = format!(
        "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
         nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"{more}"
    );
    HeaderValue::from_str(&text).unwrap()
}

fn mufasa() -> Secrets {
    secrets(&[("username", "Mufasa"), ("password", "Circle of Life")])
}

fn read(headers: &[HeaderValue]) -> Result<Option<Challenge>, SignError> {
    Challenge::read(headers)
}

/// A member of an answer.
fn member(answer: &HeaderValue, name: &str) -> Option<String> {
    let answer = answer.to_str().unwrap().strip_prefix("Digest ").unwrap().to_owned();
    answer.split(", ").find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    })
}

const OWN_NONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

#[test]
fn digests_as_in_rfc_7616() {
    let (url, headers) = (Url::parse("http://www.example.org/dir/index.html").unwrap(), HeaderMap::new());
    let check = |algorithm: &str, response: &str| {
        let challenge = read(&[challenge(algorithm, "")]).unwrap().unwrap();
        let answer = digest::sign_with(&mufasa(), &get(&url, &headers), &challenge, OWN_NONCE).unwrap();
        assert!(answer.is_sensitive());
        let expected = [
            ("username", "Mufasa"),
            ("realm", "http-auth@example.org"),
            ("uri", "/dir/index.html"),
            ("algorithm", algorithm),
            ("nonce", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
            ("nc", "00000001"),
            ("cnonce", OWN_NONCE),
            ("qop", "auth"),
            ("response", response),
            ("opaque", "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"),
        ];
        for (name, value) in expected {
            assert_eq!(member(&answer, name).as_deref(), Some(value), "{name} in {answer:?}");
        }
    };
    check("MD5", "8ca523f5e9506fed4657c9700eebdbec");
    check("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

#[test]
fn the_strongest_that_is_known_is_answered() {
    let algorithm = |headers: &[HeaderValue]| {
        let challenge = read(headers).unwrap().unwrap();
        let (url, headers) = (Url::parse("http://h/").unwrap(), HeaderMap::new());
        let answer = sign(HTTP_DIGEST, &mufasa(), &get(&url, &headers), moment(), Some(&challenge)).unwrap();
        member(&answer[0].1, "algorithm").unwrap()
    };
    let (md5, sha) = (challenge("MD5", ""), challenge("SHA-256", ""));
    assert_eq!(algorithm(&[md5.clone(), sha.clone()]), "SHA-256");
    let both =
        HeaderValue::from_str(&format!("Basic realm=\"x\", {}, {}", sha.to_str().unwrap(), md5.to_str().unwrap()));
    assert_eq!(algorithm(&[both.unwrap()]), "SHA-256");
    assert_eq!(algorithm(&[challenge("SHA-999", ""), md5]), "MD5");
    assert_eq!(algorithm(&[challenge("MD5-sess", "")]), "MD5-sess");
}

#[test]
fn the_count_grows_with_each_answer_and_begins_anew_with_another_nonce() {
    let (url, headers) = (Url::parse("https://camera.example/x?y=1").unwrap(), HeaderMap::new());
    let count = |challenge: &Challenge| {
        let answer = sign(HTTP_DIGEST, &mufasa(), &get(&url, &headers), moment(), Some(challenge)).unwrap();
        assert_eq!(member(&answer[0].1, "uri").as_deref(), Some("/x?y=1"));
        member(&answer[0].1, "nc").unwrap()
    };
    let challenges = Challenges::default();
    assert!(challenges.last("me", &url).is_none());
    let kept = challenges.keep("me", &url, read(&[challenge("MD5", "")]).unwrap().unwrap());
    assert_eq!(count(&kept), "00000001");
    assert_eq!(count(&challenges.last("me", &url).unwrap()), "00000002");
    // The service repeats its challenge: the count of a nonce never goes back.
    let same = challenges.keep("me", &url, read(&[challenge("MD5", "")]).unwrap().unwrap());
    assert_eq!((count(&same).as_str(), same.uses()), ("00000003", 3));
    let stale = HeaderValue::from_static("Digest realm=\"r\", nonce=\"other\", qop=\"auth\", stale=true");
    let stale = challenges.keep("me", &url, read(&[stale]).unwrap().unwrap());
    assert!(stale.is_stale() && !same.is_stale());
    assert_eq!(count(&challenges.last("me", &url).unwrap()), "00000001");
    assert!(challenges.last("another", &url).is_none());
    assert!(challenges.last("me", &Url::parse("https://camera.example:8443/x").unwrap()).is_none());
}

#[test]
fn a_body_that_has_to_be_covered_has_to_be_known() {
    let only = HeaderValue::from_static("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"");
    let (url, headers) = (Url::parse("http://h/a").unwrap(), HeaderMap::new());
    let answer = |body: Body<'_>, header: &HeaderValue| {
        let challenge = read(std::slice::from_ref(header)).unwrap().unwrap();
        let outline = Outline { method: &Method::POST, body, ..get(&url, &headers) };
        digest::sign_with(&mufasa(), &outline, &challenge, "c")
    };
    // Computed with `hashlib` by the formula of RFC 7616 section 3.4: auth-int, body `abc`.
    let covered = answer(Body::Bytes(b"abc"), &only).unwrap();
    assert_eq!(member(&covered, "qop").as_deref(), Some("auth-int"));
    assert_eq!(member(&covered, "response").as_deref(), Some("49194696b640b8c07292ef697f683e81"));
    let sha = HeaderValue::from_static("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\", algorithm=SHA-256");
    let digest: [u8; 32] = sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(b"abc")).into();
    assert_eq!(answer(Body::Sha256(digest), &sha).unwrap(), answer(Body::Bytes(b"abc"), &sha).unwrap());
    let error = answer(Body::Unknown, &only).unwrap_err();
    assert!(matches!(error, SignError::NeedsBody(_)) && error.to_string().contains("auth-int"), "{error}");
    let either = HeaderValue::from_static("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int,auth\"");
    assert_eq!(member(&answer(Body::Unknown, &either).unwrap(), "qop").as_deref(), Some("auth"));
    // RFC 2069, which cameras still speak.
    let old = HeaderValue::from_static("Digest realm=\"r\", nonce=\"n\"");
    assert_eq!(member(&answer(Body::Unknown, &old).unwrap(), "qop"), None);
}

#[test]
fn challenges_that_cannot_be_answered() {
    let check = |header: &str, expected: Option<&str>| {
        let outcome = read(&[HeaderValue::from_str(header).unwrap()]);
        match (outcome, expected) {
            (Ok(None), None) => {}
            (Err(error), Some(part)) => assert!(error.to_string().contains(part), "{error}"),
            (outcome, _) => panic!("{header}: {outcome:?}"),
        }
    };
    check("Basic realm=\"x\"", None);
    check("Bearer", None);
    check("Digest realm=\"x\"", Some("a parameter is missing"));
    check("Digest realm=\"x\", nonce=\"n\", algorithm=ROT13", Some("its algorithm or qop isn't known"));
    check("Digest realm=\"x\", nonce=\"n\", qop=\"auth-conf\"", Some("its algorithm or qop isn't known"));
    check("Digest realm=\"x", Some("can't be read"));
    check(&format!("Digest realm=\"{}\", nonce=\"n\"", "x".repeat(9000)), Some("too long"));
    let (url, headers) = (Url::parse("http://h/").unwrap(), HeaderMap::new());
    let signed = sign(HTTP_DIGEST, &mufasa(), &get(&url, &headers), moment(), None).unwrap();
    assert!(signed.is_empty(), "the service has to ask first");
    let known = read(&[challenge("MD5", "")]).unwrap().unwrap();
    let error = sign(HTTP_DIGEST, &secrets(&[("username", "a")]), &get(&url, &headers), moment(), Some(&known));
    assert_eq!(error.unwrap_err().to_string(), "the signer's parameter password is not set");
    let other = secrets(&[("username", "Jäsøn Doe"), ("password", "p")]);
    let answer = sign(HTTP_DIGEST, &other, &get(&url, &headers), moment(), Some(&known)).unwrap();
    let name = answer[0].1.to_str().unwrap();
    assert!(name.contains("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe,"), "{name}");
}
