//! A queue for each priority.
//!
//! # When to use it
//!
//! When priorities matter more than anything else. [`WorkStealing`](crate::WorkStealing) knows priorities, too, but bends them for
//! the sake of fairness by fixed rules; here the rule is yours:
//!
//! | | the next task is | a task of low priority |
//! | --- | --- | --- |
//! | [`strict`](PriorityBands::strict) | of the highest priority that waits | can wait for ever |
//! | strict, with [`ageing`](PriorityBands::ageing) | the same, unless a band was passed over too often | waits its turns |
//! | [`weighted`](PriorityBands::weighted) | of each band in proportion to its weight | gets its share |
//!
//! # Guarantees
//!
//! - Within a priority, the task that waits longest is handed out next, whoever pushed it.
//! - **Strict**: no task is handed out while one of a higher priority waits.
//! - **Ageing** by *n*: a band in which tasks wait is passed over by a worker at most *n* times in a row; then its turn has come, the
//!   highest of those whose turn has come first. So between two turns of a band a worker takes at most *n* + 2 others, and before a
//!   task of the highest priority at most three of lower ones.
//! - **Weighted**: while tasks wait in all the bands, of as many tasks as the sum of the weights a worker takes as many of each band as
//!   its weight. The turns are spread out evenly, by the smooth weighted round robin of nginx. Empty bands leave their turns to others.
//!
//! What is said of one worker holds of each: with several, each counts its own turns.

use std::fmt;

use moirai_core::shim::sync::Arc;
use moirai_core::{Claims, LocalQueue, Order, Priority, Ready, Scheduler, Visibility};

use crate::queue::Injector;

/// Bands, the highest priority first.
const BANDS: usize = Priority::ALL.len();

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
    shared: Arc<[Injector<T>; BANDS]>,
    policy: Policy,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
enum Policy {
    Strict { ageing: Option<u32> },
    Weighted([u32; BANDS]),
}

/// One worker's part of [`PriorityBands`].
pub struct PriorityBandsLocal<T> {
    shared: Arc<[Injector<T>; BANDS]>,
    policy: Policy,
    /// How often each band was passed over in a row while tasks waited in it.
    passed: [u32; BANDS],
    /// What each band has coming by its weight.
    credit: [i64; BANDS],
}

/// The band of a priority: zero is the highest.
const fn band_of(priority: Priority) -> usize {
    match priority {
        Priority::Critical => 0,
        Priority::High => 1,
        Priority::Normal => 2,
        Priority::Low => 3,
    }
}

impl<T> PriorityBands<T> {
    /// The highest priority that waits goes first, always.
    #[must_use]
    pub fn strict() -> Self {
        Self::with(Policy::Strict { ageing: None })
    }

    /// Each priority gets turns in proportion to its weight, here from [`Low`](Priority::Low) to [`Critical`](Priority::Critical). A
    /// weight of zero counts as one: every band has turns.
    #[must_use]
    pub fn weighted(low_to_critical: [u32; 4]) -> Self {
        let mut weights = low_to_critical.map(|weight| weight.max(1));
        weights.reverse();
        Self::with(Policy::Weighted(weights))
    }

    /// A band that was passed over `passes` times in a row by a worker gets the next turn. Zero counts as one. For strict bands;
    /// weighted ones need no ageing, and this changes nothing.
    #[must_use]
    pub fn ageing(mut self, passes: u32) -> Self {
        if let Policy::Strict { ageing } = &mut self.policy {
            *ageing = Some(passes.max(1));
        }
        self
    }

    fn with(policy: Policy) -> Self {
        Self { shared: Arc::new(std::array::from_fn(|_| Injector::new())), policy }
    }
}

impl<T: Send + 'static> Scheduler<T> for PriorityBands<T> {
    type Local = PriorityBandsLocal<T>;

    fn start(&self, workers: usize) -> Vec<Self::Local> {
        let local = |_| PriorityBandsLocal {
            shared: Arc::clone(&self.shared),
            policy: self.policy,
            passed: [0; BANDS],
            credit: [0; BANDS],
        };
        (0..workers).map(local).collect()
    }

    fn push(&self, task: T, priority: Priority) -> Visibility {
        self.shared[band_of(priority)].push(task);
        Visibility::Shared
    }

    fn take(&self) -> Option<T> {
        highest(&self.shared)
    }

    fn len(&self) -> usize {
        self.shared.iter().map(Injector::len).sum()
    }

    fn claims(&self) -> Claims {
        let fifo = Claims::none().order(Order::Fifo);
        match self.policy {
            Policy::Strict { ageing: None } => Claims::none()
                .order(Order::ByKey(|_, priority| band_of(priority) as u64))
                .inversion(0),
            // The bands that are due, each at most once.
            Policy::Strict { ageing: Some(passes) } => {
                fifo.inversion(3).fairness(passes.saturating_add(2))
            }
            Policy::Weighted(weights) => {
                let round = weights.iter().fold(0, |sum: u32, weight| sum.saturating_add(*weight));
                fifo.inversion(round).fairness(round)
            }
        }
    }
}

impl<T: Send + 'static> LocalQueue<T> for PriorityBandsLocal<T> {
    #[inline]
    fn push(&mut self, task: T, priority: Priority, _: Ready) -> Visibility {
        self.shared[band_of(priority)].push(task);
        Visibility::Shared
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        let due = match self.policy {
            Policy::Strict { ageing: None } => None,
            Policy::Strict { ageing: Some(passes) } => self.aged(passes),
            Policy::Weighted(weights) => self.by_weight(weights),
        };
        // Another worker may have taken what was seen there.
        due.and_then(|band| self.shared[band].steal()).or_else(|| highest(&self.shared))
    }
}

impl<T> PriorityBandsLocal<T> {
    /// The highest band that waits, or one that was passed over too often.
    fn aged(&mut self, passes: u32) -> Option<usize> {
        let waits = self.waiting();
        let due = (0..BANDS).find(|&band| waits[band] && self.passed[band] >= passes);
        let next = due.or_else(|| waits.iter().position(|waits| *waits))?;
        for (band, passed) in self.passed.iter_mut().enumerate() {
            let passed_over = waits[band] && band != next;
            *passed = if passed_over { passed.saturating_add(1) } else { 0 };
        }
        Some(next)
    }

    /// The band that has most coming, of those that wait.
    fn by_weight(&mut self, weights: [u32; BANDS]) -> Option<usize> {
        let waits = self.waiting();
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

    fn waiting(&self) -> [bool; BANDS] {
        std::array::from_fn(|band| !self.shared[band].is_empty())
    }
}

/// Takes from the highest band that has something.
#[inline]
fn highest<T>(bands: &[Injector<T>; BANDS]) -> Option<T> {
    bands.iter().find_map(|band| if band.is_empty() { None } else { band.steal() })
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
