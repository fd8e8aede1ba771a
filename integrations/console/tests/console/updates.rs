//! What an update has, and what it leaves out.

use std::future::pending;
use std::time::Duration;

use crate::client::{Client, TaskState, Watched};
use console_api::instrument::{Temporality, Update};
use moirai::prelude::*;
use moirai_console::{Console, ConsoleServer};
use prost::Message;

const TICK: Duration = Duration::from_millis(10);

fn serve(moirai: &Moirai, max_tasks: usize) -> ConsoleServer {
    let console = Console::new(moirai).address(([127, 0, 0, 1], 0)).interval(TICK);
    console.max_tasks(max_tasks).serve().unwrap()
}

fn executor() -> Moirai {
    Moirai::builder().worker_threads(2).build().unwrap()
}

fn changed(update: &Update) -> usize {
    update.task_update.as_ref().unwrap().stats_update.len()
}

/// Waits until all tasks have been polled, and wait.
fn until_all_wait(moirai: &Moirai) {
    let waits = |task: &TaskStats| task.status == TaskStatus::Running && task.polls > 0;
    while !moirai.tasks().iter().all(waits) {
        std::thread::yield_now();
    }
}

#[test]
fn an_update_has_only_what_has_changed() {
    let moirai = executor();
    let (wake, woken) = moirai::sync::oneshot::channel::<()>();
    let task = moirai.task().name("task").spawn_async(async move {
        let _ = woken.await;
        pending::<()>().await;
    });
    for _ in 0..100 {
        moirai.spawn_async(pending::<()>());
    }
    until_all_wait(&moirai);
    let console = serve(&moirai, 5_000);
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();
    let first = watch.update();
    assert!(first.new_metadata.is_some());
    assert_eq!((changed(&first), watch.tasks.len()), (101, 101));
    let mut now = watch.now;
    for _ in 0..5 {
        let update = watch.update();
        assert!(update.new_metadata.is_none());
        assert_eq!(changed(&update), 0, "nothing has changed: {update:#?}");
        assert!(watch.now > now, "the time goes on, by which durations are computed");
        now = watch.now;
    }
    wake.send(()).unwrap();
    watch.until("the second poll", |watch| watch.task("task").polls() == 2);
    // One that has been told of as ended is not told of again.
    task.cancel();
    watch.until("its end", |watch| watch.task("task").field("status").is_some());
    for _ in 0..5 {
        assert_eq!(changed(&watch.update()), 0);
    }
    assert_eq!(watch.tasks.len(), 101);
}

#[test]
fn of_more_tasks_than_the_limit_the_others_are_counted() {
    let moirai = executor();
    let tasks: Vec<_> = (0..10_000).map(|_| moirai.spawn_async(pending::<()>())).collect();
    until_all_wait(&moirai);
    let console = serve(&moirai, 5_000);
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();
    watch.until("all tasks", |watch| watch.tasks.len() + watch.dropped as usize == 10_000);
    assert_eq!((watch.tasks.len(), watch.dropped), (5_000, 5_000));
    for _ in 0..5 {
        assert_eq!(changed(&watch.update()), 0);
    }
    // If those that are shown end, others take their places; and they are not counted again.
    let shown: Vec<u64> = watch.tasks.keys().copied().collect();
    for task in &tasks {
        if shown.contains(&task.id().get()) && task.id().get() % 2 == 0 {
            task.cancel();
        }
    }
    let ended = shown.iter().filter(|id| *id % 2 == 0).count();
    let has_ended = |task: &&Watched| task.state() == TaskState::Completed;
    watch.until("the ends", |watch| watch.tasks.values().filter(has_ended).count() == ended);
    watch.until("others", |watch| watch.tasks.len() == 5_000 + ended);
    assert_eq!(watch.dropped, 5_000);
    assert!(watch.tasks.values().all(|task| task.warnings().is_empty()));
}

#[test]
fn ended_tasks_are_shown_if_there_is_room_beside_the_active_ones() {
    let moirai = executor();
    for number in 0..20 {
        moirai.task().name(format!("ended-{number}")).spawn_parallel(|| ()).join().unwrap();
    }
    for number in 0..6 {
        moirai.task().name(format!("active-{number}")).spawn_async(pending::<()>());
    }
    let console = serve(&moirai, 10);
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();
    watch.update();
    let mut names: Vec<_> = watch.names().into_iter().collect();
    names.sort_unstable();
    let active = (0..6).map(|number| format!("active-{number}"));
    let ended = (16..20).map(|number| format!("ended-{number}"));
    assert_eq!(names, active.chain(ended).collect::<Vec<_>>());
    assert_eq!(watch.dropped, 16);
}

#[test]
fn a_task_whose_record_is_gone_is_shown_as_ended_and_not_told_of_again() {
    let config = CleanupConfig { max_retained_tasks: 0, ..CleanupConfig::default() };
    let moirai = Moirai::builder().worker_threads(1).cleanup_config(config).build().unwrap();
    let console = serve(&moirai, 5_000);
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();
    let task = moirai.task().name("task").spawn_async(pending::<()>());
    watch.until_state("task", TaskState::Idle);
    let id = task.id();
    task.cancel();
    watch.until_state("task", TaskState::Completed);
    assert!(moirai.lookup(id).is_evicted());
    for _ in 0..5 {
        assert_eq!(changed(&watch.update()), 0);
    }
    let mut late = client.watch().unwrap();
    late.update();
    assert!(late.tasks.is_empty(), "{:#?}", late.tasks);
}

#[test]
fn no_message_is_too_long_for_a_receiver_whatever_the_tasks_tell() {
    let moirai = executor();
    let long = "ä".repeat(200);
    for _ in 0..2_000 {
        let mut task = moirai.task().name(long.clone());
        for key in 0..8 {
            task = task.tag(format!("{key}{long}"), &long);
        }
        task.spawn_async(pending::<()>());
    }
    let console = serve(&moirai, 5_000);
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();
    let mut bytes = 0;
    while watch.tasks.len() < 2_000 {
        let update = watch.update();
        assert!(update.encoded_len() < 4 << 20);
        bytes += update.encoded_len();
    }
    assert!(bytes > 4 << 20, "otherwise this would prove nothing: {bytes}");
}

#[test]
fn while_paused_no_updates_come_and_the_first_one_afterwards_has_all_changes() {
    let moirai = executor();
    let console = serve(&moirai, 5_000);
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();
    watch.update();
    let mut states = client.states();
    let mut state = || client.next(&mut states).unwrap().unwrap().temporality();
    assert_eq!(state(), Temporality::Live);

    client.pause();
    assert_eq!(state(), Temporality::Paused);
    let ran = moirai.task().name("ran").spawn_async(async {});
    let ran = ran.id();
    // Others see the pause, and the tasks as they are when they begin to watch.
    let mut late = client.watch().unwrap();
    while moirai.task_status(ran) != Some(TaskStatus::Completed) {
        std::thread::yield_now();
    }
    late.update();
    let mut later = client.watch().unwrap();
    later.update();
    assert_eq!(later.state("ran"), Some(TaskState::Completed));
    // Long enough for many updates, if it were not for the pause. Those from before the pause come first.
    std::thread::sleep(20 * TICK);
    let resumed = std::time::SystemTime::now();
    client.resume();
    assert_eq!(state(), Temporality::Live);
    watch.until("the task", |watch| watch.state("ran") == Some(TaskState::Completed));
    // The first update that knows of the task is from after the pause.
    assert!(watch.now + TICK > resumed, "{:?} before {resumed:?}", watch.now);
}
