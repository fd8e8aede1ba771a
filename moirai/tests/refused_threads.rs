//! Tests of what happens when the system starts no further thread for blocking tasks.
//!
//! Each test runs in a process of its own, whose memory is limited so that there is no room for the stack of another thread.
#![cfg(target_os = "linux")]

mod common;

use std::process::Command;
use std::{env, fs, process};

use common::{Gate, wait_until, watchdog};
use moirai::prelude::*;

/// Runs the test of this name in a process of its own, where `f` is called.
fn in_a_process(name: &str, f: impl FnOnce()) {
    const CHILD: &str = "MOIRAI_TEST_CHILD";
    if env::var_os(CHILD).is_some() {
        let _watchdog = watchdog();
        f();
        // Without the destructors of the test harness, which may want memory.
        process::exit(0);
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Sets the limit on the process's memory to what it has now and this much more.
fn allow_more_memory(more: u64) {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is that of a limit.
    let found = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
    limit.rlim_cur = pages.saturating_mul(4096).saturating_add(more).min(limit.rlim_max);
    // SAFETY: as above.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
    assert_eq!((found, set), (0, 0));
}

/// Less than the stack of a thread needs.
const TOO_LITTLE: u64 = 1 << 20;

/// Builds an executor, and waits until its threads have all that the standard library gives a thread before it has its name.
fn executor() -> Moirai {
    let executor = Moirai::builder().worker_threads(1).max_blocking_threads(4).build().unwrap();
    wait_until("its threads have begun", || {
        let names: Vec<_> = fs::read_dir("/proc/self/task")
            .unwrap()
            .filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).ok())
            .collect();
        let has = |name: &str| names.iter().any(|other| other.trim() == name);
        ["moirai-worker-0", "moirai-watchdog", "moirai-cleanup", "watchdog"].into_iter().all(has)
    });
    executor
}

#[test]
fn a_task_without_a_thread_is_refused_with_that_reason() {
    in_a_process("a_task_without_a_thread_is_refused_with_that_reason", || {
        let executor = executor();
        allow_more_memory(TOO_LITTLE);
        let refused = executor.spawn_blocking(|| 1);
        let id = refused.id();
        let error = refused.join().unwrap_err();
        assert!(error.is_no_thread(), "{error}");
        assert_eq!(executor.task_status(id), None, "a refused task has no record");
        let refused = executor.task().try_spawn_blocking(|| 2).unwrap_err();
        assert!(refused.is_no_thread(), "{refused}");
        assert_eq!(refused.into_inner()(), 2);
        let waits = executor.task().spawn_blocking_when_free(|| 3);
        assert!(executor.block_on(waits).join().unwrap_err().is_no_thread());
        allow_more_memory(u64::MAX);
        assert_eq!(executor.spawn_blocking(|| 4).join().unwrap(), 4);
        let report = executor.shutdown();
        assert_eq!((report.refused, report.completed, report.cancelled), (3, 1, 0));
    });
}

#[test]
fn a_task_behind_a_long_one_gets_its_thread_once_there_can_be_one() {
    in_a_process("a_task_behind_a_long_one_gets_its_thread_once_there_can_be_one", || {
        let executor = executor();
        let gate = Gate::new();
        let long = executor.spawn_blocking({
            let gate = gate.clone();
            move || gate.wait()
        });
        wait_until("the long task runs", || {
            executor.task_status(long.id()) == Some(TaskStatus::Running)
        });
        allow_more_memory(TOO_LITTLE);
        let second = executor.spawn_blocking(|| 2);
        assert_eq!(executor.task_status(second.id()), Some(TaskStatus::Queued));
        allow_more_memory(u64::MAX);
        assert_eq!(second.join().unwrap(), 2);
        assert_eq!(executor.task_status(long.id()), Some(TaskStatus::Running));
        gate.open();
        long.join().unwrap();
    });
}
