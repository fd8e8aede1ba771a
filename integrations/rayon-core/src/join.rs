//! Two closures, in parallel if a worker is free for the second.

use std::marker::PhantomData;

use moirai_executor::join_or;

use crate::pool::{global, in_worker};

/// What a closure of [`join_context`] is told.
#[derive(Debug)]
pub struct FnContext {
    migrated: bool,
    /// It is about the thread that was given it.
    not_send: PhantomData<*mut ()>,
}

impl FnContext {
    const fn new(migrated: bool) -> Self {
        Self { migrated, not_send: PhantomData }
    }

    /// Whether the closure runs on another thread than the one that called.
    #[inline]
    pub fn migrated(&self) -> bool {
        self.migrated
    }
}

/// An address that no other thread has while this one lives.
#[inline]
fn thread_address() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

/// Calls both closures, perhaps in parallel, and returns both results.
///
/// # Panics
///
/// If one of them does, once both have ended.
#[inline]
pub fn join<A, B, RA, RB>(oper_a: A, oper_b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    in_worker(|_| join_or(global, oper_a, oper_b))
}

/// Like [`join`], and tells each closure whether it runs on another thread.
///
/// # Panics
///
/// As [`join`].
#[inline]
pub fn join_context<A, B, RA, RB>(oper_a: A, oper_b: B) -> (RA, RB)
where
    A: FnOnce(FnContext) -> RA + Send,
    B: FnOnce(FnContext) -> RB + Send,
    RA: Send,
    RB: Send,
{
    in_worker(|injected| {
        let here = thread_address();
        join_or(
            global,
            || oper_a(FnContext::new(injected)),
            || oper_b(FnContext::new(injected || thread_address() != here)),
        )
    })
}

impl crate::ThreadPool {
    /// Calls [`join`] in this pool.
    ///
    /// # Panics
    ///
    /// As [`join`].
    pub fn join<A, B, RA, RB>(&self, oper_a: A, oper_b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        self.install(|| join(oper_a, oper_b))
    }
}
