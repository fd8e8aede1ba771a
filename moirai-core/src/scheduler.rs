//! What a scheduler crate implements.
//!
//! A scheduler is a set of queues, and nothing else: it decides in which order and on which worker tasks run. Starting
//! threads, putting them to sleep and waking them is the executor's work, so a scheduler needs no knowledge of it. Two
//! traits: [`Scheduler`] is the part that all threads share, [`LocalQueue`] is the part that one worker owns.
//!
//! # The contract
//!
//! 1. **Exactly once.** Each task pushed is handed out by exactly one `pop`, `take` or `reclaim`.
//! 2. **Visible.** A task whose push returned [`Visibility::Shared`] is found by a later `pop` of *any* local queue; one whose push
//!    returned [`Visibility::Worker`] by a later `pop` of *that* worker's queue; either by a later `take`: unless another call
//!    got it first. "Later" is by happens-before, with a `fence(SeqCst)` between on both sides: the executor puts these fences,
//!    and builds its promise that no wake-up is lost on this rule.
//! 3. **The slot.** A task whose push returned [`Visibility::Slot`] is found by the owner's later `pop`s, and by others at the latest
//!    when they find nothing else in two `pop`s in a row. There is one slot: a push that puts another task there returns
//!    what has become of the task that was in it, and so is not [`Visibility::Slot`].
//! 4. **No spurious nothing.** `pop` and `take` return `None` only if at some moment during the call there was no task that
//!    rule 2 lets them find: a lost race is tried again, not reported as empty.
//! 5. **Drained.** When nobody else uses the scheduler, `take` called until it says `None` hands out every task, wherever it is
//!    queued, slots included. The executor does this at shutdown.
//! 6. **Workers come and go.** A local queue moves between threads, and is dropped when its worker retires, or when its thread
//!    unwinds. What was queued through it stays in the scheduler, and rule 5 holds for it.
//! 7. **Tasks are not destroyed.** Dropping one is allowed (the executor then books it as cancelled), but a scheduler does it only
//!    when it is dropped itself, and then it drops them all.
//! 8. **Counted.** [`len`](Scheduler::len) is exact when nothing moves.
//! 9. **No panics**, except of a second `start`; and no blocking beyond short critical sections. Tasks are not run, dropped or
//!    compared by user code inside of one.
//! 10. **What it claims, it keeps.** Order, fairness and priorities are each scheduler's own. What it promises of them it says in its
//!     [`Guarantees`], and is held to.
//!
//! | call | by | may cost |
//! | --- | --- | --- |
//! | `start` | one thread, once | anything |
//! | `Scheduler::push`, `take`, `len` | any thread, at any time | a short critical section |
//! | `LocalQueue::push`, `pop` | the thread in the worker's seat | once or twice for every poll of a task: nanoseconds |
//! | `prefer_injector` | the thread in the worker's seat | nanoseconds |
//! | `reclaim` | the executor's watchdog, while the worker runs a task | a short critical section |
//! | dropping a `LocalQueue` | any thread, once | anything |
//!
//! Schedulers are generic over what they schedule, so that tests and models can drive the code that users get with tokens. One that
//! wants to know something of what it schedules asks for [`Schedulable`]. The kit `moirai_scheduler::conformance` holds any
//! scheduler to all of this.
//!
//! # Example
//!
//! A complete scheduler: the task that was queued last goes first.
//!
//! ```
//! use moirai_core::shim::sync::{Arc, Mutex};
//! use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler, Visibility};
//!
//! pub struct LastInFirstOut<T>(Arc<Mutex<Vec<T>>>);
//!
//! impl<T> LastInFirstOut<T> {
//!     pub fn new() -> Self {
//!         Self(Arc::new(Mutex::new(Vec::new())))
//!     }
//! }
//!
//! impl<T: Send + 'static> Scheduler<T> for LastInFirstOut<T> {
//!     type Local = Local<T>;
//!
//!     fn start(&self, workers: usize) -> Vec<Local<T>> {
//!         (0..workers).map(|_| Local(Arc::clone(&self.0))).collect()
//!     }
//!     fn push(&self, task: T, _: Priority) -> Visibility {
//!         self.0.lock().push(task);
//!         Visibility::Shared
//!     }
//!     fn take(&self) -> Option<T> {
//!         self.0.lock().pop()
//!     }
//!     fn len(&self) -> usize {
//!         self.0.lock().len()
//!     }
//! }
//!
//! pub struct Local<T>(Arc<Mutex<Vec<T>>>);
//!
//! impl<T: Send + 'static> LocalQueue<T> for Local<T> {
//!     fn push(&mut self, task: T, _: Priority, _: QueueReason) -> Visibility {
//!         self.0.lock().push(task);
//!         Visibility::Shared
//!     }
//!     fn pop(&mut self) -> Option<T> {
//!         self.0.lock().pop()
//!     }
//! }
//!
//! let scheduler = LastInFirstOut::new();
//! let mut workers = scheduler.start(1);
//! let _ = scheduler.push("first", Priority::Normal);
//! let _ = workers[0].push("last", Priority::Normal, QueueReason::Offered);
//! assert_eq!(workers[0].pop(), Some("last"));
//! ```

mod guarantees;
mod schedulable;

pub use guarantees::{Guarantees, Order};
pub use schedulable::Schedulable;

use crate::Priority;

/// Why a task is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueReason {
    /// It is new, and a future: its spawner is likely to wait for it soon, and then it is best run by the same worker.
    Spawned,
    /// It is new, and meant to run beside its spawner: a closure that computes.
    Offered,
    /// It waited for something that has happened. Running it soon, on this worker, finds the data in the cache.
    Woken,
    /// It gave way of its own accord, or was stopped at the end of its turn: everything queued before goes first.
    Yielded,
}

impl QueueReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Spawned, Self::Offered, Self::Woken, Self::Yielded];
}

/// Who can reach a task that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a task that others can take may be worth a wake-up"]
pub enum Visibility {
    /// Every worker. The executor wakes a sleeping worker if none is looking for work.
    Shared,
    /// The worker that pushed it takes it next; others only as a last resort. The executor wakes nobody. Only for a push by a
    /// worker.
    Slot,
    /// One worker, named by its index. The executor wakes that one, if it sleeps.
    Worker(usize),
}

/// The part of a scheduler that all threads share. See the [module](self) for the contract.
pub trait Scheduler<T: Send + 'static>: Send + Sync + 'static {
    /// The part that one worker owns.
    type Local: LocalQueue<T>;

    /// Makes the local queues of `workers` workers; called once. The queue at index *i* is that of worker *i*. What was pushed
    /// before is kept.
    fn start(&self, workers: usize) -> Vec<Self::Local>;

    /// Queues a task, from a thread that is no worker. [`Visibility::Slot`] would be a lie.
    fn push(&self, task: T, priority: Priority) -> Visibility;

    /// Takes a task, for a thread that is no worker.
    fn take(&self) -> Option<T>;

    /// Takes a task that is queued where worker `worker` looks first, and others last or not at all: for an executor that
    /// has seen that this worker does not go on, and pushes it again. May be called while it does go on. The default takes none,
    /// which is right for a scheduler whose workers all look in the same places.
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

    /// What it guarantees of order, fairness and priorities. The default guarantees nothing.
    fn guarantees(&self) -> Guarantees {
        #[expect(deprecated, reason = "schedulers that know only the old name are asked by it")]
        self.claims()
    }

    /// The old name of [`guarantees`](Self::guarantees).
    #[deprecated(since = "0.1.0", note = "implement and call `guarantees`")]
    fn claims(&self) -> Guarantees {
        Guarantees::default()
    }
}

/// The part of a scheduler that one worker owns. The right to use it can move from thread to thread.
pub trait LocalQueue<T: Send + 'static>: Send + 'static {
    /// Queues a task.
    fn push(&mut self, task: T, priority: Priority, reason: QueueReason) -> Visibility;

    /// Takes the next task, from wherever there is one.
    fn pop(&mut self) -> Option<T>;

    /// Has the next [`pop`](Self::pop) look first into the injector, where threads that are no workers queue tasks. The executor calls it
    /// when its tasks take long. A queue that looks there at each `pop` need not implement it: the default does nothing.
    fn prefer_injector(&mut self) {
        #[expect(deprecated, reason = "queues that know only the old name are told by it")]
        self.look_outside();
    }

    /// The old name of [`prefer_injector`](Self::prefer_injector).
    #[deprecated(since = "0.1.0", note = "implement and call `prefer_injector`")]
    fn look_outside(&mut self) {}
}

impl<T: Send + 'static> LocalQueue<T> for Box<dyn LocalQueue<T>> {
    fn push(&mut self, task: T, priority: Priority, reason: QueueReason) -> Visibility {
        (**self).push(task, priority, reason)
    }

    fn pop(&mut self) -> Option<T> {
        (**self).pop()
    }

    fn prefer_injector(&mut self) {
        (**self).prefer_injector();
    }
}
