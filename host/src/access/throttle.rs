//! Slows down who guesses tokens and passwords, per address and per token or login, without locking out the rightful
//! holder: only refusals are counted and held back, and a right password from another address always passes.
//!
//! It refuses no token; it decides how long a refusal takes. It keeps nothing on disk, so a restart forgets.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::SharedClock;

/// Addresses, tokens and logins that are remembered, those with the latest refusals.
const KEYS: u64 = 100_000;
/// What failures are counted over.
const WINDOW: Duration = Duration::from_secs(60);
/// Refusals within the window that aren't held back.
const FREE: f64 = 60.0;
/// How much longer each further one is held back.
const STEP: Duration = Duration::from_millis(20);
/// How long one is held back at most. Tokens of 256 bits can't be guessed at any rate: this is to make noise expensive, not to punish a client with an old token.
const LONGEST: Duration = Duration::from_millis(500);
/// Refusals that are held back at once.
const HELD: usize = 256;
/// Passwords that are hashed at once.
const HASHES: usize = 2;
/// Passwords that wait for it.
const WAITING: usize = 64;
/// Wrong passwords within the window, for one login from one address.
const PAIR_FAILURES: usize = 10;
/// Wrong passwords within the window, from one address.
const ADDRESS_FAILURES: usize = 100;

/// Remembers refusals.
pub struct Throttle {
    /// What time it is; only the monotonic clock counts here.
    clock: SharedClock,
    /// Wrong passwords.
    wrong: Arc<Wrong>,
    /// Turns what is counted into keys, with a random key of its own, so that nobody can choose names that meet.
    hasher: RandomState,
    /// Refused tokens, by address and by subject.
    refusals: Cache<u64, Arc<Mutex<Level>>>,
    /// Refusals that may be held back yet.
    held: Arc<Semaphore>,
    /// Passwords that may be hashed yet.
    hashes: Arc<Semaphore>,
    /// Passwords that may wait yet.
    waiting: Arc<Semaphore>,
}

/// Remembers wrong passwords.
struct Wrong {
    /// As in [`Throttle`].
    clock: SharedClock,
    /// When they came, by address, and by address and login.
    failures: Cache<u64, Arc<Mutex<Failures>>>,
}

/// Refusals that decay: [`FREE`] of them within [`WINDOW`].
#[derive(Default)]
struct Level {
    /// Refusals, less what decayed until `at`.
    refusals: f64,
    /// When it was last brought up to date.
    at: Duration,
}

/// When wrong passwords came, the oldest first.
type Failures = VecDeque<Duration>;

/// What becomes of a refusal.
#[derive(Debug)]
pub enum Delay {
    /// Answer at once.
    None,
    /// Hold it back for a while: [`Delay::hold`].
    Hold(Duration, HoldPermit),
    /// It should be held back, but too many are: answer at once, with the reason `rate_limited`.
    RateLimited,
}

/// One of the refusals that are held back, until it is dropped.
#[derive(Debug)]
pub struct HoldPermit(#[expect(dead_code, reason = "counts while it is held")] OwnedSemaphorePermit);

impl Delay {
    /// Waits as long as the refusal is to be held back.
    pub async fn hold(self) {
        if let Self::Hold(wait, _permit) = self {
            tokio::time::sleep(wait).await;
        }
    }

    /// How long that is.
    pub fn wait(&self) -> Duration {
        if let Self::Hold(wait, _) = self { *wait } else { Duration::ZERO }
    }
}

/// A password may not be tried yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many wrong passwords; try again in {} s", .0.as_secs())]
pub struct RetryAfter(pub Duration);

/// One password may be hashed and compared. It belongs to the thread that does it, so that a caller who goes away neither
/// frees its place too early nor goes uncounted. Dropped, it counts as a wrong one; see [`TryPermit::right`].
pub struct TryPermit {
    /// Where a failure is counted.
    wrong: Arc<Wrong>,
    /// Of the login from this address.
    pair: u64,
    /// Of the address.
    address: u64,
    /// Whether it is to be counted.
    is_wrong: bool,
    /// One of the hashes at once.
    _hash: OwnedSemaphorePermit,
}

impl TryPermit {
    /// The password was right, or wasn't looked at: nothing is counted.
    pub fn right(mut self) {
        self.is_wrong = false;
    }
}

impl Drop for TryPermit {
    fn drop(&mut self) {
        if self.is_wrong {
            self.wrong.failed(self.pair, PAIR_FAILURES);
            self.wrong.failed(self.address, ADDRESS_FAILURES);
        }
    }
}

impl Throttle {
    /// A throttle that remembers nothing yet.
    pub fn new(clock: SharedClock) -> Self {
        let failures = Cache::builder().max_capacity(KEYS).eviction_policy(EvictionPolicy::lru()).build();
        Self {
            wrong: Arc::new(Wrong { clock: Arc::clone(&clock), failures }),
            clock,
            hasher: RandomState::new(),
            refusals: Cache::builder().max_capacity(KEYS).eviction_policy(EvictionPolicy::lru()).build(),
            held: Arc::new(Semaphore::new(HELD)),
            hashes: Arc::new(Semaphore::new(HASHES)),
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }

    /// Counts a refusal for the address and for what it was about (a token's id or a login, where there is one), and says
    /// how long to hold it back: not at all for the first sixty a minute, then longer each time, up to half a second.
    pub fn refused(&self, address: IpAddr, subject: Option<&str>) -> Delay {
        let by_address = self.raise(self.key(("address", network(address))));
        let by_subject = subject.map(|subject| self.raise(self.key(("subject", subject)))).unwrap_or_default();
        let wait = STEP.mul_f64((by_address.max(by_subject) - FREE).max(0.0)).min(LONGEST);
        if wait.is_zero() {
            return Delay::None;
        }
        match Arc::clone(&self.held).try_acquire_owned() {
            Ok(permit) => Delay::Hold(wait, HoldPermit(permit)),
            Err(_) => Delay::RateLimited,
        }
    }

    /// Waits until a password may be hashed. At most two are at once; at most ten wrong ones a minute for each login from
    /// each address, and a hundred from each address.
    ///
    /// # Errors
    /// Too many were wrong, or too many wait: when to try again.
    pub async fn may_try(&self, login: &str, address: IpAddr) -> Result<TryPermit, RetryAfter> {
        let address = network(address);
        let (pair, address) = (self.key(("pair", address, login)), self.key(("passwords", address)));
        self.wrong.check(pair, address)?;
        let busy = |_| RetryAfter(Duration::from_secs(1));
        let waiting = self.waiting.try_acquire().map_err(busy)?;
        let hash = Arc::clone(&self.hashes).acquire_owned().await.map_err(|_| RetryAfter(WINDOW))?;
        drop(waiting);
        // Those before it in the queue may have been wrong.
        self.wrong.check(pair, address)?;
        Ok(TryPermit { wrong: Arc::clone(&self.wrong), pair, address, is_wrong: true, _hash: hash })
    }

    /// Counts a refusal; how many there are, after decay.
    fn raise(&self, key: u64) -> f64 {
        let now = self.clock.elapsed();
        let level = self.refusals.get_with(key, Arc::default);
        let mut level = level.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_sub(level.at).as_secs_f64();
        let left = (level.refusals - passed * FREE / WINDOW.as_secs_f64()).max(0.0);
        // Beyond what makes the longest wait, more changes nothing, and would take the longer to decay.
        let most = FREE + LONGEST.as_secs_f64() / STEP.as_secs_f64();
        *level = Level { refusals: (left + 1.0).min(most), at: now };
        level.refusals
    }

    /// The key of something that is counted. That two meet is as good as impossible, and would slow a few refusals.
    fn key(&self, counted: impl Hash) -> u64 {
        self.hasher.hash_one(counted)
    }
}

impl Wrong {
    /// Refuses where too many passwords were wrong.
    fn check(&self, pair: u64, address: u64) -> Result<(), RetryAfter> {
        let now = self.clock.elapsed();
        for (key, limit) in [(pair, PAIR_FAILURES), (address, ADDRESS_FAILURES)] {
            let Some(failures) = self.failures.get(&key) else { continue };
            let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
            forget_old(&mut failures, now);
            if failures.len() >= limit
                && let Some(oldest) = failures.front()
            {
                let wait = (*oldest + WINDOW).saturating_sub(now);
                return Err(RetryAfter(Duration::from_secs(wait.as_secs() + 1)));
            }
        }
        Ok(())
    }

    /// Counts a wrong password.
    fn failed(&self, key: u64, limit: usize) {
        let now = self.clock.elapsed();
        let failures = self.failures.get_with(key, Arc::default);
        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut failures, now);
        // Those that were let through together may be a few more.
        if failures.len() >= limit {
            failures.pop_front();
        }
        failures.push_back(now);
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").field("held", &(HELD - self.held.available_permits())).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TryPermit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TryPermit").finish_non_exhaustive()
    }
}

/// Forgets failures from before the window.
fn forget_old(failures: &mut Failures, now: Duration) {
    while failures.front().is_some_and(|oldest| *oldest + WINDOW <= now) {
        failures.pop_front();
    }
}

/// What counts as one address: an IPv4 address, and of IPv6 the 64 bits that one customer commonly has to himself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;

    /// A throttle, and its clock.
    fn throttle() -> (Throttle, Arc<TestClock>) {
        let clock = TestClock::at("2026-11-22T10:00:00Z".parse().unwrap());
        (Throttle::new(Arc::clone(&clock) as SharedClock), clock)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// So many refusals, and how long the last one is held back, in milliseconds.
    fn refuse(throttle: &Throttle, times: usize, address: &str, subject: Option<&str>) -> u128 {
        (0..times).fold(0, |_, _| throttle.refused(ip(address), subject).wait().as_millis())
    }

    #[test]
    fn refusals_take_longer_and_longer_and_are_forgiven() {
        let (throttle, clock) = throttle();
        let check = |times, expected| assert_eq!(refuse(&throttle, times, "192.0.2.1", None), expected);
        check(60, 0);
        check(1, 20);
        check(9, 200);
        check(15, 500);
        check(500, 500);
        clock.advance(Duration::from_secs(20));
        check(1, 500 - 19 * 20);
        clock.advance(Duration::from_secs(600));
        check(60, 0);
        check(1, 20);
    }

    #[test]
    fn addresses_and_subjects_count_apart() {
        let (throttle, _) = throttle();
        refuse(&throttle, 100, "192.0.2.1", Some("Alice0000001"));
        let check = |address, subject, expected| assert_eq!(refuse(&throttle, 1, address, subject), expected);
        check("192.0.2.2", None, 0);
        check("192.0.2.2", Some("Bob000000002"), 0);
        check("::ffff:192.0.2.1", None, 500);
        check("192.0.2.3", Some("Alice0000001"), 500);
        refuse(&throttle, 100, "2001:db8:0:1::1", None);
        check("2001:db8:0:1:ffff::1", None, 500);
        check("2001:db8:0:2::1", None, 0);
    }

    #[test]
    fn only_so_many_are_held_back() {
        let (throttle, _) = throttle();
        refuse(&throttle, 100, "192.0.2.1", None);
        let held: Vec<Delay> = (0..HELD).map(|_| throttle.refused(ip("192.0.2.1"), None)).collect();
        assert!(held.iter().all(|delay| matches!(delay, Delay::Hold(..))));
        assert!(matches!(throttle.refused(ip("192.0.2.1"), None), Delay::RateLimited));
        assert!(matches!(throttle.refused(ip("192.0.2.2"), None), Delay::None));
        drop(held);
        assert!(matches!(throttle.refused(ip("192.0.2.1"), None), Delay::Hold(..)));
    }

    #[test]
    fn memory_is_bounded() {
        let (throttle, _) = throttle();
        for number in 0..KEYS as u32 + 5_000 {
            throttle.refused(IpAddr::V4(number.into()), None);
        }
        throttle.refusals.run_pending_tasks();
        assert!(throttle.refusals.entry_count() <= KEYS);
    }

    #[tokio::test]
    async fn wrong_passwords_are_limited_per_login_and_address() {
        let (throttle, clock) = throttle();
        let attempt = async |login: &str, address: &str, right: bool| {
            throttle.may_try(login, ip(address)).await.map(|permit| if right { permit.right() } else { drop(permit) })
        };
        for _ in 0..50 {
            attempt("alice", "192.0.2.1", true).await.unwrap();
        }
        for _ in 0..PAIR_FAILURES {
            attempt("alice", "192.0.2.1", false).await.unwrap();
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(attempt("alice", "192.0.2.1", true).await, Err(RetryAfter(Duration::from_secs(51))));
        // Neither she elsewhere nor others here are locked out.
        attempt("alice", "192.0.2.2", true).await.unwrap();
        attempt("bob", "192.0.2.1", true).await.unwrap();
        clock.advance(Duration::from_secs(50));
        attempt("alice", "192.0.2.1", false).await.unwrap();
        assert!(attempt("alice", "192.0.2.1", true).await.is_err());
    }

    #[tokio::test]
    async fn wrong_passwords_are_limited_per_address() {
        let (throttle, clock) = throttle();
        let attempt =
            async |login: usize, address: &str| throttle.may_try(&login.to_string(), ip(address)).await.map(drop);
        for login in 0..ADDRESS_FAILURES {
            attempt(login, "192.0.2.1").await.unwrap();
        }
        assert!(attempt(1000, "192.0.2.1").await.is_err());
        attempt(1000, "192.0.2.2").await.unwrap();
        clock.advance(WINDOW);
        attempt(1000, "192.0.2.1").await.unwrap();
    }

    #[tokio::test]
    async fn who_waited_is_refused_where_those_before_were_wrong() {
        let (throttle, _) = throttle();
        let throttle = Arc::new(throttle);
        let first = throttle.may_try("alice", ip("192.0.2.1")).await.unwrap();
        let second = throttle.may_try("alice", ip("192.0.2.1")).await.unwrap();
        let tasks: Vec<_> = (0..30)
            .map(|_| {
                let throttle = Arc::clone(&throttle);
                tokio::spawn(async move { throttle.may_try("alice", ip("192.0.2.1")).await.map(drop) })
            })
            .collect();
        while throttle.waiting.available_permits() > WAITING - 30 {
            tokio::task::yield_now().await;
        }
        drop((first, second));
        let mut tried = 2;
        for task in tasks {
            tried += usize::from(task.await.unwrap().is_ok());
        }
        // Two hash at once, so that one may be under way when the last one that counts is wrong.
        assert!((PAIR_FAILURES..PAIR_FAILURES + HASHES).contains(&tried), "{tried}");
    }

    #[tokio::test]
    async fn only_so_many_hash_and_wait() {
        let (throttle, _) = throttle();
        let throttle = Arc::new(throttle);
        let first = throttle.may_try("alice", ip("192.0.2.1")).await.unwrap();
        let second = throttle.may_try("alice", ip("192.0.2.1")).await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let throttle = Arc::clone(&throttle);
                tokio::spawn(async move { throttle.may_try("alice", ip("192.0.2.1")).await.map(TryPermit::right) })
            })
            .collect();
        while throttle.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(throttle.may_try("bob", ip("192.0.2.2")).await.is_err(), "the queue is full");
        first.right();
        second.right();
        for task in waiting.drain(..) {
            task.await.unwrap().unwrap();
        }
        throttle.may_try("bob", ip("192.0.2.2")).await.unwrap();
    }
}
