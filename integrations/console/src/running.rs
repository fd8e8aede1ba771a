//! Which tasks are being polled at the moment, and since when.

use std::collections::HashMap;
use std::time::SystemTime;

use moirai::{Flight, FlightEvent, FlightEventKind, HybridExecutor, PollOutcome, Stall, TaskId};

/// The tasks that are being polled, with the times at which these polls began.
pub(crate) type Running = HashMap<TaskId, SystemTime>;

/// Returns the tasks that are being polled, as far as that is known: from the flight recorder, and, if that is turned off, those whose
/// polls exceed their budgets. Polls on threads outside of the executor are not known.
///
/// It takes about a millisecond for each thread of the executor that has done much lately.
pub(crate) fn running(executor: &HybridExecutor) -> Running {
    let stalls = executor.stalled();
    let flight = executor.flight();
    let mut running = from_stalls(&stalls, flight.taken_at.to_system_time());
    running.extend(from_flight(&flight));
    running
}

fn from_stalls(stalls: &[Stall], now: SystemTime) -> Running {
    let since = |stall: &Stall| now.checked_sub(stall.age).unwrap_or(now);
    stalls.iter().map(|stall| (stall.id, since(stall))).collect()
}

fn from_flight(flight: &Flight) -> impl Iterator<Item = (TaskId, SystemTime)> {
    let events = flight.threads.iter().flat_map(|thread| &thread.events);
    events.filter_map(|event: &FlightEvent| match event.kind {
        FlightEventKind::Poll { task, outcome: PollOutcome::Running } => {
            Some((task, event.start.to_system_time()))
        }
        _ => None,
    })
}
