//! The turns of a round: one for each peer, in this process or in one of its own.

use std::time::Duration;

use super::group::Group;
use crate::apart::{Apart, RAYON};
use crate::took::Took;

/// The turn of one peer.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// The name of the peer.
    pub peer: &'static str,
    run: Run,
}

#[derive(Clone, Copy, Debug)]
enum Run {
    /// In this process.
    Here(fn() -> Duration),
    /// By this peer, which is asked to do the work of the group with this name.
    Apart(Apart, &'static str),
}

impl Turn {
    /// Does the work once, and returns how long it took.
    #[must_use]
    pub fn take(&self) -> Took {
        match self.run {
            Run::Here(run) => Took::of(run),
            Run::Apart(peer, group) => peer.run(group),
        }
    }
}

impl Group {
    /// Returns the turns of a round, in the order of the cases. After that of rayon come those of the peers
    /// [apart](crate::apart) that are there.
    #[must_use]
    pub fn turns(&self) -> Vec<Turn> {
        let mut turns = Vec::with_capacity(self.cases.len() + Apart::ALL.len());
        for case in &self.cases {
            turns.push(Turn { peer: case.peer, run: Run::Here(case.run) });
            if case.peer == RAYON {
                let there = Apart::ALL.into_iter().filter(|peer| peer.is_there());
                let turn =
                    |peer: Apart| Turn { peer: peer.name(), run: Run::Apart(peer, self.name) };
                turns.extend(there.map(turn));
            }
        }
        turns
    }

    /// Whether rayon, and therefore also rayon on Moirai, is a peer.
    #[must_use]
    pub fn has_rayon(&self) -> bool {
        self.cases.iter().any(|case| case.peer == RAYON)
    }
}
