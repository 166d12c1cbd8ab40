//! Names to addresses, under the policy: a connection sees only addresses that may be dialled.
//!
//! Addresses in URLs never come here; `policy` judges them.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::address;
use super::policy::Policy;
use super::refusal::Fault;

/// Lookups under way at once. Each holds a thread of the pool that the store's reads and writes share (512 threads) until the
/// system's resolver gives up, even if nobody waits any more.
const LOOKUPS_AT_ONCE: usize = 64;

/// What all connections share.
#[derive(Clone)]
pub(super) struct Resolver {
    /// The operator's rules.
    policy: Arc<ArcSwap<Policy>>,
    /// Permits for lookups.
    lookups: Arc<Semaphore>,
}

impl Resolver {
    /// A resolver under this policy.
    pub(super) fn new(policy: Arc<ArcSwap<Policy>>) -> Self {
        Self { policy, lookups: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)) }
    }

    /// The resolver of one connection, which remembers why it failed.
    pub(super) fn for_one(&self) -> Arc<Watched> {
        Arc::new(Watched { resolver: self.clone(), failure: OnceLock::new() })
    }

    /// The addresses of a name that may be dialled.
    pub(super) async fn resolve(&self, name: String) -> Result<Vec<SocketAddr>, (Fault, String)> {
        let failed = |reason: &dyn std::fmt::Display| (Fault::Dns, format!("`{name}` can't be resolved: {reason}"));
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(|error| failed(&error))?;
        let host = name.clone();
        let lookup = tokio::task::spawn_blocking(move || -> io::Result<Vec<SocketAddr>> {
            let _permit = permit;
            Ok((host.as_str(), 0).to_socket_addrs()?.collect())
        });
        let found = lookup.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        let policy = self.policy.load();
        let mut refusal = None;
        let mut allowed = Vec::with_capacity(found.len());
        for address in found {
            match address::check(address.ip(), &policy.allow_networks) {
                Ok(()) => allowed.push(address),
                Err(forbidden) => refusal = refusal.or(Some(forbidden)),
            }
        }
        match refusal {
            _ if !allowed.is_empty() => Ok(allowed),
            Some(forbidden) => Err((Fault::Refused, format!("`{name}` is not dialled: {forbidden}"))),
            None => Err(failed(&"it has no address")),
        }
    }
}

/// The resolver of one connection.
pub(super) struct Watched {
    /// Does the work.
    resolver: Resolver,
    /// Why the name could not be resolved, once that is known.
    failure: OnceLock<(Fault, String)>,
}

impl Watched {
    /// Why the name could not be resolved, if so.
    pub(super) fn failure(&self) -> Option<&(Fault, String)> {
        self.failure.get()
    }
}

/// Hands the resolver of one connection to the HTTP client.
pub(super) struct Handle(pub(super) Arc<Watched>);

impl Resolve for Handle {
    fn resolve(&self, name: Name) -> Resolving {
        let watched = Arc::clone(&self.0);
        Box::pin(async move {
            match watched.resolver.resolve(name.as_str().to_owned()).await {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(failure) => {
                    let text = watched.failure.get_or_init(|| failure).1.clone();
                    Err(text.into())
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn policy(allowed: &str) -> Arc<ArcSwap<Policy>> {
        let allow_networks = allowed.split_whitespace().map(|network| network.parse().unwrap()).collect();
        Arc::new(ArcSwap::from_pointee(Policy { allow_networks, ..Policy::default() }))
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_refused_unless_its_network_is_allowed() {
        let (fault, text) = Resolver::new(policy("")).resolve("localhost".to_owned()).await.unwrap_err();
        assert_eq!(fault, Fault::Refused);
        assert!(text.contains("loopback network") && text.contains("TOKENHOST_EGRESS_ALLOW"), "{text}");

        let found = Resolver::new(policy("127.0.0.0/8")).resolve("localhost".to_owned()).await.unwrap();
        assert!(!found.is_empty());
        assert!(found.iter().all(|address| address.is_ipv4()), "only the allowed ones: {found:?}");
    }

    #[tokio::test]
    async fn an_unknown_name_is_told_from_a_refused_one() {
        let (fault, text) = Resolver::new(policy("")).resolve("nowhere.invalid".to_owned()).await.unwrap_err();
        assert_eq!(fault, Fault::Dns);
        assert!(text.contains("`nowhere.invalid` can't be resolved"), "{text}");
    }
}
