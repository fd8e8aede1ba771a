//! Tests of futures that stay on one thread.
#![cfg(feature = "local")]

mod common;

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::{self, ThreadId};

use common::{OnDrop, wait_until, watchdog};
use moirai::local::{LocalSet, spawn_local};
use moirai::prelude::*;

fn executor() -> Moirai {
    Moirai::builder().worker_threads(2).build().unwrap()
}

#[test]
fn local_futures_run_in_turns_with_the_one_that_is_waited_for() {
    let _watchdog = watchdog();
    let executor = executor();
    let set = LocalSet::new();
    let turns = Rc::new(Cell::new(0));
    let before = set.spawn_local({
        let turns = Rc::clone(&turns);
        async move {
            for _ in 0..1_000 {
                turns.set(turns.get() + 1);
                moirai::yield_now().await;
            }
            thread::current().id()
        }
    });
    let here = thread::current().id();
    executor.block_on(set.run_until(async {
        // Tasks of the executor beside it.
        let elsewhere = moirai::spawn_async(async { 5 }).await.unwrap();
        assert_eq!(elsewhere, 5);
        assert_eq!(before.await.unwrap(), here);
    }));
    assert_eq!(turns.get(), 1_000);
}

#[test]
fn a_panic_is_what_the_handle_returns_and_the_others_go_on() {
    let _watchdog = watchdog();
    moirai::block_on(LocalSet::new().run_until(async {
        let panics = spawn_local(async { panic!("the local future of a test") });
        let goes_on = spawn_local(async { 3 });
        assert!(panics.await.map(|()| 0).unwrap_err().is_panicked());
        assert_eq!(goes_on.await.unwrap(), 3);
    }));
}

#[test]
fn what_is_left_is_kept_until_the_set_is_dropped() {
    let _watchdog = watchdog();
    let dropped = Rc::new(Cell::new(0));
    struct Count(Rc<Cell<u32>>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let set = LocalSet::new();
    let [kept, cancelled, detached] = [(); 3].map(|()| {
        let count = Count(Rc::clone(&dropped));
        set.spawn_local(async move {
            let _count = count;
            pending::<()>().await;
        })
    });
    cancelled.cancel();
    drop(detached);
    moirai::block_on(set.run_until(async { moirai::yield_now().await }));
    assert_eq!(dropped.get(), 1);
    assert!(!kept.is_finished());
    drop(set);
    drop(kept);
    assert_eq!(dropped.get(), 3);
}

#[test]
#[should_panic(expected = "outside of a `LocalSet`")]
fn outside_of_a_set_a_spawn_says_so() {
    drop(spawn_local(async {}));
}

#[test]
fn a_pinned_future_stays_on_its_thread() {
    let _watchdog = watchdog();
    let executor = executor();
    let task = executor.spawn_pinned(|| async {
        let first: Rc<ThreadId> = Rc::new(thread::current().id());
        for _ in 0..100 {
            moirai::spawn_async(moirai::yield_now()).await.unwrap();
            assert_eq!(thread::current().id(), *first);
        }
        let beside = spawn_local(async move { *first == thread::current().id() });
        beside.await.unwrap()
    });
    assert!(task.join().unwrap());
    let panics = executor.spawn_pinned(|| async { panic!("the pinned future of a test") });
    let id = panics.id();
    assert!(panics.join().map(|()| 0).unwrap_err().is_panicked());
    let error = executor.task_stats(id).unwrap().error;
    assert_eq!(error.as_deref(), Some("the pinned future of a test"));
}

#[test]
fn a_pinned_future_that_is_cancelled_is_dropped_on_its_thread() {
    let _watchdog = watchdog();
    let executor = executor();
    let (send, receive) = mpsc::channel();
    let task = executor.spawn_pinned(move || async move {
        let made = thread::current().id();
        let _on_drop = OnDrop::new({
            let send = send.clone();
            move || send.send(thread::current().id() == made).unwrap()
        });
        send.send(true).unwrap();
        pending::<()>().await;
    });
    assert!(receive.recv().unwrap());
    task.cancel();
    assert!(receive.recv().unwrap(), "it was dropped on another thread");
    assert!(task.join().unwrap_err().is_cancelled());
    wait_until("its thread is free", || executor.cleanup_stats().active_tasks == 0);
    assert!(executor.shutdown().is_clean());
}
