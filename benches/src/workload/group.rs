//! Groups of cases that do the same work.

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
    pub(super) const fn median(baseline: &'static str, system: f64, mimalloc: f64) -> Self {
        Self { percentile: 0.5, of: OURS, baseline, system, mimalloc }
    }

    /// Of another than Moirai.
    pub(super) const fn of(self, of: &'static str) -> Self {
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
pub(super) trait Workload {
    /// Does it once, and says how long it took.
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

/// A case for every peer.
pub(super) fn everybody<W: Workload>() -> Vec<Case> {
    vec![
        case::<W, Ours>(),
        case::<W, Tokio>(),
        case::<W, Smol>(),
        case::<W, StaticSmol>(),
        #[cfg(feature = "forte")]
        case::<W, crate::peer::Forte>(),
    ]
}
