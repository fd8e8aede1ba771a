//! What all formats of traces have in common: tracks of nested slices, marks, flows and counters, in the order of time.

use std::collections::{HashMap, HashSet};

use moirai_core::{Flight, FlightEvent, FlightEventKind, PollOutcome, TaskId, Timestamp};

/// A flight as a viewer shows it.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) tracks: Vec<Track>,
    pub(super) counters: Vec<Counters>,
}

/// What one thread did.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) name: String,
    /// In the order of time. Each slice ends before the one around it does.
    pub(super) steps: Vec<Step>,
}

/// A step on a track.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) at: Timestamp,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Begin(Label),
    End,
    Mark(Label),
}

/// What a slice or a mark says.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) name: String,
    pub(super) category: &'static str,
    pub(super) task: Option<TaskId>,
    pub(super) note: Option<(&'static str, String)>,
    pub(super) flow: Option<Flow>,
}

/// The place of a slice or mark in the flow of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It begins or goes on here.
    Through(TaskId),
    /// It ends here.
    Ends(TaskId),
}

impl Flow {
    pub(super) const fn task(self) -> TaskId {
        match self {
            Self::Through(task) | Self::Ends(task) => task,
        }
    }
}

/// The counters from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) at: Timestamp,
    pub(super) active: i64,
    pub(super) queued: i64,
}

impl Timeline {
    pub(super) fn of(flight: &Flight) -> Self {
        let mut names = Names { flight, known: HashMap::new() };
        let tracks = flight.threads.iter().map(|thread| Track {
            name: thread.name.clone(),
            steps: steps(&thread.events, &mut names),
        });
        Self { tracks: tracks.collect(), counters: counters(flight) }
    }
}

/// The names of tasks, each made once.
struct Names<'a> {
    flight: &'a Flight,
    known: HashMap<TaskId, String>,
}

impl Names<'_> {
    fn of(&mut self, task: TaskId) -> String {
        self.known.entry(task).or_insert_with(|| self.flight.label(task)).clone()
    }
}

/// Returns the steps of a track, given the events of a thread in the order of their starts.
fn steps(events: &[FlightEvent], names: &mut Names<'_>) -> Vec<Step> {
    let mut steps = Vec::with_capacity(2 * events.len());
    // The ends of the slices that are open.
    let mut open: Vec<Timestamp> = Vec::new();
    let mut events: Vec<&FlightEvent> = events.iter().collect();
    // A slice comes before what begins with it and is inside of it.
    events.sort_by_key(|event| (event.start, std::cmp::Reverse(event.end)));
    for event in events {
        let is_slice = is_slice(event.kind);
        while let Some(&end) = open.last()
            && (end < event.start || (is_slice && end == event.start))
        {
            open.pop();
            steps.push(Step { at: end, what: What::End });
        }
        let Some(label) = label(event, names) else { continue };
        let what = if is_slice {
            // A slice that reached beyond the one around it would end that.
            open.push(open.last().map_or(event.end, |&outer| outer.min(event.end)));
            What::Begin(label)
        } else {
            What::Mark(label)
        };
        steps.push(Step { at: event.start, what });
    }
    steps.extend(open.into_iter().rev().map(|at| Step { at, what: What::End }));
    steps
}

fn is_slice(kind: FlightEventKind) -> bool {
    use FlightEventKind::{Cancelled, Idle, Job, Poll};
    matches!(kind, Poll { .. } | Cancelled { .. } | Job { .. } | Idle { .. })
}

fn label(event: &FlightEvent, names: &mut Names<'_>) -> Option<Label> {
    let plain =
        |name: String, category, task| Label { name, category, task, note: None, flow: None };
    let of = |names: &mut Names<'_>, what: &str, task| format!("{what} {}", names.of(task));
    let by = |names: &mut Names<'_>, task: Option<TaskId>| task.map(|task| ("by", names.of(task)));
    Some(match event.kind {
        FlightEventKind::Poll { task, outcome } => Label {
            note: Some(("outcome", outcome_name(outcome).to_owned())),
            flow: Some(match outcome {
                PollOutcome::Completed | PollOutcome::Failed => Flow::Ends(task),
                _ => Flow::Through(task),
            }),
            ..plain(names.of(task), "poll", Some(task))
        },
        FlightEventKind::Cancelled { task } => Label {
            note: Some(("outcome", "cancelled".to_owned())),
            flow: Some(Flow::Ends(task)),
            ..plain(names.of(task), "poll", Some(task))
        },
        FlightEventKind::Spawned { task, by: parent } => Label {
            note: by(names, parent),
            flow: Some(Flow::Through(task)),
            ..plain(of(names, "spawn", task), "spawn", Some(task))
        },
        FlightEventKind::Woken { task, by: waker } => Label {
            note: by(names, waker),
            flow: Some(Flow::Through(task)),
            ..plain(of(names, "wake", task), "wake", Some(task))
        },
        FlightEventKind::TimerFired { task, late } => Label {
            note: Some(("late", format!("{late:?}"))),
            ..plain("timer".to_owned(), "timer", task)
        },
        FlightEventKind::Stole { from } => Label {
            note: Some(("from", format!("worker {from}"))),
            ..plain("steal".to_owned(), "steal", None)
        },
        FlightEventKind::Idle { parked } => {
            plain(if parked { "asleep" } else { "searching" }.to_owned(), "idle", None)
        }
        FlightEventKind::Job { task } => {
            let name = task.map_or_else(|| "part".to_owned(), |task| of(names, "part of", task));
            plain(name, "fork-join", task)
        }
        FlightEventKind::StallBegan { task } => {
            plain(of(names, "stall noticed:", task), "stall", Some(task))
        }
        FlightEventKind::StallEnded { task } => {
            plain(of(names, "stall over:", task), "stall", Some(task))
        }
        // There may be kinds that this version does not know.
        _ => return None,
    })
}

fn outcome_name(outcome: PollOutcome) -> &'static str {
    match outcome {
        PollOutcome::Pending => "pending",
        PollOutcome::Completed => "completed",
        PollOutcome::Failed => "failed",
        PollOutcome::Running => "running",
        _ => "unknown",
    }
}

/// How an event changes the counters.
enum Change {
    Spawned(TaskId),
    Woken(TaskId),
    Began(TaskId),
    Ended(TaskId),
}

/// Returns the counters at every moment at which one changes.
fn counters(flight: &Flight) -> Vec<Counters> {
    let mut changes = Vec::new();
    for event in flight.threads.iter().flat_map(|thread| &thread.events) {
        match event.kind {
            FlightEventKind::Spawned { task, .. } => {
                changes.push((event.start, 0, Change::Spawned(task)));
            }
            FlightEventKind::Woken { task, .. } => {
                changes.push((event.start, 1, Change::Woken(task)));
            }
            FlightEventKind::Poll { task, outcome } => {
                changes.push((event.start, 2, Change::Began(task)));
                if matches!(outcome, PollOutcome::Completed | PollOutcome::Failed) {
                    changes.push((event.end, 3, Change::Ended(task)));
                }
            }
            FlightEventKind::Cancelled { task } => {
                changes.push((event.end, 3, Change::Ended(task)));
            }
            _ => {}
        }
    }
    changes.sort_by_key(|(at, order, _)| (*at, *order));
    let (mut active, mut queued) = (HashSet::new(), HashSet::new());
    let mut all: Vec<Counters> = Vec::new();
    for (at, _, change) in changes {
        match change {
            Change::Spawned(task) | Change::Woken(task) => {
                active.insert(task);
                queued.insert(task);
            }
            Change::Began(task) => {
                active.insert(task);
                queued.remove(&task);
            }
            Change::Ended(task) => {
                active.remove(&task);
                queued.remove(&task);
            }
        }
        let count = |set: &HashSet<TaskId>| i64::try_from(set.len()).unwrap_or(i64::MAX);
        let now = Counters { at, active: count(&active), queued: count(&queued) };
        match all.last_mut() {
            Some(last) if last.at == at => *last = now,
            Some(last) if (last.active, last.queued) == (now.active, now.queued) => {}
            _ => all.push(now),
        }
    }
    all
}
