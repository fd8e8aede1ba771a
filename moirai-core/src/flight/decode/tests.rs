use super::*;
use crate::Clock;
use crate::ThreadKind;

const A: u64 = 7 << 32;
const B: u64 = 8 << 32;

fn id(number: u64) -> TaskId {
    TaskId::from_u64(number).unwrap()
}

/// Decodes events that a thread wrote until the clock showed `now` nanoseconds.
fn decoded(events: &[(u64, RawKind, u64)], now: Now, at: u64) -> Vec<(u64, u64, FlightEventKind)> {
    let (clock, manual) = Clock::manual();
    manual.advance(Duration::from_nanos(at));
    let times = Times::now(&clock);
    let events = events.iter().map(|&(first, kind, value)| [first, kind.with(value)]).collect();
    let thread = RawThread {
        name: "worker".to_owned(),
        kind: Some(ThreadKind::Worker),
        ended: false,
        events,
        overwritten: 0,
        now,
        worker: None,
    };
    let start = Timestamp::new(0, 0);
    let decoded = thread.decode(&times, start).events;
    decoded.iter().map(|e| (e.start.as_nanos(), e.end.as_nanos(), e.kind)).collect()
}

fn poll(task: u64, outcome: PollOutcome) -> FlightEventKind {
    FlightEventKind::Poll { task: id(task), outcome }
}

#[test]
fn each_event_begins_where_the_one_before_has_ended() {
    let events = [
        (0, RawKind::Mark, 10),
        (A, RawKind::Pending, 20),
        (B, RawKind::Completed, 50),
        (1, RawKind::Idle, 90),
        (A, RawKind::Failed, 95),
        (B, RawKind::Cancelled, 97),
    ];
    let expected = [
        (10, 20, poll(A, PollOutcome::Pending)),
        (20, 50, poll(B, PollOutcome::Completed)),
        (50, 90, FlightEventKind::Idle { parked: true }),
        (90, 95, poll(A, PollOutcome::Failed)),
        (95, 97, FlightEventKind::Cancelled { task: id(B) }),
    ];
    assert_eq!(decoded(&events, Now::Unknown, 100), expected);
}

#[test]
fn an_event_whose_start_was_overwritten_is_left_out() {
    let events = [(A, RawKind::Pending, 20), (B, RawKind::Pending, 30)];
    let expected = [(20, 30, poll(B, PollOutcome::Pending))];
    assert_eq!(decoded(&events, Now::Unknown, 100), expected);
}

#[test]
fn what_happens_in_a_poll_is_spread_over_it_and_knows_its_task() {
    let events = [
        (0, RawKind::Mark, 100),
        (B, RawKind::Woken, 0),
        (B, RawKind::Woken, 1),
        (B, RawKind::Spawned, 250),
        (0, RawKind::TimerFired, 77),
        (A, RawKind::Pending, 500),
    ];
    let by = Some(id(A));
    let expected = [
        (100, 100, FlightEventKind::Woken { task: id(B), by: None }),
        (100, 500, poll(A, PollOutcome::Pending)),
        (200, 200, FlightEventKind::Woken { task: id(B), by }),
        (250, 250, FlightEventKind::Spawned { task: id(B), by }),
        (400, 400, FlightEventKind::TimerFired { task: by, late: Duration::from_nanos(77) }),
    ];
    assert_eq!(decoded(&events, Now::Unknown, 1_000), expected);
}

#[test]
fn who_waits_for_a_task_is_woken_by_its_end() {
    let events = [
        (0, RawKind::Mark, 100),
        (A, RawKind::Completed, 200),
        (B, RawKind::Woken, 0),
        (0, RawKind::Mark, 200),
        (B, RawKind::Woken, 0),
    ];
    let expected = [
        (100, 200, poll(A, PollOutcome::Completed)),
        (200, 200, FlightEventKind::Woken { task: id(B), by: Some(id(A)) }),
        (200, 200, FlightEventKind::Woken { task: id(B), by: None }),
    ];
    assert_eq!(decoded(&events, Now::Unknown, 1_000), expected);
}

#[test]
fn a_poll_inside_of_another_does_not_shorten_it() {
    let events = [
        (0, RawKind::Mark, 100),
        (B, RawKind::Woken, 1),
        (0, RawKind::Inner, 200),
        (B, RawKind::Completed, 300),
        (0, RawKind::Outer, 0),
        (A, RawKind::Pending, 500),
    ];
    let expected = [
        (100, 500, poll(A, PollOutcome::Pending)),
        (200, 300, poll(B, PollOutcome::Completed)),
        (300, 300, FlightEventKind::Woken { task: id(B), by: Some(id(A)) }),
    ];
    assert_eq!(decoded(&events, Now::Unknown, 1_000), expected);
}

#[test]
fn what_the_thread_is_in_lasts_until_the_flight_was_read() {
    let mark = (0, RawKind::Mark, 100);
    let polls = [(100, 900, poll(A, PollOutcome::Running))];
    assert_eq!(decoded(&[mark], Now::Polls(id(A)), 900), polls);
    assert_eq!(decoded(&[mark, (A, RawKind::Inside, 0)], Now::Unknown, 900), polls);
    assert_eq!(decoded(&[mark], Now::Unknown, 900), []);
    let idle = [(100, 900, FlightEventKind::Idle { parked: true })];
    assert_eq!(decoded(&[mark], Now::Idle, 900), idle);
}

#[test]
fn stalls_have_times_of_their_own() {
    let events = [(A, RawKind::StallBegan, 400), (A, RawKind::StallEnded, 600)];
    let expected = [
        (400, 400, FlightEventKind::StallBegan { task: id(A) }),
        (600, 600, FlightEventKind::StallEnded { task: id(A) }),
    ];
    assert_eq!(decoded(&events, Now::Unknown, 1_000), expected);
}

#[test]
fn a_kind_and_a_value_are_split_as_they_were_put_together() {
    for number in 0..16 {
        let (kind, value) = RawKind::split(99 << 4 | number);
        assert_eq!((kind as u64, value), (number, 99));
        assert_eq!(kind.with(99), 99 << 4 | number);
    }
}

#[test]
fn times_are_right_when_the_sixty_bits_have_wrapped_around() {
    let (clock, manual) = Clock::manual();
    manual.advance(Duration::from_nanos((1 << 60) + 50));
    let times = Times::now(&clock);
    assert_eq!(times.timestamp(40).as_nanos(), (1 << 60) + 40);
    assert_eq!(times.timestamp((1 << 60) - 10).as_nanos(), (1 << 60) - 10);
}

#[test]
fn what_is_skipped_ended_before() {
    let (clock, manual) = Clock::manual();
    manual.advance(Duration::from_nanos(1_000));
    let times = Times::now(&clock);
    let events = [(RawKind::Mark, 100), (RawKind::Pending, 200), (RawKind::Pending, 300)];
    let events = events.map(|(kind, value)| [A, kind.with(value)]);
    assert_eq!(times.skip_before(&events, 0), 0);
    assert_eq!(
        times.skip_before(&events, 250),
        1,
        "the start of the last is the end of the one before"
    );
    assert_eq!(times.skip_before(&events, 999), 2);
}
