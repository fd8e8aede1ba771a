//! Measures a group: its peers take turns, round by round.

use serde::{Deserialize, Serialize};

use crate::watchdog::watch;
use crate::workload::{Group, Turn};

/// The times of all runs of one peer, in the order in which they were measured.
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

/// Runs the peers of `group` that have one of the `turns`, `rounds` times, or as often as the group says.
///
/// Before the rounds that are counted there are a tenth as many that are not, in which threads start and allocators reserve their
/// memory.
#[must_use]
pub fn measure(group: &Group, turns: &[Turn], rounds: Option<usize>) -> Vec<Runs> {
    let rounds = rounds.unwrap_or(group.rounds).max(1);
    let warm_up = rounds.div_ceil(10);
    let mut runs: Vec<Runs> = turns
        .iter()
        .map(|turn| Runs {
            peer: turn.peer.to_owned(),
            nanos: Vec::with_capacity(rounds),
            cpu_nanos: Vec::with_capacity(rounds),
        })
        .collect();
    for round in 0..warm_up + rounds {
        for at in 0..turns.len() {
            // Each round begins with another peer, so that no peer always comes after the same one.
            let index = (at + round) % turns.len();
            let turn = &turns[index];
            let took = watch(group.name, turn.peer, || turn.take());
            if round < warm_up {
                continue;
            }
            let per_unit = |nanos: f64| nanos / group.units as f64;
            runs[index].nanos.push(per_unit(took.wall.as_nanos() as f64));
            if group.measures_whole_runs() {
                runs[index].cpu_nanos.push(per_unit(took.cpu_nanos as f64));
            }
        }
    }
    runs
}
