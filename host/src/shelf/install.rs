//! Components come and go: install, upgrade, roll back, remove. Who may bring one is decided here, by the publishers' keys.

use std::sync::Arc;

use bytes::Bytes;

use super::difference::{Difference, Side, difference};
use super::record::{FLOWS, FlowRecord, KEPT, Signer, Version};
use super::{Shelf, ShelfError, Standing};
use crate::flows::{Flow as _, Plugin};
use crate::name::Name;
use crate::package::{Manifest, Package, PublicKey, is_package};
use crate::store::{Batch, Revision, StoreError};

/// What whoever brings a component allows, and who that is.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// A component that nobody signed.
    pub unsigned: bool,
    /// A component from another publisher than the present one's.
    pub publisher_change: bool,
    /// Who brings it.
    pub by: String,
}

/// An upgrade that could be done: its component is loaded, and its publisher is trusted.
#[derive(Debug)]
pub struct Upgrade {
    /// What it changes.
    pub difference: Difference,
    /// The new component.
    candidate: Candidate,
}

/// A component that may be installed.
#[derive(Debug)]
struct Candidate {
    name: Name,
    plugin: Arc<Plugin>,
    bytes: Bytes,
    signer: Option<Signer>,
    manifest: Option<Manifest>,
}

impl Candidate {
    /// Who it is from, for people.
    fn publisher(&self) -> String {
        publisher(self.signer.as_ref())
    }
}

impl Upgrade {
    /// The new component.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.candidate.plugin
    }
}

/// Who a component is from, for people.
fn publisher(signer: Option<&Signer>) -> String {
    signer.map_or_else(|| "unsigned".to_owned(), |signer| signer.name.to_string())
}

impl Shelf {
    /// Keeps a new flow and serves it from now on. `bytes` is a package or, where that is allowed, a bare component.
    ///
    /// # Errors
    /// Its publisher isn't trusted, it is no good, or there is a flow of its name.
    pub async fn install(&self, bytes: Bytes, terms: &Terms) -> Result<Arc<Plugin>, ShelfError> {
        let candidate = self.examine(bytes, terms).await?;
        let _changing = self.changing.lock().await;
        if self.standing(candidate.name.as_str()).is_some() {
            return Err(ShelfError::Installed(candidate.name));
        }
        self.put(candidate, terms).await
    }

    /// Looks at what would replace a flow, and says what differs. Changes nothing.
    ///
    /// # Errors
    /// Its publisher isn't trusted, it is no good, it is another flow, or there is none to replace.
    pub async fn prepare(&self, name: &Name, bytes: Bytes, terms: &Terms) -> Result<Upgrade, ShelfError> {
        let candidate = self.examine(bytes, terms).await?;
        if candidate.name != *name {
            return Err(ShelfError::OtherFlow { wanted: name.clone(), found: candidate.name });
        }
        let standing = self.standing(name.as_str()).ok_or_else(|| ShelfError::NothingToUpgrade(name.clone()))?;
        let record = standing.record.as_ref();
        let version = record.and_then(|record| record.version());
        let from = match version {
            Some(version) => publisher(version.publisher.as_ref()),
            None => "shipped".to_owned(),
        };
        let side = match (&standing.plugin, version) {
            (Some(plugin), _) => Side::of(plugin, from.clone()),
            (None, version) => Side {
                version: version.map(|version| version.version.clone()).unwrap_or_default(),
                sha256: version.map(|version| version.sha256.clone()).unwrap_or_default(),
                contract: version.map(|version| version.contract.clone()).unwrap_or_default(),
                size: version.map(|version| version.size).unwrap_or_default(),
                publisher: from.clone(),
                unattended: None,
                resources: None,
            },
        };
        let to = Side::of(&candidate.plugin, candidate.publisher());
        let mut difference = difference(side, standing.plugin.as_deref(), to, &candidate.plugin);
        let grants = record.map(|record| record.grants.as_slice()).unwrap_or_default();
        difference.revealed_void = (grants.iter())
            .filter(|grant| grant.sha256 == difference.from.sha256 && grant.sha256 != difference.to.sha256)
            .map(|grant| format!("{}/{}", grant.integration, grant.secret))
            .collect();
        let keys = (version.and_then(|version| version.publisher.as_ref()), candidate.signer.as_ref());
        difference.publisher_changes = match keys {
            // What nobody signed and then somebody did is no worse for it.
            (None, _) => version.is_none(),
            (Some(from), to) => to.is_none_or(|to| to.key != from.key),
        };
        Ok(Upgrade { difference, candidate })
    }

    /// Does what was prepared.
    ///
    /// # Errors
    /// It comes from another publisher and that wasn't allowed, or the disk or storage failed.
    pub async fn upgrade(&self, upgrade: Upgrade, terms: &Terms) -> Result<Arc<Plugin>, ShelfError> {
        let Upgrade { difference, candidate } = upgrade;
        if difference.publisher_changes && !terms.publisher_change {
            return Err(ShelfError::OtherPublisher {
                flow: candidate.name,
                from: difference.from.publisher,
                to: difference.to.publisher,
            });
        }
        let _changing = self.changing.lock().await;
        // What was shown, and whose publisher was compared, must still be what is replaced.
        let present = self.standing(candidate.name.as_str());
        let version = |standing: &Standing| standing.record.as_ref()?.version().map(|version| version.sha256.clone());
        let sha256 = present.as_ref().and_then(|standing| match &standing.plugin {
            Some(plugin) => Some(plugin.digest().to_owned()),
            None => version(standing),
        });
        if sha256.as_ref() != Some(&difference.from.sha256) {
            return Err(StoreError::Conflict.into());
        }
        self.put(candidate, terms).await
    }

    /// Serves an earlier component again: the one that was installed before the present one, or the one of this SHA-256 (or its
    /// beginning). Lifts a quarantine.
    ///
    /// # Errors
    /// There is none, or its file isn't what was installed.
    pub async fn roll_back(&self, name: &Name, to: Option<&str>) -> Result<Arc<Plugin>, ShelfError> {
        let _changing = self.changing.lock().await;
        let (mut record, read) = self.read(name).await?;
        if record.present.is_none() {
            return Err(ShelfError::NotInstalled(name.clone()));
        }
        let earlier = record.forerunner(to).ok_or_else(|| ShelfError::NoForerunner(name.clone()))?.sha256.clone();
        let plugin = self.component(name, &earlier).await?;
        record.present = Some(earlier);
        record.quarantine = None;
        self.serve(record, read, plugin).await
    }

    /// Removes what was installed under this name, and what was decided about it. A flow of the same name that ships is served
    /// again.
    ///
    /// # Errors
    /// Nothing was installed, or the storage failed.
    pub async fn remove(&self, name: &Name) -> Result<(), ShelfError> {
        let _changing = self.changing.lock().await;
        let (record, read) = self.read(name).await?;
        if record.present.is_none() {
            return Err(ShelfError::NotInstalled(name.clone()));
        }
        let mut batch = Batch::synced();
        FLOWS.expect(&mut batch, &[name.as_str()], read);
        FLOWS.remove(&mut batch, &[name.as_str()]);
        self.store.commit(batch).await?;
        self.forget(name);
        self.problems.remove(name.as_str());
        match self.shipped(name.as_str()) {
            Some(plugin) => {
                plugin.set_limits(self.flows.engine().limits());
                drop(self.flows.serve(Arc::clone(plugin)));
            }
            None => drop(self.flows.remove(name.as_str())),
        }
        self.gauge();
        self.files.remove(name, record.versions.into_iter().map(|version| version.sha256).collect()).await;
        Ok(())
    }

    /// Who a component is from, whether they are trusted, and whether it is any good.
    async fn examine(&self, bytes: Bytes, terms: &Terms) -> Result<Candidate, ShelfError> {
        let (bytes, signer, manifest) = match is_package(&bytes) {
            true => {
                let package = Package::read(&bytes)?;
                let signer = self.signer(&package).await?;
                (package.component, signer, Some(package.manifest))
            }
            false => (bytes, None, None),
        };
        if signer.is_none() && !terms.unsigned {
            return Err(match manifest {
                Some(manifest) => ShelfError::Untrusted(manifest.publisher.chars().take(16).collect()),
                None => ShelfError::Unsigned,
            });
        }
        let plugin = Arc::new(Plugin::load(self.flows.engine(), bytes.clone()).await?);
        let description = plugin.description();
        if let Some(said) = &manifest
            && (said.name != description.name || said.version != description.version)
        {
            let said = format!("{} {}", printable(&said.name), printable(&said.version));
            return Err(ShelfError::Mislabelled { said, is: plugin.identity() });
        }
        let name: Name = description.name.parse()?;
        Ok(Candidate { name, plugin, bytes, signer, manifest })
    }

    /// The trusted publisher of a package; none where its key isn't known.
    async fn signer(&self, package: &Package) -> Result<Option<Signer>, ShelfError> {
        let Some(known) = self.publisher_of(&package.manifest.publisher).await? else { return Ok(None) };
        package.verify(&known.key.parse::<PublicKey>()?)?;
        Ok(Some(Signer { name: known.name, key: known.key_id }))
    }

    /// Keeps a component and serves it. The caller holds the lock.
    async fn put(&self, candidate: Candidate, terms: &Terms) -> Result<Arc<Plugin>, ShelfError> {
        let Candidate { name, plugin, bytes, signer, manifest } = candidate;
        let (mut record, read) = self.read(&name).await?;
        let sha256 = plugin.digest().to_owned();
        self.files.write(&name, &sha256, bytes).await?;
        record.versions.retain(|version| version.sha256 != sha256);
        record.versions.insert(
            0,
            Version {
                sha256: sha256.clone(),
                version: plugin.description().version.clone(),
                title: plugin.description().title.clone(),
                contract: plugin.contract().to_owned(),
                size: plugin.size() as u64,
                installed_at: self.clock.now(),
                installed_by: terms.by.clone(),
                publisher: signer,
                homepage: manifest.as_ref().and_then(|manifest| manifest.homepage.clone()),
                license: manifest.and_then(|manifest| manifest.license),
            },
        );
        let dropped = record.versions.split_off(record.versions.len().min(KEPT));
        record.present = Some(sha256);
        record.quarantine = None;
        let plugin = self.serve(record, read, plugin).await?;
        self.files.remove(&name, dropped.into_iter().map(|version| version.sha256).collect()).await;
        Ok(plugin)
    }

    /// Writes the record, and serves the component that it names.
    async fn serve(
        &self,
        record: FlowRecord,
        read: Option<Revision>,
        plugin: Arc<Plugin>,
    ) -> Result<Arc<Plugin>, ShelfError> {
        let name = record.name.clone();
        // Before it is served: no step of it shall run under other limits.
        plugin.set_limits(record.limits.over(self.flows.engine().limits()));
        self.write(record, read).await?;
        self.flows.serve(Arc::clone(&plugin));
        self.problems.remove(name.as_str());
        self.gauge();
        if let Some(mut conduct) = self.conduct.get_mut(name.as_str()) {
            conduct.forgive();
        }
        Ok(plugin)
    }
}

/// A text of a package as people may see it.
fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(64).collect()
}
