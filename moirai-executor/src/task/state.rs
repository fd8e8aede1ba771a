//! The state word of a task's cell. Only this file reads and writes it; the rules are those of the [parent module](super).

use std::ptr::NonNull;

#[cfg(not(moirai_tsan))]
use moirai_core::shim::sync::atomic::fence;
use moirai_core::shim::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use moirai_core::{CancelCause, TaskId};

/// A `RawRunnable` exists: the task is queued or being polled.
const ACTIVE: usize = 1;
/// The task was woken while it was active.
const WOKEN: usize = 1 << 1;
/// The outcome is published. From now on only HANDLE, WATCHED and the references change.
const COMPLETE: usize = 1 << 2;
/// The task's handle exists.
const HANDLE: usize = 1 << 3;
/// The handle's waker is set, for the runner that completes the task (rule 6).
const JOIN_WAKER: usize = 1 << 4;
/// The task was asked to stop.
const CANCEL: usize = 1 << 5;
/// A caller waits for the task by id.
const WATCHED: usize = 1 << 6;
/// If the task was asked to stop, what did so first: a number of three bits, the place in [`CancelCause::ALL`].
const CAUSE: u32 = 7;
/// One reference.
const REFERENCE: usize = 1 << 10;
/// A reference count, with the flags below it, beyond which the process is aborted, as `Arc` does: so many references cannot be
/// real.
const TOO_MANY: usize = usize::MAX / 2;

const _: () = assert!(CancelCause::ALL.len() <= 8, "three bits hold the number of each");

/// The state word: flags in the low bits, the reference count above them. The task's id is beside it, for those who know a task by the
/// address of its state alone.
#[derive(Debug)]
pub(super) struct State {
    word: AtomicUsize,
    id: AtomicU64,
}

/// What the runner is to do with a task that it has taken from a queue.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PollStart {
    /// Poll it.
    Poll,
    /// End it without a poll: it was asked to stop.
    Cancelled,
}

/// What the runner is to do after a poll that returned `Pending`.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AfterPoll {
    /// Nothing, because the task waits. The runner must not touch the cell again.
    Waits,
    /// Queue the task again, because it was woken meanwhile.
    QueueAgain,
    /// End the task, because it was asked to stop meanwhile.
    Cancelled,
}

/// What the runner is to do after it has published the outcome.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Completed {
    /// Nothing. The task's own reference is gone, and the runner must not touch the cell again.
    Done,
    /// Drop the output, if it is in the stage, and free the cell: the runner is alone with it (rule 9).
    Alone,
    /// Do what this says, and then drop the task's own reference.
    Remaining(Remaining),
}

/// What remains to be done for a task that is complete.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remaining {
    /// Drop the output, because there is no handle to take it.
    pub(super) drop_output: bool,
    /// Wake the handle's waker, which is the runner's.
    pub(super) wake_handle: bool,
    /// Notify the callers that wait for the id.
    pub(super) notify_watchers: bool,
}

/// What a handle that is being dropped is to do.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HandleDropped {
    /// Drop the output, unless it was taken.
    pub(super) drop_output: bool,
    /// Drop what is in the place of the waker, which is the handle's.
    pub(super) drop_waker: bool,
}

/// What a waker or a canceller is to do.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Nothing.
    Nothing,
    /// Queue the task, which was waiting and is active now: the caller has its `RawRunnable`.
    Queue,
}

/// What a waker that is consumed is to do.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WakeByValue {
    /// Nothing. Its reference was dropped.
    Dropped,
    /// Queue the task, which was waiting and is active now: the caller has its `RawRunnable`. Its reference was dropped.
    DroppedAndQueue,
    /// Queue the task in the same way, and then drop the reference.
    QueueAndDrop,
    /// Drop the reference.
    Drop,
}

/// What a canceller is to do.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// What to do with the task itself.
    pub(super) wake: Wake,
    /// Whether this call was the first to ask the task to stop, and the task was watched by then, so that it may have children.
    pub(super) is_watched: bool,
}

/// What a task had come to when it was marked as watched.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StateWatched {
    /// It goes on.
    Active,
    /// It was asked to stop, and is not complete.
    Cancelled,
    /// It is complete.
    Complete,
}

impl State {
    /// Returns the state of a task that is queued for its first poll and has a handle.
    pub(super) fn new() -> Self {
        // Two references: the task's own (rule 2), and the handle's.
        Self::with(ACTIVE | HANDLE | (2 * REFERENCE))
    }

    /// Returns the state of a task that is queued for its first poll and has no handle.
    pub(super) fn detached() -> Self {
        Self::with(ACTIVE | REFERENCE)
    }

    fn with(word: usize) -> Self {
        Self { word: AtomicUsize::new(word), id: AtomicU64::new(0) }
    }

    /// Sets the task's id. To be called once, before any thread but the spawner can ask for it.
    pub(super) fn set_id(&self, id: TaskId) {
        // Ordering: Relaxed: the `RawRunnable` and the handle are made after this.
        self.id.store(id.get(), Ordering::Relaxed);
    }

    /// Returns the task's id; `None` if it has none yet.
    pub(super) fn id(&self) -> Option<TaskId> {
        // Ordering: Relaxed: the id is written before the `RawRunnable` and the handle are made, and never again.
        TaskId::from_u64(self.id.load(Ordering::Relaxed))
    }

    /// Called by the runner before a poll: clears WOKEN, and looks for CANCEL.
    pub(super) fn start_poll(&self) -> PollStart {
        // Ordering: Relaxed. What a waker did before its wake is visible through the queue if the wake made the task active, and
        // otherwise through the exchange that clears WOKEN: that of `after_poll`, or the one below. For what a canceller did, see
        // `cause`.
        let mut state = self.word.load(Ordering::Relaxed);
        if state & WOKEN != 0 {
            // A wake before this poll asks for nothing more than this poll.
            // Ordering: Acquire pairs with the Release of `wake`: the poll sees what every waker whose wake it answers did before.
            // One of them may have come after the load above.
            state = self.word.fetch_and(!WOKEN, Ordering::Acquire);
        }
        if state & CANCEL != 0 { PollStart::Cancelled } else { PollStart::Poll }
    }

    /// Returns `true` if the task was asked to stop. For the runner in the middle of a poll.
    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        // Ordering: Relaxed: a runner that does not see the bit yet sees it later, at the latest at the end of the poll.
        self.word.load(Ordering::Relaxed) & CANCEL != 0
    }

    /// Ends a poll that returned `Pending`: clears ACTIVE, unless the task was woken or asked to stop meanwhile.
    pub(super) fn after_poll(&self) -> AfterPoll {
        let mut state = self.word.load(Ordering::Relaxed);
        loop {
            if state & CANCEL != 0 {
                return AfterPoll::Cancelled;
            }
            let next = if state & WOKEN != 0 { state & !WOKEN } else { state & !ACTIVE };
            // Ordering: Release pairs with the Acquire of the `wake` or `cancel` that makes the task active next, and passes the
            // future on to it. Acquire pairs with the Release of a `wake` that found the task active: this thread queues the task
            // again, and so the next poll sees what the waker did before.
            match self.word.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if state & WOKEN != 0 => return AfterPoll::QueueAgain,
                Ok(_) => return AfterPoll::Waits,
                Err(seen) => state = seen,
            }
        }
    }

    /// Ends a poll that returned `Pending` and has asked for the next one (rule 10): the task stays active. A wake that came
    /// meanwhile asks for no more than that.
    pub(super) fn after_yield(&self) -> AfterPoll {
        // A request to stop that is not seen here is seen by `start_poll`. A wake leaves WOKEN, which `start_poll` clears.
        if self.is_cancelled() { AfterPoll::Cancelled } else { AfterPoll::QueueAgain }
    }

    /// Marks the task as complete. Called by the runner once the outcome is published and the output is in its place.
    pub(super) fn complete(&self) -> Completed {
        // Ordering: Acquire pairs with the Release of all the other references' ends, in `drop_reference`, `wake_and_drop` and
        // `drop_idle_handle`: a runner that finds itself alone frees the cell after all other uses of it.
        let mut state = self.word.load(Ordering::Acquire);
        if state & (HANDLE | JOIN_WAKER | WATCHED) == 0 && state / REFERENCE == 1 {
            // No thread is left that could see that the task is complete (rule 9).
            return Completed::Alone;
        }
        loop {
            debug_assert_eq!(
                state & (ACTIVE | COMPLETE),
                ACTIVE,
                "only the runner completes, once"
            );
            // The usual end is one with a handle that has set no waker: then the runner is done with the cell. The handle's
            // reference keeps the cell, so the task's own is not the last.
            let done = state & (HANDLE | JOIN_WAKER | WATCHED) == HANDLE;
            let next = (state | COMPLETE) & !(ACTIVE | WOKEN);
            let next = if done { next - REFERENCE } else { next };
            // Ordering: Release pairs with the Acquire of `is_complete`, `watch`, `change_unless_complete` and `drop_handle`, and
            // with that of `drop_reference`: it passes the output and the outcome to a thread that sees COMPLETE, and the cell to
            // a thread that frees it; Acquire takes the waker that `set_join_waker` released.
            match self.word.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if done => return Completed::Done,
                Ok(_) => {
                    return Completed::Remaining(Remaining {
                        drop_output: state & HANDLE == 0,
                        wake_handle: state & JOIN_WAKER != 0,
                        notify_watchers: state & WATCHED != 0,
                    });
                }
                Err(seen) => state = seen,
            }
        }
    }

    /// Makes the task active if it waits; otherwise notes the wake for the runner, unless the task is complete.
    pub(super) fn wake(&self) -> Wake {
        let mut state = self.word.load(Ordering::Relaxed);
        loop {
            if state & COMPLETE != 0 {
                return Wake::Nothing;
            }
            let waits = state & ACTIVE == 0;
            // The exchange is made even if WOKEN is set already, because it is what releases the caller's writes to the poll.
            let next = state | if waits { ACTIVE } else { WOKEN };
            // Ordering: Release pairs with the Acquire of `start_poll` and `after_poll`: the next poll sees what the caller did
            // before the wake. Acquire pairs with the Release of `after_poll`, and takes over the future.
            match self.word.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if waits => return Wake::Queue,
                Ok(_) => return Wake::Nothing,
                Err(seen) => state = seen,
            }
        }
    }

    /// Like [`wake`](Self::wake), for a waker that is consumed. Its reference is dropped in the same exchange, unless the task is
    /// complete, or it waits and the reference must keep the executor alive until the task is queued.
    pub(super) fn wake_and_drop(&self, executor_stays: bool) -> WakeByValue {
        let mut state = self.word.load(Ordering::Relaxed);
        loop {
            if state & COMPLETE != 0 {
                return WakeByValue::Drop;
            }
            let waits = state & ACTIVE == 0;
            // The task is not complete, so its own reference exists (rule 2), and the caller's is not the last. If the task is made
            // active, that one stays until the caller has queued the `RawRunnable`.
            let drops = !waits || executor_stays;
            let next = state | if waits { ACTIVE } else { WOKEN };
            let next = if drops { next - REFERENCE } else { next };
            // Ordering: as in `wake`. Release also pairs with the Acquire of `complete` and `drop_reference`: all uses of the cell by
            // the caller happen before it is freed.
            match self.word.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if !waits => return WakeByValue::Dropped,
                Ok(_) if drops => return WakeByValue::DroppedAndQueue,
                Ok(_) => return WakeByValue::QueueAndDrop,
                Err(seen) => state = seen,
            }
        }
    }

    /// Asks the task to stop, and makes it active if it waits. Does nothing if it was asked before, or is complete.
    pub(super) fn cancel(&self, cause: CancelCause) -> Asked {
        let flags = CANCEL | (cause as usize) << CAUSE;
        let mut state = self.word.load(Ordering::Relaxed);
        loop {
            if state & (COMPLETE | CANCEL) != 0 {
                return Asked { wake: Wake::Nothing, is_watched: false };
            }
            let waits = state & ACTIVE == 0;
            // Ordering: Release pairs with the Acquire of `cause`. Acquire pairs with the Release of `after_poll`, and takes over
            // the future; and with that of `watch`, for the id.
            match self.word.compare_exchange_weak(
                state,
                state | flags | ACTIVE,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    let wake = if waits { Wake::Queue } else { Wake::Nothing };
                    return Asked { wake, is_watched: state & WATCHED != 0 };
                }
                Err(seen) => state = seen,
            }
        }
    }

    /// Marks the task as watched, and returns what it had come to.
    pub(super) fn watch(&self) -> StateWatched {
        // Ordering: Acquire pairs with the Release of `complete`, for the outcome. Release pairs with the Acquire of `cancel`: a
        // canceller that sees WATCHED, set for a child, sees the id, which the parent had when it spawned the child. Where the caller waits is under a lock, which it
        // holds during this call. The read-modify-write decides: either this sees COMPLETE or CANCEL, or `complete` or `cancel` sees
        // WATCHED.
        let before = self.word.fetch_or(WATCHED, Ordering::AcqRel);
        if before & COMPLETE != 0 {
            StateWatched::Complete
        } else if before & CANCEL != 0 {
            StateWatched::Cancelled
        } else {
            StateWatched::Active
        }
    }

    /// Returns what was the first to ask the task to stop. The caller must have seen CANCEL.
    ///
    /// Every runner that ends a task as cancelled calls it before it drops the future.
    pub(super) fn cause(&self) -> CancelCause {
        // The caller has seen CANCEL, which was set in the same exchange as the number.
        // Ordering: Acquire pairs with the Release of `cancel`: the future's destructor sees what the canceller did before.
        CancelCause::ALL[self.word.load(Ordering::Acquire) >> CAUSE & 0b111]
    }

    /// Returns `true` if there is a `RawRunnable` of the task, or it is being polled.
    pub(super) fn is_active(&self) -> bool {
        // Ordering: Relaxed: what is seen may be over when it is told.
        self.word.load(Ordering::Relaxed) & ACTIVE != 0
    }

    /// Returns `true` if the task is complete.
    pub(super) fn is_complete(&self) -> bool {
        // Ordering: Acquire pairs with the Release of `complete`: the caller sees the output.
        self.word.load(Ordering::Acquire) & COMPLETE != 0
    }

    /// Returns `true` if the handle exists. A hint, unless the caller is the handle.
    pub(super) fn has_handle(&self) -> bool {
        // Ordering: Relaxed, a hint.
        self.word.load(Ordering::Relaxed) & HANDLE != 0
    }

    /// Sets JOIN_WAKER for the handle. Returns `false` if the task is complete: then the place of the waker stays the handle's.
    pub(super) fn set_join_waker(&self) -> bool {
        self.change_unless_complete(|state| state | JOIN_WAKER)
    }

    /// Clears JOIN_WAKER for the handle. Returns `false` if the task is complete: then the waker is the runner's.
    pub(super) fn unset_join_waker(&self) -> bool {
        self.change_unless_complete(|state| state & !JOIN_WAKER)
    }

    /// Returns `true` if JOIN_WAKER is set. For the handle, which alone changes the bit.
    pub(super) fn has_join_waker(&self) -> bool {
        // Ordering: Relaxed: the caller has set or cleared the bit itself, or the thread that passed the handle on has.
        self.word.load(Ordering::Relaxed) & JOIN_WAKER != 0
    }

    fn change_unless_complete(&self, change: impl Fn(usize) -> usize) -> bool {
        // Ordering: Release pairs with the Acquire of `complete`, and passes the waker on to it. Acquire pairs, on failure, with
        // the Release of `complete`: the handle may take the output. On success it needs no partner, because no other thread
        // touches the place of the waker before COMPLETE is set.
        self.word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                (state & COMPLETE == 0).then(|| change(state))
            })
            .is_ok()
    }

    /// Drops the handle together with its reference, if that is all there is to do. Returns `false`, and changes nothing, if it is
    /// not, or if the state changed meanwhile.
    pub(super) fn drop_idle_handle(&self) -> bool {
        // Ordering: Relaxed: only the value to begin with.
        let state = self.word.load(Ordering::Relaxed);
        if state & (COMPLETE | JOIN_WAKER) != 0 {
            return false;
        }
        // The task is not complete, so its own reference exists, and the handle's is not the last.
        let next = (state & !HANDLE) - REFERENCE;
        // Ordering: Release pairs with the Acquire of `complete` and `drop_reference`: all uses of the cell by the handle happen
        // before it is freed.
        self.word.compare_exchange(state, next, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Clears HANDLE, for a handle that is being dropped. Its reference stays, and is dropped by the caller.
    pub(super) fn drop_handle(&self) -> HandleDropped {
        // Ordering: Acquire pairs with the Release of `complete`, and with that of the `drop_reference` that dropped the second
        // last reference.
        let state = self.word.load(Ordering::Acquire);
        if state & COMPLETE != 0 && state / REFERENCE == 1 {
            // The handle is alone with the cell (rule 9).
            return HandleDropped { drop_output: true, drop_waker: state & JOIN_WAKER == 0 };
        }
        // Ordering: Acquire pairs with the Release of `complete`, for the output. Release pairs with the Acquire of `complete`, which
        // sees that the handle is done with the stage. The read-modify-write decides: either this sees COMPLETE, or `complete` sees
        // that HANDLE is clear.
        let state = self.word.fetch_and(!HANDLE, Ordering::AcqRel);
        HandleDropped {
            drop_output: state & COMPLETE != 0,
            drop_waker: state & (COMPLETE | JOIN_WAKER) == COMPLETE,
        }
    }

    /// Adds a reference. Aborts the process if there are too many.
    pub(super) fn add_reference(&self) {
        // Ordering: Relaxed, as in `Arc`: a thread that adds a reference has one, or holds the lock on the task's listing.
        if self.word.fetch_add(REFERENCE, Ordering::Relaxed) > TOO_MANY {
            std::process::abort();
        }
    }

    /// Drops a reference. Returns `true` if it was the last: then the caller must free the cell.
    pub(super) fn drop_reference(&self) -> bool {
        // Ordering: Acquire pairs with the Release of all the other references' ends: below, in `complete`, `wake_and_drop` and
        // `drop_idle_handle`.
        if self.word.load(Ordering::Acquire) / REFERENCE == 1 {
            // The caller is alone with the cell (rule 9).
            return true;
        }
        // Ordering: Release pairs with the Acquire above, or with the fence below, of the thread that drops the last reference; the
        // fence also pairs with the Release of `complete`, `wake_and_drop` and `drop_idle_handle`. As in `Arc`, all uses of the cell
        // happen before it is freed.
        let last = self.word.fetch_sub(REFERENCE, Ordering::Release) / REFERENCE == 1;
        if last {
            #[cfg(not(moirai_tsan))]
            fence(Ordering::Acquire);
            // ThreadSanitizer does not understand fences, so a load takes the place of this one.
            #[cfg(moirai_tsan)]
            let _ = self.word.load(Ordering::Acquire);
        }
        last
    }

    /// Ends the word's life in a model, in which loom reports an access that does not happen before.
    #[cfg(moirai_loom)]
    pub(super) fn retire(&mut self) {
        self.word.with_mut(|_| ());
    }
}

/// Identifies a task by the address of its state word. It can be compared and, while the cell is alive, asked whether the task was
/// cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskPtr(NonNull<State>);

impl TaskPtr {
    pub(super) fn of(state: &State) -> Self {
        Self(NonNull::from(state))
    }

    /// The address that identifies the task.
    #[inline]
    pub(crate) const fn address(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    /// Returns `true` if the task was asked to stop.
    ///
    /// # Safety
    ///
    /// The cell must be alive.
    #[inline]
    pub(crate) unsafe fn is_cancelled(self) -> bool {
        // SAFETY: the caller guarantees that the cell is alive, and the state word is a part of it.
        unsafe { self.0.as_ref() }.is_cancelled()
    }

    /// Returns the task's id.
    ///
    /// # Safety
    ///
    /// The cell must be alive.
    pub(crate) unsafe fn id(self) -> TaskId {
        // SAFETY: as in `is_cancelled`.
        unsafe { self.0.as_ref() }.id().expect("a task that runs has its id")
    }
}
