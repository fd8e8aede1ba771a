//! What a run of all suites found, as it is kept in a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::measure::Runs;
use crate::stats::{median, percentile, range};
use crate::workload::OURS;

/// Everything that was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// What it was measured on and with: name and value.
    pub machine: Vec<(String, String)>,
    /// The groups, by allocator.
    pub groups: Vec<GroupResult>,
    /// Single figures of Moirai, by allocator.
    pub probes: Vec<ProbeResult>,
}

/// One group under one allocator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupResult {
    /// The group.
    pub name: String,
    /// With which allocator.
    pub allocator: String,
    /// Everybody's times, Moirai's first.
    pub cases: Vec<CaseResult>,
    /// What was to be reached.
    pub ratios: Vec<Ratio>,
    /// Who hung, and was left out.
    pub hung: Vec<String>,
}

/// The times of one peer, in nanoseconds per unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseResult {
    /// Who.
    pub peer: String,
    /// Half of the runs took less.
    pub median: f64,
    /// The fastest run.
    pub min: f64,
    /// The slowest run.
    pub max: f64,
    /// One in a hundred runs took more.
    pub p99: f64,
}

/// Moirai's time divided by somebody's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ratio {
    /// Of which percentile.
    pub percentile: f64,
    /// By whose.
    pub baseline: String,
    /// Whose time was divided.
    #[serde(default = "ours")]
    pub of: String,
    /// The ratio: the median over the processes.
    pub ratio: f64,
    /// That of the process where it was least.
    pub low: f64,
    /// That of the process where it was most.
    pub high: f64,
    /// What it is to be at most; none if nothing was asked for.
    pub reach: Option<f64>,
}

/// One figure of Moirai alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProbeResult {
    /// What it is called.
    pub name: String,
    /// What it is, in a sentence.
    pub about: String,
    /// Its value.
    pub value: f64,
    /// Of what.
    pub unit: String,
    /// What it is to be at most; none if nothing was asked for.
    pub reach: Option<f64>,
}

fn ours() -> String {
    OURS.to_owned()
}

impl Results {
    /// Reads results from a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is none of ours.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    /// Writes them to a file.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        text.push('\n');
        fs::write(path, text)
    }
}

impl CaseResult {
    /// Of the runs of one peer in all processes.
    #[must_use]
    pub fn of(peer: &str, nanos: &[f64]) -> Self {
        let (min, max) = range(nanos);
        let (median, p99) = (median(nanos), percentile(nanos, 0.99));
        Self { peer: peer.to_owned(), median, min, max, p99 }
    }
}

impl Ratio {
    /// Of the times of `of` to the baseline's, process by process. `None` if either has none.
    #[must_use]
    pub fn of(
        processes: &[Vec<Runs>],
        percentile_of: f64,
        of: &str,
        baseline: &str,
        reach: Option<f64>,
    ) -> Option<Self> {
        let ratios: Vec<f64> = processes
            .iter()
            .filter_map(|runs| {
                let ours = runs.iter().find(|runs| runs.peer == of)?;
                let other = runs.iter().find(|runs| runs.peer == baseline)?;
                Some(
                    percentile(&ours.nanos, percentile_of)
                        / percentile(&other.nanos, percentile_of),
                )
            })
            .filter(|ratio| ratio.is_finite())
            .collect();
        if ratios.is_empty() {
            return None;
        }
        let (low, high) = range(&ratios);
        Some(Self {
            percentile: percentile_of,
            baseline: baseline.to_owned(),
            of: of.to_owned(),
            ratio: median(&ratios),
            low,
            high,
            reach,
        })
    }
}

/// The times of every peer over all processes, in the order of the first process.
#[must_use]
pub fn pooled(processes: &[Vec<Runs>]) -> Vec<CaseResult> {
    let mut all: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for runs in processes.iter().flatten() {
        all.entry(&runs.peer).or_default().extend(&runs.nanos);
    }
    let order = processes.first().into_iter().flatten();
    order.map(|runs| CaseResult::of(&runs.peer, &all[&*runs.peer])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(peer: &str, nanos: &[f64]) -> Runs {
        Runs { peer: peer.to_owned(), nanos: nanos.to_vec() }
    }

    #[test]
    fn ratios_are_taken_within_each_process() {
        let processes = [
            vec![runs("a", &[1.0]), runs("b", &[2.0])],
            vec![runs("a", &[30.0]), runs("b", &[40.0])],
            vec![runs("a", &[6.0]), runs("b", &[10.0])],
        ];
        let ratio = Ratio::of(&processes, 0.5, "a", "b", Some(0.5)).unwrap();
        assert_eq!((ratio.ratio, ratio.low, ratio.high), (0.6, 0.5, 0.75));
        assert!(Ratio::of(&processes, 0.5, "a", "c", None).is_none());
        let cases = pooled(&processes);
        assert_eq!((cases[0].peer.as_str(), cases[0].median, cases[0].max), ("a", 6.0, 30.0));
    }
}
