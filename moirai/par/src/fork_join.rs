//! The trait by which the algorithms of this crate reach an executor.

/// An executor that can run two closures in parallel. The algorithms of this crate need nothing else.
pub trait ForkJoin: Sync {
    /// Calls both closures, in parallel if a thread is free for the second, and returns both results.
    ///
    /// It must not return or unwind before both closures have returned or unwound, because what they borrow may be gone right
    /// afterwards.
    ///
    /// # Panics
    ///
    /// If a closure panics.
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send;

    /// Returns the number of threads that run closures. Work is divided into a few parts for each of them.
    fn threads(&self) -> usize;
}
