//! A scheduler that learns which tasks compute for long, and runs the others first.
//!
//! # When to use it
//!
//! When some tasks compute for long between two awaits, and others should not wait for them: a service whose handlers compute for a
//! millisecond, with pings, timeouts and I/O beside them. A task that is queued behind a dozen such handlers waits for all of them,
//! and a request whose handler awaits three times waits three times. Here what takes microseconds goes before what takes
//! milliseconds, as in *shortest job first*, which minimizes the mean time of waiting; a request then waits once, for its own turn
//! to compute.
//!
//! The lengths are estimates: the executor measures how long polls take, for each async block, function or closure in the source
//! and each of its first polls ([`Schedulable::expected_poll`]). A poll whose estimate reaches the
//! [threshold](ShortFirst::threshold) is *long*; every other one is *short*, those of which nothing is known among them.
//!
//! # Where a task goes, and where a worker looks
//!
//! As with [`WorkStealing`], with these differences:
//!
//! - A normal task whose next poll is long goes into one queue for all workers, whoever pushes it. The queue is in order of
//!   arrival, so no batch of long tasks is ever behind a poll of one worker while another has nothing to do.
//! - A worker takes a long task when it has found no short one: not in its own queue, nor in the injector, nor in the queues of the
//!   other workers. So while a worker computes, the short tasks in its queue are run by the next worker that is free.
//! - After [`SHORT_RUN`] short tasks in a row that went before a long one, the long task that has waited longest is next.
//! - While a worker runs a long task, what it wakes or spawns does not go into its slot, where only this worker would find it.
//!
//! # Guarantees
//!
//! All bounds of [`WorkStealing`], of which those for normal tasks become longer by one turn of the long tasks in [`SHORT_RUN`].
//! The queue of the long tasks waits for at most [`SHORT_RUN`] short ones in a row, so no task can wait forever. A task is as
//! urgent as its priority says: whether it is long decides only among normal tasks. Critical, high and low ones keep the order of
//! their pushes.

use std::fmt;
use std::time::Duration;

use moirai_core::shim::sync::Arc;
use moirai_core::{
    Guarantees, Hints, LocalQueue, Priority, QueueReason, Schedulable, Scheduler, Visibility,
};

use crate::queue::Injector;
use crate::work_stealing::{
    ELEVATED_RUN, INJECTOR_EVERY, LOW_EVERY, WorkStealing, WorkStealingLocal,
};

/// The number of short tasks that a worker takes in a row while a long one waits.
pub const SHORT_RUN: u32 = 61;

/// A poll that is expected to take this long, or longer, is long, unless another [threshold](ShortFirst::threshold) is set.
pub const DEFAULT_THRESHOLD: Duration = Duration::from_micros(100);

/// The bounds of [`WorkStealing`], computed as there, with the turns of long tasks among the normal ones.
const FAIRNESS: u32 = {
    let short = INJECTOR_EVERY + INJECTOR_EVERY / SHORT_RUN + 1;
    let normal = short * (ELEVATED_RUN + 1);
    normal + normal / (LOW_EVERY - 1) + 2
};

/// A turn of the low band, and one of a normal task after a run of elevated ones.
const INVERSION: u32 = 2;

/// A scheduler that runs tasks whose polls were short before those whose polls were long. See the [module](self).
///
/// ```
/// # use std::time::Duration;
/// # #[derive(Debug, PartialEq)] struct Token(u64, u64);
/// # impl moirai_core::Schedulable for Token {
/// #     fn number(&self) -> u64 { self.0 }
/// #     fn expected_poll(&self) -> Option<Duration> { Some(Duration::from_micros(self.1)) }
/// # }
/// use moirai_core::{LocalQueue, Priority, Scheduler};
/// use moirai_scheduler::ShortFirst;
///
/// let scheduler = ShortFirst::new();
/// let mut worker = scheduler.start(1).remove(0);
/// // A number, and how many microseconds its poll is expected to take.
/// let _ = scheduler.push(Token(1, 1_000), Priority::Normal);
/// let _ = scheduler.push(Token(2, 3), Priority::Normal);
/// assert_eq!(worker.pop(), Some(Token(2, 3)));
/// assert_eq!(worker.pop(), Some(Token(1, 1_000)));
/// ```
pub struct ShortFirst<T> {
    /// The queues of all tasks but the long ones.
    queues: WorkStealing<T>,
    /// The normal tasks whose next poll is long.
    long: Arc<Injector<T>>,
    /// In nanoseconds.
    threshold: u64,
}

/// The local queue of one worker of a [`ShortFirst`] scheduler.
pub struct ShortFirstLocal<T> {
    queues: WorkStealingLocal<T>,
    turns: Turns<T>,
    /// In nanoseconds.
    threshold: u64,
}

/// What a worker needs to know to choose between short and long tasks.
struct Turns<T> {
    long: Arc<Injector<T>>,
    /// The number of short tasks taken in a row while a long one waited.
    short_run: u32,
    /// Whether the last `pop` took a long task.
    in_long: bool,
    /// Whether the last `pop` found nothing.
    found_nothing: bool,
}

impl<T: Schedulable> ShortFirst<T> {
    /// Creates a scheduler for which polls of [`DEFAULT_THRESHOLD`] or more are long.
    #[must_use]
    pub fn new() -> Self {
        Self {
            queues: WorkStealing::new(),
            long: Arc::new(Injector::new()),
            threshold: nanos(DEFAULT_THRESHOLD),
        }
    }

    /// Sets from which length on a poll is long. With a threshold of zero, all polls are long of which anything is known.
    #[must_use]
    pub fn threshold(mut self, threshold: Duration) -> Self {
        self.threshold = nanos(threshold);
        self
    }
}

impl<T: Schedulable> Default for ShortFirst<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns whether a task belongs into the queue of the long ones.
#[inline]
fn is_long(task: &impl Schedulable, priority: Priority, threshold: u64) -> bool {
    priority == Priority::Normal && task.expects_poll_of(threshold)
}

/// Returns a duration in nanoseconds; one of more than 584 years becomes those.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl<T: Schedulable> Scheduler<T> for ShortFirst<T> {
    type Local = ShortFirstLocal<T>;

    /// # Panics
    ///
    /// If it is called a second time.
    fn start(&self, workers: usize) -> Vec<Self::Local> {
        let local = |queues| ShortFirstLocal {
            queues,
            turns: Turns {
                long: Arc::clone(&self.long),
                short_run: 0,
                in_long: false,
                found_nothing: false,
            },
            threshold: self.threshold,
        };
        self.queues.start(workers).into_iter().map(local).collect()
    }

    fn push(&self, task: T, priority: Priority) -> Visibility {
        if is_long(&task, priority, self.threshold) {
            self.long.push(task);
            return Visibility::Shared;
        }
        self.queues.push(task, priority)
    }

    fn take(&self) -> Option<T> {
        let normal = || self.queues.take_normal().or_else(|| self.long.steal());
        self.queues.take_elevated().or_else(normal).or_else(|| self.queues.take_last())
    }

    fn reclaim(&self, worker: usize) -> Option<T> {
        self.queues.reclaim(worker)
    }

    fn len(&self) -> usize {
        self.queues.len() + self.long.len()
    }

    fn claims(&self) -> Guarantees {
        self.guarantees()
    }

    fn hints(&self) -> Hints {
        Hints::none().poll_estimates()
    }

    fn guarantees(&self) -> Guarantees {
        Guarantees::none().fairness(FAIRNESS).inversion(INVERSION)
    }
}

impl<T: Schedulable> LocalQueue<T> for ShortFirstLocal<T> {
    #[inline]
    fn push(&mut self, task: T, priority: Priority, reason: QueueReason) -> Visibility {
        if is_long(&task, priority, self.threshold) {
            self.turns.long.push(task);
            return Visibility::Shared;
        }
        // What is in the slot of a worker that computes for long would have to wait for it.
        let reason = if self.turns.in_long { QueueReason::Offered } else { reason };
        self.queues.push(task, priority, reason)
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        let Self { queues, turns, .. } = self;
        turns.in_long = false;
        let found = queues.find_in_bands(|queues| turns.find_normal_task(queues));
        turns.found_nothing = found.is_none();
        found
    }

    fn has_work(&mut self) -> Option<bool> {
        if self.turns.long.is_empty() { self.queues.has_work() } else { Some(true) }
    }

    fn look_outside(&mut self) {
        self.prefer_injector();
    }

    #[inline]
    fn prefer_injector(&mut self) {
        self.queues.prefer_injector();
    }
}

impl<T: Schedulable> Turns<T> {
    /// Looks for a normal or a low task.
    #[inline(always)]
    fn find_normal_task(&mut self, queues: &mut WorkStealingLocal<T>) -> Option<T> {
        let long_waits = !self.long.is_empty();
        if long_waits
            && self.short_run >= SHORT_RUN
            && let Some(task) = self.take_long()
        {
            return Some(task);
        }
        if let Some(task) = queues.find_normal() {
            self.short_run = if long_waits { self.short_run + 1 } else { 0 };
            return Some(task);
        }
        self.find_long_or_low(queues)
    }

    #[inline(never)]
    fn find_long_or_low(&mut self, queues: &mut WorkStealingLocal<T>) -> Option<T> {
        self.take_long()
            .or_else(|| queues.bands().take_low())
            .or_else(|| queues.find_in_slots(self.found_nothing))
    }

    fn take_long(&mut self) -> Option<T> {
        self.short_run = 0;
        let task = self.long.steal();
        self.in_long = task.is_some();
        task
    }
}

impl<T> fmt::Debug for ShortFirst<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threshold = Duration::from_nanos(self.threshold);
        f.debug_struct("ShortFirst").field("threshold", &threshold).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ShortFirstLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShortFirstLocal").field("queues", &self.queues).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    /// A number, and how many microseconds the next poll is expected to take.
    #[derive(Debug, PartialEq)]
    struct Token(u64, Option<u64>);

    impl Schedulable for Token {
        fn number(&self) -> u64 {
            self.0
        }

        fn expected_poll(&self) -> Option<Duration> {
            self.1.map(Duration::from_micros)
        }
    }

    const LONG: Option<u64> = Some(1_000);

    fn started(workers: usize) -> (ShortFirst<Token>, Vec<ShortFirstLocal<Token>>) {
        let scheduler = ShortFirst::new();
        let locals = scheduler.start(workers);
        (scheduler, locals)
    }

    fn number(local: &mut ShortFirstLocal<Token>) -> Option<u64> {
        local.pop().map(|token| token.0)
    }

    #[test]
    fn short_and_unknown_tasks_go_before_long_ones_each_in_order_of_arrival() {
        let (scheduler, mut locals) = started(1);
        for (number, poll) in [(1, LONG), (2, None), (3, Some(99)), (4, Some(100)), (5, Some(1))] {
            let _ = scheduler.push(Token(number, poll), Priority::Normal);
        }
        assert_eq!(scheduler.len(), 5);
        let came: Vec<_> = std::iter::from_fn(|| number(&mut locals[0])).collect();
        assert_eq!(came, [2, 3, 5, 1, 4]);
    }

    #[test]
    fn the_threshold_can_be_set() {
        let scheduler = ShortFirst::new().threshold(Duration::from_millis(10));
        let mut local = scheduler.start(1).remove(0);
        let _ = scheduler.push(Token(1, LONG), Priority::Normal);
        let _ = scheduler.push(Token(2, None), Priority::Normal);
        assert_eq!(number(&mut local), Some(1));
    }

    #[test]
    fn a_long_task_is_passed_over_by_a_bounded_number_of_short_ones() {
        let (_scheduler, mut locals) = started(1);
        let local = &mut locals[0];
        let _ = local.push(Token(0, LONG), Priority::Normal, QueueReason::Woken);
        for number in 1..=200 {
            let _ = local.push(Token(number, None), Priority::Normal, QueueReason::Yielded);
        }
        let passed = (0..200).take_while(|_| number(local) != Some(0)).count();
        assert_eq!(passed, SHORT_RUN as usize);
    }

    #[test]
    fn short_tasks_of_a_worker_that_computes_go_before_long_ones_on_another() {
        let (_scheduler, mut locals) = started(2);
        let [busy, free] = &mut locals[..] else { unreachable!() };
        let _ = busy.push(Token(1, LONG), Priority::Normal, QueueReason::Woken);
        assert_eq!(number(busy), Some(1));
        // The worker runs this task now, and wakes others meanwhile.
        for (number, poll) in [(2, LONG), (3, None)] {
            let visibility = busy.push(Token(number, poll), Priority::Normal, QueueReason::Woken);
            assert_eq!(visibility, Visibility::Shared);
        }
        assert_eq!([number(free), number(free), number(free)], [Some(3), Some(2), None]);
    }

    #[test]
    fn what_a_short_task_wakes_is_left_to_its_worker() {
        let (_scheduler, mut locals) = started(2);
        let _ = locals[0].push(Token(1, None), Priority::Normal, QueueReason::Offered);
        assert_eq!(number(&mut locals[0]), Some(1));
        let visibility = locals[0].push(Token(2, None), Priority::Normal, QueueReason::Woken);
        assert_eq!(visibility, Visibility::Slot);
        assert_eq!(number(&mut locals[1]), None);
    }

    #[test]
    fn the_length_decides_only_among_normal_tasks() {
        let (scheduler, mut locals) = started(1);
        let pushed = [
            (1, Priority::Low, None),
            (2, Priority::Normal, LONG),
            (3, Priority::High, LONG),
            (4, Priority::High, None),
        ];
        for (number, priority, poll) in pushed {
            let _ = scheduler.push(Token(number, poll), priority);
        }
        let came: Vec<_> = std::iter::from_fn(|| number(&mut locals[0])).collect();
        assert_eq!(came, [3, 4, 2, 1]);
        // The same for a thread that is not a worker.
        for (number, priority, poll) in pushed {
            let _ = scheduler.push(Token(number, poll), priority);
        }
        let taken: Vec<_> = std::iter::from_fn(|| scheduler.take().map(|token| token.0)).collect();
        assert_eq!(taken, [3, 4, 2, 1]);
    }

    #[test]
    fn a_worker_knows_of_long_tasks_without_taking_them() {
        let (scheduler, mut locals) = started(1);
        assert_eq!(locals[0].has_work(), Some(false));
        let _ = scheduler.push(Token(1, LONG), Priority::Normal);
        assert_eq!(locals[0].has_work(), Some(true));
    }
}
