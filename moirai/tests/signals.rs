//! Tests of signals, each in a process of its own: this test binary, started again.
#![cfg(all(unix, feature = "signal"))]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use moirai::prelude::*;
use moirai::signal::{self, SignalKind};
use rustix::process::{Pid, Signal, kill_process};

const LONG: Duration = Duration::from_secs(60);
const ROLE: &str = "MOIRAI_TEST_SIGNALS_ROLE";

/// A process that runs one of the roles, and is killed when this is dropped.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(role: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["run_as_the_role_says", "--exact", "--nocapture", "--ignored"])
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut process = Self { child, output };
        process.expect("ready");
        process
    }

    /// Reads lines until one that ends in this.
    fn expect(&mut self, end: &str) {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if line.trim_end().ends_with(end) {
                return;
            }
            line.clear();
        }
        panic!("the process ended without saying {end:?}: {:?}", self.child.wait());
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < LONG, "the process does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "what the processes of the other tests run"]
fn run_as_the_role_says() {
    match std::env::var(ROLE).as_deref() {
        Ok("hangups") => count_hangups(),
        Ok("three") => wait_for_one_of_three(),
        Ok("drain") => drain(LONG, true),
        Ok("stubborn") => drain(LONG, false),
        Ok("short") => drain(Duration::from_millis(10), false),
        Ok("two executors") => drain_two(),
        Ok("gone") => drain_one_that_is_gone(),
        Ok("gone, but heard") => listen_after_one_that_is_gone(),
        Ok("twice") => drain_one_twice(),
        _ => {}
    }
}

fn executor() -> Moirai {
    Moirai::builder().worker_threads(1).build().unwrap()
}

fn count_hangups() {
    let executor = executor();
    let task = executor.spawn_async(async {
        let mut hangups = signal::signal(SignalKind::HANGUP).unwrap();
        println!("ready");
        for n in 1..=3 {
            hangups.recv().await;
            println!("hangup {n}");
        }
    });
    task.join().unwrap();
}

fn wait_for_one_of_three() {
    let executor = executor();
    let first = executor.spawn_async(async {
        let waits =
            [SignalKind::INTERRUPT, SignalKind::TERMINATE, SignalKind::HANGUP].map(|kind| {
                moirai::spawn_async(async move {
                    let waiting = async {
                        match kind {
                            SignalKind::INTERRUPT => signal::ctrl_c().await,
                            SignalKind::TERMINATE => signal::terminate().await,
                            _ => signal::hangup().await,
                        }
                    };
                    let mut waiting = std::pin::pin!(waiting);
                    // Listens from the first poll on.
                    assert!(futures_lite::future::poll_once(&mut waiting).await.is_none());
                    println!("listening");
                    waiting.await.unwrap();
                    println!("received {kind}");
                })
            });
        println!("ready");
        for wait in waits {
            wait.await.unwrap();
        }
    });
    first.join().unwrap();
}

fn drain(timeout: Duration, ends: bool) {
    let executor = executor();
    let drained = executor.shutdown_on_signals(timeout).unwrap();
    executor.spawn_detached(async move {
        moirai::shutting_down().await;
        println!("told");
        if !ends {
            std::future::pending::<()>().await;
        }
        let child = moirai::spawn_async(async { "the last words" });
        println!("{}", child.await.unwrap());
    });
    println!("ready");
    let report = drained.wait();
    println!("clean: {}", report.is_clean());
}

fn drain_two() {
    let executors = [executor(), executor()];
    let drained = executors.each_ref().map(|executor| executor.shutdown_on_signals(LONG).unwrap());
    println!("ready");
    for drained in drained {
        println!("clean: {}", drained.wait().is_clean());
    }
}

fn drain_one_that_is_gone() {
    let executor = executor();
    let drained = executor.shutdown_on_signals(LONG).unwrap();
    drop(executor);
    let _ = drained.wait();
    println!("ready");
    std::thread::sleep(LONG);
}

fn listen_after_one_that_is_gone() {
    let gone = executor();
    let drained = gone.shutdown_on_signals(LONG).unwrap();
    drop(gone);
    let _ = drained.wait();
    let mut terminate = signal::signal(SignalKind::TERMINATE).unwrap();
    println!("ready");
    terminate.recv_blocking();
    println!("received");
}

fn drain_one_twice() {
    let executor = executor();
    let drained = [(); 2].map(|()| executor.shutdown_on_signals(LONG).unwrap());
    println!("ready");
    for drained in drained {
        println!("clean: {}", drained.wait().is_clean());
    }
}

#[test]
fn a_shutdown_without_a_signal_ends_the_wait() {
    let ends: [fn(Moirai); 3] =
        [|executor| drop(executor.shutdown()), |executor| drop(executor.drain(LONG)), drop];
    for end in ends {
        let executor = executor();
        let drained = executor.shutdown_on_signals(LONG).unwrap();
        end(executor);
        assert!(drained.wait().is_clean());
    }
    let executor = executor();
    executor.shutdown();
    assert!(executor.shutdown_on_signals(LONG).unwrap().wait().is_clean());
}

#[test]
fn one_signal_is_enough_for_two_waits_for_one_executor() {
    for _ in 0..5 {
        let mut process = Process::start("twice");
        process.send(Signal::TERM);
        process.expect("clean: true");
        process.expect("clean: true");
        assert!(process.end().success());
    }
}

#[test]
fn a_program_that_listens_by_itself_is_not_ended_for_an_executor_that_is_gone() {
    let mut process = Process::start("gone, but heard");
    process.send(Signal::TERM);
    process.expect("received");
    assert!(process.end().success());
}

#[test]
fn each_signal_is_received() {
    let mut process = Process::start("hangups");
    for n in 1..=3 {
        process.send(Signal::HUP);
        process.expect(&format!("hangup {n}"));
    }
    assert!(process.end().success());
}

#[test]
fn there_are_futures_for_the_usual_signals() {
    let mut process = Process::start("three");
    for _ in 0..3 {
        process.expect("listening");
    }
    for (signal, name) in
        [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT"), (Signal::HUP, "SIGHUP")]
    {
        process.send(signal);
        process.expect(&format!("received {name}"));
    }
    assert!(process.end().success());
}

#[test]
fn a_signal_drains() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut process = Process::start("drain");
        process.send(signal);
        process.expect("told");
        process.expect("the last words");
        process.expect("clean: true");
        assert!(process.end().success());
    }
}

#[test]
fn a_second_signal_ends_the_process() {
    for (first, second, status) in [
        (Signal::TERM, Signal::TERM, 143),
        (Signal::INT, Signal::INT, 130),
        (Signal::TERM, Signal::INT, 130),
    ] {
        let mut process = Process::start("stubborn");
        process.send(first);
        process.expect("told");
        process.send(second);
        assert_eq!(process.end().code(), Some(status));
    }
}

#[test]
fn the_deadline_is_kept() {
    let mut process = Process::start("short");
    process.send(Signal::TERM);
    process.expect("clean: false");
    assert!(process.end().success());
}

#[test]
fn one_signal_drains_all_executors() {
    let mut process = Process::start("two executors");
    process.send(Signal::TERM);
    process.expect("clean: true");
    process.expect("clean: true");
    assert!(process.end().success());
}

#[test]
fn a_signal_that_finds_nothing_to_drain_ends_the_process() {
    let mut process = Process::start("gone");
    process.send(Signal::TERM);
    assert_eq!(process.end().code(), Some(143));
}

#[test]
fn some_signals_cannot_be_listened_for() {
    for number in [9, 19, 11, 0, -1, 4_711] {
        let error = signal::signal(SignalKind::from_number(number)).unwrap_err();
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(SignalKind::HANGUP.to_string(), "SIGHUP");
    assert_eq!(SignalKind::from_number(4_711).to_string(), "signal 4711");
}
