//! A clock that moves when it is told to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

type Listener = Arc<dyn Fn() + Send + Sync>;

/// The hand of a manual clock.
#[derive(Default)]
pub struct ManualClock {
    nanos: AtomicU64,
    listeners: Mutex<Vec<(u64, Listener)>>,
    next_listener: AtomicU64,
}

impl ManualClock {
    /// Nanoseconds since the start.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        // Ordering: Acquire pairs with the Release of `advance`: who sees the new time sees what was done before it.
        self.nanos.load(Ordering::Acquire)
    }

    /// Moves the clock, and tells those who wait for a moment of it. A sum beyond 584 years stays there.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        // Ordering: Release pairs with the Acquire of `nanos`.
        let _ = self.nanos.fetch_update(Ordering::Release, Ordering::Relaxed, |nanos| {
            Some(nanos.saturating_add(by))
        });
        // Called with no lock held: what a listener wakes may use the clock.
        let listeners: Vec<_> =
            self.listeners.lock().iter().map(|(_, listener)| Arc::clone(listener)).collect();
        listeners.iter().for_each(|listener| listener());
    }

    /// Calls `listener` after every [`advance`](Self::advance), on the thread that calls it, until
    /// [`ignore`](Self::ignore); an advance that is in progress then may call it once more.
    pub fn listen(&self, listener: impl Fn() + Send + Sync + 'static) -> ListenerKey {
        // Ordering: Relaxed, the number has only to be fresh.
        let key = self.next_listener.fetch_add(1, Ordering::Relaxed);
        self.listeners.lock().push((key, Arc::new(listener)));
        ListenerKey(key)
    }

    /// Stops calling a listener.
    pub fn ignore(&self, key: ListenerKey) {
        self.listeners.lock().retain(|(other, _)| *other != key.0);
    }
}

/// Names a listener of a [`ManualClock`].
#[derive(Debug)]
pub struct ListenerKey(u64);

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("nanos", &self.nanos()).finish_non_exhaustive()
    }
}
