//! The shim for ordinary builds.

/// Reference counts, locks and atomics.
pub mod sync {
    pub use parking_lot::{Condvar, Mutex, MutexGuard};
    pub use std::sync::Arc;

    /// Gives a lock that the caller has just released to whoever waits for it, instead of to the caller's next `lock`.
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
    /// `std::cell::UnsafeCell`, with access by closure.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// Wraps a value.
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Unwraps the value.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Hands out a pointer for reading.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Hands out a pointer for writing.
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
