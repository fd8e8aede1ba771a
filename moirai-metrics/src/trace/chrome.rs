//! Chrome's trace event format: JSON.

use std::collections::HashMap;
use std::io::{self, Write};

use moirai_core::{Flight, TaskId, Timestamp};
use serde_json::{Value, json};

use super::timeline::{Label, Timeline, Track, What};

/// The process id in the file. There is one process only.
const PROCESS: u32 = 1;

/// Writes a flight in Chrome's trace event format, which `chrome://tracing` and Perfetto open. Times are those since the executor's
/// start.
///
/// `out` is written to in small pieces, so a file should be in a [`BufWriter`](std::io::BufWriter).
///
/// # Errors
///
/// Those of `out`.
pub fn chrome(flight: &Flight, out: &mut impl Write) -> io::Result<()> {
    let timeline = Timeline::of(flight);
    let flows = Flows::of(&timeline);
    writeln!(out, "{{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    let process = json!({ "name": "moirai" });
    write!(
        out,
        "{}",
        json!({ "ph": "M", "pid": PROCESS, "name": "process_name", "args": process })
    )?;
    for (thread, track) in (1_u32..).zip(&timeline.tracks) {
        write_track(thread, track, &flows, out)?;
    }
    for counters in &timeline.counters {
        let numbers = json!({ "active": counters.active, "queued": counters.queued });
        let ts = micros(counters.at);
        let event =
            json!({ "ph": "C", "pid": PROCESS, "name": "tasks", "ts": ts, "args": numbers });
        write!(out, ",\n{event}")?;
    }
    out.write_all(b"\n]}\n")
}

fn write_track(thread: u32, track: &Track, flows: &Flows, out: &mut impl Write) -> io::Result<()> {
    let mut event = |ph: &str, at: Option<Timestamp>, more: Value| {
        let mut event = json!({ "ph": ph, "pid": PROCESS, "tid": thread });
        let fields = event.as_object_mut().expect("it was made as an object");
        fields.extend(at.map(|at| ("ts".to_owned(), micros(at))));
        if let Value::Object(more) = more {
            fields.extend(more);
        }
        write!(out, ",\n{event}")
    };
    event("M", None, json!({ "name": "thread_name", "args": { "name": track.name } }))?;
    event("M", None, json!({ "name": "thread_sort_index", "args": { "sort_index": thread } }))?;
    for step in &track.steps {
        let at = Some(step.at);
        let label = match &step.what {
            What::Begin(label) => {
                event("B", at, fields(label))?;
                label
            }
            What::End => {
                event("E", at, Value::Null)?;
                continue;
            }
            What::Mark(label) => {
                let mut fields = fields(label);
                fields["s"] = "t".into();
                event("i", at, fields)?;
                label
            }
        };
        if let Some((task, ph)) = label.flow.and_then(|flow| flows.phase(flow.task(), step.at)) {
            // An arrow that ends is bound to the slice around it, as the others are without being told.
            let id = task.get().to_string();
            event(ph, at, json!({ "name": "task", "cat": "flow", "id": id, "bp": "e" }))?;
        }
    }
    Ok(())
}

/// The fields of a slice or a mark.
fn fields(label: &Label) -> Value {
    let mut args = json!({});
    if let Some(task) = label.task {
        // JSON's numbers are floating-point ones to many readers.
        args["task"] = task.to_string().into();
    }
    if let Some((name, text)) = &label.note {
        args[*name] = text.as_str().into();
    }
    json!({ "name": label.name, "cat": label.category, "args": args })
}

/// The first and the last place of each task's flow, because the format wants to be told which it is.
struct Flows(HashMap<TaskId, (Timestamp, Timestamp)>);

impl Flows {
    fn of(timeline: &Timeline) -> Self {
        let mut all: HashMap<TaskId, (Timestamp, Timestamp)> = HashMap::new();
        for step in timeline.tracks.iter().flat_map(|track| &track.steps) {
            if let What::Begin(Label { flow: Some(flow), .. })
            | What::Mark(Label { flow: Some(flow), .. }) = &step.what
            {
                let (first, last) = all.entry(flow.task()).or_insert((step.at, step.at));
                *first = step.at.min(*first);
                *last = step.at.max(*last);
            }
        }
        Self(all)
    }

    /// Returns whether a place at this moment begins, continues or ends the flow; `None` if it is the only one.
    fn phase(&self, task: TaskId, at: Timestamp) -> Option<(TaskId, &'static str)> {
        let &(first, last) = self.0.get(&task)?;
        match at {
            _ if first == last => None,
            at if at == first => Some((task, "s")),
            at if at == last => Some((task, "f")),
            _ => Some((task, "t")),
        }
    }
}

/// Returns microseconds.
#[allow(clippy::cast_precision_loss, reason = "it is exact for a hundred days")]
fn micros(at: Timestamp) -> Value {
    json!(at.as_nanos() as f64 / 1e3)
}
