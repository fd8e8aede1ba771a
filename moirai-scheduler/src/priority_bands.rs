//! A scheduler with one queue for each priority.
//!
//! # When to use it
//!
//! When priorities matter more than anything else. [`WorkStealing`] knows priorities, too, but bends them for the sake of fairness
//! by fixed rules. Here you choose the rule:
//!
//! | | the next task is | a task of low priority |
//! | --- | --- | --- |
//! | [`strict`](PriorityBands::strict) | one of the highest priority that waits | can wait forever |
//! | strict, with [`ageing`](PriorityBands::ageing) | the same, unless a band was passed over too often | waits for its turns |
//! | [`weighted`](PriorityBands::weighted) | from each band in proportion to its weight | gets its share |
//!
//! # Guarantees
//!
//! - **Strict**: no task is handed out while one of a higher priority waits. (A task in another worker's slot does not count: that
//!   worker is about to run it.)
//! - **Ageing** by *n*: a worker passes over a band in which tasks wait at most *n* times in a row. Then it is the turn of that
//!   band; if several bands are due, the highest goes first. So between two turns of a band a worker takes at most *n* + 2 other
//!   tasks, and before a task of the highest priority at most three of lower ones.
//! - **Weighted**: while tasks wait in all bands, in each round of as many tasks as the sum of the weights a worker takes from each
//!   band as many tasks as its weight. The turns are spread out evenly, by the smooth weighted round robin of nginx. Empty bands
//!   leave their turns to others.
//! - Critical, high and low tasks are handed out in the order in which they were pushed, within their priority. Normal ones are
//!   treated as [`WorkStealing`] treats them: they are queued by worker, and stolen when a worker has none. Most tasks are normal,
//!   and so cost what they cost there.
//!
//! All of this holds for each worker by itself: if there are several, each counts its own turns.

use std::fmt;

use moirai_core::{Guarantees, Hints, LocalQueue, Priority, QueueReason, Scheduler, Visibility};

use crate::work_stealing::{INJECTOR_EVERY, SLOT_RUN, WorkStealing, WorkStealingLocal};

/// The number of bands. Band 0 is that of the highest priority.
const BANDS: usize = Priority::ALL.len();

/// The index of the band of normal tasks.
const NORMAL: usize = 2;

/// A scheduler with a queue for each priority. See the [module](self).
///
/// ```
/// use moirai_core::{LocalQueue, Priority, Scheduler};
/// use moirai_scheduler::PriorityBands;
///
/// let scheduler = PriorityBands::strict();
/// let mut worker = scheduler.start(1).remove(0);
/// let _ = scheduler.push("low", Priority::Low);
/// let _ = scheduler.push("high", Priority::High);
/// assert_eq!(worker.pop(), Some("high"));
/// assert_eq!(worker.pop(), Some("low"));
/// ```
pub struct PriorityBands<T> {
    /// The queues that contain the tasks.
    queues: WorkStealing<T>,
    policy: Policy,
}

/// How the band is chosen whose turn it is.
#[derive(Clone, Copy, Debug)]
enum Policy {
    Strict { ageing: Option<u32> },
    Weighted([u32; BANDS]),
}

/// The local queue of one worker of a [`PriorityBands`] scheduler.
pub struct PriorityBandsLocal<T> {
    queues: WorkStealingLocal<T>,
    policy: Policy,
    /// The number of times that each band was passed over in a row while tasks waited in it.
    passed: [u32; BANDS],
    /// The credit of each band, which grows by its weight.
    credit: [i64; BANDS],
    /// Whether the last `pop` found nothing.
    empty_handed: bool,
}

impl<T> PriorityBands<T> {
    /// Creates a scheduler in which the highest priority that waits always goes first.
    #[must_use]
    pub fn strict() -> Self {
        Self::with(Policy::Strict { ageing: None })
    }

    /// Creates a scheduler in which each priority gets turns in proportion to its weight. The weights are given from
    /// [`Low`](Priority::Low) to [`Critical`](Priority::Critical). A weight of zero counts as one, so every band has turns.
    #[must_use]
    pub fn weighted(low_to_critical: [u32; 4]) -> Self {
        let mut weights = low_to_critical.map(|weight| weight.max(1));
        weights.reverse();
        Self::with(Policy::Weighted(weights))
    }

    /// Gives a band the next turn once a worker has passed it over `passes` times in a row. Zero counts as one. This is for strict
    /// bands; weighted ones need no ageing, and are not changed.
    #[must_use]
    pub fn ageing(mut self, passes: u32) -> Self {
        if let Policy::Strict { ageing } = &mut self.policy {
            *ageing = Some(passes.max(1));
        }
        self
    }

    fn with(policy: Policy) -> Self {
        Self { queues: WorkStealing::new(), policy }
    }
}

impl<T: Send + 'static> Scheduler<T> for PriorityBands<T> {
    type Local = PriorityBandsLocal<T>;

    /// # Panics
    ///
    /// If it is called a second time.
    fn start(&self, workers: usize) -> Vec<Self::Local> {
        let local = |queues| PriorityBandsLocal {
            queues,
            policy: self.policy,
            passed: [0; BANDS],
            credit: [0; BANDS],
            empty_handed: false,
        };
        self.queues.start(workers).into_iter().map(local).collect()
    }

    fn push(&self, task: T, priority: Priority) -> Visibility {
        self.queues.push(task, priority)
    }

    fn take(&self) -> Option<T> {
        self.queues.take()
    }

    fn reclaim(&self, worker: usize) -> Option<T> {
        self.queues.reclaim(worker)
    }

    fn len(&self) -> usize {
        self.queues.len()
    }

    fn claims(&self) -> Guarantees {
        self.guarantees()
    }

    fn hints(&self) -> Hints {
        Hints::none()
    }

    fn guarantees(&self) -> Guarantees {
        // Of this many turns of normal tasks, one goes to the normal task that has waited longest, wherever it is queued.
        let turns = INJECTOR_EVERY + SLOT_RUN + 1;
        match self.policy {
            Policy::Strict { ageing: None } => Guarantees::none().inversion(0),
            // At most the other three bands are due, once each.
            Policy::Strict { ageing: Some(passes) } => Guarantees::none()
                .inversion(3)
                .fairness(passes.saturating_add(3).saturating_mul(turns)),
            Policy::Weighted(weights) => {
                let round = weights.iter().fold(0, |sum: u32, weight| sum.saturating_add(*weight));
                Guarantees::none().inversion(round).fairness(round.saturating_mul(turns))
            }
        }
    }
}

impl<T: Send + 'static> LocalQueue<T> for PriorityBandsLocal<T> {
    #[inline]
    fn push(&mut self, task: T, priority: Priority, reason: QueueReason) -> Visibility {
        self.queues.push(task, priority, reason)
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        let bands = self.queues.bands();
        let found = if bands.has_elevated() || bands.has_low() {
            self.pop_in_turn()
        } else {
            self.queues.find_normal().or_else(|| self.highest())
        };
        let empty_handed = std::mem::replace(&mut self.empty_handed, found.is_none());
        found.or_else(|| {
            let found = self.queues.find_in_slots(empty_handed);
            self.empty_handed = found.is_none();
            found
        })
    }

    fn has_work(&mut self) -> Option<bool> {
        self.queues.has_work()
    }

    fn look_outside(&mut self) {
        self.prefer_injector();
    }

    #[inline]
    fn prefer_injector(&mut self) {
        self.queues.prefer_injector();
    }
}

impl<T: Send + 'static> PriorityBandsLocal<T> {
    /// Takes a task when not all of the queued tasks are normal.
    #[cold]
    fn pop_in_turn(&mut self) -> Option<T> {
        let [critical, high] = self.queues.bands().elevated();
        let low = self.queues.bands().has_low();
        let waits = [critical, high, self.queues.has_normal(), low];
        let due = match self.policy {
            Policy::Strict { ageing: None } => None,
            Policy::Strict { ageing: Some(passes) } => self.aged(passes, waits),
            Policy::Weighted(weights) => self.by_weight(weights, waits),
        };
        // Another worker may have taken what was seen there.
        due.and_then(|band| self.take_from(band)).or_else(|| self.highest())
    }

    fn take_from(&mut self, band: usize) -> Option<T> {
        match band {
            NORMAL => self.queues.find_normal(),
            0 | 1 => self.queues.bands().take_elevated(band == 1),
            _ => self.queues.bands().take_low(),
        }
    }

    /// Takes a task from the highest band that has one.
    fn highest(&mut self) -> Option<T> {
        let elevated = if self.queues.bands().has_elevated() { self.take_from(0) } else { None };
        elevated.or_else(|| self.queues.find_normal()).or_else(|| self.queues.bands().take_low())
    }

    /// Returns the highest band in which tasks wait, or one that was passed over too often.
    fn aged(&mut self, passes: u32, waits: [bool; BANDS]) -> Option<usize> {
        let due = (0..BANDS).find(|&band| waits[band] && self.passed[band] >= passes);
        let next = due.or_else(|| waits.iter().position(|waits| *waits))?;
        for (band, passed) in self.passed.iter_mut().enumerate() {
            let passed_over = waits[band] && band != next;
            *passed = if passed_over { passed.saturating_add(1) } else { 0 };
        }
        Some(next)
    }

    /// Returns the band with the most credit of those in which tasks wait.
    fn by_weight(&mut self, weights: [u32; BANDS], waits: [bool; BANDS]) -> Option<usize> {
        if waits.iter().filter(|waits| **waits).count() <= 1 {
            return waits.iter().position(|waits| *waits);
        }
        let mut round = 0;
        let mut next = None;
        for band in (0..BANDS).filter(|band| waits[*band]) {
            let weight = i64::from(weights[band]);
            round += weight;
            self.credit[band] += weight;
            if next.is_none_or(|next: usize| self.credit[band] > self.credit[next]) {
                next = Some(band);
            }
        }
        self.credit[next?] -= round;
        next
    }
}

impl<T> fmt::Debug for PriorityBands<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriorityBands").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for PriorityBandsLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriorityBandsLocal").field("policy", &self.policy).finish_non_exhaustive()
    }
}
