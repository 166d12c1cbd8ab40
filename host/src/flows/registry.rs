//! The flows that there are, by name: those that ship, read from folders at start, and those installed at run time.
//!
//! An attempt that began with one version of a flow goes on with it: it holds that version, whatever is installed
//! meanwhile. Where installed components are kept is not decided here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};

use super::Flow;
use super::component::{self, SIZE_LIMIT};
use super::engine::Engine;
use super::plugin::{LoadError, Plugin};

/// How many components of a folder load at once. Compiling one takes a core, and up to some hundred megabytes.
const LOADING: usize = 4;

/// The flows that there are.
#[derive(Debug)]
pub struct Flows {
    /// What they run on.
    engine: Engine,
    /// By name.
    plugins: ArcSwap<BTreeMap<String, Arc<Plugin>>>,
}

/// A file that isn't served, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

/// What an installation did.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The flow that is served now.
    pub flow: Arc<Plugin>,
    /// The flow of the same name that was served until now, to go back to; none if it is new, or the same component.
    pub replaced: Option<Arc<Plugin>>,
}

impl Flows {
    /// No flows yet.
    pub fn new(engine: Engine) -> Self {
        Self { engine, plugins: ArcSwap::default() }
    }

    /// The flows in the files `*.wasm` of these folders. A bad file is a problem of its own and stops nothing. Of two
    /// flows of one name the first is served, in the order of the folders and then of the file names, and the second
    /// refused.
    pub async fn load(engine: Engine, folders: &[PathBuf]) -> (Self, Vec<Problem>) {
        let flows = Self::new(engine);
        let mut problems = Vec::new();
        let mut origins: BTreeMap<String, PathBuf> = BTreeMap::new();
        for folder in folders {
            let files = match files(folder) {
                Ok(files) => files,
                Err(error) => {
                    let reason = format!("the folder of flows can't be read: {error}");
                    problems.push(Problem { path: folder.clone(), reason });
                    continue;
                }
            };
            // What isn't compiled yet takes seconds each, so they load side by side; they are served in their order.
            let (done, of) = (AtomicUsize::new(0), files.len());
            let loaded = stream::iter(files)
                .map(|path| async {
                    let loaded = flows.load_file(&path, &done, of).await;
                    (loaded, path)
                })
                .buffered(LOADING)
                .collect::<Vec<_>>()
                .await;
            for (loaded, path) in loaded {
                let unique = loaded.and_then(|plugin| match origins.get(&plugin.description().name) {
                    Some(first) => Err(format!(
                        "flow {}: {} has a flow of the same name, which is served; remove one of the files, or rename the \
                         flow",
                        plugin.identity(),
                        first.display()
                    )),
                    None => Ok(plugin),
                });
                match unique {
                    Ok(plugin) => {
                        let name = plugin.description().name.clone();
                        flows.put(&name, Some(plugin));
                        origins.insert(name, path);
                    }
                    Err(reason) => problems.push(Problem { path, reason }),
                }
            }
        }
        (flows, problems)
    }

    /// Loads one of so many files. That a start is silent for half a minute would look like a daemon that hangs: so each flow
    /// that has to be compiled first is named in the log.
    async fn load_file(&self, path: &Path, done: &AtomicUsize, of: usize) -> Result<Arc<Plugin>, String> {
        let bytes = read(path).await?;
        let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_new = self.engine.has_cache() && !self.engine.has_compiled(&component::digest(&bytes));
        if is_new {
            tracing::info!(flow = file, "compiling a flow, which takes seconds; later starts needn't");
        }
        let loaded = Plugin::load(&self.engine, bytes).await.map(Arc::new).map_err(|error| error.to_string());
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if is_new && loaded.is_ok() {
            tracing::info!(flow = file, "compiled: flow {done} of {of}");
        }
        loaded
    }

    /// What the flows run on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The flow of this name.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Flow>> {
        self.plugin(name).map(|plugin| plugin as Arc<dyn Flow>)
    }

    /// The flow of this name, with all that is known of its component.
    pub fn plugin(&self, name: &str) -> Option<Arc<Plugin>> {
        self.plugins.load().get(name).cloned()
    }

    /// All flows, by name.
    pub fn list(&self) -> Vec<Arc<Plugin>> {
        self.plugins.load().values().cloned().collect()
    }

    /// The flows that serve such a scheme: `kind` is its `type`, `detail` the key in `flows` or the `scheme` of `http`.
    pub fn for_scheme(&self, kind: &str, detail: Option<&str>) -> Vec<Arc<dyn Flow>> {
        let serves = |plugin: &Plugin| {
            plugin.description().handles.iter().any(|handled| {
                handled.kind == kind
                    && match (&handled.detail, detail) {
                        (None, _) => true,
                        // Authentication schemes have no case: RFC 9110 section 11.1.
                        (Some(own), Some(detail)) if kind == "http" => own.eq_ignore_ascii_case(detail),
                        (Some(own), detail) => detail == Some(own.as_str()),
                    }
            })
        };
        let plugins = self.plugins.load();
        plugins.values().filter(|plugin| serves(plugin)).map(|plugin| Arc::clone(plugin) as Arc<dyn Flow>).collect()
    }

    /// Serves this component from now on, instead of the flow that has its name. What runs, ends with what it began with.
    ///
    /// # Errors
    /// The component can't be loaded; nothing changed.
    pub async fn install(&self, bytes: impl Into<Bytes>) -> Result<Installed, LoadError> {
        let plugin = Arc::new(Plugin::load(&self.engine, bytes).await?);
        Ok(self.serve(plugin))
    }

    /// Serves a plugin that is loaded already: to go back to an earlier version.
    pub fn serve(&self, plugin: Arc<Plugin>) -> Installed {
        let replaced = self.put(&plugin.description().name, Some(Arc::clone(&plugin)));
        let replaced = replaced.filter(|replaced| replaced.digest() != plugin.digest());
        Installed { flow: plugin, replaced }
    }

    /// Serves the flow of this name no longer.
    pub fn remove(&self, name: &str) -> Option<Arc<Plugin>> {
        self.put(name, None)
    }

    /// Sets what a name stands for; returns what it stood for.
    fn put(&self, name: &str, plugin: Option<Arc<Plugin>>) -> Option<Arc<Plugin>> {
        let previous = self.plugins.rcu(|plugins| {
            let mut plugins = BTreeMap::clone(plugins);
            match &plugin {
                Some(plugin) => plugins.insert(name.to_owned(), Arc::clone(plugin)),
                None => plugins.remove(name),
            };
            plugins
        });
        previous.get(name).cloned()
    }
}

impl super::Catalog for Flows {
    fn get(&self, name: &str) -> Option<Arc<dyn Flow>> {
        Self::get(self, name)
    }

    fn for_scheme(&self, kind: &str, detail: Option<&str>) -> Vec<Arc<dyn Flow>> {
        Self::for_scheme(self, kind, detail)
    }
}

/// The components in a folder, in the order of their names.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "wasm") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A component's bytes, if it isn't too big.
async fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("can't be read: {error}");
    let metadata = tokio::fs::metadata(path).await.map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("isn't a file".to_owned());
    }
    if metadata.len() > SIZE_LIMIT as u64 {
        return Err(format!("has {} MB, and a flow may have {} MB", metadata.len() >> 20, SIZE_LIMIT >> 20));
    }
    tokio::fs::read(path).await.map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::flows::step::{Event, Purpose};
    use crate::flows::tests::guest::Guest;
    use crate::flows::tests::{context, engine};

    fn names(flows: &[Arc<dyn Flow>]) -> Vec<&str> {
        flows.iter().map(|flow| flow.description().name.as_str()).collect()
    }

    #[tokio::test]
    async fn one_bad_file_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        put("a.wasm", &Guest::good("alpha").build());
        put("b.wasm", b"\0asm and no more");
        let mut second = Guest::good("alpha");
        second.version = "2.0.0".to_owned();
        put("c.wasm", &second.build());
        put("d.wasm", &Guest::good("delta").build());
        put("e.txt", b"notes");
        fs::create_dir(folder.path().join("f.wasm")).unwrap();

        let (flows, problems) = Flows::load(engine().clone(), &[missing, folder.path().to_owned()]).await;
        let listed: Vec<String> = flows.list().iter().map(|plugin| plugin.identity()).collect();
        assert_eq!(listed.len(), 2);
        assert!(listed[0].starts_with("alpha 1.0.0 (") && listed[1].starts_with("delta 1.0.0 ("), "{listed:?}");
        let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
        for (problem, part) in problems.iter().zip([
            "missing: the folder of flows can't be read",
            "b.wasm: flow with digest",
            "a.wasm has a flow of the same name",
            "f.wasm: isn't a file",
        ]) {
            assert!(problem.contains(part), "{problem}\nshould contain {part}");
        }
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[2].contains("c.wasm: flow alpha 2.0.0 ("));
    }

    #[tokio::test]
    async fn a_version_is_swapped_while_the_old_one_runs() {
        let flows = Flows::new(engine().clone());
        let first = flows.install(Guest::good("swapped").build()).await.unwrap();
        assert!(first.replaced.is_none());
        let running = flows.get("swapped").unwrap();
        let mut guest = Guest::good("swapped");
        guest.version = "1.1.0".to_owned();
        let second = flows.install(guest.build()).await.unwrap();
        assert_eq!(second.replaced.unwrap().digest(), first.flow.digest());
        assert_eq!(flows.get("swapped").unwrap().description().version, "1.1.0");
        // The same again replaces nothing.
        assert!(flows.install(guest.build()).await.unwrap().replaced.is_none());
        assert!(running.advance(&context(), Event::Begin(Purpose::Acquire)).await.is_ok());
        // What can't be loaded changes nothing; and back.
        flows.install(&b"garbage"[..]).await.unwrap_err();
        assert_eq!(flows.get("swapped").unwrap().description().version, "1.1.0");
        flows.serve(first.flow);
        assert_eq!(flows.get("swapped").unwrap().description().version, "1.0.0");
        assert!(
            flows.remove("swapped").is_some() && flows.get("swapped").is_none() && flows.remove("swapped").is_none()
        );
    }

    #[tokio::test]
    async fn flows_are_found_by_scheme() {
        let flows = Flows::new(engine().clone());
        for (name, kind, detail) in [
            ("any-http", "http", None),
            ("basic", "http", Some("basic")),
            ("credentials", "oauth2", Some("clientCredentials")),
            ("by-name", "named", None),
        ] {
            let mut guest = Guest::good(name);
            guest.handles = Some((kind.to_owned(), detail.map(str::to_owned)));
            flows.install(guest.build()).await.unwrap();
        }
        for (kind, detail, expected) in [
            ("oauth2", Some("clientCredentials"), &["credentials"][..]),
            ("oauth2", Some("clientcredentials"), &[]),
            ("oauth2", Some("password"), &[]),
            ("oauth2", None, &[]),
            ("http", Some("Basic"), &["any-http", "basic"]),
            ("http", Some("bearer"), &["any-http"]),
            ("apiKey", None, &[]),
        ] {
            assert_eq!(names(&flows.for_scheme(kind, detail)), expected, "{kind} {detail:?}");
        }
    }
}
