//! Blocking on a worker: its seat goes to another thread meanwhile.

use std::ptr;

use crate::runtime::context::Context;
use crate::runtime::shared::{Seat, Shared};
use crate::runtime::thread_pool::Refused;
use crate::runtime::worker;

/// Calls `f`, which blocks. All seats of the thread are handed on before, and taken back after if nobody sits there yet.
pub(crate) fn blocking<R>(f: impl FnOnce() -> R) -> R {
    let handed_on = HandedOn::all();
    let result = f();
    drop(handed_on);
    result
}

/// The seats that this thread has handed on: each context's, with the seat's index. Dropping it asks for them back.
pub(crate) struct HandedOn(Vec<(*const Context, usize)>);

impl HandedOn {
    pub(crate) fn all() -> Self {
        let mut handed_on = Vec::new();
        let _: Option<()> = Context::find(|context| {
            if let Some(seat) = context.stand_up() {
                let index = seat.index;
                match hand_off(context.shared(), seat) {
                    Ok(()) => handed_on.push((ptr::from_ref(context), index)),
                    // No thread is to be had: the worker blocks in its seat.
                    Err(seat) => context.sit(seat),
                }
            }
            None
        });
        Self(handed_on)
    }
}

impl Drop for HandedOn {
    fn drop(&mut self) {
        for &(context, index) in &self.0 {
            // SAFETY: the contexts were entered before this was made, by callers of this thread that are still there.
            let context = unsafe { &*context };
            if let Some(seat) = take_seat_back(context.shared(), index) {
                context.sit(seat);
            }
        }
    }
}

/// Gives a seat to another thread, because the caller is about to block. It comes back if no thread is to be had.
fn hand_off(shared: &Shared, seat: Box<Seat>) -> Result<(), Box<Seat>> {
    if !shared.mode.has_threads() {
        return Err(seat);
    }
    // Said while the seat is still the caller's: recorders count on one writer a worker.
    shared.record("seat_handed_on", |recorder| recorder.seat_handed_on(seat.index));
    let submitted = shared.seats.submit(seat, |number| {
        let name = format!("{}-reserve-{number}", shared.config.thread_name_prefix);
        shared.start_thread(name, |shared| worker::run(shared, None))
    });
    submitted.map_err(|(Refused::Full(seat) | Refused::Never(seat))| {
        // What is in its private slot is for others to take now: they look there when they find nothing else.
        shared.sleepers.notify();
        seat
    })
}

/// Takes back a seat that was handed on, if nobody has sat down yet.
fn take_seat_back(shared: &Shared, index: usize) -> Option<Box<Seat>> {
    shared.seats.take_back(|seat| seat.index == index)
}
