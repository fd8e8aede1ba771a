//! Freeing what a reader may still look at: crossbeam's epochs, or, under loom, which cannot see them, the end of the model.
//!
//! The collector is the registries' own, one for the process. crossbeam's default one is shared with whatever else the program
//! links; pinning it may run destructors of strangers, and the registry pins under its locks. What is retired here is plain
//! data, so freeing it under a lock calls nobody. And the default one collects at a pace of its own, which may be slower
//! than that at which texts are retired; here whoever retires collects in proportion.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much is retired and not freed yet. Its clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Garbage {
    bytes: Arc<AtomicUsize>,
    /// How many things have been retired.
    retired: Arc<AtomicUsize>,
}

/// Things retired between two collections. One collection frees several times as many.
const PACE: usize = 32;

impl Garbage {
    /// Bytes that are retired and not freed yet.
    pub(super) fn bytes(&self) -> usize {
        // Ordering: Relaxed: a count.
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts something that is retired, and says whether it is time to collect.
    #[cfg(not(moirai_loom))]
    fn add(&self, bytes: usize) -> bool {
        // Ordering: Relaxed, both: counts.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.retired.fetch_add(1, Ordering::Relaxed) % PACE == PACE - 1
    }

    /// Collects until nothing is left, or no more can be freed now because somebody reads.
    pub(super) fn collect(&self) {
        /// Nothing is freed before two epochs have passed, and each collection can end one.
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

    /// While it lives, nothing is freed that was reachable when it was made.
    pub(in super::super) struct Pin(Guard);

    pub(in super::super) fn pin() -> Pin {
        let guard = HANDLE.try_with(LocalHandle::pin);
        // A thread that is being torn down takes part once more.
        Pin(guard.unwrap_or_else(|_| collector().register().pin()))
    }

    impl Pin {
        /// Frees `what`, which holds this many bytes, when nobody looks at it any more.
        ///
        /// # Safety
        ///
        /// It was allocated as a `Box`, can be dropped on any thread, calls nothing of the user's when it is, is not reachable
        /// for who pins from now on, and is retired once.
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
                // SAFETY: a `Box`, retired once; the epoch has passed, so nobody looks at it.
                drop(unsafe { Box::from_raw(what) });
                // Ordering: Relaxed: a count.
                count.fetch_sub(bytes, Ordering::Relaxed);
            };
            // SAFETY: the closure owns what it frees, which may be dropped anywhere, says the caller.
            unsafe { self.0.defer_unchecked(free) };
            if collect {
                self.flush();
            }
        }

        /// Hands this thread's garbage over, and frees some of what nobody looks at any more.
        pub(in super::super) fn flush(&self) {
            self.0.flush();
        }
    }
}

#[cfg(moirai_loom)]
mod imp {
    use std::ptr::NonNull;

    use super::Garbage;

    /// Nothing is freed before the end of the model: what is retired is leaked. Whether it may be freed is a question to the
    /// epochs, not to the protocol; that it is *unreachable* is what the models show.
    pub(in super::super) struct Pin;

    pub(in super::super) fn pin() -> Pin {
        Pin
    }

    impl Pin {
        /// # Safety
        ///
        /// As in the other build.
        pub(in super::super) unsafe fn retire<T>(&self, _: NonNull<T>, _: usize, _: &Garbage) {}

        pub(in super::super) fn flush(&self) {}
    }
}

pub(super) use imp::{Pin, pin};
