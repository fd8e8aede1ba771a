use std::collections::HashMap;
use std::time::Duration;

use moirai_core::flight::raw::{Now, RawKind, RawThread, Times};
use moirai_core::{Clock, Flight, ThreadKind, Timestamp};
use serde_json::Value;

use super::timeline::{Counters, Flow, Timeline, Track, What};

const A: u64 = 7 << 32;
const B: u64 = 8 << 32;

/// A flight of two threads. On the first, task A spawns B, and later runs part of its own work inside of a poll; on the second, B
/// wakes A and ends.
fn flight() -> Flight {
    let (clock, manual) = Clock::manual();
    manual.advance(Duration::from_nanos(10_000));
    let times = Times::now(&clock);
    let thread = |name: &str, events: &[(u64, RawKind, u64)]| {
        let events = events.iter().map(|&(first, kind, value)| [first, kind.with(value)]).collect();
        let raw = RawThread {
            name: name.to_owned(),
            kind: Some(ThreadKind::Worker),
            ended: false,
            events,
            overwritten: 0,
            now: Now::Unknown,
            worker: None,
        };
        raw.decode(&times, Timestamp::new(0, 0))
    };
    let first = thread(
        "first",
        &[
            (0, RawKind::Mark, 100),
            (B, RawKind::Spawned, 150),
            (A, RawKind::Pending, 200),
            (1, RawKind::Idle, 500),
            (0, RawKind::Inner, 600),
            (A, RawKind::Job, 700),
            (0, RawKind::Outer, 0),
            (A, RawKind::Completed, 700),
        ],
    );
    let second = thread(
        "second \"quoted\" <b>",
        &[
            (0, RawKind::Mark, 300),
            (A, RawKind::Woken, 1),
            (0, RawKind::TimerFired, 42),
            (B, RawKind::Failed, 400),
            (0, RawKind::Stole, 0),
            (B, RawKind::StallEnded, 450),
        ],
    );
    Flight::new(times.taken_at(), vec![first, second], Vec::new())
}

/// Checks that slices are balanced, and that the order is that of time.
fn check(track: &Track) {
    let (mut open, mut before) = (0_usize, None);
    for step in &track.steps {
        assert!(before.is_none_or(|before| before <= step.at), "{track:#?}");
        before = Some(step.at);
        match step.what {
            What::Begin(_) => open += 1,
            What::End => open = open.checked_sub(1).expect("an end has a beginning"),
            What::Mark(_) => {}
        }
    }
    assert_eq!(open, 0, "{track:#?}");
}

#[test]
fn slices_are_balanced_and_nested_and_in_order() {
    let timeline = Timeline::of(&flight());
    timeline.tracks.iter().for_each(check);
    let begun = |track: &Track| -> Vec<(u64, String)> {
        let begun = track.steps.iter().filter_map(|step| match &step.what {
            What::Begin(label) => Some((step.at.as_nanos(), label.name.clone())),
            _ => None,
        });
        begun.collect()
    };
    let a = format!("task {A}");
    let expected = [
        (100, a.clone()),
        (200, "asleep".to_owned()),
        (500, a.clone()),
        (600, format!("part of {a}")),
    ];
    assert_eq!(begun(&timeline.tracks[0]), expected);
    // The outer slice ends last, although both end at the same time.
    let [.., last, _] = &timeline.tracks[0].steps[..] else { panic!("steps") };
    assert!(matches!(last.what, What::End));
}

#[test]
fn flows_lead_from_spawns_and_wake_ups_to_polls() {
    let timeline = Timeline::of(&flight());
    let mut flows: Vec<(u64, Flow)> = Vec::new();
    for step in timeline.tracks.iter().flat_map(|track| &track.steps) {
        if let What::Begin(label) | What::Mark(label) = &step.what {
            flows.extend(label.flow.map(|flow| (step.at.as_nanos(), flow)));
        }
    }
    flows.sort_by_key(|(at, _)| *at);
    let task = |id| moirai_core::TaskId::from_u64(id).unwrap();
    let (a, b) = (task(A), task(B));
    let expected = [
        (100, Flow::Through(a)),
        (150, Flow::Through(b)),
        (300, Flow::Ends(b)),
        (333, Flow::Through(a)),
        (500, Flow::Ends(a)),
    ];
    assert_eq!(flows, expected);
}

#[test]
fn counters_follow_the_events() {
    let timeline = Timeline::of(&flight());
    let counters: Vec<_> = timeline
        .counters
        .iter()
        .map(|&Counters { at, active, queued }| (at.as_nanos(), active, queued))
        .collect();
    let expected =
        [(100, 1, 0), (150, 2, 1), (300, 2, 0), (333, 2, 1), (400, 1, 1), (500, 1, 0), (700, 0, 0)];
    assert_eq!(counters, expected);
}

#[test]
fn chrome_gets_json_with_balanced_slices_and_flows_that_begin_and_end() {
    let mut json = Vec::new();
    super::chrome(&flight(), &mut json).unwrap();
    let parsed: Value = serde_json::from_slice(&json).unwrap();
    let events = parsed["traceEvents"].as_array().unwrap();
    let mut open: HashMap<u64, i64> = HashMap::new();
    let mut flows: HashMap<&str, String> = HashMap::new();
    for event in events {
        let ph = event["ph"].as_str().unwrap();
        assert!(ph == "M" || event["ts"].is_f64(), "{event}");
        let change = match ph {
            "B" => 1,
            "E" => -1,
            "s" | "t" | "f" => {
                flows.entry(event["id"].as_str().unwrap()).or_default().push_str(ph);
                0
            }
            _ => 0,
        };
        *open.entry(event["tid"].as_u64().unwrap_or(0)).or_default() += change;
    }
    assert!(open.values().all(|&open| open == 0), "{open:?}");
    // In the order of tracks.
    assert_eq!(flows[&*A.to_string()], "sft");
    assert_eq!(flows[&*B.to_string()], "sf");
    let names: Vec<_> = events
        .iter()
        .filter(|event| event["name"] == "thread_name")
        .map(|event| event["args"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["first", "second \"quoted\" <b>"]);
}

#[test]
fn an_output_that_fails_is_an_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    assert!(super::chrome(&flight(), &mut Full).is_err());
    assert!(super::perfetto(&flight(), &mut Full).is_err());
}

#[cfg(feature = "dial9")]
#[test]
fn dial9_gets_its_own_events_in_the_order_of_time() {
    use dial9_trace_format::decoder::{DecodedFrame, Decoder};

    let mut bytes = Vec::new();
    super::dial9(&flight(), &mut bytes).unwrap();
    let mut decoder = Decoder::new(&bytes).unwrap();
    let mut events = Vec::new();
    for frame in decoder.decode_all() {
        if let DecodedFrame::Event { type_id, timestamp_ns, .. } = frame {
            let name = decoder.registry().get(type_id).unwrap().name().to_owned();
            events.push((timestamp_ns, name));
        }
    }
    let expected = [
        (100, "PollStartEvent"),
        (150, "TaskSpawnEvent"),
        (200, "PollEndEvent"),
        (200, "WorkerParkEvent"),
        (300, "PollStartEvent"),
        (333, "WakeEventEvent"),
        (400, "PollEndEvent"),
        (400, "TaskTerminateEvent"),
        (500, "WorkerUnparkEvent"),
        (500, "PollStartEvent"),
        (700, "PollEndEvent"),
        (700, "TaskTerminateEvent"),
    ];
    let expected = expected.map(|(at, name)| (at, name.to_owned()));
    assert_eq!(events, expected);
}
