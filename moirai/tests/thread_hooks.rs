//! Tests of the hooks that plugins have for threads and for polls.

mod common;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use common::{Gate, named, threads, wait_until, watchdog};
use moirai::TaskState;
use moirai::prelude::*;
use moirai::{TaskHandle, ThreadKind};

thread_local! {
    /// What `on_thread_start` has set up on this thread.
    static THREAD: Cell<Option<(ThreadKind, usize)>> = const { Cell::new(None) };
}

/// Sets up each thread, and counts the threads that have started and those that have stopped.
#[derive(Clone, Default)]
struct PerThread(Arc<Mutex<BTreeMap<String, [usize; 2]>>>);

impl PerThread {
    fn add(&self, kind: ThreadKind, number: usize, event: usize) {
        let name = threads::own_name();
        assert!(name.ends_with(&format!("-{kind}-{number}")), "{name} is {kind} {number}");
        self.0.lock().unwrap().entry(name).or_default()[event] += 1;
    }

    fn of(&self, kind: ThreadKind) -> Vec<[usize; 2]> {
        let all = self.0.lock().unwrap();
        let of_kind = all.iter().filter(|(name, _)| name.contains(&format!("-{kind}-")));
        of_kind.map(|(_, counts)| *counts).collect()
    }
}

impl ExecutorPlugin for PerThread {
    fn on_thread_start(&self, kind: ThreadKind, number: usize) {
        assert_eq!(THREAD.replace(Some((kind, number))), None, "one call for each thread");
        self.add(kind, number, 0);
    }
    fn on_thread_stop(&self, kind: ThreadKind, number: usize) {
        assert_eq!(THREAD.take(), Some((kind, number)));
        self.add(kind, number, 1);
    }
}

/// Is dropped on a thread that was set up.
struct DroppedInside;

impl Drop for DroppedInside {
    fn drop(&mut self) {
        assert!(THREAD.get().is_some(), "dropped on {}", threads::own_name());
    }
}

fn kind_here() -> Option<ThreadKind> {
    THREAD.get().map(|(kind, _)| kind)
}

#[test]
fn a_thread_is_set_up_wherever_a_task_runs() {
    let _watchdog = watchdog();
    let plugin = PerThread::default();
    let executor =
        named("hk-all", 1).compensation_threads(1).plugin(plugin.clone()).build().unwrap();
    assert_eq!(executor.spawn_parallel(kind_here).join().unwrap(), Some(ThreadKind::Worker));
    assert_eq!(executor.spawn_blocking(kind_here).join().unwrap(), Some(ThreadKind::Blocking));
    // The worker is handed off while its thread blocks.
    let gate = Gate::new();
    let blocked = executor.spawn_parallel({
        let gate = gate.clone();
        move || moirai::block_in_place(|| gate.wait())
    });
    let async_kind = |executor: &Moirai| executor.spawn_async(async { kind_here() });
    assert_eq!(async_kind(&executor).join().unwrap(), Some(ThreadKind::Spare));
    gate.open();
    blocked.join().unwrap();
    // The worker is stuck, whichever thread holds it.
    let gate = Gate::new();
    let stuck = executor.spawn_parallel({
        let gate = gate.clone();
        move || gate.wait()
    });
    assert_eq!(async_kind(&executor).join().unwrap(), Some(ThreadKind::Compensation));
    gate.open();
    stuck.join().unwrap();
    let waiting: TaskHandle<()> = executor.spawn_async(async {
        let _dropped = DroppedInside;
        std::future::pending().await
    });
    let id = waiting.id();
    wait_until("it waits", || executor.task_stats(id).is_some_and(|stats| stats.polls > 0));
    assert!(executor.shutdown_timeout(std::time::Duration::from_millis(10)).cancelled == 1);
    assert!(waiting.join().unwrap_err().is_shut_down());
    // A shutdown waits for these hooks; `shutdown` has no deadline.
    executor.shutdown();
    for kind in [ThreadKind::Worker, ThreadKind::Spare, ThreadKind::Blocking] {
        let counts = plugin.of(kind);
        assert!(!counts.is_empty(), "{kind}");
        assert!(counts.iter().all(|counts| *counts == [1, 1]), "{kind}: {counts:?}");
    }
    wait_until("the compensation thread has ended", || {
        plugin.of(ThreadKind::Compensation) == [[1, 1]]
    });
}

#[test]
fn the_system_shows_the_kind_and_the_number_of_a_thread() {
    let _watchdog = watchdog();
    if !cfg!(target_os = "linux") {
        return;
    }
    let builder = Moirai::builder().thread_name_prefix("a-long-prefix").worker_threads(10);
    let executor = builder.build().unwrap();
    wait_until("the last worker has its name", || threads::count("a-long-prefi-w9") == 1);
    let name = executor.spawn_blocking(threads::own_name).join().unwrap();
    assert_eq!(name, "a-long-prefix-blocking-1");
}

/// Counts the calls before and after the polls of each task, and checks that they come in pairs.
#[derive(Clone, Default)]
struct Polls {
    wanted: bool,
    open: Arc<Mutex<Vec<TaskId>>>,
    done: Arc<Mutex<BTreeMap<TaskId, u64>>>,
}

impl ExecutorPlugin for Polls {
    fn wants_poll_hooks(&self) -> bool {
        self.wanted
    }
    fn before_poll(&self, id: TaskId) {
        self.open.lock().unwrap().push(id);
    }
    fn after_poll(&self, id: TaskId) {
        assert_eq!(self.open.lock().unwrap().pop(), Some(id));
        *self.done.lock().unwrap().entry(id).or_default() += 1;
    }
}

#[test]
fn the_hooks_around_polls_are_called_for_each_poll() {
    let _watchdog = watchdog();
    let polls = Polls { wanted: true, ..Polls::default() };
    let unasked = Polls::default();
    let builder = named("hk-poll", 1).plugin(unasked.clone()).plugin(polls.clone());
    let executor = builder.build().unwrap();
    let mut ids = BTreeMap::new();
    for yields in 0..5 {
        let handle = executor.spawn_async(async move {
            for _ in 0..yields {
                yield_now().await;
            }
        });
        ids.insert(handle.id(), yields + 1);
        handle.join().unwrap();
    }
    let panics = executor.spawn_async(async {
        yield_now().await;
        std::panic::resume_unwind(Box::new(common::ON_PURPOSE));
    });
    ids.insert(panics.id(), 2);
    assert!(panics.join().is_err());
    let closure = executor.spawn_parallel(|| ());
    ids.insert(closure.id(), 1);
    closure.join().unwrap();
    // A poll inside of a poll.
    let inner = executor.clone();
    let outer = executor.spawn_parallel(move || {
        let nested = inner.spawn_async(async {});
        let id = nested.id();
        while inner.task_status(id).is_some_and(TaskStatus::is_active) {
            inner.try_run();
        }
        id
    });
    ids.insert(outer.id(), 1);
    ids.insert(outer.join().unwrap(), 1);
    let never = executor.spawn_async(std::future::pending::<()>());
    let id = never.id();
    // The cancelled task is dropped on the worker, too.
    ids.insert(id, 2);
    // Asked to stop before its first poll is quite over, it would be dropped in that.
    wait_until("it waits", || {
        let dump = executor.dump();
        dump.task(id).is_some_and(|task| matches!(task.state, TaskState::Waiting { .. }))
    });
    never.cancel();
    assert!(never.join().unwrap_err().is_cancelled());
    executor.shutdown();
    assert_eq!(*polls.done.lock().unwrap(), ids);
    assert!(polls.open.lock().unwrap().is_empty());
    assert!(unasked.done.lock().unwrap().is_empty());
}
