//! Scopes: any number of jobs that may borrow from the caller.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ptr;
use std::thread;

use super::join::join_on;
use crate::executor::HybridExecutor;
use crate::fork_join::local_jobs::LocalJobs;
use crate::fork_join::scope_core::{ScopeCore, run};
use crate::fork_join::scope_job::{HeapJob, ScopeRef};
use crate::panics::{cancelled, spans};
use crate::runtime::context::Context;
use crate::runtime::enter_fork_join::{as_external_thread, forking, on};
use crate::runtime::shared::Shared;

/// A scope, in which closures can be spawned that borrow from outside of it. See `Moirai::scope`.
///
/// `'scope` is the lifetime of the scope, and `'env` the longer one of what its closures borrow.
///
/// What a closure borrows must outlive the scope. What the scope's own closure owns does not:
///
/// ```compile_fail,E0373
/// # use moirai::prelude::*;
/// # let executor = Moirai::builder().worker_threads(1).build().unwrap();
/// executor.scope(|s| {
///     let local = 1;
///     s.spawn(|_| println!("{local}"));
/// });
/// ```
///
/// Two closures cannot both borrow the same value mutably:
///
/// ```compile_fail,E0499
/// # use moirai::prelude::*;
/// # let executor = Moirai::builder().worker_threads(1).build().unwrap();
/// let mut sum = 0;
/// executor.scope(|s| {
///     s.spawn(|_| sum += 1);
///     s.spawn(|_| sum += 2);
/// });
/// ```
///
/// A closure cannot use a value that must not be shared with another thread:
///
/// ```compile_fail,E0277
/// # use moirai::prelude::*;
/// # let executor = Moirai::builder().worker_threads(1).build().unwrap();
/// let here = std::rc::Rc::new(1);
/// executor.scope(|s| s.spawn(|_| println!("{here}")));
/// ```
///
/// The scope itself cannot be kept beyond its end, and what was borrowed cannot be dropped before it:
///
/// ```compile_fail,E0521
/// # use moirai::prelude::*;
/// # let executor = Moirai::builder().worker_threads(1).build().unwrap();
/// let mut kept: Option<&moirai::Scope<'_, '_>> = None;
/// executor.scope(|s| kept = Some(s));
/// ```
///
/// ```compile_fail,E0505
/// # use moirai::prelude::*;
/// # let executor = Moirai::builder().worker_threads(1).build().unwrap();
/// let text = String::from("text");
/// executor.scope(|s| {
///     s.spawn(|_| println!("{text}"));
///     drop(text);
/// });
/// ```
///
/// And neither lifetime can be made shorter or longer:
///
/// ```compile_fail
/// # use moirai::Scope;
/// fn shorter<'short, 'long: 'short, 'env: 'long>(
///     scope: &'short Scope<'long, 'env>,
/// ) -> &'short Scope<'short, 'env> {
///     scope
/// }
/// ```
///
/// A closure may use the scope that it was spawned in by the reference that it is called with, or by the one that it captures:
///
/// ```
/// # use moirai::prelude::*;
/// # let executor = Moirai::builder().worker_threads(1).build().unwrap();
/// let sum = std::sync::atomic::AtomicU32::new(0);
/// executor.scope(|s| {
///     s.spawn(|_| {
///         s.spawn(|inner| inner.spawn(|_| _ = sum.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
///     });
/// });
/// assert_eq!(sum.into_inner(), 1);
/// ```
// A reference to it is one to its core, which is on the stack of the scope's own thread until the scope ends.
#[repr(transparent)]
pub struct Scope<'scope, 'env: 'scope> {
    core: ScopeCore<Shared>,
    // Invariant, as in `std::thread::scope`: if 'scope could shrink, a job could borrow what the scope's own closure owns.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope, 'env: 'scope> Scope<'scope, 'env> {
    /// Returns the scope of a core.
    ///
    /// # Safety
    ///
    /// The core is a `ScopeCore<Shared>` that stays where it is, and alive, during 'scope.
    const unsafe fn of(core: *const ScopeCore<Shared>) -> &'scope Self {
        // SAFETY: promised by the caller; this type has the layout of a core.
        unsafe { &*core.cast() }
    }

    const fn shared(&self) -> &Shared {
        self.core.host()
    }

    /// Spawns a closure, which runs before the scope ends. It may borrow whatever outlives the scope, and may spawn further
    /// closures.
    ///
    /// It runs on any thread that works for the executor, the scope's own included. The order is not specified. If the closure
    /// panics, the scope goes on, and panics at its end. With [`inherit_spans`](moirai_core::ExecutorConfig::inherit_spans) it runs
    /// inside of the `tracing` span that is current here.
    pub fn spawn<F>(&self, f: F)
    where
        F: FnOnce(&'scope Scope<'scope, 'env>) + Send + 'scope,
    {
        // SAFETY: the reference is to the core of this scope, which ends only after its jobs, and 'scope ends with it.
        let job = move |scope_ref: ScopeRef| f(unsafe { Scope::of(scope_ref.0.cast()) });
        let job: Box<dyn FnOnce(ScopeRef) + Send + 'scope> = if self.shared().carries_spans() {
            let span = spans::current();
            Box::new(move |scope_ref| {
                spans::lend(span, |span| spans::within(span, || job(scope_ref)));
            })
        } else {
            Box::new(job)
        };
        // SAFETY: only the lifetime changes. The scope, and with it 'scope, does not end before the job has been run or dropped.
        let job: Box<dyn FnOnce(ScopeRef) + Send> = unsafe { mem::transmute(job) };
        let local_jobs =
            Context::with(|context| context.map_or(ptr::null(), Context::local_jobs_address));
        // SAFETY: the job casts to the type of this core, and 'scope, which is that of all that it borrows, outlives the scope.
        let stopped = unsafe { self.core.spawn(local_jobs, HeapJob(job)) };
        if stopped && !thread::panicking() && !Context::goes_on() {
            cancelled::unwind_cancelled();
        }
    }

    /// Calls both closures like [`join`](crate::HybridExecutor::join), on the scope's executor.
    pub fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        join_on(self.shared(), a, b)
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// Calls `f` with a scope of the executor, on a thread that is inside of fork-join work.
fn scope<'env, F, R>(local_jobs: &LocalJobs, shared: &Shared, f: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    // SAFETY: `run` leaves the core where it is until its jobs have ended, and 'scope is not longer than that, because `f` has to
    // accept any.
    run(local_jobs, shared, |core| f(unsafe { Scope::of(core) }))
}

#[inline]
fn scope_on<'env, F, R>(shared: &Shared, f: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    on(shared, |local_jobs, shared| scope(local_jobs, shared, f))
}

/// Calls [`HybridExecutor::scope`] on the executor that runs the calling thread, or on `elsewhere` if there is none.
pub fn scope_or<'env, F, R>(elsewhere: impl FnOnce() -> &'static HybridExecutor, f: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    Context::with(|context| match context {
        Some(context) => forking(context, |local_jobs, shared| scope(local_jobs, shared, f)),
        None => as_external_thread(elsewhere().shared(), |local_jobs, shared| {
            scope(local_jobs, shared, f)
        }),
    })
}

impl HybridExecutor {
    /// Calls `f` with a scope, in which closures can be spawned that borrow from the caller, and returns when all of them have
    /// ended.
    ///
    /// `f` runs on the calling thread and need not be `Send`. What [`join`](Self::join) says about waiting, about threads that are
    /// not workers, and about cancelled tasks is true here too.
    ///
    /// # Panics
    ///
    /// If `f` or one of the closures panics, once all have ended: with the payload of `f`, or else with the first one of a closure.
    pub fn scope<'env, F, R>(&self, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        scope_on(self.shared(), f)
    }
}
