//! What fork-join needs of the executor.

use super::latch::Event;
use super::shared_jobs::Board;

/// What fork-join needs of the executor.
pub(crate) trait Crew {
    /// Where pieces are public.
    fn board(&self) -> &Board;

    /// How many workers have nothing to do.
    fn idle(&self) -> usize;

    /// Says that a piece was made public.
    fn invite(&self);

    /// In a simulation, draws a number below `bound`. There nobody comes for pieces: what is run first is drawn.
    fn draw(&self, bound: usize) -> Option<usize> {
        let _ = bound;
        None
    }

    /// Sleeps in the caller's seat until the event has happened, and says that it has. If not, then there may be work that the
    /// caller cannot do, or it has no seat.
    fn rest(&self, event: &impl Event) -> bool;

    /// Hands the caller's seats on, and sleeps until the event has happened.
    fn sleep(&self, event: &impl Event);
}
