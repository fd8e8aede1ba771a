//! Limits for each key.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use moirai_sync::{OwnedPermit, Semaphore};
use parking_lot::Mutex;

/// A limit on how many do something at the same time for one key, such as the requests of one customer.
///
/// Clones are the same limit. It keeps an entry for each key that somebody has a permit for or waits for, and no others. Keys are texts,
/// so that no code of others runs while the table is locked.
///
/// ```
/// use moirai::limit::KeyedLimit;
///
/// let limit = KeyedLimit::new(1);
/// let permit = limit.try_acquire("Ada").unwrap();
/// assert!(limit.try_acquire("Ada").is_none());
/// assert!(limit.try_acquire("Grace").is_some());
/// drop(permit);
/// assert!(limit.try_acquire("Ada").is_some());
/// assert_eq!(limit.keys(), 0);
/// ```
#[derive(Clone)]
pub struct KeyedLimit(Arc<Table>);

struct Table {
    permits: usize,
    semaphores: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

/// The semaphore of a key. Dropping the last entry of a key removes the key from the table.
struct Entry {
    table: Arc<Table>,
    key: Arc<str>,
    /// `None` only while the entry is being dropped.
    semaphore: Option<Arc<Semaphore>>,
}

/// A permit of a [`KeyedLimit`]. Dropping it gives it back.
#[must_use = "dropping it gives it back"]
pub struct KeyedPermit {
    // Dropped before the entry.
    _permit: OwnedPermit,
    entry: Entry,
}

impl KeyedLimit {
    /// Creates a limit with this number of permits for each key. With zero, nobody ever gets one.
    #[must_use]
    pub fn new(permits: usize) -> Self {
        Self(Arc::new(Table { permits, semaphores: Mutex::default() }))
    }

    /// Waits for a permit for this key. Those who wait for one key are served in the order in which they came.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any time. No permit is lost.
    pub async fn acquire(&self, key: &str) -> KeyedPermit {
        let entry = self.entry(key);
        match entry.semaphore().acquire_owned().await {
            Ok(permit) => KeyedPermit { _permit: permit, entry },
            Err(_) => unreachable!("the semaphore of a key is not closed"),
        }
    }

    /// Takes a permit for this key, if there is one.
    #[must_use]
    pub fn try_acquire(&self, key: &str) -> Option<KeyedPermit> {
        let entry = self.entry(key);
        let permit = entry.semaphore().try_acquire_owned()?;
        Some(KeyedPermit { _permit: permit, entry })
    }

    /// Returns the number of keys that somebody has a permit for or waits for.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.0.semaphores.lock().len()
    }

    fn entry(&self, key: &str) -> Entry {
        let mut semaphores = self.0.semaphores.lock();
        let (key, semaphore) = match semaphores.get_key_value(key) {
            Some((key, semaphore)) => (Arc::clone(key), Arc::clone(semaphore)),
            None => {
                let (key, semaphore) = (key.into(), Arc::new(Semaphore::new(self.0.permits)));
                semaphores.insert(Arc::clone(&key), Arc::clone(&semaphore));
                (key, semaphore)
            }
        };
        Entry { table: Arc::clone(&self.0), key, semaphore: Some(semaphore) }
    }
}

impl Entry {
    fn semaphore(&self) -> &Arc<Semaphore> {
        self.semaphore.as_ref().expect("the entry is not being dropped")
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut semaphores = self.table.semaphores.lock();
        // Entries are made under the lock, and give their references up under it. So if the table has the only one, nobody else uses
        // the semaphore.
        drop(self.semaphore.take());
        let unused = |semaphore: &Arc<Semaphore>| Arc::strong_count(semaphore) == 1;
        if semaphores.get(&self.key).is_some_and(unused) {
            semaphores.remove(&self.key);
        }
    }
}

impl KeyedPermit {
    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.entry.key
    }
}

impl fmt::Debug for KeyedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLimit")
            .field("permits", &self.0.permits)
            .field("keys", &self.keys())
            .finish()
    }
}

impl fmt::Debug for KeyedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedPermit").field("key", &self.key()).finish_non_exhaustive()
    }
}
