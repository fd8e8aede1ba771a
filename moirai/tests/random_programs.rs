//! A test of random programs out of everything that forks, blocks, spawns, cancels, panics and drops, on two executors that call into
//! each other: no program hangs, nothing that was borrowed is gone, and nothing is left behind.
//!
//! It holds a part of promises P2, P14 and P16 of `docs/src/guarantees.md`.
//!
//! The seed is printed if a program fails. `MOIRAI_PROGRAMS_SEED=n` begins with the program of seed `n`, and
//! `MOIRAI_PROGRAMS_SECONDS=n` runs programs for `n` seconds.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use common::{ON_PURPOSE, OnDrop, silence_expected_panics, wait_until, watchdog};
use moirai::prelude::*;
use moirai::sync::{CancellationToken, Semaphore};
use moirai::{par, time};

/// How deep the actions of a program are nested.
const DEPTH: u32 = 4;

/// What every [`Value`] contains until it is dropped.
const INTACT: u64 = 0x5EED_5EED_5EED_5EED;

/// Marsaglia's xorshift64: the same numbers for the same seed.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        // The first few numbers of neighbouring seeds are alike.
        (0..4).for_each(|_| _ = random.below(1));
        random
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn micros(&mut self, bound: u64) -> Duration {
        Duration::from_micros(self.below(bound))
    }

    /// Returns a source of other numbers, for work that runs elsewhere.
    fn fork(&mut self) -> Self {
        Self::new(self.below(u64::MAX >> 8))
    }
}

/// What the actions of a program share.
#[derive(Clone)]
struct World {
    executors: [Moirai; 2],
    token: CancellationToken,
    semaphore: Arc<Semaphore>,
    /// Handles that any action may take.
    handles: (Sender<TaskHandle<Value>>, Receiver<TaskHandle<Value>>),
    /// The number of values that are alive.
    alive: Arc<AtomicUsize>,
    /// Whether the executors are shut down only when all tasks have ended. If they were stopped before, or are by now, nobody would
    /// run the jobs for which a scope's closure waits.
    drains: bool,
}

/// A value that shows whether it is still alive, and whose destructor does something.
struct Value {
    content: Box<[u64; 8]>,
    world: World,
    random: Random,
}

impl Value {
    fn check(&self) -> u64 {
        assert!(self.content.iter().all(|word| *word == INTACT), "a value is used after its end");
        1
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.check();
        self.content.fill(0);
        self.world.alive.fetch_sub(1, Ordering::Relaxed);
        if std::thread::panicking() {
            return;
        }
        match self.random.below(12) {
            0 => resume_unwind(Box::new(ON_PURPOSE)),
            1 => contained(|| self.world.act(&mut self.random, 1)),
            _ => {}
        }
    }
}

/// Calls `f`, and contains its panic. Some are on purpose, and some are how cancelled fork-join work stops.
fn contained(f: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(f));
}

impl World {
    fn value(&self, random: &mut Random) -> Value {
        self.alive.fetch_add(1, Ordering::Relaxed);
        Value { content: Box::new([INTACT; 8]), world: self.clone(), random: random.fork() }
    }

    fn executor(&self, random: &mut Random) -> &Moirai {
        &self.executors[usize::from(random.one_in(3))]
    }

    /// Does something at random, with other actions inside of it.
    fn act(&self, random: &mut Random, depth: u32) {
        if depth == 0 {
            std::hint::black_box((0..random.below(2_000)).sum::<u64>());
            return;
        }
        let executor = self.executor(random);
        let inner = depth - 1;
        match random.below(16) {
            0..=2 => self.join(executor, random, inner),
            3..=4 => self.scope(executor, random, inner),
            5 if self.drains && !executor.is_shutting_down() => {
                self.scope_that_waits(executor, random, inner);
            }
            6 => moirai::block_in_place(|| self.act(random, inner)),
            7 => executor.block_on(self.future(random.fork(), inner)),
            8 => {
                let handle = self.spawn(executor, random, inner);
                if let Ok(value) = handle.join() {
                    value.check();
                }
            }
            9 => {
                let handle = self.spawn(executor, random, inner);
                self.handles.0.try_send(handle).expect("the channel is open, and has no limit");
            }
            10 => {
                if let Ok(mut handle) = self.handles.1.try_recv() {
                    match random.below(4) {
                        0 => handle.cancel(),
                        1 => _ = handle.join_timeout(random.micros(300)),
                        2 => _ = executor.cancel_task(handle.id()),
                        _ => {}
                    }
                }
            }
            11 => self.group(executor, random, inner),
            12 => _ = executor.try_run(),
            13 => {
                let mut values: Vec<Box<u64>> =
                    (0..200).map(|_| Box::new(random.below(1_000))).collect();
                par::sort_by(executor, &mut values, Ord::cmp);
                assert!(values.is_sorted());
                let doubled = par::map(executor, &values, |value| Box::new(**value * 2));
                assert!(doubled.iter().zip(&values).all(|(double, value)| **double == **value * 2));
            }
            14 => contained(|| {
                let _value = self.value(random);
                resume_unwind(Box::new(ON_PURPOSE));
            }),
            _ => drop(self.value(random)),
        }
    }

    fn join(&self, executor: &Moirai, random: &mut Random, inner: u32) {
        let borrowed = self.value(random);
        let mut randoms = [random.fork(), random.fork()];
        let [left, right] = &mut randoms;
        let panics = random.one_in(12);
        let half = |random: &mut Random| {
            borrowed.check();
            self.act(random, inner);
            borrowed.check()
        };
        contained(|| {
            let (a, b) = executor.join(
                || half(left),
                || {
                    if panics {
                        resume_unwind(Box::new(ON_PURPOSE));
                    }
                    half(right)
                },
            );
            assert_eq!(a + b, 2);
        });
    }

    fn scope(&self, executor: &Moirai, random: &mut Random, inner: u32) {
        let borrowed = self.value(random);
        let randoms: Vec<_> = (0..random.below(6)).map(|_| random.fork()).collect();
        let borrowed = &borrowed;
        contained(|| {
            executor.scope(|s| {
                for mut random in randoms {
                    s.spawn(move |s| {
                        borrowed.check();
                        if random.one_in(3) {
                            let mut random = random.fork();
                            s.spawn(move |_| {
                                self.act(&mut random, inner.saturating_sub(1));
                                borrowed.check();
                            });
                        }
                        self.act(&mut random, inner.saturating_sub(1));
                        borrowed.check();
                    });
                }
            });
        });
        borrowed.check();
    }

    /// A scope whose closure blocks until its jobs have run.
    fn scope_that_waits(&self, executor: &Moirai, random: &mut Random, inner: u32) {
        let borrowed = self.value(random);
        let randoms: Vec<_> = (0..random.below(4)).map(|_| random.fork()).collect();
        let borrowed = &borrowed;
        contained(|| {
            executor.scope(|s| {
                let left = Arc::new(AtomicUsize::new(randoms.len()));
                for mut random in randoms {
                    // A job that panics, or is dropped, counts as well.
                    let left = Arc::clone(&left);
                    let ends = OnDrop::new(move || _ = left.fetch_sub(1, Ordering::Relaxed));
                    s.spawn(move |_| {
                        let _ends = ends;
                        self.act(&mut random, inner.saturating_sub(1));
                        borrowed.check();
                    });
                }
                moirai::block_in_place(|| {
                    wait_until("all jobs have ended", || left.load(Ordering::Relaxed) == 0);
                });
            });
        });
    }

    fn spawn(&self, executor: &Moirai, random: &mut Random, inner: u32) -> TaskHandle<Value> {
        let mut task = executor.task();
        if random.one_in(5) {
            task = task.timeout(random.micros(2_000));
        }
        if random.one_in(5) {
            task = task.cancel_token(self.token.child_token());
        }
        let (world, mut inside) = (self.clone(), random.fork());
        let closure = move || {
            world.act(&mut inside, inner);
            world.value(&mut inside)
        };
        match random.below(3) {
            0 => task.spawn_parallel(closure),
            1 => task.spawn_blocking(closure),
            _ => {
                let (world, random) = (self.clone(), random.fork());
                task.spawn_async(async move {
                    world.future(random.clone(), inner).await;
                    world.value(&mut random.clone())
                })
            }
        }
    }

    /// The future of a task, or of a thread that blocks on it.
    fn future(&self, mut random: Random, inner: u32) -> impl Future<Output = ()> + Send + use<> {
        let world = self.clone();
        async move {
            let value = world.value(&mut random);
            for _ in 0..random.below(4) {
                match random.below(6) {
                    0 => moirai::yield_now().await,
                    1 => time::sleep(random.micros(300)).await,
                    2 => {
                        let _permit = world.semaphore.acquire().await;
                        moirai::yield_now().await;
                    }
                    3 => {
                        let limit = random.micros(300);
                        _ = time::timeout(limit, std::future::pending::<()>()).await;
                    }
                    4 => {
                        let handle =
                            world.spawn(world.executor(&mut random), &mut random.clone(), 0);
                        _ = handle.await;
                    }
                    _ => world.act(&mut random, inner),
                }
                value.check();
            }
        }
    }

    fn group(&self, executor: &Moirai, random: &mut Random, inner: u32) {
        let mut group = executor.group::<Value>();
        if random.one_in(2) {
            group = group.keep_results();
        }
        for _ in 0..random.below(4) {
            let (world, mut random) = (self.clone(), random.fork());
            group.spawn_parallel(move || {
                world.act(&mut random, inner.saturating_sub(1));
                world.value(&mut random)
            });
        }
        match random.below(3) {
            0 => contained(|| {
                executor
                    .block_on(group.join_all())
                    .into_iter()
                    .for_each(|(_, value)| contained(|| drop(value)))
            }),
            1 => group.cancel_all(),
            _ => drop(group),
        }
    }
}

/// Runs the program of a seed on executors of its own, and shuts them down.
fn run_program(seed: u64) {
    let mut random = Random::new(seed);
    let executors = [1, 2].map(|most| {
        let workers = 1 + random.below(most) as usize;
        Moirai::builder().worker_threads(workers).thread_name_prefix("program").build().unwrap()
    });
    let world = World {
        executors: executors.clone(),
        token: CancellationToken::new(),
        semaphore: Arc::new(Semaphore::new(1)),
        handles: async_channel::unbounded(),
        alive: Arc::default(),
        drains: random.one_in(2),
    };
    let alive = Arc::clone(&world.alive);
    let roots: Vec<_> = (0..5)
        .map(|_| {
            let (world, mut random) = (world.clone(), random.fork());
            executors[1].spawn_parallel(move || {
                (0..3).for_each(|_| contained(|| world.act(&mut random, DEPTH)));
            })
        })
        .collect();
    for _ in 0..3 {
        contained(|| world.act(&mut random, DEPTH));
    }
    for (index, root) in roots.into_iter().enumerate() {
        if index % 3 == 0 {
            root.cancel();
        }
        let _ = root.join();
    }
    world.token.cancel();
    let (handles, drains) = (world.handles.1.clone(), world.drains);
    drop(world);
    let timeout = random.micros(5_000);
    if drains {
        // A task of one may be inside of a scope of the other, or spawn there.
        let active = |executor: &Moirai| executor.cleanup_stats().active_tasks;
        wait_until("all tasks have ended", || {
            (0..3).all(|_| executors.iter().map(active).sum::<usize>() == 0)
        });
    }
    let reports = executors.map(|executor| {
        if drains { executor.shutdown() } else { executor.shutdown_timeout(timeout) }
    });
    for report in reports {
        let ended = report.completed + report.failed + report.cancelled;
        assert_eq!(report.spawned, ended + report.still_active, "{report}");
    }
    wait_until("every value is dropped", || {
        // A destructor may put another handle there.
        while let Ok(handle) = handles.try_recv() {
            contained(|| drop(handle));
        }
        alive.load(Ordering::Relaxed) == 0
    });
}

#[test]
fn random_programs_end_and_leave_nothing_behind() {
    let watchdog = watchdog();
    silence_expected_panics();
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let first = number("MOIRAI_PROGRAMS_SEED").unwrap_or(1);
    let seconds = number("MOIRAI_PROGRAMS_SECONDS").unwrap_or(2);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seed = first;
    while seed == first || Instant::now() < end {
        watchdog.feed(format!("the program of seed {seed}"));
        if let Err(payload) = catch_unwind(|| run_program(seed)) {
            eprintln!("the program of seed {seed} failed");
            resume_unwind(payload);
        }
        seed += 1;
    }
    println!("{} programs, from seed {first} on", seed - first);
}
