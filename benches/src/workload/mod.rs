//! What the peers are made to do, and how long one run of it takes.

mod closures;
mod fork;
mod join;
mod poll;
mod registry;
mod schedulers;
mod spawn;
mod time;
mod wake;

use std::time::Duration;

use crate::peer::{Ours, Peer, Smol, StaticSmol, Tokio};

/// A workload and everybody who does it.
#[derive(Debug)]
pub struct Group {
    /// What it is called, on the command line too.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// What times are given per.
    pub unit: &'static str,
    /// How many of them one run has.
    pub units: u64,
    /// How many runs a peer gets in one process.
    pub rounds: usize,
    /// What Moirai is to take at most, in nanoseconds per unit, if that was asked for.
    pub reach: Option<f64>,
    /// What is compared.
    pub figures: Vec<Figure>,
    /// Who does it; Moirai is the first.
    pub cases: Vec<Case>,
}

/// What Moirai is called in tables, with its default scheduler.
pub const OURS: &str = "moirai";

/// A figure of a group, and what it is to be.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Which of the sorted times of all runs.
    pub percentile: f64,
    /// Whose time is divided.
    pub of: &'static str,
    /// By whose time it is divided.
    pub baseline: &'static str,
    /// The ratio to reach with the system's allocator.
    pub system: f64,
    /// And with mimalloc.
    pub mimalloc: f64,
}

impl Figure {
    const fn median(baseline: &'static str, system: f64, mimalloc: f64) -> Self {
        Self { percentile: 0.5, of: OURS, baseline, system, mimalloc }
    }

    /// Of another than Moirai.
    const fn of(self, of: &'static str) -> Self {
        Self { of, ..self }
    }
}

/// One who does the work of a group.
pub struct Case {
    /// Who.
    pub peer: &'static str,
    /// Does it once, and says how long it took.
    pub run: fn() -> Duration,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Case").field(&self.peer).finish()
    }
}

/// Something that every executor of async tasks can be made to do.
trait Workload {
    /// Does it once, and says how long it took.
    fn run<P: Peer>() -> Duration;
}

fn case<W: Workload, P: Peer>() -> Case {
    Case {
        peer: P::NAME,
        run: || {
            P::start();
            W::run::<P>()
        },
    }
}

/// A case for every peer.
fn everybody<W: Workload>() -> Vec<Case> {
    vec![
        case::<W, Ours>(),
        case::<W, Tokio>(),
        case::<W, Smol>(),
        case::<W, StaticSmol>(),
        #[cfg(feature = "forte")]
        case::<W, crate::peer::Forte>(),
    ]
}

/// Starting tasks.
#[must_use]
pub fn spawn() -> Vec<Group> {
    let mut groups = spawn::groups();
    groups.extend(closures::groups());
    groups
}

/// Waiting for results.
#[must_use]
pub fn join() -> Vec<Group> {
    join::groups()
}

/// Being polled and woken.
#[must_use]
pub fn poll() -> Vec<Group> {
    let mut groups = poll::groups();
    groups.extend(wake::groups());
    groups
}

/// The books alone.
#[must_use]
pub fn registry() -> Vec<Group> {
    registry::groups()
}

/// Fork-join work.
#[must_use]
pub fn fork() -> Vec<Group> {
    fork::groups()
}

/// Timers, and going on while workers are stuck.
#[must_use]
pub fn time() -> Vec<Group> {
    time::groups()
}

/// The schedulers in the box beside each other.
#[must_use]
pub fn schedulers() -> Vec<Group> {
    schedulers::groups()
}

/// The groups of all suites.
#[must_use]
pub fn all() -> Vec<Group> {
    [spawn(), join(), poll(), fork(), time(), schedulers(), registry()]
        .into_iter()
        .flatten()
        .collect()
}
