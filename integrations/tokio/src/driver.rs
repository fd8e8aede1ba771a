//! The reactor in which idle workers sleep.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::task::{Poll, Waker};

use moirai::{ExecutorPlugin, ParkHook, ThreadKind, idle};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;

use crate::context::enter_for_good;

/// Returns a plugin that gives an executor tokio's reactor: pass it to [`MoiraiBuilder::plugin`](moirai::MoiraiBuilder).
///
/// There is an [example](crate) in the documentation of the crate.
///
/// # Errors
///
/// If the system has no resources for it: it takes an `epoll` instance and two more file descriptors, or what the system has in
/// their place.
pub fn driver() -> io::Result<Driver> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().thread_name("moirai-tokio");
    // The runtime calls these on the thread that drives it, before it waits for events and afterwards.
    builder.on_thread_park(before_wait).on_thread_unpark(after_wait);
    let runtime = builder.build()?;
    let handle = runtime.handle().clone();
    let reactor = Reactor {
        runtime: RwLock::new(Some(runtime)),
        waker: OnceLock::new(),
        workers: OnceLock::new(),
        inside: AtomicUsize::new(0),
        threads: AtomicUsize::new(0),
    };
    Ok(Driver { handle, reactor: Arc::new(reactor) })
}

/// A plugin that gives an executor tokio's reactor; see [`driver()`].
///
/// When the last thread of the executor has ended, what was spawned by `tokio::spawn` is dropped: before a shutdown returns, unless
/// a compensation thread is still in a task. A driver is that of one executor; in others, workers sleep without it.
#[derive(Debug)]
pub struct Driver {
    handle: Handle,
    reactor: Arc<Reactor>,
}

impl Driver {
    /// Returns a handle to tokio's runtime, for [`in_tokio`](crate::in_tokio) and [`block_on`](crate::block_on) on threads that are
    /// not the executor's.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl ExecutorPlugin for Driver {
    fn on_thread_start(&self, _: ThreadKind, _: usize) {
        // Ordering: Relaxed: a count. The last thread that stops finds it zero, whatever the order.
        self.reactor.threads.fetch_add(1, Ordering::Relaxed);
        enter_for_good(&self.handle);
        self.reactor.learn_waker();
    }

    fn on_thread_stop(&self, _: ThreadKind, _: usize) {
        // Ordering: Relaxed, as above. Workers are there from the start to the end, so the count is zero only at the end.
        if self.reactor.threads.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.reactor.shut_down();
        }
    }

    fn park_hook(&self) -> Option<Arc<dyn ParkHook>> {
        Some(Arc::clone(&self.reactor) as Arc<dyn ParkHook>)
    }
}

/// tokio's runtime, and who is inside of it.
#[derive(Debug)]
struct Reactor {
    /// `None` when the executor has shut down.
    runtime: RwLock<Option<Runtime>>,
    /// The waker of the future on which the thread is blocked that drives the runtime. Other threads that are blocked on a future
    /// have wakers of their own.
    waker: OnceLock<Waker>,
    /// What wakes each worker.
    workers: OnceLock<Box<[Arc<Notify>]>>,
    /// The number of threads that are inside of the runtime. One of them drives it. When that one leaves, the runtime wakes
    /// another.
    inside: AtomicUsize,
    /// The number of threads of the executor that run tasks.
    threads: AtomicUsize,
}

thread_local! {
    /// What wakes the worker of this thread, while it is inside of the runtime.
    static PARKED: RefCell<Option<Arc<Notify>>> = const { RefCell::new(None) };
}

/// Called before the thread that drives the runtime waits for events.
fn before_wait() {
    if !idle::resume() {
        leave();
    }
}

/// Called after it has waited for events, and before it polls the tasks that were spawned by `tokio::spawn`.
fn after_wait() {
    if !idle::suspend() {
        leave();
    }
}

/// Makes the worker of this thread leave the runtime: the future on which it is blocked gets ready, so the runtime does not wait.
fn leave() {
    let worker = PARKED.with_borrow(Clone::clone);
    worker.iter().for_each(|worker| worker.notify_one());
}

/// Notes that a thread is inside of the runtime until this is dropped.
struct Inside<'a>(&'a Reactor);

impl<'a> Inside<'a> {
    fn enter(reactor: &'a Reactor, worker: Option<Arc<Notify>>) -> Self {
        // Ordering: Relaxed: who reads the count only decides whether to look at the runtime, too.
        reactor.inside.fetch_add(1, Ordering::Relaxed);
        PARKED.set(worker);
        Self(reactor)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        PARKED.set(None);
        // Ordering: Relaxed, as above.
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Reactor {
    /// Calls `f` with the runtime, unless the executor has shut down.
    fn with_runtime(&self, f: impl FnOnce(&Runtime)) {
        // A task that panics does so inside of the runtime, so nothing can have been left half done.
        let runtime = self.runtime.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*runtime {
            f(runtime);
        }
    }

    /// Finds out the waker of the thread that drives the runtime. Each thread of the executor waits here for the first one, before
    /// it is inside of the runtime for any other reason, so that the first one drives it.
    fn learn_waker(&self) {
        self.waker.get_or_init(|| {
            let mut found = None;
            self.with_runtime(|runtime| {
                found = Some(runtime.block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone()))));
            });
            // There is a runtime until the last thread stops.
            found.unwrap_or_else(|| Waker::noop().clone())
        });
    }

    /// Drops the runtime, and what was spawned by `tokio::spawn`.
    fn shut_down(&self) {
        let runtime = self.runtime.write().unwrap_or_else(PoisonError::into_inner).take();
        // Does not wait for tokio's blocking threads, which nobody can stop.
        runtime.into_iter().for_each(Runtime::shutdown_background);
    }

    fn worker(&self, worker: usize) -> Option<&Arc<Notify>> {
        self.workers.get()?.get(worker)
    }
}

impl ParkHook for Reactor {
    fn start(&self, workers: usize) {
        let is_first = self.workers.set((0..workers).map(|_| Arc::default()).collect()).is_ok();
        assert!(is_first, "a driver can be that of one executor only");
    }

    fn park(&self, worker: usize) {
        let Some(notify) = self.worker(worker) else { return };
        let _inside = Inside::enter(self, Some(Arc::clone(notify)));
        let mut notified = pin!(notify.notified());
        let parked = poll_fn(|cx| {
            if notified.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            // The runtime polls this before it polls its tasks, if this thread drives it. Then the worker is not idle.
            let drives =
                self.waker.get().is_some_and(|waker| std::ptr::eq(cx.waker().data(), waker.data()));
            if drives && !idle::suspend() { Poll::Ready(()) } else { Poll::Pending }
        });
        self.with_runtime(|runtime| runtime.block_on(parked));
    }

    fn unpark(&self, worker: usize) {
        self.worker(worker).into_iter().for_each(|notify| notify.notify_one());
    }

    fn poll(&self) {
        let _inside = Inside::enter(self, None);
        // A future that yields is polled again after the runtime has polled its tasks and looked for events once.
        self.with_runtime(|runtime| runtime.block_on(tokio::task::yield_now()));
    }

    fn is_driven(&self) -> bool {
        // Ordering: Relaxed: see `Inside`.
        self.inside.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        // An ordinary drop would wait, and panics inside of another runtime.
        self.shut_down();
    }
}
