//! Finds a race that stress tests miss, and replays it.
//!
//! The program is an elastic pool: workers take jobs from a bounded queue, and a manager retires workers that have nothing to do.
//! The queue is written by hand, as many are: a task that sends a job wakes one worker that waits for one. It has a bug. If a
//! worker that was woken is retired before it has run to take the job, the wake-up is lost with it: the job stays in the queue, and
//! the other workers sleep on. For that, the woken worker must not run while the manager waits for 400 lines to be logged, which is
//! very rare on threads.
//!
//! ```text
//! cargo run --release --example replay              # stress, search, replay, and the queue without the bug
//! cargo run --release --example replay -- --seconds 30
//! cargo run --release --example replay -- --seed 17 # one seed alone
//! cargo test --example replay                       # the same search and replay, by `#[moirai::test(simulate = …)]`
//! ```

use std::collections::VecDeque;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use moirai::sim::{self, Cause, Simulation};
use moirai::{Moirai, time, yield_now};

/// A bounded queue for tasks.
struct Queue<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    /// Whether the bug is fixed.
    fixed: bool,
}

struct State<T> {
    items: VecDeque<T>,
    /// The tasks that wait for an item, and those that wait for room. Each has a ticket of its own.
    receivers: VecDeque<(u64, Waker)>,
    senders: VecDeque<(u64, Waker)>,
    tickets: u64,
}

impl<T> Queue<T> {
    fn new(capacity: usize, fixed: bool) -> Self {
        let (items, receivers, senders) = Default::default();
        Self { state: Mutex::new(State { items, receivers, senders, tickets: 0 }), capacity, fixed }
    }

    async fn send(&self, item: T) {
        let mut item = Some(item);
        let mut ticket = None;
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            if state.items.len() < self.capacity {
                state.items.extend(item.take());
                let woken = state.receivers.pop_front();
                drop(state);
                woken.into_iter().for_each(|(_, waker)| waker.wake());
                return Poll::Ready(());
            }
            let State { senders, tickets, .. } = &mut *state;
            wait_in(senders, tickets, &mut ticket, cx.waker());
            Poll::Pending
        })
        .await;
    }

    fn receive(&self) -> Receive<'_, T> {
        Receive { queue: self, ticket: None }
    }

    fn is_empty(&self) -> bool {
        self.state.lock().unwrap().items.is_empty()
    }
}

/// Enters a waker in a list of waiting tasks, or replaces it if the task with this ticket is in the list.
fn wait_in(
    list: &mut VecDeque<(u64, Waker)>,
    tickets: &mut u64,
    ticket: &mut Option<u64>,
    waker: &Waker,
) {
    if let Some(entry) = list.iter_mut().find(|(number, _)| Some(*number) == *ticket) {
        entry.1.clone_from(waker);
        return;
    }
    *tickets += 1;
    *ticket = Some(*tickets);
    list.push_back((*tickets, waker.clone()));
}

/// Waits for an item.
struct Receive<'a, T> {
    queue: &'a Queue<T>,
    ticket: Option<u64>,
}

impl<T> Future for Receive<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let mut state = this.queue.state.lock().unwrap();
        if let Some(item) = state.items.pop_front() {
            state.receivers.retain(|(number, _)| Some(*number) != this.ticket);
            this.ticket = None;
            let woken = state.senders.pop_front();
            drop(state);
            woken.into_iter().for_each(|(_, waker)| waker.wake());
            return Poll::Ready(item);
        }
        let State { receivers, tickets, .. } = &mut *state;
        wait_in(receivers, tickets, &mut this.ticket, cx.waker());
        Poll::Pending
    }
}

impl<T> Drop for Receive<'_, T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.queue.state.lock().unwrap();
        let before = state.receivers.len();
        state.receivers.retain(|(number, _)| *number != ticket);
        // The bug: a receiver that is not in the list any more was woken for an item, and is dropped without taking it. Another one
        // has to be woken instead.
        let was_woken = state.receivers.len() == before;
        if was_woken && self.queue.fixed && !state.items.is_empty() {
            let woken = state.receivers.pop_front();
            drop(state);
            woken.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }
}

/// How many jobs and workers the pool has.
const JOBS: usize = 8;
const WORKERS: usize = 3;

/// How many lines the manager logs before it decides which worker to retire. On threads, a worker that was woken has run long
/// before that.
const LINES: usize = 400;

/// Runs a pool: a client has its jobs done, one after the other, while the manager retires workers that have nothing to do.
async fn pool(executor: Moirai, fixed: bool) {
    let jobs = Arc::new(Queue::new(2, fixed));
    // These queues do not have the bug.
    let queue = |capacity| Arc::new(Queue::new(capacity, true));
    let (done, answers, lines, written) = (queue(JOBS), queue(1), queue(1), queue(1));
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        let idle = Arc::new(AtomicBool::new(false));
        let (jobs, done, answers) = (Arc::clone(&jobs), Arc::clone(&done), Arc::clone(&answers));
        let has_nothing_to_do = Arc::clone(&idle);
        let work = async move {
            loop {
                has_nothing_to_do.store(true, Ordering::SeqCst);
                let job: usize = jobs.receive().await;
                has_nothing_to_do.store(false, Ordering::SeqCst);
                yield_now().await;
                done.send(job).await;
                answers.send(job).await;
            }
        };
        let task = executor.task().name(format!("worker {number}")).spawn_async(work);
        workers.push((idle, task));
    }
    let logger = executor.task().name("logger").spawn_async({
        let (lines, written) = (Arc::clone(&lines), Arc::clone(&written));
        async move {
            loop {
                let line = lines.receive().await;
                written.send(line).await;
            }
        }
    });
    let client = executor.task().name("client").spawn_async({
        let jobs = Arc::clone(&jobs);
        async move {
            for job in 0..JOBS {
                jobs.send(job).await;
                answers.receive().await;
            }
        }
    });
    let manager = executor.task().name("manager").spawn_async(async move {
        for _ in 0..JOBS {
            done.receive().await;
            let quiet = jobs.is_empty();
            // It logs what it has seen, line by line.
            for line in 0..LINES {
                lines.send(line).await;
                written.receive().await;
            }
            let idle = workers.iter().position(|(idle, _)| idle.load(Ordering::SeqCst));
            if let Some(place) = idle
                && quiet
                && workers.len() > 1
            {
                workers.remove(place).1.cancel();
            }
        }
        workers.iter().for_each(|(_, task)| task.cancel());
        logger.cancel();
    });
    client.await.unwrap();
    manager.await.unwrap();
}

/// Runs the pool on threads, again and again. Returns the number of runs, and the number of those that did not end within two
/// seconds.
fn stress(seconds: u64) -> (u64, u64) {
    let executor = Moirai::new().expect("the executor starts");
    let start = Instant::now();
    let (mut runs, mut stuck) = (0, 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        let run = executor.spawn_async(pool(executor.clone(), false));
        runs += 1;
        let ended = executor.block_on(time::timeout(Duration::from_secs(2), run));
        stuck += u64::from(ended.is_err());
    }
    (runs, stuck)
}

const USAGE: &str = "usage: replay [--seconds N] [--seed N]
Finds a race that stress tests miss, and replays it.
--seconds N   how long to stress the program on threads (default: 5)
--seed N      only run the simulation with this seed";

/// Returns the values of `--seconds` and `--seed`, or `None` if the arguments are wrong.
fn parse(mut words: impl Iterator<Item = String>) -> Option<(u64, Option<u64>)> {
    let (mut seconds, mut seed) = (5, None);
    while let Some(word) = words.next() {
        let number = words.next()?.parse().ok()?;
        match &*word {
            "--seconds" => seconds = number,
            "--seed" => seed = Some(number),
            _ => return None,
        }
    }
    Some((seconds, seed))
}

fn main() -> ExitCode {
    if std::env::args().skip(1).any(|word| matches!(&*word, "--help" | "-h")) {
        // A reader that goes away early, such as `head`, is no fault.
        let _ = writeln!(std::io::stdout(), "{USAGE}");
        return ExitCode::SUCCESS;
    }
    let Some((seconds, seed)) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Some(seed) = seed {
        return match Simulation::new(seed).run(|executor| pool(executor, false)) {
            Ok(run) => {
                println!("seed {seed}: no failure in {} steps", run.steps);
                ExitCode::SUCCESS
            }
            Err(failure) => {
                println!("{failure}");
                ExitCode::FAILURE
            }
        };
    }
    println!("stress on threads, for {seconds} s …");
    let (runs, stuck) = stress(seconds);
    println!("  {runs} runs, {stuck} of which did not end within 2 s\n");
    println!("search for a seed that fails …");
    let found = sim::explore(0..10_000_000, |executor| pool(executor, false));
    let Some(failure) = found.failure else {
        println!("  no seed fails");
        return ExitCode::FAILURE;
    };
    println!("  found after {} seeds, {:.2} s\n", found.runs, found.elapsed.as_secs_f64());
    println!("replay of this seed, ten times …");
    let seed = failure.seed();
    let again = |_: &u32| match Simulation::new(seed).run(|executor| pool(executor, false)) {
        Err(failure) => matches!(failure.cause(), Cause::Deadlock(_)),
        Ok(_) => false,
    };
    let times = (0..10).filter(again).count();
    println!("  seed {seed} deadlocked {times} of 10 times\n");
    println!("the queue without the bug, with 5,000 seeds …");
    let fixed = sim::explore(0..5_000, |executor| pool(executor, true));
    let well = fixed.failure.is_none();
    println!("  {}", if well { "no seed fails" } else { "a seed fails" });
    if times == 10 && well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::pool;
    use moirai::Moirai;

    #[moirai::test(simulate = 2_000)]
    #[ignore = "fails, for the test below"]
    async fn the_pool_does_all_its_jobs() {
        pool(Moirai::current().unwrap(), false).await;
    }

    #[moirai::test(simulate = 300)]
    async fn the_pool_without_the_bug_does_all_its_jobs() {
        pool(Moirai::current().unwrap(), true).await;
    }

    /// Runs the first of these tests in a process of its own.
    fn run_the_failing_test(seed: Option<&str>) -> Output {
        let mut test = Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", "tests::the_pool_does_all_its_jobs", "--ignored"]);
        test.env_remove("MOIRAI_SIM_SEED").envs(seed.map(|seed| ("MOIRAI_SIM_SEED", seed)));
        test.output().unwrap()
    }

    #[test]
    fn the_failing_test_names_a_seed_and_fails_with_it_alone() {
        let found = run_the_failing_test(None);
        let text = String::from_utf8_lossy(&found.stdout);
        assert!(!found.status.success(), "{text}");
        let name = "tests::the_pool_does_all_its_jobs";
        let message = format!("the simulated test `{name}` fails with seed ");
        let (_, message) = text.split_once(&message).expect(&text);
        let (seed, cause) = message.split_once(": ").expect(&text);
        assert!(cause.starts_with("deadlock: no task can go on"), "{text}");
        let command = format!("alone: MOIRAI_SIM_SEED={seed} cargo test {name}");
        assert!(message.contains(&command), "{text}");
        for _ in 0..3 {
            let again = run_the_failing_test(Some(seed));
            let text = String::from_utf8_lossy(&again.stdout);
            assert!(!again.status.success(), "{text}");
            assert!(text.contains("after 1 seeds"), "{text}");
            assert!(text.contains(&format!("fails with seed {seed}: deadlock")), "{text}");
        }
        // With a seed that passes, it passes.
        let passing = if seed == "0" { "1" } else { "0" };
        assert!(run_the_failing_test(Some(passing)).status.success());
    }
}
