//! Estimates of how long polls take, for a scheduler that asks for them.
//!
//! A task's next poll probably takes about as long as the same poll of other tasks like it has taken: the third poll of one request
//! as long as the third of another. So there is a running mean for each type of work and number of the poll, which the end of each
//! poll brings up to date, from readings of the clock that exist anyway.
//!
//! The means are in a small table without locks, which may lose what it knows:
//!
//! 1. A cell of the table is one atomic word: a tag, which tells whose mean it is, and the mean. It is loaded and stored whole, so
//!    a reader gets a tag and a mean that belong together.
//! 2. Threads that update the same cell at the same time overwrite each other's update. Such a loss is one sample of many.
//! 3. Two keys that fall on the same cell take it from each other. Then both are unknown whenever the other had it last, and an
//!    unknown poll counts as short.
//! 4. Everything is relaxed: nothing is read on the strength of an estimate but the estimate.
//!
//! A sample counts with a weight of one eighth. It is limited first to eight times the mean, plus [`OUTLIER`]: a thread that the
//! system preempts in the middle of a short poll does not make this poll a long one, while a poll that has become long is known as
//! such after a few of its kind.

use std::fmt;
use std::time::Duration;

use moirai_core::Clock;
use moirai_core::shim::sync::atomic::{AtomicU64, Ordering};

use crate::task::PollKey;

/// The number of cells, as a power of two: 8 KiB in all. In a model all polls share one.
const CELL_BITS: u32 = if cfg!(moirai_loom) { 0 } else { 10 };

/// The weight of a sample is one divided by two to the power of this.
const WEIGHT_BITS: u32 = 3;

/// How many times the mean a sample may count, as a power of two.
const RISE_BITS: u32 = 3;

/// How much more than that a sample may count.
const OUTLIER: Duration = Duration::from_micros(80);

/// The running means; see the [module](self).
pub(crate) struct PollEstimates {
    cells: Box<[AtomicU64]>,
    /// [`OUTLIER`], in ticks of the clock.
    outlier: u64,
}

impl PollEstimates {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self::with_outlier(clock.rough_ticks(OUTLIER))
    }

    fn with_outlier(outlier: u64) -> Self {
        let cells = (0..1 << CELL_BITS).map(|_| AtomicU64::new(0)).collect();
        Self { cells, outlier }
    }

    /// Notes that a poll took `ticks`.
    #[inline]
    pub(crate) fn note(&self, poll: PollKey, ticks: u64) {
        let (cell, tag) = self.cell(poll);
        // Ordering: Relaxed (rule 4).
        let mean = mean_of(cell.load(Ordering::Relaxed), tag);
        let sample = ticks.min((mean << RISE_BITS) + self.outlier);
        // The mean stays below 2^32, of which a shift by `RISE_BITS` does not overflow.
        let mean = (mean - (mean >> WEIGHT_BITS) + (sample >> WEIGHT_BITS)).min(u32::MAX.into());
        // Ordering: Relaxed (rule 4).
        cell.store(tag | mean, Ordering::Relaxed);
    }

    /// Returns how many ticks a poll is expected to take, or `None` if nothing is known of polls like it.
    #[inline]
    pub(crate) fn of(&self, poll: PollKey) -> Option<u64> {
        let (cell, tag) = self.cell(poll);
        // Ordering: Relaxed (rule 4).
        let mean = mean_of(cell.load(Ordering::Relaxed), tag);
        (mean != 0).then_some(mean)
    }

    /// Returns the cell of polls like this one, and their tag in the upper half of a word.
    #[inline]
    fn cell(&self, poll: PollKey) -> (&AtomicU64, u64) {
        let hash = poll.work.wrapping_add(poll.runs.into()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let index = (hash >> 32 >> (32 - CELL_BITS)) as usize;
        (&self.cells[index & (self.cells.len() - 1)], hash << 32)
    }
}

/// Returns the mean in a cell; zero if it is that of other polls.
#[inline]
const fn mean_of(cell: u64, tag: u64) -> u64 {
    let mean = cell ^ tag;
    if mean >> 32 == 0 { mean } else { 0 }
}

impl fmt::Debug for PollEstimates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollEstimates").finish_non_exhaustive()
    }
}

#[cfg(all(test, moirai_loom))]
mod loom {
    use super::*;
    use moirai_core::shim::sync::Arc;
    use moirai_core::shim::thread;

    /// Rules 1 to 3: threads note polls of different lengths and kinds in one cell. Whatever the order, the mean of a kind is never
    /// taken for that of the other.
    #[test]
    fn loom_a_mean_is_never_that_of_other_polls() {
        ::loom::model(|| {
            let estimates = Arc::new(PollEstimates::with_outlier(1_000));
            let key = |work: u64| PollKey { work: work << 6, runs: 1 };
            // The first means of the two are 1 and 2.
            let noting = [1, 2].map(|work: u64| {
                let estimates = Arc::clone(&estimates);
                thread::spawn(move || estimates.note(key(work), work << WEIGHT_BITS))
            });
            let known = || {
                [1, 2].map(|work| {
                    let mean = estimates.of(key(work));
                    assert!(mean.is_none_or(|mean| mean == work), "{mean:?} of {work}");
                    mean.is_some()
                })
            };
            known();
            noting.into_iter().for_each(|thread| thread.join().unwrap());
            assert_ne!(known(), [false; 2], "the last one has the cell");
            assert_ne!(known(), [true; 2], "there is one cell");
        });
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    const KEY: PollKey = PollKey { work: 0x7f00_1234_5680, runs: 3 };

    fn estimates() -> (PollEstimates, impl Fn(u64) -> u64) {
        let clock = Clock::system();
        let estimates = PollEstimates::new(&clock);
        (estimates, move |micros| clock.rough_ticks(Duration::from_micros(micros)))
    }

    #[test]
    fn nothing_is_known_before_the_first_poll_and_of_other_polls() {
        let (estimates, micros) = estimates();
        assert_eq!(estimates.of(KEY), None);
        estimates.note(KEY, micros(50));
        assert!(estimates.of(KEY).is_some());
        assert_eq!(estimates.of(PollKey { runs: 7, ..KEY }), None);
        assert_eq!(estimates.of(PollKey { work: KEY.work + 64, ..KEY }), None);
    }

    #[test]
    fn the_estimate_comes_close_to_what_polls_take() {
        let (estimates, micros) = estimates();
        for _ in 0..60 {
            estimates.note(KEY, micros(1_000));
        }
        let estimate = estimates.of(KEY).unwrap();
        assert!((micros(990)..=micros(1_010)).contains(&estimate), "{estimate}");
        for _ in 0..60 {
            estimates.note(KEY, micros(20));
        }
        let estimate = estimates.of(KEY).unwrap();
        assert!((micros(15)..=micros(25)).contains(&estimate), "{estimate}");
    }

    #[test]
    fn a_long_poll_is_known_after_a_few_and_an_outlier_changes_little() {
        let (estimates, micros) = estimates();
        for _ in 0..6 {
            estimates.note(KEY, micros(1_000));
        }
        assert!(estimates.of(KEY).unwrap() > micros(100));

        let short = PollKey { runs: 1, ..KEY };
        for _ in 0..20 {
            estimates.note(short, micros(2));
        }
        estimates.note(short, micros(20_000));
        assert!(estimates.of(short).unwrap() < micros(20));
    }

    #[test]
    fn extreme_lengths_neither_overflow_nor_get_a_wrong_tag() {
        let (estimates, _) = estimates();
        for _ in 0..1_000 {
            estimates.note(KEY, u64::MAX);
        }
        assert_eq!(estimates.of(KEY), Some(u32::MAX.into()));
        for _ in 0..1_000 {
            estimates.note(KEY, 0);
        }
        assert!(estimates.of(KEY).unwrap_or(0) < 8, "what is left of a division");
    }
}
