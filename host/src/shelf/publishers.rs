//! The publishers whose signatures the operator trusts.

use super::record::{PUBLISHERS, Publisher};
use super::{Shelf, ShelfError};
use crate::name::Name;
use crate::package::PublicKey;
use crate::store::Batch;
use crate::store::table::Page;

/// How many are read at once.
const AT_ONCE: usize = 1000;

impl Shelf {
    /// Trusts what this key signs, under a name of the operator's.
    ///
    /// # Errors
    /// The key is none, the name is taken, or the storage failed.
    pub async fn trust(&self, name: Name, key: &str, by: &str) -> Result<Publisher, ShelfError> {
        let key: PublicKey = key.parse()?;
        let _changing = self.changing.lock().await;
        if let Some(known) = self.publisher_of(&key.id()).await? {
            return Err(ShelfError::PublisherExists(known.name));
        }
        let publisher = Publisher {
            name: name.clone(),
            key: key.to_string(),
            key_id: key.id(),
            trusted_at: self.clock.now(),
            trusted_by: by.to_owned(),
        };
        let mut batch = Batch::synced();
        if PUBLISHERS.get(&*self.store, &[name.as_str()]).await?.is_some() {
            return Err(ShelfError::PublisherExists(name));
        }
        PUBLISHERS.expect(&mut batch, &[name.as_str()], None);
        PUBLISHERS.put(&mut batch, &[name.as_str()], &publisher)?;
        self.store.commit(batch).await?;
        Ok(publisher)
    }

    /// Trusts a publisher no longer. What it signed and was installed stays as it is.
    ///
    /// # Errors
    /// There is none, or the storage failed.
    pub async fn distrust(&self, name: &Name) -> Result<(), ShelfError> {
        let _changing = self.changing.lock().await;
        let found = PUBLISHERS.get(&*self.store, &[name.as_str()]).await?;
        let found = found.ok_or_else(|| ShelfError::NoPublisher(name.clone()))?;
        let mut batch = Batch::synced();
        PUBLISHERS.expect(&mut batch, &[name.as_str()], Some(found.revision));
        PUBLISHERS.remove(&mut batch, &[name.as_str()]);
        self.store.commit(batch).await?;
        Ok(())
    }

    /// The trusted publishers, by name, beyond this one.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn publishers(&self, after: Option<&str>, limit: usize) -> Result<Vec<Publisher>, ShelfError> {
        let after = after.map(|name| [name]);
        let page = Page { after: after.as_ref().map(<[&str; 1]>::as_slice), limit, reverse: false };
        let found = PUBLISHERS.list(&*self.store, &[], page).await?;
        Ok(found.into_iter().map(|found| found.value).collect())
    }

    /// The trusted publisher with this key.
    pub(super) async fn publisher_of(&self, key_id: &str) -> Result<Option<Publisher>, ShelfError> {
        let mut walk = PUBLISHERS.walk(&*self.store, &[], AT_ONCE);
        while let Some(found) = walk.next().await? {
            if let Some(found) = found.into_iter().find(|found| found.value.key_id == key_id) {
                return Ok(Some(found.value));
            }
        }
        Ok(None)
    }
}
