//! Dumps: every active task, with what it is doing.

mod common;

use std::sync::mpsc::channel;
use std::time::Duration;

use common::{Gate, wait_until};
use moirai::prelude::*;
use moirai::{Dump, FlightRecorderConfig, TaskState};

fn state(executor: &Moirai, id: TaskId) -> TaskState {
    executor.dump().task(id).expect("it is active").state.clone()
}

async fn a_request_that_waits() {
    std::future::pending().await
}

#[test]
fn a_task_is_polled_queued_or_waits() {
    let _watchdog = common::watchdog();
    for recorder in [FlightRecorderConfig::default(), FlightRecorderConfig::off()] {
        let recorded = recorder.is_on();
        let builder = Moirai::builder().worker_threads(1).compensation_threads(0);
        let executor = builder.flight_recorder(recorder).build().unwrap();
        let waits = executor.task().name("waits").spawn_async(a_request_that_waits());
        wait_until("it waits", || {
            matches!(state(&executor, waits.id()), TaskState::Waiting { .. })
        });
        let TaskState::Waiting { since } = state(&executor, waits.id()) else { panic!("it waits") };
        assert_eq!(since.is_some(), recorded);
        let gate = Gate::new();
        let inside = gate.clone();
        let polled = executor.task().name("polled").spawn_async(async move { inside.wait() });
        let queued = executor.spawn_async(async {});
        wait_until("it is polled", || {
            matches!(state(&executor, polled.id()), TaskState::Polled { .. })
        });
        let TaskState::Polled { thread, since } = state(&executor, polled.id()) else {
            panic!("it is polled")
        };
        assert_eq!(thread.as_deref(), recorded.then_some("moirai-worker-0"));
        assert_eq!(since.is_some(), recorded);
        assert!(matches!(state(&executor, queued.id()), TaskState::Queued { since: Some(_) }));
        let dump = executor.dump();
        assert_eq!((dump.tasks.len(), dump.left_out), (3, 0));
        assert!(dump.task(waits.id()).unwrap().future.contains("a_request_that_waits"));
        let text = dump.to_string();
        let counts = "active tasks: 3; 1 polled, 1 queued, 1 waiting";
        assert!(text.contains(counts), "{text}");
        for part in ["\"waits\" (async), waiting", "\"polled\" (async), polled", "dump.rs"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        gate.open();
        polled.join().unwrap();
        let id = queued.id();
        queued.join().unwrap();
        assert!(executor.dump().task(id).is_none());
    }
}

#[test]
fn a_blocking_closure_is_polled_by_its_thread() {
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    let (send, receive) = channel::<()>();
    let disk = executor.task().name("disk").spawn_blocking(move || receive.recv());
    wait_until("it runs", || match state(&executor, disk.id()) {
        TaskState::Polled { thread, .. } => thread.is_some_and(|name| name.contains("blocking")),
        _ => false,
    });
    drop(send);
    let _ = disk.join().unwrap();
}

#[test]
fn tasks_that_are_alike_are_one_entry_and_the_dump_is_bounded() {
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    for number in 0..1_000 {
        let task = executor.task().name(if number % 2 == 0 { "even" } else { "odd" });
        drop(task.spawn_async(a_request_that_waits()));
    }
    let named: Vec<_> = (0..500)
        .map(|number| {
            executor
                .task()
                .name(format!("named-{number}\n"))
                .spawn_async(std::future::pending::<()>())
        })
        .collect();
    let waiting = |dump: &Dump| {
        dump.tasks.iter().filter(|task| matches!(task.state, TaskState::Waiting { .. })).count()
    };
    wait_until("all wait", || waiting(&executor.dump()) == 1_500);
    let text = executor.dump().to_string();
    assert!(text.contains("500 tasks \"even\" (async), waiting"), "{text}");
    assert!(text.contains("500 tasks \"odd\" (async), waiting"), "{text}");
    let more = 1_500 - 1_000 - (Dump::MAX_PRINTED - 2);
    assert!(text.ends_with(&format!("{more} more tasks are not printed\n")), "{text}");
    assert!(text.lines().count() <= 5 * Dump::MAX_PRINTED + 3);
    assert!(text.contains("\"named-0\\n\""), "names are escaped: {text}");
    drop(named);
}

#[test]
fn spans_timeouts_and_closures_do_not_hide_what_was_spawned() {
    let builder = Moirai::builder().worker_threads(1).task_spans(true);
    let executor = builder.build().unwrap();
    let wrapped =
        executor.task().timeout(Duration::from_secs(3_600)).spawn_async(a_request_that_waits());
    wait_until("it waits", || executor.dump().task(wrapped.id()).is_some());
    let dump = executor.dump();
    let future = dump.task(wrapped.id()).unwrap().future;
    assert!(future.starts_with("dump::a_request_that_waits"), "{future}");
    let gate = Gate::new();
    let inside = gate.clone();
    let closure = executor.spawn_parallel(move || inside.wait());
    wait_until("it is there", || executor.dump().task(closure.id()).is_some());
    let future = executor.dump().task(closure.id()).unwrap().future;
    assert!(future.starts_with("dump::spans_timeouts"), "{future}");
    gate.open();
    closure.join().unwrap();
}

/// The signal, in a process of its own: this test binary, started again.
#[cfg(all(unix, feature = "signal"))]
mod on_a_signal {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use moirai::prelude::*;
    use rustix::process::{Pid, Signal, kill_process};

    const ROLE: &str = "MOIRAI_TEST_DUMPS";

    #[test]
    fn a_dump_is_written_to_stderr_each_time() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["on_a_signal::waits_for_signals", "--exact", "--nocapture", "--ignored"])
            .env(ROLE, "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut expect = |part: &str| {
            let found = lines.by_ref().map_while(Result::ok).any(|line| line.contains(part));
            assert!(found, "the process ended without {part:?}");
        };
        expect("ready");
        for _ in 0..3 {
            kill_process(Pid::from_child(&child), Signal::USR1).unwrap();
            expect("executor \"first\"");
            expect("\"looks for me\" (async), waiting");
            expect("executor \"second\"");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    #[ignore = "run by the test of signals, in a process of its own"]
    fn waits_for_signals() {
        if std::env::var_os(ROLE).is_none() {
            return;
        }
        let start = |prefix| {
            Moirai::builder().worker_threads(1).thread_name_prefix(prefix).build().unwrap()
        };
        let (first, _second) = (start("first"), start("second"));
        let waits = first.task().name("looks for me").spawn_async(std::future::pending::<()>());
        super::wait_until("it waits", || {
            matches!(super::state(&first, waits.id()), super::TaskState::Waiting { .. })
        });
        moirai::dump::on_sigusr1().unwrap();
        moirai::dump::on_sigusr1().unwrap();
        eprintln!("ready");
        let _ = waits.join();
    }
}
