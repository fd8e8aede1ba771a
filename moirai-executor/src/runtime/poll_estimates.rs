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
//!
//! Of the polls that take less than [`SHORT`], one in eight, drawn at random, is noted, with the weight of as many: most polls are
//! short, and all that a scheduler wants to know of those is that they are.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use moirai_core::Clock;
use moirai_core::shim::sync::atomic::{AtomicU64, Ordering};

use crate::task::PollKey;

/// The number of cells, as a power of two: 8 KiB in all. In a model all polls share one.
const CELL_BITS: u32 = if cfg!(moirai_loom) { 0 } else { 10 };

const CELLS: usize = 1 << CELL_BITS;

/// The weight of a sample is one divided by two to the power of this.
const WEIGHT_BITS: u32 = 3;

/// How many times the mean a sample may count, as a power of two.
const RISE_BITS: u32 = 3;

/// How much more than that a sample may count.
const OUTLIER: Duration = Duration::from_micros(80);

/// Polls that take less than this are noted by samples.
const SHORT: Duration = Duration::from_micros(5);

/// How many polls that take less than [`SHORT`] there are for each that is noted, as a power of two.
const ONE_IN_BITS: u32 = 3;

/// The weight of eight samples together, in thirty-seconds: 1 - (7/8)^8 is 21/32.
const WEIGHT_OF_MANY: u64 = 21;

/// The running means; see the [module](self).
pub(crate) struct PollEstimates {
    cells: Box<[AtomicU64; CELLS]>,
    /// [`OUTLIER`], in ticks of the clock.
    outlier: u64,
    /// [`SHORT`], in ticks of the clock.
    short: u64,
}

/// Draws which short polls of a thread are noted.
#[derive(Debug)]
pub(crate) struct Sampler(Cell<u64>);

impl Sampler {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// Returns `true` for one call in eight.
    #[inline]
    fn draw(&self) -> bool {
        // A linear congruential generator, by the constants of D. Knuth's MMIX. Its upper bits are the random ones.
        let next = self.0.get().wrapping_mul(6_364_136_223_846_793_005);
        let next = next.wrapping_add(1_442_695_040_888_963_407);
        self.0.set(next);
        next >> (u64::BITS - ONE_IN_BITS) == 0
    }
}

impl PollEstimates {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self::with_ticks(clock.rough_ticks(OUTLIER), clock.rough_ticks(SHORT))
    }

    fn with_ticks(outlier: u64, short: u64) -> Self {
        let cells = Box::new(std::array::from_fn(|_| AtomicU64::new(0)));
        Self { cells, outlier, short }
    }

    /// Notes that a poll took `ticks`, on the thread of the sampler.
    #[inline]
    pub(crate) fn note(&self, sampler: &Sampler, poll: impl FnOnce() -> PollKey, ticks: u64) {
        if ticks >= self.short {
            self.add(poll(), ticks);
        } else if sampler.draw() {
            self.add_many(poll(), ticks);
        }
    }

    /// Adds a sample to the mean of polls like `poll`.
    fn add(&self, poll: PollKey, ticks: u64) {
        let (cell, tag) = self.cell(poll);
        // Ordering: Relaxed (rule 4).
        let mean = mean_of(cell.load(Ordering::Relaxed), tag);
        let sample = ticks.min((mean << RISE_BITS) + self.outlier);
        // The mean stays below 2^32, of which a shift by `RISE_BITS` does not overflow.
        let mean = (mean - (mean >> WEIGHT_BITS) + (sample >> WEIGHT_BITS)).min(u32::MAX.into());
        // Ordering: Relaxed (rule 4).
        cell.store(tag | mean, Ordering::Relaxed);
    }

    /// Adds eight samples, each of `ticks`, which is less than [`SHORT`].
    #[cold]
    fn add_many(&self, poll: PollKey, ticks: u64) {
        let (cell, tag) = self.cell(poll);
        // Ordering: Relaxed (rule 4).
        let mean = mean_of(cell.load(Ordering::Relaxed), tag);
        let mean = (mean * (32 - WEIGHT_OF_MANY) + ticks * WEIGHT_OF_MANY) / 32;
        // Ordering: Relaxed (rule 4).
        cell.store(tag | mean.max(1), Ordering::Relaxed);
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
        (&self.cells[index % CELLS], hash << 32)
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
            let estimates = Arc::new(PollEstimates::with_ticks(1_000, 0));
            let key = |work: u64| PollKey { work: work << 6, runs: 1 };
            // The first means of the two are 1 and 2.
            let noting = [1, 2].map(|work: u64| {
                let estimates = Arc::clone(&estimates);
                thread::spawn(move || estimates.add(key(work), work << WEIGHT_BITS))
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
        estimates.add(KEY, micros(50));
        assert!(estimates.of(KEY).is_some());
        assert_eq!(estimates.of(PollKey { runs: 7, ..KEY }), None);
        assert_eq!(estimates.of(PollKey { work: KEY.work + 64, ..KEY }), None);
    }

    #[test]
    fn the_estimate_comes_close_to_what_polls_take() {
        let (estimates, micros) = estimates();
        for _ in 0..60 {
            estimates.add(KEY, micros(1_000));
        }
        let estimate = estimates.of(KEY).unwrap();
        assert!((micros(990)..=micros(1_010)).contains(&estimate), "{estimate}");
        for _ in 0..60 {
            estimates.add(KEY, micros(20));
        }
        let estimate = estimates.of(KEY).unwrap();
        assert!((micros(15)..=micros(25)).contains(&estimate), "{estimate}");
    }

    #[test]
    fn a_long_poll_is_known_after_a_few_and_an_outlier_changes_little() {
        let (estimates, micros) = estimates();
        for _ in 0..6 {
            estimates.add(KEY, micros(1_000));
        }
        assert!(estimates.of(KEY).unwrap() > micros(100));

        let short = PollKey { runs: 1, ..KEY };
        for _ in 0..20 {
            estimates.add(short, micros(2));
        }
        estimates.add(short, micros(20_000));
        assert!(estimates.of(short).unwrap() < micros(20));
    }

    #[test]
    fn samples_of_short_polls_stand_for_all_of_them() {
        let (estimates, micros) = estimates();
        let sampler = Sampler::new(0);
        let noted = (0..80_000).filter(|_| sampler.draw()).count();
        assert!((9_800..=10_200).contains(&noted), "{noted}");
        // One poll in four is long.
        let all = PollEstimates::with_ticks(estimates.outlier, 0);
        let mut sums = [0; 2];
        for poll in 0..20_000 {
            let ticks = if poll % 4 == 0 { micros(1_000) } else { micros(1) };
            estimates.note(&sampler, || KEY, ticks);
            all.note(&sampler, || KEY, ticks);
            for (sum, estimates) in sums.iter_mut().zip([&estimates, &all]) {
                *sum += estimates.of(KEY).unwrap_or(0);
            }
        }
        let [sampled, of_all] = sums;
        assert!(sampled.abs_diff(of_all) < of_all / 3, "{sampled}, {of_all} of all");
        for _ in 0..200 {
            estimates.note(&sampler, || KEY, micros(2));
        }
        let estimate = estimates.of(KEY).unwrap();
        assert!((micros(1)..=micros(3)).contains(&estimate), "{estimate}");
    }

    #[test]
    fn extreme_lengths_neither_overflow_nor_get_a_wrong_tag() {
        let (estimates, _) = estimates();
        for _ in 0..1_000 {
            estimates.add(KEY, u64::MAX);
        }
        assert_eq!(estimates.of(KEY), Some(u32::MAX.into()));
        for _ in 0..1_000 {
            estimates.add(KEY, 0);
        }
        assert!(estimates.of(KEY).unwrap_or(0) < 8, "what is left of a division");
    }
}
