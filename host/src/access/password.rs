//! People's passwords: rules for new ones, and their argon2id hashes (RFC 9106). It knows no users, and slows nobody down
//! ([`super::throttle`] does).

use argon2::password_hash::phc;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::throttle::TryPermit;

/// Bytes that a new password has at least (NIST SP 800-63B asks for 8 beside a second factor, 15 alone).
const SHORTEST: usize = 12;
/// Bytes that a password has at most.
const LONGEST: usize = 256;
/// What a hash that is taken over from elsewhere may cost at most: KiB of memory, passes, lanes.
const COSTLIEST: (u32, u32, u32) = (256 * 1024, 16, 16);

/// Why a password wasn't hashed or looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// A new password is too short.
    #[error("a password has at least {SHORTEST} bytes; a sentence of some words does well")]
    TooShort,
    /// A new password is too long.
    #[error("a password has at most {LONGEST} bytes")]
    TooLong,
    /// A new password has characters that not everybody can type.
    #[error("a password has no control characters, such as tabs and line breaks")]
    ControlCharacter,
    /// What is stored as a hash is none of argon2id, or costs too much.
    #[error("the password's hash isn't one of argon2id in the PHC form, or costs too much; set the password anew")]
    NoSuchHash,
    /// Hashing failed: no memory or no random bytes.
    #[error("the password can't be hashed at present")]
    Unavailable,
}

/// The hash of a password: argon2id with salt and costs, in the PHC string form. It shows in no log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash of a new password, on a thread of its own.
    ///
    /// # Errors
    /// The rule that the password breaks, or [`PasswordError::Unavailable`].
    pub async fn of(password: SecretString) -> Result<Self, PasswordError> {
        check_new(&password)?;
        blocking(move || Self::compute(password.expose_secret().as_bytes())).await
    }

    fn compute(password: &[u8]) -> Result<Self, PasswordError> {
        let hash: phc::PasswordHash =
            Argon2::default().hash_password(password).map_err(|_| PasswordError::Unavailable)?;
        Ok(Self(hash.to_string()))
    }

    /// Its text, salt included.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is of this password.
    fn matches(&self, password: &[u8]) -> Result<bool, PasswordError> {
        let hash = phc::PasswordHash::new(&self.0).map_err(|_| PasswordError::NoSuchHash)?;
        match Argon2::default().verify_password(password, &hash) {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(_) => Err(PasswordError::Unavailable),
        }
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> Self {
        hash.0
    }
}

impl TryFrom<String> for PasswordHash {
    type Error = PasswordError;

    /// Takes a hash of argon2id, as stored or as another product made it.
    fn try_from(text: String) -> Result<Self, PasswordError> {
        let hash = phc::PasswordHash::new(&text).map_err(|_| PasswordError::NoSuchHash)?;
        let params = argon2::Params::try_from(&hash).map_err(|_| PasswordError::NoSuchHash)?;
        let (memory, passes, lanes) = COSTLIEST;
        let is_bearable = params.m_cost() <= memory && params.t_cost() <= passes && params.p_cost() <= lanes;
        let is_whole = hash.algorithm == argon2::ARGON2ID_IDENT && hash.salt.is_some() && hash.hash.is_some();
        if is_bearable && is_whole { Ok(Self(text)) } else { Err(PasswordError::NoSuchHash) }
    }
}

/// Compares passwords with hashes.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// The hash of a password that nobody knows, to compare with where there is no user.
    decoy: PasswordHash,
}

impl Passwords {
    /// Makes the decoy, on a thread of its own.
    ///
    /// # Errors
    /// [`PasswordError::Unavailable`].
    pub async fn new() -> Result<Self, PasswordError> {
        let mut nobody_knows = [0; 32];
        getrandom::fill(&mut nobody_knows).map_err(|_| PasswordError::Unavailable)?;
        Ok(Self { decoy: blocking(move || PasswordHash::compute(&nobody_knows)).await? })
    }

    /// Whether the hash is of this password, on a thread of its own that holds the permit while it works. Without a hash, as
    /// for an unknown login, it takes the same path and says no. Some 15 ms of a processor and 19 MiB.
    ///
    /// # Errors
    /// [`PasswordError::NoSuchHash`], [`PasswordError::Unavailable`]; they don't count as wrong passwords.
    pub async fn verify(
        &self,
        permit: TryPermit,
        hash: Option<&PasswordHash>,
        password: SecretString,
    ) -> Result<bool, PasswordError> {
        // No password is that long: it is compared with nothing, and not read through.
        let hash = hash.filter(|_| password.expose_secret().len() <= LONGEST);
        let (hash, is_real) = (hash.unwrap_or(&self.decoy).clone(), hash.is_some());
        blocking(move || {
            let presented = password.expose_secret().as_bytes();
            let is_right = hash.matches(presented.get(..LONGEST).unwrap_or(presented)).map(|matches| matches & is_real);
            match is_right {
                Ok(false) => drop(permit),
                Ok(true) | Err(_) => permit.right(),
            }
            is_right
        })
        .await
    }
}

/// Holds a new password against the rules.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_new(password: &SecretString) -> Result<(), PasswordError> {
    let password = password.expose_secret();
    match password.len() {
        0..SHORTEST => Err(PasswordError::TooShort),
        LONGEST.. if password.len() > LONGEST => Err(PasswordError::TooLong),
        _ if password.chars().any(char::is_control) => Err(PasswordError::ControlCharacter),
        _ => Ok(()),
    }
}

/// Works on a thread that may be kept busy.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
) -> Result<T, PasswordError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(PasswordError::Unavailable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::throttle::Throttle;
    use crate::clock::SystemClock;

    async fn verify(passwords: &Passwords, hash: Option<&PasswordHash>, password: &str) -> Result<bool, PasswordError> {
        let throttle = Throttle::new(SystemClock::shared());
        let permit = throttle.may_try("alice", [192, 0, 2, 1].into()).await.unwrap();
        passwords.verify(permit, hash, secret(password)).await
    }

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[test]
    fn new_passwords_keep_the_rules() {
        let check = |password: &str, expected| assert_eq!(check_new(&secret(password)), expected, "{password:?}");
        check("", Err(PasswordError::TooShort));
        check("elevenbytes", Err(PasswordError::TooShort));
        check("twelve bytes", Ok(()));
        check("sechs Wörter", Ok(()));
        check(&"x".repeat(256), Ok(()));
        check(&"x".repeat(257), Err(PasswordError::TooLong));
        check("with a\ttab in it", Err(PasswordError::ControlCharacter));
        check("with a \u{85} in it", Err(PasswordError::ControlCharacter));
    }

    #[tokio::test]
    async fn only_the_right_password_matches() {
        let passwords = Passwords::new().await.unwrap();
        let right = "correct horse battery staple";
        let hash = PasswordHash::of(secret(right)).await.unwrap();
        assert_ne!(hash, PasswordHash::of(secret(right)).await.unwrap(), "each has a salt of its own");
        let check = async |hash: Option<&PasswordHash>, password: &str, expected| {
            let found = verify(&passwords, hash, password).await;
            assert_eq!(found, Ok(expected), "{password}");
        };
        check(Some(&hash), right, true).await;
        check(Some(&hash), "correct horse battery stapl", false).await;
        check(Some(&hash), "", false).await;
        check(Some(&hash), &right.repeat(1000), false).await;
        check(None, right, false).await;
        assert!(PasswordHash::of(secret("short")).await.is_err());
    }

    #[tokio::test]
    async fn wrong_passwords_are_counted_and_right_ones_not() {
        let throttle = Throttle::new(SystemClock::shared());
        let passwords = Passwords::new().await.unwrap();
        let right = "correct horse battery staple";
        let hash = PasswordHash::of(secret(right)).await.unwrap();
        let broken = PasswordHash("$argon2id$".to_owned());
        let attempt = async |hash: Option<&PasswordHash>, password: &str| {
            let permit = throttle.may_try("alice", [192, 0, 2, 1].into()).await.ok()?;
            Some(passwords.verify(permit, hash, secret(password)).await)
        };
        for _ in 0..11 {
            assert_eq!(attempt(Some(&hash), right).await, Some(Ok(true)));
            assert_eq!(attempt(Some(&broken), right).await, Some(Err(PasswordError::NoSuchHash)));
        }
        for _ in 0..5 {
            assert_eq!(attempt(Some(&hash), "wrong").await, Some(Ok(false)));
            assert_eq!(attempt(None, right).await, Some(Ok(false)));
        }
        assert_eq!(attempt(Some(&hash), right).await, None);
    }

    #[tokio::test]
    async fn a_long_password_is_used_in_full() {
        let passwords = Passwords::new().await.unwrap();
        let right = "x".repeat(LONGEST);
        let hash = PasswordHash::of(secret(&right)).await.unwrap();
        assert_eq!(verify(&passwords, Some(&hash), &right).await, Ok(true));
        assert_eq!(verify(&passwords, Some(&hash), &format!("{right}x")).await, Ok(false));
    }

    #[tokio::test]
    async fn hashes_are_read_and_not_shown() {
        let hash = PasswordHash::of(secret("correct horse battery staple")).await.unwrap();
        let stored = serde_json::to_string(&hash).unwrap();
        assert!(stored.starts_with("\"$argon2id$v=19$"), "{stored}");
        assert_eq!(serde_json::from_str::<PasswordHash>(&stored).unwrap(), hash);
        assert_eq!(format!("{hash:?}"), "PasswordHash(…)");
        let check = |text: &str, expected: bool| {
            assert_eq!(PasswordHash::try_from(text.to_owned()).is_ok(), expected, "{text}");
        };
        let (salt, output) = ("c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc");
        check(&format!("$argon2id$v=19$m=65536,t=2,p=1${salt}${output}"), true);
        check(&format!("$argon2id$v=19$m=99999999,t=2,p=1${salt}${output}"), false);
        check(&format!("$argon2id$v=19$m=65536,t=99,p=1${salt}${output}"), false);
        check(&format!("$argon2i$v=19$m=65536,t=2,p=1${salt}${output}"), false);
        check(&format!("$argon2id$v=19$m=65536,t=2,p=1${salt}"), false);
        check("$2y$10$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false);
        check("correct horse battery staple", false);
        check("", false);
    }
}
