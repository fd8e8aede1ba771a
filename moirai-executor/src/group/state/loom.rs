//! Models of groups: of real groups with real tasks, on the shared part of a real executor.

use std::pin::pin;
use std::task::{Context, Poll};

use moirai_core::shim::sync::Arc as LoomArc;
use moirai_core::shim::sync::atomic::AtomicUsize;
use moirai_core::shim::thread;

use super::*;
use crate::group::TaskGroup;
use crate::runtime::test_executor::{TestExecutor, Wakes, run_queued, spawn};

/// Checks every interleaving, whatever the environment variables say.
fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = None;
    builder.check(f);
}

/// Counts its drops.
struct Tracked(LoomArc<AtomicUsize>);

impl Drop for Tracked {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns a group with one place.
fn group<T: Send>(shared: &Arc<Shared>) -> TaskGroup<T> {
    TaskGroup::new(Arc::clone(shared)).max_tasks(1)
}

/// Starts a thread that runs what is queued.
fn runner(shared: &Arc<Shared>) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || run_queued(&shared))
}

/// Checks that there is exactly one place in the group.
fn assert_one_place<T: Send>(group: &TaskGroup<T>) {
    assert!(group.state.enter(), "a place was not given back");
    assert!(!group.state.enter(), "a place was given back twice");
}

#[test]
fn loom_group_a_task_that_joins_while_it_ends_is_counted_once() {
    model(|| {
        let executor = TestExecutor::new();
        let group = group(&executor.shared);
        assert!(group.state.enter());
        let handle = spawn(&executor.shared, async {});
        let runner = runner(&executor.shared);
        group.state.add_member(handle);
        runner.join().unwrap();
        assert_eq!((group.len(), group.counts().completed), (0, 1));
        assert_one_place(&group);
        drop(group);
        executor.stop();
    });
}

#[test]
fn loom_group_a_waiter_finds_the_results_dropped_and_the_places_given_back() {
    model(|| {
        let executor = TestExecutor::new();
        let mut group = group(&executor.shared);
        let drops = LoomArc::new(AtomicUsize::new(0));
        let output = Tracked(LoomArc::clone(&drops));
        assert!(group.state.enter());
        group.state.add_member(spawn(&executor.shared, async { output }));
        let runner = runner(&executor.shared);
        let wakes = Arc::new(Wakes::default());
        let waker = Arc::clone(&wakes).into();
        let polled = pin!(group.next()).poll(&mut Context::from_waker(&waker)).is_ready();
        if polled {
            assert_eq!(drops.load(Ordering::Relaxed), 1, "the result was not dropped");
            assert_one_place(&group);
        }
        runner.join().unwrap();
        assert!(polled || wakes.count() == 1, "the waiter sleeps for ever");
        let end = pin!(group.next()).poll(&mut Context::from_waker(&waker));
        assert!(matches!(end, Poll::Ready(None)));
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        drop(group);
        executor.stop();
    });
}

#[test]
fn loom_group_a_spawn_that_waits_for_a_place_gets_that_of_a_member_that_ends() {
    model(|| {
        let executor = TestExecutor::new();
        let shared = &executor.shared;
        let group = group(shared);
        assert!(group.state.enter());
        group.state.add_member(spawn(shared, async {}));
        let runner = runner(shared);
        let wakes = Arc::new(Wakes::default());
        let waker = Arc::clone(&wakes).into();
        let mut cx = Context::from_waker(&waker);
        let mut waiting = Box::pin(group.task().spawn_async_when_free(async {}));
        let polled = waiting.as_mut().poll(&mut cx);
        runner.join().unwrap();
        if polled.is_pending() {
            assert_eq!(wakes.count(), 1, "the spawn waits for ever");
            assert!(waiting.as_mut().poll(&mut cx).is_ready());
        }
        drop(waiting);
        run_queued(shared);
        assert_eq!((group.len(), group.counts().completed), (0, 2));
        assert_one_place(&group);
        drop(group);
        executor.stop();
    });
}

#[test]
fn loom_group_a_member_that_ends_while_all_are_cancelled_ends_once() {
    model(|| {
        let executor = TestExecutor::new();
        let group = group(&executor.shared);
        assert!(group.state.enter());
        group.state.add_member(spawn(&executor.shared, async {}));
        let runner = runner(&executor.shared);
        group.cancel_all();
        runner.join().unwrap();
        let counts = group.counts();
        assert_eq!((group.len(), counts.completed + counts.cancelled), (0, 1));
        assert_one_place(&group);
        drop(group);
        executor.stop();
    });
}

#[test]
fn loom_group_a_result_is_dropped_once_when_the_group_goes_while_a_member_ends() {
    model(|| {
        let executor = TestExecutor::new();
        let group = TaskGroup::new(Arc::clone(&executor.shared)).keep_results();
        let drops = LoomArc::new(AtomicUsize::new(0));
        let output = Tracked(LoomArc::clone(&drops));
        group.state.add_member(spawn(&executor.shared, async { output }));
        let runner = runner(&executor.shared);
        drop(group);
        runner.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        executor.stop();
    });
}
