//! What is shown of a task in each phase of its life.

use std::future::pending;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, SystemTime};

use crate::client::{Client, TaskState, Watched};
use moirai::FlightRecorderConfig;
use moirai::prelude::*;
use moirai_console::{Console, ConsoleServer};

const TICK: Duration = Duration::from_millis(10);

fn serve(moirai: &Moirai) -> ConsoleServer {
    Console::new(moirai).address(([127, 0, 0, 1], 0)).interval(TICK).serve().unwrap()
}

/// Whether two durations are the same, except that each was converted from ticks of the clock by itself.
fn same(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) < Duration::from_millis(1)
}

fn one_worker() -> Moirai {
    // No other thread polls tasks while the worker is stuck, and nothing is known of a poll but what the record tells.
    let builder = Moirai::builder().worker_threads(1).compensation_threads(0);
    builder.stall_budget(None).flight_recorder(FlightRecorderConfig::off()).build().unwrap()
}

/// Returns a place for a task to wait, and what lets it go on.
fn gate() -> (Sender<()>, Receiver<()>) {
    mpsc::channel()
}

#[test]
fn an_async_task_is_scheduled_then_running_then_idle_then_completed() {
    let moirai = one_worker();
    let console = serve(&moirai);
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();

    let (leave_worker, left_worker) = gate();
    let busy = moirai.task().name("busy").spawn_parallel(move || left_worker.recv().unwrap());
    watch.until_state("busy", TaskState::Running);
    let (leave_poll, left_poll) = gate();
    let (wake, woken) = moirai::sync::oneshot::channel();
    let task = moirai.task().name("task").spawn_async(async move {
        left_poll.recv().unwrap();
        woken.await.unwrap();
    });
    watch.until_state("task", TaskState::Scheduled);
    let queued = watch.task("task");
    assert_eq!(queued.polls(), 0);
    assert_eq!(queued.field("kind"), Some("task"));
    assert_eq!(queued.field("task.id"), Some(&*task.id().to_string()));
    let location = queued.task.location.as_ref().unwrap();
    assert_eq!(location.file.as_deref(), Some(file!()));
    assert!(queued.warnings().is_empty(), "{queued:#?}");
    let [total, spent, scheduled, idle] = queued.durations(watch.now);
    assert!(same(total, scheduled) && spent == Duration::ZERO && idle < TICK);

    leave_worker.send(()).unwrap();
    busy.join().unwrap();
    watch.until_state("task", TaskState::Running);
    let running = watch.task("task");
    assert_eq!(running.polls(), 1, "the poll that goes on");
    let [total, busy, scheduled, idle] = running.durations(watch.now);
    assert!(scheduled > Duration::ZERO && idle < TICK, "{running:#?}");
    assert!(same(total, busy + scheduled), "{running:#?}");

    leave_poll.send(()).unwrap();
    watch.until_state("task", TaskState::Idle);
    let waiting = watch.task("task");
    assert_eq!(waiting.polls(), 1);
    assert!(waiting.warnings().is_empty(), "{waiting:#?}");
    let shown = waiting.durations(watch.now);

    wake.send(()).unwrap();
    watch.until_state("task", TaskState::Completed);
    let ended = watch.task("task");
    assert_eq!((ended.polls(), ended.stats.wakes), (2, 1));
    assert_eq!(ended.field("status"), None);
    let record = moirai.task_stats(task.id()).unwrap();
    let [total, busy, scheduled, _] = ended.durations(SystemTime::now());
    assert!(same(busy, record.busy) && same(scheduled, record.queue_time().unwrap()));
    assert!(same(total, record.finished_at.unwrap().saturating_since(record.spawned_at)));
    assert!(total > shown[0] && busy >= shown[1] && same(scheduled, shown[2]));
}

#[test]
fn closures_are_running_from_their_start_and_nobody_expects_that_they_yield() {
    let moirai = one_worker();
    let console = serve(&moirai);
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();

    let (leave, left) = gate();
    let (leave_blocking, left_blocking) = gate();
    let parallel = moirai.task().name("parallel").spawn_parallel(move || left.recv().unwrap());
    let blocking =
        moirai.task().name("blocking").spawn_blocking(move || left_blocking.recv().unwrap());
    let queued = moirai.task().name("queued").spawn_parallel(|| ());
    for name in ["parallel", "blocking"] {
        watch.until_state(name, TaskState::Running);
        let task = watch.task(name);
        assert_eq!((task.field("kind"), task.field("closure")), (Some("blocking"), Some(name)));
        assert_eq!(task.polls(), 1);
        assert!(task.warnings().is_empty());
    }
    watch.until_state("queued", TaskState::Scheduled);
    assert_eq!(watch.task("queued").field("kind"), Some("blocking"));

    leave.send(()).unwrap();
    leave_blocking.send(()).unwrap();
    parallel.join().unwrap();
    blocking.join().unwrap();
    queued.join().unwrap();
    for name in ["parallel", "blocking", "queued"] {
        watch.until_state(name, TaskState::Completed);
        let [total, busy, scheduled, idle] = watch.task(name).durations(SystemTime::now());
        assert!(busy + scheduled + idle == total && idle < TICK, "{:#?}", watch.task(name));
    }
}

#[test]
fn a_task_that_was_woken_is_scheduled_until_it_is_polled() {
    for recorder in [FlightRecorderConfig::default(), FlightRecorderConfig::off()] {
        let builder = Moirai::builder().worker_threads(1).compensation_threads(0);
        let moirai = builder.flight_recorder(recorder).build().unwrap();
        let console = serve(&moirai);
        let client = Client::new(&console);
        let mut watch = client.watch().unwrap();

        let (wake, woken) = moirai::sync::oneshot::channel::<()>();
        let task = moirai.task().name("task").spawn_async(async move { woken.await.unwrap() });
        watch.until_state("task", TaskState::Idle);
        let (leave, left) = gate();
        let busy = moirai.task().name("busy").spawn_parallel(move || left.recv().unwrap());
        watch.until_state("busy", TaskState::Running);
        wake.send(()).unwrap();
        watch.until_state("task", TaskState::Scheduled);
        assert_eq!(watch.task("task").polls(), 1);
        assert!(watch.task("task").warnings().is_empty());
        leave.send(()).unwrap();
        busy.join().unwrap();
        task.join().unwrap();
        watch.until_state("task", TaskState::Completed);
    }
}

#[test]
fn a_later_poll_is_running_by_the_flight_recorder() {
    let builder = Moirai::builder().worker_threads(1).stall_budget(None);
    a_later_poll_is_running(&builder.build().unwrap());
}

#[test]
fn without_a_flight_recorder_a_later_poll_is_running_when_it_exceeds_its_budget() {
    let builder = Moirai::builder().worker_threads(1).stall_budget(Duration::from_millis(20));
    a_later_poll_is_running(&builder.flight_recorder(FlightRecorderConfig::off()).build().unwrap());
}

fn a_later_poll_is_running(moirai: &Moirai) {
    let console = serve(moirai);
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();

    let (begin, begun) = mpsc::channel();
    let (leave, left) = gate();
    let task = moirai.task().name("task").spawn_async(async move {
        moirai::yield_now().await;
        begin.send(SystemTime::now()).unwrap();
        left.recv().unwrap();
        pending::<()>().await;
    });
    watch.until("the second poll", |watch| {
        watch.state("task") == Some(TaskState::Running) && watch.task("task").polls() == 2
    });
    let began = |watched: &Watched| watched.stats.poll_stats.as_ref().unwrap().last_poll_started;
    let since = began(watch.task("task"));
    // The watchdog notices a poll a little later than it begins, and the flight recorder has the end of what was before it.
    let noticed = SystemTime::try_from(since.unwrap()).unwrap();
    let begun = begun.recv().unwrap();
    let apart = noticed.duration_since(begun).unwrap_or_else(|error| error.duration());
    assert!(apart < Duration::from_secs(5), "{begun:?} {noticed:?}");
    assert!(watch.task("task").warnings().is_empty(), "it has yielded before");
    // While it goes on, there is nothing new to tell.
    let shown = watch.task("task").durations(watch.now);
    for _ in 0..5 {
        let update = watch.update().task_update.unwrap();
        assert!(update.stats_update.is_empty(), "{update:#?}");
    }
    assert_eq!(began(watch.task("task")), since);
    let [_, busy, _, idle] = watch.task("task").durations(watch.now);
    assert!(busy >= shown[1] + 3 * TICK && same(idle, shown[3]), "{busy:?} after {shown:?}");

    leave.send(()).unwrap();
    watch.until_state("task", TaskState::Idle);
    assert!(watch.task("task").warnings().is_empty());
    assert_eq!(watch.task("task").polls(), 2);
    task.cancel();
    watch.until_state("task", TaskState::Completed);
}

#[test]
fn tasks_that_fail_and_tasks_that_are_cancelled_say_so() {
    let moirai = one_worker();
    let console = serve(&moirai);
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();

    let parent = moirai.task().name("waits").tag("order", 7).spawn_async(pending::<()>());
    watch.until_state("waits", TaskState::Idle);
    assert_eq!(watch.task("waits").field("tag.order"), Some("7"));
    assert_eq!(watch.task("waits").field("status"), None);
    let (tell, told) = moirai::sync::oneshot::channel::<()>();
    let panics = moirai.task().name("panics").priority(Priority::High).spawn_async(async move {
        let _ = told.await;
        panic!("no such customer");
    });
    watch.until_state("panics", TaskState::Idle);
    assert_eq!(watch.task("panics").field("priority"), Some("high"));

    let (leave, left) = gate();
    let busy = moirai.task().name("busy").spawn_parallel(move || left.recv().unwrap());
    watch.until_state("busy", TaskState::Running);
    let never_ran = moirai.task().name("never-ran").spawn_async(async {});
    watch.until_state("never-ran", TaskState::Scheduled);
    never_ran.cancel();
    parent.cancel();
    tell.send(()).unwrap();
    leave.send(()).unwrap();
    busy.join().unwrap();
    assert!(panics.join().unwrap_err().is_panicked());

    // The end comes first, in an update of its own, and then the reason.
    let mut before = None;
    while watch.task("panics").field("status").is_none() {
        before = watch.state("panics");
        watch.update();
    }
    assert_eq!(before, Some(TaskState::Completed));
    let status = |name: &'static str, status: &'static str| {
        move |watch: &crate::client::Watch<'_>| watch.task(name).field("status") == Some(status)
    };
    watch.until("the failure", status("panics", "failed"));
    assert_eq!(watch.state("panics"), Some(TaskState::Completed));
    assert_eq!(watch.task("panics").field("error"), Some("no such customer"));
    watch.until("the cancellation", status("waits", "cancelled"));
    assert_eq!(watch.task("waits").field("cancelled_by"), Some("handle"));
    assert_eq!(watch.state("waits"), Some(TaskState::Completed));
    watch.until("the other cancellation", status("never-ran", "cancelled"));
    let never_ran = watch.task("never-ran");
    assert_eq!(never_ran.polls(), 0);
    let [total, busy, scheduled, idle] = never_ran.durations(SystemTime::now());
    assert!(same(scheduled, total) && busy == Duration::ZERO && idle < TICK);

    // Who comes later is told all of it at once.
    let mut late = client.watch().unwrap();
    late.update();
    assert_eq!(late.names(), watch.names());
    assert_eq!(late.task("panics").fields, watch.task("panics").fields);
    let durations = |watched: &Watched| watched.durations(SystemTime::now());
    let told = durations(watch.task("panics")).into_iter().zip(durations(late.task("panics")));
    assert!(told.into_iter().all(|(one, other)| same(one, other)));
}
