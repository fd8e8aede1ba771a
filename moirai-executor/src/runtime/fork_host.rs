//! Waiting for what others do. Rule 6 of the [module](crate::fork_join).

use std::ptr::NonNull;
use std::time::{Duration, Instant};

use moirai_sync::{Parker, Unparker};

use crate::fork_join::Board;
use crate::runtime::context::Context;
use crate::runtime::lifecycle::Phase;
use crate::runtime::shared::Shared;
use crate::task::Header;
use moirai_core::{Ready, Visibility};

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

/// Something that happens once, and of which one thread is told.
pub(crate) trait Event {
    /// Whether it has happened.
    fn has_happened(&self) -> bool;

    /// Says whom to wake when it happens. If it has happened already, nobody is woken.
    fn arm(&self, unparker: Unparker);

    /// Takes back who is to be woken.
    fn disarm(&self);
}

/// How long a wait looks for pieces before it sleeps: about as long as it takes to put a thread to sleep and to wake it.
const PATIENCE: Duration = Duration::from_micros(60);

/// How far a wait has come.
pub(crate) struct Wait {
    since: Option<Instant>,
    /// What the last look at the board has seen, in vain.
    pub(crate) seen: Option<usize>,
    /// Whether the next sleep is without a seat.
    pub(crate) hand_on: bool,
}

impl Wait {
    pub(crate) const fn new() -> Self {
        Self { since: None, seen: None, hand_on: false }
    }

    /// Whether it is too early to sleep.
    pub(crate) fn stays_awake(&mut self) -> bool {
        // A model needs no second look before it sleeps.
        !cfg!(moirai_loom) && self.since.get_or_insert_with(Instant::now).elapsed() < PATIENCE
    }
}

/// Sleeps until the event has happened.
pub(crate) fn park_for(event: &impl Event) {
    let parker = Parker::new();
    event.arm(parker.unparker());
    while !event.has_happened() {
        parker.park();
    }
}

/// More than there will ever be pieces.
const SIMULATED_IDLE: usize = usize::MAX / 2;

impl Crew for Shared {
    #[inline]
    fn board(&self) -> &Board {
        &self.board
    }

    fn idle(&self) -> usize {
        // In a simulation the board is always hungry, so that each split comes by `draw`.
        if self.sim.is_some() { SIMULATED_IDLE } else { self.sleepers.idle() }
    }

    fn invite(&self) {
        self.sleepers.invite();
    }

    fn draw(&self, bound: usize) -> Option<usize> {
        self.sim.as_ref().map(|sim| sim.draw(bound))
    }

    fn rest(&self, event: &impl Event) -> bool {
        let Some(worker) = Context::with_seat_of(self, |seat| seat.index) else {
            return false;
        };
        event.arm(self.sleepers.unparker(worker));
        let happened =
            self.sleepers.rest(worker, || event.has_happened(), || self.has_work_for_seat());
        event.disarm();
        // It counted as idle.
        self.progress.busy();
        happened
    }

    fn sleep(&self, event: &impl Event) {
        Context::blocking(|| park_for(event));
    }
}

/// A thread without a seat that has a core. Rule 7 of the [module](crate::fork_join).
pub(crate) struct Guest<'a>(&'a Shared);

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.0.board.guest_leaves();
        // Its core is free now for a worker that was not invited because of it.
        self.0.invite_for_the_rest();
    }
}

impl Shared {
    /// Invites another worker if there are more pieces, for one that has taken one. So a few that were made public at once wake
    /// one worker after the other, each on its way to its own.
    pub(crate) fn invite_for_the_rest(&self) {
        if self.board.has_more_for(self.sleepers.idle()) {
            self.sleepers.invite();
        }
    }

    /// Runs a piece of a task's fork-join work, if there is one, on a thread that waits for the task.
    pub(crate) fn help(&self, task: NonNull<Header<Self>>) -> bool {
        let Some(piece) = self.board.take_of(task, self.idle()) else {
            return false;
        };
        crate::parallel::join::on_any_hand(self, |hand| piece.run(hand, self));
        true
    }

    /// Counts the calling thread as a guest.
    pub(crate) fn guest(&self) -> Guest<'_> {
        self.board.guest_comes();
        Guest(self)
    }

    /// Whether there is something for the caller's seat to do, by whoever sits in it.
    fn has_work_for_seat(&self) -> bool {
        let has_task = Context::with_seat_of(self, |seat| {
            let task = seat.queue.pop()?;
            // It goes back for the thread that sits down.
            let priority = task.priority();
            Some((seat.queue.push(task, priority, Ready::Yielded), seat.index))
        });
        if let Some(Some((Visibility::Worker(elsewhere), here))) = has_task
            && elsewhere != here
        {
            self.sleepers.notify_worker(elsewhere);
        }
        matches!(has_task, Some(Some(_)))
            || self.board.has_pieces()
            || self.door.phase() == Phase::Stopped
    }
}
