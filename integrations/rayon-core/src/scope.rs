//! Scopes: any number of jobs that may borrow from the caller.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread;

use parking_lot::Mutex;

use crate::ThreadPool;
use crate::broadcast::BroadcastContext;
use crate::erase::{Erased, Payload};
use crate::fifo::Fifo;
use crate::latch::{Job, Latch};
use crate::pool::{Pool, in_worker};

/// Moirai's scope, in which the jobs of a scope run that begins on a worker.
type Native<'scope> = moirai_executor::Scope<'scope, 'scope>;

/// A scope, in which jobs can be spawned that borrow from outside of it.
///
/// On a worker the jobs are parts of the caller's own work. A scope that begins on another thread spawns a task for each job.
pub struct Scope<'scope> {
    pool: Pool,
    /// Moirai's scope, if this one began on a worker: set before the first job is spawned.
    native: AtomicPtr<Native<'static>>,
    /// The jobs that are tasks.
    tasks: Latch,
    /// The first panic of a job that is a task.
    panic: Mutex<Option<Payload>>,
    // Invariant: if 'scope could shrink, a job could borrow what the scope's own closure owns.
    marker: PhantomData<fn(&'scope ()) -> &'scope ()>,
}

/// A scope whose jobs are begun in the order in which they were spawned.
pub struct ScopeFifo<'scope> {
    scope: Scope<'scope>,
    fifo: Fifo,
}

/// A pointer to a scope, which is there until its jobs have ended.
struct Handle<S>(*const S);

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

// SAFETY: it is used as a `&S`.
unsafe impl<S: Sync> Send for Handle<S> {}
// SAFETY: as above.
unsafe impl<S: Sync> Sync for Handle<S> {}

impl<S> Handle<S> {
    fn get(&self) -> &S {
        // SAFETY: handles are held by jobs of the scope, which has waited for them before it is gone.
        unsafe { &*self.0 }
    }
}

impl<'scope> Scope<'scope> {
    fn new(pool: Pool) -> Self {
        Self {
            pool,
            native: AtomicPtr::new(ptr::null_mut()),
            tasks: Latch::default(),
            panic: Mutex::new(None),
            marker: PhantomData,
        }
    }

    fn native(&self) -> Option<&Native<'scope>> {
        // Ordering: Relaxed: it was set before the scope was first shared.
        let native = self.native.load(Ordering::Relaxed);
        // SAFETY: it is set while Moirai's scope is alive, which ends after all jobs; and nobody has this scope after its jobs have
        // ended and its closure has returned.
        unsafe { native.cast::<Native<'scope>>().as_ref() }
    }

    /// Spawns a job, which runs before the scope ends.
    pub fn spawn<BODY>(&self, body: BODY)
    where
        BODY: FnOnce(&Self) + Send + 'scope,
    {
        let scope = Handle(ptr::from_ref(self));
        self.push(move || body(scope.get()));
    }

    /// Spawns a job for each worker of the scope's pool.
    pub fn spawn_broadcast<BODY>(&self, body: BODY)
    where
        BODY: Fn(&Self, BroadcastContext<'_>) + Send + Sync + 'scope,
    {
        let scope = Handle(ptr::from_ref(self));
        self.push_to_each(move |context| body(scope.get(), context));
    }

    fn push(&self, job: impl FnOnce() + Send + 'scope) {
        match self.native() {
            Some(native) => native.spawn(move |_| job()),
            None => {
                let job = self.task(job);
                self.pool.run_later(job);
            }
        }
    }

    fn push_to_each(&self, body: impl Fn(BroadcastContext<'_>) + Send + Sync + 'scope) {
        let body = std::sync::Arc::new(body);
        for worker in 0..self.pool.workers() {
            let (body, pool) = (std::sync::Arc::clone(&body), self.pool.clone());
            let job = self.task(move || body(BroadcastContext::of(&pool, worker)));
            self.pool.run_on(worker, job);
        }
    }

    /// Turns a job into one that a task can run, and which the scope waits for.
    fn task(&self, f: impl FnOnce() + Send + 'scope) -> Erased {
        let task = Task { f, scope: Handle(ptr::from_ref(self)), job: self.tasks.job() };
        let task: Box<dyn FnOnce() + Send + 'scope> = Box::new(move || task.run());
        // SAFETY: only the lifetime changes. The scope ends after its jobs were dropped, and 'scope, which is that of all that the job
        // borrows, not before that.
        unsafe { mem::transmute(task) }
    }

    fn keep_panic(&self, payload: Payload) {
        let mut panic = self.panic.lock();
        let extra = if panic.is_none() {
            *panic = Some(payload);
            None
        } else {
            Some(payload)
        };
        drop(panic);
        forget(extra);
    }

    /// Calls `op`, and returns when all jobs have ended. `get` makes the scope what `op` is called with.
    fn run<S: Sync, R>(
        scope: S,
        get: impl Fn(&S) -> &Scope<'scope>,
        op: impl FnOnce(&S) -> R,
    ) -> R {
        let inner = get(&scope);
        let result = if inner.pool.runs_caller() {
            let executor = inner.pool.executor().clone();
            executor.scope(|native| {
                let native: *const moirai_executor::Scope<'_, '_> = native;
                // Ordering: Relaxed: nobody else has the scope yet.
                inner.native.store(native.cast_mut().cast(), Ordering::Relaxed);
                let result = catch_unwind(AssertUnwindSafe(|| op(&scope)));
                // Those that are tasks may spawn others, so they have to end first.
                inner.tasks.wait();
                result
            })
        } else {
            let result = catch_unwind(AssertUnwindSafe(|| op(&scope)));
            inner.tasks.wait();
            result
        };
        let panic = inner.panic.lock().take();
        finish(result, panic)
    }
}

/// Returns the result of a scope's closure, or panics as it or one of the jobs has.
fn finish<R>(result: thread::Result<R>, panic: Option<Payload>) -> R {
    match (result, panic) {
        (Ok(value), None) => value,
        (Ok(value), Some(payload)) => {
            forget(Some(value));
            resume_unwind(payload)
        }
        (Err(payload), extra) => {
            forget(extra);
            resume_unwind(payload)
        }
    }
}

/// Drops a value that nobody wants. Its destructor may panic, too.
fn forget<T>(value: Option<T>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        let payload: Box<dyn Any + Send> = payload;
        mem::forget(payload);
    }
}

/// A job that a task runs. Its fields are dropped in this order, the last of which is what the scope waits for.
struct Task<'scope, F> {
    f: F,
    scope: Handle<Scope<'scope>>,
    job: Job,
}

impl<F: FnOnce()> Task<'_, F> {
    fn run(self) {
        let Self { f, scope, job } = self;
        if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
            scope.get().keep_panic(payload);
        }
        drop(job);
    }
}

impl<'scope> ScopeFifo<'scope> {
    fn new(pool: Pool) -> Self {
        Self { scope: Scope::new(pool), fifo: Fifo::default() }
    }

    /// Spawns a job, which runs before the scope ends, and is begun after those that were spawned before.
    pub fn spawn_fifo<BODY>(&self, body: BODY)
    where
        BODY: FnOnce(&Self) + Send + 'scope,
    {
        let scope = Handle(ptr::from_ref(self));
        let job: Box<dyn FnOnce() + Send + 'scope> = {
            let scope = scope.clone();
            Box::new(move || body(scope.get()))
        };
        // SAFETY: only the lifetime changes. For each job in the queue, one of the scope's own takes a job out of it, or drops the
        // queue's with it; the scope ends after those, and the queue with the scope.
        let job: Erased = unsafe { mem::transmute(job) };
        self.fifo.push(job);
        self.scope.push(move || scope.get().fifo.run_oldest());
    }

    /// Spawns a job for each worker of the scope's pool.
    pub fn spawn_broadcast<BODY>(&self, body: BODY)
    where
        BODY: Fn(&Self, BroadcastContext<'_>) + Send + Sync + 'scope,
    {
        let scope = Handle(ptr::from_ref(self));
        self.scope.push_to_each(move |context| body(scope.get(), context));
    }
}

fn scope_in<'scope, R>(pool: Pool, op: impl FnOnce(&Scope<'scope>) -> R) -> R {
    Scope::run(Scope::new(pool), |scope| scope, op)
}

fn scope_fifo_in<'scope, R>(pool: Pool, op: impl FnOnce(&ScopeFifo<'scope>) -> R) -> R {
    Scope::run(ScopeFifo::new(pool), |fifo| &fifo.scope, op)
}

/// Calls `op` on a worker, with a scope, and returns when `op` and all jobs that were spawned in the scope have ended.
///
/// # Panics
///
/// If one of them does, once all have ended.
pub fn scope<'scope, OP, R>(op: OP) -> R
where
    OP: FnOnce(&Scope<'scope>) -> R + Send,
    R: Send,
{
    in_worker(|_| scope_in(Pool::current(), op))
}

/// Like [`scope`], with a scope whose jobs are begun in the order in which they were spawned.
///
/// # Panics
///
/// As [`scope`].
pub fn scope_fifo<'scope, OP, R>(op: OP) -> R
where
    OP: FnOnce(&ScopeFifo<'scope>) -> R + Send,
    R: Send,
{
    in_worker(|_| scope_fifo_in(Pool::current(), op))
}

/// Like [`scope`], but `op` runs on the calling thread, whichever that is, and need not be `Send`.
///
/// # Panics
///
/// As [`scope`].
pub fn in_place_scope<'scope, OP, R>(op: OP) -> R
where
    OP: FnOnce(&Scope<'scope>) -> R,
{
    scope_in(Pool::current(), op)
}

/// Like [`in_place_scope`], with a scope whose jobs are begun in the order in which they were spawned.
///
/// # Panics
///
/// As [`scope`].
pub fn in_place_scope_fifo<'scope, OP, R>(op: OP) -> R
where
    OP: FnOnce(&ScopeFifo<'scope>) -> R,
{
    scope_fifo_in(Pool::current(), op)
}

impl ThreadPool {
    /// Calls [`scope`] in this pool.
    ///
    /// # Panics
    ///
    /// As [`scope`].
    pub fn scope<'scope, OP, R>(&self, op: OP) -> R
    where
        OP: FnOnce(&Scope<'scope>) -> R + Send,
        R: Send,
    {
        self.install(|| scope(op))
    }

    /// Calls [`scope_fifo`] in this pool.
    ///
    /// # Panics
    ///
    /// As [`scope`].
    pub fn scope_fifo<'scope, OP, R>(&self, op: OP) -> R
    where
        OP: FnOnce(&ScopeFifo<'scope>) -> R + Send,
        R: Send,
    {
        self.install(|| scope_fifo(op))
    }

    /// Calls [`in_place_scope`] with this pool.
    ///
    /// # Panics
    ///
    /// As [`scope`].
    pub fn in_place_scope<'scope, OP, R>(&self, op: OP) -> R
    where
        OP: FnOnce(&Scope<'scope>) -> R,
    {
        scope_in(self.pool().clone(), op)
    }

    /// Calls [`in_place_scope_fifo`] with this pool.
    ///
    /// # Panics
    ///
    /// As [`scope`].
    pub fn in_place_scope_fifo<'scope, OP, R>(&self, op: OP) -> R
    where
        OP: FnOnce(&ScopeFifo<'scope>) -> R,
    {
        scope_fifo_in(self.pool().clone(), op)
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("pool_id", &self.pool.id()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ScopeFifo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeFifo").field("pool_id", &self.scope.pool.id()).finish_non_exhaustive()
    }
}
