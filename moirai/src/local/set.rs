//! Sets of local futures.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use async_executor::LocalExecutor;
use futures_lite::FutureExt;
use pin_project_lite::pin_project;

use super::handle::LocalHandle;

type Shared = Rc<LocalExecutor<'static>>;

thread_local! {
    /// The set whose futures the thread polls.
    static CURRENT: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// Futures that one thread runs in turns. See the [module](super).
///
/// Dropping the set drops the futures that have not ended.
#[derive(Default)]
pub struct LocalSet(Shared);

impl LocalSet {
    /// Creates a set without futures.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a future, which runs whenever [`run_until`](Self::run_until) does. A panic of the future is contained, and is what its
    /// handle returns.
    pub fn spawn_local<F>(&self, future: F) -> LocalHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn_on(&self.0, future)
    }

    /// Runs the futures of the set until this one is ready, and returns its output. The others stay in the set.
    ///
    /// Inside of the futures [`spawn_local`] spawns into this set.
    pub fn run_until<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let set = Rc::clone(&self.0);
        let running = Rc::clone(&set);
        InSet { set, future: async move { running.run(future).await } }
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSet").finish_non_exhaustive()
    }
}

/// Spawns a future that need not be `Send` into the set that runs the caller.
///
/// # Panics
///
/// Outside of a [`LocalSet`], where nothing would run it.
pub fn spawn_local<F>(future: F) -> LocalHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let set = CURRENT.with_borrow(Clone::clone);
    match set {
        Some(set) => spawn_on(&set, future),
        None => panic!(
            "`spawn_local` was called outside of a `LocalSet`: call it in a future that `LocalSet::run_until` or \
             `Moirai::spawn_pinned` runs"
        ),
    }
}

fn spawn_on<F>(set: &Shared, future: F) -> LocalHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    LocalHandle::new(set.spawn(AssertUnwindSafe(future).catch_unwind()))
}

pin_project! {
    /// A future that is polled with its set as the current one.
    struct InSet<F> {
        set: Shared,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for InSet<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        /// Makes the outer set the current one again, also when a poll unwinds.
        struct Leave(Option<Shared>);
        impl Drop for Leave {
            fn drop(&mut self) {
                let inner = CURRENT.replace(self.0.take());
                drop(inner);
            }
        }
        let this = self.project();
        let _leave = Leave(CURRENT.replace(Some(Rc::clone(this.set))));
        this.future.poll(cx)
    }
}
