//! Tests of what the schedulers rely on, run on crossbeam's queues and on their double alike.

macro_rules! behaviour {
    ($name:ident) => {
        mod $name {
            use crate::queue::$name::{Injector, Worker};
            use std::sync::Arc;
            use std::sync::atomic::{AtomicUsize, Ordering};
            use std::thread;

            #[test]
            fn a_worker_pops_in_the_order_of_its_pushes() {
                let worker = Worker::new();
                (0..10).for_each(|token| worker.push(token));
                assert_eq!(
                    std::iter::from_fn(|| worker.pop()).collect::<Vec<_>>(),
                    (0..10).collect::<Vec<_>>()
                );
            }

            #[test]
            fn a_stealer_takes_the_oldest() {
                let worker = Worker::new();
                (0..3).for_each(|token| worker.push(token));
                let stealer = worker.stealer();
                assert_eq!(stealer.steal(), Some(0));
                assert_eq!(worker.pop(), Some(1));
                assert_eq!(stealer.len(), 1);
                assert_eq!(stealer.steal(), Some(2));
                assert_eq!(stealer.steal(), None);
                assert!(stealer.is_empty());
            }

            #[test]
            fn a_batch_from_a_deque_is_its_older_half_in_order() {
                let (from, into) = (Worker::new(), Worker::new());
                (0..8).for_each(|token| from.push(token));
                assert_eq!(from.stealer().steal_batch_and_pop(&into), Some(0));
                assert_eq!(std::iter::from_fn(|| into.pop()).collect::<Vec<_>>(), [1, 2, 3]);
                assert_eq!(std::iter::from_fn(|| from.pop()).collect::<Vec<_>>(), [4, 5, 6, 7]);
                assert_eq!(from.stealer().steal_batch_and_pop(&into), None);
            }

            #[test]
            fn an_injector_is_first_in_first_out() {
                let injector = Injector::new();
                (0..10).for_each(|token| injector.push(token));
                assert_eq!(injector.len(), 10);
                assert_eq!(
                    std::iter::from_fn(|| injector.steal()).collect::<Vec<_>>(),
                    (0..10).collect::<Vec<_>>()
                );
                assert!(injector.is_empty());
            }

            #[test]
            fn a_batch_from_an_injector_keeps_the_order() {
                let (injector, into) = (Injector::new(), Worker::new());
                (0..10).for_each(|token| injector.push(token));
                let mut out = vec![injector.steal_batch_and_pop(&into).unwrap()];
                out.extend(std::iter::from_fn(|| into.pop()));
                out.extend(std::iter::from_fn(|| injector.steal()));
                assert_eq!(out, (0..10).collect::<Vec<_>>());
            }

            #[test]
            fn what_is_left_is_dropped_with_the_queue() {
                let token = Arc::new(());
                let (worker, injector) = (Worker::new(), Injector::new());
                let stealer = worker.stealer();
                for _ in 0..3 {
                    worker.push(Arc::clone(&token));
                    injector.push(Arc::clone(&token));
                }
                drop(worker);
                assert!(stealer.steal().is_some());
                drop((stealer, injector));
                assert_eq!(Arc::strong_count(&token), 1);
            }

            #[test]
            fn every_task_is_taken_once_under_contention() {
                for _ in 0..200 {
                    let (worker, injector) = (Worker::new(), Injector::new());
                    let sum = AtomicUsize::new(0);
                    (1..=10).for_each(|token| worker.push(token));
                    let stealer = worker.stealer();
                    thread::scope(|scope| {
                        scope.spawn(|| (11..=20).for_each(|token| injector.push(token)));
                        for _ in 0..2 {
                            scope.spawn(|| {
                                let own = Worker::new();
                                let mut found = 0;
                                for _ in 0..40 {
                                    found += stealer.steal_batch_and_pop(&own).unwrap_or(0);
                                    found += injector.steal_batch_and_pop(&own).unwrap_or(0);
                                    found += own.pop().unwrap_or(0);
                                }
                                found += std::iter::from_fn(|| own.pop()).sum::<usize>();
                                sum.fetch_add(found, Ordering::Relaxed);
                            });
                        }
                    });
                    let left = std::iter::from_fn(|| stealer.steal()).sum::<usize>()
                        + std::iter::from_fn(|| injector.steal()).sum::<usize>();
                    assert_eq!(sum.into_inner() + left, 210);
                }
            }
        }
    };
}

behaviour!(crossbeam);
behaviour!(double);
