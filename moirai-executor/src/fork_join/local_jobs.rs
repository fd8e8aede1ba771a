//! What a thread has of its fork-join work: the halves in its frames, and where it is.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::thread;

use super::frame::{CurrentFrame, Frame};
use super::host::Crew;
use super::latch::{Event, Wait};
use super::shared_jobs::{Board, Piece};
use super::stack_job::{Half, Second};
use crate::panics;

/// A thread's part of the fork-join work of one executor.
pub(crate) struct Hand {
    /// Where the thread is; null outside of fork-join work.
    frame: CurrentFrame,
    /// The newest half in its frames. The end of the list, if there is none.
    newest: Cell<*const Half>,
    /// The newest half that is not private, which has no private one before it (rule 5); or the end of the list.
    newest_public: Cell<*const Half>,
    end: Half,
    /// Whether the thread counts as a guest (rule 7).
    guest: Cell<bool>,
}

impl Hand {
    pub(crate) fn new() -> Self {
        Self {
            frame: CurrentFrame::none(),
            newest: Cell::new(ptr::null()),
            newest_public: Cell::new(ptr::null()),
            end: Half::end_of_list(),
            guest: Cell::new(false),
        }
    }

    /// Makes it ready; from here on it must not move.
    pub(crate) fn settle(&self) {
        self.newest.set(&raw const self.end);
        self.newest_public.set(&raw const self.end);
    }

    /// Where the thread is.
    #[inline]
    pub(crate) const fn frame(&self) -> &CurrentFrame {
        &self.frame
    }

    /// Calls `f`, which is called from outside of fork-join work. `guest`: the thread has no seat.
    pub(crate) fn at_root<R>(
        &self,
        board: &Board,
        frame: &Frame,
        guest: bool,
        f: impl FnOnce() -> R,
    ) -> R {
        struct Leave<'a>(&'a Hand, &'a Board);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.guest.set(false);
                self.1.guest_leaves();
            }
        }
        let _leave = (guest && !self.guest.replace(true)).then(|| {
            board.guest_comes();
            Leave(self, board)
        });
        self.frame.within(frame, f)
    }

    /// Both results; the closures may run in parallel. The thread is inside of fork-join work.
    #[inline]
    pub(crate) fn join<A, B, RA, RB>(&self, crew: &impl Crew, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA,
        B: FnOnce() -> RB + Send,
        RB: Send,
    {
        if self.frame.is_cancelled() {
            return self.frame.uncancelled(|| self.join(crew, a, b));
        }
        let second = Second::new(self.frame.get(), b);
        let half = second.half();
        // From the whole, and not from the half alone: who runs it needs the rest as well.
        self.push((&raw const second).cast());
        if crew.board().is_hungry() || !self.has_public() {
            self.publish(crew);
        }
        // Rule 4: from the push to the recovery nothing unwinds.
        let first = catch_unwind(AssertUnwindSafe(a));
        let back = self.recover(crew, half);
        match first {
            Ok(ra) if back => {
                // SAFETY: the half is the owner's again, and was not run.
                let b = unsafe { second.take_closure() };
                (ra, b())
            }
            first => Self::settle_accounts(first, &second, back),
        }
    }

    /// The ends of a `join` that are rare: the second closure ran elsewhere, or the first has panicked.
    #[cold]
    fn settle_accounts<B, RA, RB>(
        first: thread::Result<RA>,
        second: &Second<B, RB>,
        back: bool,
    ) -> (RA, RB)
    where
        B: FnOnce() -> RB + Send,
        RB: Send,
    {
        let result = if back {
            // SAFETY: the half is the owner's again, and was not run.
            let b = unsafe { second.take_closure() };
            catch_unwind(AssertUnwindSafe(b))
        } else {
            // SAFETY: `recover` has seen that it is done.
            unsafe { second.take_result() }
        };
        match (first, result) {
            (Ok(ra), Ok(rb)) => (ra, rb),
            (Ok(ra), Err(payload)) => {
                let _ = panics::contain(|| drop(ra));
                resume_unwind(payload)
            }
            (Err(payload), rest) => {
                let _ = panics::contain(|| drop(rest));
                resume_unwind(payload)
            }
        }
    }

    /// Enters a half of the calling frame into the list.
    #[inline]
    fn push(&self, half: *const Half) {
        let newest = self.newest.get();
        // SAFETY: it is in the calling frame.
        unsafe { &*half }.older().set(newest);
        // SAFETY: the list holds halves of frames that are still there, and its own end.
        unsafe { &*newest }.newer().set(half);
        self.newest.set(half);
    }

    /// Whether one of its halves is on the board.
    #[inline]
    fn has_public(&self) -> bool {
        // SAFETY: as in `push`. The older ones are taken first.
        unsafe { &*self.newest_public.get() }.is_public()
    }

    /// Takes the newest half off the list; says whether the caller is to run it. Otherwise it is done.
    #[inline]
    fn recover(&self, crew: &impl Crew, half: &Half) -> bool {
        debug_assert!(ptr::eq(self.newest.get(), half), "halves come back in reverse order");
        if half.is_private() {
            self.newest.set(half.older().get());
            return true;
        }
        self.recover_public(crew, half)
    }

    #[cold]
    #[inline(never)]
    fn recover_public(&self, crew: &impl Crew, half: &Half) -> bool {
        let back = crew.board().take_back(half, crew.idle());
        if !back {
            self.wait(crew, half);
        }
        self.newest.set(half.older().get());
        self.newest_public.set(half.older().get());
        #[cfg(moirai_loom)]
        half.retire();
        back
    }

    /// Makes private halves public, oldest first, until the board has enough. Rule 5.
    #[cold]
    #[inline(never)]
    fn publish(&self, crew: &impl Crew) {
        let at_least = usize::from(!self.has_public());
        let invites = crew.board().publish(crew.idle(), at_least, || {
            let newest_public = self.newest_public.get();
            if ptr::eq(newest_public, self.newest.get()) {
                return None;
            }
            // SAFETY: as in `push`. It is not the newest, so there is a newer one.
            let half = unsafe { &*newest_public }.newer().get();
            self.newest_public.set(half);
            Some(half)
        });
        if crew.draw(2) == Some(1) {
            // The second closure goes first, as if a thief had come at once. It is safe to run here: nothing of the first has run, and
            // the caller waits for both.
            // SAFETY: the newest half is in the calling frame.
            let newest = unsafe { &*self.newest.get() };
            if let Some(piece) = crew.board().take_half(newest, crew.idle()) {
                piece.run(&self.frame, crew.board(), || crew.idle());
            }
        } else if invites {
            crew.invite();
        }
    }

    /// Waits for a half that was taken. Rule 6.
    fn wait(&self, crew: &impl Crew, half: &Half) {
        let mut wait = Wait::new();
        while !half.is_done() {
            self.pass_time(crew, half, half.identity(), &mut wait);
        }
    }

    /// Does what a wait does as long as the event has not happened: runs a piece below what is waited for, or looks again in a
    /// moment, or sleeps.
    pub(crate) fn pass_time(
        &self,
        crew: &impl Crew,
        event: &impl Event,
        below: *const (),
        wait: &mut Wait,
    ) {
        if let Some(piece) = crew.board().take_below(below, crew.idle(), &mut wait.seen) {
            piece.run(&self.frame, crew.board(), || crew.idle());
            *wait = Wait::new();
        } else if wait.stays_awake() {
            thread::yield_now();
        } else if wait.hand_on {
            // A guest that sleeps does not count.
            let guest = self.guest.get();
            if guest {
                crew.board().guest_leaves();
                // Its core is free now for a worker that was not invited because of it.
                if crew.board().has_more_for(crew.idle()) {
                    crew.invite();
                }
            }
            crew.sleep(event);
            if guest {
                crew.board().guest_comes();
            }
        } else {
            // If there is work it may be below: once more, then.
            wait.hand_on = !crew.rest(event);
            wait.seen = None;
        }
    }

    /// Runs a piece for whoever has nothing else to do.
    pub(crate) fn run(&self, piece: Piece, crew: &impl Crew) {
        piece.run(&self.frame, crew.board(), || crew.idle());
    }
}
