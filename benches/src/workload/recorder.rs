//! What the flight recorder costs: Moirai as it is, beside Moirai with the recorder turned off.

use super::group::{Figure, Group, Workload, case};
use super::poll::{PingPong, YieldMany};
use super::spawn::Inside;
use crate::peer::Ours;
use crate::peer::scheduled::{Kind, Scheduled, Unrecorded};

pub(super) fn groups() -> Vec<Group> {
    vec![
        group::<Inside<10_000>>(
            "recorder_spawn_inside",
            "spawn 10,000 tasks from a task, with the flight recorder and without",
            "task",
            10_000,
        ),
        group::<YieldMany>(
            "recorder_yield",
            "200 tasks that yield 1,000 times each, with the flight recorder and without",
            "yield",
            200_000,
        ),
        group::<PingPong>(
            "recorder_ping_pong",
            "1,000 tasks that message a partner, with the flight recorder and without",
            "pair",
            1_000,
        ),
    ]
}

fn group<W: Workload>(
    name: &'static str,
    about: &'static str,
    unit: &'static str,
    units: u64,
) -> Group {
    Group {
        name,
        about,
        unit,
        units,
        rounds: 60,
        reach: None,
        figures: vec![Figure::median(Unrecorded::NAME, 1.02, 1.02)],
        cases: vec![case::<W, Ours>(), case::<W, Scheduled<Unrecorded>>()],
    }
}
