//! Groups of cases that do the same work.

use std::time::Duration;

use crate::apart::Apart;
use crate::peer::{DEFAULT_WORKERS, Ours, Peer, Smol, StaticSmol, Tokio};

/// A workload, and the peers that do it.
#[derive(Debug)]
pub struct Group {
    /// The name, which is also used on the command line.
    pub name: &'static str,
    /// What is done, in a phrase.
    pub about: &'static str,
    /// The unit that times are given for.
    pub unit: &'static str,
    /// The number of units in one run.
    pub units: u64,
    /// The number of runs of each peer in one process.
    pub rounds: usize,
    /// The target: how many nanoseconds per unit Moirai should take at most, if there is a target.
    pub reach: Option<f64>,
    /// The ratios that are reported.
    pub figures: Vec<Figure>,
    /// The cases, one for each peer. Moirai's is the first.
    pub cases: Vec<Case>,
}

/// The groups in which the time of a run is not that of all its work: it is that of some of its steps, of one of its threads, or of
/// what is awaited.
pub(super) const PARTS: [&str; 7] = [
    "timer_add",
    "timer_cancel",
    "timer_shuffled",
    "timer_late",
    "stuck_echo",
    "registry_1_thread",
    "registry_2_threads",
];

/// The groups that are also measured with one worker. Nobody wakes anybody there, so that what a task costs by itself is seen.
pub(super) const ON_ONE_WORKER: [&str; 7] = [
    "spawn_outside_10k",
    "spawn_inside_10k",
    "spawn_await_1k",
    "chained_spawn_1k",
    "join_inside_10k",
    "join_outside_10k",
    "join_one_outside",
];

/// The groups that differ most from process to process, because it is a matter of luck which workers sleep while a task is passed on.
pub(super) const RESTLESS: [&str; 3] = ["spawn_await_1k", "chained_spawn_1k", "ping_pong"];

impl Group {
    /// Returns the numbers of workers that the group is measured with, beginning with the default.
    #[must_use]
    pub fn worker_counts(&self) -> &'static [usize] {
        if ON_ONE_WORKER.contains(&self.name) { &[DEFAULT_WORKERS, 1] } else { &[DEFAULT_WORKERS] }
    }

    /// Returns in how many processes the group is measured if an ordinary one is in `usual`: twice as many if it differs much from
    /// process to process.
    #[must_use]
    pub fn processes(&self, usual: usize) -> usize {
        if RESTLESS.contains(&self.name) { usual.saturating_mul(2) } else { usual }
    }

    /// Whether the time of a run is that of all its work, so that the CPU time of the run divided by the units is what a unit costs.
    #[must_use]
    pub fn measures_whole_runs(&self) -> bool {
        !PARTS.contains(&self.name)
    }
}

/// The name in tables of Moirai with its default scheduler.
pub const OURS: &str = "moirai";

/// A ratio of two times, and its targets.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// The percentile of the runs whose times are divided, from 0 to 1.
    pub percentile: f64,
    /// The peer whose time is divided.
    pub of: &'static str,
    /// The peer by whose time is divided.
    pub baseline: &'static str,
    /// The target with the system's allocator: the greatest ratio that is wanted.
    pub system: f64,
    /// The target with mimalloc.
    pub mimalloc: f64,
}

impl Figure {
    pub(super) const fn median(baseline: &'static str, system: f64, mimalloc: f64) -> Self {
        Self { percentile: 0.5, of: OURS, baseline, system, mimalloc }
    }

    /// Returns the same figure for the time of another peer than Moirai.
    pub(super) const fn of(self, of: &'static str) -> Self {
        Self { of, ..self }
    }
}

/// The figure of rayon on Moirai, for every group in which rayon is a peer: it shall not be slower than rayon as it is,
/// which has a process of its own, too.
pub(super) const RAYON_ON_MOIRAI: Figure =
    Figure::median(Apart::Rayon.name(), 1.0, 1.0).of(Apart::RayonOnMoirai.name());

/// One peer that does the work of a group.
pub struct Case {
    /// The name of the peer.
    pub peer: &'static str,
    /// Does the work once, and returns how long it took.
    pub run: fn() -> Duration,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Case").field(&self.peer).finish()
    }
}

/// Work that every executor of async tasks can do.
pub(super) trait Workload {
    /// Does the work once, and returns how long it took.
    fn run<P: Peer>() -> Duration;
}

pub(super) fn case<W: Workload, P: Peer>() -> Case {
    Case {
        peer: P::NAME,
        run: || {
            P::start();
            W::run::<P>()
        },
    }
}

/// Returns a case for every peer.
pub(super) fn every_peer<W: Workload>() -> Vec<Case> {
    vec![
        case::<W, Ours>(),
        case::<W, Tokio>(),
        case::<W, Smol>(),
        case::<W, StaticSmol>(),
        #[cfg(feature = "forte")]
        case::<W, crate::peer::Forte>(),
    ]
}
