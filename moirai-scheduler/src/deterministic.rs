//! A scheduler whose order is drawn from a seed.
//!
//! # When to use it
//!
//! In simulation: `moirai::sim` runs a whole executor around it on a single thread, so that the same seed gives the same run. In an
//! ordinary executor, whose workers run at speeds of their own, it shuffles the tasks. That finds bugs, too, but cannot be
//! replayed.
//!
//! # Guarantees
//!
//! - A single thread that makes the same calls in the same order gets the same tasks, on every machine.
//! - Every task that waits can be next. There is no order and no fairness, and priorities are disregarded: code that depends on any
//!   of these is to be found out.
//!
//! # Two ways to draw
//!
//! [`Strategy::Uniform`]: each waiting task has the same chance to be next. This finds bugs that need many small surprises.
//!
//! [`Strategy::Pct`], for *probabilistic concurrency testing* (Burckhardt, Kothari, Musuvathi and Nagarakatti, 2010): each task has
//! a random priority, and the highest always goes first; at `depth` − 1 randomly chosen steps the task that would go next falls
//! below all others, for good. A bug of *depth* d is one that shows whenever d steps come in the right order. In a run of n tasks
//! and k steps this strategy finds it with a probability of at least 1 / (n·k^(d−1)); if tasks are drawn uniformly, the chance can
//! be exponentially small. A task that [yields](QueueReason::Yielded) waits behind all others once, or draws another priority for
//! that one time, with equal chances: so a task that polls for something does not keep it from happening.

use std::collections::BinaryHeap;
use std::fmt;

use moirai_core::shim::sync::{Arc, Mutex};
use moirai_core::{LocalQueue, Priority, QueueReason, Schedulable, Scheduler, Visibility};

use crate::ranked::Ranked;
use crate::rng::{SplitMix64, mix};

/// A scheduler whose order is drawn from a seed. See the [module](self). A clone is a handle to the same scheduler.
///
/// ```
/// # #[derive(Debug, PartialEq)] struct Token(u64);
/// # impl moirai_core::Schedulable for Token { fn number(&self) -> u64 { self.0 } }
/// use moirai_core::{LocalQueue, Priority, Scheduler};
/// use moirai_scheduler::Deterministic;
///
/// let order = |seed| {
///     let scheduler = Deterministic::new(seed);
///     let mut worker = scheduler.start(1).remove(0);
///     for number in 0..8 {
///         let _ = scheduler.push(Token(number), Priority::Normal);
///     }
///     std::iter::from_fn(|| worker.pop()).map(|token| token.0).collect::<Vec<_>>()
/// };
/// assert_eq!(order(1), order(1));
/// assert_ne!(order(1), order(2));
/// ```
pub struct Deterministic<T>(Arc<Mutex<DrawState<T>>>);

/// The local queue of one worker of a [`Deterministic`] scheduler.
pub struct DeterministicLocal<T>(Deterministic<T>);

/// The way in which the next task is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// Each waiting task has the same chance.
    Uniform,
    /// By random priorities, which change `depth` − 1 times.
    Pct {
        /// The depth of the bugs to be found; zero counts as one, and more than 1,000 as 1,000.
        depth: u32,
        /// The approximate number of steps in a run, over which the changes are spread. Zero counts as one.
        steps: u64,
    },
}

impl Strategy {
    /// Draws a strategy from the seed: half of the seeds draw uniformly, and the others by priorities, for bugs of depth one to
    /// four in runs of 16 to 65,536 steps.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = SplitMix64::new(mix(!seed));
        if rng.below(2) == 0 {
            return Self::Uniform;
        }
        let depth = 1 + u32::try_from(rng.below(4)).unwrap_or(0);
        Self::Pct { depth, steps: 16 << rng.below(13) }
    }
}

struct DrawState<T> {
    rng: SplitMix64,
    ready: ReadySet<T>,
}

/// The tasks that wait.
enum ReadySet<T> {
    Uniform(Vec<T>),
    Pct(Pct<T>),
}

struct Pct<T> {
    heap: BinaryHeap<Ranked<(Rank, u64), T>>,
    /// The number from which, with the number of each task, the priorities are made.
    salt: u64,
    /// The steps at which the next task falls, in descending order.
    changes: Vec<u64>,
    /// The tasks that have fallen; the first is the highest of them.
    fallen: Vec<u64>,
    steps: u64,
    pushed: u64,
}

/// The rank of a waiting task. The greatest goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The task yielded; one that yielded later ranks lower.
    Yielded(u64),
    /// The task fell at a change of priorities; one that fell later ranks lower.
    Fallen(u64),
    Drawn(u64),
}

impl<T: Schedulable> Deterministic<T> {
    /// Creates a scheduler without tasks, whose [strategy](Strategy::of_seed) is drawn from the seed, too.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_strategy(seed, Strategy::of_seed(seed))
    }

    /// Creates a scheduler without tasks.
    #[must_use]
    pub fn with_strategy(seed: u64, strategy: Strategy) -> Self {
        let mut rng = SplitMix64::new(mix(seed));
        let ready = match strategy {
            Strategy::Uniform => ReadySet::Uniform(Vec::new()),
            Strategy::Pct { depth, steps } => {
                let steps = usize::try_from(steps.max(1)).unwrap_or(usize::MAX);
                let mut changes: Vec<_> =
                    (1..depth.min(MAX_DEPTH)).map(|_| rng.below(steps) as u64).collect();
                changes.sort_unstable_by(|a, b| b.cmp(a));
                ReadySet::Pct(Pct {
                    heap: BinaryHeap::new(),
                    salt: rng.next_u64(),
                    changes,
                    fallen: Vec::new(),
                    steps: 0,
                    pushed: 0,
                })
            }
        };
        Self(Arc::new(Mutex::new(DrawState { rng, ready })))
    }

    /// Draws a number below `bound`, or zero if `bound` is zero: for whatever else must follow from the seed.
    #[must_use]
    pub fn draw(&self, bound: usize) -> usize {
        self.0.lock().rng.below(bound)
    }

    fn add(&self, task: T, reason: QueueReason) -> Visibility {
        let mut state = self.0.lock();
        match &mut state.ready {
            ReadySet::Uniform(tasks) => tasks.push(task),
            ReadySet::Pct(pct) => pct.push(task, reason),
        }
        Visibility::Shared
    }

    fn draw_task(&self) -> Option<T> {
        let state = &mut *self.0.lock();
        match &mut state.ready {
            ReadySet::Uniform(tasks) => {
                let place = state.rng.below(tasks.len());
                (place < tasks.len()).then(|| tasks.swap_remove(place))
            }
            ReadySet::Pct(pct) => pct.pop(),
        }
    }
}

/// The greatest depth.
const MAX_DEPTH: u32 = 1_000;

impl<T: Schedulable> Pct<T> {
    fn push(&mut self, task: T, reason: QueueReason) {
        self.pushed += 1;
        let number = task.number();
        let drawn = mix(self.salt ^ number);
        let rank = if reason == QueueReason::Yielded {
            let anew = mix(drawn ^ self.pushed);
            if anew.is_multiple_of(2) {
                Rank::Yielded(u64::MAX - self.pushed)
            } else {
                Rank::Drawn(anew)
            }
        } else if let Some(place) = self.fallen.iter().position(|fallen| *fallen == number) {
            Rank::Fallen(u64::MAX - place as u64)
        } else {
            Rank::Drawn(drawn)
        };
        self.heap.push(Ranked { rank: (rank, u64::MAX - self.pushed), task });
    }

    fn pop(&mut self) -> Option<T> {
        let mut next = self.heap.pop()?.task;
        while self.changes.last().is_some_and(|change| *change <= self.steps) {
            self.changes.pop();
            self.fallen.retain(|fallen| *fallen != next.number());
            self.fallen.push(next.number());
            self.push(next, QueueReason::Woken);
            next = self.heap.pop()?.task;
        }
        self.steps += 1;
        Some(next)
    }
}

impl<T: Schedulable> Scheduler<T> for Deterministic<T> {
    type Local = DeterministicLocal<T>;

    fn start(&self, workers: usize) -> Vec<Self::Local> {
        (0..workers).map(|_| DeterministicLocal(self.clone())).collect()
    }

    fn push(&self, task: T, _: Priority) -> Visibility {
        self.add(task, QueueReason::Woken)
    }

    fn take(&self) -> Option<T> {
        self.draw_task()
    }

    fn len(&self) -> usize {
        match &self.0.lock().ready {
            ReadySet::Uniform(tasks) => tasks.len(),
            ReadySet::Pct(pct) => pct.heap.len(),
        }
    }
}

impl<T: Schedulable> LocalQueue<T> for DeterministicLocal<T> {
    fn push(&mut self, task: T, _: Priority, reason: QueueReason) -> Visibility {
        self.0.add(task, reason)
    }

    fn pop(&mut self) -> Option<T> {
        self.0.draw_task()
    }

    fn has_work(&mut self) -> Option<bool> {
        Some(!self.0.is_empty())
    }
}

impl<T> Clone for Deterministic<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Deterministic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deterministic").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for DeterministicLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeterministicLocal").finish_non_exhaustive()
    }
}
