//! The flows that there are, by name: those that ship, read from folders at start, and those installed at run time.
//!
//! An attempt that began with one version of a flow goes on with it: it holds that version, whatever is installed
//! meanwhile. Where installed components are kept is not decided here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;

use super::Flow;
use super::component::SIZE_LIMIT;
use super::engine::Engine;
use super::plugin::{LoadError, Plugin};

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
            for path in files {
                match flows.load_file(&path, &origins).await {
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

    async fn load_file(&self, path: &Path, origins: &BTreeMap<String, PathBuf>) -> Result<Arc<Plugin>, String> {
        let bytes = read(path).await?;
        let plugin = Plugin::load(&self.engine, bytes).await.map_err(|error| error.to_string())?;
        match origins.get(&plugin.description().name) {
            Some(first) => Err(format!(
                "flow {}: {} has a flow of the same name, which is served; remove one of the files, or rename the flow",
                plugin.identity(),
                first.display()
            )),
            None => Ok(Arc::new(plugin)),
        }
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

