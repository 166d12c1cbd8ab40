//! The settings of the running daemon: read again on demand, and given to the parts that can take a change.
//!
//! A reading with a fault changes nothing. What a reload can't change stays as it was at the start, and is named.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;

use super::catalog::Change;
use super::origin::{Difference, Resolved, differences};
use super::{Access, Config, ConfigError, External, Log, Overrides, Telemetry};

/// Who takes changed settings.
type Taker = Box<dyn Fn(&Config) + Send + Sync>;

/// The settings of the running daemon.
pub struct Live {
    /// The flags that it was started with, and the variables that clap read for it. None: nobody reads them again.
    overrides: Option<Overrides>,
    /// What is in effect.
    current: ArcSwap<Config>,
    /// What a restart would change.
    waiting: ArcSwap<Vec<Difference>>,
    taker: OnceLock<Taker>,
    /// Held while settings are read and taken: who reloads second sees what the first one did.
    turn: Mutex<()>,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// What is different from now on.
    pub taken: Vec<Difference>,
    /// What will be, after a restart.
    pub waiting: Vec<Difference>,
}

impl Live {
    /// These settings, which come from there.
    pub fn new(overrides: Overrides, config: Config) -> Arc<Self> {
        Self::of(Some(overrides), config)
    }

    /// Settings that a program has made up, and that no reload changes.
    pub fn fixed(config: Config) -> Arc<Self> {
        Self::of(None, config)
    }

    fn of(overrides: Option<Overrides>, config: Config) -> Arc<Self> {
        Arc::new(Self {
            overrides,
            current: ArcSwap::from_pointee(config),
            waiting: ArcSwap::default(),
            taker: OnceLock::new(),
            turn: Mutex::default(),
        })
    }

    /// What is in effect.
    pub fn current(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// What a restart would change, as the last reload found.
    pub fn waiting(&self) -> Arc<Vec<Difference>> {
        self.waiting.load_full()
    }

    /// The settings as they stand now; nothing of them is taken.
    ///
    /// # Errors
    /// Some setting isn't what it may be: all faults.
    pub fn read(&self) -> Result<Config, ConfigError> {
        match &self.overrides {
            Some(overrides) => Config::load(overrides),
            None => Ok(Config::clone(&self.current())),
        }
    }

    /// Gives changes to this one from now on; the first one who asks gets them.
    pub fn give_to(&self, taker: impl Fn(&Config) + Send + Sync + 'static) {
        drop(self.taker.set(Box::new(taker)));
    }

    /// Reads the settings again, and has what can change live taken, all of it at once.
    ///
    /// # Errors
    /// Some setting isn't what it may be: all faults. Nothing is changed then.
    pub fn reload(&self) -> Result<Reloaded, ConfigError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.overrides {
            Some(overrides) => Ok(self.take(Config::load(overrides)?)),
            None => Ok(Reloaded::default()),
        }
    }

    /// Takes what it can of a new reading.
    fn take(&self, new: Config) -> Reloaded {
        let old = self.current();
        let found = differences(&old.resolved, &new.resolved);
        let (taken, waiting): (Vec<_>, Vec<_>) = found.into_iter().partition(Difference::is_live);
        let config = merged(&old, new);
        if !taken.is_empty()
            && let Some(taker) = self.taker.get()
        {
            taker(&config);
        }
        self.current.store(Arc::new(config));
        self.waiting.store(Arc::new(waiting.clone()));
        Reloaded { taken, waiting }
    }
}

/// The new settings where a reload takes them, the old ones elsewhere.
fn merged(old: &Config, new: Config) -> Config {
    let resolved = old.resolved.iter().map(|old| {
        let new = new.resolved.iter().find(|new| new.setting.key == old.setting.key);
        let is_taken = |new: &&Resolved| new.setting.change == Change::Reload || new.is_same_as(old);
        new.filter(is_taken).unwrap_or(old).clone()
    });
    let resolved = resolved.collect();
    let External { header, secret_header, .. } = old.access.external.clone();
    Config {
        key_next: new.key_next,
        public: new.public,
        egress: new.egress,
        access: Access {
            scopes: old.access.scopes.clone(),
            external: External { header, secret_header, ..new.access.external },
            ..new.access
        },
        audit: new.audit,
        events: new.events,
        log: Log { format: old.log.format, ..new.log },
        telemetry: Telemetry { otlp_endpoint: old.telemetry.otlp_endpoint.clone(), ..new.telemetry },
        resolved,
        ..old.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_reload_takes_what_it_can_and_names_the_rest_and_a_fault_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        let write = |text: &str| std::fs::write(&path, format!("data = '/d'\nkey_file = '/k'\n{text}")).unwrap();
        write("public = ['docs']\n");
        let overrides = Overrides { config: Some(path.clone()), ..Overrides::default() };
        let live = Live::new(overrides.clone(), Config::load(&overrides).unwrap());
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        live.give_to(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(live.reload().unwrap(), Reloaded::default());
        assert_eq!(taken.load(Ordering::SeqCst), 0, "nothing changed, so nothing is taken");

        write("connections = 7\n[log]\nlevel = 'warn'\n[access]\nscopes = ['Grafana']\nlogin_debug = true\n");
        let reloaded = live.reload().unwrap();
        let keys = |list: &[Difference]| list.iter().map(|one| one.setting.key).collect::<Vec<_>>();
        assert_eq!(keys(&reloaded.taken), ["public", "access.login_debug", "log.level"]);
        assert_eq!(keys(&reloaded.waiting), ["connections", "access.scopes"]);
        let now = live.current();
        assert_eq!((now.connections, now.public.docs, now.log.level.as_str()), (16_384, false, "warn"));
        assert!(now.access.scopes.is_empty() && now.access.login_debug);
        let shown = |key: &str| now.resolved.iter().find(|one| one.setting.key == key).unwrap().shown().to_owned();
        assert_eq!([shown("connections"), shown("log.level")], ["16384", "warn"]);
        assert_eq!(keys(&live.waiting()), ["connections", "access.scopes"]);

        write("listen = 'here'\n[log]\nlevel = 'debug'\n[nope]\n");
        assert_eq!(live.reload().unwrap_err().faults.len(), 2);
        assert_eq!(live.current().log.level, "warn");
        assert_eq!(taken.load(Ordering::SeqCst), 1);
    }
}
