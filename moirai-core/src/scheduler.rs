//! The interface between the executor and a scheduler: what a scheduler crate implements.
//!
//! A scheduler is a set of queues and nothing else: it decides in which order, and on which worker, tasks run. Starting threads,
//! putting them to sleep and waking them is the executor's work, of which a scheduler needs to know nothing. It implements two
//! traits: [`Scheduler`] is the part that all threads share, and [`LocalQueue`] is the part that each worker owns.
//!
//! # The contract
//!
//! 1. **Exactly once.** Each task that is pushed is returned by exactly one call of `pop`, `take` or `reclaim`.
//! 2. **Visible.** A task whose push returned [`Visibility::Shared`] is found by a later `pop` of *any* local queue, one whose push
//!    returned [`Visibility::Worker`] by a later `pop` of *that* worker's queue, and both by a later `take`, unless another call
//!    has taken it first. A call is *later* if the push happens before it; or if a `fence(SeqCst)` that follows the push comes
//!    before a `fence(SeqCst)` that precedes the call. The executor supplies these fences, and its guarantee that no wake-up is
//!    lost rests on this rule.
//! 3. **The slot.** A task whose push returned [`Visibility::Slot`] is found by later `pop`s of the worker that pushed it, and by
//!    another worker at the latest in the second of two consecutive `pop`s that find nothing else. Each worker has one slot: a push
//!    that puts another task there returns the visibility of the task that it displaced, which is never [`Visibility::Slot`].
//! 4. **No spurious `None`.** `pop` and `take` return `None` only if, at some moment during the call, no task was queued that rule
//!    2 lets them find. A call that loses a race for a task looks again; it does not report the queue as empty.
//! 5. **Drained.** While no other thread uses the scheduler, calling `take` until it returns `None` yields every task, wherever it
//!    is queued, slots included. The executor does this at shutdown.
//! 6. **Workers come and go.** A local queue moves between threads, and is dropped when its worker retires or when the worker's
//!    thread unwinds. Tasks that were queued through it stay in the scheduler, and rule 5 holds for them.
//! 7. **Tasks are not destroyed.** Dropping a task is sound (the executor then records it as cancelled), but a scheduler drops
//!    tasks only when it is dropped itself, and then it drops all that it has.
//! 8. **Counted.** [`len`](Scheduler::len) is exact while no task is being pushed or taken.
//! 9. **No panics and no blocking.** Only a second call of `start` may panic. No call blocks for longer than a short critical
//!    section, and within a critical section no task is run or dropped, and none is compared by user code.
//! 10. **Guarantees hold.** Order, fairness and the treatment of priorities are up to each scheduler. What it promises about them
//!     it declares in its [`Guarantees`], and that it must keep.
//! 11. **A look takes nothing.** If [`LocalQueue::has_work`] knows whether there is a task, it says so as a `pop` at that moment
//!     would: rules 2 to 4 hold for it, too, but it need not see into the slots of other workers. It may say that there is one that
//!     another worker is about to take.
//!
//! | call | called by | may take |
//! | --- | --- | --- |
//! | `start` | one thread, once | any time |
//! | `Scheduler::push`, `take`, `len` | any thread, at any time | a short critical section |
//! | `LocalQueue::push`, `pop` | the thread that holds the worker's core, once or twice for every poll of a task | nanoseconds |
//! | `has_work` | the thread that holds the worker's core, before it sleeps in a wait | nanoseconds |
//! | `prefer_injector` | the thread that holds the worker's core | nanoseconds |
//! | `reclaim` | the executor's watchdog, while the worker runs a task | a short critical section |
//! | dropping a `LocalQueue` | any thread, once | any time |
//!
//! A worker's *core* is what the worker owns, its local queue included. One thread holds it at a time, and can hand it off to
//! another, for instance before it blocks.
//!
//! Schedulers are generic over what they schedule, so that tests and models can run the very code that users get with tokens in
//! place of tasks. A scheduler that has to know more about a task than its priority requires [`Schedulable`]. The kit in
//! `moirai_scheduler::conformance` tests any scheduler against the whole contract.
//!
//! # Example
//!
//! A complete scheduler, which runs the task that was queued last first:
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
mod hints;
mod schedulable;

pub use guarantees::{Guarantees, Order};
pub use hints::Hints;
pub use schedulable::Schedulable;

use crate::Priority;

/// The reason why a worker queues a task: a hint about when, and on which worker, the task is best run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueReason {
    /// The task is new, and is a future: its spawner is likely to await it soon, so it is best run next by the same worker.
    Spawned,
    /// The task is new, and is meant to run in parallel with its spawner: a closure that computes.
    Offered,
    /// The task waited for something that has now happened. If it runs soon, and on this worker, it finds its data in the cache.
    Woken,
    /// The task yielded, or was stopped at the end of its turn: everything that was queued before it should go first. The executor
    /// also uses this reason to put back a task that it took only to see whether there was one.
    Yielded,
}

impl QueueReason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Spawned, Self::Offered, Self::Woken, Self::Yielded];
}

/// The old name of [`QueueReason`].
#[deprecated(since = "0.1.0", note = "renamed to `QueueReason`")]
pub type Ready = QueueReason;

/// The old name of [`Guarantees`].
#[deprecated(since = "0.1.0", note = "renamed to `Guarantees`")]
pub type Claims = Guarantees;

/// Which workers can find a task that was pushed. The executor decides by it which worker to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a task that others can take may be worth a wake-up"]
pub enum Visibility {
    /// Every worker finds the task. The executor wakes a sleeping worker unless one is already searching for work.
    Shared,
    /// The worker that pushed the task takes it next; other workers take it only as a last resort (rule 3). The executor wakes no
    /// worker. Only a push by a worker may return this.
    Slot,
    /// One worker, given by its index, finds the task. The executor wakes that worker if it sleeps.
    Worker(usize),
}

/// The part of a scheduler that all threads share. See the [module](self) for the contract.
pub trait Scheduler<T: Send + 'static>: Send + Sync + 'static {
    /// The part of the scheduler that one worker owns.
    type Local: LocalQueue<T>;

    /// Creates the local queues of `workers` workers. The queue at index *i* belongs to worker *i*. Tasks that were pushed before
    /// are kept.
    ///
    /// The executor calls this once. A scheduler may panic at a second call.
    fn start(&self, workers: usize) -> Vec<Self::Local>;

    /// Queues a task on behalf of a thread that is not a worker.
    ///
    /// Must not return [`Visibility::Slot`], because such a thread has no slot.
    fn push(&self, task: T, priority: Priority) -> Visibility;

    /// Takes a task on behalf of a thread that is not a worker. Returns `None` if none is queued (rules 4 and 5).
    fn take(&self) -> Option<T>;

    /// Takes a task that is queued where worker `worker` looks first and other workers look last or not at all.
    ///
    /// The executor calls this for a worker that has made no progress for a while, and pushes the task again through
    /// [`push`](Self::push), so that other workers find it. The worker may resume, and use its local queue, during the call. The
    /// default returns `None`, which is right for a scheduler whose workers all look in the same places.
    fn reclaim(&self, worker: usize) -> Option<T> {
        let _ = worker;
        None
    }

    /// Returns the number of queued tasks, wherever they are queued, slots included. It is exact while no task is being pushed or
    /// taken, and close to exact otherwise.
    fn len(&self) -> usize;

    /// Returns `true` if no task is queued, with the same precision as [`len`](Self::len).
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns which hints about tasks the scheduler reads. The executor asks once, before `start`.
    ///
    /// A hint that is not among these is not there: the task answers as if it had none. And the executor warns whoever sets it. The
    /// default is that the scheduler may read any.
    fn hints(&self) -> Hints {
        Hints::all()
    }

    /// Returns what the scheduler guarantees about order, fairness and priorities. The default guarantees nothing.
    fn guarantees(&self) -> Guarantees {
        #[expect(deprecated, reason = "schedulers that know only the old name are called by it")]
        self.claims()
    }

    /// The old name of [`guarantees`](Self::guarantees).
    #[deprecated(since = "0.1.0", note = "implement and call `guarantees`")]
    fn claims(&self) -> Guarantees {
        Guarantees::default()
    }
}

/// The part of a scheduler that one worker owns. One thread uses it at a time, but not always the same one. See the [module](self)
/// for the contract.
pub trait LocalQueue<T: Send + 'static>: Send + 'static {
    /// Queues a task on behalf of the worker. `reason` is a hint that a scheduler may disregard.
    fn push(&mut self, task: T, priority: Priority, reason: QueueReason) -> Visibility;

    /// Takes the next task for the worker, wherever in the scheduler it is queued. Returns `None` if there is none that the
    /// contract lets this worker find (rules 2 to 4).
    fn pop(&mut self) -> Option<T>;

    /// Returns whether [`pop`](Self::pop) would find a task, without taking it; `None` if the queue cannot tell.
    ///
    /// The executor asks before a worker that waits for its fork-join work goes to sleep. The default is `None`. Then the executor
    /// pops a task and pushes it back, as one that has [yielded](QueueReason::Yielded), which can cost the task its place.
    fn has_work(&mut self) -> Option<bool> {
        None
    }

    /// Makes the next [`pop`](Self::pop) look first into the injector, the queue for tasks from threads that are not workers.
    ///
    /// The executor calls this when the worker's tasks take so long that a queue which counts its `pop`s would look into the
    /// injector too rarely. The default does nothing, which is right for a queue that looks there at every `pop`.
    fn prefer_injector(&mut self) {
        #[expect(deprecated, reason = "queues that know only the old name are called by it")]
        self.look_outside();
    }

    /// Returns the worker from which a [`pop`](Self::pop) since the last call has taken tasks, if one has. If several have, it may be
    /// any of them.
    ///
    /// The executor's flight recorder asks. The default is `None`, which suits a scheduler whose workers share their queues.
    fn take_victim(&mut self) -> Option<usize> {
        None
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

    fn has_work(&mut self) -> Option<bool> {
        (**self).has_work()
    }

    fn prefer_injector(&mut self) {
        (**self).prefer_injector();
    }

    fn take_victim(&mut self) -> Option<usize> {
        (**self).take_victim()
    }

    fn look_outside(&mut self) {
        #[expect(deprecated, reason = "callers of the old name reach the queue by it")]
        (**self).look_outside();
    }
}
