//! Deferred freeing of what readers may still be using: by crossbeam's epochs, or, under loom, which cannot see those, not at all.
//!
//! The collector is the registries' own, one for the process. crossbeam's default collector is shared with everything else that the
//! program links: pinning it may run the destructors of others, and the registry pins under its locks. What is retired here is
//! plain data, so freeing it under a lock calls no foreign code. The default collector also collects at its own pace, which may be
//! slower than that at which annotations are retired; here a thread that retires collects in proportion.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The amount of what is retired and not freed yet. Clones share one count.
#[derive(Clone, Debug, Default)]
pub(super) struct Garbage {
    bytes: Arc<AtomicUsize>,
    /// The number of things ever retired.
    #[cfg(not(moirai_loom))]
    retired: Arc<AtomicUsize>,
}

/// The number of things that are retired between two collections. One collection frees several times as many.
#[cfg(not(moirai_loom))]
const PACE: usize = 32;

impl Garbage {
    /// Returns the bytes that are retired and not freed yet.
    pub(super) fn bytes(&self) -> usize {
        // Ordering: Relaxed: only a count.
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts something that is retired, and returns whether it is time to collect.
    #[cfg(not(moirai_loom))]
    fn add(&self, bytes: usize) -> bool {
        // Ordering: Relaxed, both: only counts.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.retired.fetch_add(1, Ordering::Relaxed) % PACE == PACE - 1
    }

    /// Collects until nothing is left, or until no more can be freed now because a thread is reading.
    pub(super) fn collect(&self) {
        /// Collections between two checks. Nothing is freed before two epochs have passed, and each collection can end one.
        const EPOCHS: usize = 4;
        let mut before = usize::MAX;
        loop {
            let left = self.bytes();
            if left == 0 || left >= before {
                return;
            }
            before = left;
            for _ in 0..EPOCHS {
                pin().flush();
            }
        }
    }
}

#[cfg(not(moirai_loom))]
mod imp {
    use std::ptr::NonNull;
    use std::sync::OnceLock;
    use std::sync::atomic::Ordering;

    use crossbeam_epoch::{Collector, Guard, LocalHandle};

    use super::Garbage;

    fn collector() -> &'static Collector {
        static COLLECTOR: OnceLock<Collector> = OnceLock::new();
        COLLECTOR.get_or_init(Collector::new)
    }

    thread_local! {
        static HANDLE: LocalHandle = collector().register();
    }

    /// A pinned epoch: while it lives, nothing is freed that was reachable when it was made.
    pub(in super::super) struct Pin(Guard);

    /// Pins the current epoch.
    pub(in super::super) fn pin() -> Pin {
        let guard = HANDLE.try_with(LocalHandle::pin);
        // A thread whose thread-locals are being destroyed registers anew for this pin.
        Pin(guard.unwrap_or_else(|_| collector().register().pin()))
    }

    impl Pin {
        /// Frees `what`, which holds `bytes` bytes, once no thread can be using it any more.
        ///
        /// # Safety
        ///
        /// `what` was allocated as a `Box`. It can be dropped on any thread, and calls no user code when it is. A thread that pins
        /// from now on cannot reach it. It is retired only once.
        pub(in super::super) unsafe fn retire<T>(
            &self,
            what: NonNull<T>,
            bytes: usize,
            garbage: &Garbage,
        ) {
            let address = what.as_ptr().expose_provenance();
            let collect = garbage.add(bytes);
            let count = garbage.bytes.clone();
            let free = move || {
                let what = std::ptr::with_exposed_provenance_mut::<T>(address);
                // SAFETY: the caller has promised that it was allocated as a `Box`, is unreachable, and is retired once; every
                // thread that was pinned when it was retired has unpinned since, so none uses it.
                drop(unsafe { Box::from_raw(what) });
                // Ordering: Relaxed: only a count.
                count.fetch_sub(bytes, Ordering::Relaxed);
            };
            // SAFETY: the closure owns what it captures and what it frees, and the caller has promised that this may be dropped on
            // any thread.
            unsafe { self.0.defer_unchecked(free) };
            if collect {
                self.flush();
            }
        }

        /// Passes this thread's garbage to the collector, and frees some of what no thread uses any more.
        pub(in super::super) fn flush(&self) {
            self.0.flush();
        }
    }
}

#[cfg(moirai_loom)]
mod imp {
    use std::ptr::NonNull;

    use super::Garbage;

    /// Does nothing: what is retired is leaked in a model. That a thing may be freed then is for the epochs to guarantee, not for
    /// the protocol; the models show that it is *unreachable*.
    pub(in super::super) struct Pin;

    pub(in super::super) fn pin() -> Pin {
        Pin
    }

    impl Pin {
        /// # Safety
        ///
        /// As in the build without loom.
        pub(in super::super) unsafe fn retire<T>(&self, _: NonNull<T>, _: usize, _: &Garbage) {}

        pub(in super::super) fn flush(&self) {}
    }
}

pub(super) use imp::{Pin, pin};

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use std::ptr::NonNull;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    /// Counts how many of its kind exist.
    struct Counted(Arc<AtomicUsize>);

    impl Counted {
        fn new(alive: &Arc<AtomicUsize>) -> Self {
            alive.fetch_add(1, Ordering::SeqCst);
            Self(Arc::clone(alive))
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn retire_one(garbage: &Garbage, alive: &Arc<AtomicUsize>) {
        let what = NonNull::from(Box::leak(Box::new(Counted::new(alive))));
        // SAFETY: it is a box that only this call knows, and its destructor only counts.
        unsafe { pin().retire(what, 1, garbage) };
    }

    #[test]
    fn nothing_is_freed_while_another_thread_has_pinned_an_epoch() {
        let (garbage, alive) = (Garbage::default(), Arc::default());
        let pinned = Barrier::new(2);
        let left = thread::scope(|scope| {
            scope.spawn(|| {
                let _pin = pin();
                pinned.wait();
                pinned.wait();
            });
            pinned.wait();
            retire_one(&garbage, &alive);
            garbage.collect();
            let left = (alive.load(Ordering::SeqCst), garbage.bytes());
            pinned.wait();
            left
        });
        assert_eq!(left, (1, 1), "it may be in use");
        // Tests beside this one pin epochs, too, and for a moment only.
        while alive.load(Ordering::SeqCst) > 0 {
            garbage.collect();
            thread::yield_now();
        }
        assert_eq!(garbage.bytes(), 0);
    }

    #[test]
    fn what_is_retired_is_freed_on_the_way() {
        let (garbage, alive) = (Garbage::default(), Arc::default());
        let mut least_left = usize::MAX;
        // Tests beside this one may keep an epoch pinned for a while.
        for retired in 0..1_000_000 {
            retire_one(&garbage, &alive);
            if retired > 100 * PACE {
                least_left = least_left.min(alive.load(Ordering::SeqCst));
            }
            if least_left < 2 * PACE {
                return;
            }
        }
        panic!("at least {least_left} things were never freed");
    }
}
