//! The state word of a task's cell. This file alone reads and writes it; see the rules in the [module](super).

#[cfg(not(moirai_tsan))]
use std::ptr::NonNull;

use moirai_core::shim::sync::atomic::fence;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};

/// A `Runnable` exists: the task is queued, or it is being polled.
const ACTIVE: usize = 1;
/// It was woken while it was active.
const WOKEN: usize = 1 << 1;
/// Its outcome is published. Nothing but references changes any more.
const COMPLETE: usize = 1 << 2;
/// Its handle exists.
const HANDLE: usize = 1 << 3;
/// The place for the handle's waker is lent to whoever completes the task.
const JOIN_WAKER: usize = 1 << 4;
/// It was asked to stop.
const CANCEL: usize = 1 << 5;
/// The first to ask was the executor's shutdown.
const SHUTDOWN: usize = 1 << 6;
/// Somebody waits for it by id.
const WATCHED: usize = 1 << 7;
/// The first to ask was its deadline.
const DEADLINE: usize = 1 << 8;
/// One reference.
const REFERENCE: usize = 1 << 9;
/// With this many references the process is aborted, as `Arc` does: they cannot be real.
const TOO_MANY: usize = usize::MAX / 2;

/// The state word.
#[derive(Debug)]
pub(super) struct State(AtomicUsize);

/// Who asks a task to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelReason {
    /// A handle, an id or a token.
    User,
    /// The executor's shutdown.
    Shutdown,
    /// The task's deadline.
    Deadline,
}

/// What the runner finds when it takes a task up.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PollStart {
    /// Poll it.
    Poll,
    /// It was asked to stop: do not poll it.
    Cancelled,
}

/// What the runner owes after a poll that returned `Pending`.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AfterPoll {
    /// Nothing: the task waits. The runner must not touch the cell again.
    Waits,
    /// The task was woken meanwhile: the runner queues it again.
    QueueAgain,
    /// The task was asked to stop meanwhile: the runner ends it.
    Cancelled,
}

/// What the runner owes after it has published the outcome.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Completed {
    /// Nothing: the task's reference is gone, and the runner must not touch the cell again.
    Done,
    /// These, and then to drop the task's reference.
    Remaining {
        /// Drop the output: there is no handle to take it.
        drop_output: bool,
        /// Wake the handle's waker.
        wake_handle: bool,
        /// Tell those who wait for the id.
        notify_watchers: bool,
    },
}

/// What a handle owes that goes.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HandleDropped {
    /// Drop the output, unless it was taken.
    pub(super) drop_output: bool,
    /// Drop the waker: nobody else uses its place any more.
    pub(super) drop_waker: bool,
}

/// What a waker or a canceller owes.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Nothing.
    Nothing,
    /// The task was waiting and is active now: the caller has its `Runnable` and queues it.
    Queue,
}

impl State {
    /// A task that is queued for its first poll, with a handle.
    pub(super) fn new() -> Self {
        // References: one for the time until it is complete (rule 2), one for the handle.
        Self(AtomicUsize::new(ACTIVE | HANDLE | (2 * REFERENCE)))
    }

    /// The runner takes the task up.
    pub(super) fn start_poll(&self) -> PollStart {
        // Ordering: Acquire pairs with the Release of `cancel`. What a waker did before its wake is seen either through
        // the queue (the wake made the task active) or through the exchange below.
        let mut state = self.0.load(Ordering::Acquire);
        if state & WOKEN != 0 {
            // A wake between two polls asks for nothing but the poll that now comes.
            // Ordering: Acquire pairs with the Release of `wake`: the poll sees what the waker did before.
            state = self.0.fetch_and(!WOKEN, Ordering::Acquire);
        }
        if state & CANCEL != 0 { PollStart::Cancelled } else { PollStart::Poll }
    }

    /// Whether it was asked to stop, for the runner in the middle of a poll.
    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        // Ordering: Relaxed: who does not see it yet sees it later, at the latest at the end of the poll.
        self.0.load(Ordering::Relaxed) & CANCEL != 0
    }

    /// The poll returned `Pending`.
    pub(super) fn after_poll(&self) -> AfterPoll {
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            if state & CANCEL != 0 {
                return AfterPoll::Cancelled;
            }
            let next = if state & WOKEN != 0 { state & !WOKEN } else { state & !ACTIVE };
            // Ordering: Release hands the future on to whoever activates the task next (the Acquire of `wake` and
            // `cancel`). Acquire pairs with the Release of a `wake` that found the task active.
            match self.0.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if state & WOKEN != 0 => return AfterPoll::QueueAgain,
                Ok(_) => return AfterPoll::Waits,
                Err(seen) => state = seen,
            }
        }
    }

    /// The outcome is published, the output in its place: the task is complete.
    pub(super) fn complete(&self) -> Completed {
        // Ordering: Relaxed: what is done when it shows the runner alone is the runner's own, until `drop_reference` acquires.
        let mut state = self.0.load(Ordering::Relaxed);
        if state & (HANDLE | JOIN_WAKER | WATCHED) == 0 && state / REFERENCE == 1 {
            // Rule 9: nobody is left to see that the task is complete.
            return Completed::Remaining {
                drop_output: true,
                wake_handle: false,
                notify_watchers: false,
            };
        }
        loop {
            debug_assert_eq!(
                state & (ACTIVE | COMPLETE),
                ACTIVE,
                "only the runner completes, once"
            );
            // The usual end, a handle that has not asked yet: the runner is done with the cell. The handle's reference
            // keeps it, so the task's own is not the last.
            let done = state & (HANDLE | JOIN_WAKER | WATCHED) == HANDLE;
            let next = (state | COMPLETE) & !(ACTIVE | WOKEN);
            let next = if done { next - REFERENCE } else { next };
            // Ordering: Release hands the output and the outcome to whoever sees COMPLETE, and all uses of the cell to
            // whoever frees it; Acquire takes the waker that `set_join_waker` released.
            match self.0.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if done => return Completed::Done,
                Ok(_) => {
                    return Completed::Remaining {
                        drop_output: state & HANDLE == 0,
                        wake_handle: state & JOIN_WAKER != 0,
                        notify_watchers: state & WATCHED != 0,
                    };
                }
                Err(seen) => state = seen,
            }
        }
    }

    /// Somebody wakes the task.
    pub(super) fn wake(&self) -> Wake {
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            if state & COMPLETE != 0 {
                return Wake::Nothing;
            }
            let waits = state & ACTIVE == 0;
            // WOKEN is stored even when it is set already: the exchange is what releases the caller's writes to the poll.
            let next = state | if waits { ACTIVE } else { WOKEN };
            // Ordering: Release shows the next poll what the caller did before the wake (`start_poll`, `after_poll`);
            // Acquire takes over the future that `after_poll` released.
            match self.0.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if waits => return Wake::Queue,
                Ok(_) => return Wake::Nothing,
                Err(seen) => state = seen,
            }
        }
    }

    /// Somebody asks the task to stop.
    pub(super) fn cancel(&self, reason: CancelReason) -> Wake {
        let flags = match reason {
            CancelReason::User => CANCEL,
            CancelReason::Shutdown => CANCEL | SHUTDOWN,
            CancelReason::Deadline => CANCEL | DEADLINE,
        };
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            if state & (COMPLETE | CANCEL) != 0 {
                return Wake::Nothing;
            }
            let waits = state & ACTIVE == 0;
            // Ordering: as in `wake`.
            match self.0.compare_exchange_weak(
                state,
                state | flags | ACTIVE,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) if waits => return Wake::Queue,
                Ok(_) => return Wake::Nothing,
                Err(seen) => state = seen,
            }
        }
    }

    /// Marks the task as watched, and says whether it was complete already.
    pub(super) fn watch(&self) -> bool {
        // Ordering: Acquire pairs with the Release of `complete`, for the outcome. The read-modify-write decides: either
        // this sees COMPLETE, or `complete` sees WATCHED.
        self.0.fetch_or(WATCHED, Ordering::AcqRel) & COMPLETE != 0
    }

    /// Who asked the task to stop.
    pub(super) fn reason(&self) -> CancelReason {
        // Ordering: Relaxed: the caller has seen CANCEL, which was set in the same exchange.
        match self.0.load(Ordering::Relaxed) & (SHUTDOWN | DEADLINE) {
            0 => CancelReason::User,
            SHUTDOWN => CancelReason::Shutdown,
            _ => CancelReason::Deadline,
        }
    }

    /// Whether the outcome is published.
    pub(super) fn is_complete(&self) -> bool {
        // Ordering: Acquire pairs with the Release of `complete`: the output is there.
        self.0.load(Ordering::Acquire) & COMPLETE != 0
    }

    /// Whether the handle exists. A hint, unless the caller is the handle.
    pub(super) fn has_handle(&self) -> bool {
        // Ordering: Relaxed, a hint.
        self.0.load(Ordering::Relaxed) & HANDLE != 0
    }

    /// The handle lends its waker. False if the task is complete: the waker stays the handle's.
    pub(super) fn set_join_waker(&self) -> bool {
        self.change_unless_complete(|state| state | JOIN_WAKER)
    }

    /// The handle takes its waker back. False if the task is complete: the waker stays lent for ever.
    pub(super) fn unset_join_waker(&self) -> bool {
        self.change_unless_complete(|state| state & !JOIN_WAKER)
    }

    /// Whether the waker is lent. Exact for the handle, which alone lends and takes back, until the task is complete.
    pub(super) fn has_join_waker(&self) -> bool {
        // Ordering: Acquire pairs with the Release of `release_join_waker`: the runner is done with the place.
        self.0.load(Ordering::Acquire) & JOIN_WAKER != 0
    }

    /// The runner has used the lent waker. True if the handle is gone: the waker is the runner's to drop.
    pub(super) fn release_join_waker(&self) -> bool {
        // Ordering: Release hands the place back to the handle, Acquire takes it from a handle that went meanwhile. The
        // read-modify-write decides: either this sees that HANDLE is clear, or `drop_handle` sees that JOIN_WAKER is.
        self.0.fetch_and(!JOIN_WAKER, Ordering::AcqRel) & HANDLE == 0
    }

    fn change_unless_complete(&self, change: impl Fn(usize) -> usize) -> bool {
        // Ordering: Release hands the waker to the Acquire of `complete`; Acquire on either way out: after success the
        // handle may write the waker's place, after failure it takes the output that `complete` released.
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                (state & COMPLETE == 0).then(|| change(state))
            })
            .is_ok()
    }

    /// The handle goes, and its reference with it, if nothing else is to be done for that: false if there is.
    pub(super) fn drop_idle_handle(&self) -> bool {
        // Ordering: Relaxed: only where to begin.
        let state = self.0.load(Ordering::Relaxed);
        if state & (COMPLETE | JOIN_WAKER) != 0 {
            return false;
        }
        // The task is not complete, so its own reference is there, and the handle's is not the last.
        let next = (state & !HANDLE) - REFERENCE;
        // Ordering: Release hands all uses of the cell to whoever frees it, through `complete` or `drop_reference`.
        self.0.compare_exchange(state, next, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// The handle goes. The reference stays.
    pub(super) fn drop_handle(&self) -> HandleDropped {
        // Ordering: Acquire pairs with the Release of `complete`, and of whoever gave the second last reference up.
        let state = self.0.load(Ordering::Acquire);
        if state & COMPLETE != 0 && state / REFERENCE == 1 {
            // Rule 9: the handle is alone with the cell. The runner is done with the waker, too, or its reference was there.
            return HandleDropped { drop_output: true, drop_waker: true };
        }
        // Ordering: Acquire pairs with the Release of `complete`, for the output, and of `release_join_waker`, for the waker;
        // Release lets them see that the handle is done with the cell. The read-modify-write decides: either this sees
        // COMPLETE, or `complete` sees no HANDLE.
        let state = self.0.fetch_and(!HANDLE, Ordering::AcqRel);
        HandleDropped {
            drop_output: state & COMPLETE != 0,
            drop_waker: state & (COMPLETE | JOIN_WAKER) == COMPLETE,
        }
    }

    /// One more reference.
    pub(super) fn add_reference(&self) {
        // Ordering: Relaxed, as in `Arc`: who adds a reference has one.
        if self.0.fetch_add(REFERENCE, Ordering::Relaxed) > TOO_MANY {
            std::process::abort();
        }
    }

    /// One reference less. True if it was the last: the caller frees the cell.
    pub(super) fn drop_reference(&self) -> bool {
        // Ordering: Acquire pairs with the Release below, and in `complete` and `drop_idle_handle`, of all the others.
        if self.0.load(Ordering::Acquire) / REFERENCE == 1 {
            // Rule 9.
            return true;
        }
        // Ordering: Release and the fence, as in `Arc`: all uses of the cell happen before it is freed.
        let last = self.0.fetch_sub(REFERENCE, Ordering::Release) / REFERENCE == 1;
        if last {
            #[cfg(not(moirai_tsan))]
            fence(Ordering::Acquire);
            // ThreadSanitizer does not know fences.
            #[cfg(moirai_tsan)]
            let _ = self.0.load(Ordering::Acquire);
        }
        last
    }
}

/// Which task: the address of its state word. To be compared; and, while the cell is alive, to ask whether it was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskPtr(NonNull<State>);

impl TaskPtr {
    pub(super) fn of(state: &State) -> Self {
        Self(NonNull::from(state))
    }

    /// Whether the task was asked to stop.
    ///
    /// # Safety
    ///
    /// The cell is alive.
    #[inline]
    pub(crate) unsafe fn is_cancelled(self) -> bool {
        // SAFETY: promised by the caller.
        unsafe { self.0.as_ref() }.is_cancelled()
    }
}
