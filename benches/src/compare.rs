//! Finds the ratios that moved from one run of the suites to another, beyond the spread of either.

use std::fmt;

use crate::results::{Ratio, Results};

/// How a ratio changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The ratio is less than it was, which is better.
    Faster,
    /// The ratio is greater than it was, which is worse.
    Slower,
    /// The ranges of the two runs overlap, or are hardly apart.
    Same,
}

/// One ratio in both runs.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The group, the number of workers if it is not the default, the allocator, the percentile, and the two peers whose times are
    /// compared.
    pub name: String,
    /// The ratio in the first run: the least, the median and the greatest of its processes.
    pub before: [f64; 3],
    /// The same in the second run.
    pub after: [f64; 3],
    /// How the ratio changed.
    pub change: Change,
}

/// The smallest change that counts, as a share. A smaller one may be noise however narrow the ranges are, because a few processes
/// do not show all of it.
const GRAIN: f64 = 0.03;

/// Compares the ratios that are in both results.
#[must_use]
pub fn compare(before: &Results, after: &Results) -> Vec<Moved> {
    let mut moved = Vec::new();
    for group in &after.groups {
        let same = |other: &&crate::results::GroupResult| {
            (&other.name, &other.allocator, other.workers)
                == (&group.name, &group.allocator, group.workers)
        };
        let Some(old) = before.groups.iter().find(same) else { continue };
        for new in &group.ratios {
            let same = |old: &&Ratio| {
                (&old.of, &old.baseline) == (&new.of, &new.baseline)
                    && old.percentile == new.percentile
            };
            let Some(old) = old.ratios.iter().find(same) else { continue };
            moved.push(Moved {
                name: format!(
                    "{} ({}), p{:.0} of {} to {}",
                    group.title(),
                    group.allocator,
                    new.percentile * 100.0,
                    new.of,
                    new.baseline
                ),
                before: [old.low, old.ratio, old.high],
                after: [new.low, new.ratio, new.high],
                change: change(old, new),
            });
        }
    }
    moved
}

fn change(old: &Ratio, new: &Ratio) -> Change {
    let beyond = |low: f64, high: f64| low > high * (1.0 + GRAIN);
    if beyond(new.low, old.high) {
        Change::Slower
    } else if beyond(old.low, new.high) {
        Change::Faster
    } else {
        Change::Same
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, middle, high] = self.before;
        let word = match self.change {
            Change::Faster => "faster",
            Change::Slower => "SLOWER",
            Change::Same => "same",
        };
        write!(f, "{word:6}  {:56}  {middle:.2} ({low:.2}-{high:.2})", self.name)?;
        let [low, middle, high] = self.after;
        write!(f, " -> {middle:.2} ({low:.2}-{high:.2})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::GroupResult;

    fn results(low: f64, ratio: f64, high: f64) -> Results {
        let ratio = Ratio {
            percentile: 0.5,
            baseline: "b".into(),
            of: "a".into(),
            ratio,
            low,
            high,
            reach: None,
        };
        let group = GroupResult {
            name: "g".into(),
            allocator: "system".into(),
            workers: 2,
            cases: Vec::new(),
            ratios: vec![ratio],
            hung: Vec::new(),
        };
        Results { groups: vec![group], ..Results::default() }
    }

    #[test]
    fn only_what_moved_beyond_its_spread_counts() {
        let before = results(0.4, 0.5, 0.6);
        let change = |after| compare(&before, &after)[0].change;
        assert_eq!(change(results(0.59, 0.7, 0.8)), Change::Same);
        assert_eq!(change(results(0.7, 0.8, 0.9)), Change::Slower);
        assert_eq!(change(results(0.1, 0.2, 0.3)), Change::Faster);
        // Apart, but by less than the grain.
        assert_eq!(change(results(0.61, 0.62, 0.63)), Change::Same);
        assert!(compare(&Results::default(), &before).is_empty());
    }
}
