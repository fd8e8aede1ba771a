//! A host for tests and models: one queue, and books that allow one verdict a task.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use moirai_core::shim::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use moirai_core::shim::sync::{Arc, Mutex};
use moirai_core::{Priority, Ready, TaskId, TaskKind, TaskStatus};

use super::{Asker, Header, Host, JoinHandle, RawRunnable, TaskRef, Unlisted, Verdict};

/// The entry of the one task that a test makes: using it twice does not compile, losing it is noticed.
pub(super) struct TestEntry;

#[derive(Default)]
pub(super) struct TestHost {
    queue: Mutex<VecDeque<RawRunnable<TestHost>>>,
    /// Where the task is found by id, until its end.
    listing: Mutex<Option<Address>>,
    verdict: Mutex<Option<Verdict>>,
    pub(super) told: Mutex<Option<TaskStatus>>,
    pub(super) notes: Mutex<Vec<String>>,
    pub(super) freed: AtomicUsize,
    pub(super) polls: AtomicUsize,
}

struct Address(NonNull<Header<TestHost>>);

// SAFETY: only turned into a reference under the lock of the listing, while the task is listed.
unsafe impl Send for Address {}

pub(super) type Spawned<T> = (Arc<TestHost>, JoinHandle<T, TestHost>);

impl TestHost {
    /// A host with one queued task.
    pub(super) fn spawn<F>(future: F) -> Spawned<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let host = Arc::new(Self::default());
        // SAFETY: every test keeps the host until the cell is freed, and checks that it was.
        let cell = unsafe {
            Unlisted::new(NonNull::from(&*host), TaskKind::Async, Priority::Normal, future)
        };
        let listed = cell.list(|address| {
            *host.listing.lock() = Some(Address(address));
            Some((TaskId::from_u64(1)?, TestEntry))
        });
        let (task, handle) = listed.expect("the task is listed");
        host.queue.lock().push_back(task);
        (host, handle)
    }

    /// Runs what is queued until nothing is.
    pub(super) fn run_queued(&self) {
        loop {
            let task = self.queue.lock().pop_front();
            match task {
                Some(task) => task.run(&()),
                None => return,
            }
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.lock().len()
    }

    /// Drops what is queued.
    pub(super) fn drop_queued(&self) {
        let queued = std::mem::take(&mut *self.queue.lock());
        drop(queued);
    }

    /// The task, found by its id.
    pub(super) fn find(&self) -> Option<TaskRef<Self>> {
        let listing = self.listing.lock();
        let address = listing.as_ref()?;
        // SAFETY: the task is unlisted, under this lock, before it gives up its own reference.
        Some(unsafe { TaskRef::acquire(address.0) })
    }

    pub(super) fn status(&self) -> Option<TaskStatus> {
        self.verdict.lock().as_ref().map(|verdict| verdict.status)
    }

    #[cfg(not(moirai_loom))]
    pub(super) fn asker(&self) -> Option<Asker> {
        self.verdict.lock().as_ref().map(|verdict| verdict.asker)
    }

    #[cfg(not(moirai_loom))]
    pub(super) fn error(&self) -> Option<String> {
        self.verdict.lock().as_ref()?.error.as_deref().map(str::to_owned)
    }
}

impl Host for TestHost {
    type Entry = TestEntry;
    type Env = ();

    fn queue(&self, task: RawRunnable<Self>, _: Ready) {
        let mut queue = self.queue.lock();
        assert!(queue.is_empty(), "a second Runnable of the same task");
        queue.push_back(task);
    }

    fn is_cancelling(&self) -> bool {
        false
    }

    fn abandoned_by(&self) -> Asker {
        Asker::Shutdown
    }

    fn wants_panic_locations(&self) -> bool {
        false
    }

    fn before_poll(&self, (): &(), _: &TestEntry, _: bool) {
        // Ordering: Relaxed, a count.
        self.polls.fetch_add(1, Ordering::Relaxed);
    }

    fn after_poll(&self, (): &(), _: &TestEntry) {}

    fn finish(&self, _: Option<&()>, _: TestEntry, verdict: Verdict) {
        let before = self.verdict.lock().replace(verdict);
        assert!(before.is_none(), "a second verdict");
        *self.listing.lock() = None;
    }

    fn tell_watchers(&self, _: TaskId, status: TaskStatus) {
        let before = self.told.lock().replace(status);
        assert!(before.is_none(), "watchers told twice");
    }

    fn note(&self, _: TaskId, message: std::sync::Arc<str>) {
        self.notes.lock().push((*message).to_owned());
    }

    unsafe fn cell_freed(host: NonNull<Self>) {
        // SAFETY: tests keep the host until they have seen the count.
        let host = unsafe { host.as_ref() };
        // Ordering: Relaxed, a count.
        host.freed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Something that happens once, with room for one waker: registers, then looks again.
#[derive(Default)]
pub(super) struct Gate {
    open: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Gate {
    pub(super) fn open(&self) {
        // Ordering: Release pairs with the Acquire of `poll`.
        self.open.store(true, Ordering::Release);
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn take_waker(&self) -> Option<Waker> {
        self.waker.lock().take()
    }
}

/// Resolves when the gate is open.
pub(super) struct Wait(pub(super) Arc<Gate>);

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.open.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        *self.0.waker.lock() = Some(cx.waker().clone());
        if self.0.open.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
