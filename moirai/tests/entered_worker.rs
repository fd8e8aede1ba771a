//! Threads that enter an executor as a worker, and leave it, or do not.

mod common;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::thread;

use common::watchdog;
use moirai::prelude::*;
use moirai::scheduler::{LocalQueue, QueueReason, Runnable, Scheduler, Visibility};
use moirai::{EnteredWorker, ExecutorPlugin, HybridExecutorBuilder, Recorder, TaskSample};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[test]
fn the_calling_thread_is_a_worker_until_it_leaves() {
    let _watchdog = watchdog();
    thread::spawn(|| {
        let mut entered = None;
        let executor: Moirai = Moirai::builder()
            .worker_threads(2)
            .stable_worker_index(true)
            .build_with(|worker| {
                match worker.index() {
                    0 => entered = worker.enter().ok(),
                    _ => worker.spawn()?,
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(entered.as_ref().map(|entered| entered.index()), Some(0));
        assert_eq!(Moirai::worker_index(), Some(0));
        let (here, there) = (thread::current().id(), |_: ()| thread::current().id());
        let tasks: Vec<_> = (0..20).map(|_| executor.spawn_parallel(move || there(()))).collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap() != here));
        assert_eq!(Moirai::worker_index(), Some(0), "it has waited");
        // It runs what only it can run when it is asked to, and lets another thread do so while it waits.
        let own = executor.spawn_on_worker(0, move || there(())).unwrap();
        assert!(executor.try_run());
        assert_eq!(own.join().unwrap(), here);
        assert!(executor.spawn_on_worker(0, move || there(())).unwrap().join().unwrap() != here);
        assert_eq!(executor.join(|| 1, || 2), (1, 2));
        drop(entered);
        assert_eq!(Moirai::worker_index(), None);
        let moved = executor.spawn_on_worker(0, Moirai::worker_index).unwrap();
        assert_eq!(moved.join().unwrap(), Some(0), "another thread is the worker now");
        assert!(executor.shutdown().is_clean());
    })
    .join()
    .unwrap();
}

#[test]
fn an_executor_without_spare_threads_stops_when_its_caller_leaves() {
    let _watchdog = watchdog();
    thread::spawn(|| {
        let mut entered = None;
        let executor: Moirai = Moirai::builder()
            .worker_threads(1)
            .spare_threads(0)
            .build_with(|worker| {
                entered = worker.enter().ok();
                Ok(())
            })
            .unwrap();
        let task = executor.spawn_parallel(|| 1);
        assert!(executor.try_run());
        assert_eq!(task.join().unwrap(), 1);
        let left = executor.spawn_parallel(|| 1);
        drop(entered);
        assert!(left.join().is_err());
        executor.shutdown();
    })
    .join()
    .unwrap();
}

#[test]
#[cfg_attr(
    moirai_asan,
    ignore = "a thread that stays a worker until its end leaves a context behind"
)]
fn a_thread_does_not_leave_its_executor_in_the_middle_of_work_for_it() {
    let _watchdog = watchdog();
    // What the thread is inside of when the worker is dropped.
    type Inside = fn(&Moirai, Box<dyn FnOnce() + '_>);
    let ways: [Inside; 3] = [
        |executor, leave| executor.scope(|_| leave()),
        |executor, leave| executor.block_on(async { leave() }),
        |_, leave| moirai::block_in_place(leave),
    ];
    for inside in ways {
        thread::spawn(move || {
            let mut entered = None;
            let executor: Moirai = Moirai::builder()
                .worker_threads(2)
                .build_with(|worker| match worker.index() {
                    0 => {
                        entered = worker.enter().ok();
                        Ok(())
                    }
                    _ => worker.spawn(),
                })
                .unwrap();
            inside(&executor, Box::new(|| drop(entered)));
            assert_eq!(executor.join(|| 1, || 2), (1, 2));
            assert_eq!(executor.spawn_parallel(|| 3).join().unwrap(), 3);
        })
        .join()
        .unwrap();
    }
}

thread_local! {
    /// What is dropped by the next call of `leave`.
    static HELD: RefCell<Option<EnteredWorker>> = const { RefCell::new(None) };
}

fn leave() {
    drop(HELD.take());
}

/// Makes its caller leave the executor, as a recorder, a plugin, a scheduler and a queue.
#[derive(Clone, Default)]
struct Leaver(Arc<Mutex<VecDeque<Runnable>>>);

impl Recorder for Leaver {
    fn task_finished(&self, _: Option<usize>, _: &TaskSample) {}

    fn core_handed_off(&self, _: usize) {
        leave();
    }
}

impl ExecutorPlugin for Leaver {
    fn after_spawn(&self, _: TaskId) {
        leave();
    }
}

/// A plugin that makes its caller leave the executor around polls.
struct PollLeaver;

impl ExecutorPlugin for PollLeaver {
    fn wants_poll_hooks(&self) -> bool {
        true
    }

    fn after_poll(&self, _: TaskId) {
        leave();
    }
}

/// A subscriber that makes its caller leave the executor when a span is copied.
struct SpanLeaver;

impl Subscriber for SpanLeaver {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn clone_span(&self, id: &Id) -> Id {
        leave();
        id.clone()
    }
}

impl Scheduler<Runnable> for Leaver {
    type Local = Self;

    fn start(&self, workers: usize) -> Vec<Self> {
        vec![self.clone(); workers]
    }

    fn push(&self, task: Runnable, _: Priority) -> Visibility {
        self.0.lock().unwrap().push_back(task);
        Visibility::Shared
    }

    fn take(&self) -> Option<Runnable> {
        self.0.lock().unwrap().pop_front()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl LocalQueue<Runnable> for Leaver {
    fn push(&mut self, task: Runnable, _: Priority, _: QueueReason) -> Visibility {
        leave();
        self.0.lock().unwrap().push_back(task);
        Visibility::Shared
    }

    fn pop(&mut self) -> Option<Runnable> {
        leave();
        self.0.lock().unwrap().pop_front()
    }
}

#[test]
#[cfg_attr(
    moirai_asan,
    ignore = "a thread that stays a worker until its end leaves a context behind"
)]
fn a_thread_does_not_leave_its_executor_in_what_the_executor_calls() {
    let _watchdog = watchdog();
    type Builder = HybridExecutorBuilder<Moirai>;
    let ways: [fn(Builder) -> Builder; 4] = [
        |builder| builder.task_spans(true),
        |builder| builder.plugin(Leaver::default()),
        |builder| builder.plugin(PollLeaver),
        |builder| builder.scheduler(Leaver::default()),
    ];
    for (index, with) in ways.into_iter().enumerate() {
        thread::spawn(move || {
            // For the first way alone, so that the others are tested by themselves.
            let _subscriber = (index == 0).then(|| tracing::subscriber::set_default(SpanLeaver));
            let builder = with(Moirai::builder().worker_threads(1).spare_threads(0));
            let executor: Moirai = builder
                .build_with(|worker| {
                    HELD.set(worker.enter().ok());
                    Ok(())
                })
                .unwrap();
            for result in 0..2 {
                let task = executor.spawn_parallel(move || result);
                assert!(executor.try_run());
                assert_eq!(task.join().unwrap(), result);
                assert!(HELD.take().is_none(), "it was dropped in the first round");
                assert_eq!(Moirai::worker_index(), Some(0));
            }
            assert_eq!(executor.join(|| 1, || 2), (1, 2));
        })
        .join()
        .unwrap();
    }
}

#[test]
#[cfg_attr(
    moirai_asan,
    ignore = "a thread that stays a worker until its end leaves a context behind"
)]
fn a_thread_does_not_leave_its_executor_in_a_recorder_that_learns_of_its_block() {
    let _watchdog = watchdog();
    thread::spawn(|| {
        let builder = Moirai::builder().worker_threads(1).spare_threads(1);
        let executor: Moirai = builder
            .stable_worker_index(true)
            .recorder(Arc::new(Leaver::default()))
            .build_with(|worker| {
                HELD.set(worker.enter().ok());
                Ok(())
            })
            .unwrap();
        moirai::block_in_place(|| ());
        assert!(HELD.take().is_none(), "it was dropped when the core was handed off");
        assert_eq!(Moirai::worker_index(), Some(0));
        assert_eq!(executor.join(|| 1, || 2), (1, 2));
    })
    .join()
    .unwrap();
}

#[test]
fn a_caller_that_has_entered_an_executor_that_fails_to_start_can_leave_it() {
    let _watchdog = watchdog();
    thread::spawn(|| {
        let dropped = Arc::new(());
        let mut entered = None;
        let builder = Moirai::builder().worker_threads(3).extension(Arc::clone(&dropped));
        let built = builder.build_with(|worker| match worker.index() {
            0 => {
                entered = worker.enter().ok();
                Ok(())
            }
            1 => worker.spawn(),
            _ => Err(std::io::Error::other("no third worker")),
        });
        assert!(built.unwrap_err().to_string().contains("no third worker"));
        assert_eq!(Moirai::worker_index(), Some(0));
        drop(entered);
        assert_eq!(Moirai::worker_index(), None);
        while Arc::strong_count(&dropped) > 1 {
            thread::yield_now();
        }
    })
    .join()
    .unwrap();
}
