//! Futures and closures of many KiB are moved to the heap at once, so that a spawn needs no more of its caller's stack than tokio's.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use moirai::prelude::*;
use moirai_core::{ExecutorControl, TaskSpawner};

/// The size of the futures and closures, in bytes.
const SIZE: usize = 64 << 10;

const SIZE_KIB: usize = SIZE >> 10;

/// The frames of a debug build, without the future, are larger than tokio's by some KiB.
const ALLOWANCE_KIB: usize = if cfg!(debug_assertions) { 8 } else { 0 };

const MINUTE: Duration = Duration::from_secs(60);

/// What a child process is asked to do: the name of a case and the size of the stack in KiB.
const CASE: &str = "MOIRAI_TEST_CASE";

fn executor() -> &'static Moirai {
    static EXECUTOR: OnceLock<Moirai> = OnceLock::new();
    EXECUTOR.get_or_init(|| Moirai::builder().worker_threads(1).build().unwrap())
}

fn tokio() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap()
    })
}

async fn future() -> u8 {
    let bytes = [1; SIZE];
    moirai::yield_now().await;
    black_box(&bytes)[SIZE - 1]
}

fn closure() -> impl FnOnce() -> u8 + Send {
    let bytes = [1; SIZE];
    move || black_box(&bytes)[SIZE - 1]
}

struct LargeTask([u8; SIZE]);

impl Task for LargeTask {
    type Output = u8;

    fn run(self) -> u8 {
        black_box(&self.0)[SIZE - 1]
    }
}

/// A case: its name, and what it does on the small stack. Each is a function of its own, so that its frame holds nothing of others.
type Case = (&'static str, fn());

const TOKIO_SPAWN: Case = ("tokio spawn", || drop(tokio().spawn(future())));
const TOKIO_BLOCK_ON: Case = ("tokio block_on", || _ = tokio().block_on(future()));
const TOKIO_SPAWN_BLOCKING: Case =
    ("tokio spawn_blocking", || drop(tokio().spawn_blocking(closure())));

/// What is compared with `tokio::spawn`.
const SPAWNS: &[Case] = &[
    ("spawn_async", || drop(executor().spawn_async(future()))),
    ("spawn_async of the executor", || drop(executor().executor().spawn_async(future()))),
    ("spawn_async, free", || drop(moirai::spawn_async(future()))),
    ("builder", || drop(executor().task().spawn_async(future()))),
    ("builder with a timeout", || {
        drop(executor().task().name("large").timeout(MINUTE).spawn_async(future()));
    }),
    ("group", || _ = executor().group().spawn_async(future())),
    ("group's builder", || _ = executor().group().task().spawn_async(future())),
];

/// What is compared with `tokio::spawn_blocking`.
const CLOSURES: &[Case] = &[
    ("spawn_parallel", || drop(executor().spawn_parallel(closure()))),
    ("spawn_parallel of the executor", || drop(executor().executor().spawn_parallel(closure()))),
    ("spawn_parallel, free", || drop(moirai::spawn_parallel(closure()))),
    ("spawn_blocking", || drop(executor().spawn_blocking(closure()))),
    ("spawn_blocking, free", || drop(moirai::spawn_blocking(closure()))),
    ("spawn", || drop(executor().spawn(LargeTask([1; SIZE])))),
    ("spawn_with_priority", || {
        drop(executor().spawn_with_priority(LargeTask([1; SIZE]), Priority::High));
    }),
    ("builder, parallel", || drop(executor().task().spawn_parallel(closure()))),
    ("builder, blocking", || drop(executor().task().spawn_blocking(closure()))),
    ("group, parallel", || _ = executor().group().spawn_parallel(closure())),
    ("group, blocking", || _ = executor().group().spawn_blocking(closure())),
];

/// What is compared with `tokio::block_on`.
const BLOCK_ONS: &[Case] = &[
    ("block_on", || _ = executor().block_on(future())),
    ("block_on of the executor", || _ = executor().executor().block_on(future())),
    ("block_on, free", || _ = moirai::block_on(future())),
];

/// Those that give the work back, or a future that has it: they may need room for one more, which is what they return.
const RETURNING: &[Case] = &[
    ("try_spawn_async", || drop(executor().task().try_spawn_async(future()))),
    ("try_spawn_parallel", || drop(executor().task().try_spawn_parallel(closure()))),
    ("try_spawn_blocking", || drop(executor().task().try_spawn_blocking(closure()))),
    ("spawn_async_when_free", || {
        drop(executor().block_on(executor().task().spawn_async_when_free(future())));
    }),
    ("spawn_parallel_when_free", || {
        drop(executor().block_on(executor().task().spawn_parallel_when_free(closure())));
    }),
];

/// The body of the child processes; otherwise it does nothing.
#[test]
fn child() {
    let Ok(case) = std::env::var(CASE) else { return };
    let (name, stack) = case.split_once('/').unwrap();
    let stack = stack.parse::<usize>().unwrap() << 10;
    let all = [TOKIO_SPAWN, TOKIO_BLOCK_ON, TOKIO_SPAWN_BLOCKING];
    let mut cases = all.iter().chain(SPAWNS).chain(CLOSURES).chain(BLOCK_ONS).chain(RETURNING);
    let (_, run) = *cases.find(|case| case.0 == name).unwrap();
    // Started here, with a stack that is large enough.
    let _ = (executor(), tokio(), moirai::global());
    thread::Builder::new().stack_size(stack).spawn(run).unwrap().join().unwrap();
}

/// Returns whether a case ends well on a stack of this size.
fn fits(case: Case, stack_kib: usize) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child"])
        .env(CASE, format!("{}/{stack_kib}", case.0))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.unwrap().success()
}

/// Returns the size in KiB of the smallest stack on which a case ends well, to within 4 KiB.
fn smallest_stack(case: Case) -> usize {
    let (mut too_small, mut enough) = (16, 8 << 10);
    while enough - too_small > 4 {
        let middle = usize::midpoint(too_small, enough);
        if fits(case, middle) { enough = middle } else { too_small = middle }
    }
    enough
}

/// Checks that each case ends well on the smallest stack with which tokio's counterpart does.
fn need_no_more_than(tokio: Case, cases: &[Case]) {
    let enough = smallest_stack(tokio) + ALLOWANCE_KIB;
    for case in cases {
        assert!(fits(*case, enough), "{} needs more than {enough} KiB of stack", case.0);
    }
}

#[test]
fn spawning_a_large_future_needs_no_more_stack_than_with_tokio() {
    need_no_more_than(TOKIO_SPAWN, SPAWNS);
}

#[test]
fn spawning_a_large_closure_needs_no_more_stack_than_with_tokio() {
    need_no_more_than(TOKIO_SPAWN_BLOCKING, CLOSURES);
}

#[test]
fn blocking_on_a_large_future_needs_no_more_stack_than_with_tokio() {
    need_no_more_than(TOKIO_BLOCK_ON, BLOCK_ONS);
}

#[test]
fn what_gives_the_work_back_needs_room_for_a_few_copies_of_it() {
    for case in RETURNING {
        assert!(fits(*case, 10 * SIZE_KIB), "{} needs more than ten times the work", case.0);
    }
}
