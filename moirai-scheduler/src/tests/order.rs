//! Tests of the order in which one worker takes tasks, and of the bounds of `work_stealing`, exact to the task.

use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler, Visibility};

use crate::work_stealing::{ELEVATED_RUN, HIGH_EVERY, INJECTOR_EVERY, LOW_EVERY, SLOT_RUN};
use crate::{WorkStealing, WorkStealingLocal};

type Local = WorkStealingLocal<&'static str>;

fn one_worker() -> (WorkStealing<&'static str>, Local) {
    let scheduler = WorkStealing::new();
    let local = scheduler.start(1).remove(0);
    (scheduler, local)
}

/// Returns the positions of `wanted` among the next `pops` tasks, counted from one.
fn places(local: &mut Local, pops: u32, wanted: &str) -> Vec<u32> {
    (1..=pops).filter(|_| local.pop() == Some(wanted)).collect::<Vec<_>>()
}

fn spawn(local: &mut Local, token: &'static str, times: u32) {
    for _ in 0..times {
        let visibility = local.push(token, Priority::Normal, QueueReason::Offered);
        assert_eq!(visibility, Visibility::Shared);
    }
}

#[test]
fn first_come_first_served() {
    let (_scheduler, mut local) = one_worker();
    let tokens = ["a", "b", "c", "d"];
    for token in tokens {
        spawn(&mut local, token, 1);
    }
    assert_eq!(tokens.map(|_| local.pop().unwrap()), tokens);
    assert_eq!(local.pop(), None);
}

#[test]
fn a_woken_task_goes_first_and_displaces_the_last_one() {
    let (_scheduler, mut local) = one_worker();
    spawn(&mut local, "spawned", 1);
    assert_eq!(local.push("woken", Priority::Normal, QueueReason::Woken), Visibility::Slot);
    assert_eq!(local.push("woken later", Priority::Normal, QueueReason::Woken), Visibility::Shared);
    let order = ["woken later", "spawned", "woken"];
    assert_eq!(order.map(|_| local.pop().unwrap()), order);
}

#[test]
fn a_spawned_future_takes_the_slot_only_if_it_is_empty() {
    let (_scheduler, mut local) = one_worker();
    spawn(&mut local, "offered", 1);
    assert_eq!(local.push("first", Priority::Normal, QueueReason::Spawned), Visibility::Slot);
    assert_eq!(local.push("second", Priority::Normal, QueueReason::Spawned), Visibility::Shared);
    let order = ["first", "offered", "second"];
    assert_eq!(order.map(|_| local.pop().unwrap()), order);
}

#[test]
fn a_task_that_yields_goes_last() {
    let (_scheduler, mut local) = one_worker();
    spawn(&mut local, "spawned", 1);
    assert_eq!(local.push("yielded", Priority::Normal, QueueReason::Yielded), Visibility::Shared);
    let order = ["spawned", "yielded"];
    assert_eq!(order.map(|_| local.pop().unwrap()), order);
}

#[test]
fn the_slot_is_taken_three_times_in_a_row_and_no_more() {
    let (_scheduler, mut local) = one_worker();
    spawn(&mut local, "queued", 3);
    let mut order = Vec::new();
    for _ in 0..3 * (SLOT_RUN + 1) {
        // The same task wakes itself each time it runs.
        let visibility = local.push("self", Priority::Normal, QueueReason::Woken);
        let token = local.pop().unwrap();
        if token == "queued" {
            // The task is still in its slot, and this wake-up was one too many for the test.
            assert_eq!(visibility, Visibility::Slot);
            assert_eq!(local.pop(), Some("self"));
            order.push(token);
            order.push("self");
        } else {
            order.push(token);
        }
    }
    let runs: Vec<_> = order.split(|&token| token == "queued").map(<[_]>::len).collect();
    assert_eq!(runs[..3], [SLOT_RUN as usize; 3]);
}

#[test]
fn a_slot_that_was_passed_over_is_taken_when_nothing_else_waits() {
    let (_scheduler, mut local) = one_worker();
    for _ in 0..20 {
        let _ = local.push("self", Priority::Normal, QueueReason::Woken);
        assert_eq!(local.pop(), Some("self"));
    }
}

#[test]
fn the_injector_comes_first_every_61st_time() {
    let (scheduler, mut local) = one_worker();
    spawn(&mut local, "own", 4 * INJECTOR_EVERY);
    let _ = scheduler.push("remote", Priority::Normal);
    assert_eq!(places(&mut local, INJECTOR_EVERY, "remote"), [INJECTOR_EVERY]);
    let _ = scheduler.push("remote", Priority::Normal);
    assert_eq!(places(&mut local, INJECTOR_EVERY, "remote"), [INJECTOR_EVERY]);
}

#[test]
fn those_behind_the_first_in_the_injector_take_their_turns_in_the_queue() {
    let (scheduler, mut local) = one_worker();
    spawn(&mut local, "own", 100);
    for _ in 0..8 {
        let _ = scheduler.push("remote", Priority::Normal);
    }
    // 60 of its own and one from the injector; then the 40 that are left, and what came behind them.
    let found = places(&mut local, 108, "remote");
    assert_eq!(found[0], INJECTOR_EVERY);
    assert_eq!(found.len(), 8, "one such look brings more than one");
    assert!(found[1..].iter().all(|place| *place <= 108));
}

#[test]
fn a_worker_that_prefers_the_injector_looks_there_at_once() {
    let (scheduler, mut local) = one_worker();
    spawn(&mut local, "own", 10);
    let _ = scheduler.push("remote", Priority::Normal);
    assert_eq!(local.pop(), Some("own"));
    local.prefer_injector();
    assert_eq!(local.pop(), Some("remote"));
}

#[test]
fn priorities_go_by_rank() {
    let (scheduler, mut local) = one_worker();
    for (token, priority) in [
        ("low", Priority::Low),
        ("normal", Priority::Normal),
        ("high", Priority::High),
        ("critical", Priority::Critical),
    ] {
        let _ = scheduler.push(token, priority);
        let _ = local.push(token, priority, QueueReason::Offered);
    }
    let order = ["critical", "critical", "high", "high", "normal", "normal", "low", "low"];
    assert_eq!(order.map(|_| local.pop().unwrap()), order);
}

#[test]
fn a_normal_task_is_passed_over_by_sixteen_elevated_ones_and_no_more() {
    let (scheduler, mut local) = one_worker();
    for _ in 0..3 * ELEVATED_RUN {
        let _ = scheduler.push("critical", Priority::Critical);
    }
    spawn(&mut local, "normal", 3);
    let turn = ELEVATED_RUN + 1;
    assert_eq!(places(&mut local, 3 * turn, "normal"), [turn, 2 * turn, 3 * turn]);
}

#[test]
fn a_low_task_is_passed_over_by_sixteen_elevated_ones_and_no_more() {
    let (scheduler, mut local) = one_worker();
    for _ in 0..3 * ELEVATED_RUN {
        let _ = scheduler.push("high", Priority::High);
    }
    let _ = scheduler.push("low", Priority::Low);
    assert_eq!(places(&mut local, 2 * ELEVATED_RUN, "low"), [ELEVATED_RUN + 1]);
}

#[test]
fn every_eighth_elevated_task_is_a_high_one() {
    let (scheduler, mut local) = one_worker();
    for _ in 0..4 * HIGH_EVERY {
        let _ = scheduler.push("critical", Priority::Critical);
    }
    for _ in 0..3 {
        let _ = scheduler.push("high", Priority::High);
    }
    let found = places(&mut local, 3 * HIGH_EVERY, "high");
    assert_eq!(found, [1, 2, 3].map(|turn| turn * HIGH_EVERY));
}

#[test]
fn every_64th_task_is_a_low_one() {
    let (scheduler, mut local) = one_worker();
    spawn(&mut local, "normal", 3 * LOW_EVERY);
    for _ in 0..10 {
        let _ = scheduler.push("low", Priority::Low);
    }
    let found = places(&mut local, 3 * LOW_EVERY, "low");
    assert_eq!(found, [1, 2, 3].map(|turn| turn * LOW_EVERY));
}

#[test]
fn a_low_task_gets_its_turn_under_a_flood_of_all_others() {
    let (scheduler, mut local) = one_worker();
    spawn(&mut local, "normal", LOW_EVERY);
    for _ in 0..LOW_EVERY {
        let _ = scheduler.push("critical", Priority::Critical);
        let _ = scheduler.push("high", Priority::High);
    }
    let _ = scheduler.push("low", Priority::Low);
    assert_eq!(places(&mut local, LOW_EVERY, "low"), [LOW_EVERY]);
}

#[test]
fn a_thief_takes_the_older_half_and_leaves_the_rest() {
    let scheduler = WorkStealing::new();
    let mut locals = scheduler.start(2);
    let mut thief = locals.pop().unwrap();
    let mut owner = locals.pop().unwrap();
    for token in 0..8 {
        let _ = owner.push(token, Priority::Normal, QueueReason::Offered);
    }
    assert_eq!(thief.pop(), Some(0));
    // The thief also got 1, 2 and 3, which can be stolen back one by one.
    assert_eq!((0..4).map(|_| owner.pop().unwrap()).sum::<i32>(), 22);
    assert_eq!(owner.pop(), Some(1));
    assert_eq!(scheduler.len(), 2);
}
