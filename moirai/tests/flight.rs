//! The flight recorder: what the executor's threads did lately, and what is kept when something goes wrong.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use moirai::prelude::*;
use moirai::{
    Flight, FlightEvent, FlightEventKind, FlightRecorderConfig, FlightThread, Incident,
    IncidentCause, PollOutcome, ThreadKind,
};

const LIMIT: Duration = Duration::from_secs(30);

fn executor(workers: usize) -> Moirai {
    Moirai::builder().worker_threads(workers).build().unwrap()
}

/// Waits until `f` returns something.
fn eventually<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = f() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "{what}");
        std::thread::yield_now();
    }
}

fn events(flight: &Flight) -> impl Iterator<Item = (&FlightThread, &FlightEvent)> {
    flight.threads.iter().flat_map(|thread| thread.events.iter().map(move |event| (thread, event)))
}

fn polls(flight: &Flight, id: TaskId) -> Vec<(FlightEvent, PollOutcome)> {
    let polls = flight.story(id).into_iter().filter_map(|(_, event)| match event.kind {
        FlightEventKind::Poll { outcome, .. } => Some((*event, outcome)),
        _ => None,
    });
    polls.collect()
}

#[test]
fn the_polls_of_a_task_are_there_with_their_times_and_outcomes() {
    let executor = executor(1);
    let before = executor.flight().taken_at;
    let handle = executor.task().name("twice").spawn_async(async {
        yield_now().await;
        std::thread::sleep(Duration::from_millis(3));
    });
    let id = handle.id();
    handle.join().unwrap();
    let flight = executor.flight();
    let polls = polls(&flight, id);
    let outcomes: Vec<_> = polls.iter().map(|(_, outcome)| *outcome).collect();
    assert_eq!(outcomes, [PollOutcome::Pending, PollOutcome::Completed]);
    assert!(polls[0].0.end <= polls[1].0.start);
    assert!(polls[1].0.duration() >= Duration::from_millis(3), "{:?}", polls[1].0);
    assert!(before <= polls[0].0.start && polls[1].0.end <= flight.taken_at);
    assert_eq!(flight.label(id), "twice");
    // The record says the same.
    let stats = executor.task_stats(id).unwrap();
    assert_eq!(stats.polls, 2);
    let busy: Duration = polls.iter().map(|(event, _)| event.duration()).sum();
    assert!(busy.abs_diff(stats.busy) < Duration::from_micros(2), "{busy:?} {:?}", stats.busy);
    assert_eq!(flight.task(id).unwrap().id, id);
}

#[test]
fn a_spawn_and_a_wake_up_name_the_task_that_did_it() {
    let executor = executor(1);
    let (send, receive) = moirai::sync::oneshot::channel::<()>();
    let waiter = executor.spawn_async(async move { receive.await.unwrap() });
    eventually("it waits", || (executor.task_stats(waiter.id())?.polls == 1).then_some(()));
    let waker = executor.spawn_async(async move {
        let child = moirai::spawn_async(async {});
        send.send(()).unwrap();
        let id = child.id();
        child.await.unwrap();
        id
    });
    let (waiter_id, waker_id) = (waiter.id(), waker.id());
    let child_id = waker.join().unwrap();
    waiter.join().unwrap();
    let flight = executor.flight();
    let has = |id, kind: FlightEventKind| flight.story(id).iter().any(|(_, e)| e.kind == kind);
    let by = Some(waker_id);
    assert!(has(waiter_id, FlightEventKind::Woken { task: waiter_id, by }), "{flight:#?}");
    assert!(has(child_id, FlightEventKind::Spawned { task: child_id, by }), "{flight:#?}");
    // The child has woken the one that awaited it.
    let by = Some(child_id);
    assert!(has(waker_id, FlightEventKind::Woken { task: waker_id, by }), "{flight:#?}");
}

#[test]
fn failures_cancellations_and_closures_are_told_apart() {
    let executor = executor(1);
    let failed = executor.spawn_async(async { panic!("as planned") });
    let (failed_id, _) = (failed.id(), failed.join().unwrap_err());
    let closure = executor.spawn_parallel(|| 7);
    let (closure_id, _) = (closure.id(), closure.join().unwrap());
    let pending = executor.spawn_async(std::future::pending::<()>());
    let pending_id = pending.id();
    pending.cancel();
    assert!(pending.join().is_err());
    let flight = executor.flight();
    assert_eq!(polls(&flight, failed_id)[0].1, PollOutcome::Failed);
    assert_eq!(polls(&flight, closure_id)[0].1, PollOutcome::Completed);
    let kinds: Vec<_> = flight.story(pending_id).iter().map(|(_, event)| event.kind).collect();
    assert!(kinds.contains(&FlightEventKind::Cancelled { task: pending_id }), "{kinds:?}");
}

#[test]
fn a_recorder_that_is_off_keeps_nothing() {
    let executor = Moirai::builder()
        .worker_threads(1)
        .flight_recorder(FlightRecorderConfig::off())
        .build()
        .unwrap();
    let _ = executor.spawn_async(async { panic!("as planned") }).join();
    assert!(executor.flight().threads.is_empty());
    assert!(executor.incidents().is_empty());
}

#[test]
fn a_ring_that_is_no_ring_is_refused_by_name() {
    for bytes in [1, 1_023, (256 << 20) + 1, usize::MAX] {
        let config = FlightRecorderConfig { bytes_per_thread: bytes, ..Default::default() };
        let error = Moirai::builder().flight_recorder(config).build().unwrap_err();
        assert_eq!(error.field(), Some("flight_recorder.bytes_per_thread"));
    }
}

#[test]
fn a_full_ring_keeps_the_newest_events_and_counts_the_others() {
    let config = FlightRecorderConfig { bytes_per_thread: 4 << 10, ..Default::default() };
    let executor = Moirai::builder().worker_threads(1).flight_recorder(config).build().unwrap();
    let handle = executor.spawn_async(async {
        for _ in 0..10_000 {
            yield_now().await;
        }
    });
    let id = handle.id();
    handle.join().unwrap();
    let flight = executor.flight();
    let worker = flight.threads.iter().find(|thread| thread.kind == Some(ThreadKind::Worker));
    let worker = worker.unwrap();
    assert!(worker.overwritten >= 9_700, "{}", worker.overwritten);
    let polls = polls(&flight, id);
    assert!((200..=256).contains(&polls.len()), "{}", polls.len());
    assert_eq!(polls.last().unwrap().1, PollOutcome::Completed);
}

/// Keeps the incidents that it is given with stalls.
#[derive(Default)]
struct Stalls(Mutex<Vec<(TaskId, Arc<Incident>)>>);

impl ExecutorPlugin for Stalls {
    fn on_stall(&self, stall: &Stall) {
        self.0.lock().unwrap().extend(stall.incident.clone().map(|incident| (stall.id, incident)));
    }
}

#[test]
fn a_stall_is_found_from_what_was_kept_alone() {
    let _watchdog = common::watchdog();
    let plugin = Arc::new(Stalls::default());
    let executor = Moirai::builder()
        .worker_threads(2)
        .stall_budget(Duration::from_millis(30))
        .plugin(Arc::clone(&plugin))
        .build()
        .unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let hog = executor.task().name("hog").spawn_async(async move {
        yield_now().await;
        while !is_over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let (id, incident) = eventually("the stall is noticed", || plugin.0.lock().unwrap().pop());
    assert_eq!(id, hog.id());
    assert_eq!(incident.cause(), IncidentCause::Stall { task: id });
    let flight = incident.flight();
    let (thread, poll) = flight.longest_polls(1)[0];
    let kind = FlightEventKind::Poll { task: id, outcome: PollOutcome::Running };
    assert_eq!(poll.kind, kind, "{flight:#?}");
    assert!(thread.name.contains("worker"));
    assert!(poll.duration() >= Duration::from_millis(30));
    assert_eq!(flight.label(id), "hog");
    assert!(events(&flight).any(|(_, e)| e.kind == FlightEventKind::StallBegan { task: id }));
    assert!(incident.to_string().contains("\"hog\""), "{incident}");
    assert_eq!(executor.incidents().len(), 1);
    let shown = executor.stalled();
    assert!(Arc::ptr_eq(shown[0].incident.as_ref().unwrap(), &incident));
    over.store(true, Ordering::Relaxed);
    hog.join().unwrap();
    eventually("its end is noticed", || {
        let kind = FlightEventKind::StallEnded { task: id };
        events(&executor.flight()).any(|(_, event)| event.kind == kind).then_some(())
    });
}

#[test]
fn panics_are_kept_once_in_a_window_and_counted() {
    let window = Duration::from_millis(50);
    let config =
        FlightRecorderConfig { incident_window: window, max_incidents: 2, ..Default::default() };
    let executor = Moirai::builder().worker_threads(1).flight_recorder(config).build().unwrap();
    let panics = || executor.spawn_async(async { panic!("as planned") });
    let first = panics();
    let first_id = first.id();
    let _ = first.join();
    let incidents = executor.incidents();
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].cause(), IncidentCause::Panic { task: first_id });
    let flight = incidents[0].flight();
    assert_eq!(polls(&flight, first_id)[0].1, PollOutcome::Failed);
    let record = flight.task(first_id).unwrap();
    assert_eq!((record.status, record.error.as_deref()), (TaskStatus::Failed, Some("as planned")));
    let mut number = 1_u64;
    let later = eventually("a later one is kept, too", || {
        number += 1;
        let _ = panics().join();
        executor.incidents().get(1).cloned()
    });
    assert_eq!(later.unrecorded(), number - 2);
    assert_eq!(executor.take_incidents().len(), 2);
    assert!(executor.incidents().is_empty());
}

#[test]
fn a_shutdown_that_misses_its_deadline_is_kept() {
    let executor = executor(1);
    let id = executor.task().name("stays").spawn_async(std::future::pending::<()>()).id();
    eventually("it waits", || (executor.task_stats(id)?.polls == 1).then_some(()));
    let _ = executor.shutdown_timeout(Duration::from_millis(5));
    let incidents = executor.incidents();
    assert_eq!(incidents[0].cause(), IncidentCause::ShutdownDeadline);
    assert_eq!(incidents[0].flight().label(id), "stays");
}

#[test]
fn a_blocking_task_is_there_while_it_runs() {
    let executor = executor(1);
    let (send, receive) = channel();
    let (started, is_started) = channel();
    let handle = executor.task().name("disk").spawn_blocking(move || {
        started.send(()).unwrap();
        receive.recv().unwrap();
    });
    is_started.recv().unwrap();
    let running = polls(&executor.flight(), handle.id());
    assert_eq!(running.last().map(|(_, outcome)| *outcome), Some(PollOutcome::Running));
    send.send(()).unwrap();
    let id = handle.id();
    handle.join().unwrap();
    let flight = executor.flight();
    assert_eq!(polls(&flight, id)[0].1, PollOutcome::Completed);
    let thread = flight.story(id).iter().find_map(|(thread, event)| {
        matches!(event.kind, FlightEventKind::Poll { .. }).then_some(thread.kind)
    });
    assert_eq!(thread, Some(Some(ThreadKind::Blocking)));
}

#[test]
fn a_part_of_fork_join_work_that_ran_elsewhere_names_its_task() {
    let executor = executor(2);
    let handle = executor.spawn_async(async {
        let both = Barrier::new(2);
        moirai::join(|| both.wait(), || both.wait());
    });
    let id = handle.id();
    handle.join().unwrap();
    eventually("the job's end is recorded", || {
        let flight = executor.flight();
        let job = FlightEventKind::Job { task: Some(id) };
        events(&flight).any(|(_, event)| event.kind == job).then_some(())
    });
}

#[test]
fn a_timer_says_how_late_it_was() {
    let executor = executor(1);
    let handle = executor.spawn_async(moirai::time::sleep(Duration::from_millis(5)));
    let id = handle.id();
    handle.join().unwrap();
    let flight = executor.flight();
    let late = flight.story(id).iter().find_map(|(_, event)| match event.kind {
        FlightEventKind::TimerFired { late, .. } => Some(late),
        _ => None,
    });
    assert!(late.expect("the timer has fired") < LIMIT);
}

#[test]
fn a_worker_that_sleeps_is_idle_until_it_is_woken() {
    let executor = executor(1);
    executor.spawn_async(async {}).join().unwrap();
    eventually("it sleeps", || {
        let flight = executor.flight();
        let worker = flight.threads.iter().find(|thread| thread.worker == Some(0))?;
        let last = worker.events.last()?;
        matches!(last.kind, FlightEventKind::Idle { .. }).then_some(())
    });
    // It may be that it still spins when the next task comes, but not each time.
    eventually("a sleep is recorded", || {
        executor.spawn_async(async {}).join().unwrap();
        let flight = executor.flight();
        events(&flight).any(|(_, e)| e.kind == FlightEventKind::Idle { parked: true }).then_some(())
    });
}

#[test]
fn tasks_that_another_worker_took_name_the_first() {
    let executor = executor(2);
    // The first worker is busy with a task that has spawned others, which only the second can take.
    let handle = executor.spawn_async(async {
        let taken = Arc::new(Barrier::new(2));
        let theirs = Arc::clone(&taken);
        let _first = moirai::spawn_parallel(move || theirs.wait());
        let _others: Vec<_> = (0..10).map(|_| moirai::spawn_parallel(|| ())).collect();
        taken.wait();
        Moirai::worker_index()
    });
    let from = handle.join().unwrap().unwrap();
    eventually("the theft is recorded", || {
        let flight = executor.flight();
        events(&flight).any(|(_, e)| e.kind == FlightEventKind::Stole { from }).then_some(())
    });
}

#[test]
fn a_task_that_is_run_inside_of_another_does_not_shorten_its_poll() {
    let executor = executor(1);
    let inner = Arc::new(Mutex::new(None));
    let set = Arc::clone(&inner);
    let handle = executor.spawn_async(async move {
        let spawned = moirai::spawn_async(async { std::thread::sleep(Duration::from_millis(2)) });
        *set.lock().unwrap() = Some(spawned.id());
        let current = Moirai::current().unwrap();
        while !spawned.is_finished() {
            current.try_run();
        }
    });
    let outer_id = handle.id();
    handle.join().unwrap();
    let inner_id = inner.lock().unwrap().unwrap();
    let flight = executor.flight();
    let (outer, inner) = (polls(&flight, outer_id)[0].0, polls(&flight, inner_id)[0].0);
    assert!(outer.start <= inner.start && inner.end <= outer.end, "{outer:?} {inner:?}");
    assert!(inner.duration() >= Duration::from_millis(2));
}

#[test]
fn what_is_read_beside_a_load_is_in_order() {
    let executor = executor(2);
    let over = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> = (0..4)
        .map(|_| {
            let is_over = Arc::clone(&over);
            executor.spawn_async(async move {
                while !is_over.load(Ordering::Relaxed) {
                    moirai::spawn_async(yield_now()).await.unwrap();
                }
            })
        })
        .collect();
    for _ in 0..20 {
        let flight = executor.flight();
        for thread in &flight.threads {
            let mut end = None;
            for event in &thread.events {
                assert!(event.start <= event.end && event.end <= flight.taken_at, "{event:?}");
                if matches!(event.kind, FlightEventKind::Poll { .. } | FlightEventKind::Idle { .. })
                {
                    assert!(end.is_none_or(|end| end <= event.start), "{end:?} {event:?}");
                    end = Some(event.end);
                }
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    loads.into_iter().for_each(|load| load.join().unwrap());
}

#[test]
fn what_threads_did_that_have_ended_can_still_be_read() {
    let executor =
        Moirai::builder().worker_threads(1).blocking_keep_alive(Duration::ZERO).build().unwrap();
    let handle = executor.spawn_blocking(|| ());
    let id = handle.id();
    handle.join().unwrap();
    eventually("the thread ends", || {
        let flight = executor.flight();
        let thread =
            flight.threads.iter().find(|thread| thread.kind == Some(ThreadKind::Blocking))?;
        (thread.ended && thread.events.iter().any(|event| event.task() == Some(id))).then_some(())
    });
}
