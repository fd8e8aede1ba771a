//! What a scheduler crate implements.
//!
//! A scheduler is a set of queues, and nothing else: it decides in which order and on which worker tasks run. Starting
//! threads, putting them to sleep and waking them is the executor's work, so a scheduler needs no knowledge of it. Two
//! traits: [`Scheduler`] is the part that all threads share, [`LocalQueue`] is the part that one worker owns.
//!
//! # The contract
//!
//! 1. **Exactly once.** Each task pushed is handed out by exactly one `pop` or `take`.
//! 2. **Visible.** A task whose `push` returned [`Visibility::Shared`] is found by a later `pop` of *any* local queue, or
//!    by a later `take`, unless another call got it first. "Later" is by happens-before, with a `fence(SeqCst)` between on
//!    both sides: the executor puts these fences, and builds its promise that no wake-up is lost on this rule.
//! 3. **Reachable.** A task whose `push` returned [`Visibility::Slot`] is found by the owner's next `pop`, and by other
//!    workers' at the latest when they find nothing else in two `pop`s in a row.
//! 4. **No spurious nothing.** `pop` and `take` return `None` only if at some moment during the call there was no task that
//!    rule 2 lets them find: a lost race is tried again, not reported as empty.
//! 5. **Any scheduler holds tasks of many kinds.** Dropping a task is allowed (the executor then books it as cancelled), but
//!    a scheduler does it only when it is dropped itself.
//! 6. **No blocking** beyond short critical sections, and no panics.
//!
//! Schedulers are generic over what they schedule, so that tests and models can drive them with tokens.

use crate::Priority;

/// Why a task is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ready {
    /// It is new, and a future: its spawner is likely to wait for it soon, and then it is best run by the same worker.
    Spawned,
    /// It is new, and meant to run beside its spawner: a closure that computes.
    Offered,
    /// It waited for something that has happened. Running it soon, on this worker, finds the data in the cache.
    Woken,
    /// It gave way of its own accord, or was stopped at the end of its turn: everything queued before goes first.
    Yielded,
}

/// Who can reach a task that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a task that others can take may be worth a wake-up"]
pub enum Visibility {
    /// Every worker. The executor wakes a sleeping worker if none is looking for work.
    Shared,
    /// The worker that pushed it takes it next; others only as a last resort. The executor wakes nobody.
    Slot,
}

/// The part of a scheduler that all threads share. See the [module](self) for the contract.
pub trait Scheduler<T: Send + 'static>: Send + Sync + 'static {
    /// The part that one worker owns.
    type Local: LocalQueue<T>;

    /// Makes the local queues of `workers` workers; called once, before anything is pushed. The queue at index *i* is
    /// that of worker *i*.
    fn start(&self, workers: usize) -> Vec<Self::Local>;

    /// Queues a task, from a thread that is no worker. Always [`Visibility::Shared`].
    fn push(&self, task: T, priority: Priority);

    /// Takes a task, for a thread that is no worker.
    fn take(&self) -> Option<T>;

    /// Takes a task that is queued where worker `worker` looks first, and others last or not at all: for an executor that
    /// has seen that this worker does not go on. May be called while it does. The default takes none, which is right for
    /// a scheduler whose workers all look in the same places.
    fn reclaim(&self, worker: usize) -> Option<T> {
        let _ = worker;
        None
    }

    /// How many tasks are queued, everywhere, slots included. Exact when nothing moves, close to it otherwise.
    fn len(&self) -> usize;

    /// Whether nothing is queued, as exact as [`len`](Self::len).
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The part of a scheduler that one worker owns. The right to use it can move from thread to thread.
pub trait LocalQueue<T: Send + 'static>: Send + 'static {
    /// Queues a task.
    fn push(&mut self, task: T, priority: Priority, ready: Ready) -> Visibility;

    /// Takes the next task, from wherever there is one.
    fn pop(&mut self) -> Option<T>;

    /// Has the next [`pop`](Self::pop) look first for what came from threads that are no workers: said by an executor whose
    /// tasks take long. The default does nothing, which is right for a queue that looks there each time.
    fn look_outside(&mut self) {}
}
