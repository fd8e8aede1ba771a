//! The sleep of a worker in a hook, in which it can push, and can be busy for a while (rule 10 of the [module](super)).

use std::cell::Cell;
use std::fmt;

use super::roles::{Announced, Search, Turn};
use super::sleepers::Sleepers;

/// The sleep of a worker in a hook; see [`Sleepers::next_in_hook`]. It belongs to the thread that sleeps.
pub struct HookedSleep<'a> {
    sleepers: &'a Sleepers,
    worker: usize,
    /// `None` while the sleep is suspended, and when it is over without a notice.
    announced: Cell<Option<Announced<'a>>>,
    /// Whether the sleep was suspended, and could not be resumed.
    left: Cell<bool>,
    /// Whether it is being suspended or resumed, which may call what calls this again.
    changes: Cell<bool>,
}

impl<'a> HookedSleep<'a> {
    pub(super) fn new(mut announced: Announced<'a>) -> Self {
        // The look after the announcement has found nothing.
        announced.wakes_next = false;
        Self {
            sleepers: announced.sleepers,
            worker: announced.worker,
            announced: Cell::new(Some(announced)),
            left: Cell::new(false),
            changes: Cell::new(false),
        }
    }

    /// Returns the index of the worker.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Returns whether the worker has to leave the hook, because it was notified, or found that there was work when its sleep was
    /// resumed. A hook that returns while the sleep is suspended ends it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let Some(announced) = self.announced.take() else { return true };
        let is_over = announced.is_notified();
        self.announced.set(Some(announced));
        is_over
    }

    /// Tells the worker itself that it has made work visible in its sleep. Returns `false` if another worker has to be told, where
    /// others can find the work, because this one was notified before or is busy.
    pub fn notify_own(&self) -> bool {
        self.sleepers.wake_if_listed(self.worker)
    }

    /// Suspends the sleep, because the thread is about to run code in the hook. Returns whether the worker counts as busy now; if
    /// not, it was notified, and has to leave the hook.
    pub fn suspend(&self) -> bool {
        let Some(announced) = self.announced.take() else { return true };
        if announced.is_notified() {
            self.announced.set(Some(announced));
            return false;
        }
        // The drop takes the worker off the list. If it has been notified since, the drop passes that on.
        let _changing = self.changing();
        drop(announced);
        true
    }

    /// Returns whether the sleep is suspended.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        let announced = self.announced.take();
        let is_suspended = announced.is_none();
        self.announced.set(announced);
        is_suspended
    }

    /// Returns a guard of the change that begins, or `None` inside of another one.
    fn changing(&self) -> Option<impl Drop> {
        struct Changed<'a>(&'a Cell<bool>);
        impl Drop for Changed<'_> {
            fn drop(&mut self) {
                self.0.set(false);
            }
        }
        // Not `then_some`: a guard that is made and not used would end the other change.
        (!self.changes.replace(true)).then(|| Changed(&self.changes))
    }

    /// Resumes the sleep. Returns whether the worker may go on sleeping. If not, it has to leave the hook, because it was notified
    /// or because `has_work` returns `true`.
    ///
    /// `has_work` must return whether the worker has to stop, or there is something that the contract says that a local queue
    /// finds, and leave it there.
    pub fn resume(&self, has_work: impl FnOnce() -> bool) -> bool {
        if let Some(announced) = self.announced.take() {
            self.announced.set(Some(announced));
            return !self.is_over();
        }
        if self.left.get() {
            return false;
        }
        // Code that is called meanwhile has no say in it.
        let Some(_changing) = self.changing() else { return true };
        let announced = self.sleepers.announce(self.worker, Turn::First, None);
        if has_work() {
            self.left.set(true);
            return false;
        }
        self.announced.set(Some(announced));
        true
    }

    /// Sleeps as without a hook, until the sleep is over. Does nothing while it is suspended.
    pub fn park(&self) {
        if let Some(announced) = self.announced.take() {
            announced.wait();
            self.announced.set(Some(announced));
        }
    }

    /// Ends the sleep. Returns `None` if the worker is not counted as searching.
    pub(super) fn into_search(self) -> Option<Search<'a>> {
        self.announced.take()?.into_search()
    }
}

impl fmt::Debug for HookedSleep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookedSleep").field("worker", &self.worker).finish_non_exhaustive()
    }
}
