//! A clock that moves only when the program moves it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::panics::contain;

type Listener = Arc<dyn Fn() + Send + Sync>;

/// The control of a manual clock. [`Clock::manual`](crate::Clock::manual) creates both.
#[derive(Default)]
pub struct ManualClock {
    nanos: AtomicU64,
    listeners: Mutex<Vec<(u64, Listener)>>,
    next_listener: AtomicU64,
}

impl ManualClock {
    /// Returns the nanoseconds since the clock's start.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        // Ordering: Acquire pairs with the Release update in `advance`: a thread that sees the new time sees what was done before
        // it.
        self.nanos.load(Ordering::Acquire)
    }

    /// Moves the clock forward by `by`, and then calls every listener. The time saturates at `u64::MAX` nanoseconds, some 584
    /// years.
    ///
    /// # Panics
    ///
    /// If a listener panics. The remaining ones are not called then.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        // Ordering: Release pairs with the Acquire load in `nanos`.
        let _ = self.nanos.fetch_update(Ordering::Release, Ordering::Relaxed, |nanos| {
            Some(nanos.saturating_add(by))
        });
        // Called with no lock held, because what a listener wakes may use the clock.
        let listeners: Vec<_> =
            self.listeners.lock().iter().map(|(_, listener)| Arc::clone(listener)).collect();
        listeners.iter().for_each(|listener| listener());
    }

    /// Calls `listener` after every [`advance`](Self::advance), on the thread that advances, until [`ignore`](Self::ignore) is
    /// called with the key that this returns. The listener should be short. It may call any method of the clock.
    pub fn listen(&self, listener: impl Fn() + Send + Sync + 'static) -> ListenerKey {
        // Ordering: Relaxed: the number only has to be unique.
        let key = self.next_listener.fetch_add(1, Ordering::Relaxed);
        self.listeners.lock().push((key, Arc::new(listener)));
        ListenerKey(key)
    }

    /// Stops calling a listener. An [`advance`](Self::advance) that is in progress may still call it once.
    ///
    /// # Panics
    ///
    /// If the destructor of the listener panics.
    pub fn ignore(&self, key: ListenerKey) {
        let mut listeners = self.listeners.lock();
        let index = listeners.iter().position(|(other, _)| *other == key.0);
        let ignored = index.map(|index| listeners.remove(index));
        // Its destructor may use the clock.
        drop(listeners);
        drop(ignored);
    }
}

impl Drop for ManualClock {
    fn drop(&mut self) {
        for (_, listener) in self.listeners.get_mut().drain(..) {
            // An executor may drop its clock anywhere.
            let _ = contain(|| drop(listener));
        }
    }
}

/// The key of a listener of a [`ManualClock`].
#[derive(Debug)]
pub struct ListenerKey(u64);

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("nanos", &self.nanos()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, Weak};

    use super::{ListenerKey, ManualClock};

    /// Uses a clock when it is dropped, and then panics.
    struct Bomb(Weak<ManualClock>);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if let Some(clock) = self.0.upgrade() {
                let key = clock.listen(|| ());
                clock.ignore(key);
            }
            panic!("expected by the test");
        }
    }

    fn listens(clock: &Arc<ManualClock>) -> ListenerKey {
        let bomb = Bomb(Arc::downgrade(clock));
        clock.listen(move || {
            let _ = &bomb;
        })
    }

    #[test]
    fn the_destructor_of_a_listener_may_use_the_clock_and_panic() {
        let clock = Arc::new(ManualClock::default());
        let key = listens(&clock);
        let ignored = catch_unwind(AssertUnwindSafe(|| clock.ignore(key)));
        assert!(ignored.is_err(), "the caller of `ignore` learns of the panic");
        let _ = listens(&clock);
        let _ = listens(&clock);
        drop(clock);
    }
}
