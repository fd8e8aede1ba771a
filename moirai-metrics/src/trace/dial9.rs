//! The format of dial9, tokio's flight recorder, so that its viewer and its scripts can be used.

use std::collections::HashMap;
use std::io::{self, Write};

use dial9_trace_format::encoder::Encoder;
use dial9_trace_format::{InternedString, TraceEvent};
use moirai_core::{
    Flight, FlightEvent, FlightEventKind, FlightThread, PollOutcome, TaskId, ThreadKind,
};

/// What stands in place of the index of a worker for threads of the blocking pool, and for other threads.
const BLOCKING: u64 = 254;
const UNKNOWN: u64 = 255;

// The names and fields are those of dial9's events, by which its readers know them.

#[derive(TraceEvent)]
struct PollStartEvent {
    #[traceevent(timestamp)]
    timestamp_ns: u64,
    worker_id: u64,
    local_queue: u8,
    task_id: u64,
    spawn_loc: InternedString,
}

#[derive(TraceEvent)]
struct PollEndEvent {
    #[traceevent(timestamp)]
    timestamp_ns: u64,
    worker_id: u64,
}

#[derive(TraceEvent)]
struct WorkerParkEvent {
    #[traceevent(timestamp)]
    timestamp_ns: u64,
    worker_id: u64,
    local_queue: u8,
    cpu_time_ns: u64,
    tid: u32,
}

#[derive(TraceEvent)]
struct WorkerUnparkEvent {
    #[traceevent(timestamp)]
    timestamp_ns: u64,
    worker_id: u64,
    local_queue: u8,
    cpu_time_ns: u64,
    sched_wait_ns: Option<u64>,
    tid: u32,
}

#[derive(TraceEvent)]
struct TaskSpawnEvent {
    #[traceevent(timestamp)]
    timestamp_ns: u64,
    task_id: u64,
    spawn_loc: InternedString,
    instrumented: bool,
    worker_id: Option<u64>,
}

#[derive(TraceEvent)]
struct TaskTerminateEvent {
    #[traceevent(timestamp)]
    timestamp_ns: u64,
    task_id: u64,
}

#[derive(TraceEvent)]
struct WakeEventEvent {
    #[traceevent(timestamp)]
    timestamp_ns: u64,
    waker_task_id: u64,
    woken_task_id: u64,
    target_worker: u8,
}

/// Writes a flight in the format of dial9, `dial9-trace-format`. Times are those since the executor's start.
///
/// What the format has and a flight has not is left at zero: the lengths of queues, and the processor time of threads. Parts of
/// fork-join work, thefts, stalls and the lateness of timers have no place in it. Where dial9 has a place in the source, a task's name
/// stands before it.
///
/// # Errors
///
/// Those of `out`.
pub fn dial9(flight: &Flight, out: &mut impl Write) -> io::Result<()> {
    let mut writer =
        Writer { encoder: Encoder::new_to(&mut *out)?, flight, places: HashMap::new() };
    for (at, _, step) in steps(flight) {
        writer.write(at, &step)?;
    }
    writer.encoder.flush()
}

/// A beginning or an end, as dial9 has events for.
enum Step<'a> {
    PollStart(&'a FlightThread, TaskId),
    PollEnd(&'a FlightThread),
    Park(&'a FlightThread),
    Unpark(&'a FlightThread),
    Spawn(&'a FlightThread, TaskId),
    Terminate(TaskId),
    Wake(&'a FlightThread, TaskId, Option<TaskId>),
}

/// Returns all steps in the order of time. What ends at a moment stands before what happens then, and that before what begins.
fn steps(flight: &Flight) -> Vec<(u64, u8, Step<'_>)> {
    let mut steps = Vec::new();
    for thread in &flight.threads {
        for FlightEvent { start, end, kind, .. } in &thread.events {
            let (start, end) = (start.as_nanos(), end.as_nanos());
            match *kind {
                FlightEventKind::Poll { task, outcome } => {
                    steps.push((start, 2, Step::PollStart(thread, task)));
                    steps.push((end, 0, Step::PollEnd(thread)));
                    if matches!(outcome, PollOutcome::Completed | PollOutcome::Failed) {
                        steps.push((end, 1, Step::Terminate(task)));
                    }
                }
                FlightEventKind::Cancelled { task } => steps.push((end, 1, Step::Terminate(task))),
                FlightEventKind::Spawned { task, .. } => {
                    steps.push((start, 1, Step::Spawn(thread, task)));
                }
                FlightEventKind::Woken { task, by } => {
                    steps.push((start, 1, Step::Wake(thread, task, by)));
                }
                FlightEventKind::Idle { parked: true } => {
                    steps.push((start, 2, Step::Park(thread)));
                    steps.push((end, 0, Step::Unpark(thread)));
                }
                _ => {}
            }
        }
    }
    steps.sort_by_key(|(at, order, _)| (*at, *order));
    steps
}

struct Writer<'a, W: Write> {
    encoder: Encoder<W>,
    flight: &'a Flight,
    places: HashMap<TaskId, InternedString>,
}

impl<W: Write> Writer<'_, W> {
    fn write(&mut self, timestamp_ns: u64, step: &Step<'_>) -> io::Result<()> {
        match *step {
            Step::PollStart(thread, task) => {
                let spawn_loc = self.place(task)?;
                let (worker_id, task_id) = (worker_id(thread), task.get());
                self.encoder.write(&PollStartEvent {
                    timestamp_ns,
                    worker_id,
                    local_queue: 0,
                    task_id,
                    spawn_loc,
                })
            }
            Step::PollEnd(thread) => {
                self.encoder.write(&PollEndEvent { timestamp_ns, worker_id: worker_id(thread) })
            }
            Step::Park(thread) => self.encoder.write(&WorkerParkEvent {
                timestamp_ns,
                worker_id: worker_id(thread),
                local_queue: 0,
                cpu_time_ns: 0,
                tid: 0,
            }),
            Step::Unpark(thread) => self.encoder.write(&WorkerUnparkEvent {
                timestamp_ns,
                worker_id: worker_id(thread),
                local_queue: 0,
                cpu_time_ns: 0,
                sched_wait_ns: None,
                tid: 0,
            }),
            Step::Spawn(thread, task) => {
                let spawn_loc = self.place(task)?;
                let worker_id = Some(worker_id(thread)).filter(|worker| *worker != UNKNOWN);
                self.encoder.write(&TaskSpawnEvent {
                    timestamp_ns,
                    task_id: task.get(),
                    spawn_loc,
                    instrumented: true,
                    worker_id,
                })
            }
            Step::Terminate(task) => {
                self.encoder.write(&TaskTerminateEvent { timestamp_ns, task_id: task.get() })
            }
            Step::Wake(thread, task, by) => self.encoder.write(&WakeEventEvent {
                timestamp_ns,
                waker_task_id: by.map_or(0, TaskId::get),
                woken_task_id: task.get(),
                // Indices that it cannot hold are those of threads that it does not know.
                target_worker: u8::try_from(worker_id(thread)).unwrap_or(u8::MAX),
            }),
        }
    }

    /// Returns what stands for the place where a task was spawned.
    fn place(&mut self, task: TaskId) -> io::Result<InternedString> {
        if let Some(place) = self.places.get(&task) {
            return Ok(*place);
        }
        let text = match self.flight.task(task) {
            Some(stats) => match &stats.name {
                Some(name) => format!("{name} {}", stats.location),
                None => stats.location.to_string(),
            },
            None => String::new(),
        };
        let place = self.encoder.intern_string(&text)?;
        self.places.insert(task, place);
        Ok(place)
    }
}

fn worker_id(thread: &FlightThread) -> u64 {
    match (thread.worker, thread.kind) {
        (Some(worker), _) => worker as u64,
        (None, Some(ThreadKind::Blocking)) => BLOCKING,
        (None, _) => UNKNOWN,
    }
}
