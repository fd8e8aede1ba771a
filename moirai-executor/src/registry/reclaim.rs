//! Freeing what a reader may still look at: crossbeam's epochs, or, under loom, which cannot see them, the end of the model.

#[cfg(not(moirai_loom))]
mod imp {
    use std::ptr::NonNull;

    use crossbeam_epoch as epoch;

    /// While it lives, nothing is freed that was reachable when it was made.
    pub(in super::super) struct Pin(epoch::Guard);

    pub(in super::super) fn pin() -> Pin {
        Pin(epoch::pin())
    }

    impl Pin {
        /// Frees `what` when nobody looks at it any more.
        ///
        /// # Safety
        ///
        /// It was allocated as a `Box`, can be dropped on any thread, is not reachable for who pins from now on, and is
        /// retired once.
        pub(in super::super) unsafe fn retire<T>(&self, what: NonNull<T>) {
            let address = what.as_ptr().expose_provenance();
            let free = move || {
                let what = std::ptr::with_exposed_provenance_mut::<T>(address);
                // SAFETY: a `Box`, retired once; the epoch has passed, so nobody looks at it.
                drop(unsafe { Box::from_raw(what) });
            };
            // SAFETY: the closure owns what it frees, which may be dropped anywhere, says the caller.
            unsafe { self.0.defer_unchecked(free) };
        }

        /// Hands this thread's garbage over, so that it is freed soon.
        pub(in super::super) fn flush(&self) {
            self.0.flush();
        }
    }
}

#[cfg(moirai_loom)]
mod imp {
    use std::ptr::NonNull;

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
        pub(in super::super) unsafe fn retire<T>(&self, _: NonNull<T>) {}

        pub(in super::super) fn flush(&self) {}
    }
}

pub(super) use imp::{Pin, pin};
