//! Tests of a process that forks while it has an executor: the child has none of the threads, and must not wait for them.
#![cfg(target_os = "linux")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{Gate, silence_expected_panics, wait_until, watchdog, workers};

/// Runs `child` in a forked child, and returns the status with which it exits: 1 if `child` panics.
fn in_a_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child calls `child`, which takes no lock that another thread of the parent holds: those are asleep by now.
    let pid = unsafe { libc::fork() };
    assert_ne!(pid, -1, "fork");
    if pid == 0 {
        let status = catch_unwind(AssertUnwindSafe(child)).unwrap_or(1);
        // SAFETY: ends the process, without the destructors of the parent's statics.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    wait_until("the child has ended", || {
        // SAFETY: `status` is a valid place.
        unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) == pid }
    });
    assert!(libc::WIFEXITED(status), "status {status}");
    libc::WEXITSTATUS(status)
}

#[test]
fn a_forked_child_neither_hangs_in_a_drop_nor_in_a_wait() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let executor = workers(1);
    let gate = Gate::new();
    let waits = gate.clone();
    let task = executor.spawn_async(async move { waits.passed().await });
    wait_until("the worker sleeps", || {
        executor.task_stats(task.id()).is_some_and(|stats| stats.polls == 1)
    });
    // In each, the panic that says why is caught.
    let waited = in_a_child(|| {
        let message = catch_unwind(AssertUnwindSafe(|| executor.block_on(task))).unwrap_err();
        i32::from(!message.downcast_ref::<&str>().is_some_and(|text| text.contains("fork")))
    });
    assert_eq!(waited, 0);
    let dropped = in_a_child(move || {
        assert_eq!(executor.shutdown().still_active, 1);
        drop(executor);
        0
    });
    assert_eq!(dropped, 0);
    gate.open();
}
