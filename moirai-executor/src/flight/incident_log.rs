//! The incidents that an executor keeps.

use std::sync::Arc;

use moirai_core::{FlightRecorderConfig, Incident, IncidentCause};
use parking_lot::Mutex;

/// The number of causes: the variants of [`IncidentCause`], whatever task they are about.
const CAUSES: usize = 3;

/// The incidents that an executor keeps.
pub(crate) struct IncidentLog {
    max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Vec<Arc<Incident>>,
    causes: [Cause; CAUSES],
}

#[derive(Clone, Copy, Default)]
struct Cause {
    /// When the last one was recorded, in ticks.
    last: Option<u64>,
    /// The number since then.
    unrecorded: u64,
}

fn index_of(cause: IncidentCause) -> usize {
    match cause {
        IncidentCause::Stall { .. } => 0,
        IncidentCause::Panic { .. } => 1,
        _ => 2,
    }
}

impl IncidentLog {
    pub(crate) fn new(config: &FlightRecorderConfig) -> Self {
        Self { max: config.max_incidents, state: Mutex::default() }
    }

    /// Returns whether an incident is to be recorded, and then how many of its cause were not since the last one: none is while the
    /// last is less than `window` ticks old.
    pub(crate) fn is_due(&self, cause: IncidentCause, now: u64, window: u64) -> Option<u64> {
        if self.max == 0 {
            return None;
        }
        let mut state = self.state.lock();
        let Cause { last, unrecorded } = &mut state.causes[index_of(cause)];
        if last.is_some_and(|last| now.saturating_sub(last) < window) {
            *unrecorded += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(unrecorded))
    }

    /// Keeps an incident. If there are too many, the first half stays, and of the others the oldest goes.
    pub(crate) fn keep(&self, incident: Arc<Incident>) {
        let mut state = self.state.lock();
        let gone = (state.kept.len() >= self.max).then(|| state.kept.remove(self.max / 2));
        state.kept.push(incident);
        drop(state);
        drop(gone);
    }

    /// Returns those that are kept, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Incident>> {
        self.state.lock().kept.clone()
    }

    /// Returns those that are kept, and keeps them no longer.
    pub(crate) fn take(&self) -> Vec<Arc<Incident>> {
        std::mem::take(&mut self.state.lock().kept)
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;
    use moirai_core::flight::raw::Times;
    use moirai_core::{Clock, TaskId, Timestamp};

    fn incidents(max_incidents: usize) -> IncidentLog {
        IncidentLog::new(&FlightRecorderConfig { max_incidents, ..Default::default() })
    }

    fn panic_of(task: u64) -> IncidentCause {
        IncidentCause::Panic { task: TaskId::from_u64(task).unwrap() }
    }

    fn incident(task: u64) -> Arc<Incident> {
        let times = Times::now(&Clock::manual().0);
        Incident::new(panic_of(task), 0, times, Timestamp::new(0, 0), Vec::new(), Vec::new())
    }

    #[test]
    fn of_too_many_the_first_half_and_the_newest_stay() {
        for (max, expected) in
            [(1, vec![9]), (2, vec![1, 9]), (3, vec![1, 8, 9]), (4, vec![1, 2, 8, 9])]
        {
            let incidents = incidents(max);
            (1..10).for_each(|task| incidents.keep(incident(task)));
            let tasks = |all: Vec<Arc<Incident>>| -> Vec<u64> {
                all.iter().map(|incident| incident.cause().task().unwrap().get()).collect()
            };
            assert_eq!(tasks(incidents.all()), expected);
            assert_eq!(tasks(incidents.take()), expected);
            assert!(incidents.all().is_empty());
        }
    }

    #[test]
    fn one_of_a_cause_is_due_in_a_window_and_the_others_are_counted() {
        let incidents = incidents(4);
        assert_eq!(incidents.is_due(panic_of(1), 100, 50), Some(0));
        assert_eq!(incidents.is_due(panic_of(2), 120, 50), None);
        assert_eq!(incidents.is_due(panic_of(1), 149, 50), None);
        assert_eq!(incidents.is_due(IncidentCause::ShutdownDeadline, 149, 50), Some(0));
        assert_eq!(incidents.is_due(panic_of(3), 150, 50), Some(2));
        assert_eq!(incidents.is_due(panic_of(3), 200, 50), Some(0));
    }

    #[test]
    fn none_is_due_if_none_may_be_kept() {
        assert_eq!(incidents(0).is_due(panic_of(1), 0, 0), None);
    }
}
