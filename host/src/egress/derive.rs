//! Values that the host computes for a flow: Basic, HMAC, digest, transformations. Signed JWTs are in `jwt`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Digest;
use zeroize::Zeroizing;

use super::jwt;
use super::refusal::Problem;
use super::template::{Scope, Value, form_encoded, percent_encoded};
use crate::flows::request::{
    BasicEncoding, Derivation, Derived, Encoding, Escape, Hash, JsonValue, Part, Template, Transformation,
};

/// Decodes base64 with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Computes a value. Its `shown` is its name.
pub(super) fn compute(scope: &Scope<'_>, derived: &Derived) -> Result<Value, Problem> {
    let part = format!("derived `{}`", derived.name);
    let mut value = match &derived.value {
        Derivation::Basic { user, password, encoding } => basic(scope, &part, user, password, *encoding)?,
        Derivation::Jwt { algorithm, key, header, claims } => {
            jwt::compute(scope, &part, algorithm, key, header, claims)?
        }
        Derivation::Hmac { hash, key, message, encoding } => {
            let key = scope.render(&format!("{part} key"), key, Escape::None)?;
            let mut value = scope.render(&format!("{part} message"), message, Escape::None)?;
            let code = hmac(*hash, &key.bytes, &value.bytes).map_err(|fault| Problem::flow(&part, fault))?;
            value.bytes = encoded(&code, *encoding);
            value.inherit(&key);
            value
        }
        Derivation::Digest { hash, message, encoding } => {
            let mut value = scope.render(&format!("{part} message"), message, Escape::None)?;
            value.bytes = encoded(&digest(*hash, &value.bytes), *encoding);
            value
        }
        Derivation::Transform { value, how } => {
            let mut value = scope.render(&part, value, Escape::None)?;
            for transformation in how {
                value.bytes =
                    transformed(&value.bytes, *transformation).map_err(|fault| Problem::flow(&part, fault))?;
                if value.bytes.len() > scope.limit() {
                    return Err(Problem::flow(part, format!("is longer than {} bytes", scope.limit())));
                }
            }
            value
        }
    };
    value.shown = format!("[{}]", derived.name);
    Ok(value)
}

/// Whether a derivation needs the rendered body.
pub(super) fn uses_body(derivation: &Derivation) -> bool {
    templates(derivation).into_iter().flatten().any(|part| matches!(part, Part::Body))
}

/// Whether one of these values is a signature (an HMAC, a JWT) that covers the body, by itself or through other values.
pub(super) fn signs_body(derived: &[Derived]) -> bool {
    let mut covering: Vec<&str> = Vec::new();
    for value in derived {
        let mut parts = templates(&value.value).into_iter().flatten();
        let covers = parts.any(|part| match part {
            Part::Body => true,
            Part::Secret(name) => covering.contains(&name.as_str()),
            Part::Text(_) | Part::Sensitive(_) => false,
        });
        if covers && matches!(value.value, Derivation::Hmac { .. } | Derivation::Jwt { .. }) {
            return true;
        }
        if covers {
            covering.push(&value.name);
        }
    }
    false
}

/// The templates that a derivation is made of.
fn templates(derivation: &Derivation) -> Vec<&Template> {
    match derivation {
        Derivation::Basic { user, password, .. } => vec![user, password],
        Derivation::Jwt { header, claims, .. } => (header.iter().chain(claims))
            .filter_map(|member| match &member.value {
                JsonValue::Text(text) => Some(text),
                JsonValue::Literal(_) => None,
            })
            .collect(),
        Derivation::Hmac { key, message, .. } => vec![key, message],
        Derivation::Digest { message, .. } => vec![message],
        Derivation::Transform { value, .. } => vec![value],
    }
}

/// RFC 7617 section 2, without the word `Basic`.
fn basic(
    scope: &Scope<'_>,
    part: &str,
    user: &Template,
    password: &Template,
    encoding: BasicEncoding,
) -> Result<Value, Problem> {
    let (user_part, password_part) = (format!("{part} user"), format!("{part} password"));
    let mut value = scope.render(&user_part, user, Escape::None)?;
    let password = scope.render(&password_part, password, Escape::None)?;
    let plain = encoding == BasicEncoding::None;
    let write = |place: &str, bytes: &[u8]| {
        match encoding {
            // What is encoded can hold anything.
            BasicEncoding::Form => form_encoded(bytes).map(String::into_bytes),
            BasicEncoding::Percent => Ok(percent_encoded(bytes).into_bytes()),
            BasicEncoding::None if bytes.iter().any(u8::is_ascii_control) => {
                Err("has a control character, such as a line break at its end (RFC 7617 section 2)")
            }
            BasicEncoding::None => Ok(bytes.to_vec()),
        }
        .map(Zeroizing::new)
        .map_err(|fault| Problem::integration(place, fault))
    };
    let mut joined = write(&user_part, &value.bytes)?;
    if plain && joined.contains(&b':') {
        return Err(Problem::integration(user_part, "has a colon, which ends the user (RFC 7617); choose an encoding"));
    }
    joined.push(b':');
    joined.extend_from_slice(&write(&password_part, &password.bytes)?);
    value.bytes = Zeroizing::new(STANDARD.encode(&joined).into_bytes());
    value.inherit(&password);
    Ok(value)
}

/// RFC 2104.
fn hmac(hash: Hash, key: &[u8], message: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    /// With one hash function.
    fn with<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        let mut mac = <M as KeyInit>::new_from_slice(key).map_err(|_| "has a key of a length that HMAC can't take")?;
        mac.update(message);
        Ok(Zeroizing::new(mac.finalize().into_bytes().to_vec()))
    }
    match hash {
        Hash::Md5 => with::<Hmac<md5::Md5>>(key, message),
        Hash::Sha1 => with::<Hmac<sha1::Sha1>>(key, message),
        Hash::Sha256 => with::<Hmac<sha2::Sha256>>(key, message),
        Hash::Sha384 => with::<Hmac<sha2::Sha384>>(key, message),
        Hash::Sha512 => with::<Hmac<sha2::Sha512>>(key, message),
    }
}

/// A plain hash.
fn digest(hash: Hash, message: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Md5 => md5::Md5::digest(message).to_vec(),
        Hash::Sha1 => sha1::Sha1::digest(message).to_vec(),
        Hash::Sha256 => sha2::Sha256::digest(message).to_vec(),
        Hash::Sha384 => sha2::Sha384::digest(message).to_vec(),
        Hash::Sha512 => sha2::Sha512::digest(message).to_vec(),
    }
}

/// Bytes as the flow wants them written.
fn encoded(bytes: &[u8], encoding: Encoding) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match encoding {
        Encoding::Raw => bytes.to_vec(),
        Encoding::Hex => hex::encode(bytes).into_bytes(),
        Encoding::Base64 => STANDARD.encode(bytes).into_bytes(),
        Encoding::Base64Url => URL_SAFE_NO_PAD.encode(bytes).into_bytes(),
    })
}

/// One transformation.
fn transformed(bytes: &[u8], how: Transformation) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let text = || std::str::from_utf8(bytes).map_err(|_| "is not UTF-8, its case can't be changed");
    Ok(match how {
        Transformation::Base64 => encoded(bytes, Encoding::Base64),
        Transformation::Base64Url => encoded(bytes, Encoding::Base64Url),
        Transformation::Hex => encoded(bytes, Encoding::Hex),
        Transformation::Base64Decode => decoded(bytes)?,
        Transformation::HexDecode => Zeroizing::new(hex::decode(bytes.trim_ascii()).map_err(|_| "is not hexadecimal")?),
        Transformation::Percent => Zeroizing::new(percent_encoded(bytes).into_bytes()),
        Transformation::Form => Zeroizing::new(form_encoded(bytes)?.into_bytes()),
        Transformation::LowerCase => Zeroizing::new(text()?.to_lowercase().into_bytes()),
        Transformation::UpperCase => Zeroizing::new(text()?.to_uppercase().into_bytes()),
    })
}

/// From RFC 4648 section 4 or 5, padded or not, white space around and inside ignored (PEM-like keys are wrapped).
fn decoded(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let plain: Zeroizing<Vec<u8>> = Zeroizing::new(
        bytes
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace())
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                byte => *byte,
            })
            .collect(),
    );
    LENIENT.decode(&*plain).map(Zeroizing::new).map_err(|_| "is not base64")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secrets;

    fn text(text: &str) -> Template {
        vec![Part::Text(text.to_owned())]
    }

    /// Secrets `user`, `password` and `raw_key` (20 bytes 0x0b, as in RFC 2202 and RFC 4231).
    fn run(derivation: Derivation) -> Result<Value, Problem> {
        let mut secrets = Secrets::default();
        secrets.insert("user", "a b:c".into());
        secrets.insert("password", "p w+é%:~*".into());
        secrets.insert("raw_key", "\u{b}".repeat(20).into());
        secrets.insert("line", "word\n".into());
        compute(&Scope::new(&secrets, 100), &Derived { name: "x".to_owned(), value: derivation })
    }

    #[track_caller]
    fn check(derivation: Derivation, expected: &str) {
        let outcome = run(derivation);
        match &outcome {
            Ok(value) => {
                assert_eq!(String::from_utf8_lossy(&value.bytes), expected);
                assert_eq!(value.shown, "[x]");
            }
            Err(problem) => assert_eq!(problem.to_string(), expected),
        }
    }

    fn secret(name: &str) -> Template {
        vec![Part::Secret(name.to_owned())]
    }

    #[test]
    fn basic_joins_user_and_password_in_three_encodings() {
        let plain = |user, password| Derivation::Basic { user, password, encoding: BasicEncoding::None };
        // RFC 7617 section 2 and 2.1.
        check(plain(text("Aladdin"), text("open sesame")), "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        check(plain(text("test"), text("123£")), "dGVzdDoxMjPCow==");
        check(plain(text("u"), secret("password")), &STANDARD.encode("u:p w+é%:~*"));
        let encoded = |encoding| Derivation::Basic { user: secret("user"), password: secret("password"), encoding };
        check(encoded(BasicEncoding::Form), &STANDARD.encode("a+b%3Ac:p+w%2B%C3%A9%25%3A%7E*"));
        check(encoded(BasicEncoding::Percent), &STANDARD.encode("a%20b%3Ac:p%20w%2B%C3%A9%25%3A~%2A"));
        check(
            encoded(BasicEncoding::None),
            "derived `x` user: has a colon, which ends the user (RFC 7617); choose an encoding",
        );
        check(
            plain(text("u"), secret("line")),
            "derived `x` password: has a control character, such as a line break at its end (RFC 7617 section 2)",
        );
    }

    #[test]
    fn hmac_as_in_the_rfcs() {
        let with =
            |hash, encoding| Derivation::Hmac { hash, key: secret("raw_key"), message: text("Hi There"), encoding };
        // RFC 2202 section 3 case 1, RFC 4231 section 4.2.
        check(with(Hash::Sha1, Encoding::Hex), "b617318655057264e28bc0b6fb378c8ef146be00");
        check(with(Hash::Sha256, Encoding::Hex), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        check(
            with(Hash::Sha384, Encoding::Hex),
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
        );
        check(
            with(Hash::Sha512, Encoding::Hex),
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4\
             be9d914eeb61f1702e696c203a126854",
        );
        check(with(Hash::Sha256, Encoding::Base64), "sDRMYdjbOFNcqK/OrwvxK4gdwgDJgz2nJuk3bC4yz/c=");
        check(with(Hash::Sha256, Encoding::Base64Url), "sDRMYdjbOFNcqK_OrwvxK4gdwgDJgz2nJuk3bC4yz_c");
        // RFC 2202 section 2 case 2.
        let (key, message) = (text("Jefe"), text("what do ya want for nothing?"));
        check(
            Derivation::Hmac { hash: Hash::Md5, key, message, encoding: Encoding::Hex },
            "750c783e6ab0b503eaa86e310a5db738",
        );
    }

    #[test]
    fn digests_as_in_the_standards() {
        let of = |hash| Derivation::Digest { hash, message: text("abc"), encoding: Encoding::Hex };
        check(of(Hash::Md5), "900150983cd24fb0d6963f7d28e17f72");
        check(of(Hash::Sha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
        check(of(Hash::Sha256), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        check(
            of(Hash::Sha384),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        );
        check(
            of(Hash::Sha512),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd\
             454d4423643ce80e2a9ac94fa54ca49f",
        );
    }

    #[test]
    fn transformations_run_in_order() {
        use Transformation as T;
        let of = |value: &str, how: &[T]| Derivation::Transform { value: text(value), how: how.to_vec() };
        check(of("a?>~ b", &[T::Base64]), "YT8+fiBi");
        check(of("a?>~ b", &[T::Base64Url]), "YT8-fiBi");
        check(of("YT8-fiBi", &[T::Base64Decode]), "a?>~ b");
        check(of(" YT8+\nfiBi ", &[T::Base64Decode]), "a?>~ b");
        check(of("YQ", &[T::Base64Decode]), "a");
        check(of("YQ==", &[T::Base64Decode]), "a");
        check(of("a*", &[T::Hex, T::UpperCase]), "612A");
        check(of("612A\n", &[T::HexDecode]), "a*");
        check(of("a b/é~", &[T::Percent]), "a%20b%2F%C3%A9~");
        check(of("a b/é~", &[T::Form]), "a+b%2F%C3%A9%7E");
        check(of("ÄbC", &[T::LowerCase]), "äbc");
        check(of("y!", &[T::Base64Decode]), "derived `x`: is not base64");
        check(of("6", &[T::HexDecode]), "derived `x`: is not hexadecimal");
        check(of("ff", &[T::HexDecode, T::LowerCase]), "derived `x`: is not UTF-8, its case can't be changed");
        check(of(&"a".repeat(60), &[T::Hex]), "derived `x`: is longer than 100 bytes");
    }

    #[test]
    fn a_computed_value_knows_the_secrets_in_it() {
        let basic =
            Derivation::Basic { user: text("u"), password: secret("password"), encoding: BasicEncoding::Percent };
        let value = run(basic).unwrap_or_default();
        assert!(value.hidden);
        assert_eq!(value.secrets.into_iter().collect::<Vec<_>>(), ["password"]);
        let public = Derivation::Digest { hash: Hash::Md5, message: text("abc"), encoding: Encoding::Raw };
        assert!(run(public).is_ok_and(|value| !value.hidden && value.bytes.len() == 16));
    }
}
