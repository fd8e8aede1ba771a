//! What fork-join needs of the executor.

use super::latch::Latch;
use super::shared_jobs::SharedJobs;

/// What fork-join needs of the executor.
pub(crate) trait Host {
    /// Where pieces are public.
    fn shared_jobs(&self) -> &SharedJobs;

    /// How many workers have nothing to do.
    fn idle(&self) -> usize;

    /// Says that a piece was made public.
    fn invite(&self);

    /// In a simulation, draws a number below `bound`. There nobody comes for pieces: what is run first is drawn.
    fn simulated_choice(&self, bound: usize) -> Option<usize> {
        let _ = bound;
        None
    }

    /// Sleeps in the caller's seat until the latch has is_set, and says that it has. If not, then there may be work that the
    /// caller cannot do, or it has no seat.
    fn park_on_core(&self, latch: &impl Latch) -> bool;

    /// Hands the caller's seats on, and sleeps until the latch has is_set.
    fn hand_off_and_park(&self, latch: &impl Latch);
}
