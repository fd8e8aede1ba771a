//! Closures that borrow, run as tasks, which must not.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use parking_lot::Mutex;

use crate::latch::{Job, Latch};

/// The payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// What a job has returned, once it has.
pub(crate) struct Outcome<R>(Mutex<Option<thread::Result<R>>>);

impl<R> Outcome<R> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Calls a closure, and keeps what it returns, or its panic.
    pub(crate) fn keep(&self, f: impl FnOnce() -> R) {
        let outcome = catch_unwind(AssertUnwindSafe(f));
        *self.0.lock() = Some(outcome);
    }

    /// Returns what the job has returned, or panics as it did.
    ///
    /// # Panics
    ///
    /// If the job has panicked, and if it was never run, because the executor has shut down.
    pub(crate) fn take(self) -> R {
        match self.0.into_inner() {
            Some(Ok(value)) => value,
            Some(Err(payload)) => resume_unwind(payload),
            None => panic!("the executor has shut down, and runs no more jobs"),
        }
    }
}

/// A closure of which only its lifetime was forgotten.
pub(crate) type Erased = Box<dyn FnOnce() + Send>;

/// Turns closures that borrow into such that a task can run, and waits for them.
pub(crate) struct Borrowing<'a> {
    latch: &'a Latch,
}

impl<'a> Borrowing<'a> {
    /// Calls `f`, which may spawn what [`erase`](Self::erase) returns, and then waits until all of that has ended, also if `f` panics.
    pub(crate) fn scope<R>(f: impl FnOnce(&Borrowing<'_>) -> R) -> R {
        struct Wait(Latch);
        impl Drop for Wait {
            fn drop(&mut self) {
                self.0.wait();
            }
        }
        let wait = Wait(Latch::default());
        f(&Borrowing { latch: &wait.0 })
    }

    /// Forgets the lifetime of a closure, which must outlive the call of [`scope`](Self::scope).
    ///
    /// # Safety
    ///
    /// What the closure borrows is alive until `scope` has returned.
    pub(crate) unsafe fn erase<'b>(&self, f: impl FnOnce() + Send + 'b) -> Erased {
        let counted = Counted { f, job: self.latch.job() };
        let f: Box<dyn FnOnce() + Send + 'b> = Box::new(move || counted.run());
        // SAFETY: only the lifetime changes. `scope` returns after the job was dropped. That is after the closure and all that it has
        // captured is gone, whether it was run, has panicked or was dropped without having been run.
        unsafe { std::mem::transmute(f) }
    }
}

/// A closure whose end is waited for. Its fields are dropped in this order.
struct Counted<F> {
    f: F,
    job: Job,
}

impl<F: FnOnce()> Counted<F> {
    fn run(self) {
        let Self { f, job } = self;
        f();
        drop(job);
    }
}
