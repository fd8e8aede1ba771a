//! Tests of the watchdog's reports of stalls: which tasks are reported, what a report contains, and when it is made.
//!
//! They hold promise P17 (a task that keeps its worker is named) of `docs/src/guarantees.md`.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Gate, wait_until, watchdog};
use moirai::prelude::*;
use moirai::{MoiraiBuilder, Stall};

const BUDGET: Duration = Duration::from_millis(20);

/// Records the stalls that are reported to the hooks.
#[derive(Default)]
struct StallLog {
    begun: Mutex<Vec<Stall>>,
    over: Mutex<Vec<Stall>>,
}

impl ExecutorPlugin for StallLog {
    fn on_stall(&self, stall: &Stall) {
        self.begun.lock().unwrap().push(stall.clone());
    }

    fn on_stall_over(&self, stall: &Stall) {
        self.over.lock().unwrap().push(stall.clone());
    }
}

/// Returns a builder of an executor that reports stalls after [`BUDGET`], and the log of the reports.
fn watched() -> (MoiraiBuilder, Arc<StallLog>) {
    let log = Arc::new(StallLog::default());
    let builder = Moirai::builder().worker_threads(2).stall_budget(BUDGET).plugin(Arc::clone(&log));
    (builder, log)
}

#[test]
fn a_task_that_blocks_its_worker_is_reported_by_name_once_and_again_when_the_stall_is_over() {
    let _watchdog = watchdog();
    let (builder, log) = watched();
    let executor = builder.build().unwrap();
    let gate = Gate::new();
    let (line, stuck) = (line!() + 1, {
        let gate = gate.clone();
        executor.task().name("culprit").spawn_async(async move { gate.wait() })
    });
    let id = stuck.id();
    wait_until("it is listed", || !executor.stalled().is_empty());
    let stalled = executor.stalled();
    let [stall] = &stalled[..] else { panic!("one stall: {stalled:?}") };
    assert_eq!((stall.id, stall.kind), (id, TaskKind::Async));
    assert_eq!(stall.name.as_deref(), Some("culprit"));
    assert!(stall.worker.is_some() && stall.age >= BUDGET, "{stall}");
    assert!(stall.location.file().ends_with("stalls.rs") && stall.location.line() >= line);
    if cfg!(target_os = "linux") {
        assert_eq!(stall.computes, Some(false), "{stall}");
    }
    assert!(stall.to_string().contains("culprit"), "{stall}");
    let age = stall.age;
    wait_until("it grows older", || executor.stalled()[0].age > age + BUDGET);
    wait_until("the hook is called", || log.begun.lock().unwrap().len() == 1);
    assert!(log.over.lock().unwrap().is_empty());
    gate.open();
    stuck.join().unwrap();
    wait_until("it is over", || log.over.lock().unwrap().len() == 1);
    assert!(executor.stalled().is_empty());
    let over = &log.over.lock().unwrap()[0];
    assert!(over.id == id && over.age >= age + BUDGET);
    assert_eq!(log.begun.lock().unwrap().len(), 1, "a stall is reported once");
}

#[test]
fn a_loop_that_computes_is_distinguished_from_a_call_that_blocks() {
    let _watchdog = watchdog();
    if !cfg!(target_os = "linux") {
        return;
    }
    let (builder, _log) = watched();
    let executor = builder.build().unwrap();
    let gate = Gate::new();
    let spinning = executor.spawn_async({
        let gate = gate.clone();
        async move {
            while !gate.is_open() {
                std::hint::spin_loop();
            }
        }
    });
    wait_until("it is listed", || !executor.stalled().is_empty());
    assert_eq!(executor.stalled()[0].computes, Some(true));
    gate.open();
    spinning.join().unwrap();
}

#[test]
fn closures_may_run_for_any_time_unless_they_have_a_budget() {
    let _watchdog = watchdog();
    for budget in [None, Some(BUDGET)] {
        let (builder, log) = watched();
        let executor = builder.parallel_stall_budget(budget).build().unwrap();
        let gate = Gate::new();
        let block = || {
            let gate = gate.clone();
            move || gate.wait()
        };
        let closure = executor.spawn_parallel(block());
        let blocking = executor.spawn_blocking(block());
        // When this stall is seen, the watchdog has looked at the others, too.
        let stuck = executor.spawn_async({
            let block = block();
            async move { block() }
        });
        let expected = if budget.is_some() { 2 } else { 1 };
        wait_until("stalls are listed", || executor.stalled().len() == expected);
        let has = |id| executor.stalled().iter().any(|stall| stall.id == id);
        assert!(has(stuck.id()) && !has(blocking.id()));
        assert_eq!(has(closure.id()), budget.is_some());
        gate.open();
        closure.join().unwrap();
        blocking.join().unwrap();
        stuck.join().unwrap();
        wait_until("they are over", || log.over.lock().unwrap().len() == expected);
    }
}

#[test]
fn neither_a_task_that_waits_nor_one_in_block_in_place_is_a_stall() {
    let _watchdog = watchdog();
    let (builder, log) = watched();
    let executor = builder.build().unwrap();
    let gate = Gate::new();
    let in_place = executor.spawn_async({
        let gate = gate.clone();
        async move { moirai::block_in_place(|| gate.wait()) }
    });
    let waits = executor.spawn_async(moirai::time::sleep(10 * BUDGET));
    let stuck = executor.spawn_async({
        let gate = gate.clone();
        async move { gate.wait() }
    });
    waits.join().unwrap();
    wait_until("the stall is listed", || executor.stalled().len() == 1);
    assert_eq!(executor.stalled()[0].id, stuck.id());
    gate.open();
    in_place.join().unwrap();
    stuck.join().unwrap();
    wait_until("it is over", || log.over.lock().unwrap().len() == 1);
}

#[test]
fn a_hook_that_hangs_does_not_hold_up_a_shutdown() {
    struct Hangs(Gate);
    impl ExecutorPlugin for Hangs {
        fn on_stall(&self, _: &Stall) {
            self.0.wait();
        }
    }
    let _watchdog = watchdog();
    let (in_hook, gate) = (Gate::new(), Gate::new());
    let executor = Moirai::builder()
        .worker_threads(1)
        .stall_budget(BUDGET)
        .plugin(Hangs(in_hook.clone()))
        .build()
        .unwrap();
    let stuck = executor.spawn_async({
        let gate = gate.clone();
        async move { gate.wait() }
    });
    wait_until("it is listed", || !executor.stalled().is_empty());
    let report = executor.shutdown_timeout(BUDGET);
    assert!(report.elapsed < Duration::from_secs(5), "{report}");
    assert_eq!(report.unfinished.len(), 1);
    in_hook.open();
    gate.open();
    stuck.join().unwrap();
}
