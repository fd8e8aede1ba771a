//! How long the jobs of a scope take, by which thieves decide how many to take at once (rule 11 of the [module](super)).

use std::time::Duration;

/// How long the jobs of a scope that are taken at once may take.
const BATCH: Duration = Duration::from_micros(32);

/// The largest number of jobs that are taken at once.
const MOST: usize = 256;

/// The time that a job of a scope takes, as far as it is known.
#[derive(Default)]
pub(super) struct JobTime(Duration);

impl JobTime {
    /// Learns from jobs that have run. It believes at once that jobs are long, and slowly that they are short: jobs that were taken
    /// together wait for each other.
    pub(super) fn learn(&mut self, number: usize, took: Duration) {
        let each = took / u32::try_from(number).unwrap_or(u32::MAX);
        self.0 = if each > self.0 { each } else { (self.0 + each) / 2 };
    }

    /// Returns how many of `left` jobs a thread takes at once: as many as are short together, and a small part of all, so that the
    /// last ones are spread evenly (guided self-scheduling, Polychronopoulos and Kuck 1987).
    pub(super) fn batch(&self, left: usize, workers: usize) -> usize {
        if self.0 > BATCH {
            // The thread looks at other work before the next one.
            return 0;
        }
        let short = BATCH.as_nanos() / self.0.as_nanos().max(1);
        let part = (left / (2 * workers)).clamp(1, MOST);
        usize::try_from(short).map_or(part, |short| short.min(part))
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    #[test]
    fn batches_are_large_while_jobs_are_short_and_many() {
        let micros = Duration::from_micros;
        let mut time = JobTime::default();
        time.learn(1, micros(1));
        assert_eq!(time.batch(10_000, 2), 32, "as many as are short together");
        assert_eq!(time.batch(40, 2), 10, "a part, so that other workers get some");
        assert_eq!(time.batch(2, 2), 1);
        time.learn(100, micros(1));
        time.learn(100, micros(1));
        assert!(time.batch(10_000, 2) > 64, "it learns that they are shorter");
        time.learn(10, micros(10_000));
        assert_eq!(time.batch(10_000, 2), 0, "the thread looks at other work");
    }
}
