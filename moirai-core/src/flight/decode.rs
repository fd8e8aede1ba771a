//! Decoding the events of one thread; see [`raw`](super::raw) for their form.

use std::time::Duration;

use super::event::{FlightEvent, FlightEventKind, PollOutcome};
use super::raw::{Now, RawKind, RawThread, Times, Words};
use super::snapshot::FlightThread;
use crate::{TaskId, Timestamp};

impl RawThread {
    /// Decodes the events. Leaves out those that ended before `since`.
    #[must_use]
    pub fn decode(&self, times: &Times, since: Timestamp) -> FlightThread {
        let mut decoder = Decoder::new(times, since);
        for &words in &self.events {
            decoder.event(words);
        }
        decoder.now(self.now);
        let Decoder { mut events, .. } = decoder;
        // What was spawned in a poll stands before the poll, whose start is earlier.
        events.sort_by_key(|event| event.start);
        FlightThread {
            name: self.name.clone(),
            kind: self.kind,
            worker: self.worker,
            ended: self.ended,
            events,
            overwritten: self.overwritten,
        }
    }
}

struct Decoder<'a> {
    times: &'a Times,
    since: Timestamp,
    events: Vec<FlightEvent>,
    /// The mark: the end of the last event that has set it. `None` until there is one.
    mark: Option<Timestamp>,
    /// What happened in a poll that has not been seen yet.
    inside: Vec<Untimed>,
    /// The marks, and what happened, in the polls around the present one.
    outer: Vec<(Option<Timestamp>, Vec<Untimed>)>,
    /// The poll that the thread is in by its own account.
    begun: Option<TaskId>,
    /// The task that the last event has ended, whose waiters are woken after it.
    ended: Option<TaskId>,
}

/// An event whose time, or whose poll, is not known yet.
struct Untimed {
    /// The time, if it is known.
    at: Option<Timestamp>,
    what: What,
}

enum What {
    Spawned(TaskId),
    Woken(TaskId),
    TimerFired(Duration),
    Stole(usize),
}

impl What {
    fn kind(self, by: Option<TaskId>) -> FlightEventKind {
        match self {
            Self::Spawned(task) => FlightEventKind::Spawned { task, by },
            Self::Woken(task) => FlightEventKind::Woken { task, by },
            Self::TimerFired(late) => FlightEventKind::TimerFired { task: by, late },
            Self::Stole(from) => FlightEventKind::Stole { from },
        }
    }
}

impl<'a> Decoder<'a> {
    fn new(times: &'a Times, since: Timestamp) -> Self {
        Self {
            times,
            since,
            events: Vec::new(),
            mark: None,
            inside: Vec::new(),
            outer: Vec::new(),
            begun: None,
            ended: None,
        }
    }

    fn event(&mut self, [first, second]: Words) {
        let (kind, value) = RawKind::split(second);
        if kind.sets_mark() {
            self.ended = None;
        }
        let task = TaskId::from_u64(first);
        let index = || usize::try_from(first).unwrap_or(usize::MAX);
        match kind {
            RawKind::Pending => self.poll(task, PollOutcome::Pending, value),
            RawKind::Completed => self.poll(task, PollOutcome::Completed, value),
            RawKind::Failed => self.poll(task, PollOutcome::Failed, value),
            RawKind::Cancelled => {
                let event = task.map(|task| FlightEventKind::Cancelled { task });
                self.timed(event, task, self.times.timestamp(value));
                self.begun = None;
                self.ended = task;
            }
            RawKind::Idle => {
                let event = FlightEventKind::Idle { parked: first == 1 };
                self.timed(Some(event), None, self.times.timestamp(value));
            }
            RawKind::Job => {
                let event = FlightEventKind::Job { task };
                self.timed(Some(event), task, self.times.timestamp(value));
            }
            RawKind::Mark => {
                self.mark = Some(self.times.timestamp(value));
                self.flush(self.mark, self.mark, None);
            }
            RawKind::Inner => {
                self.outer.push((self.mark, std::mem::take(&mut self.inside)));
                self.mark = Some(self.times.timestamp(value));
            }
            RawKind::Outer => {
                self.flush(self.mark, self.mark, None);
                (self.mark, self.inside) = self.outer.pop().unwrap_or_default();
            }
            RawKind::Inside => self.begun = task,
            RawKind::Spawned => {
                let at = Some(self.times.timestamp(value));
                self.inside.extend(task.map(|task| Untimed { at, what: What::Spawned(task) }));
            }
            RawKind::Woken if value == 1 => {
                let what = task.map(What::Woken);
                self.inside.extend(what.map(|what| Untimed { at: None, what }));
            }
            // Between two polls, so that the time is that of the mark.
            RawKind::Woken => self.at_mark(task.map(What::Woken)),
            RawKind::Stole => self.at_mark(Some(What::Stole(index()))),
            RawKind::TimerFired => {
                let what = What::TimerFired(Duration::from_nanos(value));
                self.inside.push(Untimed { at: None, what });
            }
            RawKind::StallBegan => {
                self.at(value, task.map(|task| FlightEventKind::StallBegan { task }));
            }
            RawKind::StallEnded => {
                self.at(value, task.map(|task| FlightEventKind::StallEnded { task }));
            }
        }
    }

    /// Adds what the thread is still in.
    fn now(&mut self, now: Now) {
        let end = self.times.taken_at();
        let polled = |task| FlightEventKind::Poll { task, outcome: PollOutcome::Running };
        let task = match (self.begun, now) {
            (Some(task), _) => Some(task),
            // The thread says which task it is in until it has found the next one.
            (None, Now::Polls(task)) => Some(task).filter(|_| self.ended != Some(task)),
            _ => None,
        };
        let kind = match (task, now) {
            (Some(task), _) => Some(polled(task)),
            (None, Now::Idle) => Some(FlightEventKind::Idle { parked: true }),
            (None, Now::RunsJob) => Some(FlightEventKind::Job { task: None }),
            (None, _) => None,
        };
        // The mark of a poll that spawns and wakes a great many tasks is overwritten.
        self.mark = self.mark.or_else(|| self.events.first().map(|event| event.start));
        // The polls around it, if there are any, are not known: their tasks are written when they end.
        self.timed(kind, task, end);
    }

    fn poll(&mut self, task: Option<TaskId>, outcome: PollOutcome, value: u64) {
        let event = task.map(|task| FlightEventKind::Poll { task, outcome });
        self.timed(event, task, self.times.timestamp(value));
        self.begun = None;
        self.ended = task.filter(|_| outcome != PollOutcome::Pending);
    }

    /// Adds an event that has lasted from the mark until `end`, and what happened inside of it.
    fn timed(&mut self, kind: Option<FlightEventKind>, by: Option<TaskId>, end: Timestamp) {
        let start = self.mark.replace(end);
        // Its start is not known if it is the first that was not overwritten.
        self.push(start.zip(kind).map(|(start, kind)| FlightEvent::new(start, end, kind)));
        self.flush(start, Some(end), by);
    }

    /// Adds what happened from `start` to `end`, in a poll of `by` if that is known.
    fn flush(&mut self, start: Option<Timestamp>, end: Option<Timestamp>, by: Option<TaskId>) {
        let all = std::mem::take(&mut self.inside);
        let parts = u32::try_from(all.len()).unwrap_or(u32::MAX).saturating_add(1);
        for (index, untimed) in (1_u32..).zip(all) {
            let spread = start.zip(end).map(|(start, end)| {
                let step = u128::from(end.saturating_since(start).as_nanos() as u64)
                    * u128::from(index)
                    / u128::from(parts);
                start.plus(Duration::from_nanos(u64::try_from(step).unwrap_or(u64::MAX)))
            });
            let at = untimed.at.or(spread).or(end);
            let kind = untimed.what.kind(by);
            self.push(at.map(|at| FlightEvent::new(at, at, kind)));
        }
    }

    /// Adds what has a time of its own.
    fn at(&mut self, value: u64, kind: Option<FlightEventKind>) {
        let at = self.times.timestamp(value);
        self.push(kind.map(|kind| FlightEvent::new(at, at, kind)));
    }

    /// Adds what happened between two polls.
    fn at_mark(&mut self, what: Option<What>) {
        let by = self.ended;
        let event = self.mark.zip(what).map(|(at, what)| FlightEvent::new(at, at, what.kind(by)));
        self.push(event);
    }

    fn push(&mut self, event: Option<FlightEvent>) {
        self.events.extend(event.filter(|event| event.end >= self.since));
    }
}

#[cfg(test)]
mod tests;
