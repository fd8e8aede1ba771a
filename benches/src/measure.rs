//! Measures a group: its cases take turns, round by round, in one process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::memory::cpu_nanos;
use crate::watchdog::watch;
use crate::workload::Group;

/// The times of all runs of one case, in the order in which they were measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Runs {
    /// The name of the peer.
    pub peer: String,
    /// The time of each run, in nanoseconds per unit of the group.
    pub nanos: Vec<f64>,
    /// The CPU time that the process used during each run, in nanoseconds per unit of the group. Empty if only a part of a run is
    /// measured, as [`Group::measures_whole_runs`] says.
    ///
    /// It is that of all threads: what the thread that calls the executor uses, and what idle workers use when they look for work.
    #[serde(default)]
    pub cpu_nanos: Vec<f64>,
}

/// Runs the cases of `group` in turns, `rounds` times, or as often as the group says.
///
/// Before the rounds that are counted there are a tenth as many that are not, in which threads start and allocators reserve their
/// memory.
#[must_use]
pub fn measure(group: &Group, rounds: Option<usize>) -> Vec<Runs> {
    let rounds = rounds.unwrap_or(group.rounds).max(1);
    let warm_up = rounds.div_ceil(10);
    let mut runs: Vec<Runs> = group
        .cases
        .iter()
        .map(|case| Runs {
            peer: case.peer.to_owned(),
            nanos: Vec::with_capacity(rounds),
            cpu_nanos: Vec::with_capacity(rounds),
        })
        .collect();
    for round in 0..warm_up + rounds {
        for turn in 0..group.cases.len() {
            // Each round begins with another case, so that no case always comes after the same one.
            let index = (turn + round) % group.cases.len();
            let case = &group.cases[index];
            let cpu_before = cpu_nanos();
            let took: Duration = watch(group.name, case.peer, case.run);
            let cpu = cpu_nanos() - cpu_before;
            if round < warm_up {
                continue;
            }
            let per_unit = |nanos: f64| nanos / group.units as f64;
            runs[index].nanos.push(per_unit(took.as_nanos() as f64));
            if group.measures_whole_runs() {
                runs[index].cpu_nanos.push(per_unit(cpu as f64));
            }
        }
    }
    runs
}
