//! The shim for ordinary builds.

/// Reference counts, locks and atomics.
pub mod sync {
    pub use parking_lot::{Condvar, Mutex, MutexGuard};
    pub use std::sync::Arc;

    /// How often [`lock_patiently`] tries before it sleeps. The pauses double; all of them together are 15 to 200 µs, according to how
    /// long the processor takes for a spin.
    const TRIES: u32 = 12;

    /// Locks a mutex that is held for a short time only, but by many threads in turn.
    ///
    /// A thread that sleeps for such a lock is woken much later than it could have had the lock, and all that come after it sleep, too.
    /// So this tries again after growing pauses first. They must be long: pauses that stop growing at 64 spins made a lock that 16
    /// processors want five times as slow.
    pub fn lock_patiently<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        for tries in 0..TRIES {
            if let Some(guard) = mutex.try_lock() {
                return guard;
            }
            for _ in 0..1 << tries {
                std::hint::spin_loop();
            }
        }
        mutex.lock()
    }

    /// Hands a lock that the caller has just released to a thread that waits for it, if there is one, so that the caller's next
    /// `lock` does not take it first.
    pub fn hand_over<T>(mutex: &Mutex<T>) {
        if let Some(guard) = mutex.try_lock() {
            MutexGuard::unlock_fair(guard);
        }
    }

    /// Atomics and fences.
    pub mod atomic {
        pub use std::sync::atomic::{
            AtomicBool, AtomicIsize, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize,
            Ordering, fence,
        };
    }
}

/// Cells whose accesses loom can see.
pub mod cell {
    /// `std::cell::UnsafeCell`, whose content is accessed by closures.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// Creates a cell that holds `value`.
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Returns the value.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Calls `f` with a pointer for reading.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Calls `f` with a pointer for writing.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

/// Threads.
pub mod thread {
    pub use std::thread::{JoinHandle, current, park, spawn, yield_now};
}

/// Hints to the processor.
pub mod hint {
    pub use std::hint::spin_loop;
}
