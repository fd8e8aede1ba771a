//! Spawning, yielding and joining: Moirai, with every task on the books, beside tokio and async-executor.
#![allow(missing_docs, reason = "the macro of criterion makes a public function")]

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use async_executor::Executor;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use moirai::Moirai;
use moirai::sync::CancellationToken;

const WORKERS: usize = 2;
const TASKS: usize = 10_000;

fn moirai() -> Moirai {
    Moirai::builder().worker_threads(WORKERS).build().expect("the executor starts")
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .build()
        .expect("the runtime starts")
}

/// async-executor, on as many threads of its own.
struct Smol {
    executor: Arc<Executor<'static>>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl Smol {
    fn new() -> Self {
        let executor = Arc::new(Executor::new());
        let stop = CancellationToken::new();
        let threads = (0..WORKERS)
            .map(|_| {
                let (executor, stop) = (Arc::clone(&executor), stop.clone());
                std::thread::spawn(move || {
                    futures_lite::future::block_on(executor.run(stop.cancelled()));
                })
            })
            .collect();
        Self { executor, stop, threads }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.executor.spawn(future).detach();
    }
}

impl Drop for Smol {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Counts down, and tells the bench when it is through.
fn countdown(tasks: usize) -> (Arc<AtomicUsize>, SyncSender<()>, std::sync::mpsc::Receiver<()>) {
    let (sender, receiver) = sync_channel(1);
    (Arc::new(AtomicUsize::new(tasks)), sender, receiver)
}

async fn count(left: Arc<AtomicUsize>, done: SyncSender<()>) {
    if left.fetch_sub(1, Ordering::AcqRel) == 1 {
        let _ = done.send(());
    }
}

fn spawn_many_from_outside(c: &mut Criterion) {
    let mut group = c.benchmark_group("spawn_many_from_outside");
    group.throughput(Throughput::Elements(TASKS as u64)).sample_size(20);
    let wave = |spawn: &dyn Fn(Arc<AtomicUsize>, SyncSender<()>)| {
        let (left, sender, receiver) = countdown(TASKS);
        for _ in 0..TASKS {
            spawn(Arc::clone(&left), sender.clone());
        }
        receiver.recv().expect("the last task tells");
    };
    let executor = moirai();
    group.bench_function("moirai", |b| {
        b.iter(|| wave(&|left, done| drop(executor.spawn_async(count(left, done)))));
    });
    let runtime = tokio();
    group.bench_function("tokio", |b| {
        b.iter(|| wave(&|left, done| drop(runtime.spawn(count(left, done)))));
    });
    let smol = Smol::new();
    group.bench_function("async-executor", |b| {
        b.iter(|| wave(&|left, done| smol.spawn(count(left, done))));
    });
    group.finish();
}

fn yield_many(c: &mut Criterion) {
    const YIELDERS: usize = 200;
    const YIELDS: usize = 1_000;
    let mut group = c.benchmark_group("yield_many");
    group.throughput(Throughput::Elements((YIELDERS * YIELDS) as u64)).sample_size(10);
    let executor = moirai();
    group.bench_function("moirai", |b| {
        b.iter(|| {
            let handles: Vec<_> = (0..YIELDERS)
                .map(|_| {
                    executor.spawn_async(async {
                        for _ in 0..YIELDS {
                            moirai::yield_now().await;
                        }
                    })
                })
                .collect();
            for handle in handles {
                handle.join().expect("a yielder ends");
            }
        });
    });
    let runtime = tokio();
    group.bench_function("tokio", |b| {
        b.iter(|| {
            let handles: Vec<_> = (0..YIELDERS)
                .map(|_| {
                    runtime.spawn(async {
                        for _ in 0..YIELDS {
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            runtime.block_on(async {
                for handle in handles {
                    handle.await.expect("a yielder ends");
                }
            });
        });
    });
    group.finish();
}

fn join_one_from_outside(c: &mut Criterion) {
    let mut group = c.benchmark_group("join_one_from_outside");
    let executor = moirai();
    group.bench_function("moirai", |b| {
        b.iter(|| black_box(executor.spawn_async(async { 1 }).join().expect("the task ends")));
    });
    let runtime = tokio();
    group.bench_function("tokio", |b| {
        b.iter(|| {
            let handle = runtime.spawn(async { 1 });
            black_box(runtime.block_on(handle).expect("the task ends"))
        });
    });
    group.finish();
}

criterion_group!(benches, spawn_many_from_outside, yield_many, join_one_from_outside);
criterion_main!(benches);
