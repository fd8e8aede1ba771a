//! The turns of a round: one for each peer, in this process or in one of its own.

use std::time::Duration;

use super::group::Group;
use crate::rayon_on_moirai;
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
    /// By rayon on Moirai, which is asked to do the work of the group with this name.
    RayonOnMoirai(&'static str),
}

impl Turn {
    /// Does the work once, and returns how long it took.
    #[must_use]
    pub fn take(&self) -> Took {
        match self.run {
            Run::Here(run) => Took::of(run),
            Run::RayonOnMoirai(group) => rayon_on_moirai::run(group),
        }
    }
}

impl Group {
    /// Returns the turns of a round, in the order of the cases. That of rayon on Moirai comes after that of rayon, if its program is
    /// [there](rayon_on_moirai::is_there).
    #[must_use]
    pub fn turns(&self) -> Vec<Turn> {
        let mut turns = Vec::with_capacity(self.cases.len() + 1);
        for case in &self.cases {
            turns.push(Turn { peer: case.peer, run: Run::Here(case.run) });
            if case.peer == rayon_on_moirai::STOCK && rayon_on_moirai::is_there() {
                let run = Run::RayonOnMoirai(self.name);
                turns.push(Turn { peer: rayon_on_moirai::NAME, run });
            }
        }
        turns
    }

    /// Whether rayon, and therefore also rayon on Moirai, is a peer.
    #[must_use]
    pub fn has_rayon(&self) -> bool {
        self.cases.iter().any(|case| case.peer == rayon_on_moirai::STOCK)
    }
}
