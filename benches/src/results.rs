//! The results of a run of all suites, as they are stored in a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::measure::Runs;
use crate::peer::DEFAULT_WORKERS;
use crate::stats::{median, percentile, range};
use crate::workload::OURS;

/// The results of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// What the run was measured on and with, as names and values.
    pub machine: Vec<(String, String)>,
    /// The groups, each once for each allocator and number of workers.
    pub groups: Vec<GroupResult>,
    /// The figures of the probes.
    pub probes: Vec<ProbeResult>,
}

/// The results of one group with one allocator and one number of workers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupResult {
    /// The name of the group.
    pub name: String,
    /// The name of the allocator.
    pub allocator: String,
    /// The number of workers of each peer.
    #[serde(default = "default_workers")]
    pub workers: usize,
    /// The times of all peers, Moirai's first.
    pub cases: Vec<CaseResult>,
    /// The ratios that the group reports.
    pub ratios: Vec<Ratio>,
    /// The peers that hung, and were left out from then on.
    pub hung: Vec<String>,
}

/// The times of one peer over all runs in all processes, in nanoseconds per unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseResult {
    /// The name of the peer.
    pub peer: String,
    /// The median of the runs.
    pub median: f64,
    /// The time of the fastest run of a process: the median of the processes.
    #[serde(default)]
    pub least: f64,
    /// The time of the fastest run.
    pub min: f64,
    /// The time of the slowest run.
    pub max: f64,
    /// The 99th percentile of the runs.
    pub p99: f64,
    /// The CPU time, unless only a part of a run is measured.
    #[serde(default)]
    pub cpu: Option<CpuResult>,
}

/// The CPU time that a process used while it ran one peer, in nanoseconds per unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CpuResult {
    /// The median of the runs in all processes.
    pub median: f64,
    /// That of the run of a process in which it was least: the median of the processes.
    pub least: f64,
}

/// The time of one peer, usually Moirai, divided by that of another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ratio {
    /// The percentile of the runs whose times are divided, from 0 to 1.
    pub percentile: f64,
    /// The peer by whose time is divided.
    pub baseline: String,
    /// The peer whose time is divided.
    #[serde(default = "ours")]
    pub of: String,
    /// The median of the ratios of the processes.
    pub ratio: f64,
    /// The ratio of the process in which it was least.
    pub low: f64,
    /// The ratio of the process in which it was greatest.
    pub high: f64,
    /// The target: the greatest ratio that is wanted, if there is a target.
    pub reach: Option<f64>,
}

/// The figure of one probe.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProbeResult {
    /// The name of the probe.
    pub name: String,
    /// What the figure is, in a phrase, with the allocator.
    pub about: String,
    /// The figure.
    pub value: f64,
    /// The unit of the figure.
    pub unit: String,
    /// The target: the greatest value that is wanted, if there is a target.
    pub reach: Option<f64>,
}

fn default_workers() -> usize {
    DEFAULT_WORKERS
}

fn ours() -> String {
    OURS.to_owned()
}

impl Results {
    /// Reads results from a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or does not contain results.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    /// Writes the results to a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        text.push('\n');
        fs::write(path, text)
    }
}

impl GroupResult {
    /// Returns the name, with the number of workers if it is not the default.
    #[must_use]
    pub fn title(&self) -> String {
        match self.workers {
            DEFAULT_WORKERS => self.name.clone(),
            1 => format!("{}, one worker", self.name),
            workers => format!("{}, {workers} workers", self.name),
        }
    }
}

impl CaseResult {
    /// Summarizes the runs of one peer, of which there are some in each process.
    #[must_use]
    pub fn of(peer: &str, processes: &[&Runs]) -> Self {
        let (nanos, least) = all_and_least(processes.iter().map(|runs| &*runs.nanos));
        let (min, max) = range(&nanos);
        let (cpu_nanos, cpu_least) = all_and_least(processes.iter().map(|runs| &*runs.cpu_nanos));
        let cpu = CpuResult { median: median(&cpu_nanos), least: cpu_least };
        Self {
            peer: peer.to_owned(),
            median: median(&nanos),
            least,
            min,
            max,
            p99: percentile(&nanos, 0.99),
            cpu: (!cpu_nanos.is_empty()).then_some(cpu),
        }
    }
}

/// Returns the values of all processes, and the median of the least values of each.
fn all_and_least<'a>(processes: impl Iterator<Item = &'a [f64]>) -> (Vec<f64>, f64) {
    let (mut all, mut leasts) = (Vec::new(), Vec::new());
    for values in processes {
        all.extend(values);
        leasts.push(range(values).0);
    }
    (all, median(&leasts))
}

impl Ratio {
    /// Divides a percentile of the times of `of` by that of the baseline, process by process. Returns `None` if no process has
    /// times of both.
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

/// Summarizes the times of every peer over all processes, in the order of the first process.
#[must_use]
pub fn pooled(processes: &[Vec<Runs>]) -> Vec<CaseResult> {
    let mut all: BTreeMap<&str, Vec<&Runs>> = BTreeMap::new();
    for runs in processes.iter().flatten() {
        all.entry(&runs.peer).or_default().push(runs);
    }
    let order = processes.first().into_iter().flatten();
    order.map(|runs| CaseResult::of(&runs.peer, &all[&*runs.peer])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(peer: &str, nanos: &[f64]) -> Runs {
        Runs { peer: peer.to_owned(), nanos: nanos.to_vec(), cpu_nanos: Vec::new() }
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
        assert_eq!(cases[0].cpu, None);
    }

    #[test]
    fn the_least_is_the_median_of_the_leasts_of_the_processes() {
        let processes = [[5.0, 1.0], [4.0, 3.0], [9.0, 8.0]].map(|nanos| {
            let cpu_nanos = nanos.map(|nanos| 2.0 * nanos).to_vec();
            vec![Runs { cpu_nanos, ..runs("a", &nanos) }]
        });
        let case = &pooled(&processes)[0];
        assert_eq!((case.min, case.least, case.median), (1.0, 3.0, 5.0));
        assert_eq!(case.cpu, Some(CpuResult { median: 10.0, least: 6.0 }));
    }

    #[test]
    fn results_from_before_cpu_times_are_read() {
        let text = r#"{"name":"g","allocator":"system","ratios":[],"hung":[],
            "cases":[{"peer":"moirai","median":1.0,"min":1.0,"max":1.0,"p99":1.0}]}"#;
        let group: GroupResult = serde_json::from_str(text).unwrap();
        assert_eq!((group.workers, group.cases[0].cpu), (DEFAULT_WORKERS, None));
    }
}
