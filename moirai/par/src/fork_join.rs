//! What is asked of an executor.

/// Runs two closures at once if it can. This is all that the algorithms of this crate ask of an executor.
pub trait ForkJoin: Sync {
    /// Calls both closures, in parallel if a thread is free for the second, and returns what they return.
    ///
    /// # Panics
    ///
    /// If a closure does. Both closures have returned or unwound by then: what they borrow may be gone right after.
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send;

    /// How many threads run closures. Work is divided into a few pieces for each of them.
    fn threads(&self) -> usize;
}
