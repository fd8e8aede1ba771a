//! Finds a race that stress misses, and replays it.
//!
//! The program is an elastic pool: workers take jobs from a bounded queue, and a manager retires workers that have nothing to do. The
//! queue is written by hand, as many are: whoever sends a job wakes one worker that waits. There is a mistake in it. A worker that was
//! woken, and is retired before it came to take the job, takes the wake-up with it: the job stays in the queue, and the others
//! sleep on. For that it must not come while the manager has four hundred pages written down, which on threads takes a bad day.
//!
//! ```text
//! cargo run --release --example replay              # stress, hunt, replay, and the queue without the mistake
//! cargo run --release --example replay -- --seconds 30
//! cargo run --release --example replay -- --seed 17 # one seed alone
//! ```

use std::collections::VecDeque;
use std::future::Future;
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
    /// Whether the mistake is mended.
    mended: bool,
}

struct State<T> {
    items: VecDeque<T>,
    /// Who waits for an item, and who for room, each by a ticket of its own.
    receivers: VecDeque<(u64, Waker)>,
    senders: VecDeque<(u64, Waker)>,
    tickets: u64,
}

impl<T> Queue<T> {
    fn new(capacity: usize, mended: bool) -> Self {
        let (items, receivers, senders) = Default::default();
        Self {
            state: Mutex::new(State { items, receivers, senders, tickets: 0 }),
            capacity,
            mended,
        }
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

/// Enters a waker in a list, or renews it.
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
        // The mistake: whoever is not in the list any more was woken for an item, and goes without it. Another has to be woken instead.
        let was_woken = state.receivers.len() == before;
        if was_woken && self.queue.mended && !state.items.is_empty() {
            let woken = state.receivers.pop_front();
            drop(state);
            woken.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }
}

/// How many jobs and workers the pool has.
const JOBS: usize = 8;
const WORKERS: usize = 3;

/// How many pages the manager has written before it decides: on threads, a worker that was woken has come long before that.
const PAGES: usize = 400;

/// A client has its jobs done, one after the other, while the pool's manager retires workers that have nothing to do.
async fn pool(m: Moirai, mended: bool) {
    let jobs = Arc::new(Queue::new(2, mended));
    // These have no mistake.
    let queue = |capacity| Arc::new(Queue::new(capacity, true));
    let (done, answers, pages, written) = (queue(JOBS), queue(1), queue(1), queue(1));
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
        let task = m.task().name(format!("worker {number}")).spawn_async(work);
        workers.push((idle, task));
    }
    let clerk = m.task().name("clerk").spawn_async({
        let (pages, written) = (Arc::clone(&pages), Arc::clone(&written));
        async move {
            loop {
                let page = pages.receive().await;
                written.send(page).await;
            }
        }
    });
    let client = m.task().name("client").spawn_async({
        let jobs = Arc::clone(&jobs);
        async move {
            for job in 0..JOBS {
                jobs.send(job).await;
                answers.receive().await;
            }
        }
    });
    let manager = m.task().name("manager").spawn_async(async move {
        for _ in 0..JOBS {
            done.receive().await;
            let quiet = jobs.is_empty();
            // It has that written down, page by page.
            for page in 0..PAGES {
                pages.send(page).await;
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
        clerk.cancel();
    });
    client.await.unwrap();
    manager.await.unwrap();
}

/// Runs the pool on threads, again and again. Says how many runs there were, and how many did not end.
fn stress(seconds: u64) -> (u64, u64) {
    let m = Moirai::new().expect("an executor");
    let start = Instant::now();
    let (mut runs, mut stuck) = (0, 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        let run = m.spawn_async(pool(m.clone(), false));
        runs += 1;
        let ended = m.block_on(time::timeout(Duration::from_secs(2), run));
        stuck += u64::from(ended.is_err());
    }
    (runs, stuck)
}

fn main() -> ExitCode {
    let argument = |name: &str| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name);
        arguments.nth(1).map(|text| text.parse::<u64>())
    };
    let (Ok(seconds), Ok(seed)) =
        (argument("--seconds").unwrap_or(Ok(5)), argument("--seed").transpose())
    else {
        eprintln!("usage: replay [--seconds NUMBER] [--seed NUMBER]");
        return ExitCode::from(2);
    };
    if let Some(seed) = seed {
        return match Simulation::new(seed).run(|m| pool(m, false)) {
            Ok(run) => {
                println!("seed {seed}: {} steps, and all is well", run.steps);
                ExitCode::SUCCESS
            }
            Err(failure) => {
                println!("{failure}");
                ExitCode::FAILURE
            }
        };
    }
    println!("stress, for {seconds} s …");
    let (runs, stuck) = stress(seconds);
    println!("  {runs} runs on threads, {stuck} of them stuck\n");
    println!("hunt …");
    let found = sim::explore(0..10_000_000, |m| pool(m, false));
    let Some(failure) = found.failure else {
        println!("  nothing found");
        return ExitCode::FAILURE;
    };
    println!("  {} seeds, {:.2} s\n", found.runs, found.elapsed.as_secs_f64());
    println!("replay, ten times …");
    let seed = failure.seed();
    let again = |_: &u32| match Simulation::new(seed).run(|m| pool(m, false)) {
        Err(failure) => matches!(failure.cause(), Cause::Deadlock(_)),
        Ok(_) => false,
    };
    let times = (0..10).filter(again).count();
    println!("  seed {seed} deadlocked {times} times of 10\n");
    println!("the queue without the mistake, with 5,000 seeds …");
    let mended = sim::explore(0..5_000, |m| pool(m, true));
    let well = mended.failure.is_none();
    println!("  {}", if well { "all is well" } else { "it fails, too" });
    if times == 10 && well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
