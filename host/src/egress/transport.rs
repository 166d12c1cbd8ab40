//! What a connection needs below HTTP: whom to trust, who we are, and the proxy. Settings of the integration.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moka::sync::Cache;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::Url;

use super::policy::{Policy, check_userinfo};
use super::refusal::{Problem, Problems, Refusal};

/// TLS settings that stay ready. One is a few kilobytes, and about a millisecond to make anew.
const CACHED: u64 = 256;

/// How long an unused one stays, since it may hold a client's key.
const CACHED_FOR: Duration = Duration::from_secs(600);

/// How connections of one integration are made.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    /// PEM certificates of the authorities to trust *instead of* the system's: who names a CA means that one.
    pub ca: Option<String>,
    /// An HTTP proxy, `http://host:port`. Then its address is what is checked, and it resolves the provider's name.
    pub proxy: Option<Url>,
    /// PEM certificate to show to the provider, its chain behind it.
    pub client_certificate: Option<String>,
    /// PEM private key of that certificate.
    pub client_key: Option<SecretString>,
}

impl Transport {
    /// A digest of what TLS depends on.
    pub(super) fn digest(&self) -> [u8; 32] {
        let key = self.client_key.as_ref().map(ExposeSecret::expose_secret);
        let mut hasher = Sha256::new();
        for part in [self.ca.as_deref(), self.client_certificate.as_deref(), key] {
            hasher.update([u8::from(part.is_some())]);
            hasher.update(part.map_or(0, |text| text.len() as u64).to_be_bytes());
            hasher.update(part.unwrap_or_default());
        }
        hasher.finalize().into()
    }

    /// Holds it against the policy, and makes its TLS settings; tells all that is wrong.
    pub(super) fn check(&self, policy: &Policy, tls: &Tls) -> Result<Arc<ClientConfig>, Refusal> {
        match (self.check_proxy(policy), tls.config(self)) {
            (Ok(()), outcome) => outcome,
            (Err(problem), Ok(_)) => Err(problem.into()),
            (Err(problem), Err(mut refusal)) => {
                refusal.problems.push(problem);
                Err(refusal)
            }
        }
    }

    /// Holds the proxy against the policy.
    fn check_proxy(&self, policy: &Policy) -> Result<(), Problem> {
        let Some(proxy) = &self.proxy else { return Ok(()) };
        let part = "transport.proxy";
        if proxy.scheme() != "http" {
            return Err(Problem::integration(part, "http://host:port is wanted"));
        }
        check_userinfo(part, proxy)?;
        if !proxy.path().trim_start_matches('/').is_empty() || proxy.query().is_some() {
            return Err(Problem::integration(part, "has a path or query; http://host:port is wanted"));
        }
        policy.check_literal(part, proxy)
    }
}

/// Makes TLS settings and keeps them ready.
pub(super) struct Tls {
    /// By the transport's digest.
    ready: Cache<[u8; 32], Arc<ClientConfig>>,
    /// The system's authorities, read when first needed.
    system: OnceLock<Arc<RootCertStore>>,
}

impl Tls {
    /// No settings yet.
    pub(super) fn new() -> Self {
        Self { ready: Cache::builder().max_capacity(CACHED).time_to_idle(CACHED_FOR).build(), system: OnceLock::new() }
    }

    /// The TLS settings of a transport.
    pub(super) fn config(&self, transport: &Transport) -> Result<Arc<ClientConfig>, Refusal> {
        let digest = transport.digest();
        if let Some(config) = self.ready.get(&digest) {
            return Ok(config);
        }
        let config = Arc::new(self.make(transport)?);
        self.ready.insert(digest, Arc::clone(&config));
        Ok(config)
    }

    /// Makes them.
    fn make(&self, transport: &Transport) -> Result<ClientConfig, Refusal> {
        let mut problems = Problems::default();
        let roots = problems.take(match &transport.ca {
            Some(pem) => own_roots(pem),
            None => self.system_roots(),
        });
        let identity = problems.take(identity(transport));
        problems.outcome()?;
        let (Some(roots), Some(identity)) = (roots, identity) else {
            return Err(Problem::integration("transport", "is unusable").into());
        };

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let failed =
            |part: &str, error: &dyn std::fmt::Display| Problem::integration(part, format!("is refused: {error}"));
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| failed("transport.ca", &error))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed("transport", &error))?
            .with_webpki_verifier(verifier);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| failed("transport.client_certificate and transport.client_key", &error))?,
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// The system's authorities.
    fn system_roots(&self) -> Result<Arc<RootCertStore>, Problem> {
        let roots = self.system.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(roots)
        });
        if roots.is_empty() {
            return Err(Problem::operator(
                "transport",
                "this machine has no certificates of authorities; install them (Debian: ca-certificates) and start the \
                 daemon again, or set transport.ca",
            ));
        }
        Ok(Arc::clone(roots))
    }
}

/// The authorities of the integration.
fn own_roots(pem: &str) -> Result<Arc<RootCertStore>, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("transport.ca", pem)? {
        roots
            .add(certificate)
            .map_err(|error| Problem::integration("transport.ca", format!("holds an unusable certificate: {error}")))?;
    }
    Ok(Arc::new(roots))
}

/// Certificates out of PEM text; at least one.
fn certificates(part: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Problem::integration(
            part,
            "holds no readable certificate; PEM (-----BEGIN CERTIFICATE-----) is wanted",
        )),
    }
}

/// A certificate's chain and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Who we are, if the provider wants to know.
fn identity(transport: &Transport) -> Result<Option<Identity>, Problem> {
    match (&transport.client_certificate, &transport.client_key) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(Problem::integration("transport.client_key", "is missing, client_certificate needs it")),
        (None, Some(_)) => Err(Problem::integration("transport.client_certificate", "is missing, client_key needs it")),
        (Some(chain), Some(key)) => {
            let chain = certificates("transport.client_certificate", chain)?;
            let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).map_err(|_| {
                Problem::integration(
                    "transport.client_key",
                    "holds no readable private key; unencrypted PEM (-----BEGIN PRIVATE KEY-----) is wanted",
                )
            })?;
            Ok(Some((chain, key)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Authority;
    use super::*;

    #[track_caller]
    fn check(transport: &Transport, expected: &str) {
        match Tls::new().config(transport) {
            Ok(_) => assert_eq!(expected, ""),
            Err(refusal) => {
                let text = refusal.to_string();
                assert!(!expected.is_empty() && text.contains(expected), "{text}");
                assert!(!text.contains("BEGIN RSA"), "{text}");
            }
        }
    }

    #[test]
    fn faults_of_certificates_and_keys_are_told_by_setting() {
        let authority = Authority::new();
        let (certificate, key) = authority.issue_client("robot");
        let (_, other_key) = authority.issue_client("other");
        let full = Transport {
            ca: Some(authority.pem()),
            client_certificate: Some(certificate),
            client_key: Some(key.into()),
            ..Transport::default()
        };
        check(&full, "");
        check(
            &Transport { ca: Some("nonsense".to_owned()), ..Transport::default() },
            "transport.ca: holds no readable",
        );
        check(&Transport { ca: Some(String::new()), ..Transport::default() }, "transport.ca: holds no readable");
        check(&Transport { client_key: None, ..full.clone() }, "transport.client_key: is missing");
        check(&Transport { client_certificate: None, ..full.clone() }, "transport.client_certificate: is missing");
        check(&Transport { client_key: Some("BEGIN RSA".into()), ..full.clone() }, "client_key: holds no readable");
        check(&Transport { client_key: Some(other_key.into()), ..full.clone() }, "client_key: is refused");
        let both = Transport { ca: Some("x".to_owned()), client_key: None, ..full };
        check(&both, "transport.ca: holds no readable");
        check(&both, "transport.client_key: is missing");
        let proxy = Some(Url::parse("socks5://proxy.example").unwrap());
        let refusal = Transport { proxy, ..both }.check(&Policy::default(), &Tls::new()).unwrap_err();
        assert_eq!(refusal.problems.len(), 3, "{refusal}");
    }

    #[test]
    fn equal_transports_share_their_settings() {
        let (tls, authority) = (Tls::new(), Authority::new());
        let transport = Transport { ca: Some(authority.pem()), ..Transport::default() };
        let other = Transport { ca: Some(Authority::new().pem()), ..Transport::default() };
        let first = tls.config(&transport).unwrap();
        assert!(Arc::ptr_eq(&first, &tls.config(&transport.clone()).unwrap()));
        assert!(!Arc::ptr_eq(&first, &tls.config(&other).unwrap()));
    }

    #[test]
    fn a_proxy_is_a_plain_address_that_the_policy_allows() {
        for (proxy, expected) in [
            ("http://proxy.example:3128", ""),
            ("http://8.8.8.8:3128/", ""),
            ("https://proxy.example:3128", "http://host:port is wanted"),
            ("socks5://proxy.example:1080", "http://host:port is wanted"),
            ("http://user:word@proxy.example:3128", "user or password"),
            ("http://proxy.example:3128/path", "has a path"),
            ("http://10.0.0.1:3128", "10.0.0.0/8"),
        ] {
            let transport = Transport { proxy: Some(Url::parse(proxy).unwrap()), ..Transport::default() };
            match transport.check_proxy(&Policy::default()) {
                Ok(()) => assert_eq!(expected, "", "{proxy}"),
                Err(problem) => assert!(!expected.is_empty() && problem.to_string().contains(expected), "{problem}"),
            }
        }
    }
}
