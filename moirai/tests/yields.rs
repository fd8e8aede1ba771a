//! Tests of `yield_now`: the task runs again, whoever polls the yield, and whatever else happens in the same poll.

mod common;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use common::{watchdog, workers};
use futures_lite::future::zip;
use moirai::{Moirai, yield_now};

async fn yield_times(times: usize) -> usize {
    for _ in 0..times {
        yield_now().await;
    }
    times
}

#[test]
fn futures_that_yield_in_one_task_all_go_on() {
    let _watchdog = watchdog();
    for n in [1, 2, 4] {
        let executor = workers(n);
        let task = executor.spawn_async(zip(zip(yield_times(3), yield_times(50)), yield_times(7)));
        assert_eq!(task.join().unwrap(), ((3, 50), 7));
    }
}

#[test]
fn a_yield_in_a_block_on_inside_of_a_task_is_that_of_the_inner_future() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let task = executor.spawn_async(async {
        yield_now().await;
        let inner = moirai::block_on(yield_times(5));
        yield_now().await;
        inner
    });
    assert_eq!(task.join().unwrap(), 5);
}

/// Counts its wake-ups.
#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_yield_wakes_the_waker_it_is_polled_with_if_that_is_not_the_tasks_own() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let task = executor.spawn_async(async {
        let count = Arc::new(CountWakes::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut yields = pin!(yield_now());
        assert!(yields.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(count.0.load(SeqCst), 1);
        assert!(yields.poll(&mut Context::from_waker(&waker)).is_ready());
    });
    task.join().unwrap();
}

#[test]
fn a_yield_that_another_thread_polls_for_a_task_wakes_it() {
    let _watchdog = watchdog();
    let executor = workers(2);
    // On a thread of the system, and on a worker that polls another task.
    for inside in [false, true] {
        let spawner = executor.clone();
        let mut started = false;
        let task = executor.spawn_async(poll_fn(move |cx| {
            if std::mem::replace(&mut started, true) {
                return Poll::Ready(());
            }
            let waker = cx.waker().clone();
            let poll_there = move || {
                let mut yields = pin!(yield_now());
                assert!(yields.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            };
            if inside {
                drop(spawner.spawn_async(async move { poll_there() }));
            } else {
                std::thread::spawn(poll_there);
            }
            Poll::Pending
        }));
        task.join().unwrap();
    }
}

#[test]
fn a_task_that_has_yielded_runs_again_although_another_ran_inside_of_its_poll() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let ran = Arc::new(AtomicUsize::new(0));
    let task = executor.spawn_async({
        let (executor, ran) = (executor.clone(), Arc::clone(&ran));
        let mut yields = Box::pin(yield_now());
        poll_fn(move |cx| {
            if yields.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let ran = Arc::clone(&ran);
            let inner = executor.spawn_async(async move {
                yield_times(3).await;
                ran.fetch_add(1, SeqCst);
            });
            while !inner.is_finished() {
                executor.try_run();
            }
            Poll::Pending
        })
    });
    task.join().unwrap();
    assert_eq!(ran.load(SeqCst), 1);
}

#[test]
fn a_task_that_only_yields_can_be_cancelled() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let task = executor.spawn_async(async {
        loop {
            yield_now().await;
        }
    });
    let other: Moirai = executor.clone();
    other.spawn_async(yield_times(10)).join().unwrap();
    task.cancel();
    assert!(task.join().unwrap_err().is_cancelled());
}
