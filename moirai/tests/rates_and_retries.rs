//! Tests of rate limits, of limits for each key, and of retries.
#![cfg(all(feature = "limits", feature = "retry"))]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use moirai::limit::{KeyedLimit, Quota, RateLimit};
use moirai::prelude::*;
use moirai::retry::{ConstantBuilder, ExponentialBuilder, retry, retry_if};
use moirai::sim;
use moirai::time::Instant;

#[test]
fn tasks_share_a_rate_limit_whatever_the_order() {
    let scenario = |executor: Moirai| async move {
        let quota = Quota::per_second(NonZeroU32::new(5).unwrap());
        let limit = Arc::new(RateLimit::new(quota));
        let start = Instant::now();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let limit = Arc::clone(&limit);
                executor.spawn_async(async move { limit.until_ready().await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        // Five at once, and fifteen at five a second.
        let took = start.elapsed();
        assert!((3.0..3.1).contains(&took.as_secs_f64()), "{took:?}");
    };
    sim::explore(0..100, scenario).expect_no_failure();
}

#[test]
fn no_key_is_over_its_limit_and_none_is_kept() {
    let scenario = |executor: Moirai| async move {
        let limit = KeyedLimit::new(2);
        let active: Arc<[AtomicUsize; 3]> = Arc::default();
        let tasks: Vec<_> = (0..30)
            .map(|n| {
                let (limit, active) = (limit.clone(), Arc::clone(&active));
                executor.spawn_async(async move {
                    let key = n % 3;
                    let permit = limit.acquire(&key.to_string()).await;
                    assert_eq!(permit.key(), key.to_string());
                    assert!(active[key].fetch_add(1, Ordering::SeqCst) < 2);
                    moirai::yield_now().await;
                    active[key].fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        // Those who give up leave nothing behind.
        for task in tasks.iter().step_by(4) {
            task.cancel();
        }
        for (n, task) in tasks.into_iter().enumerate() {
            match task.await {
                Ok(()) => {}
                Err(error) => assert!(error.is_cancelled() && n % 4 == 0, "{error}"),
            }
        }
        assert_eq!(limit.keys(), 0);
    };
    sim::explore(0..300, scenario).expect_no_failure();
}

#[test]
fn an_operation_is_repeated_by_its_policy() {
    sim::run(1, |executor| async move {
        let policy = || ExponentialBuilder::default().with_max_times(3);
        let calls = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        let task = executor.task().fails_on_err().spawn_async({
            let calls = Arc::clone(&calls);
            async move {
                retry(policy(), || async {
                    calls.fetch_add(1, Ordering::SeqCst);
                    Err::<(), _>("no luck")
                })
                .await
            }
        });
        let id = task.id();
        assert_eq!(task.await.unwrap(), Err("no luck"));
        assert_eq!(calls.load(Ordering::SeqCst), 4);
        // One second, two and four.
        assert_eq!(start.elapsed().as_secs(), 7);
        let stats = executor.task_stats(id).unwrap();
        assert_eq!(
            stats.note.as_deref(),
            Some("attempt 3 failed: no luck; the next follows in 4.0s")
        );
        assert_eq!((stats.status, stats.error.as_deref()), (TaskStatus::Failed, Some("no luck")));

        let hopeless =
            retry_if(policy(), |error| *error != "hopeless", || async { Err::<(), _>("hopeless") });
        assert_eq!(hopeless.await, Err("hopeless"));
        assert_eq!(start.elapsed().as_secs(), 7);
    });
}

#[test]
fn a_task_that_is_cancelled_tries_no_more() {
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let task = executor.spawn_async({
        let calls = Arc::clone(&calls);
        let policy = ConstantBuilder::default().with_delay(Duration::from_secs(3_600));
        async move {
            retry(policy, || async {
                calls.fetch_add(1, Ordering::SeqCst);
                Err::<(), _>("no luck")
            })
            .await
        }
    });
    while executor.task_stats(task.id()).unwrap().note.is_none() {
        std::thread::yield_now();
    }
    task.cancel();
    assert!(task.join().unwrap_err().is_cancelled());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
