//! Perfetto's format: packets of protobuf messages.

mod messages;

use std::io::{self, Write};

use moirai_core::{Flight, Timestamp};
use prost::Message;

use super::timeline::{Flow, Label, Timeline, What};
use messages::{
    CounterDescriptor, DebugAnnotation, ProcessDescriptor, ThreadDescriptor, Trace, TracePacket,
    TrackDescriptor, TrackEvent, TrackEventType,
};

/// The process id in the file. There is one process only, and a reader may put several files beside each other.
const PROCESS: i32 = 1;

/// The tracks of the process, of the counters and of the first thread.
const PROCESS_TRACK: u64 = 1;
const ACTIVE_TRACK: u64 = 2;
const QUEUED_TRACK: u64 = 3;
const FIRST_THREAD_TRACK: u64 = 16;

/// The number of packets that are encoded before they are written.
const BATCH: usize = 1_024;

/// Writes a flight in Perfetto's format, which `https://ui.perfetto.dev` opens. By convention such files are called `*.pftrace`. Times
/// are those since the executor's start.
///
/// # Errors
///
/// Those of `out`.
pub fn perfetto(flight: &Flight, out: &mut impl Write) -> io::Result<()> {
    let timeline = Timeline::of(flight);
    let mut packets = Packets { out, batch: Trace::default() };
    packets.describe(TrackDescriptor {
        uuid: Some(PROCESS_TRACK),
        process: Some(ProcessDescriptor {
            pid: Some(PROCESS),
            process_name: Some("moirai".to_owned()),
        }),
        ..TrackDescriptor::default()
    })?;
    for (uuid, name) in [(ACTIVE_TRACK, "active tasks"), (QUEUED_TRACK, "queued tasks")] {
        packets.describe(TrackDescriptor {
            uuid: Some(uuid),
            name: Some(name.to_owned()),
            parent_uuid: Some(PROCESS_TRACK),
            counter: Some(CounterDescriptor { unit_name: Some("tasks".to_owned()) }),
            ..TrackDescriptor::default()
        })?;
    }
    for (number, track) in (0_u32..).zip(&timeline.tracks) {
        let uuid = FIRST_THREAD_TRACK + u64::from(number);
        packets.describe(TrackDescriptor {
            uuid: Some(uuid),
            parent_uuid: Some(PROCESS_TRACK),
            thread: Some(ThreadDescriptor {
                pid: Some(PROCESS),
                // A thread whose id is that of the process would be its main thread.
                tid: Some(i32::try_from(number).unwrap_or(i32::MAX).saturating_add(PROCESS + 1)),
                thread_name: Some(track.name.clone()),
            }),
            ..TrackDescriptor::default()
        })?;
        for step in &track.steps {
            let event = match &step.what {
                What::Begin(label) => labelled(TrackEventType::SliceBegin, label),
                What::Mark(label) => labelled(TrackEventType::Instant, label),
                What::End => of_type(TrackEventType::SliceEnd),
            };
            packets.event(step.at, TrackEvent { track_uuid: Some(uuid), ..event })?;
        }
    }
    for counters in &timeline.counters {
        for (uuid, value) in [(ACTIVE_TRACK, counters.active), (QUEUED_TRACK, counters.queued)] {
            let event = TrackEvent {
                track_uuid: Some(uuid),
                counter_value: Some(value),
                ..of_type(TrackEventType::Counter)
            };
            packets.event(counters.at, event)?;
        }
    }
    packets.flush()
}

fn of_type(r#type: TrackEventType) -> TrackEvent {
    TrackEvent { r#type: Some(r#type as i32), ..TrackEvent::default() }
}

fn labelled(r#type: TrackEventType, label: &Label) -> TrackEvent {
    let task = label.task.map(|task| DebugAnnotation {
        name: Some("task".to_owned()),
        uint_value: Some(task.get()),
        string_value: None,
    });
    let note = label.note.as_ref().map(|(name, text)| DebugAnnotation {
        name: Some((*name).to_owned()),
        uint_value: None,
        string_value: Some(text.clone()),
    });
    let (mut flow_ids, mut terminating_flow_ids) = (Vec::new(), Vec::new());
    match label.flow {
        Some(Flow::Through(task)) => flow_ids.push(task.get()),
        Some(Flow::Ends(task)) => terminating_flow_ids.push(task.get()),
        None => {}
    }
    TrackEvent {
        debug_annotations: task.into_iter().chain(note).collect(),
        categories: vec![label.category.to_owned()],
        name: Some(label.name.clone()),
        flow_ids,
        terminating_flow_ids,
        ..of_type(r#type)
    }
}

/// Encodes packets, some at a time: a trace is the concatenation of traces of single packets.
struct Packets<'a, W> {
    out: &'a mut W,
    batch: Trace,
}

impl<W: Write> Packets<'_, W> {
    fn describe(&mut self, descriptor: TrackDescriptor) -> io::Result<()> {
        self.add(TracePacket { track_descriptor: Some(descriptor), ..TracePacket::default() })
    }

    fn event(&mut self, at: Timestamp, event: TrackEvent) -> io::Result<()> {
        let timestamp = Some(at.as_nanos());
        self.add(TracePacket { timestamp, track_event: Some(event), ..TracePacket::default() })
    }

    fn add(&mut self, packet: TracePacket) -> io::Result<()> {
        self.batch.packet.push(TracePacket { trusted_packet_sequence_id: Some(1), ..packet });
        if self.batch.packet.len() == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let encoded = self.batch.encode_to_vec();
        self.batch.packet.clear();
        self.out.write_all(&encoded)
    }
}
